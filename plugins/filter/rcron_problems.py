# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rcron_problems: what is wrong with a cluster, from the answers of rcron_info."""

from __future__ import annotations

import pathlib
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

from ansible.errors import AnsibleFilterError
from ansible_collections.rcron.cluster.plugins.plugin_utils import answer, table
from ansible_collections.rcron.cluster.plugins.plugin_utils.clocks import certainly_off

#: How many seconds two clocks may differ.
CLOCKS = 1.0

#: One module for each feeder that this collection has a role for.
FEEDERS = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "feeders"

#: What rcron-agent calls it if there is no feeder, and every host is active: rcron/agent/feeders/claim.py.
CLAIM = "claim"

#: What rcron-agent says of a ucarp that is not the master, rcron/agent/feeders/ucarp.py.
CARP_MASTER = re.compile(r"[0-9.]{7,15} sends ucarp's adverts")

#: What rcron-agent says of a keepalived that hears a master, rcron/agent/feeders/keepalived.py.
VRRP_BACKUP = re.compile(r".+ is BACKUP")

#: How many seconds before its time an entry may have been started, by the clock of another host.
EARLY = 5.0

#: The most problems of one kind that are reported of a host, those of one crontab, and all of a host. Users decide how
#: many entries they have, and a host that somebody has taken over what it says: the others' must stay in sight.
MOST_OF_A_KIND = 100
MOST_OF_A_CRONTAB = 20
MOST_OF_A_HOST = 500

#: The most characters of a cluster's name that are shown.
LONGEST_NAME = 60

#: Settings that may differ between hosts.
OWN_SETTINGS = ("default_state",)

Info = Mapping[str, Any]


class Problem(NamedTuple):
    """Something that is wrong.

    Attributes:
        host: The host's name.
        cluster: The cluster's name; empty if it concerns none.
        what: A sentence.
    """

    host: str
    cluster: str
    what: str


def problems(
    hosts: Mapping[str, Info],
    tried: Mapping[str, Info] | None = None,
    feeder: str | None = None,
    conf: str = "/etc/rcron/rcron.conf",
    timers: Mapping[str, Info] | None = None,
    scripts: Mapping[str, Info] | None = None,
) -> list[Problem]:
    """Find what is wrong with a cluster.

    Args:
        hosts: What rcron_info's task registered for each host, failures and unreachable hosts included.
        tried: What rcron_crontab in check mode registered for each host.
        feeder: The feeder that the cluster's inventory names; None if that is not known.
        conf: The cluster's rcron.conf.
        timers: What rcron_timers in check mode registered for each host.
        scripts: What rcron_scripts in check mode registered for each host.
    """
    found = []
    answered = {}
    for host, info in hosts.items():
        if info.get("unreachable"):
            found.append(Problem(host, "", f"unreachable: {_sentence(info)}"))
        elif "clusters" not in info:
            found.append(Problem(host, "", _sentence(info) or "nothing is known about it: its task did not run"))
        else:
            answered[host] = info
            if not info["clusters"]:
                found.append(Problem(host, "", "rcron is not deployed there: it has no configuration"))
            found += [Problem(host, "", sentence) for sentence in _first(info["unreadable"])]
    for host, result in (tried or {}).items():
        # A host that has not answered once is one problem, however often it was asked.
        if result and not result.get("skipped") and host in answered:
            found += [Problem(host, "", what) for what in _first(_unprefixed(result))]
    for tries, unguarded in ((timers, _unguarded_timers), (scripts, _unguarded_scripts)):
        for host, result in (tries or {}).items():
            if result and not result.get("skipped") and host in answered:
                found += [Problem(host, "", what) for what in _first(unguarded(result))]

    clusters: dict[str, dict[str, Info]] = {}
    for host, info in answered.items():
        for cluster in info["clusters"]:
            if cluster["error"]:
                found.append(Problem(host, "", cluster["error"]))
            elif host in clusters.setdefault(cluster["cluster_name"], {}):
                what = f"{cluster['conf']} is a second configuration of this cluster; give it a cluster_name of its own"
                found.append(Problem(host, cluster["cluster_name"], what))
            else:
                clusters[cluster["cluster_name"]][host] = cluster
    for name, members in clusters.items():
        found += [Problem(host, name, what) for host, what in _active(members)]
        found += [Problem(host, name, what) for host, what in _other_feeders(members, feeder, conf)]
        found += [Problem(host, name, what) for host, what in _feeders(members)]
        found += [Problem(host, name, what) for host, what in _claims(members)]
        found += [Problem(host, name, what) for host, what in _limited(_disagreements(members))]
        entries = {host: _guarded(answered[host], cluster["conf"]) for host, cluster in members.items()}
        found += [Problem(host, name, what) for host, what in _limited(_entries(entries))]
        confs = {host: cluster["conf"] for host, cluster in members.items()}
        found += [Problem(host, name, what) for host, what in _limited(_timers(answered, confs))]
        missed = _missed({host: answered[host] for host in members}, name)
        found += [Problem(host, name, what) for host, what in _limited(missed)]
    found += [Problem(host, "", what) for host, info in answered.items() for what in _first(_half_guarded(info))]
    found += [Problem(host, "", what) for host, what in _limited(_strangers(answered))]
    found += [Problem(host, "", what) for host, what in _clocks(answered)]
    counts: Counter[str] = Counter()
    kept = [one for one in found if _count(counts, one.host) <= MOST_OF_A_HOST]
    return kept + [
        Problem(host, "", f"and {number - MOST_OF_A_HOST} more problems of this host")
        for host, number in counts.items()
        if number > MOST_OF_A_HOST
    ]


