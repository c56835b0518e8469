"""What one client sends holds up, tells, or remembers no more than it may."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import make_mocked_request

from reconciler.platforms.local import manifest as manifests
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.documents import AccessDocument, Entry
from reconciler.platforms.local.images import MISSING_SAID
from reconciler.platforms.local.manifest import OCI_MANIFEST, ManifestError
from reconciler.platforms.local.server import auth, logs, tokens, turns
from reconciler.platforms.local.server.logins import Attempt, Logins
from tests.images import CONFIG, LAYER, Image, descriptor, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # most have a server of their own


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app", "other"), collect_every=0) as found:
        yield found


def with_layers(count: int) -> bytes:
    layers = [descriptor(f"layer {number}".encode(), LAYER) for number in range(count)]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(b"{}", CONFIG), "layers": layers}
    return json.dumps(document).encode()


# -- manifests ---------------------------------------------------------------------------------------------------


def test_a_manifest_of_very_many_values_is_not_parsed() -> None:
    many = {f"a{number}": "" for number in range(manifests.PARTS_MOST)}
    with pytest.raises(ManifestError, match="more than 100,000 lists, objects and values"):
        manifests.pushed(json.dumps({"schemaVersion": 2, "annotations": many}).encode(), OCI_MANIFEST)


def test_a_manifest_refers_to_no_more_than_can_be_looked_for() -> None:
    with pytest.raises(ManifestError, match="more than 10,000 blobs and manifests"):
        manifests.pushed(with_layers(manifests.REFERENCES_MOST), OCI_MANIFEST)
    assert manifests.pushed(with_layers(manifests.REFERENCES_MOST - 1), OCI_MANIFEST)


def test_what_a_manifest_lacks_is_looked_for_without_the_lock_and_named_up_to_a_hundred(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(self: Content) -> Any:
        raise AssertionError("the lock is asked for")

    with monkeypatch.context() as watching:
        watching.setattr(Content, "changing", locked)
        refused = registry.put("app", "v1", with_layers(500))
    assert refused.status_code == 400
    assert len(refused.json()["errors"]) == MISSING_SAID


# -- logins and tokens -------------------------------------------------------------------------------------------


def test_a_token_is_for_so_many_scopes_and_each_counts_once(registry: Served) -> None:
    names = [f"repository:a{number}:pull" for number in range(auth.SCOPES_MOST + 1)]
    assert registry.http.get("/token", params={"scope": names[:-1] * 2}).status_code == 200
    refused = registry.http.get("/token", params={"scope": " ".join(names)})
    assert refused.status_code == 400
    assert "at most 100 scopes, and 101 were requested" in refused.text


def test_an_address_has_one_place_among_those_whose_secrets_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that guesses at many IDs keeps an honest one from another address waiting for one check, not for all of its own."""
    order: list[str] = []
    go_on = threading.Event()

    def checked(stored: str, secret: str) -> bool:
        order.append(secret)
        go_on.wait(30)
        return False

    monkeypatch.setattr("reconciler.platforms.local.server.logins.is_right", checked)

    def attempt(number: int, secret: str) -> Attempt:
        from datetime import UTC, datetime

        from reconciler.platforms.local.documents import CredentialsDocument

        issued = CredentialsDocument(f"{number:016x}", "", frozenset(), "pull", datetime.now(UTC), "hash")
        return Attempt(issued, secret)

    async def play() -> None:
        logins = Logins(None)  # type: ignore[arg-type]  # no credentials are read
        guesses = [
            asyncio.create_task(logins.check(attempt(number, f"guess {number}"), "10.0.0.1", lambda: True))
            for number in range(20)
        ]
        while not order:
            await asyncio.sleep(0.01)
        honest = asyncio.create_task(logins.check(attempt(99, "honest"), "10.0.0.2", lambda: True))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(honest, *guesses)
        logins.close()

    asyncio.run(play())
    assert order.index("honest") <= 2, order


def test_what_is_remembered_of_tokens_counts_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 60_000)
    found = tokens.Tokens("images", b"key")
    access = [{"type": "repository", "name": f"a{number}", "actions": ["pull"]} for number in range(100)]
    for number in range(5):
        found.read(found.issue(str(number), access, None)["token"])
        assert len(found._read) == 1


def test_rights_are_put_together_once_for_all_questions() -> None:
    document = AccessDocument("app", (Entry("one", ("alice", "bob"), "push-pull"), Entry("two", ("*",))))
    assert document.allows("") == {"pull"}
    assert document.allows("alice") == {"pull", "push"}
    assert document.allows("carol") == {"pull"}
    assert document._rights is document._rights
    assert AccessDocument("app", (Entry("one", ("alice",)),)).allows("") == frozenset()


