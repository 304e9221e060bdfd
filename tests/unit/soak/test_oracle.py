# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The soak's oracle finds each broken promise in a record that is otherwise whole."""

from __future__ import annotations

from pathlib import Path

import faults
import oracle
import pytest
from record import REFUSED, Claimed, Fault, Line, Record, Run, Seen, Settings, read

NODES = ["node1", "node2", "node3"]
END = 60.0
COMMAND = "cmd=/usr/bin/python3 -IS /usr/local/lib/soak/tick.py"


class Story:
    """A record of a cluster without a fault, to which one is added. Node1 is active but where `active` says otherwise:
    the times, from and to, in which a node is active."""

    def __init__(self, *active: tuple[str, float, float]) -> None:
        self.active = active or (("node1", 0.0, END),)
        self.record = Record(Settings(), NODES, 0.0, END, 1e9)
        for node in NODES:
            self.record.seen.append(Seen(node, 0.0, "pin", "none"))
            self.sees(node, 0.0, "active" if self.is_active(node, 0.0) else "passive")
        for node, begin, end in self.active:
            if begin:
                self.sees(node, begin, "active")
            if end < END:
                self.sees(node, end, "passive")
        for tick in range(2, int(2 * END) - 4):
            for node in NODES:
                for kind in ("plain", "wait", *(["long"] if tick % 4 == 1 else [])):
                    self.runs(node, kind, tick)
        self.record.seen.sort(key=lambda seen: seen.time)

    def is_active(self, node: str, when: float) -> bool:
        return any(name == node and begin <= when < end for name, begin, end in self.active)

    def sees(self, node: str, when: float, word: str) -> None:
        # An active file is refreshed; here once for ever, unless a test says otherwise.
        self.record.seen.append(Seen(node, when, "state", word, 1e6 if word == "active" else when))
        if when:
            self.says(node, when, f'state={word} status=changed event=keepalived:INSTANCE "VI_rcron" X')

    def says(self, node: str, when: float, text: str) -> None:
        self.record.lines.append(Line(node, when, f"cluster=soak {text}"))

    def fails(self, node: str, kind: str, begin: float, end: float) -> None:
        self.record.faults.append(Fault(node, kind, begin, begin, end, end))

    def runs(self, node: str, kind: str, tick: int) -> None:
        begun = tick / 2
        run = Run(node, kind, tick, begun, 1000 + tick)
        self.record.runs.append(run)
        start = begun if self.is_active(node, begun) else None
        if kind == "wait" and start is None:
            start = next((t for name, t, _end in self.active if name == node and begun < t <= begun + 3), None)
        job = f"{COMMAND} {kind} {tick}"
        if start is None:
            run.left, run.status = begun + (3.0 if kind == "wait" else 0.02), 0
            self.says(node, run.left, f"state=passive status=ignore {job}")
            return
        run.started = start + 0.02
        end = start + (6.0 if kind == "long" else 0.15)
        demoted = next((t for name, _begin, t in self.active if name == node and start < t < min(end, END)), None)
        run.left = end if demoted is None else demoted + 0.01
        run.ended = end if demoted is None else None
        run.status = (3 if tick % 5 == 0 else 0) if demoted is None else 143
        self.says(node, start, f"state=active status=start {job}")
        if demoted is not None:
            self.says(node, demoted, f"state=passive status=demoted dur={int(demoted - start)} {job}")
        word = "fail" if run.status else "ok"
        lasted = int(run.left - start)
        self.says(node, run.left, f"state=active status={word} dur={lasted} exit={run.status} {job}")

    def relogs(self, run: Run, text: str) -> None:
        """Have the log say something else of a run."""
        ending = f" {run.kind} {run.tick}"
        lines = self.record.lines
        lines[:] = [line for line in lines if line.node != run.node or not line.text.endswith(ending)]
        self.says(run.node, run.begun + 0.05, f"{text} job={run.kind} {COMMAND}{ending}")

    def run(self, node: str, kind: str, tick: int) -> Run:
        return next(run for run in self.record.runs if (run.node, run.kind, run.tick) == (node, kind, tick))

    def judge(self) -> oracle.Judgement:
        return oracle.judge(self.record)

    def broken(self) -> list[str]:
        return [text for _when, text in self.judge().violations]


