# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The wrapper on a host: what is there, what is to be there, and the steps from the one to the other.

Nothing here knows Ansible. `present` and `absent` look and say which steps are needed; only a step's `do` writes. The
order of the steps is the promise: a job that starts between any two of them finds a wrapper that is whole, with a
configuration that this wrapper takes.
"""

from __future__ import annotations

import ast
import contextlib
import grp
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

#: The name of a version's folder: the version and a digest of all that is in it.
LIBRARY = re.compile(r"[^/]+-[0-9a-f]{8}\Z")

#: What a link points to when it is ours: LIB/VERSION-DIGEST/bin/NAME or …/man/NAME.
OURS = re.compile(r"/[^/]+-[0-9a-f]{8}/(bin|man)/rcron[^/]*\Z")

#: Folders that belong to the system: a state file there would make them ours to set the mode of, and to remove.
SHARED = frozenset(
    """/ /dev/shm /etc /etc/tmpfiles.d /home /opt /root /run /srv /tmp /usr /usr/bin /usr/lib /usr/local /usr/local/bin
    /usr/local/lib /usr/sbin /var /var/lib /var/run /var/tmp""".split()  # noqa: SIM905 - one word after the other is read best
)

#: How many seconds after its start a process has surely read all that it ever needs of a version's folder.
LOADED = 5.0

#: Run by the interpreter that will run the wrapper, with the package's folder and the name of the configuration whose
#: text comes on standard input. Prints the interpreter's tag on the first line, and after it
#: the error of the package's own parser, if there is one.
PROBE = """\
import sys
if sys.version_info < (3, 9):
    sys.exit("Python %d.%d" % sys.version_info[:2])
folder, conf = sys.argv[1:]
print(sys.implementation.cache_tag)
sys.path.insert(0, folder)
from rcron import settings
try:
    settings.parse(sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), conf)
except settings.ConfigError as error:
    sys.stdout.flush()
    sys.stdout.buffer.write(str(error).encode("utf-8", "backslashreplace"))
"""


class InstallError(Exception):
    """The wrapper cannot be installed or removed; the message names the place, the reason and the fix."""


@dataclass
class Refusal:
    """A reason not to install the wrapper on this host.

    Attributes:
        option: The option concerned, without any prefix; empty if the reason is not an option's.
        message: The rest of the sentence that the option's name begins: what is wrong, and how to fix it.
    """

    option: str
    message: str

    def __str__(self) -> str:
        return f"{self.option} {self.message}".lstrip()


class RefusedError(InstallError):
    """The wrapper may not be installed as asked. `refusals` has all the reasons."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__("; ".join(map(str, refusals)))
        self.refusals = refusals


@dataclass
class Places:
    """Where things are on the host."""

    lib_dir: str
    bin_dir: str
    man_dir: str
    conf: str
    state_file: str
    tmpfiles_dir: str

    @property
    def state_path(self) -> str:
        """The state file without /var/run, which is a link to /run that systemd-tmpfiles complains about."""
        return re.sub(r"\A/var/run/", "/run/", self.state_file)

    @property
    def pin_path(self) -> str:
        """Where a pin is kept (rcron/state.py, pin_path): a reboot empties /run."""
        return re.sub(r"\A/run/", "/var/lib/", self.state_path) + ".pin"

    @property
    def tmpfiles(self) -> str:
        """What systemd-tmpfiles reads at boot for this cluster."""
        name = os.path.splitext(os.path.basename(self.conf))[0]
        own = "rcron" if self.conf == "/etc/rcron/rcron.conf" else f"rcron-{name}"
        return os.path.join(self.tmpfiles_dir, f"{own}.conf")

    @property
    def man_folders(self) -> list[str]:
        return [os.path.join(self.man_dir, section) for section in ("man5", "man8")]

    @property
    def links(self) -> dict[str, str]:
        """What leads into a version's folder, and to which file in it; the launchers last."""
        pages = ["rcron.conf.5", "rcron.8", "rcronctl.8"]
        links = {os.path.join(self.man_dir, f"man{page[-1]}", page): f"man/{page}" for page in pages}
        links.update({os.path.join(self.bin_dir, name): f"bin/{name}" for name in ("rcronctl", "rcron")})
        return links

    def foreign(self) -> list[str]:
        """Name what stands in a link's place and was not put there by us."""
        return [path for path in self.links if os.path.lexists(path) and not is_ours(path)]

    def in_use(self) -> str | None:
        """Return the version's folder that the host's `rcron` runs from; None where there is none."""
        launcher = os.path.join(self.bin_dir, "rcron")
        return os.path.dirname(os.path.dirname(os.readlink(launcher))) if is_ours(launcher) else None


