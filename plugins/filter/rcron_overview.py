# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_overview: a cluster as a table, from the answers of rcron_info."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer, table

HOSTS = ["HOST", "CLUSTER", "STATE", "SINCE", "FEEDER", "PIN", "JOBS", "SKIPS/H"]
TIMERS = ["TIMER", "SERVICE", "CLUSTER", "GUARDED ON", "NEXT"]
SCRIPTS = ["SCRIPT", "CLUSTER", "GUARDED ON"]
JOBS = ["JOB", "CLUSTER", "HOST", "LAST RUN", "STATUS", "EXIT", "SECONDS"]
CLAIMED = ["CLAIMED JOB", "CLUSTER", "USER", "NODE", "LAST RUN", "EXIT", "SECONDS"]

#: The most characters of a line: what Ansible's debug shows of it on a terminal of 100 columns, in quotes.
WIDTH = 89

#: The columns that are cut first if a line is longer.
ELASTIC = {"HOSTS": (4, 5), "TIMERS": (0, 1, 3), "SCRIPTS": (0, 2), "JOBS": (0,), "CLAIMED": (0,)}

#: The most of a host's timers, scripts and jobs that are shown, as of its problems: the others' must stay in sight. And
#: the timers that a service is shown with on a host that does not say which one starts it.
MOST_OF_A_HOST = 500
MOST_OF_A_SERVICE = 10

#: What rcron-agent says of a lease that somebody has, rcron/agent/feeders/lease.py.
HELD = re.compile(r"(?:(\S+) )?has the lease, term ([0-9]+)")

#: The states of a run that come first in the table of the jobs.
BAD = ("fail", "lost")

Info = Mapping[str, Any]


def host_rows(host: str, info: Info) -> list[list[str]]:
    """Return a row for each cluster of a host.

    Args:
        host: The host's name.
        info: What rcron_info's task registered for it, a failure included.
    """
    if "clusters" not in info:
        why = " ".join(str(info.get("msg", "")).split())
        return [[host, "-", "unreachable" if info.get("unreachable") else "unknown", "-", why or "-", "-", "-", "-"]]
    rows = []
    for cluster in info["clusters"]:
        if cluster["error"]:
            rows.append([host, cluster["conf"], "unknown", "-", cluster["error"], "-", "-", "-"])
            continue
        name = cluster["cluster_name"]
        guarded = sum(1 for entry in info["entries"] if entry["guarded"] and entry["conf"] == cluster["conf"])
        rows.append(
            [
                host,
                name,
                cluster["state"] + ("" if cluster["source"] in ("file", "pin") else f" ({cluster['source']})"),
                _moment(cluster["since"]),
                _feeder(cluster["feeder"], info["time"], host),
                _pin(cluster["pin"], info["time"]),
                str(guarded),
                str(info.get("ignored", {}).get(name, 0)),
            ]
        )
    return rows or [[host, "-", "not deployed", *["-"] * 5]]


def _feeder(feeder: Mapping[str, Any] | None, now: float, host: str) -> str:
    if feeder is None:
        return "none"
    gone = " gone" if feeder["alive"] is False else ""
    return f"{feeder['name']}{gone}{_held(feeder, host)}, {_span(now - feeder['spoke'])} ago"


def _held(feeder: Mapping[str, Any], host: str) -> str:
    """Return who has the lease, by what a host's agent said last, and its term; "" if it is not a lease, or free."""
    said = feeder.get("answer")
    held = HELD.fullmatch("" if answer.mismatch(said, {"words": str}) else said["words"])
    return f" ({held[1] or host}, {held[2]})" if held else ""


def _pin(pin: Mapping[str, Any] | None, now: float) -> str:
    if pin is None:
        return "-"
    return str(pin["state"]) if pin["until"] is None else f"{pin['state']}, {_span(pin['until'] - now)}"


def job_rows(hosts: Mapping[str, Info]) -> list[list[str]]:
    """Return a row for each job with its last run on any host, those that failed first, then the latest."""
    last: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    for host, info in hosts.items():
        for run in info.get("runs", []):
            key = run["cluster"], run["command"]
            if key not in last or (run["started"] or 0) > (last[key][1]["started"] or 0):
                last[key] = host, run
    ordered = sorted(last.values(), key=lambda found: (found[1]["status"] not in BAD, -(found[1]["started"] or 0)))
    return [
        [
            run["command"],
            run["cluster"],
            host,
            _moment(run["started"]),
            run["status"],
            "-" if run["exit"] is None else str(run["exit"]),
            "-" if run["duration"] is None else str(run["duration"]),
        ]
        for host, run in ordered
    ]


def timer_rows(hosts: Mapping[str, Info]) -> list[list[str]]:
    """Return a row for each timer, those that elapse soonest first; none if no timer is guarded on any host."""
    found: dict[tuple[str, str], list[tuple[str, Mapping[str, Any], str]]] = {}
    # A host on which the timer is stopped knows the service only.
    names_of: dict[tuple[str, str], set[str]] = {}
    for info in hosts.values():
        for timer in info.get("timers", []):
            if timer["timer"]:
                names_of.setdefault((timer["service"], timer["scope"]), set()).add(timer["timer"])
    for host, info in hosts.items():
        names = {cluster["conf"]: cluster.get("cluster_name", "-") for cluster in info.get("clusters", [])}
        for timer in info.get("timers", []):
            nobody = "users' own" if timer["scope"] == "user" else "-"
            others = sorted(names_of.get((timer["service"], timer["scope"]), {nobody}))[:MOST_OF_A_SERVICE]
            for name in [timer["timer"]] if timer["timer"] else others:
                found.setdefault((name, timer["service"]), []).append((host, timer, names.get(timer["conf"], "-")))
    if not any(timer["guarded"] for group in found.values() for _host, timer, _cluster in group):
        return []
    rows = []
    for (name, service), group in found.items():
        # A host that says so twice is one.
        guarded = list(dict.fromkeys((host, cluster) for host, timer, cluster in group if timer["guarded"]))
        moments = [timer["next"] for _host, timer, _cluster in group if timer["next"] is not None]
        on = _on([host for host, _cluster in guarded], hosts)
        clusters = ", ".join(sorted({cluster for _host, cluster in guarded})) or "-"
        rows.append(
            (min(moments, default=float("inf")), [name, service, clusters, on, _moment(min(moments, default=None))])
        )
    return [row for _next, row in sorted(rows)]