def failover(gap: float = 1.2) -> Story:
    """keepalived is killed on node1 at 20 s, and node2 is active after so many seconds."""
    story = Story(("node1", 0.0, 20.03), ("node2", 20.03 + gap, END))
    story.fails("node1", "keepalived killed", 20.0, 22.0)
    return story


def test_a_cluster_at_peace_breaks_no_promise() -> None:
    judged = Story().judge()
    assert judged.violations == []
    assert judged.counts["failovers"] == 0
    assert (judged.lost, judged.doubled) == ({}, {})


def test_a_failover_loses_what_falls_into_the_gap_and_takeover_wait_loses_nothing() -> None:
    judged = failover().judge()
    assert judged.violations == []
    assert judged.counts["failovers"] == 1
    assert judged.lost == {("plain", "keepalived killed"): 2, ("long", "keepalived killed"): 1}
    # Those of the seconds before: the old node ran them, and the new one waited.
    assert judged.doubled == {("wait", "within takeover_wait before a promotion"): 4}


def test_a_gap_that_is_longer_than_keepalived_takes_is_told() -> None:
    assert "nobody was active for 5.00 s" in failover(5.0).broken()


@pytest.mark.parametrize(("kind", "found"), [("clock ahead", True), ("keepalived killed", False)])
def test_a_gap_is_lengthened_by_what_befalls_keepalived_and_by_nothing_else(kind: str, found: bool) -> None:
    story = failover(5.0)
    story.fails("node2", kind, 23.5, 23.6)
    assert ("nobody was active for 5.00 s" in story.broken()) is found


def test_a_tick_that_ran_twice_is_told_with_every_fault_that_met() -> None:
    story = Story(("node1", 0.0, END), ("node2", 20.0, 21.0))
    story.fails("node1", "packets lost", 19.0, 21.0)
    story.fails("node2", "network cut", 19.0, 21.0)
    judged = story.judge()
    assert judged.doubled["plain", "several faults"] == 2
    assert any(
        "tick 40 of plain" in line and line.endswith("network cut and packets lost") for line in judged.explained
    )


def test_two_active_nodes_without_a_cause_are_told() -> None:
    broken = Story(("node1", 0.0, END), ("node2", 20.0, 21.0)).broken()
    assert "node1 and node2 were both active for 1.00 s" in broken


@pytest.mark.parametrize(
    ("node", "kind", "excused"),
    [
        ("node2", "network cut", True),
        ("node1", "packets lost", True),
        ("node3", "network cut", False),  # the two others heard each other
        ("node2", "pinned active", True),
        ("node2", "keepalived reloaded", False),
    ],
)
def test_a_fault_excuses_the_node_that_it_hit_and_no_other(node: str, kind: str, excused: bool) -> None:
    story = Story(("node1", 0.0, END), ("node2", 20.0, 21.0))
    story.fails(node, kind, 19.0, 21.0)
    judged = story.judge()
    assert bool(judged.violations) is not excused
    assert judged.doubled["plain", kind if excused else "unexplained"] == 2


def test_a_partition_excuses_until_the_detection_time_after_it_and_no_longer() -> None:
    story = Story(("node1", 0.0, END), ("node2", 20.0, 30.0))
    story.fails("node2", "network cut", 18.0, 22.0)
    assert "node1 and node2 were both active for 10.00 s" in story.broken()


@pytest.mark.parametrize("kind", [*faults.HANG_KINDS, "folder read-only", "folder removed", "python3 away"])
def test_what_the_agent_finds_out_excuses_no_second_active_node(kind: str) -> None:
    story = Story(("node1", 0.0, 23.0), ("node2", 21.2, END))
    story.fails("node1", kind, 20.0, 20.1 if kind == "node paused" else 29.9)
    assert "node1 and node2 were both active for 1.80 s" in story.broken()


def test_a_paused_node_is_not_active() -> None:
    story = Story(("node1", 0.0, 29.9), ("node2", 21.2, END))
    story.fails("node1", "node paused", 20.0, 29.9)
    assert not [text for text in story.broken() if "both active" in text]


def test_a_node_whose_agent_forbids_an_active_that_it_cannot_overwrite_is_passive() -> None:
    story = Story()
    story.record.seen += [Seen("node1", 20.0, "forbidden", "there"), Seen("node1", 23.0, "forbidden", "none")]
    story.record.seen.sort(key=lambda seen: seen.time)
    spans = story.judge().lanes["node1"].spans
    assert [(span.begin, span.what) for span in spans] == [(0.0, "active"), (20.0, "passive"), (23.0, "active")]


