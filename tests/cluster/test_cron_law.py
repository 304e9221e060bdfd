# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The law of prefixing under real crons: active, a job does what it did before; passive, it does nothing at all.

The users plain, active and passive have the same crontabs, but for the prefix (molecule/cron).
"""

import json
import shlex
import time
from typing import Any, NamedTuple

import pytest
from nodes import Cluster, Node

from tests.cluster.fires import FIRE, read

UNITS = {"debian": "cron.service", "cronie": "cronie.service", "systemd": "cron.target"}
PATIENCE = 100.0  # seconds that all jobs of a minute may take, on a machine that is busy

# From the journal, because it does not hand everything on to rsyslog if a hundred jobs begin at once.
COUNT = """journalctl --identifier rcron --output cat --since @{start} |
    sed -n 's/^cluster=\\([a-z]*\\) state=[a-z]* status=\\(ok\\|fail\\|ignore\\) .*/\\1/p' | sort | uniq -c"""

# What a minute of cron has left of each user: the files with owner and mode, and the bodies of his mails (the subject
# quotes the command, prefix and all).
LOOK = """python3 - <<'END'
import json, os, pwd, stat
left = {user: {"files": {}, "mails": []} for user in ("plain", "active", "passive")}
for user, found in left.items():
    for folder, _folders, names in os.walk("/home/" + user):
        for name in names:
            if name == "in" or name.startswith("."):
                continue
            path = os.path.join(folder, name)
            status = os.stat(path)
            owner = pwd.getpwuid(status.st_uid).pw_name
            with open(path, errors="surrogateescape") as file:
                found["files"][os.path.relpath(path, "/home/" + user)] = [
                    "its own" if owner == user else owner, stat.filemode(status.st_mode), file.read()]
for name in os.listdir("/var/tmp/mail"):
    with open("/var/tmp/mail/" + name, errors="surrogateescape") as file:
        head, _, body = file.read().partition("\\n\\n")
    for user, found in left.items():
        if "\\nTo: " + user + "\\n" in "\\n" + head + "\\n":
            found["mails"].append(body)
for user, found in left.items():
    found["mails"].sort()
    with open("/home/" + user + "/.zshenv.read") as file:
        found["zshenv"] = len(file.readlines())
