# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What Pacemaker's answers mean: its programs' real output, daemons of the test's own, and a clock moved by hand."""

import os
import pathlib
import select
import time
from typing import Any

import pytest

from rcron import settings
from rcron.agent import daemon
from rcron.agent.command import Program
from rcron.agent.feeders import pacemaker
from rcron.agent.feeders.pacemaker import PacemakerTruth, resources, role
from rcron.settings import ACTIVE, DEFAULT_PATH, PASSIVE

#: As Pacemaker 2.1.5 prints it.
CLONE = """\
<clone id="rcron-clone">
  <meta_attributes id="rcron-clone-rcron">
    <nvpair id="rcron-clone-rcron-promotable" name="promotable" value="true"/>
    <nvpair id="rcron-clone-rcron-promoted-max" name="promoted-max" value="1"/>
  </meta_attributes>
  <primitive id="rcron" class="ocf" provider="rcron" type="rcron">
    <instance_attributes id="rcron-rcron">
      <nvpair id="rcron-rcron-conf" name="conf" value="/etc/rcron/rcron.conf"/>
    </instance_attributes>
    <operations>
      <op id="rcron-rcron-monitor-promoted" name="monitor" interval="4s" timeout="20s" role="Promoted"/>
    </operations>
  </primitive>
</clone>
"""
GROUP = """\
<group id="web">
  <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/>
  <primitive id="jobs" class="ocf" provider="rcron" type="rcron"/>
</group>
"""
CMAP = """\
runtime.config.totem.block_unlisted_ips (u32) = 1
runtime.config.totem.consensus (u32) = 1980
runtime.config.totem.interface.0.knet_ping_interval (u32) = 412
runtime.config.totem.token (u32) = 1650
runtime.config.totem.token_retransmit (u32) = 392
"""
NOW = 1795828700


def operation(node: str, name: str, code: int = 0, call: int = 8, since: int = NOW - 60, **more: object) -> str:
    attributes = {"op-status": 0, "interval": 0, **{key.replace("_", "-"): value for key, value in more.items()}}
    return (
        f'  <lrm_rsc_op id="rcron_last_0" operation_key="rcron_{name}_0" operation="{name}" '
        f'exit-reason="a &quot;b&quot;" on_node="{node}" call-id="{call}" rc-code="{code}" last-rc-change="{since}" '
        + " ".join(f'{key}="{value}"' for key, value in attributes.items())
        + ' exec-time="2272" queue-time="0"/>\n'
    )


def history(*operations: str) -> str:
    lines = "".join(f'<lrm_resource id="rcron" type="rcron" class="ocf">\n{one}</lrm_resource>\n' for one in operations)
    return f"<xpath-query>\n{lines}</xpath-query>\n"


MONITOR = operation("a", "monitor", 8, 9, interval=4000)


@pytest.mark.parametrize(
    ("here", "state"),
    [
        (operation("a", "promote"), ACTIVE),
        (operation("a", "promote") + MONITOR, ACTIVE),
        (operation("a", "monitor", 8), ACTIVE),
        (operation("a", "start"), PASSIVE),
        (operation("a", "demote", call=10) + MONITOR, PASSIVE),
        (operation("a", "stop"), PASSIVE),
        (operation("a", "monitor", 7), PASSIVE),
        (operation("a", "monitor", 0), PASSIVE),
        (operation("a", "promote", 1), PASSIVE),
        (operation("a", "promote", op_status=2), PASSIVE),
        (operation("a", "demote", 127), PASSIVE),
        (operation("a", "promote", 193, -1, op_status=-1), None),
        (operation("a", "start", 193, -1, op_status=-1), None),
        (operation("a", "demote", 193, -1, op_status=-1) + operation("a", "promote"), PASSIVE),
        (operation("a", "stop", 193, -1, op_status=-1), PASSIVE),
        (operation("a", "promote") + operation("a", "monitor", 193, -1, interval=4000, op_status=-1), ACTIVE),
        (operation("a", "promote", call=8) + operation("a", "start", 1, call=5), ACTIVE),
        ("", PASSIVE),
    ],
)
def test_the_last_operation_of_a_promotable_clone_is_its_state(here: str, state: "str | None") -> None:
    assert role(history(here, operation("b", "start")), "a", True)[0] == state


