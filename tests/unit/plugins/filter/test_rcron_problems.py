# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found wrong with a cluster, and what is not."""

from __future__ import annotations

import copy
import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.filter.rcron_notes import rcron_notes
from ansible_collections.rcron.cluster.plugins.filter.rcron_problems import FilterModule, problems, rcron_problems

CLUSTER = {
    "conf": "/etc/rcron/rcron.conf",
    "error": "",
    "cluster_name": "billing",
    "state": "passive",
    "source": "file",
    "reason": "/var/run/rcron/state says so",
    "since": 1,
    "feeder": {"name": "keepalived", "event": 'INSTANCE "V" BACKUP', "alive": True, "spoke": 5},
    "pin": None,
    "default_state": "passive",
    "settings": {"cluster_name": "billing", "takeover_wait": 0, "default_state": "passive"},
    "version": "0.1.0",
}
ENTRY = {
    "crontab": "root",
    "line": 3,
    "name": None,
    "user": "root",
    "command": "/bin/report",
    "guarded": True,
    "conf": "/etc/rcron/rcron.conf",
    "takeover_wait": None,
    "ends_itself": False,
    "timers": [],
    "job": None,
    "claim": None,
}


def host(**changes: object) -> dict:
    cluster = {**copy.deepcopy(CLUSTER), **changes}
    cluster["settings"] = {**cluster["settings"], "default_state": cluster["default_state"]}
    return {
        "clusters": [cluster],
        "entries": [dict(ENTRY)],
        "unreadable": [],
        "clock_offset": 0.1,
        "clock_uncertainty": 0.2,
    }


@pytest.fixture
def hosts() -> dict[str, dict]:
    """A cluster of three hosts that is well."""
    return {"n1": host(state="active", default_state="active"), "n2": host(), "n3": host()}


def of(hosts: dict[str, dict], name: str) -> dict:
    return hosts[name]["clusters"][0]


def test_a_healthy_cluster_has_no_problem(hosts):
    assert problems(hosts) == []
    assert FilterModule().filters()["rcron_problems"](hosts) == []


def test_a_cluster_without_an_active_host_is_reported_for_every_host(hosts):
    of(hosts, "n1")["state"] = "passive"
    assert [(problem[0], problem[2][:25]) for problem in problems(hosts)] == [
        (name, "all hosts are passive, so") for name in hosts
    ]


def test_a_master_that_left_the_inventory_keeps_all_others_passive(hosts):
    for name in hosts:
        of(hosts, name)["state"] = "passive"
        of(hosts, name)["feeder"]["answer"] = {"state": "passive", "words": "VI_rcron is BACKUP", "at": 1}
    told = problems(hosts)
    assert [problem[0] for problem in told] == list(hosts)
    assert all("keepalived hears a master that is none of them: one that has left" in problem[2] for problem in told)
    # That one has no master to hear of: perhaps nobody is.
    of(hosts, "n2")["feeder"]["answer"]["words"] = "VI_rcron is FAULT"
    assert {problem[2][:36] for problem in problems(hosts)} == {"all hosts are passive, so no job run"}


def test_two_active_hosts_name_each_other(hosts):
    of(hosts, "n3").update(state="active", source="pin", reason="pinned active until unpin")
    assert problems(hosts) == [
        ("n1", "billing", "active, and so is n3: jobs run more than once (/var/run/rcron/state says so)"),
        ("n3", "billing", "active, and so is n1: jobs run more than once (pinned active until unpin)"),
    ]


def test_without_a_feeder_every_host_is_active_if_runs_are_claimed(hosts):
    for name in hosts:
        cluster = of(hosts, name)
        cluster.update(state="active", feeder={**CLUSTER["feeder"], "name": "claim"})
        cluster["settings"]["claim"] = "required"
    assert problems(hosts) == []
    of(hosts, "n3")["settings"]["claim"] = "off"
    assert any("jobs run more than once" in problem[2] for problem in problems(hosts))