print(json.dumps(left))
END"""


# A minute may have begun while the nodes were made, before the entries were prefixed. systemd-cron's units of that time
# would still be there, if its target was up. Without these two files (cronie's is the second) a cron thinks that the
# machine has booted.
CLEAR = (
    "systemctl stop 'cron-*.path' 'cron-*.timer' 'cron-*.service'; rm -f /run/crond.reboot /run/cron.reboot; "
    "systemctl daemon-reload; "
    "rm -rf /var/tmp/mail/* /home/*/.zshenv.read; "
    "find /home/plain /home/active /home/passive -type f ! -name in ! -name '.*' -delete"
)


#: How an entry may come to start rcron. The last one sleeps into the next minute.
SLEEP = 62
FIRES = {
    "itself": "/usr/local/bin/fire itself",
    "setsid": "setsid --wait /usr/local/bin/fire setsid",
    "shells": "sh -c 'cd / && sh -c \"/usr/local/bin/fire shells\" | cat'",
    "script": "/usr/local/bin/script-of-somebody",
    "nested": "/usr/bin/rcron --conf /etc/rcron/fires.conf /usr/local/bin/fire nested",
    "sleep": f"sleep {SLEEP}; /usr/local/bin/fire sleep",
}

#: How late systemd may start a timer's service, in seconds: systemd.timer(5), AccuracySec=.
LATEST = 60

#: A service that starts rcron in each minute, more than once.
LOOP = "while :; do /usr/local/bin/fire loop; sleep 20; done"


class Minute(NamedTuple):
    """What one minute of cron has left on a node."""

    node: Node
    jobs: int  # of each of the users
    logged: dict[str, int]  # by cluster: jobs that ended, or were ignored
    left: dict[str, dict[str, Any]]  # by user, as JSON has it


def logged(node: Node, start: int) -> dict[str, int]:
    lines = node.run(COUNT.format(start=start)).splitlines()
    return {cluster: int(count) for count, cluster in map(str.split, lines)}


def complete(counts: dict[str, int], jobs: int) -> bool:
    return counts.get("active", 0) >= jobs and counts.get("passive", 0) > jobs + 1


def install_fires(node: Node) -> None:
    """Have cron start each of FIRES in every minute, and one at its start."""
    entries = "".join(f"* * * * * root {command}\n" for command in FIRES.values())
    files = {
        "/usr/local/bin/fire": FIRE,
        "/usr/local/bin/script-of-somebody": "#!/bin/sh\nexec 3>&1\n/usr/local/bin/fire script\n",
        "/etc/cron.d/fires": f"PATH=/usr/bin:/bin\n{entries}@reboot root /usr/local/bin/fire reboot\n",
    }
    for path, text in files.items():
        node.run(f"printf %s {shlex.quote(text)} >{path}")
    node.run(
        "sed 's/^cluster_name.*/cluster_name = fires/' /etc/rcron/active.conf >/etc/rcron/fires.conf;"
        "chmod 755 /usr/local/bin/fire /usr/local/bin/script-of-somebody; rm -f /var/log/fires;"
        f"systemd-run --quiet --unit=loop sh -c {shlex.quote(LOOP)}"
    )


@pytest.fixture(scope="module")
def minutes(cluster: Cluster) -> list[Minute]:
    jobs = [
        int(node.run("cat /root/user.crontab /etc/cron.d/plain | grep -cE '^-?[*0-9]'").strip())
        for node in cluster.nodes
    ]
    while time.time() % 60 > 45:  # that cron is up when the minute begins
        time.sleep(1)
    cluster.on_all(install_fires)
    cluster.on_all(lambda node: node.run(f"{CLEAR}; systemctl start {UNITS[node.name]}"))
    start = (int(time.time()) // 60 + 1) * 60
    print(f"waiting {start - time.time():.0f} s for cron's next minute", flush=True)
    time.sleep(start - time.time() + 5)
    found = cluster.on_all(lambda node: logged(node, start))
    while time.time() < start + 50 and not all(map(complete, found, jobs)):
        time.sleep(2)
        found = cluster.on_all(lambda node: logged(node, start))
    cluster.on_all(lambda node: node.run(f"systemctl stop {UNITS[node.name]}; rm /etc/cron.d/fires"))
    while time.time() < start + PATIENCE and not all(map(complete, found, jobs)):
        time.sleep(2)
        found = cluster.on_all(lambda node: logged(node, start))
    time.sleep(3)  # for mails, and for what should not happen
    left = cluster.on_all(lambda node: json.loads(node.run(LOOK)))
    return [Minute(*node) for node in zip(cluster.nodes, jobs, found, left)]


def test_every_job_ran(minutes: list[Minute]) -> None:
    for minute in minutes:
        assert minute.logged["active"] == minute.jobs, minute.node
        # and the one behind the symbolic link, and one or two of the user odd
        assert minute.logged["passive"] - minute.jobs in (2, 3), minute.node


def test_active_jobs_do_what_the_unprefixed_do(minutes: list[Minute]) -> None:
    for minute in minutes:
        plain = minute.left["plain"]["files"]
        assert len(plain) > 42, f"{minute.node}: the unprefixed jobs did too little to compare with"
        assert minute.left["active"]["files"] == plain, minute.node


def test_active_jobs_print_what_the_unprefixed_print(minutes: list[Minute]) -> None:
    for minute in minutes:
        if minute.node.name == "systemd":
            continue  # its mail quotes the unit, and the journal about it
        plain = minute.left["plain"]["mails"]
        assert "02\n" in plain, minute.node
        assert minute.left["active"]["mails"] == plain, minute.node


def test_zsh_reads_its_file_on_passive_nodes_too_and_once_more_on_active_ones(minutes: list[Minute]) -> None:
    """As docs/crontabs.md says. What it defines is there for the job: the other tests compare what such jobs print."""
    for minute in minutes:
        jobs = minute.left["plain"]["zshenv"]
        assert jobs == 3, minute.node
        assert minute.left["active"]["zshenv"] == 2 * jobs, minute.node
        assert minute.left["passive"]["zshenv"] == jobs, minute.node


def test_passive_jobs_do_nothing(minutes: list[Minute]) -> None:
    for minute in minutes:
        assert minute.left["passive"]["files"] == {}, minute.node
        # systemd-cron mails what the journal has of a job, and that holds rcron's own line.
        if minute.node.name != "systemd":
            assert minute.left["passive"]["mails"] == [], minute.node


def test_the_minute_that_an_entry_was_due_is_the_fire_however_rcron_is_started(minutes: list[Minute]) -> None:
    """On each node the same, by three kinds of cron."""
    start = int(read(minutes[0].node)["itself"][0][0])
    assert start % 60 == 0
    for minute in minutes:
        while (
            not {*FIRES, "reboot"} <= set(found := read(minute.node))
            and time.time() < start + SLEEP + LATEST + PATIENCE
        ):
            time.sleep(2)
        # On a busy machine some start in the next minute, too, before cron is stopped.
        first = {name: found[name][0] for name in FIRES if name in found}
        assert first == dict.fromkeys(FIRES, (str(start), True)), minute.node


def test_what_starts_at_boot_is_recorded_and_never_refused(minutes: list[Minute]) -> None:
    for minute in minutes:
        ((key, is_refusable),) = read(minute.node)["reboot"]
        assert (key[0], is_refusable) == ("!", False), minute.node


def test_a_run_at_a_terminal_is_a_persons_and_without_one_a_schedulers(cluster: Cluster) -> None:
    for node in cluster.nodes:
        before = int(time.time()) // 60 * 60
        node.run("/usr/local/bin/fire alone; script -qec '/usr/local/bin/fire terminal' /dev/null </dev/null")
        found = read(node)
        assert found["terminal"][0][0].startswith("!"), node
        assert not found["terminal"][0][1]
        assert before <= int(found["alone"][0][0]) <= before + 60, node
        assert found["alone"][0][1]


def test_a_service_that_loops_is_another_fire_in_each_minute(minutes: list[Minute]) -> None:
    for minute in minutes:
        minute.node.run("systemctl stop loop")
        keys = [int(key) for key, _refusable in read(minute.node)["loop"]]
        assert len(keys) > len(set(keys)), minute.node
        assert sorted(set(keys)) == list(range(keys[0], keys[-1] + 60, 60)), minute.node
        assert len(set(keys)) > 1, minute.node
