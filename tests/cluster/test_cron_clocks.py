# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Crons whose clocks differ by a minute, on the nights on which clocks are changed: the same minute is the same fire.

A container has its machine's clock, so libfaketime gives each cron and its jobs another one. Several crons run on one
node. systemd-cron's timers go by process 1's clock, which is left alone.
"""

import calendar
import shlex
import time

import pytest
from nodes import Cluster, Node

from tests.cluster.fires import FIRE, read

CRONS = {"debian": "cron -f", "cronie": "crond -n"}

#: When the clocks of TZ change, in seconds since the epoch: 02:00 becomes 03:00, and 03:00 becomes 02:00.
TZ = "CET-1CEST,M3.5.0,M10.5.0/3"
CHANGES = {
    "spring": calendar.timegm((2027, 3, 28, 1, 0, 0)),
    "autumn": calendar.timegm((2027, 10, 31, 1, 0, 0)),
}

#: By how many seconds a clock is ahead of the right one.
AHEAD = (30, -30)

#: For how long the crons run before and after the right clock's change, in seconds: two minutes of both clocks.
BEFORE, AFTER = 100, 40

#: What goes by the monotonic clock, and files, keep the kernel's time.
CLOCK = (
    "LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "
    "NO_FAKE_STAT=1"
)

#: A job has its cron's clock and name from that cron's environment.
CRONTAB = r"""PATH=/usr/bin:/bin
* * * * * root export $(tr '\0' '\n' </proc/$PPID/environ); /usr/local/bin/fire $NAME
30 2 * * * root export $(tr '\0' '\n' </proc/$PPID/environ); /usr/local/bin/fire $NAME-skipped
"""

#: No entries but these.
ASIDE = """\
set -eu
mkdir /root/aside
for path in /etc/cron.d/* /var/spool/cron/crontabs/*; do
    mkdir -p /root/aside/${path%/*}
    mv $path /root/aside/$path
done"""
BACK = """\
set -eu
rm /etc/cron.d/clocks
cp -a /root/aside/. /
rm -r /root/aside"""

#: Crons have one lock.
START = """\
set -eu
rm -f /run/crond.pid
systemd-run --quiet --unit={name} env NAME={name} TZ={tz} FAKETIME={offset:+} {clock} {cron}
until [ -s /run/crond.pid ]; do sleep 0.1; done"""

#: By node and by what an entry calls itself: its fires, in seconds since the change.
Fires = dict[str, dict[str, list[int]]]


def run_crons(node: Node, until: int) -> dict[str, list[int]]:
    """Run all crons around the change of their clocks, which comes at a time of the right clock."""
    names = {f"{season}{ahead:+}": change - until + ahead for season, change in CHANGES.items() for ahead in AHEAD}
    node.run(ASIDE)
    try:
        for path, text in (("/usr/local/bin/fire", FIRE), ("/etc/cron.d/clocks", CRONTAB)):
            node.run(f"printf %s {shlex.quote(text)} >{path}; rm -f /var/log/fires; chmod 755 /usr/local/bin/fire")
        for name, offset in names.items():
            node.run(START.format(name=name, tz=TZ, offset=offset, clock=CLOCK, cron=CRONS[node.name]))
        time.sleep(until + AFTER - time.time())
        node.run(f"systemctl stop {' '.join(names)}")
    finally:
        node.run(BACK)
    found = {}
    for name, noted in read(node).items():
        assert all(is_refusable for _key, is_refusable in noted), name
        found[name] = [int(key) - CHANGES[name[:6]] for key, _is_refusable in noted]
    return found


@pytest.fixture(scope="module")
def fires(cluster: Cluster) -> Fires:
    until = int(time.time()) + BEFORE
    nodes = Cluster([node.container for node in cluster.nodes if node.name in CRONS])
    print(f"waiting {BEFORE + AFTER} s for crons around a change of their clocks", flush=True)
    return dict(zip((node.name for node in nodes.nodes), nodes.on_all(lambda node: run_crons(node, until))))


@pytest.mark.parametrize("season", CHANGES)
def test_clocks_that_differ_agree_on_the_minute(fires: Fires, season: str) -> None:
    for node, found in fires.items():
        ahead, behind = (found[f"{season}{seconds:+}"] for seconds in AHEAD)
        for minutes in (ahead, behind):
            # Each minute is one fire, and none is left out.
            assert sorted(minutes) == list(range(min(minutes), max(minutes) + 60, 60)), node
        assert {-60, 0} <= {*ahead} & {*behind}, node


def test_a_run_of_the_hour_that_was_left_out_is_the_same_fire(fires: Fires) -> None:
    """crontab(5): cron makes up for it at once."""
    for node, found in fires.items():
        ahead, behind = (found[f"spring{seconds:+}-skipped"] for seconds in AHEAD)
        assert ahead == behind == [0], node
