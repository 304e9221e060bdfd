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
        ("conf = {conf}\nfeeder = x\n", ':2: unknown feeder "x"; take one of claim, command'),
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
    ("lines", "feeder_name", "is_served"),
    [
        # A program of one's own is asked unless the cluster has a feeder.
        ("feeder = command\ncommand = /x\n", "any", True),
        ("feeder = command\ncommand = /x\n", "none", True),
        ("feeder = command\ncommand = /x\n", "command", True),
        ("feeder = command\ncommand = /x\n", "my-own", True),
        ("feeder = command\ncommand = /x\n", "keepalived", False),
        # A daemon is asked only if it is that feeder.
        ("feeder = pacemaker\n", "any", True),
        ("feeder = pacemaker\n", "pacemaker", True),
        ("feeder = pacemaker\n", "none", False),
        ("feeder = pacemaker\n", "command", False),
        ("feeder = pacemaker\n", "keepalived", False),
    ],
)
def test_no_feeder_is_asked_that_is_not_the_cluster_s(
    tmp_path: pathlib.Path, conf: pathlib.Path, lines: str, feeder_name: str, is_served: bool
) -> None:
    feeder = lines.split()[2]
    file = tmp_path / "a.conf"
    file.write_text(f"conf = {conf}\n{lines}")
    conf.write_text(f"state_file = {tmp_path}/state\nfeeder_name = {feeder_name}\n")
    if is_served:
        assert clusters.load("a", str(file)).feeder == feeder
    else:
        said = f"feeder is {feeder}, and feeder_name in {conf} is {feeder_name}; delete {file}"
        with pytest.raises(clusters.SecondFeederError, match=said):
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
