# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl guard: what systemd's ExecCondition= and ExecStopPost= call."""

import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import pytest

from rcron import guard, stopper
from rcron.launcher import CTL_LAUNCHER

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

#: systemctl and systemd-run in one: notes its words, and answers as it is told to.
SYSTEMD = """\
#!/bin/sh
echo "${{0##*/}} $*" >>{folder}/systemd
cat {folder}/answer 2>/dev/null
exit "$(cat {folder}/status 2>/dev/null || echo 0)"
"""


@pytest.fixture
def systemd(node: Any) -> "dict[str, str]":
    """Replace systemd's programs. Returns an environment in which a user's own are replaced, too."""
    folder = node.folder / "bin"
    folder.mkdir()
    for name in ("systemctl", "systemd-run"):
        (folder / name).write_text(SYSTEMD.format(folder=node.folder))
        (folder / name).chmod(0o755)
    look_in(node, f"{folder}:{stopper.PATH}")
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def look_in(node: Any, path: str) -> None:
    """Have rcronctl look for systemd's programs in other folders."""
    text = node.rcronctl.read_text()
    node.rcronctl.write_text(
        text.replace("from rcron.ctl", f"from rcron import stopper\nstopper.PATH = {path!r}\nfrom rcron.ctl")
    )


def asked(node: Any) -> "list[str]":
    """What systemd was asked for."""
    path = node.folder / "systemd"
    return path.read_text().splitlines() if path.exists() else []


def wait_until_it_watches(node: Any, process: "subprocess.Popen[Any]") -> None:
    """Wait until a process has opened the state file's folder, whose changes the kernel tells it of."""
    fds = pathlib.Path(f"/proc/{process.pid}/fd")
    deadline = time.monotonic() + 60
    while str(node.state_file.parent) not in [os.path.realpath(fd) for fd in fds.iterdir()]:
        assert process.poll() is None
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("it does not watch the state")
        time.sleep(0.02)
    time.sleep(0.2)


def test_active_node_starts_the_service(node: Any) -> None:
    node.become("active")
    out = node.ctl("guard", "backup.service")
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.log() == ["9.6 cluster=c1 state=active status=start job=backup.service cmd=backup.service"]


def test_passive_node_skips_it(node: Any) -> None:
    node.become("passive")
    node.configure("passive_exit = 0")
    out = node.ctl("guard", "backup.service")
    assert (out.returncode, out.stdout, out.stderr) == (1, "", "")
    assert node.log() == ["9.6 cluster=c1 state=passive status=ignore job=backup.service cmd=backup.service"]


def test_passive_status_is_for_a_caller_that_must_not_take_a_crash_for_it(node: Any) -> None:
    node.become("passive")
    assert node.ctl("guard", "--passive-status", "75", "backup.service").returncode == 75
    assert node.ctl("guard", "--passive-status=75", "backup.service").returncode == 75


def test_stale_node_skips_it_and_says_so(node: Any) -> None:
    node.configure("state_max_age = 5")
    node.become("active")
    os.utime(node.state_file, (0, 86400))
    assert node.ctl("guard", "backup.service").returncode == 1
    assert " status=stale job=" in node.log()[-1]


def test_pin_is_obeyed_and_logged(node: Any) -> None:
    node.become("active")
    node.ctl("pin", "passive")
    assert node.ctl("guard", "--takeover-wait", "20", "backup.service").returncode == 1
    assert node.log()[-1] == (
        "9.6 cluster=c1 state=passive pin=unpin status=ignore job=backup.service cmd=backup.service"
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["backup.timer"],
        ["backup"],
        ["a b.service"],
        ["a.service", "b.service"],
        ["--unknown", "a.service"],
        ["--takeover-wait", "soon", "a.service"],
        ["--takeover-wait"],
        ["--claim", "perhaps", "a.service"],
        ["--claim-window", "0", "a.service"],
        ["--passive-status", "0", "a.service"],
        ["--passive-status", "255", "a.service"],
        ["--passive-status", "1x", "a.service"],
        ["--conf"],
    ],
)
@pytest.mark.parametrize("state", ["active", "passive"])
def test_wrong_usage_fails_the_service(node: Any, state: str, words: "list[str]") -> None:
    node.become(state)
    out = node.ctl("guard", *words)
    assert out.returncode == 255
    assert out.stderr.startswith("rcronctl: ")
    assert "warning:" in node.log()[-1]


