# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What the module makes of its options, of what systemd says of a timer, and of drop-ins that are there already."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import pytest
from ansible_collections.rcron.cluster.plugins.module_utils.timers import drop_in, units
from ansible_collections.rcron.cluster.plugins.modules import rcron_timers

#: What `systemctl show` says of each unit: a service that is guarded has the condition that the drop-in gives it.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{folder}/calls
for unit; do :; done
case "$1 $unit" in
--version*) echo "systemd 252 (252.39-1~deb12u1)" ;;
*backup.timer) printf 'Id=backup.timer\\nLoadState=loaded\\nUnit=dump.service\\nPersistent=yes\\nTimersCalendar={{ OnCalendar=daily }}\\nAccuracyUSec=1s\\n' ;;
*"show --property=Id,ExecCondition "* | show*dump.service)
    printf 'Id=dump.service\\nLoadState=loaded\\n'
    [ ! -e {folder}/system/dump.service.d/50-rcron.conf ] || echo 'ExecCondition={{ argv[]=/usr/bin/rcronctl guard ; }}' ;;
*masked.service) printf 'Id=masked.service\\nLoadState=masked\\n' ;;
show*) printf 'Id=%s\\nLoadState=not-found\\n' "$unit" ;;
esac
"""  # noqa: E501


@pytest.fixture
def run(module: Callable[..., dict], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Return a function that runs the module on a host that has backup.timer, which starts dump.service."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    folders = {scope: str(tmp_path / scope) for scope in ("system", "user")}
    monkeypatch.setattr(drop_in, "FOLDERS", folders)
    monkeypatch.setattr(units, "SYSTEM_FOLDERS", (folders["system"],))
    return lambda **options: module(rcron_timers.main, **options)


def drop_ins(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.conf"))


def test_check_mode_says_what_a_run_does_and_changes_nothing(run: Callable[..., dict], tmp_path: pathlib.Path) -> None:
    asked = [{"unit": "backup.timer", "takeover_wait": 30}]
    tried = run(units=asked, check_mode=True, diff=True)
    assert drop_ins(tmp_path) == []
    assert "daemon-reload" not in (tmp_path / "calls").read_text()
    done = run(units=asked, diff=True)
    assert done == tried
    path = f"{tmp_path}/system/dump.service.d/50-rcron.conf"
    assert done["units"] == [
        {"unit": "backup.timer", "service": "dump.service", "scope": "system", "path": path, "changed": True}
    ]
    assert done["changed"]
    written = pathlib.Path(path).read_text()
    assert "/usr/bin/rcronctl guard --takeover-wait 30 " in written
    assert done["diff"] == [{"before_header": path, "before": "", "after_header": path, "after": written}]
    assert "daemon-reload" in (tmp_path / "calls").read_text()


def test_hazard_is_a_warning_and_a_result(run: Callable[..., dict], monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(rcron_timers.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    result = run(units=[{"unit": "backup.timer"}])
    (hazard,) = result["hazards"]
    assert hazard.startswith("backup.timer: Persistent= catches nothing up")
    assert warned == [hazard]


def test_second_run_changes_nothing(run: Callable[..., dict]) -> None:
    run(units=[{"unit": "backup.timer"}])
    again = run(units=[{"unit": "backup.timer"}], diff=True)
    assert (again["changed"], again["diff"], again["units"][0]["changed"]) == (False, [], False)


def test_removal_is_previewed_and_done_once(run: Callable[..., dict], tmp_path: pathlib.Path) -> None:
    run(units=[{"unit": "backup.timer"}])
    tried = run(state="absent", check_mode=True, diff=True)
    assert drop_ins(tmp_path) == ["system/dump.service.d/50-rcron.conf"]
    assert run(state="absent", diff=True) == tried
    assert (tried["changed"], tried["diff"][0]["after"]) == (True, "")
    assert drop_ins(tmp_path) == []
    assert run(state="absent")["changed"] is False


def test_every_refusal_is_in_the_message_and_nothing_is_written(
    run: Callable[..., dict], tmp_path: pathlib.Path
) -> None:
    result = run(units=[{"unit": name} for name in ("backup.timer", "gone.timer", "masked.service")])
    assert result["failed"]
    assert [refusal.partition(":")[0] for refusal in result["refusals"]] == [
        "gone.timer does not exist",
        "masked.service is masked, so it does not run",
    ]
    for refusal in result["refusals"]:
        assert f"{refusal}." in result["msg"]
    assert drop_ins(tmp_path) == []


@pytest.mark.parametrize(
    ("of_task", "of_unit", "fails"),
    [("fail", {}, True), ("warn", {}, False), ("fail", {"on_missing": "ignore"}, False),
     ("ignore", {"on_missing": "fail"}, True)],
)  # fmt: skip
def test_unit_says_itself_whether_it_may_be_missing(
    run: Callable[..., dict], of_task: str, of_unit: dict[str, str], fails: bool
) -> None:
    result = run(units=[{"unit": "gone.timer", **of_unit}], on_missing=of_task)
    assert result.get("failed", False) is fails


def test_options_reach_the_drop_in(run: Callable[..., dict], tmp_path: pathlib.Path) -> None:
    run(units=[{"unit": "backup.timer"}], rcronctl_path="/opt/rcronctl", conf="/etc/rcron/billing.conf")
    written = (tmp_path / "system" / "dump.service.d" / "50-rcron.conf").read_text()
    assert "/opt/rcronctl --conf /etc/rcron/billing.conf guard " in written
    assert run(state="absent")["changed"] is False  # that is another cluster's
    assert run(state="absent", conf="/etc/rcron/billing.conf")["changed"]


def test_host_without_systemd_is_a_failure_with_the_reason(run: Callable[..., dict], tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho 'no systemd here' >&2\nexit 1\n")
    result = run(units=[{"unit": "backup.timer"}])
    assert (result["failed"], result["refusals"]) == (True, [result["msg"]])
    assert "no systemd here" in result["msg"]


def test_drop_in_that_cannot_be_written_is_a_failure_that_names_it(
    run: Callable[..., dict], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "system").write_text("")
    result = run(units=[{"unit": "backup.timer"}])
    assert result["failed"]
    assert f"{tmp_path}/system" in result["msg"]
