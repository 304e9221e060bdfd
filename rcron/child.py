# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The job's process, seen from rcron: which signals are forwarded to it, and how its end is noticed."""

import _signal
import posix
import time

from rcron import log
from rcron.settings import Config

#: The signals of a terminal, which it sends to its whole foreground process group.
_TERMINALS = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGHUP)

#: Signals that reach the job when they are sent to rcron: all that would end rcron and leave the job behind. KILL
#: cannot be forwarded; SEGV and its like are a fault of rcron's own; IO tells rcron of a new state (rcron/watch.py).
FORWARDED = (
    _signal.SIGTERM,
    *_TERMINALS,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
    _signal.SIGALRM,
    _signal.SIGVTALRM,
    _signal.SIGPROF,
    _signal.SIGXCPU,
    _signal.SIGPWR,
    16,  # SIGSTKFLT, which Python has a name for since 3.11
    *range(_signal.SIGRTMIN, _signal.SIGRTMAX + 1),
)

#: The signals that rcron blocks and waits for while the job runs.
WAITED_FOR = (*FORWARDED, _signal.SIGCHLD)

#: Each si_code that a signal of these can have: sigaction(2).
_CODES = (*range(-6, 7), 128)

_last: "_signal.struct_siginfo | None" = None

#: siginfo's si_code of a signal that the kernel itself sent (<asm-generic/siginfo.h>): a terminal's Ctrl-C, for one.
_SI_KERNEL = 0x80


def next_signal(signals: "tuple[int, ...]", seconds: float) -> "_signal.struct_siginfo | None":
    """Wait for a signal.

    Args:
        signals: those to wait for, which the caller has blocked.
        seconds: the longest wait.

    Returns:
        The signal's siginfo, or None if none came.
    """
    global _last
    begun = time.monotonic()
    info = _signal.sigtimedwait(signals, seconds)
    if info is None or (time.monotonic() - begun >= seconds and not _is_genuine(info, signals)):
        return None
    _last = info
    return info


def _is_genuine(info: "_signal.struct_siginfo", signals: "tuple[int, ...]") -> bool:
    """Return whether the kernel has filled in a siginfo that came when the time was up.

    Python returns one that nobody has filled in if the wait was interrupted, as by SIGSTOP and SIGCONT or a freezer
    (systemctl freeze, podman pause), and its time was up when it went on. It holds anything, also the one of before.
    """
    is_possible = info.si_signo in signals and info.si_code in _CODES and info.si_errno == 0 and info.si_pid >= 0
    return is_possible and info != _last


def wait_for_end(config: Config, pid: int) -> int:
    """Wait until the job ends, and forward signals to it meanwhile. The caller has blocked WAITED_FOR.

    Args:
        config: where to log.
        pid: the job's process.

    Returns:
        The job's exit status as a shell reports it: 128+N if signal N killed it.
    """
    status = None
    while status is None:
        status = handle_signal(config, _signal.sigwaitinfo(WAITED_FOR), pid)
    return status


def handle_signal(config: Config, info: "_signal.struct_siginfo", pid: int) -> "int | None":
    """Do what a signal asks for.

    Args:
        config: where to log.
        info: the signal's siginfo.
        pid: the job's process.

    Returns:
        The job's exit status as a shell reports it if the job has ended, or None.
    """
    if info.si_signo == _signal.SIGCHLD:
        return reap(pid)
    # A terminal's own signals go to its whole foreground process group: the job has had those already.
    if info.si_code != _SI_KERNEL or info.si_signo not in _TERMINALS:
        try:
            posix.kill(pid, info.si_signo)
        except OSError as error:
            report(config, f"signal {info.si_signo} did not reach the job, process {pid}: {error.strerror}; it goes on")
    return None


def reap(pid: int) -> "int | None":
    """Take note of all children that have ended, so that none stays a zombie.

    Most have only one child. But process 1 of a container inherits what its job leaves behind, and a shell that became
    rcron by exec leaves its children to it.

    Args:
        pid: the job's process.

    Returns:
        The job's exit status as a shell reports it if the job has ended, or None.
    """
    exit_status = None
    try:
        # Perhaps a child has only been stopped: WNOHANG does not wait for its end.
        while found := posix.waitpid(-1, posix.WNOHANG):
            ended, status = found
            if not ended:
                break
            if ended == pid:
                code = posix.waitstatus_to_exitcode(status)
                exit_status = code if code >= 0 else 128 - code
    except ChildProcessError:
        pass  # that was the last one
    return exit_status


def report(config: Config, text: str) -> None:
    """Report a problem with the job to syslog and to standard error, which cron mails.

    Args:
        config: where to log.
        text: a sentence.
    """
    log.warning(config, text)
    complain(text)


def complain(text: str) -> None:
    """Write one line to standard error.

    Args:
        text: the line, whatever it quotes.
    """
    try:
        posix.write(2, f"rcron: {log.one_line(text)}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # standard error is closed
