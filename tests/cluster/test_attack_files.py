# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""An ordinary user of a deployed node tries to change what decides whether jobs run, and what runs them.

Each attempt is made on the node as it is, and again with the protection taken away, when it must have its effect:
an attempt that cannot work would hold nothing.
"""

import json
import re
import shlex

import pytest
from nodes import Cluster, Node
from waiting import wait_until

from tests.cluster import measurement
from tests.cluster.attacker import Attempt, as_user, outcome, outcome_without_protection

EVENT = 'INSTANCE "VI_rcron" BACKUP 100'
IS_PASSIVE = "grep -q passive /run/rcron/state"
#: A configuration of one's own, which has any feeder.
ANY = "sed /^feeder_name/d /etc/rcron/rcron.conf >mine"
#: Requests a signal for each change in a folder (F_NOTIFY).
WATCH = "import fcntl, os, sys; fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_RENAME)"

ATTEMPTS = {
    "state file, written": Attempt("echo passive >/run/rcron/state", IS_PASSIVE, "chmod 666 /run/rcron/state"),
    "state file, replaced": Attempt(
        "echo passive >mine; mv -f mine /run/rcron/state", IS_PASSIVE, "chmod 777 /run/rcron"
    ),
    "state file, removed": Attempt("rm -f /run/rcron/state", "! test -e /run/rcron/state", "chmod 777 /run/rcron"),
    "state file, a link": Attempt(
        "ln -sfn $HOME/mine /run/rcron/state", "test -L /run/rcron/state", "chmod 777 /run/rcron"
    ),
    "state file, made stale": Attempt(
        "touch -d '1 hour ago' /run/rcron/state",
        "test $(($(date +%s) - $(stat -c %Y /run/rcron/state))) -gt 3000",
        "chown alice /run/rcron/state",
    ),
    "FIFO in a temporary file's place": Attempt(
        "mkfifo /run/rcron/state.1.00000000", "test -p /run/rcron/state.1.00000000", "chmod 777 /run/rcron"
    ),
    "feeder's record": Attempt(
        "echo pid=1 >>/run/rcron/state.feeder",
        "grep -qx pid=1 /run/rcron/state.feeder",
        "chmod 666 /run/rcron/state.feeder",
    ),
    # flock(2) takes a file that is open for reading.
    "feeder's lock, held": Attempt(
        "flock --nonblock /run/rcron/state.lock touch mine", "test -e $HOME/mine", "chmod 644 /run/rcron/state.lock"
    ),
    "keepalived's FIFO, written": Attempt(
        f"echo {shlex.quote(EVENT)} >$FIFO", f"sleep 0.5; {IS_PASSIVE}", "systemctl start rcron-agent; chmod 666 $FIFO"
    ),
    # Whoever reads it takes the events away from rcron.
    "keepalived's FIFO, read": Attempt(
        "exec 3<$FIFO; touch mine", "test -e $HOME/mine", "chmod 666 $FIFO; exec 4<>$FIFO"
    ),
    "keepalived's configuration": Attempt(
        "echo '# mine' >>/etc/keepalived/rcron.conf",
        "grep -q mine /etc/keepalived/rcron.conf",
        "chmod 666 /etc/keepalived/rcron.conf",
    ),
    "keepalived's password": Attempt(
        "cat /etc/keepalived/keepalived.conf >mine; test -s mine || rm mine",
        "test -e $HOME/mine",
        "chmod 644 /etc/keepalived/keepalived.conf",
    ),
    "keepalived's unit": Attempt(
        "echo '# mine' >>/etc/systemd/system/keepalived.service.d/rcron.conf",
        "grep -q mine /etc/systemd/system/keepalived.service.d/rcron.conf",
        "chmod 666 /etc/systemd/system/keepalived.service.d/rcron.conf",
    ),
    # Each such request delays whoever changes something in the folder.
    "state's folder, watched": Attempt(
        f"/usr/bin/python3 -c {shlex.quote(WATCH)} /run/rcron && touch mine",
        "test -e $HOME/mine",
        "chmod 755 /run/rcron",
    ),
    "pin's folder, watched": Attempt(
        f"/usr/bin/python3 -c {shlex.quote(WATCH)} /var/lib/rcron && touch mine",
        "test -e $HOME/mine",
        "mkdir -p /var/lib/rcron; chmod 755 /var/lib/rcron",
    ),
    # A full file system cannot take a state that is replaced.
    "room and inodes of /run": Attempt(
        "for place in /run $(find /run -xdev -type d -writable 2>/dev/null); do touch $place/mine && touch mine; done",
        "test -e $HOME/mine; found=$?; rm -f /run/mine; exit $found",
        "chmod 777 /run",
    ),
    "pin": Attempt(
        "mkdir -p /var/lib/rcron; echo passive >/var/lib/rcron/state.pin",
        "test -e /var/lib/rcron/state.pin",
        "mkdir -p /var/lib/rcron; chmod 777 /var/lib/rcron",
    ),
    "pin's folder": Attempt(
        "mkdir -p /var/lib/rcron/mine", "test -d /var/lib/rcron/mine", "chmod 777 /var/lib; rm -rf /var/lib/rcron"
    ),
    "configuration, written": Attempt(
        "echo '# mine' >>/etc/rcron/rcron.conf", "grep -q mine /etc/rcron/rcron.conf", "chmod 666 /etc/rcron/rcron.conf"
    ),
    "configuration, replaced": Attempt(
        "echo '# mine' >mine; mv -f mine /etc/rcron/rcron.conf",
        "grep -q mine /etc/rcron/rcron.conf",
        "chmod 777 /etc/rcron",
    ),
    "configuration, by another name": Attempt(
        "ln /etc/rcron/rcron.conf mine && echo '# mine' >>mine",
        "grep -q mine /etc/rcron/rcron.conf",
        "chmod 666 /etc/rcron/rcron.conf",
    ),
    "configuration, a second one": Attempt(
        "touch /etc/rcron/b.conf", "test -e /etc/rcron/b.conf", "chmod 777 /etc/rcron"
    ),
    "what happens at boot": Attempt(
        "echo '# mine' >>/etc/tmpfiles.d/rcron.conf",
        "grep -q mine /etc/tmpfiles.d/rcron.conf",
        "chmod 666 /etc/tmpfiles.d/rcron.conf",
    ),
    "library, a module": Attempt(
        "echo '# mine' >>$LIB/rcron/settings.py",
        "grep -q mine $LIB/rcron/settings.py",
        "chmod 666 $LIB/rcron/settings.py",
    ),
    "library, bytecode": Attempt(
        "for file in $LIB/rcron/__pycache__/__init__.*.pyc; do echo mine >$file; done",
        "grep -q mine $LIB/rcron/__pycache__/__init__.*.pyc",
        "chmod 666 $LIB/rcron/__pycache__/*",
    ),
    # In front of the standard library in sys.path.
    "library, a module beside it": Attempt("touch $LIB/syslog.py", "test -e $LIB/syslog.py", "chmod 777 $LIB"),
    "library, a version to come": Attempt(
        "mkdir /usr/lib/rcron/.staging-mine", "test -d /usr/lib/rcron/.staging-mine", "chmod 777 /usr/lib/rcron"
    ),
    "launcher": Attempt("echo mine >$LIB/bin/rcron", "grep -q mine $LIB/bin/rcron", "chmod 777 $LIB/bin/rcron"),
    "launcher's link": Attempt(
        "ln -sfn $HOME/mine /usr/bin/rcron", "test -L /usr/bin/rcron -a ! -e /usr/bin/rcron", "chmod 777 /usr/bin"
    ),
    "lock of the deployment": Attempt(
        "mkfifo /run/rcron_crontab.lock", "test -e /run/rcron_crontab.lock", "chmod 777 /run"
    ),
    "rcronctl set": Attempt("rcronctl set passive", IS_PASSIVE, "chown -R alice /run/rcron"),
    "rcronctl pin": Attempt(
        "rcronctl pin passive",
        "test -e /var/lib/rcron/state.pin",
        "mkdir -p /var/lib/rcron; chown alice /var/lib/rcron",
    ),
    "rcronctl feed keepalived": Attempt(
        f"rcronctl feed keepalived --instance VI_rcron {EVENT}", IS_PASSIVE, "chown -R alice /run/rcron"
    ),
    "rcronctl feed patroni": Attempt(
        f"{ANY}; rcronctl --conf mine feed patroni on_stop primary billing", IS_PASSIVE, "chown -R alice /run/rcron"
    ),
    "rcronctl feed ucarp": Attempt(
        f"{ANY}; rcronctl --conf mine feed ucarp down eth0 192.0.2.10", IS_PASSIVE, "chown -R alice /run/rcron"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def is_active(cluster: Cluster) -> None:
    """Wait for the role: an attempt that makes the node passive would seem to succeed on one that is not active yet."""
    wait_until(lambda: cluster.nodes[0].state() == "active", f"{cluster.nodes[0]} is active", 30)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_user_changes_what_decides_or_runs(node: Node, name: str) -> None:
    if name.startswith("pin's folder, w"):
        node.run("rcronctl pin active; rcronctl unpin")  # makes the folder
    done, said = outcome(node, ATTEMPTS[name])
    assert not done, said
    assert re.search("permission denied|not permitted", said, re.IGNORECASE), said


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_attempt_works_without_its_protection(node: Node, name: str) -> None:
    done, said = outcome_without_protection(node, ATTEMPTS[name])
    assert done, said


@pytest.mark.parametrize("user", ["keepalived_script", "postgres"])
def test_a_feeders_user_can_do_no_more_than_others(node: Node, user: str) -> None:
    """The users that keepalived and Patroni run scripts as; this cluster's state belongs to root."""
    for name in (
        "state file, replaced",
        "keepalived's FIFO, written",
        "pin",
        "rcronctl set",
        "rcronctl feed keepalived",
    ):
        done, said = outcome(node, ATTEMPTS[name], user)
        assert not done, said
        assert "ermission denied" in said, said


