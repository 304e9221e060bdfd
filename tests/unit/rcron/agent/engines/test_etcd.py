# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The engine etcd, against a gateway that speaks as etcd 3.4.23 did."""

import base64
import http.server
import json
import pathlib
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rcron.agent.conf import AgentConf
from rcron.agent.engines import KEEP_EACH, Claim, EngineError, Lease, etcd

CLAIM = Claim("c1", "root", "report", "1764320400", "t1", "node1", 1764320401)


class Gateway(http.server.ThreadingHTTPServer):
    """As much of etcd's JSON gateway as the engine uses, and faults.

    pairs: what each key holds: its value, and the revisions of its creation and its last change. lost: how many of the
    next answers get lost after what they answer has been done. bodies: what to answer instead. seen: the paths that
    were asked for. passwords: the password of each user, if users are asked for. compacted: the oldest revision that is
    still there. size: the database's, in bytes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pairs: "dict[str, list[Any]]" = {}
        self.revision = 1
        self.lost = 0
        self.bodies: "list[tuple[int, bytes]]" = []
        self.seen: "list[str]" = []
        self.passwords: "dict[str, str]" = {}
        self.tokens: "list[str]" = []
        self.leases: "dict[str, str]" = {}
        self.lock = threading.Lock()
        self.compacted = 1
        self.size = 20480

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what some tests are about."""

    def keys(self) -> "list[str]":
        """The keys, decoded."""
        return sorted(base64.b64decode(key).decode() for key in self.pairs)

    def do(self, path: str, document: "dict[str, Any]", token: str) -> "tuple[int, dict[str, Any]]":
        """Do what a request says."""
        if path == "/v3/auth/authenticate":
            if self.passwords.get(document["name"]) != document["password"]:
                return 400, {"error": "etcdserver: authentication failed, invalid user ID or password", "code": 3}
            self.tokens.append(f"token{len(self.tokens)}")
            return 200, {"token": self.tokens[-1]}
        if self.passwords and token != (self.tokens or [""])[-1]:
            return 401, {
                "error": "etcdserver: invalid auth token",
                "code": 16,
                "message": "etcdserver: invalid auth token",
            }
        if path == "/v3/kv/range":
            if int(document.get("revision", self.compacted)) < self.compacted:
                return 400, {"error": "etcdserver: mvcc: required revision has been compacted", "code": 11}
            return 200, self.range(document)
        if path == "/v3/lease/grant":
            self.leases[str(len(self.leases) + 7)] = ""
            return 200, {"ID": str(len(self.leases) + 6), "TTL": str(document["TTL"])}
        if path == "/v3/lease/revoke":
            self.end(document["ID"])
            return 200, {}
        if path == "/v3/maintenance/status":
            header = {"revision": str(self.revision)}
            return 200, {"version": "3.4.23", "header": header, "dbSize": str(self.size)}
        assert path == "/v3/kv/txn", path
        holds = all(self.compare(each) for each in document.get("compare", []))
        responses = [self.operate(each) for each in document.get("success" if holds else "failure", [])]
        found: "dict[str, Any]" = {"header": {"revision": str(self.revision)}, "responses": responses}
        return 200, {**found, **({"succeeded": True} if holds else {})}

    def end(self, lease: str) -> None:
        """End a lease, with the key that is bound to it."""
        self.pairs.pop(self.leases.pop(lease), None)

    def compare(self, each: "dict[str, Any]") -> bool:
        """Whether one of a transaction's conditions holds."""
        _value, created, changed = self.pairs.get(each["key"], ["", 0, 0])
        return (
            created == int(each["create_revision"])
            if each["target"] == "CREATE"
            else changed == int(each["mod_revision"])
        )

    def operate(self, each: "dict[str, Any]") -> "dict[str, Any]":
        """One operation of a transaction."""
        (name, request), *more = each.items()
        assert not more
        if name == "request_range":
            return {"response_range": self.range(request)}
        if name == "request_delete_range":
            for pair in self.range(request).get("kvs", []):
                del self.pairs[pair["key"]]
            return {"response_delete_range": {}}
        self.revision += 1
        created = self.pairs.get(request["key"], ["", self.revision])[1]
        self.pairs[request["key"]] = [request["value"], created, self.revision]
        for lease, key in self.leases.items():
            if key == request["key"]:
                self.leases[lease] = ""
        if request.get("lease"):
            self.leases[request["lease"]] = request["key"]
        return {"response_put": {}}

    def range(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """The keys of a range, as etcd returns them."""
        first = base64.b64decode(request["key"])
        last = base64.b64decode(request["range_end"]) if "range_end" in request else first + b"\0"
        top = int(request.get("max_create_revision", 1 << 60))
        found = [
            {"key": key, "create_revision": str(created), "mod_revision": str(changed), "value": value}
            for key, (value, created, changed) in sorted(self.pairs.items(), key=lambda pair: base64.b64decode(pair[0]))
            if first <= base64.b64decode(key) < last and created <= top
        ]
        if request.get("sort_target") == "CREATE":
            found.sort(key=lambda pair: -int(pair["create_revision"]))
        limit = int(request.get("limit", 0)) or len(found)
        if request.get("keys_only"):
            found = [{name: value for name, value in pair.items() if name != "value"} for pair in found]
        return {"kvs": found[:limit], **({"more": True} if len(found) > limit else {})} if found else {}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    server: Gateway

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Do what it says, and answer if this answer is not to be lost."""
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(self.path)
            if self.server.bodies:
                status, body = self.server.bodies.pop(0)
            else:
                status, answer = self.server.do(self.path, document, self.headers.get("Authorization", ""))
                body = json.dumps(answer).encode()
            if self.server.lost:
                self.server.lost -= 1
                self.close_connection = True
                return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gateway() -> "Iterator[Gateway]":
    server = Gateway()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def conf_of(**settings: str) -> AgentConf:
    """An agent.conf with these settings."""
    conf = AgentConf("/etc/rcron/agent.conf")
    for name, value in {"engine": "etcd", **settings}.items():
        setattr(conf, name, value)
    return conf


@pytest.fixture
def engine(gateway: Gateway) -> etcd.Etcd:
    return etcd.Etcd(conf_of(endpoints=gateway.url))


def insist(engine: etcd.Etcd, claim: Claim) -> "tuple[str, int]":
    """Claim as the agent does: until there is an answer. Returns whose the claim is, and how many tries it took."""
    for turn in range(1, 10):
        try:
            return engine.claim(claim).token, turn
        except EngineError:
            continue
    raise AssertionError("no answer")


def test_a_clusters_claims_can_be_deleted(engine: etcd.Etcd, gateway: Gateway) -> None:
    for cluster in ("c1", "c10", "c/1"):
        engine.claim(CLAIM._replace(cluster=cluster))
        engine.claim(CLAIM._replace(cluster=cluster, job="timer", fire="+t1", window=60))
    engine.forget("c1")
    assert gateway.keys() == [
        "/rcron/claims/c%2F1/root/report/1764320400",
        "/rcron/claims/c%2F1/root/timer/%2Bt1",
        "/rcron/claims/c10/root/report/1764320400",
        "/rcron/claims/c10/root/timer/%2Bt1",
        "/rcron/windows/c%2F1/root/timer",
        "/rcron/windows/c10/root/timer",
    ]


def test_what_should_be_changed_at_etcd_is_said(engine: etcd.Etcd, gateway: Gateway) -> None:
    assert engine.remarks() == ["one endpoint: if it is lost, nobody can claim; name all members in endpoints"]
    two = etcd.Etcd(conf_of(endpoints=f"{gateway.url},{gateway.url}"))
    assert two.remarks() == []
    gateway.revision = 30000
    assert "--auto-compaction-retention=1h" in " ".join(two.remarks())
    gateway.compacted = 29000
    assert two.remarks() == []
    gateway.size = 2000 << 20
    assert two.remarks() == [
        "its database has 2000 MiB, and it takes no more claims at 2048 MiB unless --quota-backend-bytes says "
        "otherwise: compact and defragment it"
    ]


def test_the_first_to_claim_has_it(engine: etcd.Etcd) -> None:
    assert engine.claim(CLAIM).token == "t1"
    other = engine.claim(CLAIM._replace(token="t2", node="node2", at=1764320405))
    assert other == ("t1", "node1", 1764320401)


def test_who_asks_again_still_has_it(engine: etcd.Etcd) -> None:
    assert engine.claim(CLAIM).token == "t1"
    assert engine.claim(CLAIM._replace(at=1764320409)) == ("t1", "node1", 1764320401)


@pytest.mark.parametrize("other", [{"cluster": "c2"}, {"user": "app"}, {"job": "other"}, {"fire": "1764320460"}])
def test_another_fire_is_another_claim(engine: etcd.Etcd, other: "dict[str, str]") -> None:
    engine.claim(CLAIM)
    assert engine.claim(CLAIM._replace(token="t2", **other)).token == "t2"


def test_names_do_not_run_into_each_other(engine: etcd.Etcd) -> None:
    engine.claim(CLAIM._replace(job="a/b", fire="c"))
    assert engine.claim(CLAIM._replace(job="a", fire="b/c", token="t2")).token == "t2"


def test_a_claim_whose_answer_was_lost_is_found_by_its_token(engine: etcd.Etcd, gateway: Gateway) -> None:
    gateway.lost = 1
    assert insist(engine, CLAIM) == ("t1", 2)
    assert len(gateway.pairs) == 1


def test_half_of_all_answers_lost_costs_no_claim(engine: etcd.Etcd, gateway: Gateway) -> None:
    found_by_token = 0
    for fire in range(40):
        gateway.lost = fire % 2
        claim = CLAIM._replace(fire=str(fire))
        token, tries = insist(engine, claim)
        assert token == "t1"
        found_by_token += tries > 1
    assert found_by_token == 20


def test_a_member_that_is_gone_is_passed_over(gateway: Gateway) -> None:
    engine = etcd.Etcd(conf_of(endpoints=f"http://127.0.0.1:1, {gateway.url}"))
    assert insist(engine, CLAIM) == ("t1", 2)
    assert insist(engine, CLAIM) == ("t1", 1), "the one that answered is asked again"


def test_the_status_counts_the_members(gateway: Gateway) -> None:
    engine = etcd.Etcd(conf_of(endpoints=f"{gateway.url},http://127.0.0.1:1"))
    assert engine.check().startswith("1 of 2 members; http://127.0.0.1:1: ")


def test_a_user_is_authenticated_once(gateway: Gateway) -> None:
    gateway.passwords = {"rcron": "secret"}
    conf = conf_of(endpoints=gateway.url, user="rcron")
    conf.password = "secret"
    engine = etcd.Etcd(conf)
    for fire in range(5):
        engine.claim(CLAIM._replace(fire=str(fire)))
    assert gateway.seen.count("/v3/auth/authenticate") == 1
    gateway.tokens.append("etcd was restarted")
    assert engine.claim(CLAIM).token == "t1"
    assert gateway.seen.count("/v3/auth/authenticate") == 2


def test_a_wrong_password_is_reported(gateway: Gateway) -> None:
    gateway.passwords = {"rcron": "secret"}
    with pytest.raises(EngineError, match=r"authentication failed.*: correct user and the password's file"):
        etcd.Etcd(conf_of(endpoints=gateway.url, user="rcron")).claim(CLAIM)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b'{"error":"x","code":8,"message":"etcdserver: mvcc: database space exceeded"}', "alarm disarm"),
        (403, b'{"code":7,"message":"etcdserver: permission denied"}', "readwrite with --prefix=true"),
        (404, b"404 page not found\n", "is that etcd 3.4 or newer"),
        (200, b"[]", "not a JSON object"),
        (200, b"[" * 100000, "not JSON"),
        (200, b"{}", "neither whose"),
        (200, b'{"responses":[{"response_range":{}}]}', "neither whose"),
        (200, b'{"responses":7}', "neither whose"),
        (200, b'{"error":7}', "HTTP status 200"),
    ],
)
def test_what_is_not_an_answer_is_cannot_tell(
    engine: etcd.Etcd, gateway: Gateway, status: int, body: bytes, message: str
) -> None:
    gateway.bodies = [(status, body)]
    with pytest.raises(EngineError, match=message):
        engine.claim(CLAIM)
    assert engine.claim(CLAIM).token == "t1", "the connection is used again, or a new one"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with what the page's commands make, and a certificate that has ended, and one for another name."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    page = (pathlib.Path(__file__).resolve().parents[5] / "docs" / "ledger.md").read_text()
    block = page.partition("### etcd with TLS")[2].partition("```sh\n")[2].partition("```")[0]
    assert block.startswith("openssl req -x509")
    sign = "".join(block.splitlines(keepends=True)[2:])
    ended = sign.replace("etcd1.pem", "ended.pem").replace("-days 3650", "-days 0")
    elsewhere = sign.replace("etcd1.pem", "elsewhere.pem").replace("DNS:etcd1,DNS:localhost,IP:127.0.0.1", "DNS:etcd1")
    subprocess.run(["bash", "-euc", block + ended + elsewhere], cwd=folder, check=True, capture_output=True)
    return folder


def test_the_pages_certificates_pass_the_strictest_check(certificates: pathlib.Path) -> None:
    """Python's since 3.13, which asks for more than openssl does by itself."""
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "etcd1.pem"]
    ran = subprocess.run(command, cwd=certificates, check=False, capture_output=True, text=True)
    assert ran.stdout == "etcd1.pem: OK\n", ran.stderr


