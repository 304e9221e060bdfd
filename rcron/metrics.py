# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""`rcronctl metrics`: this node's clusters and their entries in Prometheus' text format.

Jobs do nothing for it: what they log is read from the journal, and what was counted so far is kept in a file. A series
names an entry, and never shows its arguments, which may be secret.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import datetime
import errno
import fcntl
import glob
import itertools
import json
import os
import posix
import stat
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

from rcron import __version__, claim, entries, files, schedule, services, state, status
from rcron.journal import SYSLOG_FILES, Line, Reader
from rcron.settings import ACTIVE, PASSIVE, Config, ConfigError, load

#: How many lines of the log are counted at a time, so that nobody's make it last too long: the next run goes on.
MOST_LINES = 200_000

#: How many links may lead to the folder of a textfile, as in the kernel.
MOST_LINKS = 40

#: The largest file of counters, in bytes: about 50,000 entries.
MAX_COUNTERS = 1 << 25

#: What is known of a job in more than one number.
_COUNTS = ("runs", "ignored", "seen")

#: More than any time in seconds that a file of counters may hold.
_FARTHEST = 1e12

#: A run that was due is not missed before so many seconds have passed: cron, the job and the log take their time.
GRACE = 60

#: By how many seconds other nodes' clocks may be behind when a timer elapses there.
_CLOCKS = 5

#: The daemon that knows CRON_TZ: cronie is called so, and Debian's cron is not.
_CRONIE = "/usr/sbin/crond"

#: What the answers to claims are called here.
_RESULTS = {claim.MINE: "won", claim.OTHER: "lost", claim.UNKNOWN: "unknown"}

#: How many seconds rcron-agent has for its answer.
_PATIENCE = 3.0

_SOURCES = (state.FILE, state.PIN, state.STALE, state.AGENT, state.DEFAULT)

#: Each metric's type and help, in the order in which they are printed.
METRICS = {
    "rcron_conf_valid": ("gauge", "Whether the configuration can be used; no job of its cluster runs if not."),
    "rcron_info": ("gauge", "Version, configuration and feeder of a cluster on this node."),
    "rcron_active": ("gauge", "Whether this node is active."),
    "rcron_state_source": ("gauge", "What decides the state."),
    "rcron_state_since_timestamp_seconds": ("gauge", "When the feeder gave the state."),
    "rcron_state_changes_total": ("counter", "Changes of the state by a feeder or by rcronctl set."),
    "rcron_feeder_spoke_timestamp_seconds": ("gauge", "When the feeder last spoke."),
    "rcron_feeder_alive": ("gauge", "Whether rcron-agent, which asks the feeder, lives; absent if a hook spoke last."),
    "rcron_pinned": ("gauge", "Whether the node is pinned to this state."),
    "rcron_pin_set_timestamp_seconds": ("gauge", "When the pin was set; absent if there is none."),
    "rcron_engine_up": (
        "gauge",
        "Whether runs can be claimed: rcron-agent and its engine answer; absent if none are claimed.",
    ),
    "rcron_claims_total": (
        "counter",
        "Claims of this node by their answers: won, lost to another node, or unknown.",
    ),
    "rcron_claim_seconds_total": ("counter", "How long these answers took, all together."),
    "rcron_entry_info": ("gauge", "Where an entry is: a crontab and its line."),
    "rcron_entry_due_timestamp_seconds": (
        "gauge",
        "When the entry was last due, by its schedule; absent until it was since this node has it.",
    ),
    "rcron_entry_last_start_timestamp_seconds": ("gauge", "When the entry's job last started on this node."),
    "rcron_entry_last_success_timestamp_seconds": ("gauge", "When it last ended with exit status 0 on this node."),
    "rcron_entry_last_duration_seconds": ("gauge", "How long its last finished run on this node took."),
    "rcron_entry_last_exit_status": ("gauge", "The exit status of its last finished run on this node."),
    "rcron_entry_runs_total": ("counter", "Its finished runs on this node, ok or fail."),
    "rcron_entry_demotions_total": ("counter", "Its runs that were ended because this node turned passive."),
    "rcron_entry_ignored_total": ("counter", "Its runs that were ignored on this node."),
}