def test_a_pin_alone_is_not_a_problem(hosts):
    of(hosts, "n3").update(source="pin", pin={"state": "passive", "until": None})
    assert problems(hosts) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"feeder": {**CLUSTER["feeder"], "alive": False}},
            "its feeder keepalived is gone; its last event was INSTANCE",
        ),
        (
            {"agent": True, "feeder": {**CLUSTER["feeder"], "alive": False}},
            "its rcron-agent is gone; its last word was INSTANCE",
        ),
        ({"feeder": None}, "its feeder has not set a state yet"),
        ({"source": "stale", "reason": "too old"}, "its state is stale: too old"),
        ({"version": "0.0.9"}, "version 0.0.9, but version 0.1.0 elsewhere"),
        (
            {"settings": {**CLUSTER["settings"], "takeover_wait": 9}},
            "takeover_wait = 9, but takeover_wait = 0 elsewhere",
        ),
        ({"default_state": "active"}, "default_state is active on n1 and n2; only one host may have that"),
    ],
)
def test_a_problem_is_reported_for_its_host(hosts, changes, what):
    hosts["n2"] = host(**changes)
    found = [problem for problem in problems(hosts) if problem[0] == "n2"]
    assert [problem[1] for problem in found] == ["billing"]
    assert what in found[0][2]


def test_a_host_without_the_agent_that_others_have_is_reported(hosts):
    for name in ("n1", "n3"):
        of(hosts, name)["agent"] = True
    what = "no rcron-agent asks its feeder, unlike on other hosts: systemctl status rcron-agent"
    assert problems(hosts) == [("n2", "billing", what)]


def test_a_second_feeder_is_named(hosts):
    assert problems(hosts, None, "keepalived") == []
    of(hosts, "n2")["feeder"]["name"] = "heartbeat"
    what = (
        'its state was last set by heartbeat (INSTANCE "V" BACKUP), and rcron_feeder is keepalived: a second feeder; '
        "run the playbook site, which disconnects it"
    )
    assert problems(hosts, None, "keepalived") == [("n2", "billing", what)]
    assert len(problems(hosts, None, "none")) == 3
    assert problems(hosts, None, "keepalived", "/etc/rcron/other.conf") == []
    assert problems(hosts) == []
    # An operator, or somebody's own script, may set a state by hand.
    of(hosts, "n2")["feeder"]["name"] = "operator"
    assert problems(hosts, None, "keepalived") == []


def test_a_feeder_that_was_refused_is_named(hosts):
    of(hosts, "n2")["second_feeder"] = {"name": "ucarp", "event": "up eth0", "spoke": 1767323985}
    what = "ucarp is a second feeder there, which was refused (up eth0): run the playbook site, which disconnects it"
    assert problems(hosts) == [("n2", "billing", what)]
    for other in (None, "ucarp", {"name": "ucarp"}):
        of(hosts, "n2")["second_feeder"] = other
        assert problems(hosts) == []


def test_a_cluster_of_an_operator_needs_no_feeder(hosts):
    for name in hosts:
        of(hosts, name)["feeder"] = None
    assert problems(hosts) == []


def test_of_two_hosts_the_first_one_has_the_usual_setting(hosts):
    del hosts["n3"]
    of(hosts, "n2")["settings"]["takeover_wait"] = 9
    assert problems(hosts) == [("n2", "billing", "takeover_wait = 9, but takeover_wait = 0 elsewhere")]


def test_an_entry_that_is_not_prefixed_everywhere(hosts):
    hosts["n2"]["entries"][0]["guarded"] = False
    hosts["n3"]["entries"].append({**ENTRY, "command": "/bin/more", "takeover_wait": 5})
    assert [problem[::2] for problem in problems(hosts)] == [
        ("n2", "root: the prefixed entry '/bin/report' is missing here, but not on n1, n3"),
        ("n2", "root: the prefixed entry '/bin/more' (--takeover-wait 5) is missing here, but not on n3"),
        ("n1", "root: the prefixed entry '/bin/more' (--takeover-wait 5) is missing here, but not on n3"),
    ]


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        (None, None),
        ({"ok": True, "words": "etcd"}, None),
        ({"ok": False, "words": "etcd: no leader"}, "runs cannot be claimed: etcd: no leader"),
        ({"ok": 1, "words": ["x"]}, "runs cannot be claimed: it does not say why"),
    ],
)
def test_a_host_that_can_claim_nothing(hosts, claims, problem):
    of(hosts, "n2")["claims"] = claims
    assert problems(hosts) == ([("n2", "billing", problem)] if problem else [])