@pytest.mark.parametrize(("kept", "found"), [("there", "passive"), ("none", "active")])
def test_without_a_state_file_a_node_is_passive_if_its_agent_keeps_one(kept: str, found: str) -> None:
    story = Story()
    story.record.seen += [Seen("node1", 0.0, "kept", kept), Seen("node1", 20.0, "state", "absent")]
    story.record.seen.sort(key=lambda seen: seen.time)
    assert story.judge().lanes["node1"].spans[-1].what == found


def test_a_node_that_hung_may_distrust_its_keepalived_for_a_while() -> None:
    def gap(kind: str, seconds: float, ended: float = 20.0) -> bool:
        story = Story(("node1", 0.0, 20.0), ("node1", 20.0 + seconds, END))
        story.fails("node1", kind, ended - 0.1, ended)
        return any("nobody was active" in text for text in story.broken())

    assert not gap("keepalived asleep", 4.0)
    assert gap("keepalived asleep", 6.0)
    assert gap("keepalived killed", 4.0)
    # Its adverts have made the other one passive a moment before.
    assert not gap("keepalived asleep", 4.0, ended=19.8)
    assert gap("keepalived asleep", 4.0, ended=19.0)


def test_a_node_that_has_booted_may_distrust_its_keepalived_for_a_while() -> None:
    def gap(seconds: float) -> bool:
        story = Story(("node2", 0.0, 20.0), ("node1", 20.0 + seconds, END))
        story.fails("node1", "machine killed", 18.0, 19.9)
        return any("nobody was active" in text for text in story.broken())

    assert not gap(4.0)
    assert gap(6.0)


def test_a_tick_is_lost_while_python_is_away() -> None:
    story = Story()
    story.fails("node1", "python3 away", 20.0, 24.0)
    story.record.runs = [run for run in story.record.runs if run.node != "node1" or not 20.0 <= run.begun < 24.0]
    names = tuple(f" {kind} {tick}" for kind in ("plain", "wait", "long") for tick in range(40, 48))
    story.record.lines = [line for line in story.record.lines if line.node != "node1" or not line.text.endswith(names)]
    judged = story.judge()
    assert judged.violations == []
    assert judged.lost["plain", "python3 away"] == 8


def test_what_is_logged_while_the_log_daemon_is_frozen_may_be_missing() -> None:
    def broken(kind: str) -> list[str]:
        story = Story()
        story.fails("node1", kind, 20.0, 24.0)
        story.record.lines = [line for line in story.record.lines if line.node != "node1" or not 20 <= line.time < 24]
        return story.broken()

    assert broken("log daemon frozen") == []
    assert broken("keepalived asleep")


def test_an_active_state_that_nobody_refreshes_is_stale() -> None:
    story = Story()
    node1 = next(seen for seen in story.record.seen if seen.node == "node1" and seen.what == "state")
    story.record.seen[story.record.seen.index(node1)] = Seen("node1", 0.0, "state", "active", 10.0)
    lane = story.judge().lanes["node1"]
    assert [(span.begin, span.what) for span in lane.spans] == [(0.0, "active"), (14.0, "passive")]


def test_what_could_not_be_done_is_told() -> None:
    story = Story()
    story.record.failed.append((30.0, "redeployed on all nodes could not be done: no"))
    assert story.broken() == ["redeployed on all nodes could not be done: no"]


def test_a_short_hand_over_is_no_broken_promise_and_is_counted() -> None:
    story = Story(("node1", 0.0, 20.02), ("node2", 20.0, END))
    judged = story.judge()
    assert judged.violations == []
    assert [round(length, 2) for length in judged.overlaps["hand-over"]] == [0.02]


def test_a_tick_that_an_active_node_ignored_is_told() -> None:
    story = Story()
    run = story.run("node1", "plain", 30)
    run.started, run.left, run.status = None, run.begun + 0.02, 0
    broken = story.broken()
    assert "node1: tick 30 of plain was ignored, and the node was active" in broken
    assert "tick 30 of plain was run by nobody, and node1 was active throughout" in broken


def test_a_tick_that_a_passive_node_ran_is_told() -> None:
    story = Story()
    story.run("node2", "plain", 30).started = 15.01
    broken = story.broken()
    assert "node2: tick 30 of plain was run, and the node was not active" in broken
    assert "tick 30 of plain ran on node1 and node2" in broken


