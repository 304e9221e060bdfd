# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Guarded timers under systemd 247, 252 and 257: skips, runs, failovers, faults, and what is refused and warned of."""

import functools
import json
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node, Run
from waiting import wait_until

from tests.cluster.playbooks import Play, as_alice

#: The timers that elapse every two seconds, and their jobs' names.
TIMERS = {"plain.timer": "plain", "instance@a.timer": "instance-a", "other.timer": "renamed"}


@pytest.fixture(autouse=True)
def _quiet(cluster: Cluster) -> Iterator[None]:
    yield
    names = " ".join(TIMERS)
    cluster.on_all(lambda node: node.run(f"systemctl stop {names} long.service; systemctl reset-failed"))
    cluster.on_all(lambda node: node.run(as_alice("systemctl --user stop mine.timer")))


def become(cluster: Cluster, active: Node) -> None:
    """Hand the role to a node, as an operator does: the old one first."""
    cluster.on_all(lambda node: node is not active and node.run("rcronctl set passive"))
    active.run("rcronctl set active")


def runs_since(node: Node, job: str, start: float) -> list[Run]:
    return [run for run in node.runs(job) if run.time > start]


def test_jobs_of_timers_run_on_the_active_node_only_and_follow_it(cluster: Cluster) -> None:
    jobs = [*TIMERS.values(), "mine"]
    cluster.on_all(lambda node: node.run("rcronctl set passive"))
    cluster.on_all(lambda node: node.run(f"systemctl start {' '.join(TIMERS)}"))
    cluster.on_all(lambda node: node.run(as_alice("systemctl --user start mine.timer")))
    for active in cluster.nodes[:2]:
        become(cluster, active)
        time.sleep(1)  # a run that has just begun on the node that was active
        start = time.time()
        for job in jobs:
            wait_until(functools.partial(runs_since, active, job, start), f"{job} runs on {active}", 30)
        time.sleep(3)
        for other in cluster.nodes:
            if other is not active:
                assert [job for job in jobs if runs_since(other, job, start)] == [], other


def test_skip_is_logged_and_is_not_a_failure(cluster: Cluster, node: Node) -> None:
    node.run("rcronctl set passive; systemctl start plain.service")
    wait_until(lambda: "status=ignore job=plain.service cmd=plain.service" in journal(node), "the skip is logged")
    assert node.run("systemctl is-system-running") == "running\n"


def journal(node: Node) -> str:
    return node.run("journalctl --identifier=rcron --output=cat --lines=40")


def test_start_and_end_are_logged(node: Node) -> None:
    node.run("rcronctl set active; systemctl start plain.service")
    wait_until(lambda: "status=start job=plain.service cmd=plain.service" in journal(node), "the start is logged")
    wait_until(lambda: "exit=0 job=plain.service cmd=plain.service" in journal(node), "the end is logged")
    ran = 'rcron_entry_runs_total{cluster_name="billing",entry="plain.service",status="ok"} 0'
    assert ran[:-1] in (found := node.run("rcronctl metrics --counters /var/lib/rcron/of-test.json")), found
    assert ran not in found.splitlines()
    node.run("rm /var/lib/rcron/of-test.json*")


def test_sandbox_does_not_hide_rcron_or_the_state(node: Node) -> None:
    """ProtectSystem=strict, PrivateTmp, another user.

    A container allows neither DynamicUser= nor TemporaryFileSystem=, nor, with systemd 257, PrivateDevices= and User=.
    """
    node.run("rcronctl set passive; rm -f /var/log/jobs/sandbox.log; systemctl start sandbox.service")
    assert node.runs("sandbox") == []
    node.run("rcronctl set active; systemctl start sandbox.service")
    assert len(node.runs("sandbox")) == 1


def test_guard_waits_for_a_takeover(node: Node) -> None:
    node.run("rcronctl set passive; rm -f /var/log/jobs/waiting.log; systemctl start --no-block waiting.service")
    time.sleep(2)
    assert node.runs("waiting") == []
    node.run("rcronctl set active")
    wait_until(lambda: node.runs("waiting"), "the job that has waited runs")