@pytest.mark.parametrize("text", [None, "cluster_name =\n", "nosuch = 1\n", b"\xff = 1\n"])
def test_unusable_configuration_fails_the_service(node: Any, text: "str | bytes | None") -> None:
    node.become("passive")
    if text is None:
        node.conf.unlink()
    else:
        node.conf.write_bytes(text if isinstance(text, bytes) else text.encode())
    out = node.ctl("guard", "backup.service")
    assert out.returncode == 255
    assert str(node.conf) in out.stderr
    assert node.log()[-1].endswith("; not started: backup.service")
    # That its end cannot be logged must not make a service fail.
    assert node.ctl("guard", "--ended", "backup.service", env={"SERVICE_RESULT": "success"}).returncode == 0
    assert node.log()[-1].endswith("; its end is not logged: backup.service")


@pytest.mark.parametrize("before", [["--conf", "{conf}"], ["--conf={conf}"]])
def test_configuration_is_named_before_or_after_the_command(node: Any, before: "list[str]") -> None:
    other = node.folder / "other.conf"
    node.conf.rename(other)
    words = [word.format(conf=other) for word in before]
    for line in ([*words, "guard", "a.service"], ["guard", *words, "a.service"]):
        node.become("passive")
        done = subprocess.run([str(node.rcronctl), *line], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (1, ""), line


@pytest.mark.parametrize(
    "line", [["--conf", "guard", "status"], ["--conf=guard", "status"], ["status", "guard"], ["check", "guard"], []]
)
def test_other_commands_are_not_taken_for_it(line: "list[str]") -> None:
    assert not guard.is_meant(line)


def test_passive_node_waits_for_its_promotion(node: Any) -> None:
    node.become("passive")
    words = [str(node.rcronctl), "--conf", str(node.conf), "guard", "--takeover-wait", "20", "a.service"]
    with subprocess.Popen(words) as process:
        wait_until_it_watches(node, process)
        node.become("active")
        assert process.wait(timeout=60) == 0
    assert node.log()[-1] == "9.6 cluster=c1 state=active status=start job=a.service cmd=a.service"


def test_wait_of_the_configuration_counts_and_ends(node: Any) -> None:
    node.configure("takeover_wait = 1")
    node.become("passive")
    began = time.monotonic()
    assert node.ctl("guard", "a.service").returncode == 1
    assert time.monotonic() - began >= 1
    assert node.ctl("guard", "--takeover-wait=0", "a.service").returncode == 1


@pytest.mark.parametrize(
    ("result", "code", "status", "line"),
    [
        ("success", "exited", "0", "status=ok dur=0 exit=0"),
        ("success", "exited", "3", "status=ok dur=0 exit=3"),  # SuccessExitStatus=3
        ("exit-code", "exited", "7", "status=fail dur=0 exit=7"),
        ("signal", "killed", "KILL", "status=fail dur=0 exit=137"),
        ("timeout", "killed", "TERM", "status=fail dur=0 exit=143"),
        ("core-dump", "dumped", "SEGV", "status=fail dur=0 exit=139"),
        ("resources", None, None, "status=fail dur=0 exit=255"),
    ],
)
def test_end_of_a_service_is_logged(
    node: Any, systemd: "dict[str, str]", result: str, code: "str | None", status: "str | None", line: str
) -> None:
    node.become("active")
    env = {**systemd, "SERVICE_RESULT": result}
    env |= {"EXIT_CODE": code, "EXIT_STATUS": status} if code and status else {}
    out = node.ctl("guard", "--ended", "a.service", env=env)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.log() == [f"9.6 cluster=c1 state=active {line} job=a.service cmd=a.service"]
    assert asked(node) == ["systemctl show --property=ExecMainStartTimestampMonotonic --value -- a.service"]


def test_duration_is_that_of_the_services_own_process(node: Any, systemd: "dict[str, str]") -> None:
    (node.folder / "answer").write_text(f"{int((time.monotonic() - 65) * 1e6)}\n")
    node.ctl("guard", "--ended", "a.service", env={**systemd, "SERVICE_RESULT": "success", "EXIT_STATUS": "0"})
    assert any(f" dur={seconds} " in node.log()[-1] for seconds in range(65, 95))


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_program_of_the_services_user_is_run(
    node: Any, systemd: "dict[str, str]", tmp_path: pathlib.Path, is_protected: bool
) -> None:
    """systemd gives a service's PATH=, often with a virtual environment of its user's, to what it runs as root."""
    his = tmp_path / "venv"
    his.mkdir()
    for name in ("systemctl", "systemd-run"):
        (his / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/done\n")
        (his / name).chmod(0o755)
    path = f"{his}:{systemd['PATH']}"
    if not is_protected:
        look_in(node, path)
    node.become("active")
    node.configure("on_demotion = terminate")
    assert node.ctl("guard", "a.service", env={**systemd, "PATH": path}).returncode == 0
    node.ctl("guard", "--ended", "a.service", env={**systemd, "PATH": path, "SERVICE_RESULT": "success"})
    assert (tmp_path / "done").exists() != is_protected


def test_skip_is_not_an_end(node: Any, systemd: "dict[str, str]") -> None:
    env = {**systemd, "SERVICE_RESULT": "exec-condition", "EXIT_STATUS": "1"}
    assert node.ctl("guard", "--ended", "a.service", env=env).returncode == 0
    assert (node.log(), asked(node)) == ([], [])


def test_name_with_a_backslash_is_quoted(node: Any) -> None:
    node.become("passive")
    node.ctl("guard", r"a\x2db@c.service")
    assert node.log()[-1].endswith(r'status=ignore job="a\\x2db@c.service" cmd=a\x2db@c.service')


class TestOnDemotionTerminate:
    @pytest.fixture(autouse=True)
    def _terminate(self, node: Any) -> None:
        node.configure("on_demotion = terminate")
        node.become("active")

    def test_a_unit_is_started_that_waits_for_the_demotion(self, node: Any, systemd: "dict[str, str]") -> None:
        assert node.ctl("guard", "a@b.service", env=systemd).returncode == 0
        assert asked(node) == [
            "systemctl stop -- rcron-stopper-a:b.service",
            f"systemd-run --quiet --collect --unit=rcron-stopper-a:b.service -- {node.rcronctl} --conf {node.conf} "
            "guard --watch a@b.service",
        ]

    def test_users_service_is_watched_by_the_users_manager(self, node: Any, systemd: "dict[str, str]") -> None:
        assert node.ctl("guard", "--user", "a.service", env=systemd).returncode == 0
        assert [line.split()[1] for line in asked(node)] == ["--user", "--user"]
        assert asked(node)[1].endswith("guard --watch --user a.service")

    def test_service_that_nothing_would_stop_fails(self, node: Any, systemd: "dict[str, str]") -> None:
        (node.folder / "status").write_text("1")
        (node.folder / "answer").write_text("Failed to connect to bus\n")
        out = node.ctl("guard", "a.service", env=systemd)
        assert out.returncode == 255
        assert "nothing would stop it on a demotion (on_demotion = terminate): Failed to connect to bus" in out.stderr
        assert "status=start" not in "\n".join(node.log())

    def test_systemd_that_is_missing_is_a_failure_too(self, node: Any) -> None:
        (node.folder / "empty").mkdir()
        look_in(node, str(node.folder / "empty"))
        assert node.ctl("guard", "a.service").returncode == 255

    def test_passive_node_starts_nothing(self, node: Any, systemd: "dict[str, str]") -> None:
        node.become("passive")
        assert node.ctl("guard", "a.service", env=systemd).returncode == 1
        assert asked(node) == []

    def test_demotion_stops_the_service(self, node: Any, systemd: "dict[str, str]") -> None:
        words = [str(node.rcronctl), "--conf", str(node.conf), "guard", "--watch", "a.service"]
        with subprocess.Popen(words, env=systemd) as process:
            wait_until_it_watches(node, process)
            assert asked(node) == []
            node.become("passive")
            assert process.wait(timeout=60) == 0
        assert asked(node) == ["systemctl stop --no-block -- a.service"]
        assert node.log_without_times() == [
            "9.6 cluster=c1 state=passive status=demoted dur=N job=a.service cmd=a.service"
        ]

    def test_service_that_cannot_be_stopped_is_reported(self, node: Any, systemd: "dict[str, str]") -> None:
        node.become("passive")
        (node.folder / "status").write_text("4")
        (node.folder / "answer").write_text("Access denied\n")
        assert node.ctl("guard", "--watch", "a.service", env=systemd).returncode == 1
        assert node.log()[-1].endswith(
            "warning: a.service could not be stopped and goes on on a passive node: Access denied"
        )

    def test_removal_of_rcron_is_not_a_demotion(self, node: Any, systemd: "dict[str, str]") -> None:
        words = [str(node.rcronctl), "--conf", str(node.conf), "guard", "--watch", "a.service"]
        with subprocess.Popen(words, env=systemd) as process:
            wait_until_it_watches(node, process)
            node.conf.unlink()
            node.become("passive")
            assert process.wait(timeout=60) == 0
        assert (asked(node), node.log()) == ([], [])

    def test_process_ends_with_a_service_that_died_without_its_stop_post(
        self, node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from rcron import settings

        monkeypatch.setattr(stopper, "_SELDOM", 0.05)
        monkeypatch.setattr(stopper, "_property", lambda *_words: "failed")
        assert stopper.watch(settings.load(str(node.conf)), "a.service", False, "") == 0

    def test_end_of_the_service_ends_the_unit(self, node: Any, systemd: "dict[str, str]") -> None:
        node.ctl("guard", "--ended", "a@b.service", env={**systemd, "SERVICE_RESULT": "success"})
        assert asked(node)[-1] == "systemctl stop --no-block -- rcron-stopper-a:b.service"


class TestLauncher:
    """What the launcher makes of a Python or a package that fails: Python's own status would be 1, "passive"."""

    @pytest.fixture
    def launcher(self, node: Any) -> pathlib.Path:
        """rcronctl as an installation writes it, for a package that does not exist."""
        path: pathlib.Path = node.folder / "launched"
        path.write_text(CTL_LAUNCHER.format(python=sys.executable, library=node.folder / "library"))
        path.chmod(0o755)
        return path

    def run(self, launcher: pathlib.Path, *words: str) -> int:
        return subprocess.run([str(launcher), *words], check=False, stderr=subprocess.DEVNULL).returncode

    def test_package_that_is_gone_fails_the_service(self, launcher: pathlib.Path) -> None:
        assert self.run(launcher, "guard", "a.service") == 255
        assert self.run(launcher, "status") == 1

    @pytest.mark.parametrize(
        "text",
        ["raise SystemExit(78)", "raise KeyboardInterrupt", "(", "def is_meant(argv): return True\n"],
        ids=["exit", "interrupt", "syntax", "no launch"],
    )
    def test_module_that_fails_fails_the_service(self, launcher: pathlib.Path, node: Any, text: str) -> None:
        package = node.folder / "library" / "rcron"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "guard.py").write_text(text)
        assert self.run(launcher, "guard", "a.service") == 255

    def test_exception_fails_the_service(self, launcher: pathlib.Path, node: Any) -> None:
        (node.folder / "library").symlink_to(CHECKOUT)
        node.conf.write_text(f"state_file = {node.state_file}\n")
        node.become("passive")
        words = ("--conf", str(node.conf), "guard", "a.service")
        assert self.run(launcher, *words) == 1
        text = launcher.read_text().replace(
            "from rcron import guard\n", "from rcron import guard, state\n    state.current = None\n"
        )
        launcher.write_text(text)
        assert self.run(launcher, *words) == 255


@pytest.fixture
def claiming(node: Any, agent: Any) -> Any:
    """An active node whose services are claimed."""
    node.become("active")
    node.configure("claim = required", "claim_wait = 2")
    agent.start()
    return node


def invoked(number: int) -> "dict[str, str]":
    """The environment of a service that a timer has started."""
    return {**os.environ, "INVOCATION_ID": f"{number:032x}", "TRIGGER_TIMER_REALTIME_USEC": "1764320461000000"}


@pytest.fixture
def minute() -> int:
    """A minute that will not end for twenty seconds, in seconds since the epoch."""
    left = 60 - time.time() % 60
    if left < 20:
        time.sleep(left + 0.2)
    return int(time.time()) // 60 * 60


def test_a_service_that_is_claimed_starts_once(claiming: Any, agent: Any, minute: int) -> None:
    assert claiming.ctl("guard", "backup.service", env=invoked(1)).returncode == 0
    assert claiming.ctl("guard", "backup.service", env=invoked(2)).returncode == 1
    assert claiming.log()[:2] == [
        "9.6 cluster=c1 state=active status=start job=backup.service cmd=backup.service",
        "9.6 cluster=c1 state=active status=ignore by=node1 job=backup.service cmd=backup.service",
    ]
    ended = {**invoked(1), "SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "3"}
    assert claiming.ctl("guard", "--ended", "backup.service", env=ended).returncode == 0
    agent.ended()
    ends = {name.rpartition("_")[2]: lines[1:] for name, lines in agent.claims().items()}
    assert ends == {str(minute): ["end <3>"]}


def test_a_service_that_nobody_can_claim_fails_or_starts_unclaimed(claiming: Any, agent: Any) -> None:
    agent.stop()
    out = claiming.ctl("guard", "backup.service", env=invoked(1))
    assert out.returncode == 255
    assert "cannot tell whether this run is this node's own" in out.stderr
    claiming.configure("claim = preferred", "claim_wait = 1")
    assert claiming.ctl("guard", "backup.service", env=invoked(1)).returncode == 0
    assert claiming.log()[-1] == (
        "9.6 cluster=c1 state=active claim=unknown status=start job=backup.service cmd=backup.service"
    )


def test_a_service_may_be_claimed_by_itself_and_for_a_time(claiming: Any, agent: Any, minute: int) -> None:
    claiming.configure("claim = off", "claim_wait = 2")
    for number in (1, 2):
        assert claiming.ctl("guard", "backup.service", env=invoked(number)).returncode == 0
    assert agent.claims() == {}
    words = ("--claim", "required", "backup.service")
    assert claiming.ctl("guard", *words, env=invoked(3)).returncode == 0
    assert claiming.ctl("guard", *words, env=invoked(4)).returncode == 1
    ended = {**invoked(3), "SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}
    assert claiming.ctl("guard", "--ended", *words, env=ended).returncode == 0
    agent.ended()
    assert [lines[1:] for lines in agent.claims().values()] == [["end <0>"]]
    # The engine is asked for a time instead of the minute.
    assert claiming.ctl("guard", "--claim-window", "3600", *words, env=invoked(5)).returncode == 0
    assert sorted(name.rpartition("_")[2][0] for name in agent.claims()) == ["+", str(minute)[0]]