@pytest.mark.parametrize(("tick", "status"), [(30, 0), (31, 1)])
def test_an_exit_status_that_is_not_the_job_s_is_told(tick: int, status: int) -> None:
    story = Story()
    run = story.run("node1", "plain", tick)
    own, run.status = run.status, status
    assert f"node1: tick {tick} of plain: exit status {status}, and not [{own}]" in story.broken()


def test_a_waiting_tick_that_the_successor_forgets_is_told() -> None:
    story = failover()
    tick = 41  # in the gap
    run = story.run("node2", "wait", tick)
    run.started, run.status, run.left = None, 0, run.begun + 3
    broken = story.broken()
    assert f"node2: tick {tick} of wait waited, and was not run when the node was active" in broken
    assert f"tick {tick} of wait was lost, though every node waited 3 s for its promotion" in broken


def test_a_waiting_tick_that_gives_up_early_is_told() -> None:
    story = Story()
    run = story.run("node2", "wait", 30)
    run.left = run.begun + 1
    assert "node2: tick 30 of wait waited for 1.00 s only" in story.broken()


def test_a_waiting_tick_that_is_run_again_for_no_reason_is_told() -> None:
    story = failover()
    run = story.run("node2", "wait", 20)  # ten seconds before node2's promotion
    run.started = 21.5
    assert "tick 20 of wait ran on node1 and node2, for no reason" in story.broken()


def test_a_job_that_runs_on_where_its_node_is_passive_is_told() -> None:
    story = failover()
    run = story.run("node1", "long", 37)
    run.left = run.ended = 24.0
    assert "node1: tick 37 of long ran on for 3.97 s as passive" in story.broken()


def test_a_job_that_ends_in_time_is_not() -> None:
    story = failover()
    assert story.run("node1", "long", 37).status == 143
    assert story.judge().counts["jobs that lost their node"] > 0


@pytest.mark.parametrize("word", ["torn:61637469", "unreadable:100600", "absent", "empty", "folder"])
def test_a_state_file_that_is_none_is_told(word: str) -> None:
    story = Story()
    story.record.seen.append(Seen("node2", 30.0, "state", word))
    assert f"node2: the state file was {word}" in story.broken()


def test_a_state_file_that_is_taken_away_by_a_fault_is_not() -> None:
    story = Story()
    story.record.seen += [Seen("node2", 30.0, "state", "absent"), Seen("node2", 31.0, "state", "passive", 31.0)]
    story.record.seen.sort(key=lambda seen: seen.time)
    story.fails("node2", "state deleted", 30.0, 30.0)
    assert story.broken() == []


def test_a_state_file_that_contradicts_keepalived_is_told() -> None:
    story = Story()
    story.record.checked = [(30.0, "node1", "MASTER", "active"), (30.0, "node2", "MASTER", "passive")]
    assert story.broken() == ["node2: keepalived is MASTER, and the state file says passive"]


@pytest.mark.parametrize(
    ("was", "lie"),
    [
        ("status=ok dur=0 exit=0", "status=fail dur=0 exit=1"),
        ("status=ok dur=0 exit=0", "status=ok dur=0 exit=7"),
        ("status=start", "status=ignore"),
    ],
)
def test_a_log_line_that_lies_is_found(was: str, lie: str) -> None:
    story = Story()
    lines = story.record.lines
    number = next(n for n, line in enumerate(lines) if line.text.endswith("plain 31") and was in line.text)
    lines[number] = Line("node1", lines[number].time, lines[number].text.replace(was, lie))
    assert any(text.startswith("node1: tick 31 of plain: exit status 0, and the log says") for text in story.broken())


@pytest.mark.parametrize(("dur", "found"), [(4, True), (5, False), (6, False), (7, True)])
def test_a_wrong_duration_is_found(dur: int, found: bool) -> None:
    story = Story()
    lines = story.record.lines
    number = next(n for n, line in enumerate(lines) if line.text.endswith("exit=0 " + COMMAND + " long 33"))
    lines[number] = Line("node1", lines[number].time, lines[number].text.replace("dur=6", f"dur={dur}"))
    assert any(f"tick 33 of long: dur={dur}" in text for text in story.broken()) is found