@pytest.mark.parametrize(("name", "value"), [("job", "report"), ("claim", "required"), ("user", "bob")])
def test_a_job_that_has_another_name_claim_or_user_elsewhere_would_run_twice(hosts, name, value):
    hosts["n3"]["entries"][0][name] = value
    shown = "" if name == "user" else f" (--{name} {value})"
    assert sorted(problem[::2] for problem in problems(hosts)) == [
        ("n1", f"root: the prefixed entry '/bin/report'{shown} is missing here, but not on n3"),
        ("n2", f"root: the prefixed entry '/bin/report'{shown} is missing here, but not on n3"),
        ("n3", "root: the prefixed entry '/bin/report' is missing here, but not on n1, n2"),
    ]


def test_an_entry_of_another_cluster_does_not_count(hosts):
    for name in hosts:
        hosts[name]["entries"].append({**ENTRY, "command": "/bin/other", "conf": "/etc/rcron/other.conf"})
    hosts["n1"]["entries"].pop()
    assert problems(hosts) == []


def test_an_entry_that_a_run_would_change_is_a_problem(hosts):
    tried = {
        "n1": {
            "crontabs": [
                {
                    "crontab": "alice",
                    "entries": [
                        {"line": 4, "before": "/bin/a", "after": "/usr/bin/rcron /bin/a"},
                        {"line": 5, "before": "/usr/bin/rcron /bin/b", "after": "/usr/bin/rcron /bin/b"},
                    ],
                },
            ],
            "unselected": [
                {"crontab": "root", "line": 7, "command": "/bin/c", "recorded": True, "released": True},
                {"crontab": "root", "line": 8, "command": "/bin/d", "recorded": False, "released": False},
            ],
        },
        "n2": {},
        "n3": {"msg": "x y", "failures": ["name: x selects nothing", "no user y"]},
    }
    assert problems(hosts, tried) == [
        ("n1", "", "alice: line 4 is '/bin/a'; it should be '/usr/bin/rcron /bin/a'"),
        (
            "n1",
            "",
            "root: line 7, '/bin/c', is not in rcron_crontab_entries any more, and is still prefixed: the playbook "
            "site takes the prefix off",
        ),
        ("n3", "", "name: x selects nothing"),
        ("n3", "", "no user y"),
    ]
    assert rcron_notes(tried) == [
        "HOST  CRONTAB  LINE  PREFIXED, BUT NOT IN RCRON_CRONTAB_ENTRIES",
        "n1    root     8     /bin/d",
    ]


def test_crontabs_that_could_not_be_tried_are_a_problem(hosts):
    tried = {
        "n1": {"msg": "MODULE FAILURE\nsee stdout"},
        "n2": {"failures": "x", "rc": 1},
        "n3": {"crontabs": 7, "unselected": []},
    }
    assert [problem[::2] for problem in problems(hosts, tried)] == [
        ("n1", "MODULE FAILURE see stdout"),
        ("n2", "the check of its crontabs gave no answer"),
        ("n3", "its answer to the crontabs' check is not one of rcron_crontab (crontabs is not a list)"),
    ]
    assert rcron_notes(tried) == []


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({"unreachable": True, "msg": "no\nroute"}, "unreachable: no route"),
        ({"msg": "no python"}, "no python"),
        ({"msg": "no\njson", "module_stderr": "pyenv:\nnone"}, "no json (its Python printed: pyenv: none)"),
        ({}, "nothing is known about it: its task did not run"),
        ({"clusters": [], "entries": [], "unreadable": []}, "rcron is not deployed there: it has no configuration"),
        (
            {"clusters": [{"conf": "c", "error": "c:1: bad"}], "entries": [], "unreadable": ["x cannot be read"]},
            "x cannot be read",
        ),
    ],
)
def test_a_host_without_an_answer_is_a_problem(hosts, info, what):
    hosts["n3"] = info
    found = problems(hosts)
    assert {problem[0] for problem in found} == {"n3"}
    assert ("n3", "", what) in found