def test_locks_on_files_that_everybody_may_read_block_no_feeder(node: Node) -> None:
    said = node.run(
        """
        # It would replace the record meanwhile, and with it the file that is locked.
        systemctl stop rcron-agent; trap 'systemctl start rcron-agent' EXIT
        cd /run/rcron
        for place in . state state.feeder /etc/rcron/rcron.conf /usr/bin/rcronctl; do
            su alice -c "exec flock --nonblock $place sleep 4" 2>/dev/null &
        done
        sleep 1
        for place in . state state.feeder; do flock --nonblock $place true || echo held; done
        timeout 20 rcronctl set active --feeder test; echo $?
        for place in /etc/rcron/rcron.conf /usr/bin/rcronctl; do flock --nonblock $place true || echo held; done
        wait
        """
    )
    # root had finished while they were still held; the folder cannot be opened, and so not be locked.
    assert said.split() == ["held", "held", "0", "held", "held"]


#: Four processes with thousands of such requests each; each request is to signal all four. The file `ready` then says
#: how many were granted.
MANY = """
import fcntl, os, resource, signal, time
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
if os.getpgrp() != os.getpid():
    os.setpgrp()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
reading, writing = os.pipe()
for _process in range(4):
    if os.fork() == 0:
        granted = 0
        for _request in range(2000):
            try:
                fd = os.open("/run/rcron", os.O_RDONLY)
            except OSError:
                break
            fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_CREATE | fcntl.DN_MODIFY | fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
            granted += 1
        os.write(writing, b"%8d" % granted)
        time.sleep(60)
        os._exit(0)
granted = sum(int(os.read(reading, 8)) for _process in range(4))
with open("ready.new", "w") as file:
    print(granted, file=file)
os.rename("ready.new", "ready")
time.sleep(60)
"""


