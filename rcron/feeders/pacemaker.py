# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Pacemaker: the actions of the resource agent `ocf:rcron:rcron`.

The contract (OCF Resource Agent API 1.1; "Resource Agents" in Pacemaker Administration; tried on 2.1.5):

- pacemaker-execd starts the agent as root with one word, the action, waits for it as long as the operation's timeout,
  and uses its exit status. The resource's parameters and the cluster's additions are in OCF_RESKEY_…: `conf` is the
  rcron.conf, and CRM_meta_promoted_max (CRM_meta_master_max before 2.1) exists for a promotable clone only.
- A promotable clone runs on every node: `start` makes it unpromoted, which is passive, and `promote` makes it active. A
  plain resource runs on one node, and is active where it is started. `monitor` answers 8 promoted, 0 unpromoted or
  started, 7 not running, and looks at this machine only. Every action may come twice.
- An instance is promoted only if its promotion score is above 0. The agent sets the score, and Pacemaker forgets it
  when pacemaker-controld of that node ends and is started again, so every monitor sets it.
- When Corosync ends, pacemaker-controld ends too, but pacemaker-execd lives on and continues its monitors while another
  node is promoted. So no action but `start` and `promote` says `active`: rcron-agent keeps it fresh, which asks
  Corosync and Pacemaker (rcron/agent/feeders/pacemaker.py).

Unpromoted and stopped are both passive. A file in HA_RSCTMP, a folder of Pacemaker's that every reboot empties,
distinguishes them. It also says which state file must be made passive if rcron.conf is broken at a stop.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from rcron import __version__, ask, files, hook, log, settings, state
from rcron.settings import ACTIVE, PASSIVE, Config

HELP = "run an action of Pacemaker's resource agent ocf:rcron:rcron"

# Exit statuses, with the names that the OCF Resource Agent API gives them.
SUCCESS = 0
ERR_GENERIC = 1
ERR_UNIMPLEMENTED = 3
ERR_INSTALLED = 5  # this node cannot run it, but others may be able to
NOT_RUNNING = 7
RUNNING_PROMOTED = 8

#: What the cluster can make of this node.
STARTED = "started"
UNPROMOTED = "unpromoted"
PROMOTED = "promoted"
STOPPED = "stopped"

#: Promotion scores. The promoted instance keeps its role when others come back.
PREFER_PROMOTED = 10
PREFER_UNPROMOTED = 5

#: How long after its start an action may make a node active that an agent serves, in seconds. Another node becomes
#: active after Corosync's token (3 s, unless configured) at the earliest.
IN_TIME = 2.0

#: How long an instance that Pacemaker has promoted may be passive because its agent is not certain of it, in seconds:
#: Corosync's token and consensus, and more.
GRACE = 20.0

#: How long crm_attribute may take, which asks pacemaker-attrd on this machine, in seconds.
PATIENCE = 5

META_DATA = f"""\
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="rcron" version="{__version__}">
<version>1.1</version>
<longdesc lang="en">
Makes rcron's jobs run on one node of the cluster. As a promotable clone, the node where it is promoted runs them; as a
plain resource, the node where it is started.
</longdesc>
<shortdesc lang="en">Runs cron jobs on one node of the cluster</shortdesc>
<parameters>
<parameter name="conf" unique="1" required="0">
<longdesc lang="en">rcron's configuration, the same path on every node.</longdesc>
<shortdesc lang="en">rcron.conf</shortdesc>
<content type="string" default="{settings.DEFAULT_PATH}"/>
</parameter>
</parameters>
<actions>
<action name="start" timeout="20s"/>
<action name="stop" timeout="20s"/>
<action name="promote" timeout="20s"/>
<action name="demote" timeout="20s"/>
<action name="monitor" timeout="20s" interval="10s"/>
<action name="monitor" timeout="20s" interval="4s" role="Promoted"/>
<action name="notify" timeout="5s"/>
<action name="meta-data" timeout="5s"/>
<action name="validate-all" timeout="20s"/>
</actions>
</resource-agent>
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this feeder's arguments to a parser.

    Args:
        parser: that of `rcronctl feed pacemaker`.
    """
    parser.description = "For the resource agent ocf:rcron:rcron. Environment and exit statuses are those of OCF."
    parser.add_argument("action", metavar="ACTION", help="such as start or monitor: see the OCF Resource Agent API")