class Counted:
    """What was counted so far, from the log.

    Attributes:
        position (dict[str, Any]): where the log is read on.
        changes (dict[str, int]): for each cluster, how often its state changed.
        jobs (dict[str, dict[str, Any]]): for each `CLUSTER\\nENTRY`, what is known of its runs.
    """

    def __init__(
        self, position: "dict[str, Any]", changes: "dict[str, int]", jobs: "dict[str, dict[str, Any]]"
    ) -> None:
        self.position = position
        self.changes = changes
        self.jobs = jobs

    @classmethod
    def read(cls, path: str) -> "Counted":
        """Read what was counted so far; nothing if there is no such file, or if it cannot be used.

        Args:
            path: the file's name.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            data, _modified = files.read_trusted(path, MAX_COUNTERS, (0, posix.geteuid()))
            found = json.loads(data)
            return cls(dict(found["position"]), _numbers(found["changes"]), _jobs(found["jobs"]))
        except FileNotFoundError:
            return cls({}, {}, {})
        except (files.UntrustedError, ValueError, KeyError, TypeError, AttributeError):
            return cls({}, {}, {})  # counted anew from what the log has: Prometheus knows counters that begin anew

    def write(self, path: str) -> None:
        """Keep it.

        Args:
            path: the file's name.

        Raises:
            OSError: the file cannot be written.
        """
        kept = {"position": self.position, "changes": self.changes, "jobs": self.jobs}
        files.replace(path, json.dumps(kept, separators=(",", ":")) + "\n")

    def count(self, lines: "Iterable[Line]", clusters: "Iterable[Cluster]", index: entries.Index) -> None:
        """Count lines.

        Args:
            lines: the log's, the oldest first.
            clusters: the clusters; a line of another one is not counted.
            index: finds a line's entry.
        """
        feeders = {cluster.name: cluster.feeders for cluster in clusters}
        for line in lines:
            cluster = next((name for name in feeders if line.text.startswith(f"cluster={name} state=")), None)
            if cluster is None:
                continue
            fields, command = _read(line.text[len(f"cluster={cluster} ") :])
            outcome = fields.get("status", "")
            if command is None:
                # An entry's user may run rcron, but not say what the node is.
                if outcome == "changed" and (line.uid is None or line.uid in feeders[cluster]):
                    self.changes[cluster] = self.changes.get(cluster, 0) + 1
                continue
            entry = index.entry(cluster, command, line.uid)
            if entry is not None:
                self._count_job(self.jobs.setdefault(f"{cluster}\n{entry.name}", {}), outcome, fields, line.when)

    def _count_job(self, job: "dict[str, Any]", outcome: str, fields: "dict[str, str]", when: float) -> None:
        if outcome == "start":
            job["started"] = when
        elif outcome in ("ok", "fail"):
            _one_more(job, "runs", outcome)
            if outcome == "ok":
                job["succeeded"] = when
            for name, field in (("duration", "dur"), ("exit", "exit")):
                if fields.get(field, "").isdecimal():
                    job[name] = int(fields[field][:9])
        elif outcome == "demoted":
            job["demotions"] = job.get("demotions", 0) + 1
        elif outcome in ("ignore", "stale"):
            _one_more(job, "ignored", "claimed" if "by" in fields else outcome)

    def seen_since(self, cluster: str, entry: entries.Entry, now: float) -> float:
        """Return since when this node has an entry with its present schedule, and note it if that is now.

        Args:
            cluster: the cluster's name.
            entry: the entry.
            now: this moment, in seconds since the epoch.
        """
        seen = self.jobs.setdefault(f"{cluster}\n{entry.name}", {}).setdefault("seen", {})
        return float(seen.setdefault(_schedule_key(entry), int(now)))

    def service_due(self, cluster: str, name: str, elapse: "services.Elapse | None", wait: int, now: float) -> None:
        """Note when a guarded service was due.

        It is known from before, since systemd says only when its timer elapses next.

        Args:
            cluster: the cluster's name.
            name: the service.
            elapse: when its timer elapses next; None if it does not.
            wait: the service's takeover_wait.
            now: this moment, in seconds since the epoch.
        """
        job = self.jobs.setdefault(f"{cluster}\n{name}", {})
        coming = job.get("coming")
        if coming is not None and coming + GRACE + wait <= now:
            job["due"] = coming - job.get("spread", 0) - _CLOCKS
            coming = None
        if coming is None or coming > now:
            job.pop("coming", None)
            if elapse is not None and elapse.when > now:
                job["coming"], job["spread"] = elapse.when, elapse.spread

    def keep_only(self, found: "dict[str, list[entries.Entry]]") -> None:
        """Forget the clusters, entries and schedules that are not there any more.

        Args:
            found: the entries of each cluster.
        """
        schedules: "dict[str, set[str]]" = {}
        for cluster, own in found.items():
            for entry in own:
                schedules.setdefault(f"{cluster}\n{entry.name}", set()).add(_schedule_key(entry))
        self.changes = {name: count for name, count in self.changes.items() if name in found}
        self.jobs = {name: job for name, job in self.jobs.items() if name in schedules}
        for name, job in self.jobs.items():
            job["seen"] = {key: when for key, when in job.get("seen", {}).items() if key in schedules[name]}


def _schedule_key(entry: entries.Entry) -> str:
    return f"{entry.schedule} {entry.zone}"


def _due(entry: entries.Entry, wait: int, now: float) -> "float | None":
    """Return when an entry was last due, long enough ago for its run to be in the log.

    Args:
        entry: the entry.
        wait: the cluster's takeover_wait.
        now: this moment, in seconds since the epoch.
    """
    known = times(entry)
    if known is None:
        return None
    wait = wait if entry.takeover_wait is None else entry.takeover_wait
    return schedule.last_due(known[0], now - GRACE - wait, known[1])


def times(entry: entries.Entry) -> "Optional[tuple[schedule.Schedule, Optional[datetime.tzinfo]]]":
    """Return when an entry is due: its schedule, and the time zone unless it is this machine's.

    Args:
        entry: the entry.

    Returns:
        Both; None if they are not known.
    """
    parsed = schedule.parse(entry.schedule)
    if parsed is None or not entry.zone or not os.path.exists(_CRONIE):
        return parsed and (parsed, None)
    import zoneinfo  # only then: Debian's python3-minimal lacks it

    try:
        return parsed, zoneinfo.ZoneInfo(entry.zone)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return None


def _one_more(job: "dict[str, Any]", name: str, key: str) -> None:
    counts = job.setdefault(name, {})
    counts[key] = counts.get(key, 0) + 1


def _numbers(found: "dict[str, Any]") -> "dict[str, int]":
    return {str(name): int(count) for name, count in found.items()}


def _jobs(found: "dict[str, Any]") -> "dict[str, dict[str, Any]]":
    return {str(name): {key: _of_job(key, value) for key, value in job.items()} for name, job in found.items()}


def _of_job(key: str, value: Any) -> Any:
    """Return one thing that is known of a job, in the type that it has. Raises ValueError or AttributeError."""
    if key in _COUNTS:
        return _numbers(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_FARTHEST < value < _FARTHEST:
        raise ValueError(f"{key} is {value!r}")  # nan, too, is not in between
    return value


def _read(text: str) -> "tuple[dict[str, str], str | None]":
    """Read a log line after `cluster=C`. Returns the fields, and the job's command, or None if it is about a state."""
    head, has_command, command = text.partition(" cmd=")
    fields = dict(word.partition("=")[::2] for word in head.split())
    return fields, None if "event" in fields or "until" in fields or not has_command else command