def test_a_mount_looks_in_as_many_places_for_what_nobody_has_as_for_what_others_have(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = open_document(local, "app", "other")
    document["repositories"].append({"name": "secret", "registry": "images"})
    document["grants"][0]["repositories"] = ["app", "other"]
    with served(local, document, collect_every=0) as registry:
        content: Content = registry.session.content
        hidden = content.start_upload("secret")
        hidden.append(b"hidden")
        content.finish_upload(hidden, digest(b"hidden"))
        looked: list[tuple[str, str]] = []
        real = Content.has_blob

        def counted(self: Content, name: str, wanted: str) -> bool:
            looked.append((name, wanted))
            return real(self, name, wanted)

        monkeypatch.setattr(Content, "has_blob", counted)
        for body in (b"hidden", b"nobody has it"):
            answer = registry.http.post("/v2/app/blobs/uploads/", params={"mount": digest(body)})
            assert answer.status_code == 202
        places = [[name for name, wanted in looked if wanted == digest(body)] for body in (b"hidden", b"nobody has it")]
        assert sorted(places[0]) == sorted(places[1])
        assert len(places[0]) > 1


# -- connections -------------------------------------------------------------------------------------------------


def test_a_proxy_with_an_ipv6_address_has_no_limit(local: LocalSandbox) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6 address of its own, ::1")
    options: dict[str, Any] = {"host": "::1", "connections_per_address": 2}
    proxies = {"trusted_proxies": (ip_network("::1/128"),)}
    for more, answered in (({}, 2), (proxies, 6)):
        with served(local, open_document(local, "app"), collect_every=0, **options, **more) as registry:
            clients = [httpx.Client(base_url=registry.server.url) for _ in range(6)]
            found = [client.get("/v2/app/tags/list").status_code for client in clients]
            assert found.count(503) == 6 - answered, found
            for client in clients:
                client.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted as Linux lists them")
def test_a_client_that_leaves_while_it_waits_for_its_turn_frees_its_place(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "AT_ONCE", 1)
    monkeypatch.setattr(turns, "A_SECOND", 0.001)

    def come_to(wanted: Callable[[int], bool]) -> bool:
        for _ in range(400):
            if wanted(len(os.listdir("/proc/self/fd"))):
                return True
            time.sleep(0.05)
        return False

    with served(local, open_document(local, "app"), collect_every=0) as registry:
        where = httpx.URL(registry.server.url)
        wrong = ("reconciler", f"rcl_{'0' * 16}_{'a' * 43}")
        with httpx.Client(base_url=registry.server.url) as guessing:
            assert guessing.get("/v2/", auth=wrong).status_code == 401
            before = len(os.listdir("/proc/self/fd"))
            clients = [socket.create_connection((where.host, where.port or 0)) for _ in range(20)]
            assert come_to(lambda held: held >= before + 40), "both ends of each are open"
            for client in clients:
                client.close()
            assert come_to(lambda held: held <= before), "nobody's place is kept until its turn"


def test_wrong_passwords_in_a_form_are_paced_as_others_are(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "AT_ONCE", 1)
    monkeypatch.setattr(turns, "A_SECOND", 0.01)
    with served(local, open_document(local, "app"), collect_every=0) as registry:
        form = {"grant_type": "password", "username": "reconciler", "password": f"rcl_{'0' * 16}_{'a' * 43}"}
        assert httpx.post(f"{registry.server.url}/token", data=form).status_code == 401
        httpx.get(f"{registry.server.url}/v2/")  # the one at once
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"{registry.server.url}/v2/", timeout=1)


# -- the log -----------------------------------------------------------------------------------------------------


def test_a_secret_in_an_address_is_in_no_log(registry: Served, caplog: pytest.LogCaptureFixture) -> None:
    secret = f"rcl_{'0' * 16}_{'s' * 43}"
    where = httpx.URL(registry.server.url)
    registry.push("app", Image(1), "v1")
    (registry.sandbox.root / "control/access/app.json").write_text("damaged")
    with socket.create_connection((where.host, where.port or 0)) as client:
        line = f"GET http://reconciler:{secret}@{where.host}/v2/app/tags/list HTTP/1.1"
        client.sendall(f"{line}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while block := client.recv(1 << 16):
            answer += block
    assert b" 503 " in answer.splitlines()[0]
    assert "/v2/app/tags/list" in caplog.text
    assert "sss" not in caplog.text
    asked = make_mocked_request("GET", f"/token?account=a&password={secret}&scope=repository:app:pull")
    assert logs._shown(asked) == "/token?account=a&scope=repository:app:pull"
