# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module finds on a host that is to claim runs: with this checkout's package, and a program as the engine."""

from __future__ import annotations

import getpass
import os
import pathlib
import sys
import tempfile

import pytest
from ansible_collections.rcron.cluster.plugins.modules import rcron_engine_info

CHECKOUT = pathlib.Path(__file__).resolve().parents[4]

ENGINE = """\
#!/bin/sh
cd {folder} || exit 75
env >said
case $1 in
claim) touch there ;;
ended) test -e there ;;
check) echo "in a folder; it is small" ;;
forget) rm -f there ;;
esac
"""


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> pathlib.Path:
    program = tmp_path / "engine"
    program.write_text(ENGINE.format(folder=tmp_path))
    program.chmod(0o755)
    return program


@pytest.fixture
def look(module, engine, tmp_path):
    """Return a function that runs the module, and returns the node that it found; or its message, if it failed."""
    files = {path: path.read_text() for path in CHECKOUT.joinpath("rcron").rglob("*.py")}
    package = {str(path.relative_to(CHECKOUT)): text for path, text in files.items()}

    def run(**given):
        given = {
            "package": package,
            "python": sys.executable,
            "conf_content": f"engine = command\nendpoints = {engine}\nnode = node1\n",
            "unit": str(tmp_path / "rcron-claims.service"),
            "user": getpass.getuser(),
            **given,
        }
        done = module(rcron_engine_info.main, **given)
        return done.get("msg") or done["node"]

    return run


def test_an_engine_that_can_be_used(look, tmp_path):
    node = look(password="s3cret")
    assert (node["words"], node["remarks"], node["problem"]) == ("in a folder", ["it is small"], "")
    assert not (tmp_path / "there").exists(), "the claim is deleted again"
    said = (tmp_path / "said").read_text().splitlines()
    assert "RCRON_ENGINE_PASSWORD=s3cret" in said


@pytest.mark.parametrize(
    ("conf", "problem"),
    [
        ("engine = mysql\n", 'agent.conf:1: engine: unknown engine "mysql"'),
        ("engine = command\nendpoints = /usr/bin\n", '"/usr/bin" is not a program'),
        ("engine = etcd\nendpoints = ftp://x\n", "agent.conf: etcd: "),
    ],
)
def test_what_cannot_be_used_says_why(look, conf, problem):
    node = look(conf_content=conf)
    assert problem in node["problem"]
    assert "/tmp/" not in node["problem"], "the folder is gone by then"
    assert node["words"] == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(
    ("given", "password", "asked_as"),
    [("no-such-user", "", "nobody"), ("no-such-user", "x", ""), ("daemon", "", "daemon"), ("daemon", "x", "daemon")],
)
def test_the_engine_is_tried_as_the_agents_user(look, given, password, asked_as):
    """A program that gets a password is not tried before it has a user of its own: nobody has other processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "ledger").mkdir()
        (folder / "ledger").chmod(0o777)
        program = folder / "engine"
        program.write_text(ENGINE.format(folder=folder / "ledger").replace("env >said", "id -un >>said"))
        program.chmod(0o755)
        said = folder / "ledger" / "said"
        text = f"engine = command\nendpoints = {program}\nnode = node1\n"
        node = look(user=given, conf_content=text, password=password)
        assert (node["words"], node["problem"]) == ("in a folder" if asked_as else "", "")
        assert set(said.read_text().split() if said.exists() else ()) == ({asked_as} if asked_as else set())


def test_an_engine_that_does_not_answer(look, engine, monkeypatch):
    engine.write_text("#!/bin/sh\necho no leader\nexit 75\n")
    monkeypatch.setattr(rcron_engine_info, "ENGINE_PROBE", rcron_engine_info.ENGINE_PROBE.replace(
        "sys.exit(main", "from rcron.agent import ledger; ledger.PATIENCE = 0; sys.exit(main"
    ))  # fmt: skip
    assert look()["problem"] == f"rcron-agent: command: {engine}: no leader"


def test_a_library_that_will_be_installed_is_not_a_problem(look, monkeypatch):
    missing = "raise SystemExit('agent.conf: redis: No module named redis; install the package python3-redis')"
    monkeypatch.setattr(rcron_engine_info, "ENGINE_PROBE", missing)
    node = look(installs=["python3-redis"])
    assert (node["lacks"], node["problem"]) == ("python3-redis", "")
    node = look(installs=["python3-psycopg2"])
    assert (node["lacks"], node["problem"][-35:]) == ("", "; install the package python3-redis")


def test_an_interpreter_that_is_not_there(look):
    assert look(python="/nonexistent/python")["problem"] == "No such file or directory"


def test_what_stands_in_the_way(look, tmp_path):
    own, other, password = (tmp_path / name for name in ("own", "other", "password"))
    own.write_text("# ours\n")
    other.write_text("# somebody's\n")
    password.write_text("secret")
    node = look(files={str(own): "# ours", str(other): "# ours", str(password): ""}, package=None)
    assert node["foreign"] == [str(other)]
    assert (node["words"], node["problem"], node["uid"]) == ("", "", os.geteuid())
    tmp_path.chmod(0o777)
    assert str(tmp_path) in look(files={str(own): "# ours"}, package=None)["exposed"]


def test_a_user_that_others_need(look, tmp_path):
    user = getpass.getuser()
    assert look(user="no-such-user", package=None)["user"] is None
    (tmp_path / "rcron-claims.service").write_text(f"ExecStart=/bin/x --user {user}\n")
    node = look(user=user, package=None)
    assert node["user"] is not None
    assert node["shared"] == []
    (tmp_path / "rcron-claims-b.service").write_text(f"ExecStart=/bin/x --user {user}\n")
    (tmp_path / "rcron-claims-c.service").write_text(f"ExecStart=/bin/x --user {user}2\n")
    assert look(user=user, package=None)["shared"] == [str(tmp_path / "rcron-claims-b.service")]


@pytest.mark.parametrize("is_exposed", [True, False])
def test_a_program_that_another_user_could_replace_is_not_trusted_with_the_claims(look, tmp_path, is_exposed):
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "engine").write_text("#!/bin/sh\n")
    folder.chmod(0o777 if is_exposed else 0o755)
    for quote in ('"', "'", ""):
        text = f"# x\nengine = {quote}command{quote}\nendpoints = {quote}{folder}/engine{quote}\nprefix = /rcron\n"
        assert bool(look(conf_content=text, package=None)["exposed"]) == is_exposed
        assert not look(conf_content=text.replace("command", "etcd"), package=None)["exposed"]