@pytest.mark.parametrize("seen", [True, False])
def test_a_pin_that_is_logged_has_to_be_seen(seen: bool) -> None:
    story = Story()
    story.says("node2", 30.0, "state=passive status=pinned until=rcronctl unpin")
    story.fails("node2", "pinned passive", 29.9, 30.5)
    if seen:
        story.record.seen += [Seen("node2", 30.01, "pin", "passive"), Seen("node2", 30.5, "pin", "none")]
        story.record.seen.sort(key=lambda event: event.time)
    assert any("no such pin was seen" in text for text in story.broken()) is not seen


def test_a_missing_and_a_surplus_log_line_are_told() -> None:
    story = Story()
    story.record.lines = [line for line in story.record.lines if not line.text.endswith("plain 31")]
    story.says("node1", 30.0, f"state=active status=start {COMMAND} plain 9999")
    story.says("node3", 30.0, 'state=active status=changed event=keepalived:INSTANCE "VI_rcron" MASTER')
    broken = story.broken()
    assert sum("tick 31 of plain: exit status 0, and the log says []" in text for text in broken) == 3
    assert any(text.startswith("node1: the log names tick 9999 of plain, which never was") for text in broken)
    assert any(text.startswith("node3: logged, and not seen in the state file") for text in broken)


def test_what_died_with_its_machine_is_excused() -> None:
    story = Story(("node1", 0.0, 20.0), ("node2", 21.2, END))
    story.fails("node1", "machine killed", 20.0, 25.0)
    story.record.seen += [Seen("node1", 25.1, "state", "passive", 25.0)]
    for run in story.record.runs:
        if run.node == "node1" and run.begun < 20.0 < (run.left or 0):
            run.left = run.ended = run.status = None
    down = {run.tick for run in story.record.runs if run.node == "node1" and 20.0 <= run.begun < 25.2}
    story.record.runs = [run for run in story.record.runs if run.node != "node1" or run.tick not in down]
    story.record.lines = [
        line
        for line in story.record.lines
        if line.node != "node1" or not (19.9 < line.time < 25.2 or line.text.rpartition(" ")[2] in map(str, down))
    ]
    assert story.broken() == []


def claimed(story: Story) -> Story:
    """The same with each run claimed by the node that ran it first; another active node found it claimed."""
    story.record.settings = Settings(claim_wait=10.0)
    for run in sorted(story.record.runs, key=lambda run: run.ran or END):
        if run.ran is None:
            continue
        holder = story.record.claims.setdefault((run.kind, run.tick), Claimed(run.node, run.status, False))
        if holder.node != run.node:
            story.relogs(run, f"state=active status=ignore by={holder.node}")
            run.started, run.ended, run.left, run.status = None, None, run.begun + 0.05, 0
    return story


def refuse(story: Story, node: str, tick: int) -> None:
    """Have a tick claimed by nobody, after 10 s."""
    run = story.run(node, "plain", tick)
    run.started, run.ended, run.left, run.status = None, None, run.begun + 10.0, REFUSED
    story.relogs(run, f"state=active claim=unknown status=fail dur=10 exit={REFUSED}")
    story.record.claims.pop(("plain", tick))


def test_with_claims_no_tick_runs_twice_and_what_another_node_has_is_ignored() -> None:
    story = claimed(Story(("node1", 0.0, END), ("node2", 20.0, 21.0)))
    story.fails("node2", "network cut", 19.0, 21.0)
    judged = story.judge()
    assert judged.violations == []
    assert judged.doubled == {}
    assert judged.counts["runs of an active node that another one had claimed"] > 4


def test_with_claims_a_tick_that_ran_twice_is_told_whatever_the_cause() -> None:
    story = claimed(Story(("node1", 0.0, END), ("node2", 20.0, 21.0)))
    story.fails("node2", "network cut", 19.0, 21.0)
    run = story.run("node2", "plain", 41)
    run.started = run.begun + 0.1
    assert "tick 41 of plain ran on node1 and node2, though claimed" in story.broken()


def test_with_claims_takeover_wait_costs_nothing() -> None:
    judged = claimed(failover()).judge()
    assert judged.violations == []
    assert judged.doubled == {}
    assert ("wait", "keepalived killed") not in judged.lost


