# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Three nodes that are all active start each run once, while etcd's members, their network and the agents fail.

A run is a job's minute by cron or by a timer, or what --fire says: a ticker on each node starts one every other second.
The oracle is the count of each run on all nodes: never more than one, and one unless nobody could claim it.
"""

import collections
import functools
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from nodes import Cluster, Node, stay_clear_of_minute
from waiting import wait_until

from tests.cluster.measurement import report

#: Seconds: how often the ticker ticks; the scenario's claim_wait; what a node needs to notice that etcd is there again.
EVERY = 2
WAIT = 10
BACK = 8

#: An entry that sleeps before it asks: its run is the minute in which cron started it.
SLEEPS = 8
SLEPT = f"* * * * * root sleep {SLEEPS}; /usr/bin/rcron --job slept /usr/local/bin/mark slept"

#: Services that a timer starts at once and in each minute: one runs its job with rcron, and the other asks first.
#: systemd names the first of these triggers in all runs.
TIMER = "[Timer]\nOnActiveSec=1ms\nOnCalendar=minutely\nAccuracySec=100ms\n"
SERVICES = {
    "timed": "ExecStart=/usr/bin/rcron --job timed /usr/local/bin/mark timed",
    "asked": "ExecCondition=+/usr/bin/rcronctl guard %n\nExecStopPost=-+/usr/bin/rcronctl guard --ended %n\n"
    "ExecStart=/usr/local/bin/mark asked",
}
TIMERS = " ".join(f"{name}.timer" for name in SERVICES)

#: Says 1 on the node whose member of etcd leads.
IS_LEADER = """\
python3 -c 'import urllib.request
answer = urllib.request.urlopen("http://127.0.0.1:2381/metrics", timeout=2)
print(answer.read().decode())' | grep -c "^etcd_server_is_leader 1" || :
"""

#: Starts a run on each node every other second, whose name is that second.
TICKER = f"""\
#!/bin/sh
while [ ! -e /run/no-ticks ]; do
    sleep $(({EVERY} - $(date +%s) % {EVERY})).$((10 + $$ % 50))
    now=$(($(date +%s) / {EVERY} * {EVERY}))
    /usr/bin/rcron --job tick --fire $now /usr/local/bin/mark tick $now &
done
"""


#: The ticker's job, as it notes its runs.
TICK = "tick root"


class Span:
    """A time in which some runs may not have been started anywhere: between two moments, in seconds."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.end = begin

    def covers(self, moment: float) -> bool:
        """Whether a run of this moment is excused: its claim may have been waiting when the span began."""
        return self.begin - WAIT - EVERY <= moment <= self.end + BACK


def everywhere(cluster: Cluster, command: str) -> "list[str]":
    """Run a command on all nodes at once."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda node: node.run(command), cluster.nodes))


def marks(cluster: Cluster) -> "collections.Counter[tuple[str, int]]":
    """How often each run was started: job and user, and minute, or `tick root` and second."""
    found: "collections.Counter[tuple[str, int]]" = collections.Counter()
    for text in everywhere(cluster, "cat /var/log/mark"):
        for line in text.splitlines():
            job, moment = line.rsplit(maxsplit=1)
            found[job, int(moment)] += 1
    return found


def status(node: Node) -> str:
    """What the node says of its engine."""
    found: str = json.loads(node.run("rcronctl status --json"))["claims"]["words"]
    return found


def is_whole(node: Node) -> bool:
    """Whether all members of etcd answer the node's agent."""
    return status(node).startswith("etcd, 3 of 3 members, ")


def others(cluster: Cluster, node: Node) -> "list[Node]":
    """The other two."""
    return [each for each in cluster.nodes if each is not node]


def test_the_agent_has_no_rights_and_can_claim(cluster: Cluster) -> None:
    for node in cluster.nodes:
        assert is_whole(node), status(node)
        process = node.run("cat /proc/$(systemctl show -P MainPID rcron-claims)/status")
        facts = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
        assert facts["CapEff"].strip("0") == facts["CapPrm"].strip("0") == ""
        uid = node.run("id -u rcron-agent").strip()
        assert facts["Uid"].split() == [uid] * 4
        assert int(facts["VmRSS"].split()[0]) < 40 * 1024, "KiB"
        modes = node.run("stat -c %a:%U /etc/rcron/agent.conf /etc/rcron/agent.password /run/rcron/claim.sock")
        assert modes.split() == ["600:root", "600:root", "666:root"]
    report(f"{status(cluster.nodes[0])}; resident: {facts['VmRSS'].split()[0]} KiB")


def leader(cluster: Cluster) -> Node:
    """The node whose member of etcd leads."""
    found: "list[Node]" = []

    def is_there() -> bool:
        found[:] = [node for node in cluster.nodes if node.run(IS_LEADER).strip() == "1"]
        return len(found) == 1

    wait_until(is_there, "etcd has a leader", 30)
    return found[0]