@pytest.mark.parametrize(
    ("breaks", "repairs"),
    [
        ("echo nosuch = 1 >>/etc/rcron/rcron.conf", "sed -i '/^nosuch/d' /etc/rcron/rcron.conf"),
        ("mv /usr/bin/rcronctl /usr/bin/rcronctl.away", "mv /usr/bin/rcronctl.away /usr/bin/rcronctl"),
        ("mv /usr/lib/rcron /usr/lib/rcron.away", "mv /usr/lib/rcron.away /usr/lib/rcron"),
    ],
    ids=["configuration", "program", "package"],
)
@pytest.mark.parametrize("state", ["active", "passive"])
def test_broken_rcron_fails_the_service(node: Node, state: str, breaks: str, repairs: str) -> None:
    node.run(f"rcronctl set {state}; rm -f /var/log/jobs/plain.log; {breaks}")
    try:
        assert node.try_run("systemctl start plain.service").returncode == 1
        assert node.run("systemctl show --property=ActiveState --value plain.service") == "failed\n"
        assert node.runs("plain") == []
    finally:
        node.run(f"{repairs}; systemctl reset-failed")


def test_demotion_stops_the_service(node: Node) -> None:
    node.run("rcronctl set active; echo on_demotion = terminate >>/etc/rcron/rcron.conf; rm -f /var/log/jobs/long.log")
    try:
        node.run("systemctl start --no-block long.service")
        wait_until(lambda: node.runs("long"), "the job runs", 30)
        assert "rcron-stopper-long.service" in node.run("systemctl list-units --no-legend 'rcron-stopper-*'")
        node.run("rcronctl set passive")
        active = "systemctl show --property=ActiveState --value long.service"
        wait_until(lambda: node.run(active) in ("failed\n", "inactive\n"), "it is stopped", 30)
        assert "status=demoted" in journal(node)
        stoppers = "systemctl list-units --no-legend 'rcron-stopper-*'"
        wait_until(lambda: node.run(stoppers) == "", "nothing of rcron's is left beside it", 30)
    finally:
        node.run("sed -i '/^on_demotion/d' /etc/rcron/rcron.conf; systemctl reset-failed")


#: What each unit is refused for, or warned of.
REFUSED = {
    "rooted.timer": "has its root in /srv",
    "started.service": "also started by multi-user.target (Wants=)",
    "needed.service": "also started by follower.service (Requires=)",
    "masked.timer": "is masked",
    "missing.timer": "missing.timer does not exist",
    "hidden.service": "finds other files in /run",
    "nobody-there.service": "User=nosuchuser does not exist",
}
WARNED = {
    "jitter.timer": "within 3600 s (RandomizedDelaySec=",
    "inaccurate.timer": "within 3600 s (RandomizedDelaySec=",
    "boot.timer": "elapses once after a boot",
    "persistent.timer": "Persistent= catches nothing up",
    "ping.service": "OnSuccess=healthy.service is started on passive nodes",
    "always.service": "Restart=always may start a skipped service again and again",
}


def preview(play: Play, units: list[str], **options: object) -> tuple[int, str]:
    """Preview a deployment with other units. Returns ansible-playbook's status, and its output on one line."""
    given = {"rcron_timers_units": [{"unit": unit, **options} for unit in units]}
    done = play("rcron.cluster.site", "--check", "--extra-vars", json.dumps(given))
    return done.returncode, " ".join(done.stdout.split())


def test_what_cannot_work_is_refused_before_anything_is_changed(cluster: Cluster, play: Play) -> None:
    status, output = preview(play, list(REFUSED))
    assert status != 0, output
    for unit, words in REFUSED.items():
        assert words in output, unit
    for node in cluster.nodes:
        assert f"{node.name}: rooted.service has its root in /srv" in output, output


def test_what_is_otherwise_on_a_passive_node_is_warned_of(play: Play) -> None:
    status, output = preview(play, [*WARNED, "needed.service"], started_by_others=True)
    assert status == 0, output
    for unit, words in WARNED.items():
        assert words in output, unit
    assert "needed.service is required by follower.service" in output


def test_check_finds_a_guard_that_is_gone_and_status_shows_where_it_is(cluster: Cluster, play: Play) -> None:
    first, second, _third = cluster.nodes
    become(cluster, first)
    checked = play("rcron.cluster.check")
    assert checked.returncode == 0, checked.stdout
    drop_in = "/etc/systemd/system/plain.service.d/50-rcron.conf"
    second.run(f"mv {drop_in} /root/away; systemctl daemon-reload; chmod 755 /etc/cron.daily/own-report")
    try:
        checked = play("rcron.cluster.check")
        assert checked.returncode != 0, checked.stdout
        output = " ".join(checked.stdout.split())
        assert "plain.service is not guarded as rcron_timers_units says" in output, output
        assert "the guard of plain.service is missing here, but not on" in output, output
        assert "/etc/cron.daily/own-report is not guarded as rcron_scripts_paths says" in output, output
        first.run("systemctl start plain.timer")
        shown = play("rcron.cluster.status").stdout.splitlines()
        (line,) = [line for line in shown if "plain.timer" in line]
        assert second.name not in line, line
        assert first.name in line, line
        (line,) = [line for line in shown if line.strip().startswith('"/etc/cron.daily/own-report ')]
        assert line.split()[-1] == 'all",', line
    finally:
        second.run(f"mv /root/away {drop_in}; systemctl daemon-reload; chmod 644 /etc/cron.daily/own-report")


