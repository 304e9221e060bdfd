# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Lines of a crontab that cost most to read: runs of whatever an expression could try to match from many places."""

from __future__ import annotations

ENTRY = b"* * * * * "

#: What is before the run, what is repeated, and what is behind it.
PARTS: dict[str, tuple[bytes, bytes, bytes]] = {
    "a name and CRs": (b"#Ansible: ", b"\r", b"x"),
    "blanks before an entry with =": (b"", b" ", b"* * * * * a=b"),
    "blanks behind a variable": (b"a", b" ", b"x=b"),
    "white space behind a variable": (b"a", b"\t\r\f\v", b"=b x"),
    "white space in a value": (b"a=", b" ", b"'"),
    "quotes in a value": (b'a="', b'" ', b"x"),
    "a name of quotes": (b"'", b"'", b""),
    "a list": (b"", b"1,", b"1 * * * * job"),
    "a list that is wrong at its end": (b"", b"1,", b"x * * * * job"),
    "ranges": (b"", b"1-3/2,", b"* * * * * job"),
    "random times": (b"", b"~,", b"x * * * * job"),
    "digits": (b"", b"1", b" * * * * job"),
    "a nickname": (b"@", b"1", b"x job"),
    "blanks behind a nickname": (b"@daily", b" ", b"*"),
    "blanks behind a user": (ENTRY + b"root", b" ", b"x"),
    "backslashes": (ENTRY, b"\\", b""),
    "percent signs": (ENTRY, b"\\%", b"%"),
    "letters": (ENTRY, b"a", b""),
    "words": (ENTRY + b"job ", b"a ", b";"),
    "blanks": (ENTRY + b"job", b" ", b";"),
    "single quotes": (ENTRY + b"job ", b"'a' ", b"'"),
    "variables in quotes": (ENTRY + b'job "', b"$A ", b"|"),
    "quoted variables": (ENTRY + b"job ", b'"$A" ', b"|"),
    "variables": (ENTRY + b"job ", b"${A}$B", b"|"),
    "a long variable": (ENTRY + b"job $", b"A", b"|"),
    "hashes": (ENTRY + b"job ", b"a#", b"|"),
    "escapes": (ENTRY + b"job ", b"\\a", b"|"),
    "a prefix and a string": (ENTRY + b"rcron '", b"a b", b"' > log"),
    "a prefix and options": (ENTRY + b"rcron ", b"--conf a ", b";"),
    "a prefix and blanks": (ENTRY + b"rcron", b" ", b";"),
    "a prefix with a long path": (ENTRY, b"a", b"rcron"),
    "prefixes": (ENTRY, b"rcron ", b";"),
    "a prefix of empty strings": (ENTRY + b"rcron", b"''", b";"),
    "a prefix and empty strings": (ENTRY + b"rcron ", b"''", b"-x"),
    "a prefix and quotes": (ENTRY + b"rcron ", b"'\"", b"-x"),
    "a prefix and a quoted quote": (ENTRY + b"rcron -c '", b"'\\''", b"x"),
    "a prefix and double quotes": (ENTRY + b'rcron -c "', b"\\%", b""),
    "a prefix and CRs": (ENTRY + b"rcron -c 'a'", b"\r", b" "),
    "a prefix and nested expansions": (ENTRY + b"rcron ", b'"$(', b""),
    "a prefix and expansions": (ENTRY + b"rcron ", b'"$(a)"', b" x"),
    "a prefix and dollars": (ENTRY + b"rcron ", b"$", b""),
    "a prefix and backticks": (ENTRY + b"rcron ", b"`", b""),
    "a prefix and redirections": (ENTRY + b"rcron 'a b' ", b"> a ", b""),
    "a prefix and a number": (ENTRY + b"rcron 'a b' ", b"1", b"x"),
    "a prefix and a long wait": (ENTRY + b"rcron --takeover-wait ", b"1", b" x"),
    "bytes that are not UTF-8": (ENTRY + b"rcron ", b"\xff", b" x"),
}


def lines(size: int) -> dict[str, bytes]:
    """Return a line of about so many bytes of each kind, by the kind's name."""
    return {name: (before + run * (size // len(run)) + after + b"\n") for name, (before, run, after) in PARTS.items()}
