# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Which feeders' roles have left something on a host."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.feeder_traces import traces

CONF = "/etc/rcron/rcron.conf"
MAIL = "/etc/rcron/mail.conf"
DROP_IN = "/etc/systemd/system/keepalived.service.d/rcron.conf"


def mark(feeder: str) -> str:
    return f"# Written by Ansible, role rcron.cluster.rcron_{feeder}: changes made here are lost at its next run.\n"


def passive(*confs: str) -> str:
    return "".join(f"ExecStopPost=-/usr/bin/rcronctl --conf {conf} set passive\n" for conf in confs)


@pytest.fixture
def host(tmp_path: pathlib.Path):
    """Return a function that writes a file of the host, whose folder it has as an attribute."""

    def write(path: str, text: str) -> None:
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    write(CONF, "")
    write.root = str(tmp_path)
    return write


def test_a_host_without_a_feeder_has_none(host):
    host("/etc/systemd/system/keepalived.service.d/rcron.conf", "[Service]\n" + passive(CONF))
    host("/etc/systemd/system/other.service", "# Written by hand\n")
    assert traces(CONF, host.root) == []


def test_each_feeder_is_found_by_what_its_role_has_written(host):
    host(DROP_IN, mark("keepalived") + passive(CONF))
    host("/etc/rcron/agent.d/rcron.conf", mark("ucarp") + f'conf = "{CONF}"\nfeeder = ucarp\n')
    host("/usr/local/sbin/rcron-ucarp-up", "#!/bin/sh\n" + mark("ucarp") + f"rcronctl --conf {CONF} feed ucarp up\n")
    assert traces(CONF, host.root) == [
        ("keepalived", [DROP_IN], []),
        ("ucarp", ["/etc/rcron/agent.d/rcron.conf", "/usr/local/sbin/rcron-ucarp-up"], []),
    ]


def test_the_engine_of_a_lease_is_not_another_cluster(host):
    host("/etc/rcron/agent.conf", "engine = etcd\n")
    file = "/etc/rcron/agent.d/rcron.conf"
    host(file, mark("lease") + f'conf = "{CONF}"\nfeeder = lease\nagent_conf = "/etc/rcron/agent.conf"\n')
    assert traces(CONF, host.root) == [("lease", [file], [])]


def test_a_feeder_of_another_cluster_is_not_this_one_s(host):
    host(MAIL, "")
    host("/etc/rcron/rcron.conf.d", "")
    host(DROP_IN, mark("keepalived") + passive(MAIL, CONF + ".d"))
    assert traces(CONF, host.root) == []
    assert traces(MAIL, host.root) == [("keepalived", [DROP_IN], [])]


def test_a_feeder_of_two_clusters_names_the_other_one(host):
    host(MAIL, "")
    host(DROP_IN, mark("keepalived") + passive(CONF, MAIL))
    assert traces(CONF, host.root) == [("keepalived", [DROP_IN], [MAIL])]


def test_a_mark_further_down_and_what_cannot_be_read_are_nobodys(host, tmp_path):
    host(DROP_IN, "\n\n\n" + mark("keepalived") + passive(CONF))
    (tmp_path / "etc/systemd/system/x.service").mkdir()
    assert traces(CONF, host.root) == []
