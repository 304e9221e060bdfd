# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A cluster's log lines become its timeline."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_timeline import FilterModule
from ansible_collections.rcron.cluster.plugins.module_utils import job_log
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.cluster import TimelineError, timeline_of
from ansible_collections.rcron.cluster.plugins.plugin_utils.timeline.records import Band, Fault, Run, Timeline
from hypothesis import given, settings
from hypothesis import strategies as st

#: When the hosts are asked: 10:00:00 UTC. Times in these tests are seconds after that, so most are negative.
NOW = 1_795_514_400.0
HOUR = 3600
JOB = "/bin/billing"


def line(when: float, pid: int, text: str) -> dict[str, Any]:
    """What rcron_info makes of a line of the log."""
    event = job_log.event(job_log.Line(NOW + when, pid, f"cluster=billing {text}"))
    assert event is not None, text
    return event._asdict()


def start(when: float, pid: int, job: str = JOB) -> dict[str, Any]:
    return line(when, pid, f"state=active status=start cmd={job}")


def end(when: float, pid: int, status: int = 0, job: str = JOB, duration: int = 1) -> dict[str, Any]:
    return line(when, pid, f"state=active status={'fail' if status else 'ok'} dur={duration} exit={status} cmd={job}")


def ignored(when: float, job: str = JOB) -> dict[str, Any]:
    return line(when, 9, f"state=passive status=ignore cmd={job}")


def changed(when: float, state: str, event: str = "keepalived:INSTANCE") -> dict[str, Any]:
    return line(when, 8, f"state={state} status=changed event={event}")


