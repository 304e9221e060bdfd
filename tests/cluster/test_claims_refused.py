# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An etcd that refuses: `required` skips the run, and says what is wrong, where, and how to fix it."""

import pathlib
import re
import shlex
import time
from collections.abc import Iterator

import pytest
from nodes import Cluster, Node
from waiting import wait_until

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

#: Seconds for which a run that is to be refused waits for its claim.
WAIT = 3

#: A job whose run is named, so that nothing else claims it, nor these tests when they are run again.
NAME = f"{{0}}-{int(time.time())}"
RUN = f"/usr/bin/rcron --conf /tmp/rcron.conf --claim required --job refused --fire {NAME} -c 'touch /tmp/ran.{{0}}'"

MEMBER = "https://etcd[123]:2379: "
PASSWORD = "/etc/rcron/agent.password"

#: Fills etcd up to its quota.
FILL = """\
export ETCDCTL_ENDPOINTS=https://etcd1:2379 ETCDCTL_CACERT=/etc/etcd/ca.pem ETCDCTL_USER=root:root
for _ in $(seq 60); do
    head -c 1000000 /dev/zero | tr '\\0' x | etcdctl put /fill >/dev/null || break
done
etcdctl alarm list
"""


@pytest.fixture(scope="module")
def third(cluster: Cluster) -> Iterator[Node]:
    """The third node, active, with a configuration that waits for claims no longer than this test wants to."""
    found = cluster.nodes[2]
    found.run("rcronctl set active")
    found.run(f"sed 's/^claim_wait.*/claim_wait = {WAIT}/' /etc/rcron/rcron.conf >/tmp/rcron.conf")
    found.run(f"grep 'claim_wait = {WAIT}$' /tmp/rcron.conf")
    yield found
    found.run("rm /tmp/rcron.conf")


def is_run(node: Node, fire: str) -> bool:
    """Whether a job runs, because its run can be claimed."""
    ran = node.try_run(RUN.format(fire))
    return ran.returncode == 0 and node.try_run(f"rm /tmp/ran.{fire}").returncode == 0


def refused(node: Node, fire: str) -> str:
    """Run a job whose run cannot be claimed: it is skipped with exit status 75. Returns its one line."""
    ran = node.try_run(RUN.format(fire))
    assert ran.returncode == 75, ran.stdout + ran.stderr
    assert node.try_run(f"ls /tmp/ran.{fire}").returncode != 0
    (line,) = ran.stderr.splitlines()
    assert line.startswith("rcron: claim: cannot tell whether this run is this node's own: "), line
    assert "; not run (claim required): " in line
    return line


def test_a_wrong_password(third: Node) -> None:
    assert is_run(third, "before")
    third.run(f"cp -p {PASSWORD} /tmp/kept; echo guess >{PASSWORD}; systemctl restart rcron-claims")
    try:
        line = refused(third, "unknown")
        remedy = "correct user and the password's file in agent.conf, and restart the service"
        assert re.search(f"{MEMBER}.*authentication failed.*: {remedy}", line), line
        assert "guess" not in line
        assert "authentication failed" in third.run("rcronctl status")
    finally:
        third.run(f"mv /tmp/kept {PASSWORD}; systemctl restart rcron-claims")
    assert is_run(third, "known")


def test_a_certificate_that_has_ended(cluster: Cluster, third: Node) -> None:
    """On all members: one that is left would be asked instead. etcd reads the file for each connection."""
    first = cluster.nodes[0]
    for number, member in enumerate(cluster.nodes, 1):
        ended = f"-in etcd{number}.csr -CA ca.pem -CAkey ca.key -days 0"
        text = first.run(f"cd /root/etcd && openssl x509 -req {ended} 2>/dev/null")
        path = f"/etc/etcd/etcd{number}.pem"
        member.run(f"cp -p {path} /tmp/kept.pem; echo {shlex.quote(text)} >{path}")
    third.run("systemctl restart rcron-claims")
    try:
        line = refused(third, "ended")
        assert re.search(f"{MEMBER}its certificate: certificate has expired: renew the certificate", line), line
        assert "certificate has expired" in third.run("rcronctl status")
    finally:
        for number, member in enumerate(cluster.nodes, 1):
            member.run(f"mv /tmp/kept.pem /etc/etcd/etcd{number}.pem")
    assert is_run(third, "renewed")


def repair() -> str:
    """The page's commands for an etcd that is full."""
    page = (CHECKOUT / "docs" / "ledger.md").read_text()
    return page.partition("### etcd is full")[2].partition("```sh\n")[2].partition("```")[0]


def test_a_full_etcd(cluster: Cluster, third: Node) -> None:
    assert "NOSPACE" in third.run(FILL)
    line = refused(third, "full")
    remedy = "compact and defragment etcd, then `etcdctl alarm disarm`"
    assert re.search(f"{MEMBER}.*database space exceeded: {remedy}", line), line
    assert "NOSPACE" in third.run("rcronctl status")
    assert f'"={NAME.format("renewed")}"' in third.run("rcronctl history --job refused --json")

    commands = repair()
    assert "etcdctl alarm disarm" in commands
    third.run(f"echo root | bash -euc {shlex.quote(commands)}")
    assert is_run(third, "room")

    def are_whole() -> bool:
        return all("3 of 3 members, " in node.run("rcronctl status") for node in cluster.nodes)

    wait_until(are_whole, "all members answer each node", 30)
