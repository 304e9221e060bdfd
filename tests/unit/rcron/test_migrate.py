# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""rcronctl migrate-check: it reports what differs from the C rcron, in a table of what that did, and nothing else."""

import json
import os
import pathlib
import sys
import threading
import time

import pytest

from rcron import ctl, migrate, settings, state
from tests.unit.rcron import c_rcron

ROWS = json.loads(c_rcron.TABLE.read_text(encoding="utf-8"))
PACKAGE = pathlib.Path(__file__).resolve().parents[3]

#: This rcron, as c_rcron.run starts it.
OURS = [
    sys.executable,
    "-IS",
    "-c",
    f"'import sys; sys.path.insert(0, \"{PACKAGE}\"); from rcron import __main__; __main__.launch()'",
]


def rows(kind: str) -> "list[object]":
    return [
        pytest.param(row[kind], row["c"], id=row[kind].encode("unicode_escape").decode()) for row in ROWS if kind in row
    ]


def levels(found: "list[migrate.Finding]") -> "list[str]":
    return [finding.level for finding in found]


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(ROWS) >= 123
    assert f"{len(ROWS)} comparisons" in (PACKAGE / "docs/migrate.md").read_text(encoding="utf-8")
    assert {name for row in ROWS for name in row} == {"conf", "state", "crontab", "c"}


@pytest.mark.parametrize(("text", "theirs"), rows("conf"))
def test_what_it_says_of_a_configuration_is_true(text: str, theirs: str, tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.write_bytes(text.encode("latin-1"))
    found, config = migrate.in_conf(str(conf))
    assert config is not None, "what is left once the mistakes are out is a configuration"
    if not found:
        ours = settings.load(str(conf))
        assert theirs in ("refuses", f"runs at nice {ours.nice_level}")
        return
    with pytest.raises(settings.ConfigError) as refused:
        settings.load(str(conf))
    said = f"{found[0].where}: {found[0].text}"
    assert levels(found) == [migrate.FIX] * len(found)
    assert said.startswith(str(refused.value))
    assert (". The C rcron " in said) == (theirs != "refuses"), "it is said what the C rcron does with it"


@pytest.mark.parametrize(("text", "theirs"), rows("state"))
def test_what_it_says_of_a_state_file_is_true(text: str, theirs: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(text.encode("latin-1"))
    assert (migrate.c_state(str(path)) or "default") == theirs
    says = set()
    for default in (settings.ACTIVE, settings.PASSIVE):
        config = settings.parse(f"state_file = {path}\ndefault_state = {default}\n", "f")
        found = migrate.in_state(config)
        verdict = state.current(config)
        says.add((verdict.state if verdict.source == state.FILE else "default", *levels(found)))
    ((ours, *reported),) = says
    assert reported == ([] if ours == theirs else [migrate.FIX])


#: Lines that give the same here and there, but only with these words, this folder, or by chance.
ALIKE_BY_CHANCE = {
    "rcron export A=1",
    "rcron umask 022",
    "rcron . ./a1",
    "rcron exit 3",
    "rcron show '\\'",
    "rcron ! false",
}


@pytest.mark.parametrize(("line", "theirs"), rows("crontab"))
def test_what_it_says_of_a_crontab_line_is_true(line: str, theirs: str, tmp_path: pathlib.Path) -> None:
    ours = c_rcron.outcome(tmp_path, OURS, {"crontab": line})
    found = [level for level, _text in migrate.in_command(line)]
    if ours != theirs:
        assert found, f"here it gives {ours!r}"
    elif line not in ALIKE_BY_CHANCE:
        assert migrate.FIX not in found
    else:
        assert migrate.FIX in found


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("rcron show 'x;show y'", "rcron -c 'show x;show y'"),
        ("rcron cd / && pwd", "rcron -c 'cd / && pwd'"),
        ("rcron A=1 show x", "rcron -c 'A=1 show x'"),
        ("rcron show a '' b", "rcron -c 'show a  b'"),
        ("rcron --conf /etc/rcron/b.conf show '$HOME'", "rcron -c 'show $HOME'"),
    ],
)
def test_the_line_that_it_proposes_does_what_the_c_rcron_did(line: str, form: str, tmp_path: pathlib.Path) -> None:
    ((_level, text), *_others) = migrate.in_command(line)
    assert text.endswith(f"rite: {form}")
    assert list(migrate.in_command(form)) == []
    if "--conf" not in line and "&&" not in line:  # where cd has an effect at last
        (theirs,) = [row["c"] for row in ROWS if row.get("crontab") == line]
        assert c_rcron.outcome(tmp_path, OURS, {"crontab": form}) == theirs


def test_a_percent_sign_is_proposed_as_cron_needs_it() -> None:
    ((_level, text),) = migrate.in_command("rcron date '+%F %T'")
    assert r"rcron -c 'date +\%F \%T'" in text


