# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""How many adverts do many keepalived with unicast peers send, and what if the master dies?

    python3 tests/engines/vrrp.py [NODES...]

Each node (of 10 and 50, say) is a network namespace with a real keepalived, configured as the role rcron_keepalived
does: advert_int 1, all others as unicast peers, priorities from 200 down to 1 by the place. All frames of the bridge
between them are seen. Prints the adverts a second in peace, and, after the master was killed, for how long nobody sent
an advert, how many nodes sent some, and the most adverts in a second. Needs root, ip(8), and keepalived in PATH.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

#: VRRP's number among IP's protocols, and the frames that are looked at (linux/if_ether.h).
VRRP, ETH_P_ALL, ETH_P_IP = 112, 0x0003, 0x0800

CLONE_NEWNET = 0x40000000

#: For how long adverts are counted in peace, and after the master's death, in seconds.
PEACE, AFTER = 20.0, 12.0

CONF = """\
global_defs {{
    vrrp_version 3
}}
vrrp_instance VI_1 {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    nopreempt
    unicast_src_ip {address}
    unicast_peer {{
        {peers}
    }}
    virtual_ipaddress {{
        10.0.255.1/32
    }}
}}
"""


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def address(number: int) -> str:
    """Return a node's address."""
    return f"10.0.{number // 200}.{number % 200 + 1}"


class Ear(threading.Thread):
    """Sees the adverts that pass the bridge. `heard`: when each came, and from whom."""

    def __init__(self, namespace: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[tuple[float, str]] = []
        self._namespace = namespace

    def run(self) -> None:
        """Look."""
        with open(f"/run/netns/{self._namespace}") as file:  # this thread only
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as ear:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
            while True:
                packet, sender = ear.recvfrom(2048)
                # Each frame is seen as it comes in from a node, and as it goes out to another.
                is_coming = sender[2] != socket.PACKET_OUTGOING  # type: ignore[attr-defined]
                if is_coming and sender[1] == ETH_P_IP and packet[9] == VRRP:
                    self.heard.append((time.monotonic(), socket.inet_ntoa(packet[12:16])))

    def since(self, moment: float) -> list[tuple[float, str]]:
        """Return what was heard since a moment."""
        return [each for each in list(self.heard) if each[0] >= moment]


class Nodes:
    """The namespaces and the daemons.

    Args:
        count: How many.
        folder: Where their files are to be.
    """

    def __init__(self, count: int, folder: pathlib.Path) -> None:
        self._run = f"vrrp{os.getpid()}"
        self.bridge = f"{self._run}-b"
        self._names = [f"{self._run}-{number}" for number in range(count)]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder

    def start(self) -> Ear:
        """Start them. Returns what hears them."""
        run("ip", "netns", "add", self.bridge)
        inside = ("ip", "-netns", self.bridge)
        run(*inside, "link", "add", "br0", "type", "bridge")
        run(*inside, "link", "set", "br0", "up")
        for number, name in enumerate(self._names):
            run("ip", "netns", "add", name)
            run(*inside, "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run(*inside, "link", "set", f"v{number}", "master", "br0", "up")
            run("ip", "-netns", name, "address", "add", f"{address(number)}/16", "dev", "eth0")
            run("ip", "-netns", name, "link", "set", "eth0", "up")
        ear = Ear(self.bridge)
        ear.start()
        count = len(self._names)
        for number, name in enumerate(self._names):
            peers = "\n        ".join(address(other) for other in range(count) if other != number)
            priority = 200 - 199 * number // max(1, count - 1) if count > 10 else 200 - 20 * number
            conf = self._folder / f"{number}.conf"
            conf.write_text(CONF.format(priority=priority, address=address(number), peers=peers))
            daemon = ("keepalived", "--dont-fork", "--vrrp", "--use-file", str(conf), "--dont-respawn")
            files = ("--pid", f"{conf}.pid", "--vrrp_pid", f"{conf}.vrrp.pid")
            self.daemons[address(number)] = subprocess.Popen(
                ["ip", "netns", "exec", name, *daemon, *files],
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return ear

    def kill(self, which: str) -> None:
        """Kill a daemon with its processes."""
        os.killpg(self.daemons[which].pid, signal.SIGKILL)
        self.daemons.pop(which).wait()

    def end(self) -> None:
        """End them, and remove the namespaces."""
        for which in list(self.daemons):
            self.kill(which)
        for name in (*self._names, self.bridge):
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def only(heard: list[tuple[float, str]]) -> str:
    """Return who sent the last advert."""
    if not heard:
        raise SystemExit("no advert was sent")
    return heard[-1][1]


def measure(count: int, folder: pathlib.Path) -> str:
    """Measure it with so many nodes. Returns the figures in words."""
    nodes = Nodes(count, folder)
    try:
        ear = nodes.start()
        time.sleep(10 + count / 10)
        began = time.monotonic()
        time.sleep(PEACE)
        peace = ear.since(began)
        master = only(peace)
        nodes.kill(master)
        killed = time.monotonic()
        time.sleep(AFTER)
        after = ear.since(killed)
    finally:
        nodes.end()
    seconds = [sum(1 for when, _who in after if turn <= when - killed < turn + 1) for turn in range(int(AFTER))]
    senders = {who for _when, who in after}
    if not after:
        return f"{count} nodes: no advert in {AFTER:g} s after the master was killed"
    return (
        f"{count} nodes: {len(peace) / PEACE:.0f} adverts a second from {len({who for _when, who in peace})}; "
        f"master killed: the next advert after {after[0][0] - killed:.1f} s, {len(senders)} sent some, "
        f"at most {max(seconds)} in a second, {seconds[-1]} in the last one; load {os.getloadavg()[0]:.0f}"
    )


def main() -> int:
    """Run it. Returns the exit status."""
    for count in map(int, sys.argv[1:] or ["10", "50"]):
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rcron-vrrp") as name:
            print(measure(count, pathlib.Path(name)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