def lose_a_leader(cluster: Cluster, fault: str, seconds: float, repair: str) -> None:
    """Have something happen to the member of etcd that leads, and take it back after some seconds."""
    node = leader(cluster)
    node.run(fault)
    time.sleep(seconds)
    node.run(repair)


def cut_off_a_leader(cluster: Cluster, seconds: float) -> None:
    """Cut off the node whose member of etcd leads from the others, which have a majority."""
    node = leader(cluster)
    addresses = [other.run("hostname -I").split()[0] for other in others(cluster, node)]
    node.run("; ".join(f"ip route add blackhole {address}" for address in addresses))
    time.sleep(seconds)
    node.run("; ".join(f"ip route del blackhole {address}" for address in addresses))


@pytest.fixture(scope="module")
def excused(cluster: Cluster) -> "dict[str, list[Span]]":
    """Have jobs run while things fail. Returns when nobody could claim anything."""
    one, two, three = cluster.nodes
    everywhere(cluster, "rcronctl set active; : >/var/log/mark")
    everywhere(cluster, f"echo '{SLEPT}' >/etc/cron.d/slept")
    everywhere(cluster, f"cat >/usr/local/bin/ticker <<'END'\n{TICKER}END\nchmod 755 /usr/local/bin/ticker")
    for name, lines in SERVICES.items():
        unit = f"/etc/systemd/system/{name}"
        everywhere(cluster, f"printf '[Service]\\nType=oneshot\\n%s\\n' '{lines}' >{unit}.service")
        everywhere(cluster, f"printf '{TIMER}' >{unit}.timer")
    stay_clear_of_minute()
    everywhere(cluster, f"systemctl daemon-reload; systemctl start {TIMERS}")
    began = time.time()
    everywhere(cluster, "systemd-run --quiet --unit=ticker /usr/local/bin/ticker")
    time.sleep(4)

    lose_a_leader(cluster, "systemctl kill --signal=KILL etcd", 5, "systemctl start etcd")
    time.sleep(3)
    three.run("systemctl kill --signal=KILL rcron-claims")
    time.sleep(3)
    # Without a leader claims wait for their answers, and are in etcd's queue when their agents end.
    stopped = leader(cluster)
    stopped.run("systemctl kill --signal=STOP etcd")
    time.sleep(2)
    three.run("systemctl restart --no-block rcron-claims")
    for node in (one, two):
        node.run("systemctl kill --signal=KILL rcron-claims")
    time.sleep(5)
    stopped.run("systemctl kill --signal=CONT etcd")
    time.sleep(3)
    cut_off_a_leader(cluster, 10)
    for node in cluster.nodes:
        wait_until(functools.partial(is_whole, node), f"{node} can claim", 60)

    no_quorum = Span(time.time())
    for node in (two, three):
        node.run("systemctl stop etcd")
    time.sleep(WAIT + 3)
    assert "cannot be made" in one.run("rcronctl status")
    for node in (two, three):
        node.run("systemctl start --no-block etcd")
    for node in cluster.nodes:
        wait_until(functools.partial(is_whole, node), f"{node} can claim", 60)
    no_quorum.end = time.time()
    time.sleep(BACK)
    everywhere(cluster, "touch /run/no-ticks")
    # One minute of cron's at least in which somebody could claim, and what sleeps in it.
    minute = next(
        moment for moment in range(int(began // 60 + 1) * 60, int(began) + 600, 60) if not no_quorum.covers(moment)
    )
    time.sleep(max(0.0, minute + 3 - time.time()))
    # The last jobs sleep while cron's daemon ends, as in an upgrade of cron: their runs are that minute's all the same.
    everywhere(cluster, f"rm /etc/cron.d/slept; systemctl stop cron {TIMERS}")
    ended = time.time()
    time.sleep(SLEEPS + WAIT + 3)
    return {"no quorum": [no_quorum], "all": [Span(began), Span(ended)]}


def test_no_run_is_started_twice(cluster: Cluster, excused: "dict[str, list[Span]]") -> None:
    found = marks(cluster)
    assert {run: count for run, count in found.items() if count > 1} == {}


def test_each_run_is_started_unless_nobody_can_claim_it(cluster: Cluster, excused: "dict[str, list[Span]]") -> None:
    found = marks(cluster)
    (no_quorum,) = excused["no quorum"]
    began, ended = (span.begin for span in excused["all"])
    ticks = sorted(moment for job, moment in found if job == TICK)
    wanted = range(ticks[0], ticks[-1] + 1, EVERY)
    missing = [tick for tick in wanted if (TICK, tick) not in found]
    assert [tick for tick in missing if not no_quorum.covers(tick)] == []
    assert missing, "without a quorum nothing runs"
    minutes = [
        minute
        for minute in range(int(began // 60) + 1, int((ended - 2) // 60) + 1)
        if not no_quorum.covers(60 * minute)
    ]
    assert minutes
    for job in ("plain root", "slept root", "unnamed root", "unnamed alice", *(f"{name} root" for name in SERVICES)):
        assert {minute: found[job, minute] for minute in minutes} == dict.fromkeys(minutes, 1), job
    report(
        f"{len(wanted)} ticks, {len(missing)} of them nowhere, and {len(minutes)} minutes of cron on three active nodes"
    )


def test_what_nobody_could_claim_is_reported(cluster: Cluster, excused: "dict[str, list[Span]]") -> None:
    refused = everywhere(cluster, "journalctl --no-pager --output=cat --identifier=rcron | grep -c claim=unknown || :")
    assert all(int(count) > 0 for count in refused)
    ignored = everywhere(cluster, "journalctl --no-pager --output=cat --identifier=rcron | grep -c 'status=ignore by='")
    assert sum(map(int, ignored)) > 0


def test_every_node_has_the_same_history(cluster: Cluster, excused: "dict[str, list[Span]]") -> None:
    pages = everywhere(cluster, "rcronctl history --since 1h --json")
    assert len(set(pages)) == 1
    runs = [json.loads(line) for line in pages[0].splitlines()]
    found = marks(cluster)
    shown = {int(run["fire"].lstrip("=")) for run in runs if run["job"] == "tick" and run["exit"] == 0}
    assert {moment for job, moment in found if job == TICK} <= shown | {
        int(run["fire"].lstrip("=")) for run in runs if run["exit"] is None
    }
    assert {run["user"] for run in runs} == {"root", "alice"}
    # An ordinary user sees his own only.
    own = cluster.nodes[0].run("su -s /bin/sh alice -c '/usr/bin/rcronctl history --since 1h --json'")
    assert {json.loads(line)["user"] for line in own.splitlines()} == {"alice"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_started_by_hand_is_the_run_of_its_minute(
    cluster: Cluster, excused: "dict[str, list[Span]]", name: str
) -> None:
    """docs/timers.md: it is skipped if that minute's run is claimed already, whatever has started that."""
    stay_clear_of_minute()
    now = int(time.time() // 60)
    for node in (*cluster.nodes, *cluster.nodes):
        node.run(f"systemctl start {name}.service")
    found = {minute: count for (job, minute), count in marks(cluster).items() if job == f"{name} root"}
    assert max(found) >= now
    assert set(found.values()) == {1}, found


#: A run that all nodes start, and that waits for a promotion.
HANDED = """\
systemd-run --quiet --collect --unit=handed \
    /usr/bin/rcron --takeover-wait 120 --job handed --fire {fire} /usr/local/bin/mark handed {fire}
"""


def hand_over(cluster: Cluster, fire: int, *states: "tuple[str, str, str]") -> int:
    """Start a run, and change the nodes' states meanwhile. Returns how often it ran."""
    for step, words in enumerate((*states, ("active",) * 3)):
        for node, state in zip(cluster.nodes, words):
            node.run(f"rcronctl set {state}")
        if not step:
            everywhere(cluster, HANDED.format(fire=fire))
            time.sleep(1)
        time.sleep(1)
    everywhere(cluster, "while systemctl is-active --quiet handed; do sleep 0.2; done")
    return marks(cluster)["handed root", fire]


def test_a_hand_over_costs_no_run_and_doubles_none(cluster: Cluster) -> None:
    """With takeover_wait. Without claims, the successor repeats what its predecessor has run."""
    now = int(time.time())
    seen_by_both = [("active", "passive", "passive"), ("passive", "active", "passive")]
    assert hand_over(cluster, now, *seen_by_both) == 1
    seen_by_none = [("passive", "passive", "passive"), ("passive", "passive", "active")]
    assert hand_over(cluster, now + 1, *seen_by_none) == 1


def test_a_run_that_dies_with_its_node_is_shown_as_such_and_not_run_again(cluster: Cluster) -> None:
    fire = int(time.time())
    rcron = f"/usr/bin/rcron --job dies --fire {fire} -c"
    first, second = cluster.nodes[:2]
    first.run(f"systemd-run --quiet --collect --unit=dies {rcron} '/usr/local/bin/mark dies {fire}; sleep 600'")
    wait_until(lambda: marks(cluster)["dies root", fire], "the job runs", 60)
    first.run("systemctl kill --signal=KILL dies")
    second.run(f"{rcron} '/usr/local/bin/mark dies {fire}'")
    assert marks(cluster)["dies root", fire] == 1
    for node in cluster.nodes:
        assert "no end known" in node.run("rcronctl history --job dies --unfinished")
