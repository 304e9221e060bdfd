# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Install rcron on this host without Ansible, or remove it.

    python3 packaging/install.py present|check|absent [OPTION...]

It does what the role rcron.cluster.rcron does on a host, with the same code: plugins/module_utils/installation. It
needs nothing but Python 3.9, and leaves the folder that it is run from as it is.
"""

# Nothing that an older Python could not read stands above its refusal.
import argparse
import glob
import os
import re
import shlex
import sys
import types

if sys.version_info < (3, 9):  # noqa: UP036 - it is what tells others
    sys.exit(f"install.py: Python {sys.version.split()[0]} is too old: run this with Python 3.9 or newer")

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.dont_write_bytecode = True
# The collection's shared code has no parent packages here, nor would it be safe to look for some called `plugins`.
sys.modules["module_utils"] = types.ModuleType("module_utils")
sys.modules["module_utils"].__path__ = [os.path.join(TOP, "plugins", "module_utils")]
sys.path.insert(0, TOP)

from module_utils.installation import installer  # noqa: E402
from module_utils.installation.callers import callers, sentence  # noqa: E402
from module_utils.installation.errors import InstallError, RefusedError  # noqa: E402
from module_utils.installation.package import Wanted, package_below  # noqa: E402
from module_utils.installation.places import Places  # noqa: E402
from module_utils.installation.plan import Plan, absent, present  # noqa: E402
from module_utils.installation.steps import Step  # noqa: E402
from module_utils.installation.trust import exposure  # noqa: E402
from module_utils.node.time_limit import TimeLimitError, within  # noqa: E402

from rcron import settings  # noqa: E402
from rcron.agent import clusters  # noqa: E402

#: A package has this file beside this one. Its maintainer scripts run this one, and remove the configuration at purge.
PACKAGED = os.path.exists(os.path.join(TOP, "packaging", "packaged"))
INSTALLER = installer.PACKAGE if PACKAGED else installer.SCRIPT

#: Exit statuses. argparse ends with FAILED, too.
DONE, DIFFERS, FAILED = 0, 1, 2

#: What a host without an rcron.conf gets: nothing runs there until somebody says so.
FIRST_CONF = """\
# Written by packaging/install.py. See rcron.conf(5), and check changes with: rcronctl check
cluster_name = default_cluster
default_state = passive
"""

#: What an administrator calls the options of the code that installs.
CALLED = {
    "lib_dir": "lib_dir (--prefix)",
    "bin_dir": "bin_dir (--prefix)",
    "man_dir": "man_dir (--prefix)",
    "conf": "--conf",
    "python": "--python",
    "state_user": "--state-user",
    "agent_unit": "the unit of rcron-agent",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="install.py",
        description="Install rcron on this host without Ansible, or remove it.",
        epilog="Exit status: 0 if the host is as requested, 1 if check finds that it is not, 2 if it cannot be.",
        allow_abbrev=False,
    )
    made.add_argument(
        "state",
        choices=("present", "check", "absent"),
        help="present: install or upgrade; check: say what present would do, and change nothing; absent: remove",
    )
    made.add_argument("--config", metavar="FILE", help="the text for rcron.conf (default: what is there)")
    made.add_argument("--conf", metavar="FILE", default=Places.conf, help="the rcron.conf (default: %(default)s)")
    made.add_argument("--prefix", metavar="DIR", help="install below DIR: bin, lib/rcron, share/man (default: /usr)")
    made.add_argument("--python", metavar="FILE", help="the Python that runs rcron (default: /usr/bin/python3)")
    made.add_argument("--state-user", metavar="NAME", help="the user who may set the state (default: root)")
    made.add_argument(
        "--destdir",
        metavar="DIR",
        default=os.environ.get("DESTDIR", ""),
        help="the host's files are below DIR, a package or an image (default: $DESTDIR)",
    )
    made.add_argument("--take-over", action="store_true", help="even if Ansible's role has installed rcron here")
    return made


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: The words behind its name.

    Returns:
        The exit status.
    """
    options = parser().parse_args(argv)
    try:
        check_words(options)
        with within("looking at what is installed"):
            places, plan = planned(options)
        if options.state != "check":
            plan.apply()
    except RefusedError as error:
        refused = [f"{CALLED.get(each.option, each.option)} {each.message}".lstrip() for each in error.refusals]
        return complain(refused)
    except (InstallError, TimeLimitError, settings.ConfigError) as error:
        return complain([str(error)])
    for step in plan.steps:
        print(said_of(step, tried=options.state == "check"))
    if not plan.steps:
        print(f"nothing to change: rcron is {'not installed' if options.state == 'absent' else 'installed'}")
    elif options.state == "check":
        return DIFFERS
    elif options.state == "present" and not options.destdir:
        print(f"next: {places.bin_dir}/rcronctl status; and connect a feeder, see docs/install.md")
    return DONE


