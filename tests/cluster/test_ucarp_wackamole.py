# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""A second cluster on node1, which a stand-in for wackamole feeds, beside ucarp's."""

import re
from pathlib import Path

from nodes import Cluster

from tests.cluster.playbooks import Play

DEPLOY = Path(__file__).parents[2] / "molecule/ucarp/wackamole.yml"


def test_second_run_would_change_nothing(play: Play) -> None:
    ran = play("--check", str(DEPLOY))
    assert ran.returncode == 0, ran.stdout
    assert re.findall(r"changed=(\d+)", ran.stdout) == ["0"], ran.stdout


def test_wackamole_feeds_a_cluster_of_its_own_beside_ucarp(cluster: Cluster) -> None:
    node, active = cluster.nodes[0], cluster.active()
    ctl = "rcronctl --conf /etc/rcron/mail.conf"
    output = node.run(f"""
        state() {{ # waits for a state
            for _ in $(seq 100); do [ "$({ctl} is-active)" != "$1" ] || break; sleep 0.1; done
            echo "$1: $({ctl} is-active)"
        }}
        state passive
        rm -f /run/wackamole; mkfifo /run/wackamole
        wackamole /usr/local/lib/rcron-wackamole </run/wackamole >/run/wackamole.said &
        exec 3>/run/wackamole
        echo 'up eth0:192.0.2.21/255.255.255.255' >&3; echo 'post up' >&3; sleep 0.5; state passive
        echo 'up eth0:192.0.2.21/255.255.255.255 eth0:192.0.2.20/255.255.255.255' >&3; state active
        echo 'down eth0:192.0.2.21/255.255.255.255' >&3; sleep 0.5; state active
        echo 'down eth0:192.0.2.20/255.255.255.255' >&3; state passive
        echo 'up eth0:192.0.2.20/255.255.255.255' >&3; state active
        kill -KILL $!; state passive
        {ctl} status | grep feeder:
        cat /run/wackamole.said
        rm /run/wackamole /run/wackamole.said
    """)
    assert output.splitlines()[:7] == [
        f"{state}: {state}" for state in ("passive", "passive", "active", "active", "passive", "active", "passive")
    ]
    assert "wackamole" in output.splitlines()[7]
    assert output.splitlines()[8:] == ["0", "0", "1", "0", "1", "1"]
    assert cluster.active() is active, "ucarp's cluster has not been disturbed"