def run(options: argparse.Namespace, report: "Callable[[str], None]") -> int:
    """Do one action.

    Args:
        options: the parsed command line.
        report: takes a line for the administrator.

    Returns:
        OCF's exit status, for errors too, for which another feeder has one of sysexits(3).
    """
    if options.action == "meta-data":
        sys.stdout.write(META_DATA)
        return SUCCESS
    if options.action == "notify":
        return SUCCESS
    instance = Instance(options.conf, dict(os.environ))
    action = instance.actions().get(options.action)
    if action is None:
        return _refuse(report, ERR_UNIMPLEMENTED, f"unknown action {options.action}; nothing changed")
    try:
        return action()
    except settings.ConfigError as error:
        return _refuse(report, ERR_INSTALLED, str(error))
    except OSError as error:
        return _refuse(report, ERR_GENERIC, f"{error.filename}: {error.strerror}")


def _refuse(report: "Callable[[str], None]", exit_status: int, reason: str) -> int:
    reason = log.one_line(reason)
    report(f"pacemaker: {reason}")
    print(f"ocf-exit-reason:{reason}", file=sys.stderr)  # crm_mon shows this
    return exit_status


class Instance:
    """The resource on this node.

    Args:
        conf: the path of rcron.conf.
        environment: as Pacemaker gave it.

    Attributes:
        name (str): the resource's name.
        promotable (bool): whether it has roles.
    """

    def __init__(self, conf: str, environment: "dict[str, str]") -> None:
        self._conf = conf
        # An instance of a clone that is not globally unique may be called NAME:0 in one action and NAME in the next.
        self.name = environment.get("OCF_RESOURCE_INSTANCE", "rcron").partition(":")[0]
        self.promotable = any(
            environment.get(f"OCF_RESKEY_CRM_meta_{name}_max", "0") != "0" for name in ("promoted", "master")
        )
        #: Whether the action is done once; `monitor` is then the question what Pacemaker finds at its start.
        self._is_probe = environment.get("OCF_RESKEY_CRM_meta_interval", "0") == "0"
        features = environment.get("OCF_RESKEY_crm_feature_set", "3.10").split(".")
        self._before_2_1 = [int(part) for part in features if part.isdecimal()] < [3, 10]
        self._note = os.path.join(environment.get("HA_RSCTMP", "/run/resource-agents"), f"rcron-{self.name}")

    def actions(self) -> "dict[str, Callable[[], int]]":
        """Return each action's name and the function for it. A plain resource cannot be promoted."""
        known = {"start": self.start, "stop": self.stop, "monitor": self.monitor, "validate-all": self.validate}
        if self.promotable:
            known.update(promote=self.promote, demote=self.demote)
        return known

    def validate(self) -> int:
        """Check whether this node could run it.

        Returns:
            OCF's exit status.

        Raises:
            ConfigError: the configuration cannot be used.
            OSError: the state file has no folder.
        """
        os.stat(os.path.dirname(settings.load(self._conf).state_file))
        return SUCCESS

    def start(self) -> int:
        """Become unpromoted, or active if there are no roles. Returns OCF's exit status."""
        config = settings.load(self._conf)
        if not self.promotable:
            return self._become(config, ACTIVE, STARTED)
        exit_status = self._become(config, PASSIVE, UNPROMOTED)
        self._prefer(PREFER_UNPROMOTED)
        return exit_status

    def promote(self) -> int:
        """Become active, which only a started instance can. Returns OCF's exit status."""
        if not self._noted()[0]:
            return NOT_RUNNING
        exit_status = self._become(settings.load(self._conf), ACTIVE, PROMOTED)
        self._prefer(PREFER_PROMOTED)
        return exit_status

    def demote(self) -> int:
        """Become passive, and stay started. Returns OCF's exit status."""
        config = self._last_config()
        if not self._noted()[0] and not _is_active(config):
            return NOT_RUNNING
        exit_status = self._become(config, PASSIVE, UNPROMOTED)
        self._prefer(PREFER_UNPROMOTED)
        return exit_status

    def stop(self) -> int:
        """Become passive, whatever has happened before. Returns OCF's exit status."""
        try:
            exit_status = self._become(self._last_config(), PASSIVE, STOPPED)
        except settings.ConfigError:
            exit_status = SUCCESS  # it was never started here, and no job runs without a configuration
        if self.promotable:
            self._prefer(None)
        return exit_status

    def monitor(self) -> int:
        """Report what this node is, and change nothing: rcron-agent asks Pacemaker, and keeps the state fresh.

        A state that has been lost is not restored: that is for Pacemaker to decide.

        Returns:
            OCF's exit status.
        """
        config = settings.load(self._conf)
        word = self._noted()[0]
        active = _is_active(config)
        if ask.now(config, f"{self.name} monitor") and not self._is_probe:
            # Until the agent is certain, this is no reason to promote another one. Where Pacemaker was started anew, it
            # has promoted another one long since.
            active = active or (word in (STARTED, PROMOTED) and _age(config) < GRACE)
        if not self.promotable:
            return SUCCESS if active else NOT_RUNNING
        if not active and not word:
            return NOT_RUNNING
        self._prefer(PREFER_PROMOTED if active else PREFER_UNPROMOTED)
        return RUNNING_PROMOTED if active else SUCCESS

    def _last_config(self) -> Config:
        """Return the configuration, or what this node was started with if the file is broken.

        Once it is fixed, the state that the state file held then must not hold again.

        Raises:
            ConfigError: it is broken, and it is not known what this node was started with.
        """
        try:
            return settings.load(self._conf)
        except settings.ConfigError:
            path = self._noted()[1]
            if not path:
                raise
        config = Config(self._conf)
        config.state_file = path
        return config

    def _become(self, config: Config, new: str, word: str) -> int:
        """Write the state, and note what the cluster has made of this node.

        Returns:
            OCF's exit status. It is not success if another feeder has given a state meanwhile.

        Raises:
            OSError: the state cannot be written.
        """
        if new == ACTIVE:
            self._write_note(word, config)
        outcome = hook.apply(config, new, "pacemaker", f"{self.name} {word}", within=IN_TIME)
        if new == PASSIVE and word != STOPPED:
            try:
                self._write_note(word, config)
            except OSError:
                if not self._noted()[0]:
                    raise
                # There is no room. That it was promoted before says as well that it is started.
        if outcome == hook.ASKED:
            return SUCCESS  # the agent makes the node active when the cluster's status says what this action has done
        if _is_active(config) != (new == ACTIVE):
            return ERR_GENERIC
        if word == STOPPED:
            try:
                os.unlink(self._note)
            except FileNotFoundError:
                pass
        return SUCCESS

    def _write_note(self, word: str, config: Config) -> None:
        os.makedirs(os.path.dirname(self._note), mode=0o755, exist_ok=True)
        files.replace(self._note, f"{word} {config.state_file}\n")

    def _noted(self) -> "tuple[str, str]":
        """Return what the cluster last made of this node since its boot, and the state file; or two empty strings."""
        try:
            with open(self._note, encoding="utf-8", errors="surrogateescape") as stream:
                word, _blank, path = stream.read(settings.MAX_BYTES).rstrip("\n").partition(" ")
        except OSError:
            return "", ""
        return word, path

    def _prefer(self, score: "int | None") -> None:
        """Set this instance's promotion score in Pacemaker; None removes it.

        If that fails, the resource does not fail: the next monitor tries again.
        """
        words = ["crm_master"] if self._before_2_1 else ["crm_attribute", f"--promotion={self.name}"]
        program = shutil.which(words[0], path=os.environ.get("PATH", "/usr/bin") + ":/usr/sbin:/sbin")
        if program is None:
            return
        change = ["--delete"] if score is None else ["--update", str(score)]
        try:
            subprocess.run(
                [program, *words[1:], "--lifetime", "reboot", *change],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired):
            pass


def _is_active(config: Config) -> bool:
    """Return whether the state file says active and is fresh."""
    found = state.from_file(config)
    return found.source == state.FILE and found.state == ACTIVE


def _age(config: Config) -> float:
    """Return how long ago the state file was written, in seconds; infinity if it is not there."""
    try:
        return time.time() - os.lstat(config.state_file).st_mtime
    except OSError:
        return float("inf")
