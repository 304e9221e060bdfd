# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The words that a feeder's hook is called with: a documented exit status, and a state only for a documented event.

`rcronctl feed` runs as a daemon would start it, but for what it would start itself: the process that a hook leaves
behind, Patroni's other callback, Heartbeat's and Pacemaker's commands.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from rcron import feeders
from rcron.feeders import heartbeat, pacemaker
from tests.fuzz.node import Node
from tests.fuzz.subject import Subject

#: rcronctl(8), EXIT STATUS: 64 wrong usage or no event, 73 not written, 78 configuration.
STATUSES = {0, 64, 73, 78}
#: Beyond those: Heartbeat's `status` answers as LSB says; of Pacemaker OCF's; 127 for a --then that cannot be started.
BEYOND = {"heartbeat": {3}, "pacemaker": {1, 3, 5, 7, 8}, "patroni": {127}}

NODE = Node()
MISSING = "missing.conf"
FIFO = "fifo"
OWN = "own.conf"  # the same cluster's, by another name
os.chdir(tempfile.mkdtemp(prefix="empty-"))


def meant(feeder: str, words: tuple[str, ...], environment: dict[str, str], before: str) -> str | None:
    """Return the state that a documented call gives; None for any other, which may change nothing.

    Each feeder's grammar is that of rcronctl(8), without the short forms of options that argparse takes besides.
    """
    options, rest = _options(feeder, words)
    if feeder == "keepalived":
        followed = [("INSTANCE", *name.partition("=")[::2]) for name in options.get("--instance", [])]
        followed += [("GROUP", *name.partition("=")[::2]) for name in options.get("--group", [])]
        ours = [(kind, name) for kind, name, conf in followed if conf in ("", NODE.conf)]
        event = ["INSTANCE", "VI_1", "MASTER", ""] if rest == [FIFO] else rest
        # Two cannot keep one state.
        if (
            len(event) not in (3, 4)
            or len(ours) != 1
            or ours[0] != (event[0], event[1])
            or not all(named for _kind, named, _conf in followed)
        ):
            return None
        return {"MASTER": "active", **dict.fromkeys(("BACKUP", "FAULT", "STOP", "DELETED"), "passive")}.get(event[2])
    if feeder in ("ucarp", "wackamole"):
        fits = len(rest) in (3, 4) if feeder == "ucarp" else len(rest) == 2
        return {"up": "active", "down": "passive"}.get(rest[0]) if fits else None
    if feeder == "patroni":
        if len(rest) != 3:
            return None
        action, role, _scope = rest
        if action == "on_stop":
            return "passive"
        if action not in ("on_start", "on_restart", "on_reload", "on_role_change"):
            return None
        if role in ("master", "primary", "promoted"):
            return None if action == "on_reload" else "active"
        return "passive" if role in ("replica", "standby_leader", "demoted", "uninitialized") else None
    if feeder == "heartbeat":
        if len(rest) == 2 and rest[0] == OWN:
            rest = rest[1:]
        told = {"start": "active", "stop": "passive", "resync": "active" if before == "passive" else "passive"}
        return told.get(rest[0]) if len(rest) == 1 else None
    if len(rest) != 1:
        return None
    promotable = environment.get("OCF_RESKEY_CRM_meta_promoted_max", "0") != "0"
    return {
        "start": "passive" if promotable else "active",
        "stop": "passive",
        **({"demote": "passive"} if promotable else {}),
    }.get(rest[0])


def _options(feeder: str, words: tuple[str, ...]) -> tuple[dict[str, list[str]], list[str]]:
    """Return a call's options and what follows them."""
    known = {"keepalived": ("--instance", "--group"), "patroni": ("--then", "--process"), "ucarp": ("--daemon",)}
    known["wackamole"] = known["ucarp"]
    found: dict[str, list[str]] = {}
    rest = list(words)
    while len(rest) > 1 and rest[0] in known.get(feeder, ()):
        found.setdefault(rest[0], []).append(rest[1])
        rest = rest[2:]
    return found, rest


