# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Ask rcron-agent whether this run is this node's own, so that no other node starts it, too.

Imported only if a run is to be claimed. One run that a scheduler starts is a *fire*. What identifies it must be the
same on every node and on no other run:

- cron's daemon starts a process for an entry in the minute of its own clock, however wrong that is. That process keeps
  the time, and rcron, which may come after a `sleep` or a slow PAM, finds it above itself.
- systemd starts a timer's service in the minute of its own clock, too. $TRIGGER_TIMER_REALTIME_USEC does not say which:
  in a service that stays loaded it is the first trigger's for good (252 and 257; unit_start() in core/unit.c).
- `--fire` names it, for schedulers that know it.

A run by a person at a terminal is not a fire, and neither is `@reboot`: both are recorded and never refused.

The protocol is one line each way over a stream socket beside the state file: a word, and fields with a NUL before each.
"""

import _socket
import posix
import time

from rcron import child, files, job, log, state
from rcron.settings import PASSIVE, PREFERRED, REQUIRED, Config

EX_TEMPFAIL = 75  # sysexits(3): try again later

#: The socket's name in the state file's folder.
SOCKET = "claim.sock"

#: The longest line of the protocol, in bytes.
MAX_LINE = 4096

#: The answers to a claim: ours; another's (with its node and its time); nobody can tell (with the reason); and the same
#: for a request that no later try makes better.
MINE = "mine"
OTHER = "other"
UNKNOWN = "unknown"
WRONG = "wrong"

#: How long the end of a job is tried to be reported, in seconds. Only an agent that is being restarted takes time.
REPORT = 5.0

#: How long a run that is only recorded waits for that, in seconds.
RECORD = 1.0

#: How much of a command the ledger holds, in bytes.
MAX_COMMAND = 200

#: The processes that start a crontab's jobs.
_CRONS = (b"cron", b"crond")

#: Where the timers are that systemd-cron makes of crontabs: systemd.generator(7).
_GENERATED = b"/run/systemd/generator/"

#: How far a process's start, which the kernel gives in hundredths of a second, may seem to lie before the minute that
#: cron waited for, in seconds.
_SLACK = 0.1


class Fire:
    """One run that a scheduler started, or a person.

    Attributes:
        key (str): what identifies it: the minute in seconds since the epoch; `=TEXT` for a text that --fire gave;
            `+TOKEN` for a window; `!TOKEN` for a run that nobody else can have.
        token (str): what identifies the process that claims it: another process of the same entry's same run has the
            same, no other process on any node has.
        is_refusable (bool): whether another's claim stops it.
    """

    __slots__ = ("is_refusable", "key", "token")

    def __init__(self, key: str, token: str, is_refusable: bool) -> None:
        self.key = key
        self.token = token
        self.is_refusable = is_refusable


class Process:
    """What proc_pid_stat(5) says of a process: its number, name, parent, session, and start in ticks since boot."""

    __slots__ = ("name", "parent", "pid", "session", "ticks")

    def __init__(self, pid: int, name: bytes, fields: "list[bytes]") -> None:
        self.pid = pid
        self.name = name
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.ticks = int(fields[19])


def process(pid: "int | str") -> "Process | None":
    """Look at a process.

    Args:
        pid: its number, or `self`.

    Returns:
        What is known of it, or None if it has ended or is hidden.
    """
    try:
        fd = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        head, _bracket, tail = posix.read(fd, 4096).rpartition(b")")
    except OSError:
        return None
    finally:
        posix.close(fd)
    number, _bracket, name = head.partition(b"(")
    fields = tail.split()
    # What is mounted in /proc's place may show anything.
    if (
        len(fields) < 20
        or not (number.strip() + fields[1] + fields[19]).isdigit()
        or not fields[3].lstrip(b"-").isdigit()
    ):
        return None
    return Process(int(number), name, fields)


def identify(text: str, window: int) -> Fire:
    """Find out which fire this process is.

    Args:
        text: what --fire says, or an empty string.
        window: what --claim-window says, in seconds; 0 if it is not given.

    Returns:
        The Fire.
    """
    own = process("self")
    if text:
        return Fire(f"={text}", _token(own), True)
    if job.has_terminal():
        token = _unique()
        return Fire(f"!{token}", token, False)
    if window:
        token = _token(own)
        return Fire(f"+{token}", token, True)
    if own is None:
        return Fire(str(_minute(time.time())), _unique(), True)
    first, started, cron = _first_process(own)
    if first is not None:
        token = _token(first)
        if cron is not None and int(_wall(cron.ticks) // 60) * 60 == _minute(started):
            # cron runs @reboot's jobs at its start, and others from the next minute on.
            return Fire(f"!{token}", token, False)
        return Fire(str(_minute(started)), token, True)
    if b"TRIGGER_TIMER_REALTIME_USEC" in posix.environ:
        first = _services_first_process(own)
        token = _token(first)
        if _is_at_boot():
            return Fire(f"!{token}", token, False)
        return Fire(str(_minute(_wall(first.ticks))), token, True)
    return Fire(str(_minute(_wall(own.ticks))), _token(own), True)


def identify_service(window: int) -> Fire:
    """Find out which fire a service is that systemd starts: it is known by its start.

    Args:
        window: what --claim-window says, in seconds; 0 if it is not given.

    Returns:
        The Fire. Its token is that of the service's invocation, so that the process that reports its end has it, too.
    """
    if window:
        token = invocation()
        return Fire(f"+{token}", token, True)
    own = process("self")
    started = time.time() if own is None else _wall(own.ticks)
    return Fire(str(_minute(started)), invocation(), True)


def invocation() -> str:
    """Return the token of the service that this process belongs to: systemd.exec(5), $INVOCATION_ID."""
    number = posix.environ.get(b"INVOCATION_ID", b"").decode("ascii", "replace")
    return digest("invocation", posix.uname().nodename, number) if number else _unique()


def _services_first_process(own: Process) -> Process:
    """Find the process above this one, or this one, that systemd started for the service."""
    at = own
    while at.parent > 1:
        above = process(at.parent)
        if above is None or above.name == b"systemd":  # a user's
            break
        at = above
    return at


def _is_at_boot() -> bool:
    """Return whether systemd-cron started this for an entry with @reboot: its timer has no calendar (version 2.5.1)."""
    unit = posix.environ.get(b"TRIGGER_UNIT", b"")
    if not unit.startswith(b"cron-") or b"/" in unit:
        return False
    try:
        fd = posix.open(_GENERATED + unit, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        text = posix.read(fd, 4096)
    except OSError:
        return False
    finally:
        posix.close(fd)
    return b"\nOnBootSec=" in text and b"\nOnCalendar=" not in text


def _first_process(own: Process) -> "tuple[Process | None, float, Process | None]":
    """Find the process above this one, or this one, that cron started for the entry.

    Returns:
        That process; when the entry was started, in seconds since the epoch; and cron's daemon, or None if /proc hides
        it or it has ended. None, 0.0 and None if no cron started this.
    """
    at = own
    while at.parent > 0:
        above = process(at.parent)
        if above is None:
            # /proc is mounted with hidepid (proc(5)): a session that another user's process has begun is taken for
            # cron's. Process 1 starts services, not jobs, unless it is a cron that /proc shows.
            is_crons = at.parent > 1 and at.pid == at.session and _is_there(at.parent)
            return (at, _wall(at.ticks), None) if is_crons else (None, 0.0, None)
        if above.name in _CRONS:
            started, daemon = _below_daemon(at, above)
            return at, _wall(started.ticks), daemon
        at = above
    return None, 0.0, None


def _below_daemon(first: Process, cron: Process) -> "tuple[Process, Process | None]":
    """Find what cron's daemon started for an entry.

    In the entry's minute, it starts a process of its own name. That one opens the user's session, which may take
    minutes (PAM, and a directory that does not answer), and then starts the shell.

    Args:
        first: the process that is not cron's own.
        cron: the process of cron's name that started it: the daemon, or its child.

    Returns:
        The daemon's child, which is `first` if nothing is between them; and the daemon. `first` and None if the daemon
        has ended: its children outlive it, and started with their jobs. In a container it may be process 1.
    """
    daemon = cron
    while daemon.parent > 0:
        higher = process(daemon.parent)
        if higher is None or higher.name not in _CRONS:
            break
        first, daemon = daemon, higher
    return first, daemon if daemon is not cron or daemon.pid in (1, daemon.session) else None


def _is_there(pid: int) -> bool:
    try:
        posix.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _wall(ticks: int) -> float:
    """Return a process's start by this node's clock as it is now, in seconds since the epoch."""
    for _turn in range(5):
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        wall = time.time()
        after = time.clock_gettime(time.CLOCK_BOOTTIME)
        if after - before < 0.001:
            break
    return wall - after + ticks / posix.sysconf("SC_CLK_TCK")


def _minute(seconds: float) -> int:
    return int((seconds + _SLACK) // 60) * 60


def _token(whose: "Process | None") -> str:
    """Return what no process but this one has, and what it has again if it asks again."""
    if whose is None:
        return _unique()
    # Containers share their machine's boot ID, and may have processes with the same number.
    try:
        space = posix.readlink("/proc/self/ns/pid")
    except OSError:
        return _unique()
    return digest(posix.uname().nodename, _boot_id(), space, str(whose.pid), str(whose.ticks))


def _unique() -> str:
    return posix.urandom(12).hex()


def _boot_id() -> str:
    try:
        fd = posix.open("/proc/sys/kernel/random/boot_id", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return posix.read(fd, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        posix.close(fd)


def digest(*parts: str) -> str:
    """Return 24 hexadecimal digits that stand for some texts.

    Args:
        parts: the texts.
    """
    try:
        from _blake2 import blake2b  # the interpreter's own: hashlib takes ten times as long to import
    except ImportError:
        from hashlib import blake2b
    data = b"".join(
        [b"%d:%b" % (len(part), part) for part in [each.encode("utf-8", "surrogateescape") for each in parts]]
    )
    return blake2b(data, digest_size=12).hexdigest()


def job_name(name: str, words: "list[str]", shell: bool) -> str:
    """Return the name under which a job's runs are claimed.

    Args:
        name: what --job says, or an empty string.
        words: the job's words.
        shell: whether a shell reads them.
    """
    return name or "~" + digest("c" if shell else "", *words)


#: Stands for the fire in the report of an end, if only the token is known.
ANY_FIRE = "?"

#: What to do with a run: it is another's, nobody can tell and that is not allowed, it is this node's own, or nobody can
#: tell and it runs all the same.
IGNORE, REFUSE, RUN, RUN_UNCLAIMED = range(4)


class Claim:
    """The claim of one run, from the question to the report of the job's end."""

    __slots__ = ("_config", "_name", "_shell", "_window", "_words")

    def __init__(self, config: Config, name: str, words: "list[str]", shell: bool, window: int) -> None:
        """Say what is to be claimed.

        Args:
            config: the cluster's.
            name: what --job says, or an empty string.
            words: the job's words.
            shell: whether a shell reads them.
            window: for how many seconds the job is claimed; 0: only this fire is.
        """
        self._config = config
        self._name = job_name(name, words, shell)
        self._words = words
        self._shell = shell
        self._window = window

    def run(self, fire: Fire, mode: str, field: str, mask: "set[int] | None") -> int:
        """Run the job if this run is this node's own, or nobody can tell and that is allowed.

        Args:
            fire: the run.
            mode: `required` or `preferred`.
            field: what the log lines say about the state, after it.
            mask: the signal mask for the job; this process's unless given.

        Returns:
            The exit status: the job's; passive_exit for another's run; EX_TEMPFAIL if nobody can tell.
        """
        config = self._config
        found = self.decide(fire, mode, field)
        if found == IGNORE:
            return int(config.passive_exit)
        if found == REFUSE:
            return EX_TEMPFAIL
        if found == RUN_UNCLAIMED:
            return job.run(config, self._words, self._shell, f"{field} claim={UNKNOWN}", mask)
        began = time.monotonic()
        exit_status = job.run(config, self._words, self._shell, field, mask)
        self.ended(fire, exit_status, time.monotonic() - began)
        return exit_status

    def decide(self, fire: Fire, mode: str, field: str) -> int:
        """Ask whose a run is, and log that unless it is to be run as this node's own.

        Args:
            fire: the run.
            mode: `required` or `preferred`.
            field: what the log lines say about the state, after it.

        Returns:
            IGNORE, REFUSE, RUN or RUN_UNCLAIMED.
        """
        config = self._config
        began = time.monotonic()
        patience = float(config.claim_wait) if fire.is_refusable else min(RECORD, float(config.claim_wait))
        answer = self._ask(fire, began + patience)
        if fire.is_refusable and answer[0] == OTHER:
            by = log.word((*answer, "unknown")[1])
            log.event(config, f"state=active{field} status=ignore by={by}", log.command(self._words))
            return IGNORE
        if answer[0] != MINE:
            why = f"claim: cannot tell whether this run is this node's own: {(*answer, 'no reason given')[1]}"
            if fire.is_refusable and mode == REQUIRED:
                child.report(config, f"{why}; not run (claim {REQUIRED}): {log.command(self._words)}")
                dur = int(time.monotonic() - began)
                fields = f"state=active{field} claim={UNKNOWN} status=fail dur={dur} exit={EX_TEMPFAIL}"
                log.event(config, fields, log.command(self._words))
                return REFUSE
            log.warning(config, f"{why}; run all the same")
            verdict = state.current(config)
            if verdict.state == PASSIVE and fire.is_refusable and mode == PREFERRED:
                # It was not when the question was put.
                log.event(config, f"state=passive{verdict.field} status=ignore", log.command(self._words))
                return IGNORE
            return RUN_UNCLAIMED
        return RUN

    def _line(self, word: str, fire: Fire, *fields: str) -> bytes:
        parts = (
            word,
            f"cluster={self._config.cluster_name}",
            f"job={self._name}",
            f"fire={fire.key}",
            f"token={fire.token}",
            *fields,
        )
        return "\0".join(parts).encode("utf-8", "backslashreplace") + b"\n"

    def _ask(self, fire: Fire, deadline: float) -> "list[str]":
        """Ask until somebody can tell, or the deadline. Returns the answer's parts."""
        command = log.command(self._words).encode()[:MAX_COMMAND].decode("utf-8", "ignore")
        reason = ""
        pause = 0.02
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return [UNKNOWN, reason or "no answer in time"]
            line = self._line("claim", fire, f"window={self._window}", f"wait={left:.2f}", f"command={command}")
            try:
                answer = exchange(self._config, line, deadline)
            except (TimeoutError, _socket.timeout):  # the same since Python 3.10
                reason = reason or "rcron-agent: no answer in time"
            except (OSError, ValueError) as error:
                reason = f"rcron-agent: {getattr(error, 'strerror', None) or error}"
            else:
                if answer[0] in (MINE, OTHER, WRONG):
                    return answer
                # The last try may have too little time to learn any reason.
                reason = (*answer, "")[1] or reason
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(2 * pause, 0.5)

    def ended(self, fire: Fire, exit_status: int, seconds: float) -> None:
        """Report the job's end, which no failure changes.

        Args:
            fire: the run.
            exit_status: the job's.
            seconds: how long it took.
        """
        line = self._line("ended", fire, f"exit={exit_status}", f"duration={seconds:.3f}")
        deadline = time.monotonic() + REPORT
        pause = 0.02
        while time.monotonic() < deadline:
            try:
                exchange(self._config, line, deadline)
                return
            except (OSError, ValueError):
                time.sleep(pause)
                pause = min(2 * pause, 0.5)
        log.warning(self._config, "claim: rcron-agent did not take the end of this run, which the ledger does not show")


