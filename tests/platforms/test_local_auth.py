"""Who may do what with a local registry, over HTTP: issued credentials, tokens, grants, everyone."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.local import credentials as issued
from tests.images import Image, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

GRANTS: tuple[dict[str, Any], ...] = (
    {"name": "devs", "repositories": ["app-*"], "permission": "push-pull", "to": {"type": "local", "users": ["alice"]}},
    {"name": "ops", "repositories": ["app-a"], "to": {"type": "local", "users": ["bob"]}},
)


@contextmanager
def with_images(sandbox: LocalSandbox) -> Iterator[Served]:
    """A registry whose three repositories have an image each."""
    names = ("app-a", "app-b", "other")
    with served(sandbox, sandbox.document(*names, grants=GRANTS)) as found:
        # by a token: a password is hashed, slowly, at each request
        token = token_for(found, found.login("*", push=True), *(f"repository:{name}:pull,push" for name in names))
        found.http.headers["Authorization"] = f"Bearer {token}"
        for name in names:
            found.push(name, Image(1), "v1")
        del found.http.headers["Authorization"]
        yield found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that change nothing which another could see."""
    with with_images(LocalSandbox(tmp_path_factory.mktemp("auth"))) as found:
        yield found


@pytest.fixture
def fresh(local: LocalSandbox) -> Iterator[Served]:
    """One of the test's own."""
    with with_images(local) as found:
        yield found


