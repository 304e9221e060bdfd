# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Nobody takes the agent's answers away from others: neither a user who asks and goes, nor what an engine answers."""

import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rcron import history
from rcron.agent import claims as product
from rcron.agent import server
from rcron.agent.claims import Claims, Task
from rcron.agent.engines import Claim, Engine, EngineError, Holder, Run

HISTORY = b"history\0cluster=c1\0limit=500\n"


LONGEST = "\N{PILE OF POO}" * server.MAX_TEXT

#: What the agent needs while it reads the longest page of etcd's, in bytes: measured with Python 3.11.
NEEDED = 43 << 20


class Odd(Engine):
    """An engine that answers with whatever it is told to."""

    def __init__(self) -> None:
        self.error: "Exception | None" = None
        self.runs: "list[Run]" = []
        self.released = threading.Event()
        self.released.set()

    def check(self) -> str:
        """See Engine.check."""
        if self.error is not None:
            raise self.error
        return "well"

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """See Engine.history."""
        if self.error is not None:
            raise self.error
        return self.runs

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        if self.error is not None:
            raise self.error
        return Holder(claim.token, claim.node, claim.at)

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """See Engine.ended."""
        self.released.wait(60)
        if self.error is not None:
            raise self.error
        return True


class Served:
    """A server whose loop the tests turn by hand."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.engine = Odd()
        self.listener, self.place = server.listen(f"{folder}/")
        self.claims = Claims(self.engine, "node1")
        self.server = server.Server(self.listener, self.claims, "odd", self.place)

    def send(self, line: bytes) -> socket.socket:
        """Connect, and have a line taken."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(self.place.path)
        connection.sendall(line)
        self.server._accept()
        return connection

    def drop_all(self) -> None:
        """Have the server see that everybody has gone."""
        for client in list(self.server._clients.values()):
            self.server._drop(client)

    def ask(self, line: bytes) -> bytes:
        """Return the answer to a line, or nothing if there is none in two seconds."""
        with self.send(line) as connection:
            deadline = time.monotonic() + 2
            while not self.server._answers and time.monotonic() < deadline:
                time.sleep(0.01)
            self.server._take_answers()
            connection.setblocking(False)
            try:
                return connection.recv(1 << 20)
            except BlockingIOError:
                return b""


@pytest.fixture
def served(tmp_path: pathlib.Path) -> "Iterator[Served]":
    """A server, and its claims, whose threads are not started."""
    one = Served(tmp_path)
    yield one
    one.engine.released.set()
    one.drop_all()
    one.listener.close()


def wait_until(is_so: "Callable[[], bool]") -> None:
    """Wait, but not for ever."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("line", [HISTORY, b"status\n"])
def test_whoever_asks_and_goes_again_and_again_fills_nothing(served: Served, line: bytes) -> None:
    for _turn in range(200):
        served.send(line).close()
        served.drop_all()
    assert served.claims._questions.qsize() <= server.MOST_QUESTIONS
    assert len(served.claims._statuses) <= 1
    assert not served.server._status_askers


def test_a_question_of_one_who_has_gone_is_not_put_to_the_engine_and_makes_room(served: Served) -> None:
    for _turn in range(server.MOST_QUESTIONS):
        served.send(HISTORY).close()
        served.drop_all()
    served.engine.error = AssertionError("the engine was asked")
    while not served.claims._questions.empty():
        served.claims._questions.get()()
    assert [json.loads(bytes(answer))["error"] for _whose, answer in served.server._answers] == [  # type: ignore[arg-type]
        "nobody waits for it any more"
    ] * server.MOST_QUESTIONS
    served.server._take_answers()
    assert not served.server._questions


def test_an_answer_that_nobody_reads_counts_as_a_question(served: Served) -> None:
    readers = [served.send(HISTORY) for _turn in range(server.MOST_QUESTIONS)]
    while not served.claims._questions.empty():
        served.claims._questions.get()()
    served.server._take_answers()
    assert served.ask(HISTORY).startswith(b"unknown\0")
    for reader in readers:
        reader.close()
    served.drop_all()
    assert not served.server._questions


@pytest.mark.parametrize("error", [EngineError("gone"), OverflowError("too large"), RecursionError("too deep")])
def test_whatever_the_engine_answers_its_status_and_the_ledger_s_fault_are_said(
    served: Served, error: Exception
) -> None:
    served.claims.start()
    served.engine.error = error
    assert str(error).encode() in served.ask(HISTORY)
    assert served.ask(b"status\n").startswith(b"failed\0odd: ")
    served.engine.error = None
    served.server._status = (0.0, b"")
    assert served.ask(b"status\n").startswith(b"ok\0odd, well")


def test_a_status_is_a_line_that_a_client_takes(served: Served) -> None:
    served.claims.start()
    served.engine.error = EngineError("x" * 100_000)
    assert len(served.ask(b"status\n")) == server.MAX_LINE


def test_an_engine_s_status_waits_for_no_user_s_ends(served: Served) -> None:
    served.engine.released.clear()
    served.claims.start()
    assert served.claims.ended(Claim("c1", "", "job", "1", "t", "node1", 5), 0, 0, 1.0)
    time.sleep(0.1)
    assert served.ask(b"status\n").startswith(b"ok\0")


def longest_answer(served: Served, count: int) -> bytes:
    """The answer to a question for so many runs, whose names are as long as any user may give to his jobs."""
    run = Run("c1", "root", LONGEST, LONGEST, "node1", 5, LONGEST, 0, 1.0, False, "1")
    served.engine.runs = [run] * count
    client = server.Client(socket.socket(), 0, 0.0)
    served.server._history(client, {"cluster": "c1", "limit": str(count)})
    served.claims._questions.get()()
    client.connection.close()
    reply = served.server._answers.pop()[1]
    assert isinstance(reply, bytes)
    return reply


def test_a_page_of_the_longest_names_is_one_that_rcronctl_history_takes(served: Served) -> None:
    """As any user may give to his jobs: 500 of them would keep root from all that is older."""
    reply = longest_answer(served, history.PAGE)
    assert len(reply) < history.MAX_PAGE
    assert json.loads(reply.splitlines()[1])["job"] == LONGEST


def test_all_answers_that_may_wait_leave_the_agent_its_memory(served: Served) -> None:
    """Eight users could have had the unit's MemoryMax= end it, again and again."""
    unit = (pathlib.Path(__file__).parents[4] / "roles/rcron_claims/templates/rcron-claims.service.j2").read_text()
    most = int(unit.partition("MemoryMax=")[2].partition("M")[0]) << 20
    waiting = server.MOST_QUESTIONS_OF_ALL + server.MOST_QUESTIONS
    assert waiting * len(longest_answer(served, server.MOST_RUNS)) + NEEDED < most