@dataclass
class Package:
    """What a version's folder holds: the files of one version of the wrapper, for one interpreter."""

    files: dict[str, str]  # path below the folder -> text
    python: str

    def launchers(self, library: str) -> dict[str, str]:
        """Return the programs that `bin_dir` links to: path below the folder -> text.

        :param library: the folder.
        :raises InstallError: the package has none.
        """
        constants = string_constants(self.files.get("rcron/launcher.py", ""))
        try:
            return {
                path: constants[name].format(python=self.python, library=library)
                for path, name in (("bin/rcron", "LAUNCHER"), ("bin/rcronctl", "CTL_LAUNCHER"))
            }
        except KeyError:
            raise InstallError("the package has no rcron/launcher.py that holds its launchers") from None

    @property
    def name(self) -> str:
        """Name the folder after all that decides what is in it, so that it never changes."""
        version = re.search(r'^__version__ = "([^"/]+)"', self.files.get("rcron/__init__.py", ""), re.MULTILINE)
        if not version:
            raise InstallError("the package has no rcron/__init__.py that tells its __version__")
        digest = hashlib.sha256(json.dumps([self.files, self.launchers("")], sort_keys=True).encode()).hexdigest()
        return f"{version.group(1)}-{digest[:8]}"


def string_constants(source: str) -> dict[str, str]:
    """Return the strings that a module's source assigns at its top level, by name."""
    return {
        target.id: statement.value.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, str)
    }


@dataclass
class Step:
    """One change, and how it looks in a diff."""

    path: str
    before: str
    after: str

    def do(self) -> bool | None:
        """Take the step. Returns False where that was not called for any more."""
        raise NotImplementedError


