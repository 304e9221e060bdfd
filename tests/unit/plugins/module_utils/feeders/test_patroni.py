# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What is found out about a Patroni. The test's own systemctl shows its unit, and the Python that its program names
reads its configuration."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import sys
import tempfile
from typing import Any

import pytest
import yaml
from ansible_collections.rcron.cluster.plugins.module_utils.feeders import patroni

#: Patroni's user: a node's user always exists.
USER = pwd.getpwuid(os.geteuid()).pw_name
COMMAND = "/usr/bin/rcronctl feed patroni"
MARK = "# Written by Ansible"
ACTIONS = ["on_reload", "on_restart", "on_role_change", "on_start", "on_stop"]


class Host:
    """A node with a Patroni.

    Attributes:
        folder: Where everything is.
        options: What the inspector is told.
        conf: Patroni's configuration.
    """

    def __init__(self, folder: pathlib.Path, program: Any) -> None:
        self.folder = folder
        self.options = {
            "service": "patroni",
            "conf": "",
            "url": "",
            "command": COMMAND,
            "mark": MARK,
            "record": f"{folder}/feeder",
        }
        self.conf = folder / "patroni.yml"
        self._program = program
        (folder / "patroni").write_text(f"#!{sys.executable}\n")
        self.unit(f"{folder}/patroni {self.conf}")

    def unit(self, start: str, user: str = USER, state: str = "inactive", load: str = "loaded") -> None:
        """Have systemctl show a unit."""
        shown = f"LoadState={load}\nActiveState={state}\nUser={user}\n"
        shown += f"ExecStart={{ path={start.split()[0]} ; argv[]={start} ; ignore_errors=no ; pid=0 }}\n"
        self._program("systemctl", f"cat <<'end'\n{shown}end")

    def inspect(self) -> dict[str, Any]:
        """Return the inspector's answer, in which no password stands."""
        found: dict[str, Any] = patroni.inspect(self.options)
        assert "secret" not in json.dumps(found)
        return found


@pytest.fixture
def host(tmp_path: pathlib.Path, program: Any) -> Host:
    return Host(tmp_path, program)


def conf(callbacks: "dict[str, str] | None" = None, **more: Any) -> str:
    return yaml.safe_dump({"postgresql": {"callbacks": callbacks, "authentication": {"password": "secret"}}, **more})


def test_one_file_without_callbacks_lacks_all_of_them(host: Host) -> None:
    host.conf.write_text(conf())
    found = host.inspect()
    assert (found["unit"], found["user"], found["running"], found["folder"]) == (True, USER, False, False)
    assert found["conf"] == str(host.conf)
    assert found["missing"] == ACTIONS
    assert found["wanted"] == dict.fromkeys(ACTIONS, COMMAND)


def test_one_file_with_the_lines_that_were_asked_for_lacks_none(host: Host) -> None:
    theirs = {"on_role_change": "/opt/their's --to 'a b'", "on_reload": "/opt/reloaded"}
    host.conf.write_text(conf(theirs))
    first = host.inspect()
    host.conf.write_text(conf(first["wanted"]))
    found = host.inspect()
    assert found["missing"] == []
    assert found["wanted"] == first["wanted"]
    assert {action: command for action, command in found["theirs"].items() if command} == theirs


def test_callback_for_another_cluster_of_the_host_is_kept(host: Host) -> None:
    host.options["command"] = "/usr/bin/rcronctl --conf /etc/rcron/b.conf feed patroni"
    host.conf.write_text(conf({"on_start": COMMAND}))
    assert host.inspect()["wanted"]["on_start"] == f"{host.options['command']} --then '{COMMAND}'"


def test_folder_is_merged_as_patroni_does_and_the_role_s_own_file_left_out(host: Host) -> None:
    folder = host.folder / "conf.d"
    folder.mkdir()
    (folder / "10.yml").write_text(conf({"on_start": "/a", "on_stop": "/b", "on_restart": "/c"}))
    (folder / "20.yaml").write_text(conf({"on_start": "/later", "on_restart": None}))
    (folder / "30.yml.bak").write_text(conf({"on_start": "/never"}))
    (folder / "zz-rcron.yml").write_text(f"{MARK}\n" + conf(dict.fromkeys(ACTIONS, "/ours")))
    host.options["conf"] = str(folder)
    found = host.inspect()
    assert found["file"] == f"{folder}/zz-rcron.yml"
    assert found["folder"]
    assert not found["foreign"]
    kept = {action: command.partition(" --then ")[2] for action, command in found["wanted"].items()}
    assert kept == {"on_reload": "", "on_restart": "", "on_role_change": "", "on_start": "/later", "on_stop": "/b"}
    (folder / "zz-rcron.yml").write_text("# theirs\n")
    assert host.inspect()["foreign"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("a: [secret\nb: }\n", ":2: "),
        ("- secret\n", "not a mapping"),
    ],
)
def test_configuration_that_cannot_be_read_is_reported_without_quoting_it(
    host: Host, text: "str | None", said: str
) -> None:
    if text is not None:
        host.conf.write_text(text)
    found = host.inspect()
    assert found["error"].startswith(str(host.conf))
    assert said in found["error"]


