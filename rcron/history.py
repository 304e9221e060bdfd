# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What `rcronctl history` shows: the runs that rcron-agent finds in its engine, and those that it misses there."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from rcron import claim, entries, log, metrics, schedule, services, status
from rcron.agent.engines import FARTHEST
from rcron.settings import OFF, Config

#: How many runs are asked for at a time, and how many are shown if no time is given.
PAGE = 500
LATEST = 100

#: How many runs are looked at for the last one of each job.
MOST = 5000

#: How many seconds back an engine has every claim for certain, whatever its agents have removed.
KEPT = 86400

MINUTE = 60

#: How much another node's clock may differ, in seconds, so that older runs need not be read.
CLOCKS = 3600

#: How long the agent may take for a page, in seconds.
PATIENCE = 35.0

#: The longest page, in bytes, and about so much all pages: the socket may be that of the state's folder's owner.
MAX_PAGE = 1 << 22
MAX_ALL = 1 << 29

#: How many times are looked at, at which entries of one user other than root were due: of whoever has thousands, due
#: each minute, not all are.
MOST_DUE = 200_000

#: How much of what is not an answer is shown, in characters.
SHOWN = 200


class NoAnswerError(Exception):
    """The ledger cannot be asked. The text says why, for a person."""


def lines(
    config: Config, job: str, seconds: "int | None", wanted: str, as_json: bool, last: bool = False
) -> "Iterator[str]":
    """Return one line for each run, the newest first.

    Args:
        config: The cluster's.
        job: Only this job; an empty string for all.
        seconds: Only runs of so long ago at most; None for the last LATEST runs.
        wanted: `failed`, `unfinished`, or an empty string for all.
        as_json: Whether each line is to be a JSON object.
        last: Whether only the last of each job's runs is wanted, among the last MOST.

    Yields:
        The lines, with one that names the columns first if they are for people.

    Raises:
        NoAnswerError: The ledger cannot be asked.
    """
    page = _page(config, job, "")
    if not as_json:
        yield f"{'STARTED':<25} {'NODE':<12} {'USER':<10} {'OUTCOME':<22} JOB"
    shown = 0
    seen = set()
    for number, run in enumerate(_runs(config, job, page)):
        if (seconds is not None and run["at"] < time.time() - seconds) or (last and number >= MOST):
            return
        if last and (run["user"], run["job"]) in seen:
            continue
        seen.add((run["user"], run["job"]))
        if wanted and outcome(run)[0] != wanted:
            continue
        yield json.dumps(run) if as_json else _row(run)
        shown += 1
        if seconds is None and not last and shown >= LATEST:
            return


def missed(config: Config, job: str, seconds: "int | None", as_json: bool) -> "Iterator[str]":
    """Return one line for each time at which an entry of this node was due, and no node ran it; the latest first.

    Only entries and guarded services whose runs are claimed by their minutes are looked at, since the last change of
    their crontab or units and of the configuration, and as long ago as the engine has each claim.

    Args:
        config: The cluster's.
        job: Only this job; an empty string for all.
        seconds: Only what was due so long ago at most; None for a day.
        as_json: Whether each line is to be a JSON object.

    Yields:
        The lines, with one that names the columns first if they are for people.

    Raises:
        NoAnswerError: The ledger cannot be asked.
        OSError: A crontab cannot be read.
    """
    now = time.time()
    begin = now - (KEPT if seconds is None else seconds)
    #: When each run was claimed, and whether nobody has run it.
    fires: "dict[tuple[str, str], dict[str, tuple[int, bool]]]" = {}
    for run in _runs(config, job, _page(config, job, "")):
        fires.setdefault((run["user"], run["job"]), {})[run["fire"]] = run["at"], run["gave_up"]
        if run["at"] < begin - CLOCKS:
            break
    found: "list[tuple[float, entries.Entry, bool]]" = []
    left: "dict[int, int]" = {}
    conf = os.path.abspath(config.path)
    guarded = services.find()
    timers = services.timers() if guarded else {}
    for entry in [*entries.find(), *guarded]:
        if entry.conf == conf and entry.job and job in ("", entry.job) and (entry.claim or config.claim) != OFF:
            runs = fires.get((entry.user, entry.job), {})
            oldest = min((at for at, _gave_up in runs.values()), default=now)
            timer = None if entry.schedule else timers.get(entry.name)
            spread = None if timer is None else timer.spread
            for due in _times(config, entry, timer, begin, now, oldest):
                if entry.uid and left.setdefault(entry.uid, MOST_DUE) <= 0:
                    log.warning(config, f"history: {entry.user} has too many entries: not all are looked at")
                    break
                left[entry.uid] = left.get(entry.uid, 0) - 1
                started = _run_at(runs, due, spread)
                if started is None or started[1]:
                    found.append((due, entry, started is not None))
    if not as_json:
        yield f"{'DUE':<25} {'USER':<10} {'OUTCOME':<22} JOB"
    for due, entry, is_late in sorted(found, key=lambda each: (-each[0], each[1].name)):
        if as_json:
            place = {"crontab": entry.crontab, "line": entry.line}
            yield json.dumps({"due": int(due), "user": entry.user, "job": entry.job, "entry": entry.name, **place})
        else:
            what = "not run: found late" if is_late else "no node ran it"
            yield log.one_line(f"{status.moment(due):<25} {entry.user:<10} {what:<22} {entry.name}")


