# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Each alert fires for what it is for, and for nothing that happens on a good day: `promtool test rules`.

A scenario is a list of series, as promtool wants them, at steps of 15 seconds. `a`, `b` and `c` are three nodes.
"""

import json
import pathlib
import re
import subprocess
from typing import Any

import pytest
import yaml

RULES = pathlib.Path(__file__).resolve().parents[3] / "monitoring" / "rcron.rules.yml"
ALERTS = [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"] if "alert" in rule]

#: Three hours: the longest `for` is an hour.
STEPS = 720

#: A file that is written every 15 seconds: its time is the time.
ALWAYS = f"0+15x{STEPS}"

pytestmark = pytest.mark.needs("promtool", "prometheus")


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    given = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{given}}}", "values": values}


def of(name: str, values: str, **labels: str) -> dict[str, str]:
    """A series of the cluster c1. labels: the others."""
    return series(name, values, cluster_name="c1", **labels)


def written(*nodes: str, values: str = ALWAYS) -> list[dict[str, str]]:
    """The times of nodes' files."""
    path = "/var/lib/prometheus/node-exporter/rcron.prom"
    return [series("node_textfile_mtime_seconds", values, instance=node, file=path) for node in nodes]


def active(**nodes: str) -> list[dict[str, str]]:
    """What nodes are, and that they write their files."""
    return [*written(*nodes), *(of("rcron_active", values, instance=node) for node, values in nodes.items())]


#: On a good day: a is active, and everything is as it should be.
GOOD = [
    *active(a=f"1x{STEPS}", b=f"0x{STEPS}", c=f"0x{STEPS}"),
    *(of("rcron_info", f"1x{STEPS}", instance=node, version="1.0", feeder="keepalived") for node in "abc"),
    *(of("rcron_feeder_alive", f"1x{STEPS}", instance=node, feeder="keepalived") for node in "abc"),
    *(of("rcron_state_source", f"1x{STEPS}", instance=node, source="file") for node in "abc"),
    *(
        of("rcron_state_source", f"0x{STEPS}", instance=node, source=other)
        for node in "abc"
        for other in ("stale", "default")
    ),
    *(of("rcron_state_changes_total", f"3x{STEPS}", instance=node) for node in "abc"),
    *(series("rcron_conf_valid", f"1x{STEPS}", instance=node, conf="/etc/rcron/rcron.conf") for node in "abc"),
    *(of("rcron_engine_up", f"1x{STEPS}", instance=node) for node in "abc"),
    of("rcron_entry_last_exit_status", f"0x{STEPS}", instance="a", entry="backup"),
    of("rcron_entry_last_start_timestamp_seconds", f"100x{STEPS}", instance="a", entry="backup"),
    *(of("rcron_entry_due_timestamp_seconds", f"99x{STEPS}", instance=node, entry="backup") for node in "abc"),
]


def with_(*others: dict[str, str], base: "list[dict[str, str]] | None" = None) -> list[dict[str, str]]:
    """The good day, or another base, with other values for some series."""
    found = {each["series"]: each for each in (GOOD if base is None else base)}
    found.update({each["series"]: each for each in others})
    return list(found.values())


