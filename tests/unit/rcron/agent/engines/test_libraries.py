# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What neither a hostile server nor a user who plants files can do to psycopg2, libpq and python3-redis."""

import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = pathlib.Path(__file__).parent / "hostile_servers.py"


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that has both libraries."""
    for path in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([path, "-c", "import psycopg2, redis"], check=False, capture_output=True).returncode == 0:
            return path
    give_up: Any = pytest.fail if os.environ.get("RCRON_REQUIRE_ALL") else pytest.skip
    give_up("neither this Python nor /usr/bin/python3 has psycopg2 and redis (python3-psycopg2, python3-redis)")
    raise AssertionError


def said(python: str, *words: str, **environment: str) -> str:
    """What comes of an attack."""
    clean = {name: value for name, value in os.environ.items() if name not in ("KRB5CCNAME", "PYTHONPATH")}
    command = [python, str(PROGRAM), *words]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, timeout=60, env={**clean, **environment}
    )
    return done.stdout


@pytest.mark.parametrize(
    ("engine", "attack"),
    [
        ("postgresql", "one_setting_for_ever"),
        ("postgresql", "setup_hangs"),
        ("postgresql", "statement_hangs"),
        ("redis", "drips"),
    ],
)
def test_no_server_keeps_the_agent_waiting(python: str, engine: str, attack: str) -> None:
    """There are as many threads for claims as it takes to hang all of them."""
    assert "cannot tell" in said(python, engine, attack, "yes")
    assert said(python, engine, attack, "no").endswith("waits\n")


@pytest.mark.parametrize(
    ("engine", "attack"),
    [
        ("postgresql", "settings_without_end"),
        ("postgresql", "rows_without_end"),
        ("redis", "string_without_end"),
    ],
)
def test_no_server_fills_the_nodes_memory(python: str, engine: str, attack: str) -> None:
    """The agent that keeps a lease is the last process that the kernel would end for want of memory."""
    protected, unprotected = (said(python, engine, attack, each) for each in ("yes", "no"))
    assert "cannot tell" in protected
    assert int(protected.split()[0]) < 300 < int(unprotected.split()[0]), (protected, unprotected)


@pytest.mark.parametrize(("engine", "attack"), [("postgresql", "statement_hangs"), ("redis", "nonsense")])
def test_as_many_processes_as_there_can_be_keep_no_question_from_being_asked(
    python: str, engine: str, attack: str
) -> None:
    """Whoever starts them would take the lease from this node."""
    assert "start new thread" not in said(python, engine, attack, "yes")
    assert "start new thread" in said(python, engine, attack, "late")


def test_a_terminal_obeys_no_server_that_is_being_connected(python: str, capfd: pytest.CaptureFixture[str]) -> None:
    """libpq prints what that one says: on the terminal of root's `rcron-agent --check`, for one."""
    said(python, "postgresql", "notices", "yes")
    assert "\033" not in capfd.readouterr().err
    said(python, "postgresql", "notices", "no")
    assert "\033]0;seen" in capfd.readouterr().err


def test_nonsense_has_the_next_server_asked(python: str) -> None:
    assert "cannot tell: 127.0.0.1" in said(python, "redis", "nonsense", "yes")


@pytest.mark.parametrize(("engine", "attack"), [("postgresql", "statement_hangs"), ("redis", "drips")])
def test_no_daemons_user_has_the_agent_wait_for_a_certificate(
    python: str, tmp_path: pathlib.Path, engine: str, attack: str
) -> None:
    """It may be in that user's folder: a FIFO, or a link to a device that is armed if it is opened."""
    fifo = str(tmp_path / "ca.pem")
    os.mkfifo(fifo)
    assert "not a regular file" in said(python, engine, attack, "yes", "", fifo).lower()
    if engine == "redis":
        assert said(python, engine, attack, "no", "", fifo).endswith("waits\n")


@pytest.mark.parametrize("attack", ["statement_hangs", "asks_for_kerberos"])
def test_no_ordinary_user_has_root_wait_for_a_ticket(python: str, tmp_path: pathlib.Path, attack: str) -> None:
    """Kerberos' default is /tmp/krb5cc_0, which anybody can make; the limits for connecting do not hold there."""
    tickets = tmp_path / "krb5cc_0"
    os.mkfifo(tickets)
    conf = tmp_path / "krb5.conf"
    conf.write_text(f"[libdefaults]\ndefault_ccache_name = FILE:{tickets}\ndefault_realm = X\n", encoding="utf-8")
    wanted = "closed the connection" if attack == "statement_hangs" else "No Kerberos credentials available"
    assert wanted in said(python, "postgresql", attack, "yes", KRB5_CONFIG=str(conf))
    unprotected = {"KRB5_CONFIG": str(conf), "KRB5CCNAME": f"FILE:{tickets}"}
    mode = "gssencmode=prefer" if attack == "statement_hangs" else ""
    assert said(python, "postgresql", attack, "yes", mode, **unprotected).endswith("waits\n")
