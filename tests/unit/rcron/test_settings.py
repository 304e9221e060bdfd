# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcron.conf: the original's grammar, and errors that name file, line and fix."""

import os
import pathlib

import pytest

from rcron import settings

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

ORIGINAL = """\
# An arbitrary name
cluster_name    = default_cluster
; a second kind of comment
state_file\t=\t"/var/run/rcron/state"

default_state = Passive
syslog_facility = LOG_cron
syslog_level ='LOG_debug'
nice_level -5"""


def parse(text: str) -> settings.Config:
    return settings.parse(text, "f")


def test_an_empty_file_means_the_defaults() -> None:
    c = parse("")
    assert (c.cluster_name, c.state_file, c.default_state) == ("default_cluster", "/var/run/rcron/state", "active")
    assert (c.syslog_facility, c.syslog_level, c.nice_level, c.passive_exit) == (9 << 3, 6, 19, 0)


def test_an_ordinary_file_of_the_c_rcron_means_the_same() -> None:
    c = parse(ORIGINAL)
    assert c.state_file == "/var/run/rcron/state"
    assert c.default_state == "passive"
    assert (c.syslog_facility, c.syslog_level, c.nice_level) == (9 << 3, 7, -5)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("cluster_name=a", "a"),
        ("cluster_name a", "a"),
        ("\tcluster_name \t==  a \t", "a"),
        ('cluster_name = "a b = # c"', "a b = # c"),
        ("cluster_name = 'a\"b'", 'a"b'),
        ("cluster_name = '=a='", "=a="),
        ("cluster_name = a\r", "a"),
        ("cluster_name = a=b", "a=b"),
        ("cluster_name = zürich", "zürich"),
    ],
)
def test_separators_and_quotes(line: str, value: str) -> None:
    assert parse(line).cluster_name == value
    assert parse(line + "\n").cluster_name == value


@pytest.mark.parametrize("name", sorted(settings.FACILITIES))
def test_every_facility_of_syslog_is_known_by_its_number(name: str) -> None:
    import syslog

    # Python names only some of them before 3.13; those it names must agree.
    number = getattr(syslog, name, settings.FACILITIES[name])
    assert parse(f"syslog_facility {name}").syslog_facility == number
    assert parse(f"syslog_facility = {name.lower()}").syslog_facility == number


@pytest.mark.parametrize("name", sorted(settings.LEVELS))
def test_every_level_of_syslog_is_known_by_its_number(name: str) -> None:
    import syslog

    assert parse(f"syslog_level '{name.lower()}'").syslog_level == getattr(syslog, name)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\n\nsylog_facility = LOG_CRON", 'f:3: unknown name "sylog_facility"; did you mean "syslog_facility"?'),
        ("zzz = 1", 'f:1: unknown name "zzz"; use one of cluster_name, state_file,'),
        ("nice_level = 1\n\nnice_level = 2", 'f:3: "nice_level" is set a second time (first on line 1); delete one'),
        ("nice_level", "f:1: nice_level: no value; write name = value"),
        ("nice_level =", "f:1: nice_level: no value"),
        ("nice_level = 20", 'f:1: nice_level: "20" is not a whole number from -20 to 19'),
        ("nice_level = -21", "not a whole number"),
        ("nice_level = 1.5", "not a whole number"),
        ("nice_level = \u0661", "not a whole number"),
        ("nice_level = -", "not a whole number"),
        ("nice_level = 1_0", "not a whole number"),
        ("passive_exit = 256", "from 0 to 255"),
        ("passive_exit = " + "9" * 5000, "from 0 to 255"),
        ("default_state = inactive", 'default_state: "inactive" is not a state; use active or passive'),
        ("syslog_facility = cron", '"cron" is not a facility of syslog(3); use one of LOG_KERN, '),
        ("syslog_level = LOG_CRON", "not a level of syslog(3)"),
        ("state_file = run/state", '"run/state" is not an absolute path; begin it with /'),
        ("state_file = /\x1b[2J", "control characters"),
        ("state_file = /z\udcfcrich", "not UTF-8"),
        ("syslog_facility = LOG_\u017fYSLOG", "not a facility of syslog(3)"),
        ("syslog_level = LOG_\u0131NFO", "not a level of syslog(3)"),
        ("cluster_name = ''", "an empty value"),
        ("cluster_name = a b", '"b" follows the value; quote a value that holds blanks'),
        ("cluster_name = a # my cluster", "put a comment on a line of its own"),
        ("cluster_name = 'a", "the ' is not closed"),
        ("cluster_name = a'b'", "a quote inside the value"),
        ("cluster_name = 'a\x1b'", "control characters"),
        ("cluster_name = a\udcff", "not UTF-8"),
    ],
)
def test_an_error_names_its_line_and_the_fix(text: str, error: str) -> None:
    with pytest.raises(settings.ConfigError) as raised:
        parse(text)
    assert error in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(settings.ConfigError, match=r"^/nonexistent/rcron.conf: there is no such file; create it"):
        settings.load("/nonexistent/rcron.conf")


def test_a_file_that_everyone_may_write_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rcron.conf"
    path.touch()
    path.chmod(0o646)
    with pytest.raises(settings.ConfigError, match=r"everyone may write it, so it cannot be trusted; chmod o-w /"):
        settings.load(str(path))
    path.chmod(0o664)
    assert settings.load(str(path)).path == str(path)


def test_a_file_that_is_not_regular_is_refused_without_waiting(tmp_path: pathlib.Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, pathlib.Path("/dev/zero")):
        with pytest.raises(settings.ConfigError, match="not a regular file"):
            settings.load(str(path))


def test_a_huge_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rcron.conf"
    path.write_bytes(b"")
    os.truncate(path, 1 << 30)
    with pytest.raises(settings.ConfigError, match="larger than 65536 bytes"):
        settings.load(str(path))


def test_an_unreadable_file_is_refused_with_the_fix(tmp_path: pathlib.Path) -> None:
    with pytest.raises(settings.ConfigError, match="cannot be read: Not a directory"):
        settings.load("/etc/passwd/rcron.conf")
    with pytest.raises(settings.ConfigError, match="not a file name"):
        settings.load("a\0b")


def test_a_configuration_in_a_folder_that_everyone_may_write_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rcron.conf"
    path.write_text("")
    assert settings.load(str(path))
    tmp_path.chmod(0o777)
    with pytest.raises(settings.ConfigError, match=f"everyone may write its folder, .* chmod o-w {tmp_path}/"):
        settings.load(str(path))


def test_default_of_every_setting_is_what_its_parser_gives() -> None:
    texts = {**settings.FACILITIES, **settings.LEVELS}
    for name, (parser, default) in settings.SETTINGS.items():
        named = [text for text, number in texts.items() if name.startswith("syslog_") and number == default]
        assert default in [parser(text) for text in (named or [str(default)]) if text.startswith("LOG_") or not named]


def test_the_crontab_module_takes_the_same_longest_wait_as_rcron() -> None:
    """The module runs where the wrapper's package is not installed, so the limit is written there too."""
    source = (CHECKOUT / "plugins/module_utils/crontab.py").read_text()
    assert f"\nMOST_SECONDS = {settings.MAX_SECONDS}  #" in source
