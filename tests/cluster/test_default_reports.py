# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""check.yml, status.yml, timeline.yml and report.yml on a healthy cluster, and check.yml on one in which nearly
everything is wrong. The tests need a minute of cron behind them, and leave the cluster as it was."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Cluster
from waiting import wait_until

from tests.browser import Browser
from tests.cluster.playbooks import Play

CONF = "/etc/rcron/rcron.conf"


def table(said: str) -> list[str]:
    """The lines of the table that a playbook has printed."""
    return [line.replace('\\"', '"') for line in re.findall(r'^        "(.*?)",?$', said, re.MULTILINE)]


def test_check_passes_on_a_healthy_cluster(play: Play) -> None:
    ran = play("rcron.cluster.check")
    assert ran.returncode == 0, ran.stdout
    assert "All is well." in ran.stdout
    assert "changed=0" in ran.stdout
    assert not re.search(r"changed=[1-9]", ran.stdout)


def test_status_shows_the_cluster_in_one_table(cluster: Cluster, play: Play) -> None:
    ran = play("rcron.cluster.status")
    assert ran.returncode == 0, ran.stdout
    shown = table(ran.stdout)
    assert shown[0].split("  ")[0] == "HOST"
    active = cluster.active()
    for node, line in zip(cluster.nodes, shown[1:4]):
        assert re.match(
            rf"{node}  billing  {'active ' if node is active else 'passive'}  \d{{4}}-\d\d-\d\d \d\d:\d\d  "
            r"keepalived, \d+ s ago +-    5 ",
            line,
        ), line
        # Five entries are ignored in each minute on a passive node.
        assert node is active or int(line.split()[-1]) >= 5, line
    # Fits into a terminal of 100 columns with what Ansible writes around a line.
    assert max(len(line) for line in ran.stdout.splitlines() if line.startswith(" " * 8)) <= 100, ran.stdout
    jobs = {line.rpartition(" billing ")[0].strip(): line.split() for line in shown[6:]}
    assert len(jobs) >= 5  # and what other tests have run
    words = jobs["/usr/local/bin/record user"]
    assert words[-3:-1] == ["ok", "0"]
    assert words[-6] == str(active)
    # The columns are aligned.
    assert len({line.index("billing") for line in shown[6:]}) == 1


def test_timeline_draws_the_last_minutes(cluster: Cluster, play: Play, tmp_path: Path) -> None:
    path = tmp_path / "timeline.svg"
    ran = play("rcron.cluster.timeline", "-e", "rcron_timeline_hours=0.5", "-e", f"rcron_timeline_file={path}")
    assert ran.returncode == 0, ran.stdout
    svg = ET.parse(path).getroot()  # noqa: S314 - our own document
    titles = [title.text or "" for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("billing: ")
    active = cluster.active()
    for node in cluster.nodes:
        state = "active" if node is active else "passive"
        # Its last band ends when the picture does; and the last minute's job.
        assert [title for title in titles if title.startswith(f"{node} ")][-1].startswith(f"{node} {state}, "), titles
        outcome = "ok" if node is active else "ignored"
        assert any(f"/usr/local/bin/record user on {node}: {outcome}, " in title for title in titles), titles
    assert any(re.search(rf"{active}: active, keepalived:VI_rcron is MASTER", title) for title in titles), titles


def test_report_shows_the_last_minutes_in_a_browser(cluster: Cluster, play: Play, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ran = play("rcron.cluster.report", "-e", "rcron_report_hours=0.5", "-e", f"rcron_report_file={path}")
    assert ran.returncode == 0, ran.stdout
    browser = Browser(tmp_path / "browser")
    try:
        browser.open(path)
        shown = browser.evaluate("document.querySelector('main').textContent")
        job = "[...document.querySelectorAll('tbody tr')].find((row) => row.textContent.includes('record user'))"
        cells = browser.evaluate(f"[...{job}.cells].map((cell) => cell.textContent.trim())")
    finally:
        browser.close()
    active = cluster.active()
    assert f"Active: {active} since " in shown, shown
    assert "ok" in cells, cells
    assert re.search(rf"{active} \(\d+\)", cells[-1]), cells
    assert (browser.requests, browser.complaints) == ([path.as_uri()], [])


@pytest.fixture
def broken(cluster: Cluster) -> Iterator[Cluster]:
    """Of three nodes one is down, one is pinned active beside the active one, and that one's crontab and settings are
    not the others'."""
    active = cluster.active()
    down, odd = (node for node in cluster.nodes if node is not active)
    odd.run(
        f"cp {CONF} /root/rcron.conf && sed -i '$ a nice_level = 5' {CONF} && rcronctl pin active --for 10m && "
        "crontab -u alice -l >/root/alice && sed 's:/usr/bin/rcron ::' /root/alice | crontab -u alice -"
    )
    down.kill()
    cluster.nodes[:] = [active, down, odd]
    yield cluster
    odd.run(f"mv /root/rcron.conf {CONF}; rcronctl unpin; crontab -u alice - </root/alice; rm /root/alice")
    down.boot()
    cluster.nodes.sort(key=lambda node: node.name)
    cluster.settle()


def test_check_fails_with_a_table_that_names_the_host(broken: Cluster, play: Play) -> None:
    active, down, odd = broken.nodes
    wait_until(lambda: active.state() == "active", f"{active} is active still", 10)
    ran = play("rcron.cluster.check")
    assert ran.returncode != 0
    shown = table(ran.stdout)
    assert shown[0].split() == ["HOST", "CLUSTER", "PROBLEM"]
    problems = [tuple(line.split(maxsplit=2)) for line in shown[1:]]

    def reported(host: object, what: str) -> bool:
        return any(words[0] == str(host) and re.search(what, " ".join(words[1:])) for words in problems)

    assert reported(down, r"unreachable"), ran.stdout
    assert reported(active, rf"billing active, and so is {odd}: jobs run more than once"), ran.stdout
    assert reported(odd, rf"billing active, and so is {active}: jobs run more than once \(pinned active until"), (
        ran.stdout
    )
    assert reported(odd, r"billing nice_level = 5, but nice_level = 19 elsewhere"), ran.stdout
    assert reported(odd, r"alice: line \d+ is '/usr/local/bin/record user'; it should be '/usr/bin/rcron "), ran.stdout
    assert reported(
        odd, r"billing alice: the prefixed entry '/usr/local/bin/record user' is missing here, but not on"
    ), ran.stdout
    assert f"{len(problems)} problems; the table is above" in ran.stdout
