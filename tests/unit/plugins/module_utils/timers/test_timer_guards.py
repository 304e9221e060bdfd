# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Guarding a service: the drop-in, what is refused and warned of, and what is written and removed."""

from __future__ import annotations

import os
import pathlib
import pwd
import shlex
import stat
import subprocess
import tempfile

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.module_utils.timers import drop_in, guards, hazards, units
from ansible_collections.rcron.cluster.plugins.module_utils.timers.guards import Request, plan_absent, plan_present
from ansible_collections.rcron.cluster.plugins.module_utils.timers.units import (
    MissingUnitError,
    Service,
    Timer,
    UnitError,
)

CONF = "/etc/rcron/rcron.conf"
RCRONCTL = "/usr/bin/rcronctl"

PLAIN = r"""# Written by Ansible, rcron.cluster.rcron_timers: changes made here are lost at its next run.
[Service]
ExecCondition=+/bin/sh -c '/usr/bin/rcronctl guard --passive-status 75 "$$0"; case $$? in 0) ;; \
75) exit 1 ;; *) exit 255 ;; esac' %n
ExecStopPost=-+/usr/bin/rcronctl guard --ended %n
""".replace("\\\n", "")


class FakeUnits:
    """A service manager in which every unit is as it should be, apart from `timers` and `services`."""

    def __init__(self) -> None:
        self.timers: dict[str, Timer] = {}
        self.services: dict[str, Service] = {}

    def timer(self, name: str) -> Timer:
        if name == "missing.timer":
            raise MissingUnitError(f"{name} does not exist")
        return self.timers.get(name) or Timer(name, name.replace(".timer", ".service"), accuracy=1)

    def service(self, name: str) -> Service:
        if name == "masked.service":
            raise UnitError(f"{name} is masked")
        return self.services.get(name) or Service(name)