#: A package with a timer and two entries for its job: one leaves it to the timer, and the other does not.
PACKAGE = r"""
set -eu
folder=$(mktemp -d)
cd "$folder"
mkdir -p DEBIAN etc/cron.d usr/lib/systemd/system
printf 'Package: own-pkg\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n' >DEBIAN/control
cat >etc/cron.d/own-pkg <<'END'
0 1 * * * root [ -d /run/systemd/system ] || /usr/local/bin/record clean
0 2 * * * root /usr/bin/rcron /usr/local/bin/record clean
END
printf '[Service]\nType=oneshot\nExecStart=/usr/local/bin/record clean\n' >usr/lib/systemd/system/own-clean.service
printf '[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n' >usr/lib/systemd/system/own-clean.timer
dpkg-deb --build . "$folder.deb" >/dev/null
dpkg --install "$folder.deb" >/dev/null
rm -r "$folder" "$folder.deb"
systemctl daemon-reload
systemctl start own-clean.timer
"""


def test_entry_beside_a_timer_of_its_package_is_refused_and_found_by_check(cluster: Cluster, play: Play) -> None:
    become(cluster, cluster.nodes[0])
    cluster.on_all(lambda node: node.run(PACKAGE))
    try:
        crontabs = [{"cron_file": "own-pkg", "entries": [{"regexp": "^.*systemd/system"}]}]
        tried = play("rcron.cluster.site", "--check", "--extra-vars", json.dumps({"rcron_crontab_entries": crontabs}))
        output = " ".join(tried.stdout.split())
        assert tried.returncode != 0, output
        for node in cluster.nodes:
            assert f"{node.name}: line 1 of /etc/cron.d/own-pkg ends itself where systemd runs" in output, output
        assert "guard own-clean.timer of the same package with rcron_timers_units instead" in output, output
        checked = play("rcron.cluster.check")
        output = " ".join(checked.stdout.split())
        assert "line 2 of /etc/cron.d/own-pkg is prefixed, but own-clean.timer runs the job, too" in output, output
        assert "line 1 of" not in output
    finally:
        cluster.on_all(lambda node: node.run("systemctl stop own-clean.timer; dpkg --purge own-pkg"))


def test_warnings_are_true(node: Node) -> None:
    """What systemd does with each of them on a passive node."""
    drop_in = "/etc/systemd/system/{0}.service.d/50-rcron.conf"
    units = ["ping", "always", "needed"]
    for unit in units:
        node.run(f"install -D -m 644 {drop_in.format('plain')} {drop_in.format(unit)}")
    node.run("systemctl daemon-reload; rcronctl set passive; rm -f /var/log/jobs/*")
    version = int(node.run("systemctl --version").split()[1])
    try:
        node.run("systemctl start ping.service")
        if version > 247:
            wait_until(lambda: node.runs("healthy"), "the ping is sent for a skip")
        assert node.runs("ping") == []
        assert node.try_run("systemctl start follower.service").returncode == (1 if version == 247 else 0)
        node.try_run("systemctl start always.service")
        time.sleep(2)
        skips = journal(node).count("status=ignore job=always.service")
        assert skips > 2 if version == 247 else skips == 1, skips
    finally:
        node.run(f"systemctl stop {' '.join(f'{unit}.service' for unit in units)}")
        node.run(
            f"rm -r {' '.join(f'/etc/systemd/system/{unit}.service.d' for unit in units)}; systemctl daemon-reload"
        )


def guarded(node: Node, unit: str, timer: str = "") -> None:
    """Guard a service that the role does not, with other settings for its timer if any are given."""
    drop_in = "/etc/systemd/system/{0}.service.d/50-rcron.conf"
    node.run(f"install -D -m 644 {drop_in.format('plain')} {drop_in.format(unit)}; rm -f /var/log/jobs/{unit}.log")
    if timer:
        lines = "\\n".join(["[Timer]", *timer.split()])
        folder = f"/etc/systemd/system/{unit}.timer.d"
        node.run(f"mkdir -p {folder}; printf '{lines}\\n' >{folder}/test.conf")
    node.run("systemctl daemon-reload")


