"""Nobody learns which repositories there are, but those that they may use."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from itsdangerous import URLSafeSerializer

from tests.images import Image, digest
from tests.registries import Served, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

GRANTS: tuple[dict[str, Any], ...] = (
    {"name": "devs", "repositories": ["mine"], "permission": "push-pull", "to": {"type": "local", "users": ["alice"]}},
    {"name": "open", "repositories": ["public"], "to": {"type": "local", "users": ["*"]}},
    {"name": "spare", "repositories": ["empty"], "to": {"type": "local", "users": ["bob"]}},
)
#: as long as one another, so that answers which name them differ in nothing else
HIDDEN, ABSENT = "hidden", "absent"
BLOB = digest(b"a layer of the hidden one")
REQUESTS = [
    ("GET", "manifests/v1"),
    ("HEAD", "manifests/v1"),
    ("GET", f"manifests/{BLOB}"),
    ("PUT", "manifests/v2"),
    ("DELETE", "manifests/v1"),
    ("GET", f"blobs/{BLOB}"),
    ("HEAD", f"blobs/{BLOB}"),
    ("DELETE", f"blobs/{BLOB}"),
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?digest={BLOB}"),
    ("GET", f"blobs/uploads/{'0' * 32}"),
    ("PATCH", f"blobs/uploads/{'0' * 32}"),
    ("PUT", f"blobs/uploads/{'0' * 32}?digest={BLOB}"),
    ("DELETE", f"blobs/uploads/{'0' * 32}"),
    ("GET", "tags/list"),
    ("GET", f"referrers/{BLOB}"),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    sandbox = LocalSandbox(tmp_path_factory.mktemp("unseen"))
    document = sandbox.document("mine", "public", "empty", HIDDEN, grants=GRANTS, guards={"allow_public": True})
    with served(sandbox, document) as found:
        found.http.auth = found.login(HIDDEN, push=True)
        found.push(HIDDEN, Image(1), "v1")
        found.push_blob(HIDDEN, b"a layer of the hidden one")
        found.http.auth = httpx.Auth()
        yield found


def token(registry: Served, auth: tuple[str, str] | None, *scopes: str) -> str:
    return str(registry.http.get("/token", params={"scope": list(scopes)}, auth=auth).json()["token"])


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def callers(registry: Served) -> dict[str, dict[str, str]]:
    """The Authorization header of each kind of caller who may use neither the hidden repository nor the absent one."""
    both = [f"repository:{name}:pull,push" for name in (HIDDEN, ABSENT)]
    alice = registry.login("mine", push=True, user="alice")
    machine = registry.login("mine", push=True)
    return {
        "nobody": {},
        "nobody with a token": bearer(token(registry, None, *both)),
        "credentials": {"Authorization": f"Basic {base64.b64encode(':'.join(machine).encode()).decode()}"},
        "a user": {"Authorization": f"Basic {base64.b64encode(':'.join(alice).encode()).decode()}"},
        "credentials with a token": bearer(token(registry, machine, *both)),
        "a user with a token": bearer(token(registry, alice, *both)),
    }


def seen(registry: Served, name: str, method: str, path: str, headers: dict[str, str]) -> tuple[Any, ...]:
    """All of an answer, with a word for the repository's name."""
    answer = registry.http.request(
        method, f"/v2/{name}/{path}", headers=headers, content=b"{}" if method == "PUT" else b""
    )
    said = {key: value.replace(name, "NAME") for key, value in answer.headers.items() if key != "date"}
    return answer.status_code, said, answer.text.replace(name, "NAME")


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_what_is_missing_and_what_is_not_permitted_get_one_answer(registry: Served, method: str, path: str) -> None:
    for who, headers in callers(registry).items():
        hidden, absent = (seen(registry, name, method, path, headers) for name in (HIDDEN, ABSENT))
        assert hidden == absent, who
        assert hidden[0] == (401 if who.startswith("nobody") else 404), who


def test_who_may_use_a_repository_is_told_what_it_is_about(registry: Served) -> None:
    pull = registry.login("mine")
    assert registry.code(registry.http.post("/v2/mine/blobs/uploads/", auth=pull)) == (403, "DENIED")
    everyone = bearer(token(registry, None, "repository:public:pull,push"))
    assert registry.http.get("/v2/public/tags/list", headers=everyone).status_code == 200
    assert registry.code(registry.http.post("/v2/public/blobs/uploads/", auth=pull)) == (403, "DENIED")
    assert registry.http.post("/v2/public/blobs/uploads/").status_code == 401


@pytest.mark.parametrize("who", [None, "machine", "alice"])
def test_a_token_s_own_text_does_not_say_it_either(registry: Served, who: str | None) -> None:
    login = None if who is None else registry.login("mine", push=True, user=who if who == "alice" else None)

    def claims(name: str) -> Any:
        text = token(registry, login, f"repository:{name}:pull,push", "repository:mine:pull")
        readable, said = URLSafeSerializer("anybody").loads_unsafe(text)
        assert not readable, "it is signed with another key; what it says is no secret"
        return said["access"]

    assert claims(HIDDEN) == claims(ABSENT)
    assert HIDDEN not in str(claims(HIDDEN))


def test_a_mount_from_either_is_an_upload(registry: Served) -> None:
    login = registry.login("mine", push=True)
    for source in (HIDDEN, ABSENT):
        params = {"mount": BLOB, "from": source}
        assert registry.http.post("/v2/mine/blobs/uploads/", params=params, auth=login).status_code == 202


def test_the_catalog_lists_what_one_may_pull_and_no_more(registry: Served) -> None:
    def listed(**who: Any) -> list[str]:
        return list(registry.http.get("/v2/_catalog", **who).json()["repositories"])

    assert listed() == ["public"]
    assert listed(headers=bearer(token(registry, None, "registry:catalog:*"))) == ["public"]
    assert listed(auth=registry.login("mine", user="alice")) == ["mine", "public"]
    assert listed(auth=registry.login("*")) == ["empty", HIDDEN, "mine", "public"]