def test_a_host_that_is_down_is_one_problem(hosts):
    down = {"unreachable": True, "msg": "Connection timed out"}
    hosts["n3"] = down
    assert problems(hosts, {"n1": {}, "n3": down}) == [("n3", "", "unreachable: Connection timed out")]
    hosts["n3"] = {"failed": True, "msg": "no python"}
    assert problems(hosts, {"n3": {"msg": "no python"}}) == [("n3", "", "no python")]
    assert problems({**hosts, "n3": host()}, {"n3": {"skipped": True}}) == []


def test_two_configurations_of_one_cluster_on_a_host(hosts):
    hosts["n2"]["clusters"].append({**copy.deepcopy(CLUSTER), "conf": "/etc/rcron/second.conf"})
    assert problems(hosts) == [
        (
            "n2",
            "billing",
            "/etc/rcron/second.conf is a second configuration of this cluster; give it a cluster_name of its own",
        )
    ]


def test_a_host_that_has_left_the_inventory_and_still_takes_part_is_reported_by_who_hears_it(hosts):
    for number, name in enumerate(hosts):
        hosts[name].update(addresses=[f"192.0.2.{number}", "2001:db8::1"], heard=["192.0.2.2"])
    assert problems(hosts) == []
    hosts["n2"]["heard"] = ["192.0.2.0", "192.0.2.24"]
    (problem,) = problems(hosts)
    assert problem[0] == "n2"
    assert problem[2].startswith("keepalived hears 192.0.2.24, which is none of the hosts that answered: ")


def test_a_member_and_a_master_that_are_not_in_the_inventory_are_reported(hosts):
    for number, name in enumerate(hosts):
        hosts[name].update(addresses=[f"192.0.2.{number}"], members=[f"192.0.2.{other}" for other in range(3)])
    of(hosts, "n2")["feeder"]["answer"] = {"state": "passive", "words": "192.0.2.0 sends ucarp's adverts", "at": 1}
    assert problems(hosts) == []
    hosts["n3"]["members"].append("192.0.2.24")
    of(hosts, "n2")["feeder"]["answer"]["words"] = "192.0.2.25 sends ucarp's adverts"
    master, member = problems(hosts)
    assert (master[0], member[0]) == ("n2", "n3")
    assert master[2].startswith("ucarp has the master 192.0.2.25, which is none of the hosts that answered: ")
    assert member[2].startswith("Corosync has the member 192.0.2.24, which is none of the hosts that answered: ")
    # What a host says that cannot be.
    for odd in ("192.0.2.25", {"words": 7}, {"words": "x"}):
        of(hosts, "n2")["feeder"]["answer"] = odd
        assert [problem[0] for problem in problems(hosts)] == ["n3"]


def test_a_clock_that_is_off_by_more_than_the_request_took(hosts):
    hosts["n3"]["clock_offset"] = -2.4
    assert problems(hosts) == [("n3", "", "its clock is 2.5 s behind the others")]
    hosts["n3"]["clock_uncertainty"] = 1.6
    assert problems(hosts) == []


def test_a_clock_is_not_off_because_the_others_answered_slowly(hosts):
    """The modules of the others began late: nothing is known of their clocks that the first one's contradicts."""
    for name in ("n2", "n3"):
        hosts[name].update(clock_offset=12.6, clock_uncertainty=14.0)
    assert problems(hosts) == []
    for name in ("n2", "n3"):
        hosts[name]["clock_uncertainty"] = 11.0
    assert problems(hosts) == [("n1", "", "its clock is 12.5 s behind the others")]


