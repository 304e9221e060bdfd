# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron-agent as a process, asking a program that answers with what a file says."""

import collections
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest

from rcron import ask, settings, state, status
from rcron.agent import loop
from rcron.agent.answer import Answer
from rcron.agent.store import Store
from rcron.agent.truth import Truth

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]

LAUNCHER = """\
import sys
sys.path.insert(0, {checkout!r})
from rcron import ask, log, settings
settings.RUNTIME = {runtime!r}
def send(facility, level, line):
    with open({log!r}, "a", encoding="utf-8") as stream:
        stream.write(line + "\\n")
log._send = send
from rcron.agent.__main__ import main
sys.exit(main(["--clusters", {clusters!r}]))
"""

#: Answers with the exit status in the file `says`; counts how often; hangs if the file holds `hang`.
PROGRAM = """\
#!/bin/sh
echo >>{folder}/asked
read said <{folder}/says || exit 3
[ "$said" = hang ] && exec sleep 100
echo "$said"
exit "$said"
"""


#: A feeder of the test's, which is always active and gives that back: it writes down what the state is then.
LEAVER = """\
import pathlib, types
from rcron.agent import feeders
from rcron.agent.answer import Answer, boottime
from rcron.agent.truth import Truth
class Leaver(Truth):
    every, notice, leaves = 0.2, 0.0, True
    def ask(self):
        return Answer("active", boottime(), "always")
    def leave(self):
        pathlib.Path({folder!r}, "left").write_text(pathlib.Path({folder!r}, "run", "state").read_text())
module = types.ModuleType("rcron.agent.feeders.leaver")
module.OPTIONS, module.truth = {{}}, lambda _config, _options: Leaver()
sys.modules[module.__name__] = module
feeders.NAMES += ("leaver",)
"""