def _count(counts: Counter[Any], of: Hashable) -> int:
    counts[of] += 1
    return counts[of]


def _first(found: list[str], most: int = MOST_OF_A_KIND) -> list[str]:
    """Return sentences, with one for all that are too many."""
    return found if len(found) <= most else [*found[:most], f"and {len(found) - most} more problems of this kind"]


def _limited(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return hosts with sentences, with one for all that are too many of a host."""
    of_hosts: dict[str, list[str]] = {}
    for host, what in found:
        of_hosts.setdefault(host, []).append(what)
    return [(host, what) for host, sentences in of_hosts.items() for what in _first(sentences)]


def _sentence(info: Info) -> str:
    """Return what a task says of its failure, with what the host's Python printed instead of a result."""
    said, printed = (" ".join(str(info.get(name) or "").split()) for name in ("msg", "module_stderr"))
    return f"{said} (its Python printed: {printed[-500:]})" if printed else said


def _unprefixed(tried: Info) -> list[str]:
    """Return what a deployment would change in a host's crontabs, or why it could not."""
    if "crontabs" not in tried:
        failures = tried.get("failures")
        is_list = isinstance(failures, list) and all(isinstance(failure, str) for failure in failures)
        return failures if failures and is_list else [_sentence(tried) or "the check of its crontabs gave no answer"]
    wrong = answer.mismatch(tried, answer.REWRITTEN)
    if wrong:
        return [f"its answer to the crontabs' check is not one of rcron_crontab ({wrong})"]
    found = [
        f"{crontab['crontab']}: line {entry['line']} is {entry['before']!r}; it should be {entry['after']!r}"
        for crontab in tried["crontabs"]
        for entry in crontab["entries"]
        if entry["before"] != entry["after"]
    ]
    return found + [
        f"{entry['crontab']}: line {entry['line']}, {entry['command']!r}, is not in rcron_crontab_entries any more, "
        f"and is still prefixed: the playbook site takes the prefix off"
        for entry in tried["unselected"]
        if entry["released"]
    ]


def _active(members: Mapping[str, Info]) -> list[tuple[str, str]]:
    active = [host for host, cluster in members.items() if cluster["state"] == "active"]
    if not active and all(VRRP_BACKUP.fullmatch(_agents_words(cluster)) for cluster in members.values()):
        return [
            (host, "all hosts are passive, because keepalived hears a master that is none of them: one that has left "
                   "the inventory and still takes part (run the playbook remove on it), or another cluster with the "
                   "same virtual_router_id")
            for host in members
        ]  # fmt: skip
    if not active:
        return [(host, f"all hosts are passive, so no job runs: {members[host]['reason']}") for host in members]
    if len(active) == 1 or all(_is_claiming(cluster) for cluster in members.values()):
        return []
    return [
        (host, f"active, and so is {', '.join(other for other in active if other != host)}: jobs run more than once "
               f"({members[host]['reason']})")
        for host in active
    ]  # fmt: skip


def _is_claiming(cluster: Info) -> bool:
    """Return whether a host is meant to be active beside others, because each run is claimed."""
    return (
        bool(cluster["feeder"])
        and cluster["feeder"]["name"] == CLAIM
        and cluster["settings"].get("claim") == "required"
    )


def _feeders(members: Mapping[str, Info]) -> list[tuple[str, str]]:
    found = []
    somebody = any(cluster["feeder"] for cluster in members.values())
    is_served = any(cluster.get("agent") for cluster in members.values())
    for host, cluster in members.items():
        feeder = cluster["feeder"]
        if cluster["source"] == "stale":
            found.append((host, f"its state is stale: {cluster['reason']}"))
        elif feeder and feeder["alive"] is False and cluster.get("agent"):
            found.append(
                (host, f"its rcron-agent is gone; its last word was {feeder['event']}: systemctl status rcron-agent")
            )
        elif is_served and not cluster.get("agent"):
            found.append((host, "no rcron-agent asks its feeder, unlike on other hosts: systemctl status rcron-agent"))
        elif feeder and feeder["alive"] is False:
            found.append((host, f"its feeder {feeder['name']} is gone; its last event was {feeder['event']}"))
        elif somebody and not feeder:
            found.append((host, "its feeder has not set a state yet, unlike those of other hosts"))
    return found


def _claims(members: Mapping[str, Info]) -> list[tuple[str, str]]:
    """Return the hosts that could claim no run. What they say of it comes from whichever rcron is installed there."""
    found = []
    for host, cluster in members.items():
        claims = cluster.get("claims")
        if isinstance(claims, Mapping) and claims.get("ok") is not True:
            words = claims.get("words")
            why = words if isinstance(words, str) else "it does not say why"
            found.append((host, f"runs cannot be claimed: {why}"))
    return found


def _other_feeders(members: Mapping[str, Info], feeder: str | None, conf: str) -> list[tuple[str, str]]:
    """Return the hosts on which a feeder of this collection's speaks that is not the cluster's."""
    known = {path.stem for path in FEEDERS.glob("[!_]*.py")}
    found = [
        (
            host,
            f"{cluster['second_feeder']['name']} is a second feeder there, which was refused "
            f"({cluster['second_feeder']['event']}): run the playbook site, which disconnects it",
        )
        for host, cluster in members.items()
        if cluster.get("second_feeder") and not answer.mismatch(cluster["second_feeder"], answer.SECOND_FEEDER)
    ]
    return found + [
        (
            host,
            f"its state was last set by {cluster['feeder']['name']} ({cluster['feeder']['event']}), and rcron_feeder "
            f"is {feeder}: a second feeder; run the playbook site, which disconnects it",
        )
        for host, cluster in members.items()
        if feeder and cluster["conf"] == conf and cluster["feeder"] and cluster["feeder"]["name"] in known - {feeder}
    ]


def _disagreements(members: Mapping[str, Info]) -> list[tuple[str, str]]:
    found = _deviations(
        {host: cluster["version"] for host, cluster in members.items()}, lambda value: f"version {value}"
    )
    names = sorted({name for cluster in members.values() for name in cluster["settings"]} - set(OWN_SETTINGS))
    for name in names:
        values = {host: cluster["settings"].get(name) for host, cluster in members.items()}
        found += _deviations(values, lambda value, name=name: f"{name} = {value}")
    active = [host for host, cluster in members.items() if cluster["default_state"] == "active"]
    if len(active) > 1:
        what = f"default_state is active on {' and '.join(active)}; only one host may have that"
        found += [(host, what) for host in active]
    return found


def _deviations(values: Mapping[str, Hashable], show: Callable[[Any], str]) -> list[tuple[str, str]]:
    """Return the hosts whose value is not the most frequent one; of equally frequent ones, the first counts."""
    counted = Counter(values.values()).most_common()
    if len(counted) < 2:
        return []
    usual = counted[0][0]
    return [(host, f"{show(value)}, but {show(usual)} elsewhere") for host, value in values.items() if value != usual]


class Guarded(NamedTuple):
    """What must be the same on all hosts about a prefixed entry."""

    crontab: str
    user: str
    command: str
    takeover_wait: int | None
    job: str | None
    claim: str | None


def _guarded(info: Info, conf: str) -> set[Guarded]:
    return {
        Guarded(*(entry[name] for name in Guarded._fields))
        for entry in info["entries"]
        if entry["guarded"] and entry["conf"] == conf
    }


def _timers(hosts: Mapping[str, Info], confs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Report services and scripts that are guarded on some hosts only, or otherwise than on others."""
    guards = {}
    for host, conf in confs.items():
        guarded = {
            (timer["service"], timer["scope"], timer["takeover_wait"])
            for timer in hosts[host].get("timers", [])
            if timer["guarded"] and timer["conf"] == conf
        }
        guarded |= {
            (script["script"], "script", script["takeover_wait"])
            for script in hosts[host].get("scripts", [])
            if script["guarded"] and script["conf"] == conf
        }
        # Which instances of a template are loaded differs between hosts; the template's guard is theirs.
        guards[host] = {
            guard for guard in guarded if _of_template(guard) == guard or _of_template(guard) not in guarded
        }
    found = []
    for guard, having in _having(guards):
        wait = "" if guard[2] is None else f" (--takeover-wait {guard[2]})"
        what = f"the guard of {guard[0]}{wait} is missing here, but not on {', '.join(having)}"
        found += [(host, what) for host in guards if host not in having]
    return found


def _having(members: Mapping[str, Collection[Any]]) -> list[tuple[Any, list[str]]]:
    """Return what any host has, with the hosts that have it, in the order in which it is to be reported.

    What one host alone has, as many as it likes, comes last, and what it has first before the second of others: if not
    all is shown, no host keeps what the others lack out of sight.
    """
    having: dict[Any, list[str]] = {}
    for host, found in members.items():
        for each in found:
            having.setdefault(each, []).append(host)
    places: Counter[str] = Counter()
    ordered = []
    for each, hosts in sorted(having.items(), key=lambda item: str(item[0])):
        ordered.append((0 if len(hosts) > 1 else _count(places, hosts[0]), str(each), each, hosts))
    return [(each, hosts) for _place, _name, each, hosts in sorted(ordered, key=lambda item: item[:2])]


def _missed(hosts: Mapping[str, Info], cluster: str) -> list[tuple[str, str]]:
    """Report entries that were due, and that no host has started since, if all hosts keep metrics.

    One that keeps none is reported, or it would hide in silence what the others have missed.
    """
    silent = [host for host, info in hosts.items() if info.get("due") is None]
    if silent:
        what = "it gives no metrics, unlike other hosts: whether an entry that was due has been run is not known"
        return [] if len(silent) == len(hosts) else [(host, what) for host in silent]
    due: dict[str, dict[str, float]] = {}
    started: dict[str, float] = {}
    for host, info in hosts.items():
        for entry in info["due"]:
            if entry["cluster"] == cluster:
                if entry["due"] is not None:
                    due.setdefault(entry["entry"], {})[host] = entry["due"]
                started[entry["entry"]] = max(entry["started"] or 0.0, started.get(entry["entry"], 0.0))
    counts = Counter(host for of_hosts in due.values() for host in of_hosts)
    found = []
    for entry, of_hosts in sorted(due.items()):
        missed = [host for host, moment in of_hosts.items() if started[entry] < moment - EARLY]
        if missed:
            # Not a host that says so of thousands, of which not all are shown.
            host = min(missed, key=counts.__getitem__)
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(of_hosts[host]))
            found.append((host, f"{entry} was due {moment}, and no host has started it since"))
    return found


def _half_guarded(info: Info) -> list[str]:
    """Report jobs that a crontab entry and a timer run, if only one of the two is guarded."""
    timers = {timer["timer"]: timer for timer in info.get("timers", []) if timer["next"] is not None}
    found = []
    for entry in info["entries"]:
        for name in entry["timers"]:
            if name not in timers or timers[name]["guarded"] == entry["guarded"]:
                continue
            where = f"line {entry['line']} of {entry['crontab']}"
            if entry["guarded"]:
                found.append(f"{where} is prefixed, but {name} runs the job, too: add it to rcron_timers_units")
            elif not entry["ends_itself"]:
                found.append(f"{name} is guarded, but {where} runs the job, too: add it to rcron_crontab_entries")
    return found


def _of_template(guard: tuple[str, str, Any]) -> tuple[str, str, Any]:
    """Return the guard that an instance has by its template; of a service without an instance, its own."""
    return (re.sub(r"@.+(?=\.service\Z)", "@", guard[0]), *guard[1:])


def _unguarded_timers(tried: Info) -> list[str]:
    """Return what a deployment would change in a host's timers, or why it could not."""
    if "units" not in tried:
        return [_sentence(tried) or "the check of its timers gave no answer"]
    wrong = answer.mismatch(tried, answer.GUARDED)
    if wrong:
        return [f"its answer to the timers' check is not one of rcron_timers ({wrong})"]
    return [
        f"{unit['service']} is not guarded as rcron_timers_units says ({unit['path']})"
        for unit in tried["units"]
        if unit["changed"]
    ]


def _unguarded_scripts(tried: Info) -> list[str]:
    """Return what a deployment would change in a host's cron.daily and the like, or why it could not."""
    if "scripts" not in tried:
        return [_sentence(tried) or "the check of its scripts gave no answer"]
    wrong = answer.mismatch(tried, answer.SCRIPTS_GUARDED)
    if wrong:
        return [f"its answer to the scripts' check is not one of rcron_scripts ({wrong})"]
    return [
        f"{script['script']} is not guarded as rcron_scripts_paths says ({script['wrapper']})"
        for script in tried["scripts"]
        if script["changed"]
    ]


def _entries(members: Mapping[str, set[Guarded]]) -> list[tuple[str, str]]:
    found = []
    counts: Counter[tuple[str, str]] = Counter()
    for entry, having in _having(members):
        options = {"takeover-wait": entry.takeover_wait, "job": entry.job, "claim": entry.claim}
        given = " ".join(f"--{name} {value}" for name, value in options.items() if value is not None)
        given = given and f" ({given})"
        for host in members:
            if host not in having and _count(counts, (host, entry.crontab)) <= MOST_OF_A_CRONTAB:
                what = (
                    f"{entry.crontab}: the prefixed entry {entry.command!r}{given} is missing here, but not on "
                    f"{', '.join(having)}"
                )
                found.append((host, what))
    return found + [
        (host, f"{crontab}: and {number - MOST_OF_A_CRONTAB} more prefixed entries are missing here")
        for (host, crontab), number in counts.items()
        if number > MOST_OF_A_CRONTAB
    ]


def _strangers(hosts: Mapping[str, Info]) -> list[tuple[str, str]]:
    """Return the hosts that hear from somebody who takes part in the election, and is not one of them."""
    own = {address for info in hosts.values() for address in info.get("addresses", [])}
    return [
        (
            host,
            f"{source} {address}, which is none of the hosts that answered: one that has left the inventory "
            f"and still takes part (run the playbook remove on it), or another cluster with the same {number}",
        )
        for host, info in hosts.items()
        for source, addresses, number in (
            ("keepalived hears", info.get("heard", []), "virtual_router_id"),
            ("Corosync has the member", info.get("members", []), "key"),
            ("ucarp has the master", _carp_masters(info), "vhid"),
        )
        for address in addresses
        if own and address not in own
    ]


def _carp_masters(info: Info) -> list[str]:
    """Return the addresses of the masters that rcron-agent has seen ucarp's adverts from when it last looked."""
    words = map(_agents_words, info["clusters"])
    return [said.partition(" ")[0] for said in words if CARP_MASTER.fullmatch(said)]


def _agents_words(cluster: Info) -> str:
    """Return what rcron-agent said of a host's feeder when it last looked, "" if nothing."""
    given = (cluster.get("feeder") or {}).get("answer")
    return "" if answer.mismatch(given, {"words": str}) else str(given["words"])


def _clocks(hosts: Mapping[str, Info]) -> list[tuple[str, str]]:
    known = {host: info for host, info in hosts.items() if "clock_offset" in info}
    return [
        (host, f"its clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the others")
        for host, off in certainly_off(known, CLOCKS).items()
    ]


def rcron_problems(
    hosts: Mapping[str, Info],
    tried: Mapping[str, Info] | None = None,
    feeder: str | None = None,
    conf: str = "/etc/rcron/rcron.conf",
    timers: Mapping[str, Info] | None = None,
    scripts: Mapping[str, Info] | None = None,
) -> list[str]:
    """Report what is wrong with a cluster.

    Args:
        hosts: What rcron_info's task registered for each host, failures included.
        tried: What rcron_crontab in check mode registered for each host.
        feeder: The feeder that the cluster's inventory names; None if that is not known.
        conf: The cluster's rcron.conf.
        timers: What rcron_timers in check mode registered for each host.
        scripts: What rcron_scripts in check mode registered for each host.

    Returns:
        The lines of a table with a heading; nothing if nothing is wrong.

    Raises:
        AnsibleFilterError: `hosts` is not a dict.
    """
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"rcron_problems: {hosts!r}: pass a dict of hosts and rcron_info's results")
    found = problems(hosts, tried, feeder, conf, timers, scripts)
    # A long name would move what is wrong out of sight, for all hosts.
    rows = [(problem.host, table.cut(problem.cluster, LONGEST_NAME), problem.what) for problem in found]
    return table.lines(["HOST", "CLUSTER", "PROBLEM"], rows) if rows else []


class FilterModule:
    """The class that Ansible expects in a filter plugin."""

    def filters(self) -> dict[str, object]:
        """Return the filter by its name."""
        return {"rcron_problems": rcron_problems}