@pytest.mark.parametrize("field", [b"cluster=c\r1", b"cluster=c1\0job=\x1b[0m", b"cluster=c1\0before=\xe2\x80\xae"])
def test_no_question_hands_a_program_what_no_claim_may(served: Served, field: bytes) -> None:
    """An engine may be a program, which gets these words in its environment."""
    assert b"not printable" in served.ask(b"history\0" + field + b"\n")
    assert served.claims._questions.empty()


def test_another_node_s_endless_names_are_cut(served: Served) -> None:
    served.engine.runs = [Run("c1", "root", "j" * 10_000_000, "1", "node1", 5, "\ud800" * 9000)]
    served.claims.start()
    rows = [json.loads(line) for line in served.ask(HISTORY).splitlines()]
    assert (len(rows[1]["job"]), len(rows[1]["command"])) == (server.MAX_TEXT, server.MAX_TEXT)


def test_claims_that_nobody_waits_for_do_not_fill_the_memory() -> None:
    claims = Claims(Engine(), "node1")  # whose threads are busy: they are not started
    for number in range(1000):
        task = Task(Claim("c1", "", "job", "1", "t", "node1", 5), 200_000 + number % 7, 0.0, lambda *_: None)
        claims.put(task)
        claims.give_up(task)
        claims.put(task)  # as a thread does that was about to try again
    assert not claims._queues


def test_whatever_the_engine_answers_to_an_end_its_user_may_report_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "PERSEVERE", -1.0)
    monkeypatch.setattr(product, "SETTLE", (0.0,))
    served.engine.error = OverflowError("too large")
    served.claims.start()
    claim = Claim("c1", "", "job", "1", "t", "node1", 5)
    assert served.claims.ended(claim, 0, 0, 1.0)
    served.claims.abandoned(Task(claim, 0, 0.0, lambda *_: None))
    wait_until(lambda: not served.claims._ends and not served.claims._settling)


def test_no_user_without_a_name_keeps_an_engine_s_failure_out_of_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: "list[str]" = []
    monkeypatch.setattr(product.log, "warning", lambda _config, text: logged.append(text))
    monkeypatch.setattr(product, "PAUSE", 0.0)
    served.engine.error = EngineError("etcd does not answer")
    claim = Claim("c1", "", "job", "1", "t", "node1", 5)
    for uid in (4_000_000_000, 0, 4_000_000_000, 0):
        served.claims._make(Task(claim, uid, time.monotonic() + 5, lambda *_: None))
    assert [text.partition(": ")[2][:8] for text in logged] == ["user 400", "etcd doe"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_user_s_number_may_be_above_2_to_the_power_of_31(tmp_path: pathlib.Path, served: Served) -> None:
    tmp_path.chmod(0o755)
    before = os.getcwd()
    os.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as connection:
        os.seteuid(3_000_000_000)
        try:
            connection.connect("claim.sock")
        finally:
            os.seteuid(0)
            os.chdir(before)
        served.server._accept()
        assert [client.uid for client in served.server._clients.values()] == [3_000_000_000]


def test_a_link_in_the_socket_s_place_is_not_followed(tmp_path: pathlib.Path, served: Served) -> None:
    """It may lead to a server that does not answer, and the agent serves others, too."""
    assert served.place.is_there()
    os.rename(served.place.path, tmp_path / "elsewhere")
    os.symlink("elsewhere", served.place.path)
    assert not served.place.is_there()
