# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""playbooks/report.yml, and its page in a real browser. What the page says: plugins/filter/test_rcron_report.py."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
from typing import Any

import pytest
from ansible_collections.rcron.cluster.plugins.filter.rcron_report import rcron_report

from tests.browser import Browser
from tests.unit.plugins.filter import test_rcron_report as answers

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
AXE = CHECKOUT / ".build" / "axe" / "axe-4.14.1.js"

in_a_browser = pytest.mark.needs("chromium", "chromium")


def written(hosts: dict[str, Any], path: pathlib.Path) -> pathlib.Path:
    """Have the filter write a page about hosts, and return its path."""
    path.write_text(rcron_report(hosts))
    return path


@pytest.fixture
def page(tmp_path):
    """A page about two clusters, with all that a page can have."""
    second = answers.cluster("active", "mail", conf="/etc/rcron/mail.conf")
    now = time.time() - answers.NOW
    job = "/bin/report <b>"
    log = [
        *answers.run(now - 7200, job),
        *answers.run(now - 300, job, 3),
        *answers.run(now - 90, "/bin/m", name="mail"),
    ]
    since = {
        "time": time.time(),
        "events_since": time.time() - 86400 * 2,
        "boots": [{"begin": 0.0, "end": time.time()}],
    }
    entries = [answers.entry(job, name="report")]
    last = answers.last_run(now - 300, job, 3)
    active = answers.host(answers.cluster("active"), second, events=log, entries=entries, runs=[last], **since)
    hosts = {"node1": active, "node2": answers.host(entries=entries, **since)}
    return written({**hosts, "gone": {"unreachable": True, "msg": "No route to host"}}, tmp_path / "report.html")


@pytest.fixture
def browser(tmp_path):
    found = Browser(tmp_path / "browser")
    yield found
    found.close()


def test_the_page_is_written_where_the_playbook_was_started(playbook_here, tmp_path):
    path = tmp_path / "here" / "report.html"
    tried = playbook_here("report", "--check")
    assert tried.returncode == 0, tried.stdout
    assert not path.exists()
    done = playbook_here("report")
    assert done.returncode == 0, done.stdout
    assert f'"msg": "{path}"' in done.stdout
    text = path.read_text()
    assert "unreachable: " in text
    assert path.stat().st_mode & 0o777 == 0o600
    # What a host says is no template, and nothing is left beside the page.
    assert not (tmp_path / "template").exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    # One that somebody reads meanwhile stays whole: the new one takes its name.
    with path.open() as old:
        assert playbook_here("report", "--limit", "node1").returncode == 0
        assert old.read() == text
    assert path.read_text() != text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rcron_report_hour=1", "unknown variable rcron_report_hour (did you mean rcron_report_hours?)"),
        ("rcron_report_hours=745", "rcron_report_hours is 745: give a number of hours above 0, up to 744"),
        (
            "rcron_report_file=no/such/folder.html",
            "rcron_report_file is no/such/folder.html: name a file in an existing",
        ),
    ],
)
def test_invalid_variables_are_refused(playbook_here, words, said):
    done = playbook_here("report", "-e", words)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Examine every host" not in done.stdout


@pytest.fixture
def axe():
    """The source of axe-core."""
    if not AXE.exists():
        if shutil.which("npm") is None:
            give_up = pytest.fail if os.environ.get("RCRON_REQUIRE_ALL") else pytest.skip
            give_up("npm is not installed (Debian's package npm)")
        subprocess.run([CHECKOUT / "tests" / "axe.sh", AXE], check=True)
    return AXE.read_text()


def violations(browser: Browser, axe: str) -> list[Any]:
    """What axe-core finds: the rule, and the first element that breaks it."""
    browser.evaluate(f"{axe};0")
    return browser.evaluate(
        "axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html, v.nodes[0].failureSummary]))"
    )


@in_a_browser
def test_nothing_leaves_the_page_and_nobody_is_kept_out(page, browser, axe):
    # High enough for all of it to be laid out.
    browser.ask("Emulation.setDeviceMetricsOverride", width=1200, height=4000, deviceScaleFactor=1, mobile=False)
    browser.open(page)
    assert browser.evaluate("document.querySelectorAll('.timeline svg text').length") > 2
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        assert violations(browser, axe) == []
    browser.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert violations(browser, axe) == []
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    # The two checks above find what they look for.
    browser.evaluate("document.querySelector('input').labels[0].remove()")
    assert [rule for rule, *_where in violations(browser, axe)] == ["label"]
    browser.evaluate("fetch('http://192.0.2.1/').catch(() => 0)")
    browser.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://192.0.2.1/' }))")
    assert any("Content Security Policy" in said for said in browser.complaints)


@in_a_browser
def test_hostile_text_stays_text(tmp_path, browser):
    bad = "</script><script>taken = 1</script><img src=x onerror='taken = 1'>\u202e{{ 1 }}"
    a = answers.host(
        answers.cluster("active", name=bad),
        entries=[answers.entry(bad, name=bad, user=bad)],
        events=[{**event, "cluster": bad, "message": bad} for event in answers.run(-60, bad)],
        time=answers.NOW,
    )
    browser.open(written({bad: a, "gone": {"msg": bad}}, tmp_path / "report.html"))
    browser.evaluate("document.querySelector('.timeline').focus()")
    for key in ("ArrowUp", "ArrowRight", "ArrowLeft"):
        browser.press(key)
    shown = bad.replace("\u202e", "\\u202e")
    assert shown in browser.evaluate("document.querySelector('.tip').textContent")
    assert shown in browser.evaluate("document.querySelector('main').textContent")
    assert browser.evaluate("typeof taken") == "undefined"
    assert browser.evaluate("document.images.length") == 0
    assert browser.complaints == []


@in_a_browser
def test_the_timeline_is_looked_at_with_a_mouse_or_with_keys(page, browser):
    browser.open(page)

    def tip() -> str:
        return browser.evaluate("document.querySelector('.tip').textContent")

    def first() -> str:
        return browser.evaluate("document.querySelector('.timeline .grid + text').textContent")

    lane = "document.querySelector('.timeline svg .band').getBoundingClientRect().toJSON()"
    browser.evaluate("document.querySelector('.timeline').scrollIntoView()")
    at = browser.evaluate(lane)
    # Two hours before the end.
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=at["right"] - at["width"] * 2 / 24, y=at["top"] + 3)
    assert "active, " in tip()
    assert "ok: /bin/report <b>, 5 s" in tip()
    browser.evaluate("document.querySelector('.timeline').focus()")
    browser.press("ArrowUp")
    browser.press("ArrowLeft")
    assert "failed: /bin/report <b>" in tip()
    whole = first()
    browser.press("+")
    assert first() != whole
    browser.press("0")
    assert first() == whole
    browser.evaluate("document.querySelector('[data-key=\"+\"]').click()")
    assert first() != whole


@in_a_browser
def test_rows_are_filtered_and_print_has_everything(page, browser):
    browser.open(page)
    rows = "[...document.querySelectorAll('tbody tr')].filter((row) => row.checkVisibility()).length"
    every = browser.evaluate(rows)
    browser.evaluate("filter.value = 'unreachable'; filter.dispatchEvent(new Event('input'))")
    assert 0 < browser.evaluate(rows) < every
    assert " of " in browser.evaluate("filtered.textContent")
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("document.querySelector('details').open")
    browser.ask(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