@pytest.mark.parametrize(
    ("restapi", "url"),
    [
        ({"listen": "0.0.0.0:8008", "connect_address": "10.0.0.1:8008"}, "http://10.0.0.1:8008"),
        ({"connect_address": "10.0.0.1:8008", "certfile": "/etc/cert.pem"}, "https://10.0.0.1:8008"),
        ({}, ""),
    ],
)
def test_url_of_the_rest_api(host: Host, restapi: dict[str, str], url: str) -> None:
    host.conf.write_text(conf(restapi=restapi))
    assert host.inspect()["url"] == url


@pytest.mark.parametrize(
    ("restapi", "ctl", "tls"),
    [
        ({}, {"cacert": "/ca"}, {}),  # http
        ({"certfile": "/api.pem"}, None, {}),
        ({"certfile": "/api.pem", "cafile": "ca.pem"}, None, {"ca_file": "/ca.pem"}),
        ({"certfile": "/api.pem", "cafile": "/ca"}, {"cacert": "/other"}, {"ca_file": "/other"}),
        ({"certfile": "/api.pem", "cafile": "/ca"}, {"insecure": True}, {}),
        (
            {"certfile": "/api.pem", "keyfile": "/api.key", "verify_client": "Required"},
            None,
            {"cert_file": "/api.pem", "key_file": "/api.key"},
        ),
        ({"certfile": "/api.pem", "keyfile": "/api.key", "verify_client": "optional"}, None, {}),
        (
            {"certfile": "/api.pem", "keyfile": "/api.key", "verify_client": "required"},
            {"certfile": "/ctl.pem"},
            {"cert_file": "/ctl.pem"},
        ),
    ],
)
def test_certificates_are_those_of_patronictl(
    host: Host, restapi: dict[str, str], ctl: "dict[str, Any] | None", tls: dict[str, str]
) -> None:
    host.conf.write_text(conf(restapi={"connect_address": "10.0.0.1:8008", **restapi}, ctl=ctl))
    assert host.inspect()["tls"] == tls


def test_running_patroni_that_does_not_answer_is_reported(host: Host) -> None:
    host.conf.write_text(conf(restapi={"connect_address": "127.0.0.1:1"}))
    assert host.inspect()["unheard"] == ""
    host.unit(f"{host.folder}/patroni {host.conf}", state="active")
    assert "refused" in host.inspect()["unheard"]


def test_no_such_unit(host: Host) -> None:
    host.unit("/bin/false", load="not-found", user="")
    found = host.inspect()
    assert (found["unit"], found["conf"], found["user"]) == (False, "", "root")


def test_has_spoken_only_in_this_boot(host: Host) -> None:
    host.conf.write_text(conf())
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = host.folder / "feeder"
    spoke = []
    for text in (
        "",
        f"feeder=patroni\nmoment=1 2 {boot}\n",
        "feeder=patroni\nmoment=1 2 other\n",
        f"feeder=operator\nmoment=1 2 {boot}\n",
    ):
        record.write_text(text)
        spoke.append(host.inspect()["spoke"])
    assert spoke == [False, True, False, False]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs anything as another user")
@pytest.mark.parametrize("is_protected", [True, False])
def test_interpreter_of_a_virtual_environment_is_run_as_patroni_s_user(
    host: Host, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """Its owner may have put anything there, and the inspection is root's."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        python = folder / "python3"
        python.write_text(f"#!/bin/sh\nid -u >{name}/uid; id -G >{name}/groups; pwd >{name}/pwd; env >{name}/env\n")
        (folder / "patroni").write_text(f"#!{python}\n")
        (folder / "patroni.yml").write_text(conf())
        for path in (folder, python):
            path.chmod(0o755)
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        monkeypatch.setenv("SECRET", "root's")
        if not is_protected:
            monkeypatch.setattr(patroni.programs, "_identity", lambda _user: {})
        host.unit(f"{folder}/patroni {folder}/patroni.yml", user="nobody")
        found = host.inspect()
        assert found["error"] == f"{folder}/patroni.yml: {python}, which Patroni runs on, did not read it"
        assert (folder / "uid").read_text() == (f"{nobody.pw_uid}\n" if is_protected else "0\n")
        assert ("SECRET" in (folder / "env").read_text()) == (not is_protected)
        if is_protected:
            assert set((folder / "groups").read_text().split()) == {str(nobody.pw_gid)}
            assert (folder / "pwd").read_text() == "/\n"


def test_unit_of_a_user_who_does_not_exist_is_reported(host: Host) -> None:
    host.conf.write_text(conf())
    host.unit(f"{host.folder}/patroni {host.conf}", user="no-such-user")
    expected = "cannot be run as no-such-user: there is no such user" if os.geteuid() == 0 else ""
    assert host.inspect()["error"].endswith(expected)


@pytest.mark.parametrize(
    "answer", ["", "x", "[]", "[1, 2]", '[{"on_start": 1}, ""]', "[{}, null]", '[[], ""]', "{}", "[{}]"]
)
def test_answer_of_patroni_s_python_is_held_against_its_form(host: Host, answer: str) -> None:
    python = host.folder / "python3"
    python.write_text(f"#!/bin/sh\necho '{answer}'\n")
    python.chmod(0o755)
    (host.folder / "patroni").write_text(f"#!{python}\n")
    host.conf.write_text(conf())
    assert host.inspect()["error"] == f"{host.conf}: {python}, which Patroni runs on, did not read it"