@pytest.mark.parametrize(
    ("here", "state"),
    [
        (operation("a", "start"), ACTIVE),
        (operation("a", "monitor", 0), ACTIVE),
        (operation("a", "monitor", 7), PASSIVE),
        (operation("a", "start", 1), PASSIVE),
        (operation("a", "stop"), PASSIVE),
    ],
)
def test_a_plain_resource_is_active_where_it_is_started(here: str, state: str) -> None:
    assert role(history(here, operation("b", "monitor", 7)), "a", False)[0] == state


def test_one_of_two_promoted_ones_cannot_tell_if_the_other_came_later() -> None:
    both = history(operation("a", "promote", since=NOW - 60), operation("b", "promote", since=NOW - 10))
    assert role(both, "a", True) == (None, NOW - 60, "promote exit 0, and later on b too")
    assert role(both, "b", True)[0] == ACTIVE, "a died, or is about to be demoted"


def test_resources_and_what_they_are() -> None:
    assert resources(CLONE) == {"rcron": ("/etc/rcron/rcron.conf", True)}
    assert resources(CLONE.replace('"true"', '"false"')) == {"rcron": ("/etc/rcron/rcron.conf", False)}
    assert resources(GROUP) == {"jobs": (DEFAULT_PATH, False)}
    both = f"<xpath-query>\n{CLONE.replace('rcron.conf', 'other.conf')}{GROUP}</xpath-query>"
    assert resources(both) == {"rcron": ("/etc/rcron/other.conf", True), "jobs": (DEFAULT_PATH, False)}
    assert resources("") == {}
    master = CLONE.replace("<clone", "<master").replace("</clone", "</master").replace("promotable", "other")
    assert resources(master) == {"rcron": ("/etc/rcron/rcron.conf", True)}


class Corosync:
    """A connection to Corosync. `quorate` None: it has ended."""

    def __init__(self) -> None:
        self.quorate: "bool | None" = True
        self.descriptor, self.writer = os.pipe()

    def ask(self) -> bool:
        if self.quorate is None:
            raise OSError("error 2")
        return self.quorate

    def hear(self) -> "list[bool]":
        os.read(self.descriptor, 1)
        return [self.ask()]

    def tell(self) -> None:
        os.write(self.writer, b".")

    def close(self) -> None:
        pass