def test_a_value_that_only_the_shell_knows_is_to_be_looked_at() -> None:
    assert [level for level, _text in migrate.in_command("rcron $JOB")] == [migrate.LOOK]
    assert [level for level, _text in migrate.in_command("rcron 'run '\"$JOB\" '*'")] == [migrate.LOOK, migrate.FIX]


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.chmod(0o666)])
def test_a_configuration_that_cannot_be_used_is_a_finding(spoil, tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.touch()
    spoil(conf)
    (finding,), config = migrate.in_conf(str(conf))
    assert (finding.level, finding.where, config) == (migrate.FIX, str(conf), None)
    assert finding.text.endswith("The C rcron runs jobs all the same")


def test_thousands_of_mistakes_are_not_all_shown(tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.write_text("a\n" * 20000)
    found, config = migrate.in_conf(str(conf))
    assert (len(found), config) == (migrate.MOST + 1, None)


@pytest.mark.parametrize("kind", ["fifo", "folder", "missing"])
def test_a_state_file_that_is_not_a_file_is_left_alone(kind: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    assert migrate.in_state(settings.parse(f"state_file = {path}\n", "f")) == []


@pytest.mark.parametrize("is_protected", [True, False])
def test_no_link_of_a_feeder_s_user_has_another_process_s_fifo_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, is_protected: bool
) -> None:
    """What is written into a FIFO is lost once somebody has opened it, and a watchdog is armed by that."""
    if not is_protected:
        monkeypatch.setattr(
            migrate.files, "open_regular", lambda path, _follow: os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        )
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "state").symlink_to("fifo")
    found: "list[str | None]" = []
    opened = False

    def look() -> None:
        limit = time.monotonic() + (0.3 if is_protected else 20)
        while not opened and time.monotonic() < limit:
            try:
                found.append(migrate.c_state(str(tmp_path / "state")))
            except BlockingIOError:  # without the protection: the other end is open, and nothing was written
                pass

    thread = threading.Thread(target=look)
    thread.start()
    while thread.is_alive() and not opened:
        try:
            os.close(os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK))
            opened = True
        except OSError:  # nobody has the other end
            pass
    thread.join(20)
    assert opened == (not is_protected)
    assert set(found) <= {None, ""}


def test_a_state_file_that_everyone_may_write_is_a_finding(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state"
    path.write_text("passive\n")
    path.chmod(0o666)
    (finding,) = migrate.in_state(settings.parse(f"state_file = {path}\n", "f"))
    assert "the C rcron takes it for passive, and this one for default_state, active" in finding.text


def test_the_command_reports_all_of_it_and_changes_nothing(tmp_path: pathlib.Path, monkeypatch, capsys) -> None:
    conf, path, etc = tmp_path / "rcron.conf", tmp_path / "state", tmp_path / "etc"
    conf.write_text(f"state_file = {path}\nnice_level = 5\nnice_level = 7\n\ncluster_name = ''\n")
    path.write_text("inactive\n")
    (etc / "cron.d").mkdir(parents=True)
    (etc / "cron.d" / "app").write_text(
        "MAILTO=root\n0 3 * * * root rcron cd /x && job\n0 4 * * * root /usr/bin/rcron job a\n"
    )
    findings = migrate.findings
    monkeypatch.setattr(migrate, "findings", lambda path: findings(path, spools=[], etc=str(etc)))
    before = {str(each): each.stat().st_mtime_ns for each in tmp_path.rglob("*")}
    assert ctl.main(["migrate-check", str(conf)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in out[:-1]] == [
        f"{conf}:3",
        f"{conf}:5",
        str(path),
        f"{etc}/cron.d/app:2",
        f"{etc}/cron.d/app:2",
    ]
    assert "is set a second time (first on line 2); delete one. The C rcron uses the last one" in out[0]
    assert out[-1] == f"4 to fix, 1 to look at in {conf}, {path}, 2 crontab entries"
    assert {str(each): each.stat().st_mtime_ns for each in tmp_path.rglob("*")} == before
    conf.write_text(f"state_file = {path}\n")
    path.write_text("active\n")
    (etc / "cron.d" / "app").unlink()
    assert ctl.main(["migrate-check", str(conf)]) == 0
    assert capsys.readouterr().out == f"0 to fix, 0 to look at in {conf}, {path}, 0 crontab entries\n"


def test_a_line_of_ten_thousand_calls_is_not_quoted_ten_thousand_times(tmp_path: pathlib.Path) -> None:
    """Each finding quotes the rest of the line: it would take root gigabytes."""
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\n")
    (tmp_path / "crontab").write_text(f"* * * * * root {'rcron cd /x;' * 10_000}\n* * * * * root rcron cd /y\n")
    found, _examined = migrate.findings(str(conf), [], str(tmp_path))
    assert sum(len(finding.text) for finding in found) < 200_000
    assert found[-1].where.endswith(":2")
