# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What Patroni's answers mean."""

import json
import os
import pathlib
import time
from typing import Any

import pytest

from rcron import settings
from rcron.agent import clusters, http
from rcron.agent.answer import boottime
from rcron.agent.feeders import patroni
from rcron.settings import ACTIVE, PASSIVE

TTL = 10


class Api:
    """Patroni's REST API: what it answers to which path, and what it was asked for."""

    def __init__(self) -> None:
        self.status = 200
        self.body: "dict[str, Any] | bytes" = {
            "state": "running",
            "role": "master",
            "xlog": {"location": 83886408},
            "timeline": 1,
            "replication": [{"usename": "replicator", "state": "streaming"}],
            "dcs_last_seen": int(time.time()),
            "patroni": {"version": "3.0.2", "scope": "billing"},
        }
        self.config: "dict[str, Any]" = {"ttl": TTL, "loop_wait": 1, "postgresql": {"use_pg_rewind": True}}
        self.failures: "dict[str, OSError]" = {}
        self.asked: "list[str]" = []
        self.users: "set[int]" = set()

    def get(self, url: str, _seconds: float, _tls: http.Tls, users: "set[int]") -> "tuple[int, bytes]":
        self.asked.append(url)
        self.users = users
        path = url[url.rindex("/") :]
        if path in self.failures:
            raise self.failures[path]
        if path == "/config":
            return 200, json.dumps(self.config).encode()
        return self.status, self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def say(self, **values: Any) -> None:
        assert isinstance(self.body, dict)
        self.body.update(values)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    found = Api()
    monkeypatch.setattr(http, "get", found.get)
    return found


@pytest.fixture
def truth(tmp_path: pathlib.Path) -> patroni.PatroniTruth:
    options = {name: default for name, (_parser, default) in patroni.OPTIONS.items()}
    return patroni.PatroniTruth({**options, "url": "http://db1:8008"}, str(tmp_path))


@pytest.mark.parametrize("role", ["master", "primary"])
def test_a_primary_with_the_lock_is_active(api: Api, truth: patroni.PatroniTruth, role: str) -> None:
    api.say(role=role)
    before = boottime()
    answer = truth.ask()
    assert answer.state == ACTIVE
    assert before <= answer.moment <= boottime()
    assert answer.words == f"GET /primary: 200, {role}, PostgreSQL running"
    assert api.asked[0] == "http://db1:8008/primary"


def test_no_word_of_patroni_s_user_s_fills_the_log_and_the_record(api: Api, truth: patroni.PatroniTruth) -> None:
    api.say(role="x" * 200_000, state="y" * 50_000)
    assert len(truth.ask().words) < 200


@pytest.mark.parametrize(("silent", "is_doubted"), [(7.0, False), (9.0, True)])
def test_a_leader_that_was_silent_for_longer_than_its_ttl_waits_for_its_successor_to_notice(
    api: Api, truth: patroni.PatroniTruth, monkeypatch: pytest.MonkeyPatch, silent: float, is_doubted: bool
) -> None:
    now = boottime()
    monkeypatch.setattr(patroni, "boottime", lambda: now)
    assert truth.ask().state == ACTIVE
    api.failures["/primary"] = TimeoutError(110, "no answer in time")
    now += silent
    with pytest.raises(TimeoutError):
        truth.ask()
    del api.failures["/primary"]
    assert truth.ask().state == (None if is_doubted else ACTIVE)
    now += 1 + patroni.MARGIN  # its loop_wait
    assert truth.ask().state == ACTIVE


@pytest.mark.parametrize(("unwatched", "is_doubted"), [(7.0, False), (9.0, True), (float("inf"), True)])
def test_a_new_agent_doubts_a_leader_that_may_have_been_silent_before(
    api: Api, truth: patroni.PatroniTruth, monkeypatch: pytest.MonkeyPatch, unwatched: float, is_doubted: bool
) -> None:
    """Systemd's watchdog ends an agent that stood still with Patroni, and the new one must know no less."""
    now = boottime()
    monkeypatch.setattr(patroni, "boottime", lambda: now)
    truth.gap(unwatched)
    assert truth.ask().state == (None if is_doubted else ACTIVE)
    now += 0.9 + patroni.MARGIN
    assert truth.ask().state == (None if is_doubted else ACTIVE)
    now += 0.1  # its loop_wait
    assert truth.ask().state == ACTIVE