class Cluster:
    """A cluster of this node.

    Attributes:
        conf (str): its configuration's path.
        config (Config | None): the same, read; None if it cannot be used.
        name (str): its name; empty if that is not known.
        feeders (set[int]): the users who may set its state.
    """

    def __init__(self, conf: str) -> None:
        self.conf = conf
        self.config: Config | None = None
        self.name = ""
        self.feeders = {0}
        try:
            self.config = load(conf)
        except ConfigError:
            return
        self.name = self.config.cluster_name
        try:
            self.feeders.add(os.stat(files.folder_of(self.config.state_file)).st_uid)
        except OSError:
            pass


class Sample(NamedTuple):
    """One line of the answer.

    Attributes:
        metric (str): its name.
        labels (dict[str, str]): its labels.
        value (float): the value.
    """

    metric: str
    labels: "dict[str, str]"
    value: float


def _state_samples(cluster: Cluster) -> "Iterator[Sample]":
    config = cluster.config
    yield Sample("rcron_conf_valid", {"conf": cluster.conf}, config is not None)
    if config is None:
        return
    facts = status.facts(config)
    labels = {"cluster_name": cluster.name}
    feeder = facts["feeder"]
    name = feeder["name"] if feeder else ""
    yield Sample("rcron_info", {**labels, "version": __version__, "conf": cluster.conf, "feeder": name}, 1)
    yield Sample("rcron_active", labels, facts["state"] == ACTIVE)
    for source in _SOURCES:
        yield Sample("rcron_state_source", {**labels, "source": source}, facts["source"] == source)
    if facts["since"] is not None:
        yield Sample("rcron_state_since_timestamp_seconds", labels, facts["since"])
    if feeder:
        yield Sample("rcron_feeder_spoke_timestamp_seconds", labels, feeder["spoke"])
        if feeder["alive"] is not None:
            yield Sample("rcron_feeder_alive", {**labels, "feeder": name}, feeder["alive"])
    if facts["claims"] is not None:
        yield Sample("rcron_engine_up", labels, facts["claims"]["ok"])
        yield from _claim_samples(config, labels)
    held = facts["pin"]
    for word in (ACTIVE, PASSIVE):
        yield Sample("rcron_pinned", {**labels, "state": word}, held is not None and held["state"] == word)
    if held is not None:
        try:
            yield Sample("rcron_pin_set_timestamp_seconds", labels, os.stat(config.pin_file).st_mtime)
        except OSError:
            pass  # removed since