def test_the_table_is_aligned(hosts):
    of(hosts, "n3")["version"] = "9"
    hosts["a-long-name"] = {"unreachable": True}
    lines = FilterModule().filters()["rcron_problems"](hosts)
    assert lines == [
        "HOST         CLUSTER  PROBLEM",
        "a-long-name           unreachable:",
        "n3           billing  version 9, but version 0.1.0 elsewhere",
    ]


def test_a_value_that_is_not_a_dict_is_refused():
    with pytest.raises(AnsibleFilterError, match="pass a dict of hosts"):
        FilterModule().filters()["rcron_problems"](["n1"])


TIMER = {
    "timer": "a.timer",
    "service": "a.service",
    "scope": "system",
    "next": None,
    "guarded": True,
    "conf": "/etc/rcron/rcron.conf",
    "takeover_wait": None,
}


def test_timers_that_are_guarded_alike_are_fine(hosts):
    for info in hosts.values():
        info["timers"] = [dict(TIMER), {**TIMER, "service": "b.service", "guarded": False, "conf": None}]
    assert problems(hosts) == []


def test_a_timer_that_is_guarded_in_one_place_and_not_in_another(hosts):
    hosts["n1"]["timers"] = [dict(TIMER)]
    hosts["n2"]["timers"] = [{**TIMER, "guarded": False, "conf": None}]
    hosts["n3"]["timers"] = [{**TIMER, "takeover_wait": 30}]
    assert [(problem.host, problem.what) for problem in problems(hosts)] == [
        ("n1", "the guard of a.service (--takeover-wait 30) is missing here, but not on n3"),
        ("n2", "the guard of a.service (--takeover-wait 30) is missing here, but not on n3"),
        ("n2", "the guard of a.service is missing here, but not on n1"),
        ("n3", "the guard of a.service is missing here, but not on n1"),
    ]


def test_instances_that_only_some_hosts_have_loaded_are_guarded_by_their_template(hosts):
    for info in hosts.values():
        info["timers"] = [{**TIMER, "timer": None, "service": "a@.service"}]
    hosts["n1"]["timers"].append({**TIMER, "service": "a@x.service"})
    assert problems(hosts) == []
    hosts["n2"]["timers"] = []
    assert [(problem.host, problem.what) for problem in problems(hosts)] == [
        ("n2", "the guard of a@.service is missing here, but not on n1, n3")
    ]


@pytest.mark.parametrize(
    ("entry", "timer", "what"),
    [
        ({"guarded": True}, {"guarded": False}, "is prefixed, but a.timer runs the job, too: add it to rcron_timers"),
        ({"guarded": False}, {"guarded": True}, "runs the job, too: add it to rcron_crontab_entries"),
        ({"guarded": False, "ends_itself": True}, {"guarded": True}, None),
        ({"guarded": True}, {"guarded": True}, None),
        ({"guarded": False}, {"guarded": False}, None),
        ({"guarded": True}, {"guarded": False, "next": None}, None),  # a timer that is stopped
        ({"guarded": True}, {"guarded": False, "timer": "b.timer"}, None),
    ],
)
def test_a_job_that_an_entry_and_a_timer_run_is_guarded_in_both(hosts, entry, timer, what):
    for info in hosts.values():
        info["entries"] = [{**ENTRY, "crontab": "/etc/cron.d/a", "timers": ["a.timer"], **entry}]
        info["timers"] = [{**TIMER, "next": 7200.0, **timer}]
    found = problems(hosts)
    assert len(found) == (3 if what else 0)
    for problem in found:
        assert what in problem.what
        assert "line 3 of /etc/cron.d/a" in problem.what


NOON = 43200.0


