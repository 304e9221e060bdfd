# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Run one job as cron would have run it without the prefix, log it, and return its exit status.

Imported on active nodes only. `_signal` is the interpreter's own module behind `signal`, which would cost this path as
much as all of its other work, for enumerations that nothing here needs.
"""

import _signal
import posix
import sys
import time

from rcron import child, log
from rcron.settings import TERMINATE, Config

EX_NOT_EXECUTABLE = 126  # as in a POSIX shell: XCU 2.8.2
EX_NOT_FOUND = 127

SHELL = b"/bin/sh"

#: errno(3). The module of that name makes 130 constants, which takes as long as reading the state twice.
_ENOEXEC = 8

_ENCODING = sys.getfilesystemencoding()

#: What locale coercion (PEP 538) sets LC_CTYPE to.
_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")


def run(config: Config, words: "list[str]", shell: bool, field: str = "", mask: "set[int] | None" = None) -> int:
    """Run a job to its end.

    The job gets the argv, environment, standard streams, working directory, signal mask and signal dispositions that it
    would have had without rcron.

    Args:
        config: nice level, what to do on a demotion, and where to log.
        words: the job's argv; if `shell` is true, one string for the shell that cron uses ($SHELL, else /bin/sh).
        shell: whether a shell reads the words.
        field: what the log lines say about the state, after it.
        mask: the signal mask for the job; this process's unless given.

    Returns:
        The job's exit status; 128+N if signal N killed it, 127 if it was not found, 126 if it could not be executed.
    """
    command = log.command(words)
    argv = [word.encode(_ENCODING, "surrogateescape") for word in words]
    _hide(argv)
    if shell:
        argv = [_shell(), b"-c", _with_home(argv[0])]
    candidates = _candidates(argv[0])
    _undo_locale_coercion()
    _add_term(config)
    # bash gives each command its own path in $_. This one is rcron's, and the job must get its own (_become).
    underscore_set = posix.environ.get(b"_") == sys.argv[0].encode(_ENCODING, "surrogateescape")
    if underscore_set and shell:
        posix.unsetenv(b"_")

    # From here on these signals wait for sigwaitinfo below: none can fall between two steps, from before the job
    # exists until after its end.
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, child.WAITED_FOR)
    mask = blocked if mask is None else mask
    # With SIGCHLD ignored the kernel would throw the exit status away; the job gets SIGCHLD back as it was.
    sigchld = _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    log.event(config, f"state=active{field} status=start", command)
    # Python ignores these two at its start. What they were before cannot be found out; cron's jobs have the default.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)

    terminate = config.on_demotion == TERMINATE
    own_group = terminate and not has_terminal()
    timers = _take_timers()
    began = time.monotonic()
    try:
        pid = posix.fork()
    except OSError as error:
        log.event(config, f"state=active{field} status=fail dur=0 exit={EX_NOT_EXECUTABLE}", command)
        child.complain(f"{words[0]}: cannot fork: {error.strerror}")
        return EX_NOT_EXECUTABLE
    if pid == 0:
        try:
            ignored = sigchld == _signal.SIG_IGN
            set_underscore = underscore_set and not shell
            posix._exit(_become(argv, candidates, config.nice_level, mask, ignored, own_group, set_underscore, timers))
        finally:
            # Whatever goes wrong in the child, a second rcron must not go on.
            posix._exit(EX_NOT_EXECUTABLE)
    # Here no write ends this process: a log daemon that is restarted may close what the next line goes to.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    if terminate:
        from rcron import demotion

        exit_status = demotion.supervise(config, pid, own_group, command)
    else:
        exit_status = child.wait_for_end(config, pid)
    outcome = "fail" if exit_status else "ok"
    fields = f"state=active{field} status={outcome} dur={int(time.monotonic() - began)} exit={exit_status}"
    log.event(config, fields, command)
    return exit_status


def _hide(argv: "list[bytes]") -> None:
    """Take the job's words out of this process's command line, which /proc/PID/cmdline shows.

    A job that looks for itself there (`pgrep -f`), to find out whether it is running already, must not find rcron.
    `pkill -f` must not, either: rcron would forward to the job a signal that the job has had.

    Args:
        argv: the last words of the command line.
    """
    words = b"\0".join(argv) + b"\0"
    try:
        fd = posix.open("/proc/self/stat", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            end = int(posix.read(fd, 4096).rpartition(b")")[2].split()[46])  # arg_end: proc_pid_stat(5)
        finally:
            posix.close(fd)
        fd = posix.open("/proc/self/mem", posix.O_RDWR | posix.O_CLOEXEC)
        try:
            if posix.pread(fd, len(words), end - len(words)) == words:
                posix.pwrite(fd, bytes(len(words)), end - len(words))
        finally:
            posix.close(fd)
    except (OSError, IndexError, ValueError):
        pass  # no /proc, or none that lets us: the words stay


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal: then its job stays in its process group.

    Ctrl-C, Ctrl-Z and `fg` act on a process group, also for a job that was started with `&`.
    """
    try:
        posix.close(posix.open("/dev/tty", posix.O_RDONLY | posix.O_NOCTTY | posix.O_CLOEXEC))
    except OSError:
        return False  # cron's jobs have none
    return True