def script_rows(hosts: Mapping[str, Info]) -> list[list[str]]:
    """Return a row for each script of cron.daily and the like; none if no script is guarded on any host."""
    guarded: dict[str, list[tuple[str, str]]] = {}
    for host, info in hosts.items():
        names = {cluster["conf"]: cluster.get("cluster_name", "-") for cluster in info.get("clusters", [])}
        for script in info.get("scripts", []):
            on = guarded.setdefault(script["script"], [])
            if script["guarded"]:
                on.append((host, names.get(script["conf"], "-")))
    if not any(guarded.values()):
        return []
    return [
        [
            script,
            ", ".join(sorted({cluster for _host, cluster in on})) or "-",
            _on([host for host, _cluster in on], hosts),
        ]
        for script, on in sorted(guarded.items())
    ]


def _on(having: Sequence[str], hosts: Mapping[str, Info]) -> str:
    """Say on which hosts something is guarded. A host may say twice that it is."""
    distinct = list(dict.fromkeys(having))
    return "all" if len(distinct) == len(hosts) else ", ".join(distinct) or "none"


def claimed_rows(hosts: Mapping[str, Info]) -> list[list[str]]:
    """Return a row for each job with its last claimed run, bad ones first. All hosts have the same ledger."""
    last: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for info in hosts.values():
        for run in info.get("ledger", []):
            key = run["cluster"], run["user"], run["job"]
            if key not in last or run["at"] > last[key]["at"]:
                last[key] = run
    return [
        [
            run["job"],
            run["cluster"],
            run["user"],
            run["node"],
            _moment(run["at"]),
            "not run" if run["gave_up"] else "no end known" if run["exit"] is None else str(run["exit"]),
            "-" if run["duration"] is None or run["gave_up"] else f"{run['duration']:.0f}",
        ]
        for run in sorted(last.values(), key=lambda run: (not (run["gave_up"] or run["exit"]), -run["at"]))
    ]


def _moment(seconds: float | None) -> str:
    """Return a moment in the controller's time zone."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _span(seconds: float) -> str:
    left = max(int(seconds), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if left >= size:
            return f"{left // size} {unit}"
    return f"{left} s"


def rcron_overview(hosts: Mapping[str, Info], problems: Sequence[str] = ()) -> list[str]:
    """Show a cluster.

    Args:
        hosts: What rcron_info's task registered for each host, failures included.
        problems: The table that the filter rcron_problems makes of them.

    Returns:
        The lines of the tables, with an empty line between: the problems if there are any, the hosts, the guarded
        timers, the guarded scripts, the jobs, and the claimed jobs.

    Raises:
        AnsibleFilterError: The argument is not a dict.
    """
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"rcron_overview: {hosts!r}: pass a dict of hosts and rcron_info's results")
    shown = [*table.wrapped(problems, WIDTH), ""] if problems else []
    hosts, left_out = _in_sight(hosts)
    rows = [row for host, info in hosts.items() for row in host_rows(host, info)]
    shown += table.lines(HOSTS, rows, WIDTH, ELASTIC["HOSTS"])
    tables = (
        ("TIMERS", TIMERS, timer_rows(hosts)),
        ("SCRIPTS", SCRIPTS, script_rows(hosts)),
        ("JOBS", JOBS, job_rows(hosts)),
        ("CLAIMED", CLAIMED, claimed_rows(hosts)),
    )
    for name, heading, found in tables:
        if found:
            shown += ["", *table.lines(heading, found, WIDTH, ELASTIC[name])]
    return [*shown, "", *left_out] if left_out else shown


def _in_sight(hosts: Mapping[str, Info]) -> tuple[dict[str, Info], list[str]]:
    """Return the hosts with no more of anything than is shown, and a sentence for each thing that is left out."""
    kept, left_out = {}, []
    order: Mapping[str, Callable[[Info], object]] = {
        "timers": lambda timer: not timer["guarded"],
        "scripts": lambda script: not script["guarded"],
        "runs": lambda run: (run["status"] not in BAD, -(run["started"] or 0)),
        "ledger": lambda run: (not (run["gave_up"] or run["exit"]), -run["at"]),
    }
    for host, info in hosts.items():
        cut = {}
        for name, key in order.items():
            given = info.get(name, [])
            if len(given) > MOST_OF_A_HOST:
                cut[name] = sorted(given, key=key)[:MOST_OF_A_HOST]
                what = {"runs": "jobs", "ledger": "claimed jobs"}.get(name, name)
                left_out.append(f"{host}: {len(given) - MOST_OF_A_HOST} more {what} are not shown")
        kept[host] = {**info, **cut}
    return kept, left_out


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_overview": rcron_overview}