def _claim_samples(config: Config, labels: "dict[str, str]") -> "Iterator[Sample]":
    """Ask rcron-agent how it has answered this node's claims. An older one does not know."""
    parts = f"counts\0cluster={config.cluster_name}\n".encode("utf-8", "backslashreplace")
    try:
        word, *counts = claim.exchange(config, parts, time.monotonic() + _PATIENCE)
        found = {name: float(count) for name, _equals, count in (each.partition("=") for each in counts)}
    except (OSError, ValueError):
        return
    # Whoever owns the state's folder may have put an agent of his own there.
    if word != "ok" or not all(0 <= count < _FARTHEST for count in found.values()):
        return
    for answer, result in _RESULTS.items():
        if answer in found:
            yield Sample("rcron_claims_total", {**labels, "result": result}, found[answer])
    if "seconds" in found:
        yield Sample("rcron_claim_seconds_total", labels, found["seconds"])


def _entry_samples(
    cluster: str, found: "list[entries.Entry]", counted: Counted, wait: int, elapses: "dict[str, services.Elapse]"
) -> "Iterator[Sample]":
    now = time.time()
    due: "dict[str, float]" = {}
    for entry in found:
        if not entry.schedule:
            patience = wait if entry.takeover_wait is None else entry.takeover_wait
            counted.service_due(cluster, entry.name, elapses.get(entry.name), patience, now)
            moment = counted.jobs[f"{cluster}\n{entry.name}"].get("due")
            if moment is not None:
                due[entry.name] = moment
            continue
        moment = _due(entry, wait, now)
        # A new entry was due before it was there, and so was one whose schedule was changed.
        if moment is not None and moment >= counted.seen_since(cluster, entry, now):
            due[entry.name] = max(moment, due.get(entry.name, 0.0))
    of_name: "dict[str, list[entries.Entry]]" = {}
    for entry in found:
        of_name.setdefault(entry.name, []).append(entry)
    for name, those in sorted(of_name.items()):
        labels = {"cluster_name": cluster, "entry": name}
        for entry in those:
            yield Sample("rcron_entry_info", {**labels, "crontab": entry.crontab, "line": str(entry.line)}, 1)
        if name in due:
            yield Sample("rcron_entry_due_timestamp_seconds", labels, due[name])
        job = counted.jobs.get(f"{cluster}\n{name}", {})
        for key, metric in (
            ("started", "rcron_entry_last_start_timestamp_seconds"),
            ("succeeded", "rcron_entry_last_success_timestamp_seconds"),
            ("duration", "rcron_entry_last_duration_seconds"),
            ("exit", "rcron_entry_last_exit_status"),
        ):
            if key in job:
                yield Sample(metric, labels, job[key])
        for outcome in ("ok", "fail"):
            yield Sample("rcron_entry_runs_total", {**labels, "status": outcome}, job.get("runs", {}).get(outcome, 0))
        yield Sample("rcron_entry_demotions_total", labels, job.get("demotions", 0))
        for reason, count in sorted({"ignore": 0, "stale": 0, **job.get("ignored", {})}.items()):
            yield Sample("rcron_entry_ignored_total", {**labels, "reason": reason}, count)


def _counted_samples(
    cluster: str, found: "list[entries.Entry]", counted: Counted, wait: int, elapses: "dict[str, services.Elapse]"
) -> "Iterator[Sample]":
    yield Sample("rcron_state_changes_total", {"cluster_name": cluster}, counted.changes.get(cluster, 0))
    yield from _entry_samples(cluster, found, counted, wait, elapses)