def _add_term(config: Config) -> None:
    """Have the job know the term of the lease by which this node is active, if there is one: see rcron-agent(8)."""
    try:
        fd = posix.open(config.agent_file("term"), posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except (OSError, ValueError):
        return
    try:
        name, _equals, term = posix.read(fd, 64).strip().partition(b"=")
    except OSError:
        return
    finally:
        posix.close(fd)
    if name == b"RCRON_TERM" and term.isdigit():
        posix.putenv(name, term)


def _take_timers() -> "list[tuple[int, float, float]]":
    """Stop the timers that this process was started with, such as alarm(2)'s, and return them for the job.

    They survive an exec, but not a fork.
    """
    found = []
    for which in (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF):
        left, interval = _signal.getitimer(which)
        if left:
            _signal.setitimer(which, 0)
            found.append((which, left, interval))
    return found


def _candidates(command: bytes) -> "list[bytes]":
    """Return the files that execvp(3) would try for a command, in its order."""
    if b"/" in command:
        return [command]
    path = posix.environ.get(b"PATH", b"/bin:/usr/bin")
    # An empty element is the working directory: XBD 8.3.
    return [(folder or b".") + b"/" + command for folder in path.split(b":")] if command else []


def _become(
    argv: "list[bytes]",
    candidates: "list[bytes]",
    nice_level: int,
    mask: "set[int]",
    sigchld_ignored: bool,
    own_group: bool,
    set_underscore: bool,
    timers: "list[tuple[int, float, float]]",
) -> int:
    """In the child: turn into the job, as execvp(3) does, with its /bin/sh for a script without `#!`.

    Each page of memory that is touched here must be copied first, so everything possible is prepared before the fork.
    execv leaves the environment alone: the job sees what this process was given, entry by entry.

    Args:
        argv: the job's.
        candidates: the files to try, in this order.
        nice_level: the job's.
        mask: the job's signal mask.
        sigchld_ignored: whether the job must have SIGCHLD ignored.
        own_group: whether the job gets a process group of its own.
        set_underscore: whether $_ must hold the path of what is executed.
        timers: the timers that the job must have, as _take_timers returns them.

    Returns:
        An exit status, only if nothing could be run; standard error then says why.
    """
    if sigchld_ignored:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    if own_group:
        posix.setpgid(0, 0)
    try:
        posix.setpriority(posix.PRIO_PROCESS, 0, nice_level)
    except OSError:
        # Only root may go below the level that it was started with: the job runs at that.
        pass
    for timer in timers:
        _signal.setitimer(*timer)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    refused: "OSError | None" = None
    for candidate in candidates:
        if set_underscore:
            posix.putenv(b"_", candidate)
        try:
            posix.execv(candidate, argv)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == _ENOEXEC and not _is_binary(candidate):
                return _execute_script(candidate, argv)
            refused = refused or error
    if refused is None and b"/" not in argv[0]:
        _execute_applet(argv)
    return _not_executed(argv[0], refused)


def _is_binary(path: bytes) -> bool:
    """Return whether a file is not a script, by the rule of dash and bash: a NUL byte in its first line."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False  # the shell will say so
    try:
        return b"\0" in posix.read(fd, 256).partition(b"\n")[0]
    except OSError:
        return False
    finally:
        posix.close(fd)


def _execute_applet(argv: "list[bytes]") -> None:
    """Leave a command without a file to the shell if that is busybox, which has commands of its own."""
    shell = _shell()
    try:
        if posix.readlink(shell).rpartition(b"/")[2] == b"busybox":
            posix.execv(shell, [shell, b"-c", b'"$0" "$@"', *argv])
    except OSError:
        pass  # not a link


def _not_executed(command: bytes, refused: "OSError | None") -> int:
    name = command.decode(_ENCODING, "surrogateescape")
    if refused is not None:
        child.complain(f"{name}: {refused.strerror}")
        return EX_NOT_EXECUTABLE
    if b"/" not in command:
        child.complain(f"{name}: not found in PATH={posix.environ.get(b'PATH', b'').decode('utf-8', 'replace')}")
    elif _exists(command):
        child.complain(f"{name}: not found: the interpreter that its first line names")
    else:
        child.complain(f"{name}: not found")
    return EX_NOT_FOUND


def _execute_script(path: bytes, argv: "list[bytes]") -> int:
    """Run a file in no known format as a script, as execvp(3) does: with sh, or with bash under bash."""
    shell = _shell()
    if shell.rpartition(b"/")[2] != b"bash":
        shell = SHELL
    try:
        posix.execv(shell, [shell, path, *argv[1:]])
    except OSError as error:
        return _not_executed(argv[0], error)
    return EX_NOT_EXECUTABLE


def _exists(path: bytes) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _shell() -> bytes:
    """Return the shell that cron would start for this job: crontab(5), SHELL."""
    return posix.environ.get(b"SHELL") or SHELL


def _with_home(string: bytes) -> bytes:
    """Return a shell command with the user's home for a `~` that it begins with, if no variable names the home.

    That is how systemd-cron 1 (Debian 12) starts root's jobs: it sets no HOME, and replaces such a `~` itself, but only
    where an entry's command begins. (Tried with 1.15.19-5; with 2.5.1, HOME is set.)
    """
    if not string.startswith(b"~/") or b"HOME" in posix.environ:
        return string
    import pwd

    try:
        home = pwd.getpwuid(posix.getuid()).pw_dir.encode(_ENCODING, "surrogateescape")
    except KeyError:
        return string
    return b"'" + home.replace(b"'", b"'\\''") + b"'" + string[1:]


def _undo_locale_coercion() -> None:
    """Put LC_CTYPE back as this process was given it.

    In the C locale, cron's usual one, Python sets LC_CTYPE=C.UTF-8 in its own environment (PEP 538; no option turns
    that off together with -I), and the job would see it. /proc/self/environ shows the environment as this process got
    it.
    """
    if posix.environ.get(b"LC_CTYPE") not in _COERCED:
        return
    try:
        fd = posix.open("/proc/self/environ", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return  # no /proc: the variable stays
    try:
        chunks = []
        while True:
            chunk = posix.read(fd, 4096)  # cron's holds a few hundred bytes, and larger reads take longer
            if not chunk:
                break
            chunks.append(chunk)
    finally:
        posix.close(fd)
    for entry in b"".join(chunks).split(b"\0"):
        if entry.startswith(b"LC_CTYPE="):
            posix.putenv(b"LC_CTYPE", entry[9:])
            return
    posix.unsetenv(b"LC_CTYPE")