def exchange(config: Config, line: bytes, deadline: float) -> "list[str]":
    """Send the agent one line, and read one.

    Args:
        config: the cluster's.
        line: the request, with its newline.
        deadline: when to give up, by `time.monotonic`.

    Returns:
        The answer's parts.

    Raises:
        OSError: there is no agent, or no answer in time.
        ValueError: the answer is not one line.
    """
    socket = connect(config, deadline)
    try:
        socket.sendall(line)
        data = b""
        while not data.endswith(b"\n"):
            socket.settimeout(_left(deadline))
            chunk = socket.recv(MAX_LINE)
            if not chunk or len(data) > MAX_LINE:
                raise ValueError("no complete answer")
            data += chunk
    finally:
        socket.close()
    return data[:-1].decode("utf-8", "replace").split("\0")


def connect(config: Config, deadline: float) -> "_socket.socket":
    """Connect to the agent.

    Args:
        config: the cluster's.
        deadline: when to give up, by `time.monotonic`.

    Returns:
        The socket, whose timeout is what is left until the deadline.

    Raises:
        OSError: there is no agent, or none that can be trusted.
    """
    folder = files.folder_of(config.state_file)
    if posix.stat(folder).st_mode & 0o002:
        raise OSError(13, f"everyone may write {folder}, so what is there cannot be trusted")
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        socket.settimeout(_left(deadline))
        reach(socket, folder + SOCKET)
    except FileNotFoundError:
        socket.close()
        raise FileNotFoundError(2, f"there is no {folder}{SOCKET}") from None
    except BaseException:
        socket.close()
        raise
    return socket


def reach(socket: "_socket.socket", path: str) -> None:
    """Connect a socket to a daemon's, and to nobody's to which a link of somebody else's leads.

    The folder's owner may be a feeder's user, and root may connect to any socket, and say there what a job's words are.

    Args:
        socket: the socket.
        path: the daemon's.

    Raises:
        OSError: it cannot be connected.
    """
    above = posix.stat(files.folder_of(path))
    if above.st_uid in (0, posix.geteuid()) and not above.st_mode & 0o002:
        socket.connect(path)
        return
    place = posix.open(path, posix.O_PATH | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    try:
        if posix.fstat(place).st_mode & 0o170000 != 0o140000:
            raise OSError(88, f"{path} is not a socket")  # ENOTSOCK
        try:
            socket.connect(f"/proc/self/fd/{place}")
        except FileNotFoundError:
            socket.connect(path)  # /proc is not mounted: then it is what has the name now
    finally:
        posix.close(place)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(110, "no answer in time")
    return left
