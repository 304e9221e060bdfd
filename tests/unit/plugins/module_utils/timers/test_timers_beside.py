# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Crontab entries that leave their job to a timer of the same package."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.node import programs
from ansible_collections.rcron.cluster.plugins.module_utils.timers import beside

#: Lines of Debian's packages, as they are in bookworm.
CERTBOT = (
    rb"test -x /usr/bin/certbot -a \! -d /run/systemd/system && perl -e 'sleep int(rand(43200))' && certbot -q renew"
)
E2SCRUB = rb"test -e /run/systemd/system || SERVICE_MODE=1 /usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all_cron"
PHP = rb"[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi"
ANACRON = (
    rb"[ -x /etc/init.d/anacron ] && if [ ! -d /run/systemd/system ]; then /usr/sbin/invoke-rc.d anacron start "
    rb">/dev/null; fi"
)


@pytest.fixture(autouse=True)
def _booted(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "BOOTED", str(tmp_path))


@pytest.mark.parametrize(
    "command",
    [
        CERTBOT,
        E2SCRUB,
        PHP,
        ANACRON,
        b"! test -d /run/systemd/system && job",
        b"[ -d /run/systemd/system ] && exit 0; job",
        b"if [ -d /run/systemd/system ]; then exit 0; fi; job",
    ],
)
def test_entry_ends_itself_under_systemd(command: bytes) -> None:
    assert beside.ends_itself(command)


@pytest.mark.parametrize(
    "command",
    [
        b"/usr/local/bin/backup",
        b"[ -d /run/systemd/system ] && job",
        b"ls /run/systemd/system",
        b"test ! -d /run/systemd/systems && job",
    ],
)
def test_entry_that_runs_under_systemd(command: bytes) -> None:
    assert not beside.ends_itself(command)


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_user_s_blanks_take_an_inspection_s_time(monkeypatch: pytest.MonkeyPatch, is_protected: bool) -> None:
    """16,000 took 6 s, and twice as many four times as long: these million would take hours."""
    if not is_protected:
        before = beside._ENDS_ITSELF.pattern.replace(rb"(?:\s*\])?\s*", rb"\s*\]?\s*")
        assert before != beside._ENDS_ITSELF.pattern
        monkeypatch.setattr(beside, "_ENDS_ITSELF", re.compile(before))

    def ring(*_words: object) -> None:
        raise TimeoutError

    rings = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60 if is_protected else 2)
    try:
        ended = not beside.ends_itself(b"[ -d /run/systemd/system" + b" " * 1_000_000 + b"x")
    except TimeoutError:
        ended = False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, rings)
    assert ended == is_protected


def test_no_entry_ends_itself_on_a_host_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "BOOTED", "/no/such/folder")
    assert not beside.ends_itself(CERTBOT)
    assert beside.refusal("/etc/cron.d/certbot", "/etc/cron.d/certbot", 3, CERTBOT) == ""


class Host:
    """A package manager's answers by its words, and systemctl's."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def run(self, *words: str, **_options: object) -> subprocess.CompletedProcess[str]:
        line = " ".join(words)
        if not any(known.startswith(words[0]) for known in self.answers):
            raise programs.NotStartedError(f"{words[0]} cannot be run")
        return subprocess.CompletedProcess(words, 0 if line in self.answers else 1, self.answers.get(line, ""), "")

    def output(self, *words: str, **_options: object) -> str:
        done = self.run(*words)
        if done.returncode:
            raise programs.FailedError("failed")
        return done.stdout


DEBIAN = {
    "dpkg-query --search /etc/cron.d/certbot": "diversion by x from: /etc/x\ncertbot: /etc/cron.d/certbot\n",
    "dpkg-query --listfiles certbot": "/.\n/lib/systemd/system/certbot.timer\n/usr/share/doc/old.timer\n",
}
RED_HAT = {
    "rpm --query --queryformat=%{NAME}\n --file /etc/cron.d/certbot": "certbot\n",
    "rpm --query --list certbot": "/usr/lib/systemd/system/certbot-renew.timer\n/usr/lib/systemd/system/a.timer\n",
}


@pytest.mark.parametrize(
    ("answers", "timers"), [(DEBIAN, ["certbot.timer"]), (RED_HAT, ["a.timer", "certbot-renew.timer"])]
)
def test_timers_of_a_files_package(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], timers: list[str]) -> None:
    host = Host(answers)
    monkeypatch.setattr(programs, "run", host.run)
    monkeypatch.setattr(programs, "output", host.output)
    paths = ["/etc/cron.d/certbot", "/etc/cron.d/mine"]
    assert beside.of_packages(paths) == {"/etc/cron.d/certbot": timers, "/etc/cron.d/mine": []}
    sentence = beside.refusal("/etc/cron.d/certbot", "/etc/cron.d/certbot", 3, CERTBOT)
    assert sentence.startswith("line 3 of /etc/cron.d/certbot ends itself where systemd runs")
    assert f"guard {' and '.join(timers)} of the same package with rcron_timers_units" in sentence


def test_file_of_no_package_has_the_timer_of_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(programs, "run", Host({}).run)
    monkeypatch.setattr(beside, "SYSTEM_FOLDERS", (str(tmp_path),))
    (tmp_path / "mine.timer").write_text("")
    assert beside.of_packages(["/etc/cron.d/mine", "/etc/cron.d/other"]) == {
        "/etc/cron.d/mine": ["mine.timer"],
        "/etc/cron.d/other": [],
    }


def test_users_entry_is_refused_without_a_timers_name() -> None:
    sentence = beside.refusal("the crontab of user root", None, 1, E2SCRUB)
    assert "line 1 of the crontab of user root ends itself" in sentence
    assert "systemctl list-timers" in sentence


def test_timer_runs_the_same_job_if_it_starts_the_program_that_the_entry_names() -> None:
    started = {"a.timer": "/usr/lib/app/clean", "b.timer": "/usr/bin/other"}
    assert beside.same_job(b"[ -x /x ] && /opt/clean --all", ["a.timer", "b.timer", "c.timer"], started) == ["a.timer"]
    assert beside.same_job(b"/opt/cleaner", ["a.timer", "c.timer"], started) == []
    assert beside.same_job(CERTBOT, ["a.timer", "c.timer"], started) == ["a.timer", "c.timer"]


def test_what_a_timer_starts_is_asked_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(
        {
            "systemctl show --property=Id,Unit -- a.timer b.timer": "Id=a.timer\nUnit=c.service\n\nId=b.timer\nUnit=\n",
            "systemctl show --property=Id,ExecStart -- c.service": "Id=c.service\nExecStart={ path=/bin/c ; argv }\n",
        }
    )
    monkeypatch.setattr(programs, "output", host.output)
    assert beside.started_by(["b.timer", "a.timer"]) == {"a.timer": "/bin/c"}
    assert beside.started_by([]) == {}
    host.answers = {"systemctl": ""}
    assert beside.started_by(["a.timer"]) == {}