class Node:
    """A node of a cluster. `switches`: how often each daemon has been woken."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.asked: "list[str]" = []
        self.answers = {
            "crm_node --quorum": (0, "1\n"),
            "crm_node --name": (0, "a\n"),
            "//resources": (0, CLONE),
            "//lrm_resource": (0, history(operation("a", "promote"))),
            "corosync-cmapctl": (0, CMAP),
        }
        self.hangs = ""
        self.states = {"pacemaker-contr": "S", "pacemaker-based": "S", "pacemaker-execd": "S"}
        self.pids = {name: 10 + number for number, name in enumerate(self.states)}
        self.sleeping: "set[str]" = set()
        self.corosync = Corosync()
        (folder / "state").write_text("active\n")
        self.config = settings.parse(f"state_file = {folder}/state\nstate_max_age = 10\n", DEFAULT_PATH)
        self.events = folder
        monkeypatch.setattr(pacemaker, "EVENTS", str(folder))
        monkeypatch.setattr(pacemaker, "boottime", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: NOW + self.now - 1000)
        monkeypatch.setattr(Program, "run", self.run)
        monkeypatch.setattr(daemon, "processes", lambda *_, **__: self.pids)
        monkeypatch.setattr(pacemaker, "_status", self.status)
        monkeypatch.setattr(os, "pidfd_open", lambda _pid: self.pidfd())
        self.pidfds: "list[tuple[int, int]]" = []
        self.truth = PacemakerTruth(self.config, "")
        self.truth._can_connect = False
        self.truth._connect = lambda: self.corosync

    def pidfd(self) -> int:
        self.pidfds.append(os.pipe())
        return self.pidfds[-1][0]

    def status(self, pid: int) -> "tuple[str, int]":
        name = next((name for name, number in self.pids.items() if number == pid), "")
        if not name:
            return "", 0
        return self.states[name], 0 if name in self.sleeping else int(self.now * 10)

    def run(self, argv: "list[str]", seconds: float, environment: Any = None) -> "tuple[int, str]":
        words = " ".join(argv)
        key = next(key for key in self.answers if key in words)
        self.asked.append(key)
        if self.hangs and self.hangs in words:
            self.now += seconds
            raise TimeoutError(f"{argv[0]}: no answer")
        return self.answers[key]

    def ask(self) -> "str | None":
        """Ask a second later."""
        self.now += 1
        return self.truth.ask().state

    def says(self, *operations: str) -> None:
        self.answers["//lrm_resource"] = (0, history(*operations))

    def heard(self) -> "list[str | None]":
        assert select.select([self.truth.descriptor()], [], [], 0)[0]
        return [answer.state for answer in self.truth.hear()]


@pytest.fixture
def node(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_the_programs_are_run_rarely_while_the_daemons_are_woken(node: Node) -> None:
    moments = []
    for _turn in range(31):
        assert node.ask() == ACTIVE
        moments.append(node.now)
    assert node.asked.count("crm_node --quorum") == 3
    assert node.asked.count("crm_node --name") == node.asked.count("//resources") == 1
    assert node.truth.ask().moment == node.now


def test_the_times_are_corosyncs(node: Node) -> None:
    node.ask()
    assert node.truth.notice == pytest.approx(3.63 + pacemaker.SETTLE)
    assert node.truth.silence == pytest.approx(3.13), "the others need 3.63 s to form a cluster without this node"


def test_a_lost_quorum_is_heard_and_believed_again_only_when_pacemaker_knows(node: Node) -> None:
    assert node.ask() == ACTIVE
    node.corosync.quorate = False
    node.corosync.tell()
    assert node.heard() == [PASSIVE]
    assert node.ask() == PASSIVE
    node.corosync.quorate = True
    node.corosync.tell()
    assert node.heard() == [None]
    assert [node.ask() for _turn in range(7)] == [None] * 5 + [ACTIVE] * 2


def test_one_promoted_after_the_quorum_came_back_is_believed_at_once(node: Node) -> None:
    node.ask()
    node.corosync.quorate = False
    assert node.ask() == PASSIVE
    node.corosync.quorate = True
    assert node.ask() is None
    node.says(operation("a", "promote", since=int(NOW + node.now - 1000 + 1)))
    (node.events / "rcron-rcron.event").touch()  # the agent's script
    assert node.ask() == ACTIVE


def test_a_corosync_that_has_ended_is_passive_and_connected_to_anew(node: Node) -> None:
    node.ask()
    node.corosync.quorate = None
    node.corosync.tell()
    assert node.heard() == [PASSIVE]
    assert node.truth.hear() == [], "its descriptor would be readable for ever"
    assert node.ask() == PASSIVE
    node.corosync = Corosync()
    assert [node.ask() for _turn in range(7)][-1] == ACTIVE


def test_a_controller_that_ends_is_passive_at_once(node: Node) -> None:
    node.ask()
    os.write(node.pidfds[-1][1], b".")
    assert node.heard() == [PASSIVE]
    node.pids = {}
    assert node.ask() == PASSIVE
    node.pids = {"pacemaker-contr": 30, "pacemaker-based": 11, "pacemaker-execd": 12}
    assert node.ask() is None, "it may not have read yet that its predecessor's promotion is over"


@pytest.mark.parametrize("name", ["pacemaker-contr", "pacemaker-based", "pacemaker-execd"])
def test_a_daemon_that_a_signal_has_stopped_leaves_it_open(node: Node, name: str) -> None:
    assert node.ask() == ACTIVE
    node.states[name] = "T"
    assert [node.ask() for _turn in range(15)] == [None] * 15
    node.states[name] = "S"
    answers = [node.ask() for _turn in range(8)]
    assert answers == [None] * 6 + [ACTIVE] * 2, "and is believed again when it can know its successor"


def test_a_controller_that_hangs_is_found_by_asking_it(node: Node) -> None:
    assert node.ask() == ACTIVE
    node.sleeping, node.hangs = {"pacemaker-contr"}, "crm_node"
    moments = []
    while True:
        node.now += 1
        try:
            moments.append(node.truth.ask().moment)
        except TimeoutError:
            break
    assert max(moments) <= 1002.5, "what it was last seen to do is as old as that"


def test_daemons_that_nobody_wakes_are_asked(node: Node) -> None:
    node.sleeping = set(node.states)
    assert [node.ask() for _turn in range(11)] == [ACTIVE] * 11
    assert node.asked.count("crm_node --quorum") > 2
    assert node.ask() is None, "pacemaker-execd runs a monitor at least every few seconds"


def test_what_a_hook_writes_has_the_programs_asked(node: Node) -> None:
    assert [node.ask(), node.ask()] == [ACTIVE, ACTIVE]
    node.says(operation("a", "demote"))
    assert node.ask() == ACTIVE
    settings_file = pathlib.Path(node.config.state_file)
    settings_file.unlink()
    settings_file.write_text("passive\n")
    assert node.ask() == PASSIVE


def test_a_lost_demotion_is_found_by_itself(node: Node) -> None:
    assert node.ask() == ACTIVE
    node.says(operation("a", "demote", 127))
    answers = [node.ask() for _turn in range(14)]
    assert answers[-1] == PASSIVE


def test_a_promotion_that_is_pending_is_asked_for_again(node: Node) -> None:
    node.says(operation("a", "promote", 193, -1, op_status=-1))
    assert node.ask() is None
    node.says(operation("a", "promote"))
    assert node.ask() == ACTIVE


@pytest.mark.parametrize(
    ("key", "answer", "state"),
    [
        ("crm_node --quorum", (0, "0\n"), PASSIVE),
        ("crm_node --quorum", (102, ""), None),
        ("crm_node --name", (1, ""), None),
        ("//resources", (105, ""), PASSIVE),
        ("//resources", (0, CLONE + CLONE.replace('primitive id="rcron"', 'primitive id="other"')), None),
        ("//lrm_resource", (105, ""), PASSIVE),
    ],
)
def test_other_answers(node: Node, key: str, answer: "tuple[int, str]", state: "str | None") -> None:
    node.answers[key] = answer
    assert node.ask() == state


def test_a_status_that_cannot_be_read_is_no_answer(node: Node) -> None:
    node.answers["//lrm_resource"] = (113, "")
    with pytest.raises(OSError, match="cibadmin: exit 113"):
        node.ask()


def test_without_the_client_library_its_program_is_asked(node: Node) -> None:
    node.truth._connect = None
    node.answers["corosync-quorumtool"] = (0, "Quorate:          Yes\n")
    assert node.ask() == ACTIVE
    node.answers["corosync-quorumtool"] = (2, "Quorate:          No\n")
    assert PASSIVE in [node.ask() for _turn in range(3)]
    node.answers["corosync-quorumtool"] = (1, "")
    assert node.ask() == PASSIVE


def test_a_process_is_looked_at_for_real() -> None:
    state, switches = pacemaker._status(os.getpid())
    assert state == "R"
    assert switches > 0
    assert pacemaker._status(0) == ("", 0)
