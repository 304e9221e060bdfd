# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the role rcron_patroni finds out about a Patroni. The test's own systemctl tells of its unit, and the Python
that its program names reads its configuration."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import yaml

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "roles/rcron_patroni/files/inspect_node.py"
COMMAND = "/usr/bin/rcronctl feed patroni"
MARK = "# Written by Ansible"
ACTIONS = ["on_reload", "on_restart", "on_role_change", "on_start", "on_stop"]


class Host:
    """folder: where everything is. asked: what the script is told."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.asked = {
            "service": "patroni",
            "conf": "",
            "url": "",
            "command": COMMAND,
            "mark": MARK,
            "record": f"{folder}/feeder",
        }
        self.conf = folder / "patroni.yml"
        self.program("patroni", f"#!{sys.executable}\n")
        self.unit(f"{folder}/patroni {self.conf}")

    def program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def unit(self, start: str, user: str = "postgres", state: str = "inactive", load: str = "loaded") -> None:
        said = f"LoadState={load}\nActiveState={state}\nUser={user}\n"
        said += f"ExecStart={{ path={start.split()[0]} ; argv[]={start} ; ignore_errors=no ; pid=0 }}\n"
        self.program("systemctl", f"#!/bin/sh\ncat <<'end'\n{said}end\n")

    def inspect(self) -> dict[str, Any]:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", SCRIPT.read_text()],
            input=json.dumps(self.asked),
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
        )
        assert ran.returncode == 0, ran.stderr
        assert "secret" not in ran.stdout
        told: dict[str, Any] = json.loads(ran.stdout)
        return told


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def conf(callbacks: "dict[str, str] | None" = None, **more: Any) -> str:
    return yaml.safe_dump({"postgresql": {"callbacks": callbacks, "authentication": {"password": "secret"}}, **more})


def test_one_file_without_callbacks_lacks_all_of_them(host: Host) -> None:
    host.conf.write_text(conf())
    told = host.inspect()
    assert (told["unit"], told["user"], told["running"], told["folder"]) == (True, "postgres", False, False)
    assert told["conf"] == str(host.conf)
    assert told["missing"] == ACTIONS
    assert told["wanted"] == dict.fromkeys(ACTIONS, COMMAND)


def test_one_file_with_the_lines_that_were_told_lacks_none(host: Host) -> None:
    theirs = {"on_role_change": "/opt/their's --to 'a b'", "on_reload": "/opt/reloaded"}
    host.conf.write_text(conf(theirs))
    first = host.inspect()
    host.conf.write_text(conf(first["wanted"]))
    told = host.inspect()
    assert told["missing"] == []
    assert told["wanted"] == first["wanted"]
    assert {action: command for action, command in told["theirs"].items() if command} == theirs


def test_callback_for_another_cluster_of_the_host_is_kept(host: Host) -> None:
    host.asked["command"] = "/usr/bin/rcronctl --conf /etc/rcron/b.conf feed patroni"
    host.conf.write_text(conf({"on_start": COMMAND}))
    assert host.inspect()["wanted"]["on_start"] == f"{host.asked['command']} --then '{COMMAND}'"


def test_folder_is_merged_as_patroni_does_and_the_role_s_own_file_left_out(host: Host) -> None:
    folder = host.folder / "conf.d"
    folder.mkdir()
    (folder / "10.yml").write_text(conf({"on_start": "/a", "on_stop": "/b", "on_restart": "/c"}))
    (folder / "20.yaml").write_text(conf({"on_start": "/later", "on_restart": None}))
    (folder / "30.yml.bak").write_text(conf({"on_start": "/never"}))
    (folder / "zz-rcron.yml").write_text(f"{MARK}\n" + conf(dict.fromkeys(ACTIONS, "/ours")))
    host.asked["conf"] = str(folder)
    told = host.inspect()
    assert told["file"] == f"{folder}/zz-rcron.yml"
    assert told["folder"]
    assert not told["foreign"]
    kept = {action: command.partition(" --then ")[2] for action, command in told["wanted"].items()}
    assert kept == {"on_reload": "", "on_restart": "", "on_role_change": "", "on_start": "/later", "on_stop": "/b"}
    (folder / "zz-rcron.yml").write_text("# theirs\n")
    assert host.inspect()["foreign"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("a: [secret\nb: }\n", ":2: "),
        ("- secret\n", "no mapping"),
    ],
)
def test_configuration_that_cannot_be_read_is_told_without_what_stands_in_it(
    host: Host, text: "str | None", said: str
) -> None:
    if text is not None:
        host.conf.write_text(text)
    told = host.inspect()
    assert told["error"].startswith(str(host.conf))
    assert said in told["error"]


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


def test_running_patroni_that_does_not_answer_is_told(host: Host) -> None:
    host.conf.write_text(conf(restapi={"connect_address": "127.0.0.1:1"}))
    assert host.inspect()["unheard"] == ""
    host.unit(f"{host.folder}/patroni {host.conf}", state="active")
    assert "refused" in host.inspect()["unheard"]


def test_no_such_unit(host: Host) -> None:
    host.unit("/bin/false", load="not-found", user="")
    told = host.inspect()
    assert (told["unit"], told["conf"], told["user"]) == (False, "", "root")


def test_has_spoken_only_in_this_boot(host: Host) -> None:
    host.conf.write_text(conf())
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = host.folder / "feeder"
    told = []
    for text in (
        "",
        f"feeder=patroni\nmoment=1 2 {boot}\n",
        "feeder=patroni\nmoment=1 2 other\n",
        f"feeder=operator\nmoment=1 2 {boot}\n",
    ):
        record.write_text(text)
        told.append(host.inspect()["spoke"])
    assert told == [False, True, False, False]