class Host:
    """folders: where the drop-ins go. units: the system's. asked: systemctl's words. condition: what it shows."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.units = FakeUnits()
        self.asked: list[tuple[str, ...]] = []
        self.condition = "{ path=/bin/sh ; argv[]=/bin/sh -c /usr/bin/rcronctl guard }"
        self.version = 252

    def output(self, *words: str, **_options: float) -> str:
        if words[1] == "--version":
            return f"systemd {self.version} (x)\n"
        self.asked.append(words)
        return f"Id={words[-1]}\nExecCondition={self.condition}\n" if "show" in words else ""

    def run(self, *words: str, user: str, **_options: float) -> subprocess.CompletedProcess[str]:
        self.asked.append((*words, user))
        return subprocess.CompletedProcess(words, 0, "", "")

    def present(self, *requests: Request, conf: str = CONF) -> guards.Plan:
        return plan_present(list(requests), RCRONCTL, conf, {"system": self.units, "user": self.units})

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.folder)): path.read_text() for path in self.folder.rglob("*.conf")}


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    folders = {"system": str(tmp_path / "system"), "user": str(tmp_path / "user")}
    monkeypatch.setattr(drop_in, "FOLDERS", folders)
    monkeypatch.setattr(programs, "output", host.output)
    monkeypatch.setattr(programs, "run", host.run)
    monkeypatch.setattr(guards, "USER_SOCKETS", str(tmp_path / "run" / "[0-9]*" / "systemd" / "private"))
    return host


class TestText:
    def test_of_a_systems_service(self) -> None:
        assert drop_in.text("system", RCRONCTL, CONF, None) == PLAIN

    def test_of_a_users_service_in_another_cluster_that_waits(self) -> None:
        lines = drop_in.text("user", "/opt/rcronctl", "/etc/rcron/b.conf", 30).splitlines()
        assert lines[2].startswith(
            "ExecCondition=/bin/sh -c '/opt/rcronctl --conf /etc/rcron/b.conf guard --user --takeover-wait 30 --passive"
        )
        assert lines[3] == "ExecStopPost=-/opt/rcronctl --conf /etc/rcron/b.conf guard --user --ended %n"

    def test_of_a_service_that_is_claimed(self) -> None:
        lines = drop_in.text("system", RCRONCTL, CONF, None, "required", 300).splitlines()
        assert f"{RCRONCTL} guard --claim required --claim-window 300 --passive-status 75 " in lines[2]
        assert lines[3] == f"ExecStopPost=-+{RCRONCTL} guard --claim required --ended %n"

    def test_of_a_service_of_a_cluster_that_is_fed_by_a_lease(self) -> None:
        text = drop_in.text("system", RCRONCTL, CONF, None, term_file="/run/rcron-agent/run-a%2db-state.term")
        assert text == f"{PLAIN}EnvironmentFile=-/run/rcron-agent/run-a%%2db-state.term\n"

    @pytest.mark.parametrize("conf", [CONF, "/etc/rcron/b.conf"])
    def test_the_configuration_is_found_in_it_again(self, conf: str) -> None:
        assert drop_in.conf_of(drop_in.text("system", RCRONCTL, conf, 5)) == conf
        assert drop_in.conf_of("[Service]\nExecCondition=/bin/true\n") is None

    @pytest.mark.parametrize(
        ("answer", "status"),
        [("exit 0", 0), ("exit 75", 1), ("exit 1", 255), ("exit 64", 255), ("exit 255", 255), ("kill -9 $$", 255),
         (None, 255)],
    )  # fmt: skip
    def test_only_a_passive_node_is_a_skip(self, answer: str | None, status: int, tmp_path: pathlib.Path) -> None:
        """Not a program that is missing (None), nor a Python that ends with 1."""
        rcronctl = tmp_path / "rcronctl"
        if answer:
            rcronctl.write_text(
                f"#!/bin/sh\n[ \"$*\" = 'guard --passive-status 75 a\\x2db@c.service' ] || exit 0\n{answer}\n"
            )
            rcronctl.chmod(0o755)
        (line,) = [
            line for line in drop_in.text("system", str(rcronctl), CONF, None).splitlines() if "ExecCondition=" in line
        ]
        # systemd's quotes are the shell's here; it takes $$ for a $ that is not a variable of its own.
        words = [word.replace("$$", "$") for word in shlex.split(line.partition("=+")[2])]
        assert words[-1] == "%n"
        done = subprocess.run([*words[:-1], r"a\x2db@c.service"], check=False, stderr=subprocess.DEVNULL)
        assert done.returncode == status


class TestPresent:
    def test_drop_in_is_written_once(self, host: Host) -> None:
        plan = host.present(Request("a.timer"))
        assert [guard.shown() for guard in plan.guards] == [
            {
                "unit": "a.timer",
                "service": "a.service",
                "scope": "system",
                "path": f"{host.folder}/system/a.service.d/50-rcron.conf",
                "changed": True,
            }
        ]
        assert host.files() == {}
        plan.apply()
        assert host.files() == {"system/a.service.d/50-rcron.conf": PLAIN}
        assert host.asked == [
            ("systemctl", "daemon-reload"),
            ("systemctl", "show", "--property=Id,ExecCondition", "--", "a.service"),
        ]
        assert stat.S_IMODE(os.stat(plan.guards[0].path).st_mode) == 0o644
        assert os.listdir(host.folder / "system" / "a.service.d") == ["50-rcron.conf"]
        again = host.present(Request("a.timer"))
        assert not any(guard.changed for guard in again.guards)
        host.asked.clear()
        again.apply()
        assert ("systemctl", "daemon-reload") not in host.asked

    def test_another_wait_replaces_it(self, host: Host) -> None:
        host.present(Request("a.timer")).apply()
        host.present(Request("a.timer", takeover_wait=5)).apply()
        assert "--takeover-wait 5 " in host.files()["system/a.service.d/50-rcron.conf"]

    def test_a_condition_that_systemd_does_not_obey_is_an_error(self, host: Host) -> None:
        host.condition = ""
        with pytest.raises(programs.ProgramError, match=r"a\.service has no such ExecCondition=.*sorts after it"):
            host.present(Request("a.timer")).apply()

    def test_template_is_asked_about_by_an_instance(self, host: Host) -> None:
        host.present(Request("a@.timer")).apply()
        assert host.asked[-1][-1] == "a@rcron.service"
        assert list(host.files()) == ["system/a@.service.d/50-rcron.conf"]

    def test_users_service_managers_are_reloaded(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket

        monkeypatch.chdir(host.folder)  # a socket's name has 107 bytes at most
        uid = os.getuid()
        for name in (str(uid), f"{uid}9"):
            os.makedirs(f"run/{name}/systemd")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"run/{uid}/systemd/private")
            host.present(Request("a.timer", "user")).apply()
        assert list(host.files()) == ["user/a.service.d/50-rcron.conf"]
        (words,) = host.asked
        runtime = f"XDG_RUNTIME_DIR={host.folder}/run/{uid}"
        assert words == ("env", runtime, "systemctl", "--user", "daemon-reload", pwd.getpwuid(uid).pw_name)

    @pytest.mark.parametrize(
        ("request_", "refusal"),
        [
            (
                Request("missing.timer"),
                "missing.timer does not exist: correct the name, create the unit, or set on_missing",
            ),
            (Request("masked.service"), "masked.service is masked"),
            (Request("a"), "'a' is not the name of a timer or a service: end it with .timer or .service"),
            (Request("../a.timer"), "'../a.timer' is not the name of a timer"),
            (Request("a b.timer"), "'a b.timer' is not the name of a timer"),
            (Request("a.timer\n"), "'a.timer\\n' is not the name of a timer"),
            (Request("a.timer", takeover_wait=-1), "a.timer: takeover_wait is -1: set 0 to 86400 seconds"),
            (Request("a.timer", claim_window=0), "a.timer: claim_window is 0: set 1 to 86400 seconds"),
        ],
    )
    def test_refusal(self, host: Host, request_: Request, refusal: str) -> None:
        plan = host.present(Request("good.timer"), request_)
        assert len(plan.refusals) == 1
        assert plan.refusals[0].startswith(refusal)

    @pytest.mark.parametrize(("on_missing", "warned"), [("warn", 1), ("ignore", 0)])
    def test_missing_unit_may_be_allowed(self, host: Host, on_missing: str, warned: int) -> None:
        plan = host.present(Request("missing.timer", on_missing=on_missing))
        assert (plan.refusals, plan.guards, len(plan.hazards)) == ([], [], warned)

    def test_timer_that_starts_no_service(self, host: Host) -> None:
        host.units.timers["a.timer"] = Timer("a.timer", "a.target")
        assert host.present(Request("a.timer")).refusals == [
            "a.timer starts a.target: only a service has ExecCondition="
        ]

    def test_two_timers_of_one_service_must_agree(self, host: Host) -> None:
        host.units.timers["b.timer"] = Timer("b.timer", "a.service", accuracy=1)
        assert len(host.present(Request("a.timer"), Request("b.timer")).guards) == 1
        assert host.present(Request("a.timer"), Request("b.timer", takeover_wait=1)).refusals == [
            "a.timer and b.timer start the same a.service: give both the same takeover_wait, claim and claim_window"
        ]

    def test_somebody_elses_drop_in_and_another_clusters_are_left_alone(self, host: Host) -> None:
        place = host.folder / "system" / "a.service.d" / "50-rcron.conf"
        place.parent.mkdir(parents=True)
        place.write_text("[Service]\n")
        assert host.present(Request("a.timer")).refusals == [
            f"{place} was not written by this module: remove that first"
        ]
        place.write_text(drop_in.text("system", RCRONCTL, "/etc/rcron/b.conf", None))
        assert host.present(Request("a.timer")).refusals == [
            f"{place} guards it for /etc/rcron/b.conf: remove that first"
        ]
        place.unlink()
        os.mkfifo(place)
        assert host.present(Request("a.timer")).refusals[0].startswith(f"{place} cannot be read")

    @pytest.mark.parametrize("conf", ["rcron.conf", "/etc/r cron", "/etc/$x", "/etc/%n", "/etc/'", '/etc/"', "/etc/\\"])
    def test_path_that_systemd_would_change(self, host: Host, conf: str) -> None:
        assert (
            host.present(Request("a.timer"), conf=conf).refusals[0].startswith(f"conf is {conf}: use an absolute path")
        )

    def test_systemd_before_243(self, host: Host) -> None:
        host.version = 241
        plan = host.present(Request("a.timer"))
        assert plan.refusals[0].startswith("systemd 241 does not know ExecCondition=, which came with 243")


class TestAbsent:
    @pytest.fixture(autouse=True)
    def _guarded(self, host: Host) -> None:
        host.present(Request("a.timer"), Request("b@.timer"), Request("c.service"), Request("d.timer", "user")).apply()
        host.present(Request("other.timer"), conf="/etc/rcron/b.conf").apply()
        host.asked.clear()

    def test_all_of_the_cluster_whatever_is_still_there(self, host: Host) -> None:
        (host.folder / "system" / "a.service.d" / "own.conf").write_text("[Service]\n")
        plan = plan_absent([], CONF)
        assert sorted(guard.service for guard in plan.guards) == ["a.service", "b@.service", "c.service", "d.service"]
        assert len(host.files()) == 6
        plan.apply()
        assert sorted(host.files()) == ["system/a.service.d/own.conf", "system/other.service.d/50-rcron.conf"]
        assert not (host.folder / "system" / "c.service.d").exists()
        assert host.asked == [("systemctl", "daemon-reload")]
        assert plan_absent([], CONF).guards == []

    def test_some(self, host: Host) -> None:
        plan = plan_absent([Request("a.timer"), Request("b@.timer")], CONF)
        assert [(guard.unit, guard.service) for guard in plan.guards] == [
            ("a.timer", "a.service"),
            ("b@.timer", "b@.service"),
        ]

    def test_files_of_others_are_not_removed(self, host: Host) -> None:
        place = host.folder / "system" / "a.service.d" / "50-rcron.conf"
        place.write_text("[Service]\n")
        os.unlink(host.folder / "system" / "c.service.d" / "50-rcron.conf")
        os.mkfifo(host.folder / "system" / "c.service.d" / "50-rcron.conf")
        services = [guard.service for guard in plan_absent([], CONF).guards]
        assert services == ["b@.service", "d.service"]


class TestHazards:
    def test_nothing_is_said_of_a_plain_timer(self) -> None:
        timer = Timer("a.timer", "a.service", accuracy=1)
        assert hazards.warnings(Service("a.service"), timer, None, 252) == []
        assert hazards.refusals(Service("a.service"), False, 30) == []

    @pytest.mark.parametrize(
        ("service", "words"),
        [
            (Service("a.service", root="/srv"), "set RootDirectoryStartOnly=yes"),
            (Service("a.service", starters=["b.target (Wants=)"]), r"also started by b\.target \(Wants=\)"),
            (Service("a.service", user="nosuchuser"), "User=nosuchuser does not exist, which systemd takes for a skip"),
            (Service("a.service", group="nosuchgroup"), "Group=nosuchgroup does not exist"),
            (Service("a.service", mounts=["/srv", "/run/"]), "finds other files in /run/ than the host has"),
            (Service("a.service", start_limit=30), "takeover_wait is 30 s, and its TimeoutStartSec= 30 s"),
        ],
    )
    def test_refused(self, service: Service, words: str) -> None:
        import re

        (refusal,) = hazards.refusals(service, False, 30)
        assert re.search(words, refusal)

    def test_users_and_mounts_that_are_fine(self) -> None:
        service = Service("a.service", user="root", group="4711", mounts=["/srv", "/run/app"])
        assert hazards.refusals(service, False, None) == []

    def test_other_starters_are_allowed_if_the_task_says_so(self) -> None:
        service = Service("a.service", starters=["b.service (Requires=)"], followers=["b.service"])
        assert hazards.refusals(service, True, None) == []
        (warning,) = hazards.warnings(service, None, None, 252)
        assert "required by b.service" in warning

    @pytest.mark.parametrize(
        ("service", "timer", "words"),
        [
            (Service("a.service", on_success=["ok.service"]), None, "ExecStartPost="),
            (Service("a.service", restart="always"), None, "Restart=on-failure"),
            (Service("a.service"), Timer("a.timer", "a.service", random_delay=5, accuracy=1), "RandomizedDelaySec=0"),
            (Service("a.service"), Timer("a.timer", "a.service", accuracy=3600), "within 3600 s"),
            (Service("a.service"), Timer("a.timer", "a.service", once=True), "set takeover_wait"),
            (Service("a.service"), Timer("a.timer", "a.service", is_persistent=True), "Persistent="),
        ],
    )
    def test_warned_of(self, service: Service, timer: Timer | None, words: str) -> None:
        (warning,) = hazards.warnings(service, timer, None, 247)
        assert words in warning

    def test_what_does_not_hold_is_not_warned_of(self) -> None:
        assert hazards.warnings(Service("a.service", restart="always"), None, None, 252) == []
        assert hazards.warnings(Service("a.service"), Timer("a.timer", "a.service", once=True), 30, 247) == []
        jitter = Timer("a.timer", "a.service", random_delay=300)
        assert hazards.warnings(Service("a.service"), jitter, None, 252, 301) == []
        assert len(hazards.warnings(Service("a.service"), jitter, None, 252, 299)) == 1


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_user_whose_service_manager_does_not_answer_takes_nothing_from_the_administrator(
    host: Host, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """It is a socket in a folder of his."""
    import socket

    def run(*words: str, time_limit: float = 20.0, user: str = "") -> subprocess.CompletedProcess[str]:
        raise programs.ProgramError(f"{' '.join(words)} did not end within {time_limit:g} s\x1b[2J")

    monkeypatch.setattr(programs, "run", run)
    if not is_protected:
        monkeypatch.setattr(guards, "_reload_users", lambda: programs.run("systemctl"))
    monkeypatch.chdir(host.folder)
    uid = os.getuid()
    os.makedirs(f"run/{uid}/systemd")
    plan = host.present(Request("a.timer", "user"), Request("b.timer"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"run/{uid}/systemd/private")
        try:
            (problem,) = plan.apply()
        except programs.ProgramError:
            assert not is_protected
            return
    assert is_protected
    assert problem.startswith(
        f"the service manager of the user {uid} has not read its units again (did not end within 5 s[2J): what is"
    )
    assert sorted(host.files()) == ["system/b.service.d/50-rcron.conf", "user/a.service.d/50-rcron.conf"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root asks another user's service manager")
@pytest.mark.parametrize("is_protected", [True, False])
def test_a_user_who_answers_in_his_managers_place_does_not_decide_how_much_memory_root_needs(
    program, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """The process that asks runs as him, so that he may have it write whatever he likes."""
    import socket

    program("systemctl", "head -c 8000000 /dev/zero >&2; exit 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(guards, "USER_SOCKETS", str(tmp_path / "run" / "[0-9]*" / "systemd" / "private"))
    monkeypatch.setattr(programs, "DAEMON_PATH", os.environ["PATH"])
    heard = []
    real = programs.run

    def run(*words: str, user: str = "", **options: float) -> subprocess.CompletedProcess[str]:
        heard.append(real(*words, user=user if is_protected else "", **options))
        return heard[-1]

    monkeypatch.setattr(programs, "run", run)
    os.makedirs("run/0/systemd")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("run/0/systemd/private")
        (problem,) = guards._reload_users()
    assert "the user 0 has not read its units again" in problem
    assert len(heard[0].stderr) == (programs.MOST_BYTES if is_protected else 8000000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's file")
@pytest.mark.parametrize("is_protected", [True, False])
@pytest.mark.parametrize(
    ("shown", "setting"),
    [
        ("EnvironmentFiles={his}/env (ignore_errors=no)", "EnvironmentFile="),
        (
            "EnvironmentFiles=/etc/os-release (ignore_errors=no)\nEnvironmentFiles={his}/e* (ignore_errors=yes)",
            "File=",
        ),
        ("EnvironmentFiles={top}/rcron/env (ignore_errors=yes)", "EnvironmentFile="),
        ('Environment="A=b c" LD_LIBRARY_PATH=/usr/lib:{his}/lib', "Environment=LD_LIBRARY_PATH="),
        ("Environment=LD_LIBRARY_PATH=:/usr/lib\nWorkingDirectory=!{his}", "Environment=LD_LIBRARY_PATH="),
        ("Environment=LD_PRELOAD={his}/env\nWorkingDirectory=~", "Environment=LD_PRELOAD="),
        ("BindPaths={his}:/usr/lib/python3.11:rbind", "BindPaths="),
        ("BindReadOnlyPaths=-{his}/env:/srv/../etc/ld.so.preload:rbind /srv:/opt/app:rbind", "BindReadOnlyPaths="),
    ],
)
def test_no_service_is_guarded_whose_user_could_have_root_load_what_he_likes(
    monkeypatch: pytest.MonkeyPatch, shown: str, setting: str, is_protected: bool
) -> None:
    """With systemd 252, LD_PRELOAD= in such a file was loaded by the condition, which root runs."""
    if not is_protected:
        monkeypatch.setattr(hazards, "exposure", lambda _path, _aim: None)
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        his = pathlib.Path(name, "alice")
        his.mkdir()
        (his / "env").touch()
        for path in (his, his / "env"):
            os.chown(path, 65534, 65534)
        (properties,) = units.blocks("Id=a@rcron.service\nUser=nobody\n" + shown.format(his=his, top=name))
        found = hazards.refusals(units.service(properties, {}), False, None)
        assert [setting in each and "nobody, who could replace what root runs" in each for each in found] == [
            True
        ] * is_protected


@pytest.mark.parametrize(
    "shown",
    [
        "Environment=LD_PRELOAD=libx.so LD_LIBRARY_PATH=$ORIGIN/lib:/usr/lib A=/tmp",
        "EnvironmentFiles=/etc/no (ignore_errors=yes)",
        "BindPaths=/tmp:/srv/app:rbind /usr/share:/usr/share:rbind",
    ],
)
def test_what_only_root_decides_is_fine(shown: str) -> None:
    (properties,) = units.blocks(f"Id=a.service\n{shown}")
    assert hazards.refusals(units.service(properties, {}), False, None) == []