def text(samples: "Iterable[Sample]") -> str:
    """Return samples in Prometheus' text format, sorted by metric.

    Args:
        samples: the samples.
    """
    grouped: "dict[str, list[Sample]]" = {}
    for sample in samples:
        grouped.setdefault(sample.metric, []).append(sample)
    lines = []
    for metric, (kind, about) in METRICS.items():
        if metric not in grouped:
            continue
        lines += [f"# HELP {metric} {about}", f"# TYPE {metric} {kind}"]
        series: "dict[str, float]" = {}
        for sample in grouped[metric]:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
            name = metric + "{" + labels + "}"
            # Two configurations may name the same cluster. A series that comes twice would cost all of them.
            series.setdefault(name, sample.value)
        lines += [f"{name} {_number(value)}" for name, value in series.items()]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    plain = value.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def collect(
    confs: "Iterable[str]", found: "list[entries.Entry]", counters: str, syslog_files: "Iterable[str]"
) -> "list[Sample]":
    """Count what was logged since the last time, keep it, and return everything.

    Args:
        confs: the clusters' configurations.
        found: the entries of all crontabs, and the guarded services.
        counters: the file that the counters are kept in.
        syslog_files: read if there is no journal.

    Raises:
        OSError: the counters cannot be kept, or the log cannot be read.
    """
    clusters = [Cluster(conf) for conf in confs]
    names = {cluster.conf: cluster.name for cluster in clusters if cluster.config is not None}
    waits = {cluster.name: cluster.config.takeover_wait for cluster in clusters if cluster.config is not None}
    of_cluster: "dict[str, list[entries.Entry]]" = {name: [] for name in names.values()}
    for entry in found:
        if entry.conf in names:
            of_cluster[names[entry.conf]].append(entry)
    elapses = services.elapses() if any(not entry.schedule for entry in found) else {}
    _make_folder(os.path.dirname(counters))
    lock = posix.open(f"{counters}.lock", posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody may look by hand at the same moment
        counted = Counted.read(counters)
        reader = Reader(counted.position, syslog_files)
        counted.count(itertools.islice(reader.lines(), MOST_LINES), clusters, entries.Index(found, names))
        counted.position = reader.position
        counted.keep_only(of_cluster)
        counted_samples = [
            sample
            for name, own in of_cluster.items()
            for sample in _counted_samples(name, own, counted, waits[name], elapses)
        ]
        counted.write(counters)
    finally:
        posix.close(lock)
    samples = [sample for cluster in clusters for sample in _state_samples(cluster)]
    return samples + counted_samples


def _make_folder(folder: str) -> None:
    """Make the folder of the counters, which is that of the pins too. Every user's jobs open pins there by name."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    os.chmod(folder, files.FOLDER_MODE)


def run(conf: str, textfile: "str | None", counters: str) -> None:
    """Print this node's metrics, or write them into a file.

    Args:
        conf: a configuration; all `*.conf` beside it are clusters of this node.
        textfile: the file, which is replaced; None for standard output.
        counters: the file that the counters are kept in.

    Raises:
        OSError: a crontab or the log cannot be read, or a file cannot be written.
    """
    conf = os.path.abspath(conf)
    confs = sorted({conf, *glob.glob(os.path.join(glob.escape(os.path.dirname(conf)), "*.conf"))})
    answer = text(collect(confs, [*entries.find(), *services.find()], counters, SYSLOG_FILES))
    if textfile is None:
        print(answer, end="")
    else:
        _replace(os.path.abspath(textfile), answer)


def _replace(path: str, answer: str) -> None:
    """Replace the textfile, in the very folder that root meant.

    The folder may be node_exporter's, and so may be the one above it: he could put a link in its place, and have root
    write anywhere.

    Args:
        path: the file's absolute path.
        answer: its new content.

    Raises:
        OSError: it cannot be written.
    """
    try:
        folder = _opened(os.path.dirname(path))
        try:
            files.replace(f"/proc/self/fd/{folder}/{os.path.basename(path)}", answer)
        finally:
            posix.close(folder)
    except OSError as error:
        error.filename = path
        raise


def _opened(path: str) -> int:
    """Return a descriptor of a folder, and follow no link on the way that lies in a folder of another user's.

    Args:
        path: the folder's absolute path.

    Raises:
        OSError: ELOOP if there is such a link; or the folder cannot be opened.
    """
    flags = posix.O_PATH | posix.O_CLOEXEC
    at = posix.open("/", flags)
    left = path.split("/")
    links = 0
    try:
        while left:
            part = left.pop(0)
            found = os.stat(part or ".", dir_fd=at, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                above = os.fstat(at)
                links += 1
                if above.st_uid not in (0, posix.geteuid()) or above.st_mode & 0o022 or links > MOST_LINKS:
                    raise OSError(errno.ELOOP, "another user could have the link lead anywhere", path)
                target = posix.readlink(part, dir_fd=at)
                left = target.split("/") + left
                part = "/" if target.startswith("/") else "."
            below = posix.open(part or ".", flags | posix.O_NOFOLLOW, dir_fd=at)
            posix.close(at)
            at = below
        if not stat.S_ISDIR(os.fstat(at).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    except OSError:
        posix.close(at)
        raise
    return at