@pytest.mark.parametrize(
    ("hit", "cause"),
    [
        ([("node2", "etcd killed"), ("node3", "machine killed")], "no quorum"),
        ([("node1", "network cut")], "cut off from etcd"),
        ([("node2", "etcd hung")], None),
        ([("node1", "etcd hung")], None),
        ([("node1", "keepalived hung"), ("node2", "keepalived hung")], None),
        ([], None),
    ],
)
def test_a_run_that_nobody_could_claim_needs_a_reason(hit: list[tuple[str, str]], cause: str | None) -> None:
    story = claimed(Story())
    refuse(story, "node1", 40)
    for node, kind in hit:
        story.fails(node, kind, 19.0, 19.9)
    judged = story.judge()
    told = "node1: tick 40 of plain could not be claimed, and etcd had no reason for that"
    assert (told in [text for _when, text in judged.violations]) is (cause is None)
    assert cause is None or judged.lost == {("plain", cause): 1}


def test_a_tick_that_was_claimed_and_run_by_nobody_is_told_unless_its_node_died() -> None:
    story = claimed(Story())
    run = story.run("node1", "plain", 40)
    run.started = run.ended = None
    run.left, run.status = run.begun + 0.05, 0
    assert any("tick 40 of plain was run by nobody, and claimed by" in text for text in story.broken())
    story.fails("node1", "machine killed", 20.0, 20.5)
    run.left = run.status = None
    assert story.judge().lost["plain", "its node died after the claim"] == 1


def test_a_claim_that_was_found_too_late_is_no_run() -> None:
    story = claimed(Story())
    refuse(story, "node1", 40)
    story.fails("node1", "network cut", 19.0, 25.0)
    story.record.claims["plain", 40] = Claimed("node1", None, True)
    assert story.judge().lost == {("plain", "claimed too late"): 1}


@pytest.mark.parametrize(
    ("hung", "promoted", "excused"), [(19.0, 25.2, True), (None, 25.2, False), (19.0, 21.2, False)]
)
def test_a_tick_whose_node_died_while_etcd_was_silent_is_lost_if_nobody_was_promoted_meanwhile(
    hung: float | None, promoted: float, excused: bool
) -> None:
    story = claimed(Story(("node1", 0.0, promoted - 1.2), ("node2", promoted, END)))
    for node in ("node1", "node2"):
        run = story.run(node, "wait", 40)
        run.started = run.ended = None
        if node == "node1":
            run.left = run.status = None
        else:
            story.relogs(run, "state=passive status=ignore")
            run.left, run.status = run.begun + 3.05, 0
    story.record.claims.pop(("wait", 40), None)
    story.fails("node1", "machine killed", promoted - 1.2, promoted + 2)
    if hung is not None:
        story.fails("node3", "etcd hung", hung, promoted)
    judged = story.judge()
    told = any(text.startswith("tick 40 of wait was lost, though") for _when, text in judged.violations)
    assert told is not excused
    assert judged.lost.get(("wait", "its node died while it waited for the claim"), 0) == excused


def test_a_run_that_the_ledger_does_not_have_is_told() -> None:
    story = claimed(Story())
    story.record.claims["plain", 40] = Claimed("node2", 0, False)
    assert any(text.startswith("node1: tick 40 of plain was run, and the ledger says") for text in story.broken())


def test_the_same_seed_gives_the_same_faults() -> None:
    assert faults.draw(7, 600) == faults.draw(7, 600)
    assert faults.draw(7, 600) != faults.draw(8, 600)
    assert {planned.kind for planned in faults.draw(7, 3600)} == {*faults.KINDS, *faults.DEPLOYMENTS}
    with_claims = {planned.kind for planned in faults.draw(7, 3600, claims=True)}
    assert with_claims == {*faults.KINDS, *faults.CLAIM_KINDS, *faults.DEPLOYMENTS}