def minutely(late: int) -> str:
    """The last full minute, seen so many seconds too late, at each step."""
    return " ".join(str(max(0, 15 * step - late) // 60 * 60) for step in range(STEPS))


def without(node: str, after: int = 0) -> list[dict[str, str]]:
    """The good day, on which a node is switched off. after: at which step; at 0 it never was there."""
    own = f'instance="{node}"'
    return [
        {**each, "values": each["values"].replace(f"x{STEPS}", f"x{after} stale")} if own in each["series"] else each
        for each in GOOD
        if after or own not in each["series"]
    ]


def entry(exit_status: str, start: str, node: str = "a") -> list[dict[str, str]]:
    return [
        of("rcron_entry_last_exit_status", exit_status, instance=node, entry="backup"),
        of("rcron_entry_last_start_timestamp_seconds", start, instance=node, entry="backup"),
    ]


def due(node: str, values: str) -> list[dict[str, str]]:
    return [of("rcron_entry_due_timestamp_seconds", values, instance=node, entry="backup")]


#: For each alert: the name of a case, when it is looked at in seconds, and the series.
FIRES: dict[str, list[tuple[str, int, list[dict[str, str]]]]] = {
    "RcronNobodyActive": [
        # a's feeder is stopped at 75 s: its file says so at 90 s at the latest.
        ("all feeders are stopped at 75 s", 165, with_(of("rcron_active", f"1x5 0x{STEPS}", instance="a"))),
        ("the active host is off, and nobody takes over", 300, without("a")),
        (
            "the active host's last file still says active",
            400,
            [*without("a"), *written("a", values=f"0x{STEPS}"), of("rcron_active", f"1x{STEPS}", instance="a")],
        ),
    ],
    "RcronTwoActive": [("a partition", 180, with_(of("rcron_active", f"0x5 1x{STEPS}", instance="b")))],
    "RcronNoMetrics": [
        ("no host has a file", 240, []),
        ("all files are old", 600, [*written("a", "b", values=f"0x{STEPS}"), of("rcron_active", "1x99", instance="a")]),
    ],
    "RcronTextfileOld": [("the timer is stopped", 400, with_(*written("b", values=f"0x{STEPS}")))],
    "RcronConfigurationInvalid": [
        (
            "a typing mistake",
            120,
            with_(series("rcron_conf_valid", f"0x{STEPS}", instance="b", conf="/etc/rcron/rcron.conf")),
        )
    ],
    "RcronFeederDead": [
        (
            "keepalived crashes",
            180,
            with_(of("rcron_feeder_alive", f"1x5 0x{STEPS}", instance="b", feeder="keepalived")),
        )
    ],
    "RcronStateStale": [
        ("nobody refreshes", 120, with_(of("rcron_state_source", f"0x2 1x{STEPS}", instance="a", source="stale"))),
        ("the disk is full", 120, with_(of("rcron_state_source", f"0x2 1x{STEPS}", instance="a", source="agent"))),
    ],
    "RcronDefaultState": [
        ("the file is gone", 420, with_(of("rcron_state_source", f"0x2 1x{STEPS}", instance="a", source="default")))
    ],
    "RcronFlapping": [
        ("a link that comes and goes", 960, with_(of("rcron_state_changes_total", f"0+0.25x{STEPS}", instance="a")))
    ],
    "RcronPinOld": [
        ("a forgotten pin", 120, with_(of("rcron_pin_set_timestamp_seconds", f"-86400x{STEPS}", instance="b")))
    ],
    "RcronVersionsDiffer": [
        (
            "a node that was left out",
            3900,
            [
                *(each for each in GOOD if not each["series"].startswith('rcron_info{cluster_name="c1",instance="b"')),
                of("rcron_info", f"1x{STEPS}", instance="b", version="0.9", feeder="keepalived"),
            ],
        )
    ],
    "RcronClaimsUnavailable": [("etcd is gone", 240, with_(of("rcron_engine_up", f"1x5 0x{STEPS}", instance="b")))],
    "RcronEntryOverdue": [
        ("it was due, and no node ran it", 240, with_(*due("b", f"99x8 240x{STEPS}"))),
        ("no node has ever run it", 240, [*written("a"), *due("a", f"_x8 120x{STEPS}")]),
    ],
    "RcronLastRunFailed": [
        ("a job fails", 120, with_(*entry(f"3x{STEPS}", f"100x{STEPS}"))),
        (
            "it succeeded elsewhere before",
            120,
            with_(*entry(f"3x{STEPS}", f"100x{STEPS}"), *entry(f"0x{STEPS}", f"50x{STEPS}", "b")),
        ),
    ],
}

#: What no alert may fire for: a name and the series. They are looked at every 15 seconds of the first 20 minutes.
QUIET = {
    "a good day": GOOD,
    # b's file of 15 s later, scraped 15 s later, is the first that shows b active.
    "a planned hand-over": with_(
        of("rcron_active", f"1x5 0x{STEPS}", instance="a"),
        of("rcron_active", f"0x7 1x{STEPS}", instance="b"),
        of("rcron_state_changes_total", f"3x5 4x{STEPS}", instance="a"),
        of("rcron_state_changes_total", f"3x7 4x{STEPS}", instance="b"),
    ),
    "a planned hand-over that the new node shows first": with_(
        of("rcron_active", f"1x7 0x{STEPS}", instance="a"), of("rcron_active", f"0x5 1x{STEPS}", instance="b")
    ),
    "rcron-agent and etcd are restarted": with_(
        *(of("rcron_engine_up", f"1x5 0x6 1x{STEPS}", instance=node) for node in "abc")
    ),
    "one passive node of three is switched off": without("c", after=10),
    "a passive node restarts: its counters begin anew, and its old file is served for a minute": with_(
        of("rcron_state_changes_total", f"3x5 _x4 0x{STEPS}", instance="b"),
        *written("b", values=f"0+15x5 75x12 270+15x{STEPS}"),
        of("rcron_feeder_alive", f"1x5 _x4 0x2 1x{STEPS}", instance="b", feeder="keepalived"),
        of("rcron_state_source", f"0x5 1x8 0x{STEPS}", instance="b", source="default"),
    ),
    "a deployment: each node gets the new version, and its feeder is restarted": with_(
        *(
            of("rcron_info", f"1x{10 + 20 * at} stale", instance=n, version="1.0", feeder="k")
            for at, n in enumerate("abc")
        ),
        *(
            of("rcron_info", f"_x{10 + 20 * at} 1x{STEPS}", instance=n, version="1.1", feeder="k")
            for at, n in enumerate("abc")
        ),
        *(
            of("rcron_feeder_alive", f"1x{10 + 20 * at} 0 0 1x{STEPS}", instance=n, feeder="keepalived")
            for at, n in enumerate("abc")
        ),
        of("rcron_state_changes_total", f"3x10 4x20 5x20 6x{STEPS}", instance="a"),
        base=[each for each in GOOD if not each["series"].startswith("rcron_info")],
    ),
    # Without its minute of grace: the due time is seen at once, and the start half a minute later.
    "an entry of every minute": with_(
        *(each for node in "abc" for each in due(node, minutely(0))), *entry(f"0x{STEPS}", minutely(30))
    ),
    "the node that ran an entry last is switched off": with_(
        *without("a", after=10),
        of("rcron_active", f"0x9 1x{STEPS}", instance="b"),
        *entry("0x10 stale", "150x10 stale"),
        *due("a", "99x10 stale"),
        *due("c", f"99x8 149x{STEPS}"),
    ),
    "a pin of an hour": with_(of("rcron_pin_set_timestamp_seconds", f"-3600x{STEPS}", instance="b")),
    "a job that failed on a node, and succeeded on another since": with_(
        *entry(f"3x{STEPS}", f"100x{STEPS}"), *entry(f"0x{STEPS}", f"200x{STEPS}", "b")
    ),
    "a host that is off, and whose last file told of a failed job, a dead feeder and an old pin": with_(
        *written("c", values=f"-600x{STEPS}"),
        of("rcron_feeder_alive", f"0x{STEPS}", instance="c", feeder="keepalived"),
        of("rcron_state_source", f"1x{STEPS}", instance="c", source="stale"),
        of("rcron_pin_set_timestamp_seconds", f"-90000x{STEPS}", instance="c"),
        of("rcron_active", f"1x{STEPS}", instance="c"),
        *entry(f"3x{STEPS}", f"200x{STEPS}", "c"),
    ),
}

#: The one alert that a case is for: a file that is old is told of, whatever else is well.
TOLD = {name: "RcronTextfileOld" for name in QUIET if name.startswith("a host that is off, and")}


def promtool(folder: pathlib.Path, tests: list[dict[str, Any]]) -> "subprocess.CompletedProcess[str]":
    path = folder / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": tests}))
    return subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)


def firing(name: str, at: int) -> dict[str, Any]:
    """promtool's question whether an alert fires at a moment."""
    return {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": f"{at}s"}


def test_a_series_is_given_once() -> None:
    for given in [each for cases in FIRES.values() for *_case, each in cases] + list(QUIET.values()):
        names = [one["series"] for one in given]
        assert len(names) == len(set(names)), given


def test_promtool_has_no_complaint() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout


def test_every_alert_has_a_case() -> None:
    assert list(FIRES) == ALERTS


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires(name: str, tmp_path: pathlib.Path) -> None:
    tests = [
        {
            "interval": "15s",
            "name": case,
            "input_series": given,
            "promql_expr_test": [{**firing(name, at), "exp_samples": [{"labels": "{}", "value": 1}]}],
        }
        for case, at, given in FIRES[name]
    ]
    done = promtool(tmp_path, tests)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", QUIET)
def test_no_alert_fires(case: str, tmp_path: pathlib.Path) -> None:
    expected = [name for name in ALERTS if name != TOLD.get(case)]
    questions = [
        {
            "expr": f'ALERTS{{alertstate="firing",alertname=~"{"|".join(expected)}"}}',
            "eval_time": f"{at}s",
            "exp_samples": [],
        }
        for at in range(0, 1200, 15)
    ]
    done = promtool(tmp_path, [{"interval": "15s", "input_series": QUIET[case], "promql_expr_test": questions}])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["rcron.rules.yml", "grafana.json"])
def test_metrics_that_a_file_uses_exist(name: str) -> None:
    from rcron.metrics import METRICS

    expressions = " ".join(re.findall(r"expr.*(?:\n {10}.*)*", RULES.with_name(name).read_text()))
    assert "rcron_active" in expressions
    used = set(re.findall(r"(?<![\w:])rcron_\w+(?![\w:])", expressions))
    assert used <= set(METRICS)
