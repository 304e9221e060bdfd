# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What a new user does, on a clean Debian 12 and a clean Debian 13: the README's commands from the first to the last,
then those of docs/ledger.md and of docs/install.md, as they stand there.

For each release, containers that boot as machines do: a controller that has no git, no Ansible and no cache, and three
hosts that it reaches by ssh, with keepalived and crontabs as the README supposes, and with Debian's etcd as it is
after its installation. The clone comes from this checkout's
last commit, by git's insteadOf; the packages come from Debian and PyPI, with this machine's certificates. Commands that
start containers (make demo, make test) are left out, because no container can start some here: `make test` runs them.

Prints each command with its seconds, and the seconds from the clone to the first failover.

    python tests/new_user.py [SUITE...]
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import textwrap
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
SHARED = CHECKOUT / "molecule" / "shared"
sys.path.insert(0, str(SHARED))

from nodes import CRON_PATIENCE, NEAR_MINUTE, Node  # noqa: E402 - found through the line above
from waiting import wait_until  # noqa: E402

SUITES = ("bookworm", "trixie")
HOSTS = [f"node{number}.example.com" for number in (1, 2, 3)]

#: Why a command of the pages is not run.
LEFT_OUT = {
    "make demo": "starts containers",
    "make test": "starts containers",
    "make packages": "scenario packages",
    "make tarball": "scenario packages",
}

#: What the README supposes to be on the hosts.
KEEPALIVED = """\
vrrp_instance VI_1 {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
}}
"""
ROOTS_CRONTAB = "12 3 * * * /usr/local/bin/billing\n5 4 * * * /opt/app/bin/tidy --all\n0 0 * * * /usr/bin/true\n"
#: The same where the job that docs/ledger.md is tried with runs each minute, and what it does.
BUSY_CRONTAB = ROOTS_CRONTAB.replace("12 3 * * *", "* * * * *", 1)
BILLING = "#!/bin/sh\necho $(($(date +%s) / 60)) >>/var/log/billing\n"
APPS_CRONTAB = "#Ansible: nightly report\n30 2 * * * root /opt/app/report\n"

#: docs/ledger.md's members of etcd and its secret, and what they are here.
HERE = {
    **{f"etcd{number}": host for number, host in enumerate(HOSTS, 1)},
    "{{ vault_rcron_claims_password }}": "of the agent",
}

#: Makes a container a host: one that can be logged in to, and that has a default route.
START = "systemctl start ssh && ip route replace default dev eth0"

#: Runs a command where the last one has ended, as a shell that stays open does.
SHELL = """\
cd "$(cat /root/.folder 2>/dev/null || echo /root)"
export HOME=/root PIP_CERT=/etc/ssl/this-machine.crt DEBIAN_FRONTEND=noninteractive
[ ! -e /root/ansible/bin/activate ] || . /root/ansible/bin/activate
{command}
status=$?
pwd >/root/.folder
exit $status
"""


def page(name: str) -> str:
    return (CHECKOUT / name).read_text()


