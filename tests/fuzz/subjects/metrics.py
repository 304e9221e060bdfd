# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What root reads for `rcronctl metrics`: users' crontabs, their jobs' log lines, a syslog file, and the counters.

Whatever they hold, the answer is in Prometheus' text format, each series comes once, no argument of an entry is shown,
and no user's line counts for another user's entry.
"""

from __future__ import annotations

import os
import pwd
import re
from unittest import mock

from hypothesis import strategies as st

from rcron import entries, journal, metrics, schedule
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: https://prometheus.io/docs/instrumenting/exposition_formats/
SAMPLE = re.compile(
    r'(rcron_[a-z_]+\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\}) -?[0-9]+(\.[0-9]+)?'
)

#: An argument that no answer shows: no metric and no name has it.
SECRET = "s3cr3t"

NODE = Node()
ME = pwd.getpwuid(os.geteuid()).pw_name


def holds(crontab: bytes, text: bytes, syslog: bytes, counters: bytes, is_system: bool) -> None:
    """text: a log line of the journal's. syslog: a file's bytes. counters: the file's."""
    NODE.become(b"active\n")
    counters_file, syslog_file = f"{NODE.folder}/metrics.json", f"{NODE.folder}/cron.log"
    NODE.put(counters_file, counters)
    NODE.put(syslog_file, syslog)
    held = crontab.decode("utf-8", "surrogateescape").replace("CONF", NODE.conf)
    found = list(entries.entries(held, "/etc/cron.d/app", None if is_system else ME))
    now = 1764000000.0
    for entry in found:
        assert entry.name.isprintable(), f"a name is printable: {entry.name!r}"
        times = schedule.parse(entry.schedule)
        due = None if times is None else schedule.last_due(times, now)
        assert due is None or due <= now, f"an entry was last due in the past, and not at {due}"

    cluster = metrics.Cluster(NODE.conf)
    index = entries.Index(found, {NODE.conf: "c1"})
    stranger = max((entry.uid for entry in found), default=0) + 1
    own = [each for each in found if each.conf == NODE.conf]
    logged = [f"cluster=c1 state=active status=ok dur=1 exit=0 cmd={each.command}".replace("\0", "x") for each in own]
    for entry, line in zip(own, logged):
        counted = metrics.Counted({}, {}, {})
        counted.count([journal.Line(now, entry.uid, line)], [cluster], index)
        assert len(counted.jobs) == 1, f"its user's line counts for an entry: {line!r}"
    counted = metrics.Counted({}, {}, {})
    lines = [*logged, text.decode("utf-8", "backslashreplace")]
    counted.count([journal.Line(now, stranger, line) for line in lines], [cluster], index)
    assert (counted.changes, counted.jobs) == ({}, {}), "a stranger's line counts for nobody"

    with mock.patch.object(journal.Reader, "_has_journal", return_value=False):
        for _turn in range(2):
            answer = metrics.text(metrics.collect([NODE.conf], found, counters_file, [syslog_file]))
    shown = [each for each in answer.splitlines() if not each.startswith("# ")]
    series = []
    for each in shown:
        match = SAMPLE.fullmatch(each)
        assert match, f"a line of the answer is a sample: {each!r}"
        series.append(match[1])
    assert len(series) == len(set(series)), "each series comes once"
    names = {entry.name for entry in found}
    if not any(SECRET in name for name in names):
        assert SECRET not in answer, "no argument is shown"