def host(*events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What rcron_info says of a host that has been up for long, with a log that goes back far enough."""
    return {
        "clusters": [],
        "events": list(events),
        "events_since": NOW - 4 * HOUR,
        "running": [],
        "boots": [{"begin": NOW - 99 * HOUR, "end": NOW}],
        "time": NOW,
        "clock_offset": 0.0,
        "clock_uncertainty": 0.1,
        **changes,
    }


def rebooted(at: float, until: float, *events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    boots = [{"begin": NOW - 99 * HOUR, "end": NOW + at}, {"begin": NOW + until, "end": NOW}]
    return host(*events, boots=boots, **changes)


def cluster(state: str, **changes: Any) -> dict[str, Any]:
    return {
        "error": "",
        "cluster_name": "billing",
        "state": state,
        "source": "file",
        "since": NOW - 1000,
        "feeder": {"name": "keepalived", "event": "INSTANCE", "alive": True, "spoke": NOW - 2},
        "pin": None,
        "settings": {"state_max_age": 10},
        **changes,
    }


def drawn(**hosts: dict[str, Any]) -> Timeline:
    return timeline_of(hosts, hours=1, cluster="billing")


def runs(**hosts: dict[str, Any]) -> list[tuple[str, float, float | None, str]]:
    return [
        (run.node, run.begin - NOW, None if run.end is None else run.end - NOW, run.outcome)
        for run in drawn(**hosts).runs
    ]


def bands(**hosts: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    return [(band.node, band.begin - NOW, band.end - NOW, band.state) for band in drawn(**hosts).bands]


def labels(**hosts: dict[str, Any]) -> list[tuple[str, float, float | None, str]]:
    """The faults, the boot 99 hours ago left out."""
    return [
        (fault.node, fault.begin - NOW, None if fault.end is None else fault.end - NOW, fault.text)
        for fault in drawn(**hosts).faults
        if fault.begin > NOW - 2 * HOUR
    ]


# --- runs ---


def test_a_run_is_a_start_and_an_end_of_the_same_process():
    assert runs(
        a=host(
            start(-600, 1),
            start(-599, 2, "/bin/b"),
            end(-590, 2, 3, "/bin/b"),
            end(-580, 1),
            start(-300, 1),
            end(-299, 1),
        )
    ) == [("a", -599, -590, "failed"), ("a", -600, -580, "ok"), ("a", -300, -299, "ok")]


def test_an_ignored_run_has_no_length_and_a_stale_state_ignores_too():
    stale = line(-60, 9, f"state=passive status=stale cmd={JOB}")
    assert runs(a=host(ignored(-120), stale), b=host()) == [("a", -120, None, "ignored"), ("a", -60, None, "ignored")]


def test_a_demoted_run_stays_demoted_whatever_its_exit_status():
    demoted = line(-590, 1, f"state=passive status=demoted dur=10 cmd={JOB}")
    assert runs(a=host(start(-600, 1), demoted, end(-589, 1, 143))) == [("a", -600, -589, "demoted")]
    # Another run of the same process number is not.
    assert runs(a=host(start(-600, 1), demoted, end(-589, 1), start(-60, 1), end(-59, 1)))[1][3] == "ok"


def test_a_run_without_an_end_is_running_or_failed():
    assert runs(a=host(start(-600, 1), start(-540, 2), running=[2])) == [
        ("a", -600, None, "failed"),
        ("a", -540, None, "running"),
    ]


def test_a_run_ends_with_its_host():
    assert runs(a=rebooted(-500, -400, start(-600, 1), running=[1])) == [("a", -600, -500, "failed")]
    # Its process number is another run's after the boot.
    assert runs(a=rebooted(-500, -400, start(-600, 1), start(-60, 1), end(-59, 1))) == [
        ("a", -600, -500, "failed"),
        ("a", -60, -59, "ok"),
    ]


def test_a_run_that_began_before_the_log_has_its_length_from_the_end():
    assert runs(a=host(end(-60, 1, duration=900))) == [("a", -960, -60, "ok")]


def test_lines_of_other_clusters_do_not_count():
    other = {**start(-600, 1), "cluster": "mail"}
    assert runs(a=host(other, start(-500, 2), end(-499, 2))) == [("a", -500, -499, "ok")]


def test_a_job_that_two_hosts_began_in_a_minute_is_doubled():
    assert [run[3] for run in runs(a=host(start(-600, 1), end(-599, 1)), b=host(start(-570, 1), end(-569, 1, 1)))] == [
        "doubled",
        "doubled",
    ]
    # Clocks differ: -600.4 is the minute that begins at -600.
    assert [run[3] for run in runs(a=host(start(-600.4, 1), end(-599, 1)), b=host(start(-599.9, 1), end(-569, 1)))] == [
        "doubled",
        "doubled",
    ]
    # The next minute's run on another host is no double, nor is another job's, nor a second one of the same host.
    assert {run[3] for run in runs(a=host(start(-600, 1), end(-599, 1)), b=host(start(-540, 1), end(-539, 1)))} == {
        "ok"
    }
    other = host(start(-600, 1, "/bin/b"), end(-599, 1, job="/bin/b"))
    assert {run[3] for run in runs(a=host(start(-600, 1), end(-599, 1)), b=other)} == {"ok"}
    assert {run[3] for run in runs(a=host(start(-600, 1), end(-599, 1), start(-590, 2), end(-589, 2)))} == {"ok"}
    assert {run[3] for run in runs(a=host(start(-600, 1), end(-599, 1)), b=host(ignored(-600)))} == {"ok", "ignored"}


def lost(**hosts: dict[str, Any]) -> list[tuple[str, float]]:
    return [(run.job, run.begin - NOW) for run in drawn(**hosts).runs if run.outcome == "lost" and run.node == ""]


def test_a_job_that_every_host_ignored_in_a_minute_is_lost():
    assert lost(a=host(ignored(-600)), b=host(ignored(-599.5))) == [(JOB, -600)]
    assert lost(a=host(ignored(-600)), b=host(ignored(-540))) == []
    assert lost(a=host(ignored(-600)), b=host(ignored(-600)), c=host(start(-599, 1), end(-598, 1))) == []
    # A host may have turned active between two entries of the same job.
    assert lost(a=host(ignored(-600), start(-590, 1), end(-589, 1)), b=host(ignored(-600))) == []


def test_a_job_that_the_others_ignored_while_one_was_down_is_lost():
    assert lost(a=host(ignored(-600)), b=rebooted(-620, -500)) == [(JOB, -600)]
    assert lost(a=host(ignored(-600)), b=rebooted(-590, -500)) == []  # which was up, and did not ignore it


def test_nothing_is_reported_lost_if_a_host_has_not_answered():
    assert lost(a=host(ignored(-600)), b=host(ignored(-600)), c={"unreachable": True}) == []
    assert lost(a=host(ignored(-600)), b=host(ignored(-600), events_since=NOW - 500)) == []
    assert lost(a=host(ignored(-600)), b=host(ignored(-600), events_since=None)) == []


# --- states ---


def test_a_change_of_state_begins_a_band_and_the_state_before_is_unknown():
    assert bands(a=host(changed(-600, "active"), changed(-300, "passive"))) == [
        ("a", -3600, -600, "unknown"),
        ("a", -600, -300, "active"),
        ("a", -300, 0, "passive"),
    ]
    # The lines from before the history tell it.
    assert bands(a=host(changed(-90000, "passive"), changed(-600, "active"))) == [
        ("a", -3600, -600, "passive"),
        ("a", -600, 0, "active"),
    ]


def test_confirmations_and_runs_show_a_state_that_was_there_before():
    confirmed = line(-600, 8, "state=active status=confirmed event=keepalived:INSTANCE")
    assert bands(a=host(confirmed)) == [("a", -3600, 0, "active")]
    assert bands(a=host(start(-600, 1), end(-599, 1), ignored(-300))) == [
        ("a", -3600, -300, "active"),
        ("a", -300, 0, "passive"),
    ]
    # The line of a job's end says nothing: the node may have turned passive meanwhile.
    assert bands(a=host(changed(-600, "passive"), end(-300, 1)))[-1] == ("a", -600, 0, "passive")
    demoted = line(-300, 1, f"state=passive status=demoted dur=10 cmd={JOB}")
    assert bands(a=host(start(-600, 1), demoted))[-1] == ("a", -300, 0, "passive")


def test_a_pin_holds_through_the_feeders_events_until_it_is_taken_back():
    pinned = line(-900, 8, "state=passive status=pinned until=rcronctl unpin")
    unpinned = line(-300, 8, "state=active status=unpinned")
    assert bands(a=host(changed(-1200, "active"), pinned, changed(-600, "passive"), changed(-500, "active"), unpinned))[
        1:
    ] == [("a", -1200, -900, "active"), ("a", -900, -300, "passive"), ("a", -300, 0, "active")]


def test_a_pin_ends_by_itself():
    pinned = line(-900, 8, "state=passive status=pinned until=2026-11-24 10:50:00 +0100")  # at -600
    assert bands(a=host(changed(-1200, "active"), pinned, start(-300, 1)))[1:] == [
        ("a", -1200, -900, "active"),
        ("a", -900, -600, "passive"),
        ("a", -600, 0, "active"),
    ]
    # Also where nothing is logged after it.
    now = cluster("active", since=NOW - 1200)
    assert bands(a=host(changed(-1200, "active"), pinned, ignored(-700), clusters=[now]))[2:] == [
        ("a", -900, -600, "passive"),
        ("a", -600, 0, "active"),
    ]


def test_a_pin_that_is_older_than_the_log_holds_too():
    pinned = cluster("passive", source="pin", pin={"state": "passive", "until": None})
    assert bands(a=host(changed(-600, "active"), clusters=[pinned])) == [("a", -3600, 0, "passive")]


def test_rcronctl_has_the_last_word():
    assert bands(a=host(clusters=[cluster("active")])) == [("a", -3600, 0, "active")]
    assert bands(a=host(changed(-600, "active"), clusters=[cluster("passive", since=NOW - 100)]))[1:] == [
        ("a", -600, -100, "active"),
        ("a", -100, 0, "passive"),
    ]
    stale = cluster("passive", source="stale", since=NOW - 600)
    stale["feeder"]["spoke"] = NOW - 210
    assert bands(a=host(changed(-600, "active"), clusters=[stale]))[1:] == [
        ("a", -600, -200, "active"),
        ("a", -200, 0, "passive"),
    ]


def test_a_host_without_a_log_has_the_state_of_rcronctl_and_its_time():
    assert bands(a=host(events_since=None, clusters=[cluster("active")])) == [
        ("a", -3600, -1000, "unknown"),
        ("a", -1000, 0, "active"),
    ]
    assert bands(a=host(events_since=None)) == [("a", -3600, 0, "unknown")]


def test_a_host_is_down_between_two_boots_and_passive_after_the_second():
    assert bands(a=rebooted(-900, -600, ignored(-9000), changed(-1200, "active"), changed(-300, "active"))) == [
        ("a", -3600, -1200, "passive"),
        ("a", -1200, -900, "active"),
        ("a", -900, -600, "down"),
        ("a", -600, -300, "passive"),
        ("a", -300, 0, "active"),
    ]


def test_a_time_that_the_log_does_not_cover_is_unknown():
    assert bands(a=host(ignored(-700), changed(-600, "active"), events_since=NOW - 900)) == [
        ("a", -3600, -900, "unknown"),
        ("a", -900, -600, "passive"),
        ("a", -600, 0, "active"),
    ]
    # A journal that is not persistent begins with its boot, after which the host was passive.
    young = host(changed(-600, "active"), events_since=NOW - 890, boots=[{"begin": NOW - 900, "end": NOW}])
    assert bands(a=young)[:2] == [("a", -3600, -900, "unknown"), ("a", -900, -600, "passive")]


def test_a_host_that_does_not_answer_is_unknown_and_named():
    gone = {"unreachable": True, "msg": "Failed to connect:\n" + "x" * 500}
    assert bands(a=host(changed(-600, "active")), b=gone)[-1] == ("b", -3600, 0, "unknown")
    assert labels(a=host(), b=gone, c={}) == [
        ("b", 0, None, f"unreachable: Failed to connect: {'x' * 61}..."),
        ("c", 0, None, "not asked"),
    ]


# --- events ---


def test_changes_pins_and_boots_are_labelled():
    pinned = line(-500, 8, "state=passive status=pinned until=rcronctl unpin")
    unpinned = line(-400, 8, "state=active status=unpinned")
    event = 'keepalived:INSTANCE "VI_rcron" MASTER'
    assert labels(a=rebooted(-900, -800, changed(-600, "active", event), pinned, unpinned)) == [
        ("a", -800, None, "booted"),
        ("a", -600, None, f"active, {event}"),
        ("a", -500, None, "pinned passive until rcronctl unpin"),
        ("a", -400, None, "unpinned, active"),
    ]


def test_a_warning_is_labelled_once_however_often_it_is_logged():
    warnings = [line(when, 9, "warning: /run/rcron/state: not a regular file") for when in (-600, -540, -480)]
    stale = line(-60, 9, f"state=passive status=stale cmd={JOB}")
    assert labels(a=host(*warnings, stale)) == [
        ("a", -600, -480, "/run/rcron/state: not a regular file (logged 3 times)"),
        ("a", -60, None, "the state was stale"),
    ]


def test_a_log_that_does_not_go_back_far_enough_is_labelled():
    what = "no log of this time, or more lines than are read"
    assert labels(a=host(events_since=NOW - 900)) == [("a", -3600, -900, what)]
    young = host(events_since=NOW - 890, boots=[{"begin": NOW - 900, "end": NOW}])
    assert labels(a=young) == [("a", -900, None, "booted")]


def test_a_clock_that_is_certainly_off_is_corrected_and_labelled():
    def off(seconds: float, uncertainty: float = 0.1) -> dict[str, Any]:
        return host(
            start(-600 + seconds, 1),
            end(-599 + seconds, 1),
            time=NOW + seconds,
            clock_offset=100 + seconds,  # the controller's own is off too
            clock_uncertainty=uncertainty,
        )

    hosts = {"a": off(0), "b": off(0.3), "c": off(-0.2), "d": off(-90), "e": off(7, uncertainty=6.9)}
    assert {run[0]: round(run[1], 1) for run in runs(**hosts)} == {
        "a": -600,
        "b": -599.7,
        "c": -600.2,
        "d": -600,
        "e": -593,
    }
    assert labels(**hosts) == [("d", 0, None, "its clock is 90.0 s behind the others: corrected")]


# --- which cluster, and how long ---


def test_the_picture_begins_at_a_full_minute():
    picture = timeline_of({"a": host(time=NOW + 25)}, hours=0.5, cluster="billing")
    assert (picture.begin - NOW, picture.end - NOW) == (-1800, 25)
    assert picture.nodes == ["a"]
    assert picture.title == "billing: who was active, and what ran where"


def test_a_single_cluster_needs_no_name():
    assert timeline_of({"a": host(clusters=[cluster("active")])}).title.startswith("billing: ")
    assert timeline_of({"a": host(start(-60, 1))}).title.startswith("billing: ")


def test_of_several_clusters_one_must_be_named():
    both = host(clusters=[cluster("active"), cluster("active", cluster_name="mail")])
    with pytest.raises(
        TimelineError, match=r"the hosts have the clusters billing \(on a\), mail \(on a\): name the one"
    ):
        timeline_of({"a": both})
    assert timeline_of({"a": both}, cluster="mail").title.startswith("mail: ")


def test_hosts_without_rcron_say_so():
    with pytest.raises(TimelineError, match=r"deploy it first, with rcron\.cluster\.site"):
        timeline_of({"a": host()})


def test_without_any_answer_there_is_no_picture():
    with pytest.raises(TimelineError, match="no host has answered \\(a: unreachable: No route to host\\)"):
        timeline_of({"a": {"unreachable": True, "msg": "No route to host"}})


@pytest.mark.parametrize("hours", [0, -1, 745, "soon", None, float("nan")])
def test_invalid_hours_are_refused(hours):
    with pytest.raises(AnsibleFilterError, match="give a number above 0, up to 744"):
        FilterModule().filters()["rcron_timeline"]({"a": host()}, hours)


def test_a_value_that_is_not_a_dict_is_refused():
    with pytest.raises(AnsibleFilterError, match="pass a dict of hosts"):
        FilterModule().filters()["rcron_timeline"]([])


# --- hosts that nobody should trust ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": "now"},
        {"time": float("nan")},
        {"time": 1e300},
        {"clock_offset": float("inf")},
        {"boots": []},
        {"boots": [{"begin": None, "end": 1}]},
        {"events": [{"time": 1}]},
        {"events": [{**start(-1, 1), "state": "both"}]},
        {"events": None},
        {"running": ["a"]},
        {"clusters": [cluster("both")]},
        {"clusters": [cluster("active", since="x" * 99)]},
        {"clusters": "x"},
    ],
)
def test_a_host_that_answers_nonsense_is_unknown_and_the_others_are_drawn(wrong):
    answers = {"a": host(start(-600, 1), end(-599, 1)), "b": host(**wrong)}
    picture = timeline_of(answers, hours=1, cluster="billing")
    assert [run.node for run in picture.runs] == ["a"]
    assert Band("b", picture.begin, picture.end, "unknown") in picture.bands
    assert Fault("b", picture.end, None, "its answer is not one of rcron_info") in picture.faults


lines = st.builds(
    lambda when, pid, status, state, message: {
        "time": NOW + when,
        "pid": pid,
        "cluster": None if status == "warning" else "billing",
        "status": status,
        "state": None if status == "warning" else state,
        "message": message,
        "duration": None,
        "exit": None,
    },
    st.floats(-5000, 100),
    st.integers(1, 3),
    st.sampled_from([*job_log.JOB_STATUSES, "changed", "confirmed", "pinned", "unpinned", "warning"]),
    st.sampled_from(["active", "passive"]),
    st.sampled_from([JOB, "2026-11-24 10:50:00 +0100", "<&\0\ud800"]) | st.text(max_size=9),
)
boots = st.lists(st.floats(-5000, -1), max_size=5, unique=True).map(
    lambda times: [
        {"begin": NOW + begin, "end": NOW + until}
        for begin, until in zip([-9999, *sorted(times)[1::2]], [*sorted(times)[:-1:2], 0])
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(lines, max_size=12), st.lists(lines, max_size=12), boots, st.floats(-5000, 0) | st.none())
def test_bands_follow_each_other_and_the_picture_is_drawn_whatever_the_logs_hold(some, more, ups, since):
    answers = {
        "a": host(*some, boots=ups, clusters=[cluster("active")]),
        "b": host(*more, events_since=None if since is None else NOW + since),
    }
    picture = timeline_of(answers, hours=1, cluster="billing")
    for name in answers:
        own = [band for band in picture.bands if band.node == name]
        assert own[0].begin == picture.begin
        assert own[-1].end == picture.end
        assert all(one.end == after.begin and one.state != after.state for one, after in zip(own, own[1:]))
    begun = [event for event in [*some, *more] if event["status"] == "start"]
    assert sum(run.outcome != "ignored" and run.node != "" for run in picture.runs) >= len(begun)
    svg = FilterModule().filters()["rcron_timeline"](answers, 1, "billing")
    assert ET.fromstring(svg.encode("utf-8")).tag.endswith("svg")  # noqa: S314 - our own document
    assert isinstance(picture.runs, list)
    assert all(isinstance(run, Run) for run in picture.runs)