def holds(feeder: str, words: tuple[str, ...], promotable: bool, valid: bool, before: str) -> None:
    environment = {
        "HA_RSCTMP": f"{NODE.folder}/tmp",
        "OCF_RESKEY_CRM_meta_promoted_max": str(int(promotable)),
        "OCF_RESOURCE_INSTANCE": "rcron:0",
    }
    NODE.become(before.encode() + b"\n")
    NODE.put(f"{NODE.folder}/tmp/rcron-rcron", None)
    NODE.put(FIFO, b'INSTANCE "VI_1" MASTER 100\n')
    # Heartbeat's answer to resync is the other state than before.
    asked = subprocess.CompletedProcess([], 0, stdout="none\n" if before == "active" else "all\n")
    stands_in = mock.patch.object
    with (
        mock.patch.dict(os.environ, environment),
        stands_in(os, "execvp", mock.Mock(side_effect=FileNotFoundError(2, "No such file or directory"))),
        stands_in(subprocess, "run", mock.Mock(return_value=asked)),
        stands_in(time, "sleep"),
        stands_in(signal, "signal"),
        stands_in(signal, "set_wakeup_fd"),
        stands_in(heartbeat, "FOLDER", NODE.folder),
        stands_in(heartbeat, "PATIENCE", 0.0),
        stands_in(pacemaker, "process_named", lambda _name: 0),
    ):
        answer = NODE.ctl("feed", feeder, *words, conf=NODE.conf if valid else MISSING)
    answer.is_told_in_lines()
    assert answer.status in STATUSES | BEYOND.get(feeder, set()), (
        f"{feeder} exits {answer.status}, which is not documented"
    )
    assert "None: " not in answer.stderr or "None" in "".join(words), (
        f"an error names what it is about: {answer.stderr!r}"
    )
    after = (NODE.state() or b"").decode().rstrip("\n")
    changed = after != before
    configured = valid or (feeder == "heartbeat" and words[:1] == (OWN,))
    expected = meant(feeder, words, environment, before) if configured else None
    options, rest = _options(feeder, words)
    values = [value for given in options.values() for value in given]
    # What argparse makes of these is its own matter.
    unusual = any(word.startswith("-") for word in (*rest, *values)) or not all(
        re.fullmatch("[0-9]{1,18}", value) for value in options.get("--daemon", [])
    )
    unusual = unusual or (feeder == "keepalived" and any(OWN in value for value in values))
    # One of several clusters that keepalived feeds has no configuration: the others go on.
    partly = feeder == "keepalived" and any(value.partition("=")[2] not in ("", NODE.conf) for value in values)
    if expected is not None and not unusual:
        assert after == expected, f"{feeder} means {expected} with these words, and the state is {after}"
        status = 127 if any(_options(feeder, words)[0].get("--then", [])) else 0
        if words == ("demote",) and before == "passive":
            status = 7  # there was nothing to demote
        if partly:
            status = 78
        assert answer.status == status, f"{feeder} exits {answer.status} after an event, and not {status}"
    elif not unusual:
        assert not changed, f"{feeder} means nothing with these words, and the state became {after}"
    elif changed:
        told = {"active": {"MASTER", "up", "master", "primary", "promoted", "start", "resync", FIFO}}.get(after)
        assert told is None or told & set(words), f"{feeder} became active of no word that means it"
    if answer.status in (64, 78) and not partly:
        assert not changed, f"{feeder} exits {answer.status}, and changed the state to {after}"


NODE.put(f"{NODE.folder}/haresources", f"{os.uname().nodename} rcron rcron::{OWN}\n".encode())
with open(NODE.conf, "rb") as _stream:
    NODE.put(OWN, _stream.read())
os.mkdir(f"{NODE.folder}/tmp")

_TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=8)
_ODD = st.sampled_from(
    ["", "-", "--", "--help", "-h", "\x1b[2J", "\udcff", "a\nb", "9" * 5000, "-1", "--conf", "/", "."]
)
_DAEMONS = st.just([]) | st.sampled_from(["1", "0", "-1", "99999999999", "9" * 5000, "x", "--daemon"]).map(
    lambda number: ["--daemon", number]
)
_WORDS = {
    "heartbeat": st.lists(st.sampled_from(["start", "stop", "status", "resync", MISSING, OWN]), min_size=1, max_size=3),
    "keepalived": st.tuples(
        st.just(["--instance", "VI_1"])
        | st.lists(
            st.tuples(
                st.sampled_from(["--instance", "--group"]),
                st.sampled_from(["VI_1", "VI_2", f"VI_1={MISSING}", "=", ""]),
            ),
            max_size=2,
        ).map(lambda pairs: [word for pair in pairs for word in pair]),
        st.sampled_from([FIFO, "missing", "."]).map(lambda path: [path])
        | st.tuples(
            st.sampled_from(["INSTANCE", "GROUP", "VS"]),
            st.sampled_from(["VI_1", "VI_2"]),
            st.sampled_from(["MASTER", "BACKUP", "FAULT", "STOP", "DELETED", "MASTER_PRIORITY", "master", "SHINY"]),
            st.sampled_from([["100"], ["0"], [], ["100", "x"]]),
        ).map(lambda words: [*words[:3], *words[3]]),
    ).map(lambda pair: pair[0] + pair[1]),
    "pacemaker": st.sampled_from(
        ["start", "stop", "monitor", "promote", "demote", "notify", "meta-data", "validate-all", "status"]
    ).map(lambda word: [word]),
    "patroni": st.tuples(
        st.sampled_from([[], ["--then", "/bin/x y"], ["--then", "'"], ["--then", ""], ["--process", "p"]]),
        st.sampled_from(["on_start", "on_stop", "on_restart", "on_reload", "on_role_change", "on_fire"]),
        st.sampled_from(["master", "primary", "promoted", "replica", "standby_leader", "demoted", "chief", ""]),
        st.just("scope"),
    ).map(lambda parts: [*parts[0], *parts[1:]]),
    "ucarp": st.tuples(
        _DAEMONS,
        st.sampled_from(["up", "down", "UP"]),
        st.just(["eth0", "192.0.2.1"]),
        st.sampled_from([[], ["x"], ["-x"], ["a", "b"]]),
    ).map(lambda parts: [*parts[0], parts[1], *parts[2], *parts[3]]),
    "wackamole": st.tuples(_DAEMONS, st.sampled_from(["up", "down", "post"]), st.just("192.0.2.1")).map(
        lambda parts: [*parts[0], *parts[1:]]
    ),
}  # fmt: skip


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Any, ...]:
    feeder = draw(st.sampled_from(feeders.NAMES))
    words = draw(_WORDS[feeder])
    for _turn in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(words)))
        words = words[:at] + draw(st.lists(_ODD | _TEXTS, max_size=1)) + words[at + draw(st.integers(0, 1)) :]
    valid = draw(st.integers(0, 9)) != 0
    return (feeder, tuple(words), draw(st.booleans()), valid, draw(st.sampled_from(["active", "passive"])))


def _from_bytes(data: bytes) -> tuple[Any, ...]:
    # As in /proc/PID/cmdline, behind a byte for the feeder and all else.
    choice = data[0] if data else 0
    choice, number = divmod(choice, len(feeders.NAMES))
    words = tuple(word.decode("utf-8", "surrogateescape") for word in data[1:].split(b"\0")) if len(data) > 1 else ()
    return (feeders.NAMES[number], words, bool(choice & 1), choice & 14 != 14, ("passive", "active")[choice >> 4 & 1])


def _seeds() -> Iterator[bytes]:
    calls = {
        "heartbeat": ["start", "stop", "status", "resync", f"{OWN} start", "/etc/x.conf stop"],
        "keepalived": [
            "--instance VI_1 INSTANCE VI_1 MASTER 100", "--group VI_1 GROUP VI_1 FAULT 0", "--instance VI_1 fifo",
            "--instance VI_1 --group G=/x INSTANCE VI_1 BACKUP 100", "--instance VI_1 INSTANCE VI_1 MASTER 100 x",
        ],
        "pacemaker": ["start", "stop", "monitor", "promote", "demote", "notify", "meta-data", "validate-all"],
        "patroni": [
            "on_start primary scope", "--then /bin/x on_stop replica scope", "--process p on_reload master scope",
        ],
        "ucarp": ["up eth0 192.0.2.1", "--daemon 1 down eth0 192.0.2.1 x"],
        "wackamole": ["up 192.0.2.1", "--daemon 1 down 192.0.2.1"],
    }  # fmt: skip
    for number, feeder in enumerate(feeders.NAMES):
        for call in calls[feeder]:
            for choice in (0, 17):
                yield bytes([choice * len(feeders.NAMES) + number]) + call.replace(" ", "\0").encode()


SUBJECT = Subject(
    holds=holds,
    cases=_cases(),
    from_bytes=_from_bytes,
    seeds=_seeds,
    words=(
        *b"""--instance --group --daemon --then --process -- --help VI_1 INSTANCE GROUP MASTER BACKUP FAULT STOP DELETED
        up down on_start on_stop on_restart on_reload on_role_change master primary promoted replica demoted start stop
        monitor promote demote status resync 99999999999 fifo""".split(),
        b"\0",
    ),
    examples=1200,
    runs=4000,
)