_FIELDS = st.sampled_from(["*", "*/5", "0", "59", "1-5", "60", "mon", "jan-dec", "5/10", "0~9", "*/0", "7", "-", "L"])
_SCHEDULES = st.lists(_FIELDS, min_size=4, max_size=6).map(" ".join) | st.sampled_from(
    ["@daily", "@reboot", "@x", "-@hourly"]
)
_JOBS = st.lists(
    st.sampled_from(
        ["job", "a b", "'", '"', "$X", "$(date)", "`x`", "\\", "%", "\\%", "*", ";", "|", ">", "#", " ", SECRET]
    ),
    max_size=6,
).map("".join)
_COMMANDS = st.tuples(
    st.sampled_from(
        ["rcron --conf CONF ", "/usr/bin/rcron --conf=CONF -c ", "rcron ", "rcron --takeover-wait 5 --conf CONF ", ""]
    ),
    _JOBS,
).map("".join)
_NAMES = st.sampled_from(
    ["", "#Ansible: a\n", "#Ansible: a\x1b\n", '#Ansible: "\\\n', "CRON_TZ=UTC\n", "A=b\n", "MAILTO='\n"]
)
_LINES = st.tuples(_NAMES, st.just("* * * * *") | _SCHEDULES, st.sampled_from([" ", f" {ME} ", "\t"]), _COMMANDS).map(
    "".join
)
_STATUSES = ["start", "ok", "fail", "demoted", "ignore", "stale", "changed", "x"]
_LOGGED = st.tuples(
    st.sampled_from(["cluster=c1 ", "cluster=c2 ", ""]),
    st.sampled_from(["state=active ", "state=passive pin=unpin ", ""]),
    st.sampled_from(_STATUSES).map(lambda status: f"status={status} "),
    st.sampled_from(["dur=3 exit=0 ", "dur=x exit=99999999999999999999 ", "reason=\x00 ", 'reason=" ', "event=a:b "]),
    st.sampled_from(["cmd=", ""]),
    _JOBS,
).map("".join)
_SYSLOG = st.tuples(
    st.sampled_from(["2026-11-28T10:00:00Z", "Nov 28 10:00:00", "Feb 30 25:61:61", "9999-99-99Tx"]), _LOGGED
).map(lambda pair: f"{pair[0]} {os.uname().nodename} rcron[1]: {pair[1]}\n")
_COUNTERS = st.sampled_from(
    [
        b"", b"{}", b"[]", b"null", b'{"position":{},"changes":{},"jobs":{}}',
        b'{"position":{"inode":1,"offset":"x"},"changes":{"c1":3},"jobs":{"c1\\na":{"runs":{"ok":1},"seen":{"x":1}}}}',
        b'{"position":{"inode":1,"offset":-5},"changes":{},"jobs":{"c1\\na":{"started":1e300}}}',
        b'{"position":[],"changes":[],"jobs":[]}',
    ]
)  # fmt: skip


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _from_bytes(data: bytes) -> tuple[bytes, bytes, bytes, bytes, bool]:
    crontab, text, syslog, counters, *_more = [*data.split(b"\1"), b"", b"", b""]
    return crontab, text, syslog, counters, len(data) % 2 == 0


SUBJECT = Subject(
    holds=holds,
    cases=st.tuples(
        st.lists(_LINES, max_size=6).map("\n".join).map(_encoded),
        _LOGGED.map(_encoded),
        st.lists(_SYSLOG, max_size=4).map("".join).map(_encoded),
        _COUNTERS,
        st.booleans(),
    ),
    from_bytes=_from_bytes,
    seeds=lambda: (
        b"#Ansible: a\n*/5 * * * 1 rcron --conf CONF a s3cr3t\n\1cluster=c1 state=active status=ok dur=1 exit=0 cmd=a",
        b"@daily root rcron --conf CONF -c 'a | b %x'\1\x012026-11-28T10:00:00Z x rcron[1]: cluster=c1 state=\1{}",
        b'5 0 * jan-mar mon root rcron --conf CONF "$A" \\x\1cluster=c1 state=active status=changed event=x\1\1[]',
    ),
    words=(
        b"rcron --conf CONF ",
        b"* * * * * ",
        b"cluster=c1 ",
        b"status=",
        b" cmd=",
        b"#Ansible: ",
        b"\1",
        b"$",
        b"'",
    ),
    examples=200,
    runs=1000,
)
