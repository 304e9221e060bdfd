# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The law of prefixing under real crons: active, a job does what it did before; passive, it does nothing at all.

The users plain, active and passive have the same crontabs, but for the prefix (molecule/cron).
"""

import json
import time
from typing import Any, NamedTuple

import pytest
from nodes import Cluster, Node

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
# would still be there, if its target was up.
CLEAR = (
    "systemctl stop 'cron-*.timer' 'cron-*.service'; systemctl daemon-reload; "
    "rm -rf /var/tmp/mail/* /home/*/.zshenv.read; "
    "find /home/plain /home/active /home/passive -type f ! -name in ! -name '.*' -delete"
)


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


@pytest.fixture(scope="module")
def minutes(cluster: Cluster) -> list[Minute]:
    jobs = [
        int(node.run("cat /root/user.crontab /etc/cron.d/plain | grep -cE '^-?[*0-9]'").strip())
        for node in cluster.nodes
    ]
    while time.time() % 60 > 45:  # that cron is up when the minute begins
        time.sleep(1)
    cluster.on_all(lambda node: node.run(f"{CLEAR}; systemctl start {UNITS[node.name]}"))
    start = (int(time.time()) // 60 + 1) * 60
    print(f"waiting {start - time.time():.0f} s for cron's next minute", flush=True)
    time.sleep(start - time.time() + 5)
    found = cluster.on_all(lambda node: logged(node, start))
    while time.time() < start + 50 and not all(map(complete, found, jobs)):
        time.sleep(2)
        found = cluster.on_all(lambda node: logged(node, start))
    cluster.on_all(lambda node: node.run(f"systemctl stop {UNITS[node.name]}"))
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