def test_a_record_is_read_as_the_nodes_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(
        '{"settings": {}, "nodes": ["node1"], "begin": 1, "end": 9, "wall": 1000,'
        ' "checked": [[5, "node1", "MASTER", "active"]], "failed": [[6, "upgraded: no"]]}'
    )
    (tmp_path / "node1.jobs").write_text(
        "started plain 4 2.01\nbegun plain 4 2.0 77\nended plain 4 2.2\nleft plain 4 2.3 3\nbegun plain 5 2.5 78\n"
    )
    (tmp_path / "node1.states").write_text("state 1.5 1.2 active\npin 1.5 none\n")
    (tmp_path / "node1.syslog").write_text("1970-01-01T00:16:42.5+00:00 node1 rcron[77]: cluster=soak state=active\n")
    (tmp_path / "faults").write_text('{"node": "node1", "kind": "x", "begun": 1, "done": 2, "ended": 3, "over": 4}\n')
    found = read(tmp_path)
    assert found.runs == [Run("node1", "plain", 4, 2.0, 77, 2.01, 2.2, 2.3, 3), Run("node1", "plain", 5, 2.5, 78)]
    assert found.seen == [Seen("node1", 1.5, "state", "active", 1.2), Seen("node1", 1.5, "pin", "none")]
    assert found.lines == [Line("node1", 2.5, "cluster=soak state=active")]
    assert found.faults == [Fault("node1", "x", 1, 2, 3, 4)]
    assert found.failed == [(6, "upgraded: no")]


def test_a_job_that_runs_twice_for_one_tick_is_no_record(tmp_path: Path) -> None:
    test_a_record_is_read_as_the_nodes_wrote_it(tmp_path)
    with (tmp_path / "node1.jobs").open("a") as stream:
        stream.write("started plain 4 2.4\n")
    with pytest.raises(ValueError, match="the job of tick 4 of plain started twice"):
        read(tmp_path)


def test_a_tick_at_the_moment_of_a_hand_over_may_run_on_both(tmp_path: Path) -> None:
    story = Story(("node1", 0.0, 20.03), ("node2", 20.03, END))
    run = story.run("node2", "plain", 40)  # begun at 20.00, and looks at its state after 20.03
    run.started, run.left = 20.05, 20.2
    judged = story.judge()
    assert judged.doubled["plain", "hand-over"] == 1
    assert [text for _when, text in judged.violations if "ran on" in text] == []


@pytest.mark.parametrize(("kind", "found"), [("clock ahead", False), ("keepalived reloaded", True)])
def test_a_clock_that_is_ahead_makes_a_state_stale_sooner(kind: str, found: bool) -> None:
    story = Story()
    story.record.seen = [seen for seen in story.record.seen if (seen.node, seen.what) != ("node1", "state")]
    refreshes = [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 17.5, *range(19, 60)]
    story.record.seen += [Seen("node1", float(when), "state", "active", float(when)) for when in refreshes]
    story.record.seen.sort(key=lambda seen: seen.time)
    story.fails("node1", kind, 16.0, 18.0)
    tick = 34  # at 17.00: 2 s after the refresh, 4 s by that clock
    run = story.run("node1", "plain", tick)
    run.started, run.ended, run.left, run.status = None, None, 17.2, 0
    story.record.lines = [line for line in story.record.lines if not line.text.endswith(f"plain {tick}")]
    for node in NODES:
        story.says(node, 17.0, f"state=passive status=stale {COMMAND} plain {tick}")
    assert (f"node1: tick {tick} of plain was ignored, and the node was active" in story.broken()) is found


@pytest.mark.parametrize("pinned", [True, False])
def test_one_excuse_may_begin_where_another_ends(pinned: bool) -> None:
    story = Story(("node1", 0.0, END), ("node3", 20.0, 25.0))
    story.fails("node3", "network cut", 19.0, 22.0)  # until 23.6
    if pinned:
        story.fails("node1", "pinned active", 22.5, 30.0)
    assert ("node1 and node3 were both active for 5.00 s" in story.broken()) is not pinned


def test_what_a_machine_did_while_it_was_being_killed_is_known() -> None:
    story = Story(("node1", 0.0, 20.0), ("node2", 20.0, END))
    story.record.faults.append(Fault("node2", "machine killed", 30.0, 30.5, 32.0, 33.0))
    spans = story.judge().lanes["node2"].spans
    assert [(span.begin, span.what) for span in spans[:3]] == [(0.0, "passive"), (20.0, "active"), (30.5, "down")]


def test_a_tick_whose_machine_died_before_the_job_could_speak_is_no_broken_promise() -> None:
    story = Story()
    story.record.faults.append(Fault("node1", "machine killed", 15.1, 15.2, 40.0, 41.0))
    run = story.run("node1", "plain", 30)
    run.started = run.ended = run.left = run.status = None
    judged = story.judge()
    assert judged.lost["plain", "died with its machine, before the job could speak"] == 1
    assert not any("tick 30 of plain was run by nobody" in text for _when, text in judged.violations)