def may(registry: Served, name: str, auth: Any = None, token: str | None = None) -> str:
    """What somebody can do, tried out: pull, push, delete."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    found = []
    for action, method, path in (
        ("pull", "GET", "manifests/v1"),
        ("push", "POST", "blobs/uploads/"),
        ("delete", "DELETE", "manifests/no-such-tag"),
    ):
        answer = registry.http.request(method, f"/v2/{name}/{path}", auth=auth, headers=headers)
        if answer.status_code not in (401, 403) and b"NAME_UNKNOWN" not in answer.content:
            found.append(action)
    return " ".join(found)


def token_for(registry: Served, auth: tuple[str, str] | None, *scopes: str) -> str:
    answer = registry.http.get("/token", params={"service": "images", "scope": list(scopes)}, auth=auth)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def test_without_credentials_nothing_is_open_unless_the_spec_says_so(registry: Served) -> None:
    assert may(registry, "app-a") == ""
    answer = registry.http.get("/v2/app-a/manifests/v1")
    assert registry.code(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="{registry.server.url}/token",service="images",scope="repository:app-a:pull"'
    )
    assert registry.code(registry.http.get("/v2/_catalog")) == (401, "UNAUTHORIZED")
    assert may(registry, "app-a", token=token_for(registry, None, "repository:app-a:pull,push")) == ""


def test_a_grant_to_everyone_opens_exactly_its_repositories(local: LocalSandbox) -> None:
    grant = {"name": "open", "repositories": ["app-a"], "to": {"type": "local", "users": ["*"]}}
    document = local.document("app-a", "app-b", grants=(grant,), guards={"allow_public": True})
    with served(local, document) as registry:
        registry.http.auth = registry.login("*", push=True)
        registry.push("app-a", Image(1), "v1")
        registry.http.auth = httpx.Auth()
        assert may(registry, "app-a") == "pull"
        assert may(registry, "app-a", token=token_for(registry, None, "repository:app-a:*")) == "pull"
        assert may(registry, "app-a", auth=("", "")) == "pull"
        assert may(registry, "app-b") == ""
        assert registry.http.get("/v2/_catalog").json() == {"repositories": ["app-a"]}
        assert registry.http.get("/v2/").status_code == 401, "so that clients that have credentials use them"


@pytest.mark.parametrize(("push", "rights"), [(False, "pull"), (True, "pull push delete")])
def test_credentials_are_for_their_repository_and_permission(registry: Served, push: bool, rights: str) -> None:
    login = registry.login("app-a", push=push)
    assert may(registry, "app-a", auth=login) == rights
    assert may(registry, "app-b", auth=login) == ""
    assert may(registry, "app-a", token=token_for(registry, login, "repository:app-a:pull,push,delete")) == rights
    assert may(registry, "app-a", token=token_for(registry, login, "repository:app-a:*")) == rights
    assert registry.http.get("/v2/_catalog", auth=login).json() == {"repositories": ["app-a"]}


def test_a_refusal_says_what_the_credentials_are_for(registry: Served) -> None:
    pull = registry.login("app-a")
    answer = registry.http.post("/v2/app-a/blobs/uploads/", auth=pull)
    assert registry.code(answer) == (403, "DENIED")
    assert "issued for pulling only" in answer.json()["errors"][0]["message"]
    answer = registry.http.get("/v2/app-b/tags/list", auth=pull)
    assert "issued for app-a, not for app-b" in answer.json()["errors"][0]["message"]
    answer = registry.http.post("/v2/nope/blobs/uploads/", auth=pull)
    assert registry.code(answer) == (404, "NAME_UNKNOWN")
    assert "run `reconciler apply`" in answer.json()["errors"][0]["message"]


def test_a_user_s_credentials_do_what_the_grants_say(registry: Served) -> None:
    assert may(registry, "app-b", auth=registry.login("app-*", push=True, user="alice")) == "pull push delete"
    bob = registry.login("app-a", user="bob")
    assert bob[0] == "bob"
    assert may(registry, "app-a", auth=bob) == "pull"
    for name, push, said in (("app-a", True, "push to app-a"), ("app-b", False, "pull from app-b")):
        with pytest.raises(PlatformError, match=f"no grant lets user bob {said}"):
            registry.issue(name, push=push, user="bob")


def test_a_grant_that_is_taken_away_ends_at_once_also_for_tokens(fresh: Served) -> None:
    login = fresh.login("app-a", push=True, user="alice")
    token = token_for(fresh, login, "repository:app-a:pull,push")
    assert may(fresh, "app-a", token=token) == "pull push"
    fresh.sandbox.apply(fresh.sandbox.document("app-a", "app-b", "other", grants=GRANTS[1:]))
    assert may(fresh, "app-a", token=token) == ""
    assert may(fresh, "app-a", auth=login) == ""
    answer = fresh.http.get("/v2/app-a/manifests/v1", auth=login)
    assert "no grant lets alice pull from app-a" in answer.json()["errors"][0]["message"]


def test_expired_credentials_are_good_for_nothing_and_neither_is_their_token(fresh: Served) -> None:
    login = fresh.login("app-a", ttl=2)
    token = token_for(fresh, login, "repository:app-a:pull")
    assert may(fresh, "app-a", auth=login) == "pull"
    (path,) = [path for path in fresh.sandbox.root.glob("control/credentials/*.json") if login[1][4:20] in path.name]
    document = json.loads(path.read_text())
    document["expires_at"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(document))
    assert may(fresh, "app-a", auth=login) == ""
    assert may(fresh, "app-a", token=token) == ""
    assert fresh.http.get("/token", auth=login).status_code == 401


def expire(registry: Served, login: tuple[str, str]) -> None:
    (path,) = [path for path in registry.sandbox.root.glob("control/credentials/*.json") if login[1][4:20] in path.name]
    document = json.loads(path.read_text())
    document["expires_at"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("token", [False, True])
@pytest.mark.parametrize("what", ["manifest", "blob"])
def test_what_trickles_in_until_the_credentials_have_expired_is_not_kept(fresh: Served, what: str, token: bool) -> None:
    login = fresh.login("app-a", push=True)
    body = Image(1).manifest if what == "manifest" else b"a blob that takes its time"
    basic = base64.b64encode(":".join(login).encode()).decode()
    given = f"Bearer {token_for(fresh, login, 'repository:app-a:pull,push')}" if token else f"Basic {basic}"
    path = (
        "PUT /v2/app-a/manifests/late" if what == "manifest" else f"POST /v2/app-a/blobs/uploads/?digest={digest(body)}"
    )
    host, _, port = fresh.place.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lines = [f"{path} HTTP/1.1", "Host: x", f"Authorization: {given}", f"Content-Length: {len(body)}"]
        connection.sendall("\r\n".join([*lines, "Expect: 100-continue", "", ""]).encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n", "it has entered"
        connection.sendall(body[:10])
        expire(fresh, login)
        connection.sendall(body[10:])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, b"the credentials expired before the whole body arrived" in answer.read()) == (401, True)
    owner = fresh.login("app-a", push=True)
    assert fresh.http.get("/v2/app-a/manifests/late", auth=owner).status_code == 404
    assert fresh.http.get(f"/v2/app-a/blobs/{digest(body)}", auth=owner).status_code == 404


def test_a_token_ends_with_its_credentials_and_after_five_minutes(registry: Served) -> None:
    short = registry.http.get("/token", auth=registry.login("app-a", ttl=30)).json()
    long = registry.http.get("/token", auth=registry.login("app-a", ttl=3600)).json()
    assert 25 <= short["expires_in"] <= 30
    assert 295 <= long["expires_in"] <= 300
    assert long["token"] == long["access_token"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", long["issued_at"])


def test_a_token_is_for_its_scopes_alone_and_says_what_is_missing(registry: Served) -> None:
    login = registry.login("app-*", push=True)
    token = token_for(registry, login, "repository:app-a:pull", "repository:app-b:pull,push", "registry:catalog:*")
    assert may(registry, "app-a", token=token) == "pull"
    assert may(registry, "app-b", token=token) == "pull push"
    answer = registry.http.post("/v2/app-a/blobs/uploads/", headers={"Authorization": f"Bearer {token}"})
    assert registry.code(answer) == (403, "DENIED"), "https://www.rfc-editor.org/rfc/rfc6750#section-3.1"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="repository:app-a:pull,push"' in answer.headers["WWW-Authenticate"]


def test_a_token_s_scopes_hold_for_what_is_mounted_and_for_the_catalog(fresh: Served) -> None:
    login = fresh.login("*", push=True)
    fresh.http.auth = login
    secret = fresh.push_blob("other", b"a secret of another repository")
    fresh.http.auth = httpx.Auth()

    def bearer(*scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token_for(fresh, login, *scopes)}"}

    narrow = bearer("repository:app-a:pull,push")
    for params in ({"mount": secret, "from": "other"}, {"mount": secret}):
        answer = fresh.http.post("/v2/app-a/blobs/uploads/", params=params, headers=narrow)
        assert answer.status_code == 202, "an upload, not a mount"
    assert fresh.http.get(f"/v2/app-a/blobs/{secret}", headers=narrow).status_code == 404
    both = bearer("repository:app-a:pull,push", "repository:other:pull")
    mounted = fresh.http.post("/v2/app-a/blobs/uploads/", params={"mount": secret, "from": "other"}, headers=both)
    assert mounted.status_code == 201

    def listed(headers: dict[str, str]) -> list[str]:
        return list(fresh.http.get("/v2/_catalog", headers=headers).json()["repositories"])

    assert listed(bearer()) == []
    assert listed(narrow) == ["app-a"]
    assert listed(bearer("registry:catalog:*")) == ["app-a", "app-b", "other"]


def test_a_token_can_be_had_by_oauth_s_password_grant(registry: Served) -> None:
    name, password = registry.login("app-a")
    form = {"grant_type": "password", "username": name, "password": password, "scope": "repository:app-a:pull"}
    answer = registry.http.post("/token", data=form)
    assert may(registry, "app-a", token=answer.json()["access_token"]) == "pull"
    assert registry.http.post("/token", data={**form, "password": "wrong"}).status_code == 401
    assert registry.http.post("/token", data={"grant_type": "refresh_token"}).status_code == 400


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!", "Basic eDp5", "Bearer", "Bearer x", "Bearer a.b.c", "Digest x", "Basic \u00e4", "x" * 5000],
)
def test_a_header_that_is_no_good_is_401_with_a_challenge(registry: Served, header: str) -> None:
    for path in ("/v2/", "/v2/app-a/manifests/v1", "/token"):
        answer = registry.http.get(path, headers={b"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_of_another_server_or_algorithm_is_refused(registry: Served, tmp_path: Path) -> None:
    def unsigned(**header: str) -> str:
        claims = {"sub": "", "exp": time.time() + 100, "access": []}
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
        )

    other = LocalSandbox(tmp_path)
    with served(other, open_document(other, "app-a")) as stranger:
        tokens = [token_for(stranger, None), f"{unsigned(alg='none')}.", f"{unsigned(alg='HS256')}.AAAA"]
    for token in tokens:
        answer = registry.http.get("/v2/", headers={"Authorization": f"Bearer {token}"})
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_password_must_be_right_to_the_last_letter_and_belong_to_the_name(registry: Served) -> None:
    name, password = registry.login("app-a", user="bob")
    assert may(registry, "app-a", auth=(name, password)) == "pull"
    swapped = password[:-1] + ("A" if password[-1] != "A" else "B")
    for wrong in ((name, swapped), (name, ""), ("", password), ("alice", password), (name, password + "x")):
        assert may(registry, "app-a", auth=wrong) == "", wrong


def test_mounting_needs_the_right_to_pull_from_the_source(fresh: Served) -> None:
    (blob, *_) = Image(1).blobs
    login = fresh.login("app-a", push=True)
    fresh.http.auth = fresh.login("*", push=True)
    secret = fresh.push_blob("other", b"a secret of another repository")
    fresh.http.auth = httpx.Auth()
    path = "/v2/app-a/blobs/uploads/"
    for params in ({"mount": secret, "from": "other"}, {"mount": secret}):
        assert fresh.http.post(path, params=params, auth=login).status_code == 202, "an upload, not a mount"
    assert fresh.http.post(path, params={"mount": blob}, auth=login).status_code == 201


def test_secrets_are_kept_as_salted_hashes_and_shown_nowhere(fresh: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = fresh.issue("app-a", push=True)
    secret = found.password[-43:]
    login = (found.username, found.password)
    token = token_for(fresh, login, "repository:app-a:pull")
    assert may(fresh, "app-a", auth=login) == "pull push delete"
    may(fresh, "app-a", token=token)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("reconciler", "aiohttp"))]
    texts = [repr(found), str(found), *ours]
    files = (path for path in fresh.sandbox.root.rglob("*") if path.is_file())
    texts.extend(path.read_bytes().decode("latin-1") for path in files)
    basic = base64.b64encode(":".join(login).encode()).decode()
    assert not [text for text in texts for shown in (secret, token, basic) if shown in text]
    kept = json.loads((fresh.sandbox.root / f"control/credentials/{found.password[4:20]}.json").read_text())
    assert kept["hash"].startswith("$argon2id$")
    assert set(kept) == {"user", "repositories", "permission", "expires_at", "hash"}


def test_two_hashes_of_one_secret_differ() -> None:
    assert issued._HASHER.hash("x") != issued._HASHER.hash("x"), "salted"


def test_credentials_of_repositories_that_are_not_there_are_refused_with_those_that_are(registry: Served) -> None:
    with pytest.raises(PlatformError, match=r"(?s)no repository nope.*app-a, app-b, other"):
        registry.issue("nope")


def test_expired_records_are_forgotten(fresh: Served) -> None:
    fresh.issue("app-a", ttl=-7200)
    before = len(list(fresh.sandbox.root.glob("control/credentials/*.json")))
    fresh.issue("app-b")
    assert len(list(fresh.sandbox.root.glob("control/credentials/*.json"))) == before


def test_tls_with_a_given_certificate(local: LocalSandbox, tmp_path: Path) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    made.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    document = open_document(local, "app-a")
    with served(local, document, certificate=str(certificate), key=str(key)) as registry:
        assert registry.server.url.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=registry.server.url, verify=context) as http:
            registry.http = http
            image = Image(1, size=400_000)
            registry.push("app-a", image, "v1")
            for wanted, body in image.blobs.items():
                assert http.get(f"/v2/app-a/blobs/{wanted}").content == body
            assert 'realm="https://' in http.get("/v2/").headers["WWW-Authenticate"]


def test_a_place_that_is_taken_and_a_certificate_that_is_none_are_told(fresh: Served, tmp_path: Path) -> None:
    document = fresh.sandbox.document("app-a", "app-b", "other", grants=GRANTS)
    port = int(fresh.place.rpartition(":")[2])
    with (
        pytest.raises(PlatformError, match=rf"can't listen on 127\.0\.0\.1:{port}"),
        served(fresh.sandbox, document, port=port),
    ):
        pass
    (tmp_path / "cert.pem").write_text("nothing")
    with (
        pytest.raises(PlatformError, match=r"the certificate .*cert\.pem can't be used"),
        served(fresh.sandbox, document, certificate=str(tmp_path / "cert.pem")),
    ):
        pass