@dataclass
class MakeLibrary(Step):
    """A version's folder comes into being, whole."""

    package: Package

    def do(self) -> None:
        files = {path: (text, 0o644) for path, text in self.package.files.items()}
        files.update({path: (text, 0o755) for path, text in self.package.launchers(self.path).items()})
        parent = os.path.dirname(self.path)
        os.makedirs(parent, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=".staging-", dir=parent)
        try:
            for path, (text, mode) in files.items():
                full = os.path.join(staging, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
                    os.fchmod(file.fileno(), mode)
                    file.flush()
                    os.fsync(file.fileno())
            compile_bytecode(self.package.python, staging, self.path)
            os.chmod(staging, 0o755)  # noqa: S103 - every user's jobs read it
            os.rename(staging, self.path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise


@dataclass
class CompileLibrary(Step):
    """A version's folder that is there gets bytecode for another Python."""

    package: Package
    library: str

    def do(self) -> None:
        compile_bytecode(self.package.python, self.library, self.library)


@dataclass
class MakeFolder(Step):
    mode: int
    owner: tuple[int, int] | None  # None: whoever owns it

    def do(self) -> None:
        os.makedirs(self.path, exist_ok=True)
        os.chmod(self.path, self.mode)
        if self.owner is not None:
            os.chown(self.path, *self.owner)


@dataclass
class WriteFile(Step):
    text: str

    def do(self) -> None:
        target = os.path.realpath(self.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".rcron-", dir=os.path.dirname(target))
        try:
            with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(self.text)
                os.fchmod(handle, 0o644)
                os.fchown(handle, *owner_of_all())
                file.flush()
                os.fsync(handle)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise


@dataclass
class MakeLink(Step):
    target: str

    def do(self) -> None:
        folder, name = os.path.split(self.path)
        draft = os.path.join(folder, f".{name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        os.symlink(self.target, draft)
        try:
            os.replace(draft, self.path)
        except BaseException:
            os.unlink(draft)
            raise


@dataclass
class Remove(Step):
    """A file, a link, or a version's folder goes."""

    def do(self) -> None:
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            # At once, and not file by file.
            gone = tempfile.mkdtemp(prefix=".staging-", dir=os.path.dirname(self.path))
            os.rename(self.path, os.path.join(gone, "library"))
            shutil.rmtree(gone)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


@dataclass
class RemoveUnused(Remove):
    """A version's folder goes that no process needs any more."""

    def do(self) -> bool | None:
        # None starts to need it now: the links lead elsewhere.
        return False if users_of(self.path) else super().do()


@dataclass
class RemoveLauncher(Remove):
    """A launcher goes, and whatever has been started by it is given the time to read what it needs."""

    libraries: list[str]

    def do(self) -> None:
        super().do()
        deadline = time.monotonic() + LOADED
        while any(age_of(pid) < LOADED for library in self.libraries for pid in users_of(library)):
            if time.monotonic() >= deadline:
                return
            time.sleep(0.1)


@dataclass
class RemoveFolder(Step):
    """A folder goes that holds nothing any more."""

    def do(self) -> None:
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


@dataclass
class Wanted:
    """What is to be on the host."""

    package: Package
    conf_content: str
    state_user: str = "root"


@dataclass
class Plan:
    """The steps that are needed, and which version's folder the host then runs from."""

    library: str | None
    steps: list[Step] = field(default_factory=list)

    def apply(self) -> None:
        """Take the steps. `steps` are those that were taken, afterwards.

        :raises InstallError: one of them is not possible; those before it stand.
        """
        mask = os.umask(0o022)
        steps, self.steps = self.steps, []
        try:
            for step in steps:
                try:
                    if step.do() is not False:
                        self.steps.append(step)
                except OSError as error:
                    raise InstallError(
                        f"{error.filename or step.path} cannot be brought about: {error.strerror or error}. "
                        f"Mend that, and run the task again: what is done already stays"
                    ) from error
        finally:
            os.umask(mask)


def present(places: Places, wanted: Wanted) -> Plan:
    """Plan the steps that install the wrapper for one cluster, in their order. Writes nothing.

    Raises:
        RefusedError: The host or an option rules the installation out.
        InstallError: The package is incomplete.
    """
    cache_tag, refusals = examine(places, wanted)
    if refusals:
        raise RefusedError(refusals)
    owner = (pwd.getpwnam(wanted.state_user).pw_uid, owner_of_all()[1])
    library = os.path.join(places.lib_dir, wanted.package.name)
    links = [link(path, f"{library}/{to}") for path, to in places.links.items()]
    launchers, pages = links[-2:], links[:-2]
    conf = file(places.conf, wanted.conf_content)
    steps = [
        *make_library(wanted.package, library, cache_tag),
        folder(os.path.dirname(places.conf), 0o755, owner_of_all()),
        file(places.tmpfiles, tmpfiles_text(places, wanted.state_user)),
        folder(os.path.dirname(places.state_path), 0o755, owner),
        *(folder(path) for path in [*places.man_folders, places.bin_dir]),
        *pages,
        *([*launchers, conf] if launchers_first(places, conf, library) else [conf, *launchers]),
        *(
            RemoveUnused(path, f"{path}/\n", "")
            for path in entries(places.lib_dir)
            if LIBRARY.search(path) and path != library and not users_of(path)
        ),
    ]
    return Plan(library, [step for step in steps if step is not None])


def examine(places: Places, wanted: Wanted) -> tuple[str, list[Refusal]]:
    """Find all reasons not to install the wrapper as asked. Writes nothing outside a temporary folder.

    Returns:
        The name that the interpreter gives its bytecode files, and the reasons.

    Raises:
        InstallError: The package is incomplete.
    """
    relative = [
        Refusal(option, f"is {path}, which is not an absolute path: begin it with /")
        for option, path in vars(places).items()
        if not path.startswith("/")
    ]
    cache_tag, refusals = try_package(places, wanted)
    if relative:
        return cache_tag, refusals + relative
    if os.path.dirname(places.state_path) in SHARED:
        refusals.append(
            Refusal(
                "state_file",
                f"is {places.state_file}, in a folder that is not rcron's own: put it into a folder of its own, "
                f"such as /var/run/rcron/state",
            )
        )
    try:
        pwd.getpwnam(wanted.state_user)
    except KeyError:
        refusals.append(
            Refusal(
                "state_user",
                f"is {wanted.state_user}, and there is no such user: create it first (perhaps its package is not "
                f"installed yet), or correct the name",
            )
        )
    for option in ("bin_dir", "man_dir"):
        chosen = getattr(places, option)
        foreign = [path for path in places.foreign() if path.startswith(chosen.rstrip("/") + "/")]
        if foreign:
            refusals.append(
                Refusal(
                    option,
                    f"is {chosen}, but {' and '.join(foreign)} is there already, and not from this module "
                    f"(perhaps from the C rcron): remove it (dpkg -S or rpm -qf names its package), or name another "
                    f"folder",
                )
            )
    exposures = exposures_of(places).items()
    refusals += [Refusal(option, f"is {getattr(places, option)}, but {why}") for option, why in exposures]
    return cache_tag, refusals


def try_package(places: Places, wanted: Wanted) -> tuple[str, list[Refusal]]:
    """Have the interpreter that will run the wrapper load its settings and parse the configuration.

    Returns:
        The name that the interpreter gives its bytecode files, empty if it cannot run the wrapper; and what is wrong.

    Raises:
        InstallError: The package has no module of settings.
    """
    package = wanted.package
    if "rcron/settings.py" not in package.files:
        raise InstallError("the package has no rcron/settings.py that could read a configuration")
    with tempfile.TemporaryDirectory(prefix="rcron-") as private:
        for path, text in package.files.items():
            if path.endswith(".py"):
                full = os.path.join(private, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as source:
                    source.write(text)
        argv = [package.python, "-I", "-S", "-B", "-c", PROBE, private, places.conf]
        try:
            done = run(argv, wanted.conf_content)
        except OSError as error:
            done = subprocess.CompletedProcess(argv, 127, "", error.strerror or str(error))
    tag, _newline, said = done.stdout.partition("\n")
    if not re.fullmatch(r"\w+-\d+", tag):
        why = done.stderr.strip() or "it prints nothing"
        return "", [
            Refusal(
                "python",
                f"is {package.python}, which cannot run the wrapper ({why}): install Python 3.9 or newer there, or "
                f"name another interpreter",
            )
        ]
    if done.returncode:
        raise InstallError(f"the package's rcron/settings.py cannot be loaded: {done.stderr.strip()}")
    return tag, [Refusal("conf_content", f"is what the wrapper would refuse: {said}")] if said else []


def exposed_by(places: Places) -> list[str]:
    """Say where somebody else than root could replace what root's jobs run, or what they go by."""
    return [f"{option}: {sentence}" for option, sentence in exposures_of(places).items()]


def exposures_of(places: Places) -> dict[str, str]:
    """Find where a user other than root could replace what root's jobs run or read.

    Returns:
        For each option concerned, who could replace what, and how to prevent it.
    """
    libraries = [path for path in entries(places.lib_dir) if LIBRARY.search(path)]
    chosen = {
        "lib_dir": [
            places.lib_dir,
            *(
                os.path.join(at, name)
                for path in libraries
                for at, _folders, names in os.walk(path)
                for name in ["", *names]
            ),
        ],
        "bin_dir": [places.bin_dir],
        "man_dir": [places.man_dir],
        "conf": [os.path.dirname(places.conf)],
        "tmpfiles_dir": [places.tmpfiles_dir],
        # The folder itself may be state_user's, and what is above it not.
        "state_file": [os.path.dirname(os.path.dirname(places.state_path))],
    }
    found = {option: next(filter(None, map(exposed, paths)), None) for option, paths in chosen.items()}
    return {option: sentence for option, sentence in found.items() if sentence}


def exposed(path: str) -> str | None:
    """Say who else than root (and whoever runs this) could replace what is at a path, and the mend.

    Of a path that a link is part of, both the link's folders and those that it leads to count. What is not there yet
    will be made by us.
    """
    for start in (path, os.path.realpath(path)):
        for place in above(start):
            try:
                status = os.stat(place)
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
                continue  # that it stands in the way is told elsewhere
            if status.st_uid not in (0, os.geteuid()):
                return (
                    f"{place} belongs to {name_of(status.st_uid)}, who could replace what root runs: "
                    f"chown root {place}, or name another place"
                )
            # In a sticky folder (/tmp) nobody can replace another's file.
            loose = status.st_mode & 0o022 if not status.st_mode & stat.S_ISVTX else 0
            if loose & 0o020 and is_trusted(status.st_gid):
                loose &= ~0o020
            if loose:
                who = "everyone" if loose & 0o002 else f"the group {group_of(status.st_gid)}"
                mend = "chmod o-w" if loose & 0o002 else "chmod g-w"
                return f"{who} may write {place}, and so replace what root runs: {mend} {place}, or name another place"
    return None


def above(path: str) -> list[str]:
    """Name a path and every folder above it, the nearest first."""
    places = [path]
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        places.append(path)
    return places


def is_trusted(gid: int) -> bool:
    """Say whether a group may write where root's programs are: root's, ours, or staff, Debian's for /usr/local."""
    return gid in (0, os.getegid()) or group_of(gid) == "staff"


def group_of(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def launchers_first(places: Places, conf: Step | None, library: str) -> bool:
    """Decide which of a new configuration and a new version a job may meet without the other.

    The configuration first, unless it says what the version in use does not know.
    """
    old = places.in_use()
    if conf is None or old is None or old == library:
        return False
    with tempfile.TemporaryDirectory(prefix="rcron-") as private:
        draft = os.path.join(private, "rcron.conf")
        with open(draft, "w", encoding="utf-8", errors="surrogateescape", newline="") as text:
            text.write(conf.after)
        try:
            # Its own program, because the names of its modules are its own business.
            return run([os.path.join(old, "bin", "rcronctl"), "check", draft]).returncode != 0
        except OSError:
            return True  # the version in use cannot run at all


def absent(places: Places) -> Plan:
    """Say which steps take the wrapper away from one cluster, and from the host with the last of them."""
    ours = re.compile(
        "|".join(re.escape(path) for path in (places.conf, places.tmpfiles))
        # A feeder's memory and its lock are beside the state, and what a writer left there that was killed.
        + rf"|({re.escape(places.state_path)}|{re.escape(places.pin_path)})"
        + r"(\.feeder|\.lock|(\.feeder)?\.[0-9]+\.[0-9a-f]{8})?"
    )
    own = list(dict.fromkeys(os.path.dirname(path) for path in (places.conf, places.state_path, places.pin_path)))
    borrowed: list[str] = []
    steps: list[Step] = []
    library = places.in_use()
    others = [
        path
        for path in entries(places.tmpfiles_dir)
        if re.search(r"/rcron(-[^/]*)?\.conf\Z", path) and path != places.tmpfiles
    ]
    # Another cluster of this host has a tmpfiles file of its own, and needs the wrapper still.
    if not others:
        library = None
        # The launchers first, so that no job finds one without its configuration or its version's folder.
        libraries = [path for path in entries(places.lib_dir) if LIBRARY.search(path)]
        for path in reversed(list(places.links)):
            if is_ours(path):
                text = f"{path} -> {os.readlink(path)}\n"
                is_launcher = path in (f"{places.bin_dir}/rcron", f"{places.bin_dir}/rcronctl")
                steps.append(RemoveLauncher(path, text, "", libraries) if is_launcher else Remove(path, text, ""))
        unfinished = [path for path in entries(places.lib_dir) if os.path.basename(path).startswith(".staging-")]
        steps += [Remove(path, f"{path}/\n", "") for path in libraries + unfinished]
        own.append(places.lib_dir)
        borrowed = [*places.man_folders, places.bin_dir]
    steps += [
        Remove(path, f"{path}\n", "")
        for path in dict.fromkeys([places.conf, places.tmpfiles, *(path for parent in own for path in entries(parent))])
        if ours.fullmatch(path) and os.path.lexists(path)
    ]
    gone = {step.path for step in steps}
    emptied = {os.path.dirname(path) for path in gone}
    steps += [
        RemoveFolder(path, f"{path}/\n", "")
        for path in own + [path for path in borrowed if path in emptied]
        if path not in SHARED and os.path.isdir(path) and set(entries(path)) <= gone
    ]
    return Plan(library, steps)


def make_library(package: Package, library: str, cache_tag: str) -> list[Step]:
    """Say what is missing of a version's folder. One that exists is complete, because it came by rename."""
    if not os.path.isdir(library):
        return [MakeLibrary(library, "", f"{library}/\n", package)]
    mark = compiled_mark(library, cache_tag)
    if not os.path.exists(mark):
        return [CompileLibrary(mark, "", f"{mark}\n", package, library)]
    return []


def compile_bytecode(python: str, folder: str, library: str) -> None:
    """Compile the package in a folder that is to be called `library`."""
    done = run([python, "-I", os.path.join(folder, "rcron", "bytecode.py"), folder, library])
    if done.returncode:
        raise InstallError(f"{python} cannot compile the wrapper's package: {done.stderr.strip()}")


def compiled_mark(library: str, cache_tag: str) -> str:
    """Return the path of the file that tells that all modules are compiled for an interpreter.

    Not a module's bytecode: after an upgrade of Python, root's jobs write that of the modules which they load.
    """
    return os.path.join(library, "rcron", "__pycache__", f"compiled.{cache_tag}")


def users_of(library: str) -> list[int]:
    """Return the processes that need a version's folder: those of launchers which lie in it.

    Their command lines name it (rcron/launcher.py), in front of whatever the job's words are.
    """
    folder = os.fsencode(library)
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as line:
                    words = line.read().split(b"\0")
            except OSError:
                continue  # it has just ended
            if any(word.endswith(b"=" + folder) or word.startswith(folder + b"/") for word in words):
                pids.append(int(name))
    return pids


def age_of(pid: int) -> float:
    """Return for how many seconds a process has been there; as if it were old, where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as line, open("/proc/uptime", "rb") as uptime:
            started = int(line.read().rpartition(b")")[2].split()[19])
            return float(uptime.read().split()[0]) - started / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("inf")


def run(argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with a text on its standard input."""
    # Not run_command: nothing here knows the module.
    done = subprocess.run(  # pylint: disable=unknown-option-value,ansible-bad-function
        argv, check=False, capture_output=True, input=text.encode("utf-8", "surrogateescape")
    )
    said, complaint = (output.decode("utf-8", "replace") for output in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(argv, done.returncode, said, complaint)


def tmpfiles_text(places: Places, user: str) -> str:
    return f"""\
# Written by Ansible, role rcron.cluster.rcron, for {places.conf}.
# A node comes up passive, and stays so until its feeder or its operator says otherwise: cron starts before they do.
# The second line is for boot alone (!), so that systemd-tmpfiles --create leaves a running node's state as it is.
d {os.path.dirname(places.state_path)} 0755 {user} root -
f+! {places.state_path} 0644 {user} root - passive\\n
"""


def folder(path: str, mode: int | None = None, owner: tuple[int, int] | None = None) -> Step | None:
    """Say what a folder needs.

    :param mode: None: everybody may read it, and whatever else it allows stays.
    """
    try:
        is_now = os.stat(path)
    except FileNotFoundError:
        mode = mode or 0o755
        return MakeFolder(path, "", folder_line(path, mode, owner or owner_of_all()), mode, owner)
    if not stat.S_ISDIR(is_now.st_mode):
        raise InstallError(f"{path} is no folder: remove it, or name another place")
    now_mode = stat.S_IMODE(is_now.st_mode)
    now_owner = (is_now.st_uid, is_now.st_gid)
    mode = now_mode | 0o555 if mode is None else mode
    if now_mode == mode and owner in (None, now_owner):
        return None
    before = folder_line(path, now_mode, now_owner)
    return MakeFolder(path, before, folder_line(path, mode, owner or now_owner), mode, owner)


def folder_line(path: str, mode: int, owner: tuple[int, int]) -> str:
    return f"{path}/ {mode:04o} {owner[0]}:{owner[1]}\n"


def file(path: str, text: str) -> Step | None:
    """Say whether a file has to be written so that it holds a text, belongs to root, and everybody may read it."""
    if not os.path.exists(path):
        return WriteFile(path, "", text, text)
    is_now = os.stat(path)
    if not stat.S_ISREG(is_now.st_mode):
        raise InstallError(f"{path} is no file: remove it, or name another place")
    before = text_of(path)
    if before == text and stat.S_IMODE(is_now.st_mode) == 0o644 and (is_now.st_uid, is_now.st_gid) == owner_of_all():
        return None
    return WriteFile(path, before, text, text)


def link(path: str, target: str) -> Step | None:
    before = f"{path} -> {os.readlink(path)}\n" if os.path.islink(path) else ""
    after = f"{path} -> {target}\n"
    return None if before == after else MakeLink(path, before, after, target)


def text_of(path: str) -> str:
    """Return what a file holds; of a link, what it leads to."""
    if os.path.islink(path):
        return f"{path} -> {os.readlink(path)}\n"
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as there:
        return there.read()


def entries(path: str) -> list[str]:
    """Return the paths of all that a folder holds; of nothing, where there is no such folder."""
    try:
        return sorted(os.path.join(path, name) for name in os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_ours(path: str) -> bool:
    """Say whether a path is a link that we have made."""
    return os.path.islink(path) and OURS.search(os.readlink(path)) is not None


def owner_of_all() -> tuple[int, int]:
    """Return whom all files belong to: root, who runs this."""
    return os.geteuid(), os.getegid()