@pytest.mark.parametrize(
    ("first", "second", "is_missed"),
    [
        ({"due": NOON, "started": NOON - 86400}, {"due": NOON, "started": None}, True),
        ({"due": NOON, "started": None}, {"due": None, "started": None}, True),
        ({"due": NOON, "started": NOON + 1}, {"due": NOON, "started": None}, False),
        ({"due": NOON, "started": NOON - 86400}, {"due": NOON, "started": NOON - 1}, False),  # by another clock
        ({"due": None, "started": None}, {"due": None, "started": None}, False),
        ({"due": NOON, "started": None, "cluster": "mail"}, {"due": None, "started": None}, False),
    ],
)
def test_an_entry_that_was_due_and_that_no_host_has_started(hosts, first, second, is_missed):
    entry = {"cluster": "billing", "entry": "nightly", "due": None, "started": None}
    for host, changes in (("n1", first), ("n2", second), ("n3", {})):
        hosts[host]["due"] = [{**entry, **changes}]
    found = [(problem.host, problem.what) for problem in problems(hosts)]
    assert [what.startswith("nightly was due 1970-01-01") for _host, what in found] == [True] * is_missed
    assert [host for host, _what in found] == (["n1"] if is_missed else [])


def test_nothing_is_missed_unless_all_hosts_keep_metrics(hosts):
    for info in hosts.values():
        info["due"] = [{"cluster": "billing", "entry": "nightly", "due": NOON, "started": None}]
    assert len(problems(hosts)) == 1
    hosts["n3"]["due"] = None
    assert [(host, what[:20]) for host, _cluster, what in problems(hosts)] == [("n3", "it gives no metrics,")]
    for info in hosts.values():
        info["due"] = None
    assert problems(hosts) == []


def test_no_host_hides_what_the_others_have_missed(hosts):
    """Not by its number of entries, as long as what it says of one is what the others say."""
    names = [f"e{number}" for number in range(1000)]
    for host, due in (("n1", [*names, "nightly"]), ("n2", ["nightly"]), ("n3", ["nightly"])):
        hosts[host]["due"] = [{"cluster": "billing", "entry": name, "due": NOON + 7, "started": None} for name in due]
    assert ("n2", "nightly was due") in [(host, what[:15]) for host, _cluster, what in problems(hosts)]


def test_no_host_hides_what_the_others_lack(hosts):
    """By what it alone seems to have: of that, the second comes after the first of the others'."""
    mine = [f"/a{number}" for number in range(1000)]
    hosts["n1"]["entries"] += [
        {**ENTRY, "command": name, "crontab": f"{name}{number // 20}"} for number, name in enumerate(mine)
    ]
    hosts["n1"]["timers"] = [{**TIMER, "timer": None, "service": f"{name}.service"} for name in mine]
    hosts["n2"]["entries"] = [{**ENTRY, "command": "/z/only"}]
    hosts["n2"]["timers"] = [{**TIMER, "timer": None, "service": "z.service"}]
    found = [(host, what) for host, _cluster, what in problems(hosts)]
    assert ("n3", "root: the prefixed entry '/z/only' is missing here, but not on n2") in found
    assert ("n3", "the guard of z.service is missing here, but not on n2") in found
    assert ("n2", "root: the prefixed entry '/bin/report' is missing here, but not on n1, n3") in found


def test_no_name_moves_the_problems_out_of_sight(hosts):
    of(hosts, "n1").update(cluster_name="x" * 900, state="passive")
    assert max(map(len, rcron_problems(hosts))) < 250


def test_another_clusters_guard_does_not_count(hosts):
    hosts["n1"]["timers"] = [{**TIMER, "conf": "/etc/rcron/other.conf"}]
    assert problems(hosts) == []


