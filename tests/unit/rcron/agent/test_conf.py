# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""agent.conf: what it says, and what is wrong with it."""

import os
import pathlib

import pytest

from rcron.agent import conf
from rcron.settings import ConfigError


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    found = tmp_path / "agent.conf"
    found.touch(0o600)
    return found


def test_it_holds_what_it_says_and_defaults(path: pathlib.Path) -> None:
    secret = path.with_name("password")
    secret.touch(0o600)
    secret.write_text("s3 cret\n")
    path.write_text(f"engine = etcd\nendpoints = https://a:2379,https://b:2379\nuser rcron\npassword_file = {secret}\n")
    found = conf.load(str(path))
    assert (found.engine, found.endpoints) == ("etcd", "https://a:2379,https://b:2379")
    assert (found.user, found.password, found.prefix, found.node) == ("rcron", "s3 cret", "/rcron", os.uname().nodename)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no engine; write engine = VALUE"),
        ("engine = etcd\n", "no endpoints; write endpoints = VALUE"),
        ("engine = mysql\n", ':1: engine: unknown engine "mysql"; use one of etcd'),
        ("engines = etcd\n", ':1: unknown name "engines"; use one of engine'),
        ("engine = etcd\nendpoints = x\nnode = ''\n", ":3: node: "),
        ("engine = etcd\nendpoints = x\nprefix = /\n", ':3: prefix: "/" is not a prefix'),
        ("engine = etcd\nendpoints = x\nca_file = ca.pem\n", ":3: ca_file: .*not an absolute path"),
        ("engine = etcd\nendpoints = x\nca_file = /nonexistent/ca\n", "ca_file: /nonexistent/ca cannot be read"),
        ("engine = etcd\nendpoints = x\nkey_file = /usr/bin\n", "key_file: /usr/bin cannot be read"),
        ("engine = etcd\nendpoints = x\npassword_file = /nonexistent/a\n", "/nonexistent/a: No such file"),
    ],
)
def test_what_is_wrong_is_said(path: pathlib.Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        conf.load(str(path))


def test_a_file_that_others_may_read_is_refused(path: pathlib.Path) -> None:
    path.write_text("engine = etcd\nendpoints = x\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 0600 {path}"):
        conf.load(str(path))


def test_a_password_that_others_may_read_is_refused(path: pathlib.Path) -> None:
    secret = path.with_name("password")
    secret.write_text("secret\n")
    secret.chmod(0o644)
    path.write_text(f"engine = etcd\nendpoints = x\npassword_file = {secret}\n")
    with pytest.raises(ConfigError, match=f"chmod 0600 {secret}"):
        conf.load(str(path))


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "x" * 5000])
def test_a_password_is_one_line(path: pathlib.Path, text: str) -> None:
    secret = path.with_name("password")
    secret.touch(0o600)
    secret.write_text(text)
    path.write_text(f"engine = etcd\nendpoints = x\npassword_file = {secret}\n")
    with pytest.raises(ConfigError, match="not a password"):
        conf.load(str(path))