class Agent:
    """The agent in a folder. more: what else its process is to do first."""

    more = ""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.clusters = folder / "agent.d"
        self.clusters.mkdir()
        self.state_file = folder / "run" / "state"
        self.state_file.parent.mkdir()
        self.state_file.write_text("passive\n")
        program = folder / "program"
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(0o755)
        conf = folder / "rcron.conf"
        conf.write_text(f"state_file = {self.state_file}\nstate_max_age = 3\ndefault_state = passive\n")
        self.config = settings.load(str(conf))
        self.file = self.clusters / "c1.conf"
        self.options = f"conf = {conf}\nfeeder = command\ncommand = {program}\nevery = 0.2\nlimit = 0.5\n"
        self.file.write_text(self.options + "notice = 1\n")
        self.log_file = folder / "log"
        self.log_file.touch()
        self.says("1")
        self.process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it."""
        text = LAUNCHER.format(
            checkout=str(CHECKOUT), runtime=settings.RUNTIME, log=str(self.log_file), clusters=str(self.clusters)
        )
        before, main = text.rsplit("sys.exit", 1)
        self.process = subprocess.Popen([sys.executable, "-IS", "-c", f"{before}{self.more}sys.exit{main}"])

    def says(self, what: str) -> None:
        """Have the program answer so."""
        self.replaces("says", what + "\n")

    def replaces(self, name: str, text: str) -> None:
        """Replace a file in the folder by rename."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.rename(self.folder / name)

    @property
    def state(self) -> str:
        """What a job would go by."""
        return state.current(self.config).state

    def becomes(self, wanted: str, seconds: float) -> float:
        """Wait for a state. Returns how long it took."""
        return self.waits_for(lambda: self.state == wanted, seconds)

    @staticmethod
    def waits_for(condition: "Callable[[], bool]", seconds: float) -> float:
        """Wait for something. Returns how long it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds
            time.sleep(0.005)
        return time.monotonic() - began

    def end(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@pytest.fixture
def agent(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Agent]":
    with tempfile.TemporaryDirectory(prefix="rcron") as runtime:  # a socket's name has 107 bytes at most
        monkeypatch.setattr(settings, "RUNTIME", runtime)
        agent = Agent(tmp_path)
        yield agent
        agent.end()


@pytest.fixture
def active(agent: Agent) -> Agent:
    agent.says("0")
    agent.start()
    agent.becomes("active", 10)
    return agent


def test_it_follows_the_daemon(active: Agent) -> None:
    active.says("1")
    active.becomes("passive", 2)
    active.says("0")
    active.becomes("active", 2)
    time.sleep(4)
    assert active.state == "active"


def test_an_agent_that_gets_a_message_asks_at_once(active: Agent) -> None:
    active.file.write_text(active.options.replace("every = 0.2", "every = 30") + "notice = 1\n")
    time.sleep(4.5)  # it has seen that, and its questions after the start are over
    asked = active.folder / "asked"
    before = asked.stat().st_size
    assert ask.now(active.config, "an event")
    assert active.waits_for(lambda: asked.stat().st_size > before, 1) < 0.2


def test_a_passive_of_a_hook_is_written_at_once(active: Agent) -> None:
    active.says("hang")
    time.sleep(0.3)
    assert ask.now(active.config, "BACKUP", passive=True)
    assert active.becomes("passive", 1) < 0.2
    active.says("0")
    active.becomes("active", 3)


@pytest.mark.parametrize("moment", ["-inf", "-1e300", "nan", "1e999", "0", "x"])
def test_no_message_of_a_feeder_s_user_ends_the_agent_which_serves_others_too(active: Agent, moment: str) -> None:
    """The socket is his."""
    active.says("hang")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as his:
        his.sendto(f"passive {moment} words".encode(), active.config.agent_file("ask"))
        his.sendto(f"ask {moment} words".encode(), active.config.agent_file("ask"))
    active.becomes("passive", 6)
    assert active.process is not None
    assert active.process.poll() is None
    assert [each.moment for each in loop._datagrams(Sent(f"passive {moment} words"), 7.0)] == [
        0.0 if moment == "0" else 7.0
    ]


class Sent:
    """A socket at which there is one message."""

    def __init__(self, text: str) -> None:
        self._messages = [text.encode()]

    def recv(self, _length: int) -> bytes:
        """Return it, the first time."""
        if not self._messages:
            raise BlockingIOError
        return self._messages.pop()


@pytest.mark.parametrize("moment", [float("-inf"), -1e300])
def test_such_a_moment_would_end_the_agent(agent: Agent, moment: float) -> None:
    store = Store(agent.config, "command")
    with pytest.raises(OverflowError):
        store.note(Answer("passive", moment, "words"), None)


def test_a_program_that_hangs_leaves_it_stale(active: Agent) -> None:
    active.says("hang")
    active.becomes("passive", 6)
    assert state.current(active.config).source == state.STALE
    active.says("0")
    active.becomes("active", 5)


def test_frozen_and_gone_on_it_is_passive_at_once_and_active_again_when_it_may(active: Agent) -> None:
    assert active.process is not None
    active.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    assert active.state == "active"  # fresh as yet
    active.process.send_signal(signal.SIGCONT)
    assert active.becomes("passive", 1) < 0.3
    assert active.becomes("active", 5) > 0.8


def test_killed_and_started_anew_at_once_nothing_happens(active: Agent) -> None:
    assert active.process is not None
    active.process.kill()
    active.process.wait()
    active.start()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert active.state == "active"
        time.sleep(0.02)


def test_an_agent_that_gets_term_ends_and_leaves_the_state(active: Agent) -> None:
    assert active.process is not None
    active.process.terminate()
    assert active.process.wait(5) == 0
    assert active.state == "active"
    assert pathlib.Path(active.config.agent_file("ask")).exists()


def test_a_cluster_whose_file_is_gone_is_served_no_more(active: Agent) -> None:
    place = pathlib.Path(active.config.agent_file("ask"))
    assert place.is_socket()
    assert place.stat().st_mode & 0o777 == 0o600
    active.file.unlink()
    active.waits_for(lambda: not place.exists(), 5)
    active.becomes("passive", 6)


def test_a_file_that_is_broken_while_the_cluster_is_served_is_reported_and_changes_nothing(active: Agent) -> None:
    active.file.write_text("conf = \n")
    active.waits_for(lambda: "goes on as before" in active.log_file.read_text(), 5)
    time.sleep(3.5)
    assert active.state == "active"
    assert active.log_file.read_text().count("goes on as before") == 1


def test_a_feeder_that_is_not_the_cluster_s_any_more_is_asked_no_more_until_it_is_again(active: Agent) -> None:
    conf = pathlib.Path(active.config.path)
    text = conf.read_text()
    place = pathlib.Path(active.config.agent_file("ask"))
    active.replaces(conf.name, f"{text}feeder_name = keepalived\n")
    active.waits_for(lambda: not place.exists(), 5)
    active.becomes("passive", 6)
    asked = (active.folder / "asked").stat().st_size
    time.sleep(2.5)  # one more look at the files
    assert (active.folder / "asked").stat().st_size == asked
    assert active.log_file.read_text().count(f"feeder_name in {conf} is keepalived; delete {active.file}") == 1
    second = status.facts(settings.load(str(conf)))["second_feeder"]
    assert (second["name"], second["event"]) == ("command", "rcron-agent: c1.conf")
    active.replaces(conf.name, text)
    active.becomes("active", 10)
    assert status.facts(settings.load(str(conf)))["second_feeder"] is None
    assert not pathlib.Path(active.config.refusal_file).exists()


def test_what_a_feeder_said_that_is_not_the_cluster_s_ends_with_its_file(agent: Agent) -> None:
    with open(agent.config.path, "a", encoding="utf-8") as stream:
        stream.write("feeder_name = keepalived\n")
    agent.says("0")
    agent.start()
    refusal = pathlib.Path(agent.config.refusal_file)
    agent.waits_for(refusal.exists, 10)
    assert agent.state == "passive"
    assert not (agent.folder / "asked").exists()
    agent.file.unlink()
    agent.waits_for(lambda: not refusal.exists(), 5)


def test_a_second_cluster_with_the_same_state_file_is_refused(active: Agent) -> None:
    (active.clusters / "c2.conf").write_text(active.options)
    assert active.process is not None
    active.process.send_signal(signal.SIGHUP)
    active.waits_for(lambda: "is c1's too; choose another; not served" in active.log_file.read_text(), 5)
    time.sleep(3.5)
    assert active.state == "active"


def test_one_cluster_s_hanging_question_harms_no_other(active: Agent) -> None:
    slow = active.folder / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    conf = active.folder / "other.conf"
    conf.write_text(f"state_file = {active.folder}/run/other\n")
    (active.clusters / "c2.conf").write_text(f"conf = {conf}\nfeeder = command\ncommand = {slow}\nlimit = 2\n")
    time.sleep(3)
    active.says("1")
    assert active.becomes("passive", 2) < 0.7


@pytest.mark.unmeasured
def test_it_is_light(active: Agent) -> None:
    assert active.process is not None
    status = pathlib.Path(f"/proc/{active.process.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 20 * 1024


@pytest.fixture
def leaver(agent: Agent) -> Agent:
    """An agent whose cluster's feeder has something to give back."""
    agent.more = LEAVER.format(folder=str(agent.folder))
    agent.file.write_text(f"conf = {agent.folder}/rcron.conf\nfeeder = leaver\n")
    agent.start()
    agent.becomes("active", 10)
    return agent


