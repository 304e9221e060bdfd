# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The files that say which clusters the agent serves."""

import pathlib

import pytest

from rcron.agent import clusters
from rcron.agent.feeders.command import CommandTruth
from rcron.settings import ConfigError


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "rcron.conf"
    path.write_text(f"state_file = {tmp_path}/state\n")
    return path


def test_a_file_names_configuration_feeder_and_the_feeder_s_options(tmp_path: pathlib.Path, conf: pathlib.Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text(f"# c\nconf = {conf}\nfeeder\tcommand\ncommand = '/bin/is it'\n\nnotice=3.5\n")
    cluster = clusters.load("a", str(file))
    assert (cluster.config.path, cluster.feeder) == (str(conf), "command")
    assert cluster.options == {"command": ["/bin/is", "it"], "every": 1.0, "limit": 2.0, "notice": 3.5}
    truth = clusters.truth_of(cluster)
    assert isinstance(truth, CommandTruth)
    assert truth.notice == 3.5


def test_only_what_ends_with_conf_is_a_cluster(tmp_path: pathlib.Path) -> None:
    for name in ("b.conf", "a.conf", "a.conf.dpkg-old", ".c.conf", "README"):
        (tmp_path / name).touch()
    assert list(clusters.found_in(str(tmp_path))) == ["a", "b"]
    assert clusters.found_in(str(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feeder = command\n", "no conf; write conf = VALUE"),
        ("conf = {conf}\n", "no feeder; write feeder = VALUE"),
        ("conf = {conf}\nfeeder = x\n", ':2: unknown feeder "x"; take one of command'),
        ("conf = {conf}\nfeeder = command\n", "no command; write command = VALUE"),
        ("conf = {conf}\nfeeder = command\ncommand = x\n", ':3: command: "x" is not a command with an absolute path'),
        ("conf = {conf}\nfeeder = command\nfoo = x\n", ':3: unknown name "foo"; take one of conf, feeder, command,'),
        ("conf = {conf}\nconf = {conf}\n", ':2: "conf" is given a second time'),
        ("conf = {conf}\nfeeder = command\ncommand = /x\nevery = 0\n", ":4: every: "),
        ("conf = {conf}\nfeeder = command\ncommand = /x\nevery = nan\n", ":4: every: "),
        ("conf = {conf}\nfeeder = command\ncommand\n", ":3: command: no value"),
        ("conf = /no/such\nfeeder = command\ncommand = /x\n", "/no/such: there is no such file"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(
    tmp_path: pathlib.Path, conf: pathlib.Path, text: str, message: str
) -> None:
    file = tmp_path / "a.conf"
    file.write_text(text.format(conf=conf))
    with pytest.raises(ConfigError) as error:
        clusters.load("a", str(file))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("feeder_name", "is_served"),
    [("any", True), ("none", True), ("command", True), ("my-own", True), ("keepalived", False)],
)
def test_a_program_of_one_s_own_is_asked_unless_the_cluster_has_a_feeder(
    tmp_path: pathlib.Path, conf: pathlib.Path, feeder_name: str, is_served: bool
) -> None:
    file = tmp_path / "a.conf"
    file.write_text(f"conf = {conf}\nfeeder = command\ncommand = /x\n")
    conf.write_text(f"state_file = {tmp_path}/state\nfeeder_name = {feeder_name}\n")
    if is_served:
        assert clusters.load("a", str(file)).feeder == "command"
    else:
        with pytest.raises(clusters.SecondFeederError, match=f"feeder_name in {conf} is keepalived; delete {file}"):
            clusters.load("a", str(file))


@pytest.mark.parametrize(
    ("feeder_name", "is_served"),
    [("any", True), ("pacemaker", True), ("none", False), ("command", False), ("keepalived", False)],
)
def test_a_daemon_is_asked_only_if_it_is_the_cluster_s_feeder(
    tmp_path: pathlib.Path, conf: pathlib.Path, feeder_name: str, is_served: bool
) -> None:
    file = tmp_path / "a.conf"
    file.write_text(f"conf = {conf}\nfeeder = pacemaker\n")
    conf.write_text(f"state_file = {tmp_path}/state\nfeeder_name = {feeder_name}\n")
    if is_served:
        assert clusters.load("a", str(file)).feeder == "pacemaker"
    else:
        with pytest.raises(clusters.SecondFeederError, match=f"feeder is pacemaker, and feeder_name in {conf} is"):
            clusters.load("a", str(file))


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_may_write_is_refused(tmp_path: pathlib.Path, conf: pathlib.Path, mode: int) -> None:
    file = tmp_path / "a.conf"
    file.write_text(f"conf = {conf}\nfeeder = command\ncommand = /x\n")
    file.chmod(mode)
    with pytest.raises(ConfigError, match="may write it"):
        clusters.load("a", str(file))


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.conf")
    with pytest.raises(ConfigError, match="not a regular file"):
        clusters.load("a", str(tmp_path / "a.conf"))