@pytest.mark.parametrize(
    ("certificate", "authority", "message"),
    [
        ("etcd1", "ca", ""),
        ("ended", "ca", "its certificate: certificate has expired: renew the certificate$"),
        ("elsewhere", "ca", "its certificate: IP address mismatch.*: use an address that the certificate has"),
        ("etcd1", "etcd1", "its certificate: .*: have ca_file name the authority that signed the certificate$"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_with_the_endpoint_and_the_remedy(
    certificates: pathlib.Path, gateway: Gateway, certificate: str, authority: str, message: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{certificate}.pem", certificates / "etcd1.key")
    gateway.socket = context.wrap_socket(gateway.socket, server_side=True, do_handshake_on_connect=False)
    url = gateway.url.replace("http:", "https:")
    engine = etcd.Etcd(conf_of(endpoints=url, ca_file=str(certificates / f"{authority}.pem")))
    if not message:
        assert engine.claim(CLAIM).token == "t1"
        return
    with pytest.raises(EngineError, match=message) as raised:
        engine.claim(CLAIM)
    assert str(raised.value).startswith(f"{url}: ")


def test_somebody_elses_value_there_is_not_ours(engine: etcd.Etcd, gateway: Gateway) -> None:
    engine.claim(CLAIM)
    next(iter(gateway.pairs.values()))[0] = base64.b64encode(b"what?").decode()
    assert engine.claim(CLAIM).token == ""


def test_an_end_is_recorded_once(engine: etcd.Etcd) -> None:
    engine.claim(CLAIM)
    assert engine.ended(CLAIM, 3, 1.5)
    (run,) = engine.history("c1", "", "", 10)
    assert (run.user, run.job, run.node, run.exit, run.duration, run.gave_up) == (
        "root",
        "report",
        "node1",
        3,
        1.5,
        False,
    )
    assert engine.ended(CLAIM, None, 0.0), "it is there"
    assert engine.history("c1", "", "", 10) == [run], "and has been run"


def test_another_agent_of_the_node_records_an_end_too(engine: etcd.Etcd, gateway: Gateway) -> None:
    engine.claim(CLAIM)
    assert etcd.Etcd(conf_of(endpoints=gateway.url)).ended(CLAIM, 0, 1.0)


def test_nobody_ends_anothers_run(engine: etcd.Etcd) -> None:
    engine.claim(CLAIM)
    assert not engine.ended(CLAIM._replace(token="t2"), 0, 1.0)
    assert engine.history("c1", "", "", 10)[0].exit is None


def test_a_claim_that_nobody_runs_is_marked(engine: etcd.Etcd) -> None:
    engine.claim(CLAIM)
    assert engine.ended(CLAIM, None, 0.0)
    assert engine.history("c1", "", "", 10)[0].gave_up


def test_history_comes_in_pages_newest_first(engine: etcd.Etcd) -> None:
    for fire in range(5):
        engine.claim(CLAIM._replace(fire=str(fire)))
    engine.claim(CLAIM._replace(user="app", fire="9"))
    first = engine.history("c1", "root", "", 3)
    assert [run.fire for run in first] == ["4", "3", "2"]
    assert [run.fire for run in engine.history("c1", "root", "report", 3, first[-1].cursor)] == ["1", "0"]


def test_a_window_refuses_until_it_is_over(engine: etcd.Etcd, gateway: Gateway) -> None:
    one = CLAIM._replace(fire="+t1", window=60)
    two = one._replace(fire="+t2", token="t2")
    assert engine.claim(one).token == "t1"
    assert engine.claim(two).token == "t1"
    assert len(gateway.leases) == 1, "the second one's lease is given back"
    gateway.do("/v3/lease/revoke", {"ID": next(iter(gateway.leases))}, "")
    assert engine.claim(two).token == "t2"
    assert len(engine.history("c1", "root", "report", 10)) == 2


def test_old_claims_are_deleted_except_for_the_last_of_each_job(
    engine: etcd.Etcd, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time() // 3600 * 3600 + 5
    for fire in range(KEEP_EACH + 30):
        engine.claim(CLAIM._replace(fire=str(fire)))
    engine.claim(CLAIM._replace(job="daily", fire="1"))
    monkeypatch.setattr(time, "time", lambda: now - 86400)
    assert engine.clean("c1", "node1") == 0
    engine.claim(CLAIM._replace(fire="young"))
    monkeypatch.setattr(time, "time", lambda: now)
    assert engine.clean("c1", "node1") == 31
    assert engine.clean("c1", "node2") == 0, "another node has done it in this hour"
    left = {run.fire for run in engine.history("c1", "root", "report", 1000)}
    assert left == {"young", *(str(fire) for fire in range(31, KEEP_EACH + 30))}
    assert len(engine.history("c1", "root", "daily", 10)) == 1


@pytest.mark.parametrize("endpoints", ["etcd:2379", "ftp://etcd:2379", " , ", "http://::1:2379"])
def test_a_wrong_endpoint_is_an_error(endpoints: str) -> None:
    with pytest.raises(ValueError, match=r"http://HOST:PORT|no endpoint|brackets"):
        etcd.Etcd(conf_of(endpoints=endpoints))


def test_a_certificate_that_is_none_is_an_error(tmp_path: pathlib.Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("not a certificate\n")
    with pytest.raises(OSError, match=r"X509|PEM|SSL"):
        etcd.Etcd(conf_of(endpoints="https://etcd:2379", ca_file=str(bad)))


ONE, OTHER = Lease("t1", "node1", 0), Lease("t2", "node2", 0)


def test_a_lease_has_one_holder(engine: etcd.Etcd) -> None:
    assert engine.lease("c1") is None
    mine = engine.hold("c1", ONE, 10)
    assert mine is not None
    assert mine[:2] == ("t1", "node1")
    assert engine.hold("c1", OTHER, 10) == mine
    assert engine.lease("c1") == mine
    assert engine.lease("c2") is None


def test_each_renewal_is_bound_to_a_lease_of_its_own(engine: etcd.Etcd, gateway: Gateway) -> None:
    mine = engine.hold("c1", ONE, 10)
    assert mine is not None
    for _turn in range(3):
        first = next(iter(gateway.leases))
        renewed = engine.hold("c1", mine, 10)
        assert renewed is not None
        assert renewed[:4] == mine[:4]
        assert renewed.renewed != mine.renewed
        gateway.end(first)
        assert engine.lease("c1") == renewed, "what it was bound to before has ended"
    assert "/v3/lease/keepalive" not in gateway.seen


def test_a_lease_that_has_ended_is_not_renewed(engine: etcd.Etcd, gateway: Gateway) -> None:
    mine = engine.hold("c1", ONE, 10)
    assert mine is not None
    gateway.end(next(iter(gateway.leases)))
    assert engine.hold("c1", mine, 10) is None
    assert engine.lease("c1") is None


def test_the_term_grows_with_each_holder(engine: etcd.Etcd) -> None:
    terms = []
    for turn in range(6):
        mine = engine.hold("c1", (ONE, OTHER)[turn % 2], 10)
        assert mine is not None
        terms.append(mine.term)
        engine.release("c1", mine)
        assert engine.lease("c1") is None
    assert terms == sorted(set(terms))


def test_nobody_renews_or_releases_what_another_has_by_now(engine: etcd.Etcd) -> None:
    old = engine.hold("c1", ONE, 10)
    assert old is not None
    engine.release("c1", old)
    new = engine.hold("c1", OTHER, 10)
    assert engine.hold("c1", old, 10) == new
    engine.release("c1", old)
    assert engine.lease("c1") == new


def test_the_holders_place_is_known_and_who_asks_for_the_lease(engine: etcd.Etcd, gateway: Gateway) -> None:
    engine.hold("c1", ONE._replace(place=3), 10)
    found = engine.lease("c1")
    assert found is not None
    assert found.place == 3
    assert engine.wanted("c1") is None
    engine.ask_for("c1", 12, 10)
    (second,) = gateway.leases.keys() - {"7"}
    engine.ask_for("c1", 1, 10)
    (first,) = gateway.leases.keys() - {"7", second}
    assert engine.wanted("c1") == 1
    assert engine.wanted("c2") is None
    assert engine.wanted("c") is None
    gateway.end(first)
    assert engine.wanted("c1") == 12
    gateway.end(second)
    assert engine.wanted("c1") is None


def test_somebody_elses_key_is_nobodys_wish(engine: etcd.Etcd, gateway: Gateway) -> None:
    engine.ask_for("c1", 1, 10)
    (key,) = gateway.pairs
    gateway.pairs[base64.b64encode(b"/rcron/wanted/c1/first").decode()] = gateway.pairs.pop(key)
    assert engine.wanted("c1") is None


def test_a_lease_taken_by_a_lost_answer_is_not_said_to_be_renewed(engine: etcd.Etcd, gateway: Gateway) -> None:
    granted = (200, b'{"ID": "7"}')
    gateway.leases["7"] = ""
    gateway.bodies = [granted]
    gateway.lost = 0
    post = gateway.do

    def lose(path: str, document: "dict[str, Any]", token: str) -> "tuple[int, dict[str, Any]]":
        gateway.do = post  # type: ignore[method-assign]
        gateway.lost = 1
        return post(path, document, token)

    gateway.do = lose  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        engine.hold("c1", ONE, 10)
    with pytest.raises(EngineError, match="ours by an earlier request"):
        engine.hold("c1", ONE, 10)
    mine = engine.lease("c1")
    assert mine is not None
    assert mine.token == "t1"
    renewed = engine.hold("c1", mine, 10)
    assert renewed is not None
    assert renewed.term == mine.term


@pytest.mark.parametrize(
    ("grant", "body", "message"),
    [
        (b"{}", b"{}", "does not name the lease"),
        (b'{"ID": "7"}', b"{}", "neither whose"),
        (b'{"ID": "7"}', b'{"responses": 7}', "neither whose"),
        (b'{"ID": "7"}', b'{"succeeded": true}', "without a revision"),
        (b'{"ID": "7"}', b'{"succeeded": true, "header": {"revision": "x"}}', "without a revision"),
        (b'{"ID": "7"}', b'{"succeeded": true, "header": {"revision": "0"}}', "without a revision"),
    ],
)
def test_what_is_not_an_answer_gives_no_lease(
    engine: etcd.Etcd, gateway: Gateway, grant: bytes, body: bytes, message: str
) -> None:
    gateway.bodies = [(200, grant), (200, body)]
    with pytest.raises(EngineError, match=message):
        engine.hold("c1", ONE, 10)


def test_somebody_elses_value_is_another_holders(engine: etcd.Etcd, gateway: Gateway) -> None:
    engine.hold("c1", ONE, 10)
    next(iter(gateway.pairs.values()))[0] = base64.b64encode(b"what?").decode()
    found = engine.hold("c1", ONE, 10)
    assert found is not None
    assert found[:2] == ("", "")