def test_what_makes_it_active_is_given_back_at_the_end_once_the_state_is_passive(leaver: Agent) -> None:
    assert leaver.process is not None
    leaver.process.terminate()
    assert leaver.process.wait(10) == 0
    assert (leaver.folder / "left").read_text() == "passive\n"
    assert leaver.state == "passive"


def test_it_is_given_back_too_if_the_cluster_is_no_longer_served(leaver: Agent) -> None:
    leaver.file.unlink()
    leaver.waits_for((leaver.folder / "left").exists, 10)
    leaver.becomes("passive", 10)
    assert (leaver.folder / "left").read_text() == "passive\n"


def test_it_is_kept_if_only_its_file_is_written_anew(leaver: Agent) -> None:
    leaver.file.write_text(leaver.file.read_text() + "# changed\n")
    time.sleep(4)
    assert not (leaver.folder / "left").exists()
    assert leaver.state == "active"


@pytest.mark.parametrize("letter", ["n", "\U000e0001", "\ud800", "\u20ac"])
@pytest.mark.parametrize("is_protected", [True, False])
def test_no_engine_s_words_hide_the_record(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, letter: str, is_protected: bool
) -> None:
    """Whoever answers for an engine says who has the lease, in megabytes if he likes. The loop serves all clusters."""
    if not is_protected:
        monkeypatch.setattr(loop, "_shortened", lambda words: words)
    answers: "collections.deque[tuple[loop.Asker, Answer]]" = collections.deque()
    truth = Truth()
    monkeypatch.setattr(truth, "ask", lambda: Answer("passive", 5.0, letter * 1_000_000))
    read, write = os.pipe()
    asker = loop.Asker("c1", truth, answers, write)
    asker.start()
    asker.put()
    assert os.read(read, 1) == b"."
    asker.end()
    ((_asker, answer),) = answers
    store = Store(agent.config, "lease")
    store.note(answer, None)
    assert (store.record() is not None) == is_protected
    os.close(read)
    os.close(write)


def test_no_room_for_a_thread_ends_no_agent_that_serves_others(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may have started as many processes as there can be."""

    def start(_asker: loop.Asker) -> None:
        raise RuntimeError("can't start new thread")

    said: "list[str]" = []
    served = loop.Loop(str(agent.clusters))
    with monkeypatch.context() as patched:
        patched.setattr(loop.Asker, "start", start)
        patched.setattr(loop.log, "warning", lambda _config, text: said.append(text))
        served._read_files(0.0)
    assert said == [f"agent: {agent.clusters}/c1.conf: can't start new thread; not served"]
    served._read_files(2.0)
    assert list(served._served) == ["c1"]
    served._drop("c1")


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_room_for_one_cluster_s_socket_ends_no_agent_that_serves_others(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """A feeder's user may have filled /run."""

    def listen(_path: str, _owner: "tuple[int, int]") -> socket.socket:
        raise OSError(28, "No space left on device")

    def fail(_name: str, why: str) -> None:
        raise OSError(why)

    said: "list[str]" = []
    served = loop.Loop(str(agent.clusters))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_listen", listen)
        patched.setattr(loop.log, "warning", lambda _config, text: said.append(text))
        if not is_protected:
            patched.setattr(served, "_refuse", fail)
            with pytest.raises(OSError, match="No space left"):
                served._read_files(0.0)
            return
        served._read_files(0.0)
    assert said == [f"agent: {agent.config.agent_file('ask')}: cannot be made: No space left on device; not served"]
    served._read_files(2.0)
    assert list(served._served) == ["c1"]
    served._drop("c1")