def section(text: str, title: str) -> str:
    """Return a section of a page, without those below it."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def commands(text: str) -> list[str]:
    """Return the commands in the indented blocks of a text."""
    return re.findall(r"^    (\S.*)$", re.sub("```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


def inventory(text: str) -> str:
    """Return the inventory in a text."""
    found = re.search(r"```yaml\n(rcron:[^`]*)```", text)
    assert found
    return found[1]


class Controller:
    """The machine of the new user."""

    def __init__(self, container: str) -> None:
        self.node = Node(container)

    def run(self, command: str) -> str:
        """Run one of the pages' commands, in a shell that stays where the last one has left it."""
        if command in LEFT_OUT:
            print(f"{'left out':>10}  {command}: {LEFT_OUT[command]}", flush=True)
            return ""
        began = time.monotonic()
        self.node.run("cat >/root/.command <<'END'\n" + SHELL.format(command=command) + "END")
        said = self.node.try_run("bash /root/.command 2>&1 </dev/null")
        print(f"{time.monotonic() - began:8.1f} s  {command.splitlines()[0]}", flush=True)
        assert said.returncode == 0, f"{command}: exit status {said.returncode}:\n{said.stdout[-4000:]}"
        return said.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file, as the user does in an editor."""
        self.node.run(f"cat >{path} <<'END'\n{text}END")


def podman(*words: str) -> str:
    return subprocess.run(["podman", *words], check=True, capture_output=True, text=True).stdout


def send(container: str, path: str, content: bytes) -> None:
    """Put a file into a container."""
    subprocess.run(
        [SHARED / "in-node.sh", container, "sh", "-c", f"mkdir -p {path.rpartition('/')[0]} && cat >{path}"],
        input=content,
        check=True,
    )


def prepare(controller: Controller, hosts: list[Node]) -> None:
    """Do what an administrator has done before he hears of rcron."""
    container = controller.node.container
    podman("network", "connect", "podman", container)
    send(container, "/etc/resolv.conf", pathlib.Path("/etc/resolv.conf").read_bytes())
    send(container, "/etc/ssl/this-machine.crt", pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
    bundle = subprocess.run(
        ["git", "bundle", "create", "--quiet", "-", "HEAD", "--branches"], cwd=CHECKOUT, check=True, capture_output=True
    ).stdout
    send(container, "/srv/rcron.bundle", bundle)
    controller.write(
        "/root/.gitconfig", '[url "/srv/rcron.bundle"]\n\tinsteadOf = https://github.com/rcron/rcron.git\n'
    )
    controller.node.run("apt-get update --quiet")
    key = controller.node.run(
        "apt-get install --quiet --yes openssh-client >/dev/null 2>&1; mkdir -p -m 700 /root/.ssh; "
        "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && cat /root/.ssh/id_ed25519.pub"
    )
    for number, host in enumerate(hosts):
        host.run(f"mkdir -p -m 700 /root/.ssh && echo '{key.strip()}' >/root/.ssh/authorized_keys")
        host.run(START)
        conf = KEEPALIVED.format(priority=100 - number)
        host.run(f"cat >/etc/keepalived/keepalived.conf <<'END'\n{conf}END")
        host.run(f"crontab - <<'END'\n{ROOTS_CRONTAB}END\ncat >/etc/cron.d/app <<'END'\n{APPS_CRONTAB}END")
        host.run("systemctl enable --quiet --now keepalived")
    controller.node.run(f"ssh-keyscan {' '.join(HOSTS)} >/root/.ssh/known_hosts 2>/dev/null")


def fail_over(hosts: list[Node]) -> None:
    """Kill the active host, see another one active, and have it back."""
    wait_until(lambda: sorted(host.state() for host in hosts) == ["active", "passive", "passive"], "one is active", 30)
    (active,) = (host for host in hosts if host.state() == "active")
    podman("kill", active.container)
    others = [host for host in hosts if host is not active]
    began = time.monotonic()
    wait_until(lambda: "active" in [host.state() for host in others], "another one is active", 30)
    print(f"{time.monotonic() - began:8.1f} s  until another host is active, after {active} was killed", flush=True)
    podman("start", active.container)
    wait_until(lambda: active.try_run(START).returncode == 0, "it is back", 60)
    wait_until(lambda: sorted(host.state() for host in hosts) == ["active", "passive", "passive"], "one is active", 30)


def as_before(hosts: list[Node]) -> None:
    """Check that nothing of rcron is left."""
    for host in hosts:
        assert host.run("crontab -l") == ROOTS_CRONTAB, host
        assert host.run("cat /etc/cron.d/app") == APPS_CRONTAB, host
        assert host.try_run("ls -d /usr/bin/rcron* /usr/lib/rcron /etc/rcron").stdout == "", host


def read_the_readme(controller: Controller, hosts: list[Node]) -> None:
    """Run the README's commands, with the ones of docs/install.md for a controller without Ansible."""
    for command in commands(section(page("docs/install.md"), "What it needs")):
        controller.run(command)
    readme = page("README.md")
    began = time.monotonic()
    failed_over = False
    for command in commands(readme):
        if "crontab" in command or re.match(r"[0-9*]+ +[0-9*]+ ", command):
            continue  # an entry, not a command
        if command.endswith("rcron.cluster.remove"):
            fail_over(hosts)
            failed_over = True
            print(f"{time.monotonic() - began:8.1f} s  from the clone to a failover", flush=True)
        controller.run(command)
        if command.startswith("git clone"):
            controller.write("/root/rcron/hosts.yml", inventory(readme))
    assert failed_over
    as_before(hosts)


def here(text: str) -> str:
    """Return a text of docs/ledger.md with what its names are here."""
    for theirs, ours in HERE.items():
        text = text.replace(theirs, ours)
    return text


def set_up_etcd(controller: Controller, hosts: list[Node], section: str) -> None:
    """Do as docs/ledger.md says for etcd with TLS and a user."""
    certificates, users = re.findall(r"```sh\n([^`]*)```", section)
    (settings,) = re.findall(r"```ini\n([^`]*)```", section)
    authority, member = certificates.split("\n", 1)
    controller.node.run("mkdir -m 700 /root/ca && echo /root/ca >/root/.folder")
    controller.run(authority)
    for name, host in zip(HOSTS, hosts, strict=True):
        controller.run(member.replace("etcd1", name))
        host.run("mkdir -p /etc/etcd /etc/rcron")
        controller.node.run(f"cd /root/ca && scp -q ca.pem {name}.pem {name}.key {name}:/etc/etcd")
        controller.node.run(f"scp -q /root/ca/ca.pem {name}:/etc/rcron/etcd-ca.pem")
        host.run(f"chown etcd /etc/etcd/{name}.key")
        mine = [line if "INITIAL_CLUSTER=" in line else line.replace("etcd1", name) for line in settings.splitlines()]
        host.run("cat >/etc/default/etcd <<'END'\n" + here("\n".join(mine)) + "\nEND")
    for command in commands(section):
        for host in hosts:
            host.run(command.replace("systemctl start", "systemctl start --no-block"))  # all at the same time
    wait_until(lambda: all(host.try_run("systemctl is-active etcd").returncode == 0 for host in hosts), "etcd runs", 60)
    passwords = "\n".join(["of root"] * 2 + [HERE["{{ vault_rcron_claims_password }}"]] * 2)
    print(hosts[0].run(f"echo '{passwords}' | sh -euc '{here(users)}'"), end="")


