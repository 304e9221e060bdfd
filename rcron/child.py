# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The job's process, seen from rcron: which signals are forwarded to it, and how its end is noticed."""

import _signal
import posix

#: Signals that reach the job when they are sent to rcron.
FORWARDED = (
    _signal.SIGTERM,
    _signal.SIGINT,
    _signal.SIGHUP,
    _signal.SIGQUIT,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
)

#: The signals that rcron blocks and waits for while the job runs.
WAITED_FOR = (*FORWARDED, _signal.SIGCHLD)

#: siginfo's si_code of a signal that the kernel itself sent (<asm-generic/siginfo.h>): a terminal's Ctrl-C, for one.
_SI_KERNEL = 0x80


def wait_for_end(pid: int) -> int:
    """Wait until the job ends, and forward signals to it meanwhile. The caller has blocked WAITED_FOR.

    Args:
        pid: the job's process.

    Returns:
        The job's exit status as a shell reports it: 128+N if signal N killed it.
    """
    status = None
    while status is None:
        status = handle_signal(_signal.sigwaitinfo(WAITED_FOR), pid)
    return status


def handle_signal(info: "_signal.struct_siginfo", pid: int) -> "int | None":
    """Do what a signal asks for.

    Args:
        info: the signal's siginfo.
        pid: the job's process.

    Returns:
        The job's exit status as a shell reports it if the job has ended, or None.
    """
    if info.si_signo == _signal.SIGCHLD:
        # Perhaps another child's (one that a shell left to us by exec), perhaps only a stop: WNOHANG tells them apart.
        ended, status = posix.waitpid(pid, posix.WNOHANG)
        if ended:
            code = posix.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
    elif info.si_code != _SI_KERNEL:
        # A terminal's own signals go to its whole foreground process group: the job has had those already.
        posix.kill(pid, info.si_signo)
    return None