def check_words(options: argparse.Namespace) -> None:
    """Refuse what would become another word, or another line, in the files that are written.

    Raises:
        InstallError: An option is not a path.
    """
    for name in ("conf", "prefix", "python", "destdir"):
        value = getattr(options, name)
        if value and not (value.startswith("/") and value.isprintable() and " " not in value):
            raise InstallError(f"--{name} is {value!r}, which is not an absolute path without blanks: name another")
    options.destdir = "" if options.destdir == "/" else options.destdir.rstrip("/")


def planned(options: argparse.Namespace) -> tuple[Places, Plan]:
    """Turn the command line into the steps that it requires. Nothing is changed.

    Returns:
        Where rcron is on the host, and the steps.

    Raises:
        InstallError: The host or an option rules them out.
    """
    if os.geteuid() != 0 and not options.destdir:
        raise InstallError("only root may do this: run it with sudo, or name a folder with --destdir")
    top = options.destdir
    if top and not os.path.isdir(top):
        raise InstallError(f"--destdir is {top}, and there is no such folder: create it, or name another")
    exposed = exposure(top, "what root writes there, or lead that elsewhere") if top and os.geteuid() == 0 else None
    if exposed:
        raise InstallError(f"--destdir is {top}, but {exposed}; or run this as the owner of that folder")
    record = installer.recorded(Places(tmpfiles_dir=top + Places.tmpfiles_dir, conf=top + options.conf, destdir=top))
    kept = take_kept(options, record)
    text = conf_text(options)
    places = Places(
        lib_dir=f"{top}{kept['prefix']}/lib/rcron",
        bin_dir=f"{top}{kept['prefix']}/bin",
        man_dir=f"{top}{kept['prefix']}/share/man",
        conf=top + options.conf,
        state_file=top + state_file(text, options),
        tmpfiles_dir=top + Places.tmpfiles_dir,
        destdir=top,
    )
    if options.state == "absent":
        return places, removal(places, options.take_over)
    by = INSTALLER + installer.as_words(kept)
    files = package_below(TOP, kept["python"])
    if PACKAGED:  # rcron-agent is a package of its own, which has the unit
        return places, present(places, Wanted(files, text, kept["state_user"], by, options.take_over))
    unit = agent_unit(f"{kept['prefix']}/bin/rcron-agent", f"{kept['prefix']}/lib/rcron/{files.name}/bin/rcron-agent")
    return places, present(places, Wanted(files, text, kept["state_user"], by, options.take_over, unit))


def removal(places: Places, takes_over: bool) -> Plan:
    """Plan a removal, unless another installer looks after rcron, or the agent or a crontab entry needs it.

    Raises:
        InstallError: One of them.
    """
    refusals = installer.refusals(places, INSTALLER, takes_over)
    if refusals:
        raise RefusedError(refusals)
    for path in sorted(glob.glob(glob.escape(places.agent_clusters) + "/*.conf")):
        lines = clusters.assignments(clusters.read(path), path)
        if lines.get("conf", (0, ""))[1] == places.on_host(places.conf):
            raise InstallError(f"{path} has rcron-agent serve this cluster: disconnect the feeder, then remove {path}")
    plan = absent(places)
    if PACKAGED:
        plan.steps = [step for step in plan.steps if step.path not in (places.conf, os.path.dirname(places.conf))]
    found = [] if places.destdir else callers(places, plan.steps, released=False)
    if found:
        raise InstallError(sentence(found))
    return plan


