# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The Patroni cluster of the scenario `patroni`, as its tests need it. Times are seconds."""

import json
from typing import Any

from nodes import Cluster, Node
from waiting import wait_until

#: Seconds until the other node is active, on a busy machine: several times the usual.
PATIENCE = 60.0

#: A question to the REST API, for a tenth of the processor time that patronictl takes.
ASK = """
    timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/8008; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
"""


def etcd_of(cluster: Cluster) -> Node:
    """Return the machine with etcd."""
    return Node(cluster.nodes[0].container.rpartition("-")[0] + "-etcd")


def members(node: Node) -> dict[str, tuple[str, str]]:
    """Return role and state of each member from Patroni's REST API on a node; nothing if it does not answer."""
    found = ask(node, "/cluster").get("members", [])
    return {member["name"]: (member["role"], member["state"]) for member in found}


def ask(node: Node, path: str) -> dict[str, Any]:
    """Return what Patroni's REST API on a node answers; nothing if it does not answer."""
    body = node.try_run(ASK.format(path=path)).stdout.partition("\n\n")[2]  # subprocess has converted the line ends
    found: dict[str, Any] = json.loads(body or "{}")
    return found


def is_well(cluster: Cluster) -> bool:
    """Whether Patroni has a leader and a replica that follows it: 3.0.2 calls one `running` that does not."""
    found = members(cluster.nodes[0])
    roles, states = sorted(role for role, _state in found.values()), {state for _role, state in found.values()}
    if roles != ["leader", "replica"] or not states <= {"running", "streaming"}:
        return False
    leader = next(node for node in cluster.nodes if found.get(node.name, ("", ""))[0] == "leader")
    return [each.get("state") for each in ask(leader, "/patroni").get("replication", [])] == ["streaming"]


def settled(cluster: Cluster) -> Node:
    """Wait until both members are healthy; return the leader, which must be the one that runs the jobs."""
    try:
        wait_until(lambda: is_well(cluster), "Patroni has a leader and a replica", PATIENCE / 2)
    except AssertionError:
        # A leader that was cut off has written more than its replica received, and Patroni 3.0.2 may start it as a
        # standby before it has rewound that. It waits for the rest for ever then.
        for name, (role, _state) in members(cluster.nodes[0]).items():
            if role != "leader":
                node = next(node for node in cluster.nodes if node.name == name)
                node.run("systemctl stop patroni; rm -r /srv/billing/data; systemctl start patroni")
        wait_until(lambda: is_well(cluster), "Patroni has a leader and a replica", PATIENCE)
    node = cluster.settle(PATIENCE, steady=1)
    assert members(node)[node.name][0] == "leader"
    assert runs_jobs(cluster) == [node.name]
    return node


def runs_jobs(cluster: Cluster) -> list[str]:
    """Return the nodes on which a job runs now."""
    return [name for name in cluster.on_all(lambda node: node.try_run("rcron hostname").stdout.strip()) if name]


def other(cluster: Cluster, node: Node) -> Node:
    return next(each for each in cluster.nodes if each is not node)


def switch_over(cluster: Cluster, new: Node) -> None:
    """Have Patroni make another node the leader, as patronictl does, but without Python. Returns when it has."""
    body = f'{{"leader": "{other(cluster, new)}", "candidate": "{new}"}}'
    ask = f"""
        timeout {PATIENCE:.0f} bash -c "exec 3<>/dev/tcp/127.0.0.1/8008; cat >&3; cat <&3" <<'end'
POST /switchover HTTP/1.0
Content-Length: {len(body)}

{body}
end
    """

    def is_done() -> bool:
        answer = new.run(ask)
        # Or 412, while the candidate has not yet reported that it follows the leader.
        assert " 200 " in answer.splitlines()[0] or " 412 " in answer.splitlines()[0], answer
        return " 200 " in answer.splitlines()[0]

    wait_until(is_done, f"Patroni makes {new} the leader", PATIENCE)


def patronictl(cluster: Cluster, words: str) -> str:
    """Return what patronictl prints."""
    return cluster.nodes[0].run(f"patronictl --config-file /etc/patroni/config.yml {words}")