def minutes(hosts: list[Node]) -> list[int]:
    """Return the minute of each run of the job on any host."""
    return sorted(int(line) for host in hosts for line in host.try_run("cat /var/log/billing").stdout.split())


def read_about_claims(controller: Controller, hosts: list[Node]) -> None:
    """Follow docs/ledger.md with the README's inventory: three active hosts, a host that dies, each run once."""
    text = page("docs/ledger.md")
    for host in hosts:
        host.run(f"crontab - <<'END'\n{BUSY_CRONTAB}END")
        host.run(f"cat >/usr/local/bin/billing <<'END'\n{BILLING}END\nchmod +x /usr/local/bin/billing")
    set_up_etcd(controller, hosts, section(text, "Setting it up").split("### ")[1])
    (variables,) = re.findall(r"```yaml\n([^`]*)```", section(text, "Setting it up"))
    variables = textwrap.indent(here(variables), " " * 4)
    controller.write("/root/rcron/hosts.yml", inventory(page("README.md")) + variables)
    controller.node.run("echo /root/rcron >/root/.folder")
    for command in commands(section(page("docs/install.md"), "Deploying"))[:4]:
        controller.run(command)
    for host in hosts:
        assert "claims: etcd, 3 of 3 members" in " ".join(host.run("rcronctl status").split()), host
    began = next_minute() + 1
    for host in hosts:
        host.run("rcronctl pin active")
    sleep_until(60 * (began + 2) + CRON_PATIENCE)
    for host in hosts:
        host.run("rcronctl unpin")
    fail_over(hosts)
    ended = next_minute()
    sleep_until(60 * ended + CRON_PATIENCE)
    found = [minute for minute in minutes(hosts) if minute >= began]
    assert found == list(range(began, ended + 1)), (began, ended, found)
    print(f"{'':10}  minutes with three active hosts and a dead one: {len(found)}, each run once", flush=True)
    assert hosts[0].run(f"rcronctl history --since {len(found) + 1}m").count("/usr/local/bin/billing") >= len(found)
    controller.run("ansible-playbook -i hosts.yml rcron.cluster.remove")
    for host in hosts:
        assert host.run("crontab -l") == BUSY_CRONTAB, host
        assert host.run("ls /etc/rcron") == "etcd-ca.pem\n", host
        host.run(f"rm -r /etc/rcron && crontab - <<'END'\n{ROOTS_CRONTAB}END")
    as_before(hosts)


def sleep_until(when: float) -> None:
    time.sleep(max(when - time.time(), 0))


def next_minute() -> int:
    """Wait until the next minute is not near, and return it."""
    if time.time() % 60 > 60 - NEAR_MINUTE:
        time.sleep(NEAR_MINUTE)
    return int(time.time() // 60) + 1


def read_the_page(controller: Controller, hosts: list[Node]) -> None:
    """Run the commands of docs/install.md for hosts without keepalived."""
    text = page("docs/install.md")
    for host in hosts:
        host.run("systemctl disable --quiet --now keepalived && rm /etc/keepalived/keepalived.conf")
    controller.write("/root/rcron/hosts.yml", inventory(section(text, "The inventory")))
    controller.node.run(
        "cd /root/rcron && rm rcron-cluster-*.tar.gz && rm -rf /root/.ansible/collections; echo /root >/root/.folder"
    )
    controller.node.run("rm -rf /root/cloned && mv /root/rcron /root/cloned")
    for title in ("The collection", "Deploying", "Removing"):
        for command in commands(section(text, title)):
            if command.endswith("rcron.cluster.remove"):
                fail_over(hosts)
            controller.run(command)
            if command.startswith("git clone"):
                controller.node.run("cp /root/cloned/hosts.yml /root/rcron")
    as_before(hosts)


def try_out(suite: str) -> None:
    """Do all of it on one release."""
    run = f"user-{suite}"
    image = subprocess.run(
        [SHARED / "image.sh", suite, "openssh-server", "sudo", "openssl", "etcd-server", "etcd-client"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    try:
        subprocess.run(
            [SHARED / "nodes.sh", "up", run, *(f"{name}={image}" for name in ["controller", *HOSTS])], check=True
        )
        controller = Controller(f"rcron-{run}-controller")
        hosts = [Node(f"rcron-{run}-{name}") for name in HOSTS]
        prepare(controller, hosts)
        print(f"{suite}: README.md", flush=True)
        read_the_readme(controller, hosts)
        print(f"{suite}: docs/ledger.md", flush=True)
        read_about_claims(controller, hosts)
        print(f"{suite}: docs/install.md", flush=True)
        read_the_page(controller, hosts)
    finally:
        subprocess.run([SHARED / "nodes.sh", "down", run], check=True)


def main() -> int:
    for suite in sys.argv[1:] or SUITES:
        try_out(suite)
    print("new user: nothing had to be guessed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