def _run_at(runs: "dict[str, tuple[int, bool]]", due: float, spread: "float | None") -> "tuple[int, bool] | None":
    """Return the run of a time at which an entry was due.

    Args:
        runs: The entry's runs by their fires.
        due: When, in seconds since the epoch.
        spread: By how many seconds a timer may be later, on each node by others; None for a crontab's entry.
    """
    if spread is None:
        return runs.get(str(int(due)))
    first = int(due) // MINUTE * MINUTE
    minutes = range(first, int(due + spread) + MINUTE + 1, MINUTE)
    if len(minutes) > len(runs):
        fires = [fire for fire in runs if fire.isdecimal() and first <= int(fire) <= minutes[-1]]
    else:
        fires = [str(minute) for minute in minutes if str(minute) in runs]
    # One that somebody ran counts more than one that nobody did.
    return min((runs[fire] for fire in fires), key=lambda run: run[1], default=None)


def _times(
    config: Config, entry: entries.Entry, timer: "services.Timer | None", begin: float, now: float, oldest: float
) -> "Iterator[float]":
    """Return when an entry was due since it is as it is, as far as its run must be in the ledger, the latest first.

    Args:
        config: The cluster's.
        entry: The entry.
        timer: What starts it if it is a service.
        begin: Since when, in seconds since the epoch.
        now: This moment, likewise.
        oldest: When the oldest of its runs that is known was claimed, likewise.
    """
    try:
        changed = max(os.stat(path).st_mtime for path in (entry.crontab, config.path))
    except FileNotFoundError:
        return  # removed since
    begin = max(begin, changed, min(now - KEPT, oldest))
    wait = config.takeover_wait if entry.takeover_wait is None else entry.takeover_wait
    moment = now - metrics.GRACE - wait - config.claim_wait
    if timer is not None:
        yield from services.times(timer, max(begin, timer.changed), moment - timer.spread)
    known = metrics.times(entry)
    while known is not None:
        due = schedule.last_due(known[0], moment, known[1])
        if due is None or due < begin:
            return
        yield due
        moment = due - 1


def outcome(run: "dict[str, Any]") -> "tuple[str, str]":
    """Return how a run ended.

    Args:
        run: As the agent returns it.

    Returns:
        `ok`, `failed` or `unfinished`, and the same for a person.
    """
    if run["gave_up"]:
        return "failed", "not run: found late"
    if run["exit"] is None:
        return "unfinished", "no end known"
    if run["exit"]:
        return "failed", f"exit {run['exit']} after {status.span(run['duration'] or 0)}"
    return "ok", f"ok after {status.span(run['duration'] or 0)}"


def _row(run: "dict[str, Any]") -> str:
    name = run["command"] if run["job"].startswith("~") and run["command"] else run["job"]
    columns = f"{status.moment(run['at']):<25} {run['node']:<12} {run['user']:<10} {outcome(run)[1]:<22} {name}"
    return log.one_line(columns)


def _runs(config: Config, job: str, page: "list[dict[str, Any]]") -> "Iterator[dict[str, Any]]":
    """Return the runs of a page, and of those that follow it."""
    left = MAX_ALL
    while True:
        head, *runs = page
        yield from runs
        before = str(head.get("more") or "")
        if not before:
            return
        left -= sum(len(text) for run in runs for text in run.values() if isinstance(text, str)) + len(before) + 100
        if left <= 0:
            raise NoAnswerError("rcron-agent: an answer that does not end")
        page = _page(config, job, before)


def _page(config: Config, job: str, before: str) -> "list[dict[str, Any]]":
    parts = ("history", f"cluster={config.cluster_name}", f"job={job}", f"limit={PAGE}", f"before={before}")
    deadline = time.monotonic() + PATIENCE
    try:
        socket = claim.connect(config, deadline)
        try:
            socket.sendall("\0".join(parts).encode("utf-8", "backslashreplace") + b"\n")
            data = b""
            while chunk := socket.recv(65536):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NoAnswerError("rcron-agent: no answer in time")
                socket.settimeout(left)
                data += chunk
                if len(data) > MAX_PAGE:
                    raise NoAnswerError("rcron-agent: an answer that is too long")
                head, newline, rest = data.partition(b"\n")
                if newline and rest.count(b"\n") >= _rows(head):
                    break
        finally:
            socket.close()
        found = [json.loads(line) for line in data.splitlines()]
    except OSError as error:
        raise NoAnswerError(f"rcron-agent: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        words = data.decode("utf-8", "replace").rstrip("\n").split("\0")
        raise NoAnswerError(f"rcron-agent: {words[-1][:SHOWN]}") from None
    if not found or not all(isinstance(row, dict) for row in found):
        raise NoAnswerError("rcron-agent: no answer")
    if "error" in found[0]:
        raise NoAnswerError(str(found[0]["error"])[:SHOWN])
    if not all(map(_is_run, found[1:])):
        raise NoAnswerError("rcron-agent: an answer that is not the ledger's")
    return found


def _is_run(row: "dict[str, Any]") -> bool:
    """Return whether a line of an answer is what an agent says of a run. Not everybody who answers is one."""
    words = [row.get(name) for name in ("user", "job", "fire", "node", "command")]
    numbers = [row.get("at"), *(row[name] for name in ("exit", "duration") if row.get(name) is not None)]
    return (
        all(isinstance(word, str) for word in words)
        and all(isinstance(number, (int, float)) and abs(number) <= FARTHEST for number in numbers)
        and isinstance(row.get("gave_up"), bool)
    )


def _rows(head: bytes) -> int:
    """Return how many lines follow the first one, which is the agent's own."""
    try:
        return int(json.loads(head).get("rows", 0))
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        return 0
