# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Bytes in, bytes out: a locale's encoding changes neither a job's words nor the path of the state file."""

import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest

LOCALES = ["ja_JP.EUC-JP", "zh_CN.GB18030", "de_DE.ISO-8859-1"]

#: Every byte; UTF-8; what GB18030 has in four bytes; and codes that Python's codecs and glibc's do not agree on.
WORDS = [
    bytes(range(1, 256)),
    "zürich 日本 \u20ac \U0001f600".encode(),
    b"\xfe\x59\xfe\x61\xfe\x66\xfe\x67\xfe\x6d\xfe\x7e\xfe\x90\xfe\xa0\xa6\xd9\xa6\xdf\xa8\xbc\xa8\xbf",
    b"\x81\x35\xf4\x37\x84\x31\xa4\x37\x95\x32\x90\x31",
    b"\x8f\xa2\xb7\xa1\xc1\xa1\xc2\xa1\xdd\x8e\xa1",
    b"\\~",
]


@pytest.fixture(scope="module", params=LOCALES)
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "dict[str, str]":
    """The environment of a user of a locale, which is made from glibc's sources in a folder of its own."""
    if not shutil.which("localedef") or not os.path.exists("/usr/share/i18n/locales"):
        pytest.skip("no localedef, or none of the sources of locales")
    language, encoding = request.param.split(".")
    folder = tmp_path_factory.mktemp("locales")
    made = subprocess.run(
        ["localedef", "-f", encoding, "-i", language, f"./{request.param}"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if not (folder / request.param).exists():
        pytest.skip(f"localedef: {made.stderr!r}")
    return {"PATH": "/usr/bin:/bin", "LANG": request.param, "LOCPATH": str(folder)}


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_a_word_reaches_the_job_byte_by_byte(node: Any, environment: "dict[str, str]", number: int) -> None:
    node.become("active")
    command: "list[bytes]" = [os.fsencode(word) for word in node.command("printf", "%s.")]
    out = subprocess.run([*command, WORDS[number]], env=environment, capture_output=True, check=False)
    assert (out.stdout, out.stderr, out.returncode) == (WORDS[number] + b".", b"", 0)
    shell = b"printf %s. '" + WORDS[number].replace(b"'", b"") + b"'"
    out = subprocess.run([*command[:3], b"-c", shell], env=environment, capture_output=True, check=False)
    assert (out.stdout, out.stderr, out.returncode) == (WORDS[number].replace(b"'", b"") + b".", b"", 0)


def test_the_jobs_environment_has_nothing_of_that(node: Any, environment: "dict[str, str]") -> None:
    node.become("active")
    out = node.run("/usr/bin/env", "-0", "é=日", env=environment, text=False)
    plain = subprocess.run(["/usr/bin/env", "-0", "é=日"], env=environment, capture_output=True, check=True)
    assert out.stdout == plain.stdout


def test_a_path_in_rcron_conf_is_the_same_file_in_every_locale(node: Any, environment: "dict[str, str]") -> None:
    state = node.folder / "zürich-日本"
    node.configure("default_state = active")
    node.conf.write_text(node.conf.read_text().replace(str(node.state_file), str(state)))
    state.write_text("passive\n")
    out = node.run("echo", "ran", env=environment)
    assert (out.stdout, out.stderr, out.returncode) == ("", "", 0)
    assert node.log() == ["9.6 cluster=c1 state=passive status=ignore cmd=echo ran"]
    assert node.ctl("pin", "active", env=environment).returncode == 0
    assert pathlib.Path(f"{state}.pin").exists()
    assert node.run("echo", "ran", env=environment).stdout == "ran\n"


def test_a_configurations_name_may_hold_any_bytes(node: Any, environment: "dict[str, str]") -> None:
    node.become("active")
    conf = os.fsencode(node.conf) + b"\xff\xc3\xbc"
    os.rename(node.conf, conf)
    out = subprocess.run(
        [node.rcron, b"--conf", conf, "echo", "ran"], env=environment, capture_output=True, check=False
    )
    assert (out.stdout, out.stderr) == (b"ran\n", b"")


def test_rcronctl_still_prints_in_the_locales_encoding(node: Any, environment: "dict[str, str]") -> None:
    node.conf.write_text(node.conf.read_text().replace("cluster_name = c1", "cluster_name = 日ü"))
    out = node.ctl("status", env=environment, text=False).stdout
    encoding = environment["LANG"].partition(".")[2].lower()
    assert b" " + "日ü".encode(encoding, "backslashreplace") + b"\n" in out
