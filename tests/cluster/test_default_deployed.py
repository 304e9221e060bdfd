# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A deployed cluster, looked at as an administrator would look at it. Waits for nothing."""

import pytest
from nodes import Cluster, Node
from testinfra.host import Host


def test_default_state_is_active_on_the_first_host_only(cluster: Cluster) -> None:
    said = cluster.on_all(lambda node: node.run("sed -n 's/^default_state *= *//p' /etc/rcron/rcron.conf").strip())
    assert said == ["active", "passive", "passive"]


def test_exactly_one_node_is_active(cluster: Cluster) -> None:
    assert sorted(cluster.states().values()) == ["active", "passive", "passive"]


def test_configuration_passes_its_own_check(host: Host) -> None:
    assert host.run("rcronctl check").rc == 0


def test_systemd_has_no_failed_unit(host: Host) -> None:
    assert host.run("systemctl --failed --plain --no-legend").stdout == ""
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


@pytest.mark.parametrize("page", ["man5/rcron.conf.5", "man8/rcron.8", "man8/rcronctl.8", "man8/rcron-agent.8"])
def test_man_page_is_that_of_the_installed_version(host: Host, page: str) -> None:
    version = host.check_output("rcron --version").strip()
    assert f'"{version}"' in host.file(f"/usr/share/man/{page}").content_string


@pytest.mark.parametrize("name", ["cron", "keepalived"])
def test_service_runs_now_and_after_a_boot(host: Host, name: str) -> None:
    assert host.service(name).is_running
    assert host.service(name).is_enabled


def test_systemd_has_read_what_the_deployment_adds_to_keepaliveds_unit(host: Host) -> None:
    shown = host.check_output("systemctl show --property=NeedDaemonReload,ExecStopPost keepalived")
    assert "NeedDaemonReload=no" in shown
    assert "rcronctl --conf /etc/rcron/rcron.conf set passive" in shown


def test_everybody_may_read_the_state_and_only_root_may_write_it(host: Host) -> None:
    state = host.file("/var/run/rcron/state")
    assert (state.user, state.mode) == ("root", 0o644)
    assert state.content in (b"active\n", b"passive\n")
    assert (host.file("/run/rcron").user, host.file("/run/rcron").mode) == ("root", 0o711)


def test_job_of_an_ordinary_user_runs_on_the_active_node_only(cluster: Cluster) -> None:
    def ran(node: Node) -> str:
        return node.run("su alice -c '/usr/bin/rcron echo ran'").strip()

    expected = ["ran" if state == "active" else "" for state in cluster.states().values()]
    assert cluster.on_all(ran) == expected


def test_virtual_address_is_where_the_jobs_run(cluster: Cluster) -> None:
    def has_address(node: Node) -> bool:
        return "192.0.2.10/32" in node.run("ip -4 address show dev eth0")

    assert cluster.on_all(has_address) == [state == "active" for state in cluster.states().values()]


def test_password_of_vrrp_is_for_root_only(host: Host) -> None:
    conf = host.file("/etc/keepalived/keepalived.conf")
    assert conf.contains("auth_pass 8letters")
    assert (conf.user, conf.mode) == ("root", 0o600)


#: How each prepared crontab is shown. `crontab -l` leaves out the header with the date of Debian's crontab command.
SHOW = {"root": "crontab -l", "alice": "crontab -u alice -l", "app": "cat /etc/cron.d/app"}


def test_crontabs_differ_from_the_original_in_the_prefix_alone(cluster: Cluster) -> None:
    def differences(node: Node) -> dict[str, list[str]]:
        """What a diff to the original shows of each crontab; lines without the numbers."""
        diffs = {name: node.try_run(f"{show} | diff --text /var/tmp/before/{name} -") for name, show in SHOW.items()}
        return {name: diff.stdout.splitlines() for name, diff in diffs.items()}

    expected = {
        "root": [
            "6c6",
            "< * * * * *\t/usr/local/bin/record root",
            "---",
            "> * * * * *\t/usr/bin/rcron /usr/local/bin/record root",
            "8c8",
            r'< */1  *  * * *   cd /var/log/jobs && echo "$(hostname) $(date +\%s.\%N)" >>compound.log',
            "---",
            "> */1  *  * * *   /usr/bin/rcron -c 'cd /var/log/jobs && "
            r'echo "$(hostname) $(date +\%s.\%N)" >>compound.log' + "'",
        ],
        "alice": [
            "2c2",
            "< * * * * * /usr/local/bin/record user",
            "---",
            "> * * * * * /usr/bin/rcron /usr/local/bin/record user",
            "4c4",
            "< * * * * * /usr/local/bin/record ansible",
            "---",
            "> * * * * * /usr/bin/rcron /usr/local/bin/record ansible",
        ],
        "app": [
            "3c3",
            "< * * * * *\talice\tcat >/var/tmp/stdin; /usr/local/bin/record system%first line%second line",
            "---",
            "> * * * * *\talice\t/usr/bin/rcron -c 'cat >/var/tmp/stdin; /usr/local/bin/record system'"
            "%first line%second line",
        ],
    }
    assert cluster.on_all(differences) == [expected] * 3


def test_an_operators_script_sets_the_state_of_a_cluster_without_a_feeder(cluster: Cluster) -> None:
    said = cluster.nodes[1].run("""
        set -e
        mkdir -p /run/operator; trap 'rm -r /run/operator' EXIT
        printf '%s\\n' 'cluster_name = billing2' 'state_file = /run/operator/state' 'default_state = passive' \\
            >/run/operator/rcron.conf
        for state in active passive; do
            rcronctl --conf /run/operator/rcron.conf set $state --feeder script
            rcron --conf /run/operator/rcron.conf echo ran while $state
            rcronctl --conf /run/operator/rcron.conf status | grep feeder:
        done
    """)
    lines = said.splitlines()
    assert lines[0] == "ran while active"
    assert [line.partition("script, ")[2].partition(",")[0] for line in lines[1:]] == ["no process to watch"] * 2
    assert [line.rpartition(": ")[2] for line in lines[1:]] == ["set active", "set passive"]