def test_a_new_agent_that_finds_no_patroni_believes_the_one_that_is_started_then(
    api: Api, truth: patroni.PatroniTruth
) -> None:
    truth.gap(float("inf"))
    api.failures["/primary"] = ConnectionRefusedError(111, "refused")
    assert truth.ask().state == PASSIVE
    del api.failures["/primary"]
    assert truth.ask().state == ACTIVE


def test_a_patroni_that_has_been_started_anew_is_believed(
    api: Api, truth: patroni.PatroniTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = boottime()
    monkeypatch.setattr(patroni, "boottime", lambda: now)
    assert truth.ask().state == ACTIVE
    now += 20
    api.failures["/primary"] = ConnectionRefusedError(111, "refused")
    assert truth.ask().state == PASSIVE
    del api.failures["/primary"]
    now += 0.5
    assert truth.ask().state == ACTIVE


def test_somebody_else_on_patronis_port_is_passive(
    api: Api, truth: patroni.PatroniTruth, tmp_path: pathlib.Path
) -> None:
    truth.ask()
    assert api.users == {0, os.geteuid(), tmp_path.stat().st_uid}
    api.failures["/primary"] = http.StrangerError("10.0.0.1:8008 is the user 1000's")
    answer = truth.ask()
    assert (answer.state, answer.words) == (
        PASSIVE,
        "10.0.0.1:8008 is the user 1000's: Patroni does not run there",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a folder of another user's")
def test_the_user_is_remembered_when_the_states_folder_is_gone(api: Api, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 54321, -1)
    options = {name: default for name, (_parser, default) in patroni.OPTIONS.items()}
    truth = patroni.PatroniTruth({**options, "url": "http://db1:8008"}, str(folder))
    truth.ask()
    folder.rmdir()
    truth.ask()
    assert api.users == {0, 54321}


def test_503_is_passive_whatever_comes_with_it(api: Api, truth: patroni.PatroniTruth) -> None:
    api.status = 503
    assert truth.ask().state == PASSIVE
    api.body = b"<html>"
    assert truth.ask().state == PASSIVE


@pytest.mark.parametrize("state", ["stopping", "stopped", "stop failed", "crashed", "start failed", ""])
def test_a_database_that_is_ending_or_gone_is_passive_although_the_lock_is_held(
    api: Api, truth: patroni.PatroniTruth, state: str
) -> None:
    api.say(state=state)
    assert truth.ask().state == PASSIVE


@pytest.mark.parametrize("state", ["starting", "restarting", "unknown"])
def test_a_database_that_is_restarted_with_the_lock_held_says_nothing(
    api: Api, truth: patroni.PatroniTruth, state: str
) -> None:
    api.say(state=state)
    assert truth.ask().state is None


@pytest.mark.parametrize("role", ["replica", "promoted"])
def test_a_promotion_that_is_under_way_says_nothing(api: Api, truth: patroni.PatroniTruth, role: str) -> None:
    api.say(role=role)
    assert truth.ask().state is None
    api.say(state="stopping")
    assert truth.ask().state == PASSIVE


@pytest.mark.parametrize("role", ["demoted", "standby_leader", "uninitialized", ""])
def test_a_database_that_is_not_the_primary_is_passive_although_the_lock_is_held(
    api: Api, truth: patroni.PatroniTruth, role: str
) -> None:
    api.say(role=role)
    assert truth.ask().state == PASSIVE


def test_it_is_passive_before_the_key_can_expire(api: Api, truth: patroni.PatroniTruth) -> None:
    api.say(dcs_last_seen=int(time.time()) - (TTL - 4))
    answer = truth.ask()
    assert answer.state == ACTIVE
    assert 0 < truth.silence <= 2  # so long, and not longer, without an answer
    api.say(dcs_last_seen=int(time.time()) - (TTL - 2))
    answer = truth.ask()
    assert answer.state == PASSIVE
    assert answer.words.endswith("but the store has not answered for 8 s")


def test_the_silence_is_what_is_left_of_the_key(api: Api, truth: patroni.PatroniTruth) -> None:
    truth.ask()
    assert TTL - patroni.MARGIN - 1.5 < truth.silence <= TTL - patroni.MARGIN


def test_in_failsafe_mode_the_stores_age_does_not_matter(api: Api, truth: patroni.PatroniTruth) -> None:
    api.say(dcs_last_seen=int(time.time()) - 1000, failsafe_mode_is_active=True)
    answer = truth.ask()
    assert (answer.state, answer.words.endswith("failsafe mode")) == (ACTIVE, True)
    api.say(state="stopping")
    assert truth.ask().state == PASSIVE


def test_an_old_patroni_that_does_not_tell_when_it_saw_its_store_counts_by_its_status(
    api: Api, truth: patroni.PatroniTruth
) -> None:
    assert isinstance(api.body, dict)
    del api.body["dcs_last_seen"]
    assert truth.ask().state == ACTIVE
    assert truth.silence <= 3


def test_a_patroni_that_is_not_there_is_passive(api: Api, truth: patroni.PatroniTruth) -> None:
    api.failures["/primary"] = ConnectionRefusedError(111, "Connection refused")
    answer = truth.ask()
    assert answer.state == PASSIVE
    assert "does not run" in answer.words


def test_one_that_hangs_cannot_be_asked(api: Api, truth: patroni.PatroniTruth) -> None:
    api.failures["/primary"] = TimeoutError(110, "no answer in time")
    with pytest.raises(TimeoutError):
        truth.ask()


@pytest.mark.parametrize("status", [301, 401, 404, 500, 502])
def test_another_status_says_nothing(api: Api, truth: patroni.PatroniTruth, status: int) -> None:
    api.status = status
    assert truth.ask().state is None


def test_a_garbled_answer_says_nothing(api: Api, truth: patroni.PatroniTruth) -> None:
    api.body = b'{"state": "running", "role": "mast'
    with pytest.raises(ValueError, match="JSON object"):
        truth.ask()


def test_the_ttl_is_asked_for_now_and_then(
    api: Api, truth: patroni.PatroniTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth.ask()
    truth.ask()
    assert [url.rpartition("/")[2] for url in api.asked] == ["primary", "config", "primary"]
    monkeypatch.setattr(patroni, "TTL_AGE", 0.0)
    api.config["ttl"] = 100
    truth.ask()
    assert truth.silence > 90


def test_a_ttl_that_cannot_be_had_leaves_the_one_that_is_known(
    api: Api, truth: patroni.PatroniTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patroni, "TTL_AGE", 0.0)
    truth.ask()
    config: "dict[str, Any]"
    for config in ({}, {"ttl": "soon"}, {"ttl": -1}):
        api.config = config
        assert truth.ask().state == ACTIVE
        assert TTL - patroni.MARGIN - 1.5 < truth.silence <= TTL - patroni.MARGIN
    api.failures["/config"] = TimeoutError(110, "no")
    assert truth.ask().state == ACTIVE
    assert TTL - patroni.MARGIN - 1.5 < truth.silence <= TTL - patroni.MARGIN


@pytest.mark.parametrize(
    ("url", "every", "seconds"),
    [("http://db1:8008", 0.0, 0.5), ("https://db1:8008", 0.0, 1), ("https://db1:8008", 0.3, 0.3)],
)
def test_https_is_asked_less_often(tmp_path: pathlib.Path, url: str, every: float, seconds: float) -> None:
    options = {name: default for name, (_parser, default) in patroni.OPTIONS.items()}
    assert options["every"] == 0
    assert patroni.PatroniTruth({**options, "url": url, "every": every}, str(tmp_path)).every == seconds


def test_a_clusters_file_names_the_url(tmp_path: pathlib.Path) -> None:
    conf = tmp_path / "rcron.conf"
    conf.write_text(f"state_file = {tmp_path}/state\n")
    path = tmp_path / "billing.conf"
    path.write_text(f"conf = {conf}\nfeeder = patroni\nurl = https://db1:8008/\nca_file = /etc/ssl/ca.pem\n")
    cluster = clusters.load("billing", str(path))
    assert (cluster.options["url"], cluster.options["ca_file"]) == ("https://db1:8008", "/etc/ssl/ca.pem")
    assert isinstance(clusters.truth_of(cluster), patroni.PatroniTruth)
    path.write_text(f"conf = {conf}\nfeeder = patroni\nurl = https://db1:8008/primary\n")
    with pytest.raises(settings.ConfigError, match="has a path"):
        clusters.load("billing", str(path))
    path.write_text(f"conf = {conf}\nfeeder = patroni\n")
    with pytest.raises(settings.ConfigError, match="no url"):
        clusters.load("billing", str(path))
