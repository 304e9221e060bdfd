# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Crons whose clocks are wrong, changed or set, and crons that start entries late: which minute is the fire?

A container has its machine's clock, so libfaketime gives each cron and its jobs another one. Many crons run on one
node. systemd-cron's timers go by process 1's clock, which is left alone; its node is frozen instead.
"""

import calendar
import pathlib
import shlex
import time

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster.faults import freeze, thaw
from tests.cluster.fires import FIRE, read

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

CRONS = {"debian": "cron -f", "cronie": "crond -n"}

#: When the clocks of TZ change, in seconds since the epoch: 02:00 becomes 03:00, and 03:00 becomes 02:00.
TZ = "CET-1CEST,M3.5.0,M10.5.0/3"
CHANGES = {
    "spring": calendar.timegm((2027, 3, 28, 1, 0, 0)),
    "autumn": calendar.timegm((2027, 10, 31, 1, 0, 0)),
}

#: By how many seconds a clock is ahead of the right one.
AHEAD = (30, -30)

#: What the clocks of the other crons show at the moment of the changes, in seconds since the epoch.
NOON = calendar.timegm((2027, 6, 1, 12, 0, 0))

#: By how many seconds some of them are set half a minute before.
STEPS = {"minute-forward": 60, "minute-back": -60, "hour-forward": 3600, "hour-back": -3600}

#: The others: one that nothing happens to; two that are stopped, until 20 s after a full minute and until more than a
#: minute after it; and one whose jobs' sessions PAM opens only in the next minute.
LATE = ("steady", "stopped", "starved", "slow")

#: For how long the crons run before and after the right clock's change, in seconds: two minutes of all clocks.
BEFORE, AFTER = 120, 55

#: When the first minute of a clock comes that is ahead: all crons have to run by then. In seconds after the change.
FIRST = -92

#: What happens, and from when to when, in seconds after the change.
EVENTS = (
    (-75, -61, "systemctl kill --signal=STOP stopped starved"),
    (-40, -2, "systemctl kill --signal=CONT stopped"),
    (-30, -2, "; ".join(f"set-clock {name} {seconds}" for name, seconds in STEPS.items())),
    (8, 25, "systemctl kill --signal=CONT starved"),
)

#: How often that is tried, because a busy machine may be too late for it.
TRIES = 3

#: What each cron starts until AFTER: the fires of an entry of each minute, of one for 11:59, and of one for noon, in
#: seconds after noon. cron(8): it makes up for minutes that were left out, of more than five only for entries at fixed
#: times, and does not start these again when the clock is put back by less than three hours.
FIRES = {
    "steady": ([-60, 0], [-60], [0]),
    "stopped": ([-60, 0], [-60], [0]),
    "starved": ([0, 0], [0], [0]),
    "minute-forward": ([-60, 60, 60], [-60], [60]),
    "minute-back": ([-60], [-60], []),
    "hour-forward": ([-60, 3600], [-60], [3600]),
    "hour-back": ([-3600, -60], [-60], []),
}

#: What goes by the monotonic clock, and files, keep the kernel's time. A clock's file is read again each time.
CLOCK = (
    "LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "
    "NO_FAKE_STAT=1 FAKETIME_NO_CACHE=1"
)

#: A job has its cron's clock and name from that cron's environment.
JOB = r"export $(tr '\0' '\n' </proc/$PPID/environ); /usr/local/bin/fire $NAME"
CRONTAB = f"""\
PATH=/usr/bin:/bin
* * * * * root {JOB}
30 2 * * * root {JOB}-skipped
59 11 * * * root {JOB}-before
0 12 * * * root {JOB}-noon
"""

#: root's own crontab, and no entry of each minute: cronie opens no session for what root has in a system crontab, and
#: gives up an entry of each minute whose session opens in the next one.
OF_ROOT = f"59 11 * * * {JOB}-session\n"

#: What PAM runs when it opens and closes a session, with the process that cron's daemon has started as its parent.
SESSION = r"""#!/bin/sh
[ "$PAM_TYPE" = open_session ] || exit 0
tr '\0' '\n' </proc/$PPID/environ | grep -qx NAME=slow || exit 0
sleep 65
"""

#: Changes by how many seconds a cron's clock is ahead of the kernel's.
SET_CLOCK = r"""#!/bin/sh
printf '%+d\n' $(($(cat /run/$1.clock) + $2)) >/run/$1.new
mv /run/$1.new /run/$1.clock
"""

#: No entries but these, and a session that may take its time.
ASIDE = """\
set -eu
mkdir /root/aside
for path in /etc/cron.d/* /var/spool/cron/crontabs/* /etc/pam.d/cron*; do
    mkdir -p /root/aside/${path%/*}
    cp -a $path /root/aside/$path
    case $path in
    /etc/pam.d/*) echo 'session optional pam_exec.so /usr/local/bin/session' >>$path ;;
    *) rm $path ;;
    esac
done"""
BACK = """\
set -eu
rm -f /etc/cron.d/clocks /var/spool/cron/crontabs/root
cp -a /root/aside/. /
rm -r /root/aside"""

#: Crons have one lock.
START = """\
set -eu
echo {offset:+} >/run/{name}.clock
rm -f /run/crond.pid
systemd-run --quiet --collect --no-block --unit={name} \\
    env NAME={name} TZ={tz} FAKETIME_TIMESTAMP_FILE=/run/{name}.clock {clock} {cron}
until [ -s /run/crond.pid ]; do sleep 0.1; done
"""

#: cronie's children go on after TERM, and start their jobs. Another try takes the same names.
END = """\
systemctl kill --signal=KILL {0}
systemctl stop {0}
while systemctl list-units --all --no-legend {0} | grep .; do sleep 0.2; done
"""

#: An entry of each minute for systemd-cron, whose timers are as exact as the page has it. The others are left alone.
ACCURACY = "/etc/systemd/system/cron-.timer.d/accuracy.conf"
FROZEN = """\
set -eu
mkdir -p {folder}
printf %s {text} >{path}
echo '* * * * * root /usr/local/bin/fire frozen' >/etc/cron.d/frozen
systemctl daemon-reload
systemctl start $(cd /run/systemd/generator && grep -l SourcePath=/etc/cron.d/frozen cron-*.timer)
"""
THAWED = f"""\
systemctl stop $(cd /run/systemd/generator && grep -l SourcePath=/etc/cron.d/frozen cron-*.timer)
rm -r /etc/cron.d/frozen {ACCURACY}
systemctl daemon-reload
"""

#: From when to when that node is frozen, in seconds after a full minute, and how late it may go on.
FREEZE, THAW, LATEST = -5, 20, 50

#: By node and by what an entry calls itself: its fires, in seconds since the change, or noon.
Fires = dict[str, dict[str, list[int]]]


def moment(name: str) -> int:
    """The change of the clock of a cron or of its entry, or noon."""
    return CHANGES.get(name.partition("+")[0].partition("-")[0], NOON)


def is_in_time(node: Node) -> bool:
    """Run all crons around the change of their clocks. Returns whether all that has to happen happened in its time."""
    until = int(time.time()) + BEFORE
    names = {f"{season}{ahead:+}": (TZ, change + ahead) for season, change in CHANGES.items() for ahead in AHEAD}
    names.update(dict.fromkeys((*LATE, *STEPS), ("UTC0", NOON)))
    starts = [
        START.format(name=name, tz=tz, offset=shown - until, clock=CLOCK, cron=CRONS[node.name])
        for name, (tz, shown) in names.items()
    ]
    node.run("rm -f /var/log/fires")
    try:
        node.run("".join(starts))
        if time.time() > until + FIRST:
            return False
        for earliest, latest, command in EVENTS:
            time.sleep(max(0.0, until + earliest - time.time()))
            node.run(command)
            if time.time() > until + latest:
                return False
        time.sleep(max(0.0, until + AFTER - time.time()))
    finally:
        node.run(END.format(" ".join(names)))
    return True


def run_crons(node: Node) -> dict[str, list[int]]:
    """Run all crons around the change of their clocks. Returns the fires that they have started."""
    node.run(ASIDE)
    files = {
        "/usr/local/bin/fire": FIRE,
        "/usr/local/bin/session": SESSION,
        "/usr/local/bin/set-clock": SET_CLOCK,
        "/etc/cron.d/clocks": CRONTAB,
    }
    try:
        for path, text in files.items():
            node.run(f"printf %s {shlex.quote(text)} >{path}; chmod {'644' if 'cron' in path else '755'} {path}")
        node.run(f"printf %s {shlex.quote(OF_ROOT)} | crontab -")
        assert any(is_in_time(node) for _try in range(TRIES)), f"{node} did nothing in time"
    finally:
        node.run(BACK)
    found = {}
    for name, noted in read(node).items():
        assert all(is_refusable for _key, is_refusable in noted), name
        found[name] = [int(key) - moment(name) for key, _is_refusable in noted]
    return found


def freeze_over_a_minute(node: Node) -> int | None:
    """Freeze a node's crontabs over a full minute. Returns that minute, or None if the node went on too late."""
    minute = (int(time.time() - FREEZE) // 60 + 1) * 60
    time.sleep(max(0.0, minute + FREEZE - time.time()))
    node.run("rm -f /var/log/fires")
    freeze(node)
    try:
        time.sleep(max(0.0, minute + THAW - time.time()))
    finally:
        thaw(node)
    return minute if time.time() < minute + LATEST else None


def run_frozen(node: Node) -> dict[str, list[int]]:
    """Have a node frozen while an entry is due. Returns the fires that were started, in seconds since then."""
    page = (CHECKOUT / "docs" / "ledger.md").read_text()
    text = page.partition(f"`{ACCURACY}`:\n\n```ini\n")[2].partition("```")[0]
    node.run(f"printf %s {shlex.quote(FIRE)} >/usr/local/bin/fire; chmod 755 /usr/local/bin/fire")
    try:
        node.run(FROZEN.format(folder=ACCURACY.rpartition("/")[0], text=shlex.quote(text), path=ACCURACY))
        minute = next((found for _try in range(TRIES) if (found := freeze_over_a_minute(node))), None)
        assert minute, f"{node} did nothing in time"
        wait_until(lambda: node.try_run("test -s /var/log/fires").returncode == 0, "the entry is started", 30)
    finally:
        node.run(THAWED)
    return {name: [int(key) - minute for key, _is_refusable in noted] for name, noted in read(node).items()}


@pytest.fixture(scope="module")
def all_fires(cluster: Cluster) -> Fires:
    """What happened on all nodes at once."""
    print(f"waiting {BEFORE + AFTER} s for crons around a change of their clocks", flush=True)
    found = cluster.on_all(lambda node: run_crons(node) if node.name in CRONS else run_frozen(node))
    return dict(zip((node.name for node in cluster.nodes), found))


@pytest.fixture
def fires(all_fires: Fires) -> Fires:
    """What the daemons started."""
    return {node: all_fires[node] for node in CRONS}


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


def started(found: dict[str, list[int]], cron: str) -> tuple[list[int], ...]:
    """What a cron has started, as FIRES has it."""
    return tuple(sorted(found.get(cron + entry, [])) for entry in ("", "-before", "-noon"))


def test_what_cron_starts_late_but_in_its_minute_is_the_same_fire(fires: Fires) -> None:
    for node, found in fires.items():
        assert started(found, "stopped") == started(found, "steady") == FIRES["steady"], node


def test_what_systemd_cron_starts_late_but_in_its_minute_is_the_same_fire(all_fires: Fires) -> None:
    assert all_fires["systemd"]["frozen"][0] == 0


def test_a_job_whose_session_opens_in_the_next_minute_is_the_same_fire(fires: Fires) -> None:
    """PAM may wait for a directory. cron's daemon has started the entry in its minute."""
    for node, found in fires.items():
        assert found["steady-session"] == found["slow-session"] == [-60], node


def test_what_cron_starts_in_the_next_minute_is_that_ones_fire(fires: Fires) -> None:
    """docs/ledger.md: such a run may be a second one; and of two at once only one is run."""
    for node, found in fires.items():
        assert started(found, "starved") == FIRES["starved"], node


@pytest.mark.parametrize("cron", STEPS)
def test_after_a_step_the_new_clocks_minute_is_the_fire(fires: Fires, cron: str) -> None:
    """The same as on any node whose clock is right by then, and a minute that comes twice is one fire."""
    for node, found in fires.items():
        assert started(found, cron) == FIRES[cron], node