def test_no_user_delays_who_decides_by_waiting_for_it(node: Node) -> None:
    """The kernel serves each request at each change. How long that takes is measured, with and without protection."""
    node.run(f"printf %s {shlex.quote(MANY)} >~alice/many; chown alice ~alice/many")

    def requests_and_seconds(weaken: str) -> "tuple[int, float]":
        said = node.run(
            f"""
            cd ~alice; {weaken}
            su -s /bin/sh alice -c "exec /usr/bin/python3 many" </dev/null >/dev/null 2>&1 &
            timeout 60 sh -c 'until test -e ready; do sleep 0.1; done'
            echo $(cat ready) $(date +%s.%N)
            for state in passive active passive active passive active; do rcronctl set $state >/dev/null; done
            date +%s.%N
            pkill -u alice -f 'python3 many'; chmod 711 /run/rcron; rm -f ready
            """
        ).split()
        return int(said[0]), float(said[2]) - float(said[1])

    granted, seconds = requests_and_seconds("true")
    assert granted == 0
    granted, more = requests_and_seconds("chmod 755 /run/rcron")
    node.run("rm ~alice/many")
    assert granted == 8000
    measurement.report(
        f"rcronctl set takes {seconds / 6:.2f} s, and {more / 6:.2f} s beside {granted} requests in a readable folder"
    )


