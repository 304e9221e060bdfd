# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""ucarp: do its own adverts leave this machine, and does a preferred machine send some?

The contract (ucarp(8); src/carp.c, ucarp.c and ip_carp.h of 1.5.2; tried on Debian's 1.5.2+git20192404.1a9aaf7-1):

- A master sends an advert as soon as it has become one and its up script has ended, and then one every advbase +
  advskew/256 seconds. A backup sends none, and becomes master when it has heard none for deadratio x advbase +
  advskew/256 seconds. ucarp has no other way of being asked: SIGUSR1 makes it log its state.
- A master that hears one of a preferred machine (that sends more often, or as often and has the smaller address) sends
  one more and becomes a backup. The down script runs after a line to syslog, which may block.
- An advert is an IP packet of protocol 112 from the hardware address 00:00:5e:00:00:VHID, with a counter and the
  HMAC-SHA1 over version, type, vhid, the virtual address and the counter, under the password. VRRP's packets have the
  same protocol, and another hardware address.
- It writes them through libpcap, below netfilter; a packet socket sees what leaves.
- The process is the one of root's that runs the program file ucarp with the role's up script. Its command line has all
  that is needed here.

So an advert that leaves is the daemon's word that it is master, and proof that it works. If none has left for longer
than its interval, the node is passive before the others have waited long enough.
"""

import _socket
import array
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rcron import files, process
from rcron.agent.answer import Answer, boottime
from rcron.agent.truth import Truth, cannot_tell
from rcron.settings import ACTIVE, PASSIVE, Config

#: ucarp's options that matter here (ucarp_p.h): their letters, whether they take a value, and their names.
LETTERS = "i:s:m:v:p:Pa:hb:k:x:nu:d:Dr:zf:Bo:SM"
NAMES = {
    "interface": "i",
    "srcip": "s",
    "mcastip": "m",
    "vhid": "v",
    "pass": "p",
    "preempt": "P",
    "neutral": "n",
    "addr": "a",
    "help": "h",
    "advbase": "b",
    "advskew": "k",
    "upscript": "u",
    "downscript": "d",
    "deadratio": "r",
    "debug": "D",
    "shutdown": "z",
    "facility": "f",
    "daemonize": "B",
    "ignoreifstate": "S",
    "nomcast": "M",
    "passfile": "o",
    "xparam": "x",
}

#: How often the process is looked for among all of the machine's, while there is none, in seconds.
LOOK = 5.0

#: How many packets are read at a time.
MOST = 64

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35


def path(value: str) -> str:
    """Read an absolute path. Raises ValueError."""
    if not value.startswith("/"):
        raise ValueError(f'"{value}" is not an absolute path')
    return value


OPTIONS: "dict[str, tuple[Callable[[str], Any], Any]]" = {
    "upscript": (path, None),
}


def truth(_config: Config, options: "dict[str, Any]") -> Truth:
    """Return what asks. options: as OPTIONS names them."""
    return UcarpTruth(options["upscript"])


class Settings(NamedTuple):
    """What a ucarp was started with. Times in seconds; password: None if it cannot be read."""

    interface: str
    source: bytes
    address: bytes
    vhid: int
    advbase: int
    advskew: int
    deadratio: int
    password: "bytes | None"

    @property
    def interval(self) -> float:
        """The time from one of its adverts to the next."""
        return self.advbase + self.advskew / 256

    @property
    def dead_time(self) -> float:
        """The time without an advert after which another machine becomes master."""
        return float(self.advbase * self.deadratio)

    @property
    def patience(self) -> float:
        """The time without an advert after which this one no longer counts as master: before another one is."""
        return max((self.interval + self.dead_time) / 2, self.interval + 0.2)


def options_of(argv: "list[str]") -> "dict[str, str]":
    """Read ucarp's command line as getopt_long(3) does.

    Args:
        argv: Its words, the program's name first.

    Returns:
        The letters of the options that were given, with their values.
    """
    found: "dict[str, str]" = {}
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            letter = NAMES.get(name) or next((NAMES[full] for full in NAMES if full.startswith(name)), "")
            if letter:
                takes = LETTERS.partition(letter)[2].startswith(":")
                found[letter] = value if equals or not takes else next(words, "")
        elif word.startswith("-"):
            for at, letter in enumerate(word[1:], 2):
                if LETTERS.partition(letter)[2].startswith(":"):
                    found[letter] = word[at:] or next(words, "")
                    break
                found[letter] = ""
    return found


def settings_of(options: "dict[str, str]") -> Settings:
    """Return what a ucarp was started with.

    Args:
        options: As `options_of` returns them.

    Raises:
        ValueError: No ucarp would have started with that.
        OSError: likewise.
    """
    password: "bytes | None" = options["p"].encode("utf-8", "surrogateescape") if "p" in options else None
    if "o" in options:
        try:
            # Its first line. A FIFO at that path would make the agent wait, and whoever reads it would miss that.
            password = files.read_trusted(options["o"], 4096)[0][:512].partition(b"\n")[0]
        except (OSError, files.UntrustedError):
            password = None
    try:
        return Settings(
            options["i"],
            _socket.inet_aton(options["s"]),
            _socket.inet_aton(options["a"]),
            int(options["v"]),
            int(options.get("b", "1")),
            int(options.get("k", "0")),
            int(options.get("r", "3")),
            password,
        )
    except KeyError as error:
        raise ValueError(f"ucarp runs without its option {error}") from None


class Advert(NamedTuple):
    """What an advert says. is_own: it left this machine."""

    source: bytes
    advbase: int
    advskew: int
    is_own: bool

    def is_preferred_to(self, settings: Settings) -> bool:
        """Return whether a master with these settings gives way to it."""
        theirs, ours = (self.advbase, self.advskew), (settings.advbase, settings.advskew)
        # ucarp compares addresses as the machine's own integers, whatever its byte order.
        return theirs < ours or (
            theirs == ours
            and int.from_bytes(self.source, sys.byteorder) < int.from_bytes(settings.source, sys.byteorder)
        )


def read_advert(packet: bytes, is_own: bool, settings: Settings) -> "tuple[Advert | None, bool]":
    """Read a packet.

    Args:
        packet: With its Ethernet header.
        is_own: Whether it left this machine.
        settings: Those of the ucarp here.

    Returns:
        The advert, or None if it is none that this ucarp would take; and whether the password is known to be right.
    """
    header = packet[14:34]
    length = (header[0] & 15) * 4 if header else 0
    carp = packet[14 + length : 14 + length + 36]
    if len(packet) < 70 or len(carp) < 36 or length < 20 or header[9] != 112 or header[8] != 255:
        return None, False
    if packet[6:12] != bytes((0, 0, 0x5E, 0, 0, settings.vhid)) or carp[0] != 0x21 or carp[1] != settings.vhid:
        return None, False
    source = header[12:16]
    if is_own != (source == settings.source):
        return None, False
    digest = None
    if settings.password is not None and not is_own:
        digest = _digest(settings, carp[8:16])
        if digest is not None and digest != carp[16:36]:
            return None, False
    return Advert(source, carp[5], carp[2], is_own), digest is not None


def _digest(settings: Settings, counter: bytes) -> "bytes | None":
    """Return the HMAC-SHA1 of an advert with this counter, or None if this Python cannot make one."""
    try:
        from _sha1 import sha1  # type: ignore[import-not-found]  # hashlib and hmac would take a MiB more
    except ImportError:
        return None
    key = (settings.password or b"")[:20].ljust(64, b"\0")
    text = bytes((2, 1, settings.vhid)) + settings.address + counter
    inner = sha1(bytes(byte ^ 0x36 for byte in key) + text).digest()
    found: bytes = sha1(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    return found


class UcarpTruth(Truth):
    """Watches ucarp's adverts.

    Args:
        upscript: The up script of the ucarp that counts.
    """

    def __init__(self, upscript: str) -> None:
        self._upscript = upscript
        self._pid = 0
        self._started = ""
        self._settings: "Settings | None" = None
        self._looked = -LOOK
        self._socket: "_socket.socket | None" = None
        #: When the last advert left that a master sends, when one came of a preferred machine, and when any came.
        self._own = self._beaten = self._peer = -1e9
        self._peer_source = b""
        #: How many of other machines came since one left.
        self._peers_since = 0
        self.notice = 3.0

    def gap(self, seconds: float) -> None:
        """Forget what was heard: the others may have become master meanwhile."""
        self._own = -1e9

    def ask(self) -> Answer:
        """Say what the adverts mean. Raises OSError and ValueError if they cannot be heard."""
        moment = boottime()
        is_running = self._find(moment)
        settings = self._settings
        if not is_running or settings is None:
            return Answer(PASSIVE, moment, "no ucarp runs")
        if moment - self._beaten < settings.patience and self._beaten >= self._own:
            return Answer(PASSIVE, moment, self._master)
        if moment - self._own < settings.patience:
            return Answer(ACTIVE, self._own, "ucarp's adverts leave")
        if self._peers_since >= 2 and moment - self._peer < settings.patience:
            return Answer(PASSIVE, moment, self._master)
        return cannot_tell("no ucarp's adverts are heard", moment)

    @property
    def _master(self) -> str:
        return f"{_socket.inet_ntoa(self._peer_source)} sends ucarp's adverts"

    def descriptor(self) -> int:
        """Return the packet socket."""
        return -1 if self._socket is None else self._socket.fileno()

    def hear(self) -> "list[Answer]":
        """Read the adverts that have left and come."""
        found: "list[Answer]" = []
        socket, settings = self._socket, self._settings
        if socket is None or settings is None:
            return found
        for _turn in range(MOST):
            try:
                packet, extra, _flags, address = socket.recvmsg(256, 64)
            except BlockingIOError:
                break
            advert, is_proven = read_advert(packet, address[2] == _PACKET_OUTGOING, settings)
            if advert is not None:
                answer = self._take(advert, is_proven, _moment(extra), settings)
                if answer is not None:
                    found.append(answer)
        return found

    def _take(self, advert: Advert, is_proven: bool, moment: float, settings: Settings) -> "Answer | None":
        if advert.is_own:
            if moment - self._beaten < settings.interval / 2:
                return None  # the last one of a master that gives way
            self._own = moment
            self._peers_since = 0
            return Answer(ACTIVE, moment, "ucarp's adverts leave")
        self._peer = moment
        self._peer_source = advert.source
        self._peers_since += 1
        if not advert.is_preferred_to(settings):
            return None
        if not is_proven:
            return Answer(None, moment, "")
        self._beaten = moment
        return Answer(PASSIVE, moment, self._master)

    def _find(self, now: float) -> bool:
        """Find ucarp's process, and listen where it speaks. Returns whether it runs."""
        if self._pid and process.started_at(self._pid) == self._started:
            if self._socket is None and self._settings is not None:
                self._listen(self._settings)
            return True
        if self._pid:
            self._looked = -LOOK  # it was there a moment ago: perhaps it is being restarted
        self._pid = 0
        if now - self._looked < min(LOOK, self.every):
            return False
        self._looked = now
        for name in os.listdir("/proc"):
            if name.isdigit() and _is_ucarp(f"/proc/{name}"):
                options = options_of(_words(f"/proc/{name}/cmdline"))
                if options.get("u") == self._upscript:
                    started = process.started_at(int(name))
                    self._serve(settings_of(options))
                    self._pid, self._started = int(name), started
                    return bool(started)
        self._hang_up()
        return False

    def _serve(self, settings: Settings) -> None:
        if self._settings is None or settings.interface != self._settings.interface:
            self._hang_up()
        self._settings = settings
        self._own = self._beaten = -1e9
        self._peers_since = 0
        self.silence = settings.patience
        self.notice = settings.dead_time
        if self._socket is None:
            self._listen(settings)

    def _listen(self, settings: Settings) -> None:
        socket = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK, 0)
        try:
            _attach_filter(socket)
            socket.setsockopt(_socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            socket.bind((settings.interface, _ETH_P_ALL))
        except BaseException:
            socket.close()
            raise
        self._socket = socket

    def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        self._settings = None
        self.silence = 0.0
        if socket is not None:
            socket.close()

    def close(self) -> None:
        """Close the packet socket."""
        self._hang_up()


def _is_ucarp(folder: str) -> bool:
    """Return whether a process is root's (or the user's who runs this), and runs a program file called ucarp.

    Its name and its words are whatever the one who started it likes, and a setuid program is started by anybody: so its
    real user counts, too.

    Args:
        folder: The process's, in /proc.
    """
    try:
        with open(f"{folder}/status", "rb", buffering=0) as file:
            users = file.read(4096).partition(b"\nUid:")[2].split(b"\n")[0].split()
        if not users or not set(users) <= {b"0", b"%d" % os.geteuid()}:
            return False
        program = os.readlink(f"{folder}/exe").removesuffix(" (deleted)")  # by the package's update
    except OSError:
        return False
    return program.rpartition("/")[2] == "ucarp"


def _words(path: str) -> "list[str]":
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read(16384)
    except OSError:
        return []
    return data.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _moment(extra: "list[tuple[int, int, bytes]]") -> float:
    """Return when the kernel saw a packet, in seconds of `boottime`."""
    now = boottime()
    for level, kind, data in extra:
        if level == _socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= 16:
            seconds: int
            nanoseconds: int
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return now - max(0.0, time.time() - seconds - nanoseconds / 1e9)
    return now


def _attach_filter(socket: "_socket.socket") -> None:
    """Let the socket see IPv4 packets of protocol 112 only, 256 bytes of each (socket(7), classic BPF)."""
    program = (
        (0x28, 0, 0, 12),  # the Ethernet type
        (0x15, 0, 3, 0x0800),  # is IPv4's
        (0x30, 0, 0, 23),  # the protocol
        (0x15, 0, 1, 112),  # is CARP's
        (0x06, 0, 0, 256),  # take it
        (0x06, 0, 0, 0),  # leave it
    )
    code = array.array("B", b"".join(struct.pack("HBBI", *line) for line in program))
    socket.setsockopt(_socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0]))
