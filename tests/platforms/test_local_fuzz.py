"""Whatever is sent to the server: no 500, no error without a code, and no file outside the store."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.platforms.local.manifest import (
    DOCKER_MANIFEST,
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    ManifestError,
    is_digest,
    parse,
)
from reconciler.platforms.local.manifest import MANIFESTS as IMAGES
from tests.images import Image, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "X"])
DIGESTS = st.sampled_from(
    [digest(b"known"), digest(b"unknown"), digest(b"known", "sha512"), "sha256:", "sha256:../x", "x"]
)
NAMES = st.sampled_from(["app", "team/app", "nope", "../app", "app/..", "a" * 300, "%2e%2e", "App", ""])
WORDS = st.text(max_size=40).map(lambda text: quote(text, safe="/:?&=%.+~"))
PIECES = st.one_of(
    st.just("blobs"),
    st.just("uploads"),
    st.just("manifests"),
    st.just("tags"),
    st.just("list"),
    st.just("referrers"),
    st.just("_catalog"),
    st.just("0" * 32),
    st.just("latest"),
    DIGESTS,
    NAMES,
    WORDS,
)
PATHS = st.one_of(
    st.lists(PIECES, max_size=6).map(lambda parts: "/v2/" + "/".join(parts)),
    WORDS.map(lambda word: "/" + word),
    st.sampled_from(["/token", "/v2", "/v2/", "*", "http://elsewhere/v2/"]),
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["digest", "mount", "from", "n", "last", "tag", "artifactType", "scope", "digest-algorithm"]),
        st.one_of(DIGESTS, NAMES, WORDS, st.sampled_from(["0", "-1", "1e9", "repository:app:pull", "a:b:c:d", ":::"])),
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{key}={quote(value, safe='%')}" for key, value in pairs))
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("Range"), st.one_of(VALUES, st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True))),
        st.tuples(
            st.just("Content-Range"), st.one_of(VALUES, st.from_regex(r"[0-9]{0,20}-[0-9]{0,20}", fullmatch=True))
        ),
        st.tuples(
            st.just("Content-Type"),
            st.one_of(VALUES, st.sampled_from([OCI_MANIFEST, OCI_INDEX, "application/x-www-form-urlencoded"])),
        ),
        st.tuples(
            st.just("Authorization"), st.one_of(VALUES, VALUES.map("Basic {}".format), VALUES.map("Bearer {}".format))
        ),
        st.tuples(
            st.sampled_from(["If-None-Match", "If-Range", "If-Modified-Since", "Accept-Encoding", "Expect"]), VALUES
        ),
        st.tuples(st.just("Content-Encoding"), st.sampled_from(["gzip", "deflate", "br", "x"])),
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10) | DIGESTS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "mediaType",
                    "config",
                    "layers",
                    "manifests",
                    "digest",
                    "size",
                    "subject",
                    "annotations",
                    "x",
                ]
            ),
            below,
            max_size=6,
        )
    ),
    max_leaves=20,
)
MANIFESTS = st.builds(
    lambda media_type, rest: {"schemaVersion": 2, "mediaType": media_type, **rest},
    st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, "x", None, 3]),
    st.dictionaries(st.sampled_from(["config", "layers", "manifests", "subject", "annotations", "artifactType"]), JSON),
)
BODIES = st.one_of(
    st.just(b""),
    st.just(b"known"),
    st.binary(max_size=200),
    st.one_of(JSON, MANIFESTS).map(lambda document: json.dumps(document).encode()),
)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    sandbox = LocalSandbox(tmp_path_factory.mktemp("fuzz"))
    with served(sandbox, open_document(sandbox, "app", "team/app")) as found:
        found.push("app", Image(1))
        found.push_blob("app", b"known")
        yield found


def send(registry: Served, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, Any]:
    """A request as it is written; the status, and the error's body."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {registry.place}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    head = "\r\n".join([*lines, *(f"{key}: {value}" for key, value in headers)]) + "\r\n\r\n"
    host, _, port = registry.place.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode("latin-1") + body)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        text = answer.read()
    if answer.status < 400 or not text or not answer.headers.get("Content-Type", "").startswith("application/json"):
        return answer.status, None
    return answer.status, json.loads(text)


def outside(registry: Served) -> set[Path]:
    """Files that lie in the sandbox's folder, but not in the store."""
    return {path for path in registry.sandbox.folder.rglob("*") if registry.sandbox.root not in (path, *path.parents)}


@settings(max_examples=1500)
@given(method=METHODS, path=PATHS, query=QUERIES, headers=HEADERS, body=BODIES)
def test_any_request_is_answered_without_a_500(
    registry: Served, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    before = outside(registry)
    target = f"{path}?{query}" if query else path
    status, document = send(registry, method, target, headers, body)
    assert status < 500
    if document is not None:
        assert all(item["code"] and item["message"] for item in document["errors"])
    assert outside(registry) == before


@settings(max_examples=300)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["PATCH", "PUT", "GET", "DELETE"]), QUERIES, HEADERS, BODIES), max_size=6)
)
def test_any_upload_is_answered_without_a_500(
    registry: Served, steps: list[tuple[str, str, list[tuple[str, str]], bytes]]
) -> None:
    location = registry.http.post("/v2/app/blobs/uploads/").headers["Location"]
    for method, query, headers, body in steps:
        status, _ = send(registry, method, f"{location}?{query}", headers, body)
        assert status < 500
    registry.http.delete(location)


@settings(max_examples=500)
@given(
    document=st.one_of(JSON, MANIFESTS), media_type=st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, "", "x"])
)
def test_any_document_is_a_manifest_or_told_why_not(document: Any, media_type: str) -> None:
    found = None
    with suppress(ManifestError):
        found = parse(json.dumps(document).encode(), media_type)
    if found is not None:
        assert found.media_type in IMAGES | INDEXES
        assert all(is_digest(item) for item in (*found.blobs, *found.manifests))
        json.dumps(found.descriptor(digest(b""), 1))