def test_a_lock_that_is_never_released_blocks_nobody_forever(node: Node) -> None:
    """The feeder's user may hold his own lock, and so may every user the folder, which is what is left where no room is
    for a lock file."""
    ctl = "timeout 20 rcronctl --conf /etc/rcron/attack.conf"
    said = node.run(
        f"""
        exec 3>&1 >/dev/null 2>&1
        mkdir /run/attack; trap 'rm -r /run/attack /etc/rcron/attack.conf' EXIT
        echo "state_file = /run/attack/state" >/etc/rcron/attack.conf
        {ctl} set active
        flock --no-fork /run/attack/state.lock sleep 30 & holder=$!
        unshare -Urm sh -ec '
            mount -t tmpfs -o nr_inodes=3 none /run/attack; echo active >/run/attack/state; touch /run/attack/full
            touch /run/attack/more 2>/dev/null && echo room >&3
            flock --no-fork /run/attack sleep 30 & holder=$!; sleep 1
            {ctl} set passive; cat /run/attack/state >&3; kill $holder' & full=$!
        sleep 1; {ctl} set passive; cat /run/attack/state >&3; kill $holder; wait $full
        """
    )
    assert said.split() == ["passive", "passive"]


#: What a user has put in /tmp in the place where keepalived writes its state for the agent.
PLANTED = {
    "a file": "echo ' VRRP Instance = VI_rcron' >/tmp/keepalived.data",
    "a link": "ln -s /etc/rcron/rcron.conf /tmp/keepalived.data",
    "a FIFO": "mkfifo /tmp/keepalived.data",
    "a folder": "mkdir -p /tmp/keepalived.data/full",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_files_planted_in_tmp_neither_stop_nor_mislead_the_agent(node: Node, planted: str) -> None:
    before = node.run("cat /etc/rcron/rcron.conf")
    as_user(node, PLANTED[planted])
    try:
        pid = node.run("systemctl restart rcron-agent; systemctl show --property=MainPID --value rcron-agent").strip()

        def has_answered() -> bool:
            answer = json.loads(node.run("rcronctl status --json"))["feeder"]["answer"]
            return answer is not None and (answer["state"], str(answer["pid"])) == ("active", pid)

        wait_until(has_answered, "keepalived says that it is master", 15)
    finally:
        node.run("rm -rf /tmp/keepalived.data*")
    assert node.run("cat /etc/rcron/rcron.conf") == before