def take_kept(options: argparse.Namespace, record: dict[str, str]) -> dict[str, str]:
    """Return the options that an installation keeps: as given now, or else as they were given before.

    The clusters of a host share the wrapper, and so all but the state's owner.

    Raises:
        InstallError: rcron is installed below another prefix.
    """
    own = kept_words(record.get(options.conf, ""))
    others = [kept_words(said) for conf, said in record.items() if conf != options.conf]
    shared = next((kept for kept in [own, *others] if kept), {})
    before = {**{name: shared[name] for name in ("prefix", "python") if name in shared}, **own}
    given = {name: getattr(options, name) for name in installer.KEPT if getattr(options, name)}
    if "prefix" in given:
        given["prefix"] = given["prefix"].rstrip("/")
    kept = {**installer.KEPT, **before, **given}
    if shared and kept["prefix"] != shared["prefix"]:
        raise InstallError(
            f"--prefix is {kept['prefix']}, and rcron is installed below {shared['prefix']}: leave --prefix out, or "
            f"remove that one first (install.py absent)"
        )
    return kept


def kept_words(said: str) -> dict[str, str]:
    """Return the kept options out of an installer's line; of another installer's, none."""
    words = installer.given(said)
    if words is None:
        return {}
    found = dict(word[2:].partition("=")[::2] for word in shlex.split(words))
    return {option: found.get(option.replace("_", "-"), default) for option, default in installer.KEPT.items()}


def conf_text(options: argparse.Namespace) -> str:
    """Return what is to stand in rcron.conf.

    Raises:
        InstallError: The file with it cannot be read.
    """
    path = options.config or options.destdir + options.conf
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read(settings.MAX_BYTES + 1)
    except FileNotFoundError:
        if not options.config:
            return FIRST_CONF
        raise InstallError(f"--config is {path}, and there is no such file: name another") from None
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}: make it a file that can be read") from None


def state_file(text: str, options: argparse.Namespace) -> str:
    """Return the state file that a configuration names.

    Raises:
        settings.ConfigError: It is not one.
    """
    conf = options.config or options.conf
    if len(text) > settings.MAX_BYTES:
        raise settings.ConfigError(f"{conf}: larger than {settings.MAX_BYTES} bytes; shorten it")
    return str(settings.parse(text, conf).state_file)


def agent_unit(program: str, runs: str) -> str:
    """Return the unit of rcron-agent: it is the template of the feeders' roles, filled in.

    Args:
        program: The command.
        runs: What the command is a link to. The unit differs with each version, so that each upgrade restarts it.
    """
    with open(os.path.join(TOP, "roles/_feeder/templates/rcron-agent.service.j2"), encoding="utf-8") as file:
        template = re.sub(r"\{#.*?#\}\n", "", file.read())
    values = {
        "__feeder_agent_mark": installer.UNIT_MARK,
        "__feeder_agent_link.stat.lnk_target | default(__feeder_agent_program)": runs,
        "__feeder_agent_program": program,
    }
    return re.sub(r"\{\{ (.*?) \}\}", lambda found: values[found[1]], template)


def said_of(step: Step, tried: bool) -> str:
    """Return a step's line."""
    verb = "remove" if not step.after else "change" if step.before else "create"
    return f"would {verb} {step.path}" if tried else f"{re.sub('e$', '', verb)}ed {step.path}"


def complain(lines: list[str]) -> int:
    """Print why nothing was done, or not all of it. Returns the exit status."""
    for line in lines:
        print(f"install.py: {line}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