def unguarded(node: Node, unit: str) -> None:
    node.run(f"systemctl stop {unit}.timer; cd /etc/systemd/system; rm -rf {unit}.service.d {unit}.timer.d")
    node.run("systemctl daemon-reload")


def test_persistent_timer_does_not_catch_a_skip_up(node: Node) -> None:
    guarded(node, "persistent")
    missed = (
        "mkdir -p /var/lib/systemd/timers; touch --date='2 days ago' /var/lib/systemd/timers/stamp-persistent.timer; "
        "systemctl restart persistent.timer"
    )
    try:
        node.run(f"rcronctl set passive; systemctl stop persistent.timer; {missed}")
        wait_until(lambda: "status=ignore job=persistent.service" in journal(node), "the run is skipped")
        node.run("rcronctl set active; systemctl restart persistent.timer")
        time.sleep(2)
        assert node.runs("persistent") == []
        node.run(missed)
        wait_until(lambda: node.runs("persistent"), "a run that was due while the timer did not run is caught up")
    finally:
        unguarded(node, "persistent")


def test_timer_of_a_boot_elapses_once_and_its_job_may_run_nowhere(node: Node) -> None:
    guarded(node, "boot", "OnBootSec= OnBootSec=1s")
    try:
        node.run("rcronctl set passive; systemctl restart boot.timer")
        wait_until(lambda: "status=ignore job=boot.service" in journal(node), "the run is skipped")
        node.run("rcronctl set active")
        time.sleep(2)
        assert node.runs("boot") == []
    finally:
        unguarded(node, "boot")


def elapses(node: Node) -> float:
    """When jitter.timer elapses next, in seconds since the epoch."""
    return float(node.run('date +%s --date="$(systemctl show --property=NextElapseUSecRealtime --value jitter.timer)"'))


def test_failover_between_delays_by_chance_runs_a_job_twice(cluster: Cluster) -> None:
    interval = 15
    try:
        for node in cluster.nodes:
            guarded(node, "jitter", f"OnCalendar= OnCalendar=*:*:0/{interval} RandomizedDelaySec=14s AccuracySec=10ms")
        for _attempt in range(12):
            cluster.on_all(lambda node: node.run("systemctl restart jitter.timer"))
            start = time.time()
            moments = {node: elapses(node) for node in cluster.nodes}
            early, late = min(moments, key=moments.__getitem__), max(moments, key=moments.__getitem__)
            if moments[early] // interval != moments[late] // interval or moments[late] - moments[early] < 6:
                continue
            become(cluster, early)
            if time.time() > moments[early]:
                continue
            wait_until(functools.partial(runs_since, early, "jitter", start), f"{early} runs the job", 2 * interval)
            become(cluster, late)
            if time.time() > moments[late]:
                continue
            wait_until(functools.partial(runs_since, late, "jitter", start), f"{late} runs it, too", 2 * interval)
            first, second = (runs_since(node, "jitter", start)[0].time for node in (early, late))
            assert first // interval == second // interval, moments
            break
        else:
            pytest.fail("no failover fell between two hosts' moments")
    finally:
        cluster.on_all(lambda node: unguarded(node, "jitter"))


#: Runs the one script of cron.daily as cron does, and what stands beside it.
DAILY = "run-parts --report --regex '^own-report(-rcron)?$' /etc/cron.daily"


def daily(node: Node, version: int) -> int:
    """Run cron.daily, and return how often the package's script has run."""
    node.run("rm -f /var/log/jobs/*")
    assert node.run(DAILY) == ""
    return len(node.runs(f"daily-{version}"))


def test_script_of_cron_daily_runs_on_the_active_node_through_upgrade_removal_and_purge(node: Node) -> None:
    install = "dpkg --install /root/own-report-{0}.deb </dev/null"  # dpkg fails if it wants to ask
    node.run("rcronctl set passive")
    assert daily(node, 1) == 0
    assert "status=ignore job=own-report cmd=/bin/sh -e /etc/cron.daily/own-report" in journal(node)
    node.run("rcronctl set active")
    assert daily(node, 1) == 1
    node.run(install.format(2))
    assert daily(node, 2) == 1
    node.run("rcronctl set passive")
    assert daily(node, 2) == 0
    node.run("dpkg --remove own-report </dev/null")
    assert daily(node, 2) == 0
    node.run("dpkg --purge own-report </dev/null; rcronctl set active")
    assert daily(node, 2) == 0
    node.run(install.format(1))
    assert daily(node, 1) == 1
    assert node.run("stat --format=%a /etc/cron.daily/own-report") == "644\n"