@pytest.mark.parametrize(
    ("tried", "what"),
    [
        ({}, None),
        ({"skipped": True}, None),
        ({"units": [{"service": "a.service", "path": "/etc/x", "changed": False}]}, None),
        (
            {"units": [{"service": "a.service", "path": "/etc/x", "changed": True}]},
            "a.service is not guarded as rcron_timers_units says (/etc/x)",
        ),
        ({"failed": True, "msg": "a.timer does not exist"}, "a.timer does not exist"),
        ({"failed": True}, "the check of its timers gave no answer"),
        ({"units": 1}, "its answer to the timers' check is not one of rcron_timers (units is not a list)"),
    ],
)
def test_what_the_timers_check_says(hosts, tried, what):
    found = [(problem.host, problem.what) for problem in problems(hosts, timers={"n2": tried})]
    assert found == ([] if what is None else [("n2", what)])


@pytest.mark.parametrize(
    ("tried", "what"),
    [
        ({}, None),
        ({"skipped": True}, None),
        ({"scripts": [{"script": "/etc/cron.daily/a", "wrapper": "/etc/cron.daily/a-rcron", "changed": False}]}, None),
        (
            {"scripts": [{"script": "/etc/cron.daily/a", "wrapper": "/etc/cron.daily/a-rcron", "changed": True}]},
            "/etc/cron.daily/a is not guarded as rcron_scripts_paths says (/etc/cron.daily/a-rcron)",
        ),
        ({"failed": True, "msg": "there is no /etc/cron.daily/a."}, "there is no /etc/cron.daily/a."),
        ({"failed": True}, "the check of its scripts gave no answer"),
        ({"scripts": [1]}, "its answer to the scripts' check is not one of rcron_scripts (scripts[0] is not a dict)"),
    ],
)
def test_what_the_scripts_check_says(hosts, tried, what):
    found = [(problem.host, problem.what) for problem in problems(hosts, scripts={"n2": tried})]
    assert found == ([] if what is None else [("n2", what)])


def test_a_script_that_is_guarded_in_one_place_and_not_in_another(hosts):
    script = {"script": "/etc/cron.daily/report", "guarded": True, "conf": CLUSTER["conf"], "takeover_wait": None}
    for info in hosts.values():
        info["scripts"] = [dict(script)]
    assert problems(hosts) == []
    hosts["n2"]["scripts"] = [{**script, "guarded": False, "conf": None}]
    assert [(problem.host, problem.what) for problem in problems(hosts)] == [
        ("n2", "the guard of /etc/cron.daily/report is missing here, but not on n1, n3")
    ]


def flooded(hosts: dict[str, dict], kind: str) -> None:
    """Have a user of n1, or whoever has taken it over, fill the report."""
    if kind == "a user's entries":
        hosts["n1"]["entries"] += [dict(ENTRY, crontab="alice", command=f"/bin/{number}") for number in range(5000)]
    elif kind == "crontabs":
        hosts["n1"]["entries"] += [dict(ENTRY, crontab=f"a{number}") for number in range(5000)]
    elif kind == "sentences":
        hosts["n1"]["unreadable"] = ["odd"] * 5000
    elif kind == "settings":
        of(hosts, "n1")["settings"].update({f"a{number}": 1 for number in range(5000)})
    elif kind == "scripts":
        script = {"guarded": True, "conf": CLUSTER["conf"], "takeover_wait": None}
        hosts["n1"]["scripts"] = [dict(script, script=f"/etc/cron.daily/{number}") for number in range(5000)]
    else:
        hosts["n1"]["clusters"] += [dict(CLUSTER, cluster_name=f"c{number}") for number in range(5000)]


@pytest.mark.parametrize("kind", ["a user's entries", "crontabs", "sentences", "settings", "scripts", "clusters"])
def test_neither_a_user_nor_a_host_hides_the_other_problems_by_their_number(hosts, kind):
    """What is wrong with n2 is looked for after that."""
    flooded(hosts, kind)
    hosts["n2"]["clock_offset"] = 77.0
    found = problems(hosts)
    assert "its clock is 76.9 s ahead of the others" in [one.what for one in found if one.host == "n2"]
    assert max(sum(one.host == host for one in found) for host in ("n2", "n3")) <= 102
    assert sum(one.host == "n1" for one in found) <= 501
    assert any(re.search(r"^(alice: )?and \d+ more ", one.what) for one in found)
