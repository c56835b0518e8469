"""Every endpoint and every MUST of the OCI distribution specification 1.1.1 that binds a registry, a test each.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md; the order and the sections are its own. A test's name says
the sentence. The clients' MUSTs are not ours; what a registry MAY or SHOULD do has a test where we do it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from reconciler.platforms.local.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.images import Image, descriptor, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

NAMES = ("repo1", "team/repo2", "empty")
ABSENT = digest(b"nobody has pushed this")
_seeds = itertools.count(1)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    sandbox = LocalSandbox(tmp_path_factory.mktemp("conformance"))
    with served(sandbox, open_document(sandbox, *NAMES)) as found:
        yield found


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def name() -> str:
    return "repo1"


def new_body(size: int = 2000) -> bytes:
    seed = hashlib.sha256(str(next(_seeds)).encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def new_image(**shape: Any) -> Image:
    return Image(next(_seeds), size=100, **shape)


def start(registry: Served, name: str, **params: str) -> str:
    answer = registry.http.post(f"/v2/{name}/blobs/uploads/", params=params, headers={"Content-Length": "0"})
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def patch(registry: Served, location: str, body: bytes, first: int | None = None) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"}
    if first is not None:
        headers["Content-Range"] = f"{first}-{first + len(body) - 1}"
    return registry.http.patch(location, content=body, headers=headers)


def is_pullable(registry: Served, answer: httpx.Response, body: bytes) -> bool:
    found = registry.http.get(answer.headers["Location"])
    return found.status_code == 200 and found.content == body


# -- end-1: determining support ---------------------------------------------------------------------------------


def test_end_1_get_base_is_200_for_who_may_enter_and_tells_others_how(registry: Served) -> None:
    challenge = registry.http.get("/v2/")
    assert registry.code(challenge) == (401, "UNAUTHORIZED")
    realm = re.search(r'realm="([^"]+)"', challenge.headers["WWW-Authenticate"])
    assert realm is not None
    token = httpx.get(realm[1]).json()["token"]
    answer = registry.http.get("/v2/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


# -- end-2: pulling blobs ----------------------------------------------------------------------------------------


def test_end_2_get_of_an_existing_blob_must_give_it_with_200(registry: Served, name: str, algorithm: str) -> None:
    body = new_body()
    wanted = registry.push_blob(name, body, algorithm)
    answer = registry.http.get(f"/v2/{name}/blobs/{wanted}")
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["Docker-Content-Digest"] == wanted, "it must match the body"
    assert answer.headers["Content-Length"] == str(len(body))


def test_end_2_head_of_an_existing_blob_must_be_200_and_tells_its_size(
    registry: Served, name: str, algorithm: str
) -> None:
    body = new_body()
    wanted = registry.push_blob(name, body, algorithm)
    answer = registry.http.head(f"/v2/{name}/blobs/{wanted}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Docker-Content-Digest"] == wanted


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_end_2_a_blob_that_is_not_in_the_repository_must_be_404(registry: Served, name: str, method: str) -> None:
    assert registry.http.request(method, f"/v2/{name}/blobs/{ABSENT}").status_code == 404
    elsewhere = registry.push_blob("team/repo2", new_body())
    assert registry.http.request(method, f"/v2/{name}/blobs/{elsewhere}").status_code == 404


def test_end_2_an_empty_blob_is_a_blob(registry: Served, name: str, algorithm: str) -> None:
    wanted = registry.push_blob(name, b"", algorithm)
    answer = registry.http.get(f"/v2/{name}/blobs/{wanted}")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("500-1499", 500, 1500), ("500-", 500, 2048), ("-500", 1548, 2048), ("2000-5000", 2000, 2048), ("0-0", 0, 1)],
)
def test_end_2_a_range_of_a_blob_is_206(registry: Served, name: str, asked: str, first: int, last: int) -> None:
    body = new_body(2048)
    wanted = registry.push_blob(name, body)
    answer = registry.http.get(f"/v2/{name}/blobs/{wanted}", headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, body[first:last])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/2048"
    assert answer.headers["Content-Length"] == str(last - first)


@pytest.mark.parametrize("asked", ["500-0", "5000-10000", "2048-", "-0"])
def test_end_2_a_range_that_can_t_be_is_416(registry: Served, name: str, asked: str) -> None:
    wanted = registry.push_blob(name, new_body(2048))
    answer = registry.http.get(f"/v2/{name}/blobs/{wanted}", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 416


def test_end_2_a_digest_that_can_t_be_is_400(registry: Served, name: str) -> None:
    for wrong in ("sha256:xyz", "md5:00", "sha256:" + "A" * 64, "sha512:" + "a" * 64, "nothing"):
        assert registry.code(registry.http.get(f"/v2/{name}/blobs/{wrong}")) == (400, "DIGEST_INVALID"), wrong


# -- end-3: pulling manifests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_end_3_an_existing_manifest_must_be_given_with_200_by_tag_and_by_digest(
    registry: Served, name: str, method: str
) -> None:
    image = new_image()
    wanted = registry.push(name, image, "pulled")
    for reference in ("pulled", wanted):
        answer = registry.http.request(method, f"/v2/{name}/manifests/{reference}")
        assert answer.status_code == 200
        assert answer.content == (image.manifest if method == "GET" else b"")
        assert answer.headers["Content-Type"] == OCI_MANIFEST, "as pushed, without parameters"
        assert answer.headers["Content-Length"] == str(len(image.manifest))
        assert answer.headers["Docker-Content-Digest"] == wanted


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_end_3_a_manifest_that_is_not_in_the_repository_must_be_404(registry: Served, name: str, method: str) -> None:
    for reference in ("no-such-tag", ABSENT, "." * 5, "x" * 129):
        assert registry.http.request(method, f"/v2/{name}/manifests/{reference}").status_code == 404


@pytest.mark.parametrize("path", ["blobs/" + ABSENT, "manifests/latest", "tags/list", "referrers/" + ABSENT])
def test_an_attempt_to_pull_a_nonexistent_repository_must_be_404(registry: Served, path: str) -> None:
    login = registry.login("repo1")
    assert registry.code(registry.http.get(f"/v2/never/made/{path}", auth=login)) == (404, "NAME_UNKNOWN")


def test_a_manifest_pulled_again_with_its_etag_is_304(registry: Served, name: str) -> None:
    registry.push(name, new_image(), "etag")
    first = registry.http.get(f"/v2/{name}/manifests/etag")
    again = registry.http.get(f"/v2/{name}/manifests/etag", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


# -- end-4a, end-6: POST then PUT --------------------------------------------------------------------------------


def test_end_4a_post_must_be_202_with_a_location_that_holds_a_unique_id(registry: Served, name: str) -> None:
    locations = {start(registry, name) for _ in range(5)}
    assert len(locations) == 5
    assert all(re.search(r"[0-9a-f]{32}", location) for location in locations)


def test_end_6_put_must_be_201_with_the_location_of_a_pullable_blob(
    registry: Served, name: str, algorithm: str
) -> None:
    body = new_body()
    wanted = digest(body, algorithm)
    answer = registry.http.put(start(registry, name), params={"digest": wanted}, content=body)
    assert answer.status_code == 201
    assert answer.headers["Docker-Content-Digest"] == wanted
    assert is_pullable(registry, answer, body)


def test_end_6_put_without_a_digest_is_400(registry: Served, name: str) -> None:
    assert registry.code(registry.http.put(start(registry, name), content=b"x")) == (400, "DIGEST_INVALID")


def test_end_6_content_that_is_not_its_digest_is_400_and_not_there(registry: Served, name: str, algorithm: str) -> None:
    body = new_body()
    wanted = digest(body, algorithm)
    answer = registry.http.put(start(registry, name), params={"digest": wanted}, content=body + b"oh no")
    assert registry.code(answer) == (400, "DIGEST_INVALID")
    assert registry.http.head(f"/v2/{name}/blobs/{wanted}").status_code == 404


# -- end-4b: single POST -----------------------------------------------------------------------------------------


def test_end_4b_a_single_post_must_be_201_with_the_location_of_a_pullable_blob(
    registry: Served, name: str, algorithm: str
) -> None:
    body = new_body()
    wanted = digest(body, algorithm)
    answer = registry.http.post(f"/v2/{name}/blobs/uploads/", params={"digest": wanted}, content=body)
    assert answer.status_code == 201
    assert is_pullable(registry, answer, body)


def test_end_4b_the_digest_must_match_the_blob_s(registry: Served, name: str, algorithm: str) -> None:
    wanted = digest(new_body(), algorithm)
    answer = registry.http.post(f"/v2/{name}/blobs/uploads/", params={"digest": wanted}, content=b"other")
    assert registry.code(answer) == (400, "DIGEST_INVALID")
    assert registry.http.head(f"/v2/{name}/blobs/{wanted}").status_code == 404


# -- end-5: chunks -----------------------------------------------------------------------------------------------


def test_end_5_each_chunk_must_be_202_with_location_and_range_and_put_must_be_201(
    registry: Served, name: str, algorithm: str
) -> None:
    body = new_body(3000)
    location = start(registry, name)
    for first in (0, 1000, 2000):
        answer = patch(registry, location, body[first : first + 1000], first)
        assert answer.status_code == 202
        assert answer.headers["Range"] == f"0-{first + 999}", "the position of the last byte that arrived"
        location = answer.headers["Location"]
    answer = registry.http.put(location, params={"digest": digest(body, algorithm)})
    assert answer.status_code == 201
    assert is_pullable(registry, answer, body)


def test_end_5_the_final_chunk_may_come_with_the_closing_put(registry: Served, name: str, algorithm: str) -> None:
    body = new_body(2000)
    location = patch(registry, start(registry, name), body[:1500], 0).headers["Location"]
    answer = registry.http.put(
        location,
        params={"digest": digest(body, algorithm)},
        content=body[1500:],
        headers={"Content-Range": "1500-1999"},
    )
    assert answer.status_code == 201
    assert is_pullable(registry, answer, body)


@pytest.mark.parametrize("first", [0, 500, 2000])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_end_5_a_chunk_out_of_order_must_be_416_and_changes_nothing(
    registry: Served, name: str, first: int, method: str
) -> None:
    body = new_body(3000)
    location = patch(registry, start(registry, name), body[:1000], 0).headers["Location"]
    wrong = registry.http.request(
        method,
        location,
        params={"digest": digest(body)} if method == "PUT" else {},
        content=body[first : first + 1000],
        headers={"Content-Range": f"{first}-{first + 999}"},
    )
    assert wrong.status_code == 416
    status = registry.http.get(location)
    assert status.headers["Range"] == "0-999"
    patch(registry, status.headers["Location"], body[1000:], 1000)
    assert registry.http.put(location, params={"digest": digest(body)}).status_code == 201


def test_end_5_the_first_chunk_s_range_must_begin_with_0(registry: Served, name: str) -> None:
    assert patch(registry, start(registry, name), b"abc", 1).status_code == 416


@pytest.mark.parametrize("form", ["0:9", "a-b", "10-", "-10", "0-", "", "9-0"])
def test_end_5_a_content_range_of_another_form_is_416(registry: Served, name: str, form: str) -> None:
    answer = registry.http.patch(start(registry, name), content=b"0123456789", headers={"Content-Range": form})
    assert answer.status_code == 416


def test_end_5_a_content_range_that_is_not_the_content_length_is_400(registry: Served, name: str) -> None:
    location = start(registry, name)
    answer = registry.http.patch(location, content=b"0123456789", headers={"Content-Range": "0-4"})
    assert registry.code(answer) == (400, "SIZE_INVALID")
    assert registry.http.get(location).headers["Range"] == "0-0"


def test_end_5_a_stream_without_a_range_is_taken_as_it_comes(registry: Served, name: str, algorithm: str) -> None:
    body = new_body(300_000)
    blocks = (body[first : first + 7000] for first in range(0, len(body), 7000))
    answer = registry.http.patch(start(registry, name), content=blocks)
    assert answer.status_code == 202
    answer = registry.http.put(answer.headers["Location"], params={"digest": digest(body, algorithm)})
    assert is_pullable(registry, answer, body)


def test_end_5_a_bad_digest_ends_the_session(registry: Served, name: str) -> None:
    location = patch(registry, start(registry, name), b"abc", 0).headers["Location"]
    assert registry.code(registry.http.put(location, params={"digest": ABSENT})) == (400, "DIGEST_INVALID")
    assert registry.code(registry.http.get(location)) == (404, "BLOB_UPLOAD_UNKNOWN")


# -- end-13, and cancelling --------------------------------------------------------------------------------------


def test_end_13_the_status_of_an_upload_must_be_204_with_location_and_range(registry: Served, name: str) -> None:
    location = start(registry, name)
    fresh = registry.http.get(location)
    assert (fresh.status_code, fresh.headers["Range"]) == (204, "0-0")
    patch(registry, location, b"x" * 1000, 0)
    answer = registry.http.get(location)
    assert (answer.status_code, answer.headers["Location"], answer.headers["Range"]) == (204, location, "0-999")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_that_is_not_under_way_is_404(registry: Served, name: str, method: str) -> None:
    for number in ("0" * 32, "no-uuid"):
        path = f"/v2/{name}/blobs/uploads/{number}?digest={ABSENT}"
        assert registry.code(registry.http.request(method, path)) == (404, "BLOB_UPLOAD_UNKNOWN")
    other = start(registry, "team/repo2").replace("team/repo2", name)
    assert registry.http.request(method, f"{other}?digest={ABSENT}").status_code == 404


def test_a_cancelled_upload_is_204_and_gone(registry: Served, name: str) -> None:
    location = start(registry, name)
    patch(registry, location, b"abc", 0)
    assert registry.http.delete(location).status_code == 204
    assert registry.http.get(location).status_code == 404


# -- end-11: mounting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [{"from": "team/repo2"}, {}])
def test_end_11_a_mount_must_be_201_with_the_location_of_a_pullable_blob(
    registry: Served, name: str, source: dict[str, str], algorithm: str
) -> None:
    body = new_body()
    wanted = registry.push_blob("team/repo2", body, algorithm)
    answer = registry.http.post(f"/v2/{name}/blobs/uploads/", params={"mount": wanted, **source})
    assert answer.status_code == 201
    assert answer.headers["Docker-Content-Digest"] == wanted
    assert is_pullable(registry, answer, body)


@pytest.mark.parametrize("source", [{"from": "team/repo2"}, {"from": "never/made"}, {"from": "../x"}, {}])
@pytest.mark.parametrize("wanted", [ABSENT, "no digest"])
def test_end_11_what_can_t_be_mounted_starts_an_upload_with_202(
    registry: Served, name: str, source: dict[str, str], wanted: str
) -> None:
    body = new_body()
    location = start(registry, name, mount=wanted, **source)
    assert registry.http.put(location, params={"digest": digest(body)}, content=body).status_code == 201


# -- end-7: pushing manifests ------------------------------------------------------------------------------------


def test_end_7_a_manifest_must_be_201_with_the_location_of_a_pullable_manifest(registry: Served, name: str) -> None:
    image = new_image()
    wanted = registry.push(name, image)
    for reference in ("v1", wanted):
        answer = registry.put(name, reference, image.manifest, f"{OCI_MANIFEST}; charset=utf-8")
        assert answer.status_code == 201
        assert answer.headers["Docker-Content-Digest"] == wanted, "it must be the client's digest"
        assert is_pullable(registry, answer, image.manifest)


def test_end_7_the_registry_must_store_the_exact_bytes(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    body = json.dumps({**image.document, "x-unknown": [1, None]}, indent=7).encode() + b"\n \n"
    assert registry.put(name, "bytes", body).status_code == 201
    assert registry.http.get(f"/v2/{name}/manifests/bytes").content == body


def test_end_7_a_digest_of_another_algorithm_is_kept(registry: Served, name: str) -> None:
    image = Image(next(_seeds), algorithm="sha512")
    for body in image.blobs.values():
        registry.push_blob(name, body, "sha512")
    wanted = digest(image.manifest, "sha512")
    answer = registry.put(name, wanted, image.manifest)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, wanted)
    assert is_pullable(registry, answer, image.manifest)


@pytest.mark.parametrize("reference", [ABSENT, "sha256:baddigeststring"])
def test_end_7_a_manifest_that_is_not_its_digest_is_400(registry: Served, name: str, reference: str) -> None:
    image = new_image()
    registry.push(name, image)
    assert registry.code(registry.put(name, reference, image.manifest)) == (400, "DIGEST_INVALID")
    assert registry.http.get(f"/v2/{name}/manifests/{reference}").status_code in (400, 404)


def test_end_7_a_manifest_is_rejected_with_one_manifest_blob_unknown_for_each_missing_blob(
    registry: Served, name: str
) -> None:
    image = new_image(layers=3)
    registry.push_blob(name, next(iter(image.blobs.values())))
    answer = registry.put(name, "sparse", image.manifest)
    assert answer.status_code == 400
    assert {item["code"] for item in answer.json()["errors"]} == {"MANIFEST_BLOB_UNKNOWN"}
    assert {item["detail"]["digest"] for item in answer.json()["errors"]} == set(list(image.blobs)[1:])
    assert registry.http.get(f"/v2/{name}/manifests/sparse").status_code == 404


def test_end_7_a_manifest_means_the_same_to_every_reader(registry: Served, name: str) -> None:
    """CVE-2021-41190: an image to one reader and an index to another."""
    image, other = new_image(), new_image()
    registry.push(name, image, "plain")
    registry.push(name, other, "other")
    entries = [descriptor(other.manifest, OCI_MANIFEST)]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    text = image.manifest.decode()
    ambiguous = [
        json.dumps({**image.document, "manifests": entries}),
        json.dumps({**index, "layers": image.document["layers"]}),
        json.dumps({**index, "config": image.config}),
        json.dumps({**image.document, "Layers": []}),
        text.replace('"layers":', '"layers": [], "layers":'),
        text.replace('"size":', '"size": 1, "size":', 1),
    ]
    for body in ambiguous:
        assert registry.code(registry.put(name, "ambiguous", body.encode())) == (400, "MANIFEST_INVALID"), body
    more: list[dict[str, Any]] = [{"manifests": []}, {"manifests": None}, {"vendor": 1}]
    for harmless in more:
        document: dict[str, Any] = {**image.document, **harmless}
        assert registry.put(name, "harmless", json.dumps(document).encode()).status_code == 201


def test_end_7_an_index_with_a_missing_image_is_rejected_likewise(registry: Served, name: str) -> None:
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_MANIFEST, "size": 3, "digest": ABSENT}],
        }
    ).encode()
    assert registry.code(registry.put(name, "sparse", body)) == (400, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.parametrize("reference", [".hidden", "-x", "x" * 129, "a b", "ünïcode", "a\n"])
def test_end_7_a_reference_must_be_a_digest_or_a_tag(registry: Served, name: str, reference: str) -> None:
    image = new_image()
    registry.push(name, image)
    quoted = httpx.QueryParams({"x": reference})
    answer = registry.put(name, str(quoted)[2:].replace("+", "%20"), image.manifest)
    assert registry.code(answer) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("reference", ["x" * 128, "_", "A.b-C_d", "0"])
def test_end_7_a_tag_may_have_128_letters_digits_and_signs(registry: Served, name: str, reference: str) -> None:
    image = new_image()
    registry.push(name, image)
    assert registry.put(name, reference, image.manifest).status_code == 201
    assert registry.http.get(f"/v2/{name}/manifests/{reference}").status_code == 200


def test_end_7_manifests_of_4_mib_are_accepted_and_much_larger_ones_are_413(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    large = {**image.document, "annotations": {f"a{number}": "A" * 10_000 for number in range(420)}}
    body = json.dumps(large).encode()
    assert len(body) > 4 * 1024 * 1024
    assert registry.put(name, "large", body).status_code == 201
    assert registry.http.get(f"/v2/{name}/manifests/large").content == body
    answer = registry.put(name, "huge", body * 3)
    assert registry.code(answer) == (413, "SIZE_INVALID")
    blocks = (body for _ in range(3))
    streamed = registry.http.put(f"/v2/{name}/manifests/huge", content=blocks)
    assert streamed.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"schemaVersion": 1}',
        b'{"schemaVersion": 2, "mediaType": "application/json"}',
        b'{"schemaVersion": 2, "config": {}, "layers": []}',
        b'{"schemaVersion": 2, "config": 3}',
        b'{"schemaVersion": 2, "manifests": {}}',
        b'{"schemaVersion": 2, "manifests": [{"digest": "x", "size": 1, "mediaType": "y"}]}',
        b"[" * 100_000,
        b'{"a": NaN}',
        b"9" * 10_000,
    ],
)
def test_end_7_what_is_no_manifest_is_400(registry: Served, name: str, body: bytes) -> None:
    assert registry.code(registry.put(name, "wrong", body)) == (400, "MANIFEST_INVALID")


def test_end_7_a_media_type_that_contradicts_the_manifest_is_400(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    assert registry.code(registry.put(name, "wrong", image.manifest, OCI_INDEX)) == (400, "MANIFEST_INVALID")
    silent = json.dumps({key: value for key, value in image.document.items() if key != "mediaType"}).encode()
    assert registry.code(registry.put(name, "wrong", silent, OCI_INDEX)) == (400, "MANIFEST_INVALID")


def test_end_7_a_manifest_that_does_not_say_its_type_has_that_of_its_push(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    silent = json.dumps({key: value for key, value in image.document.items() if key != "mediaType"}).encode()
    assert registry.put(name, "silent", silent, OCI_MANIFEST).status_code == 201
    assert registry.http.head(f"/v2/{name}/manifests/silent").headers["Content-Type"] == OCI_MANIFEST


def test_end_7_docker_s_media_types_are_manifests_too(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    body = json.dumps({**image.document, "mediaType": DOCKER_MANIFEST}).encode()
    assert registry.put(name, "docker", body, DOCKER_MANIFEST).status_code == 201
    of_many = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(body, DOCKER_MANIFEST)]}
    assert registry.put(name, "list", json.dumps(of_many).encode(), DOCKER_LIST).status_code == 201
    for tag, media_type in (("docker", DOCKER_MANIFEST), ("list", DOCKER_LIST)):
        assert registry.http.get(f"/v2/{name}/manifests/{tag}").headers["Content-Type"] == media_type


def test_end_7_indexes_may_hold_images_indexes_and_nothing(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)

    def index(tag: str, *below: bytes) -> bytes:
        rows = [descriptor(body, json.loads(body)["mediaType"]) for body in below]
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
        assert registry.put(name, tag, body, OCI_INDEX).status_code == 201
        return body

    index("nested", index("index", image.manifest), index("none"))
    assert registry.http.get(f"/v2/{name}/manifests/nested").headers["Content-Type"] == OCI_INDEX


def test_end_7_layers_that_are_kept_elsewhere_need_not_be_pushed(registry: Served, name: str) -> None:
    image = new_image()
    registry.push(name, image)
    foreign = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": ABSENT,
        "size": 5,
        "urls": ["https://store.example.com/layer"],
    }
    body = json.dumps({**image.document, "layers": [foreign]}).encode()
    assert registry.put(name, "foreign", body).status_code == 201


def test_end_7_a_manifest_may_have_no_layers(registry: Served, name: str) -> None:
    image = new_image(layers=0)
    assert registry.push(name, image, "no-layers")


def test_end_7_tag_parameters_set_several_tags_at_once(registry: Served, name: str, algorithm: str) -> None:
    image = new_image()
    registry.push(name, image)
    wanted = digest(image.manifest, algorithm)
    answer = registry.put(name, wanted, image.manifest, tag=["one", "two"])
    assert answer.status_code == 201
    assert answer.headers["OCI-Tag"] == "one, two"
    for tag in ("one", "two"):
        assert registry.http.head(f"/v2/{name}/manifests/{tag}").headers["Docker-Content-Digest"] == wanted


# -- manifests with a subject, end-12: referrers -----------------------------------------------------------------


def artifact(subject: bytes | None, media_type: str = OCI_MANIFEST, **more: Any) -> bytes:
    empty = descriptor(b"{}", "application/vnd.oci.empty.v1+json")
    below = {"config": empty, "layers": [empty]} if media_type == OCI_MANIFEST else {"manifests": []}
    document = {"schemaVersion": 2, "mediaType": media_type, **below, **more}
    if subject is not None:
        document["subject"] = descriptor(subject, OCI_MANIFEST)
    return json.dumps(document).encode()


def referrers(registry: Served, name: str, subject: bytes, **params: str) -> list[dict[str, Any]]:
    answer = registry.http.get(f"/v2/{name}/referrers/{digest(subject)}", params=params)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == OCI_INDEX
    document = answer.json()
    assert (document["schemaVersion"], document["mediaType"]) == (2, OCI_INDEX)
    found: list[dict[str, Any]] = document["manifests"]
    return found


def test_end_7_a_subject_that_does_not_exist_must_be_accepted_and_answered_with_oci_subject(
    registry: Served, name: str
) -> None:
    registry.push_blob(name, b"{}")
    subject = new_image().manifest
    body = artifact(subject)
    for reference in (digest(body), "signature"):
        answer = registry.put(name, reference, body)
        assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, digest(subject))
    assert [item["digest"] for item in referrers(registry, name, subject)] == [digest(body)]


def test_end_12a_referrers_must_be_listed_with_artifact_type_and_annotations(registry: Served, name: str) -> None:
    registry.push_blob(name, b"{}")
    subject = new_image()
    registry.push(name, subject)
    typed = artifact(subject.manifest, artifactType="application/sbom", annotations={"org.example.a": "b"})
    plain = artifact(subject.manifest, annotations={"org.example.n": str(next(_seeds))})
    index = artifact(subject.manifest, OCI_INDEX, annotations={"org.example.n": str(next(_seeds))})
    for body in (typed, plain, index, artifact(None, annotations={"no": "subject"})):
        assert registry.put(name, digest(body), body).status_code == 201
    found = {item["digest"]: item for item in referrers(registry, name, subject.manifest)}
    assert found.keys() == {digest(typed), digest(plain), digest(index)}
    assert found[digest(typed)] == {
        **descriptor(typed, OCI_MANIFEST),
        "artifactType": "application/sbom",
        "annotations": {"org.example.a": "b"},
    }
    assert found[digest(plain)]["artifactType"] == "application/vnd.oci.empty.v1+json", "the config's media type"
    assert "artifactType" not in found[digest(index)], "an index without one must omit it"


def test_end_12a_no_referrers_must_be_an_empty_list_never_404(registry: Served, name: str) -> None:
    assert referrers(registry, name, b"unknown to the registry") == []


def test_end_12a_a_digest_that_can_t_be_must_be_400(registry: Served, name: str) -> None:
    assert registry.http.get(f"/v2/{name}/referrers/sha256:xyz").status_code == 400


def test_end_12b_a_filter_must_be_told_in_oci_filters_applied(registry: Served, name: str) -> None:
    registry.push_blob(name, b"{}")
    subject = new_image().manifest
    bodies = [artifact(subject, artifactType=f"application/{kind}") for kind in ("sbom", "signature")]
    for body in bodies:
        registry.put(name, digest(body), body)
    path = f"/v2/{name}/referrers/{digest(subject)}"
    answer = registry.http.get(path, params={"artifactType": "application/sbom"})
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert [item["digest"] for item in answer.json()["manifests"]] == [digest(bodies[0])]
    assert "OCI-Filters-Applied" not in registry.http.get(path).headers


def test_end_12a_a_deleted_referrer_is_listed_no_more_and_leaves_the_tag_schema_s_index(
    registry: Served, name: str
) -> None:
    registry.push_blob(name, b"{}")
    subject = new_image().manifest
    bodies = [artifact(subject, artifactType=f"application/{kind}") for kind in ("a", "b")]
    for body in bodies:
        registry.put(name, digest(body), body)
    rows = [descriptor(body, OCI_MANIFEST) for body in bodies]
    fallback = digest(subject).replace(":", "-")
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
    assert registry.put(name, fallback, index).status_code == 201
    registry.http.delete(f"/v2/{name}/manifests/{digest(bodies[0])}")
    assert [item["digest"] for item in referrers(registry, name, subject)] == [digest(bodies[1])]
    kept = registry.http.get(f"/v2/{name}/manifests/{fallback}").json()["manifests"]
    assert [item["digest"] for item in kept] == [digest(bodies[1])]
    registry.http.delete(f"/v2/{name}/manifests/{digest(bodies[1])}")
    assert registry.http.get(f"/v2/{name}/manifests/{fallback}").status_code == 404
    assert registry.http.get(f"/v2/{name}/manifests/{digest(index)}").status_code == 404


# -- end-8: listing tags -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagged(registry: Served) -> list[str]:
    """A repository with tags, in lexical order: case-insensitive alphanumeric."""
    tags = ["1", "10", "2", "a", "B", "b", "c-1", "latest", "Z"]
    image = Image(999)
    registry.push("team/repo2", image, "latest")
    for tag in reversed(tags):
        registry.put("team/repo2", tag, image.manifest)
    return tags


def test_end_8a_the_tags_must_be_200_in_lexical_order(registry: Served, tagged: list[str]) -> None:
    answer = registry.http.get("/v2/team/repo2/tags/list")
    assert answer.status_code == 200
    assert answer.json() == {"name": "team/repo2", "tags": tagged}
    assert "Link" not in answer.headers


def test_end_8a_a_repository_without_tags_is_an_empty_list(registry: Served) -> None:
    assert registry.http.get("/v2/empty/tags/list").json() == {"name": "empty", "tags": []}


def test_end_8b_n_must_give_n_tags_and_the_link_leads_through_all_of_them(registry: Served, tagged: list[str]) -> None:
    for most in range(1, len(tagged) + 2):
        found: list[str] = []
        path = f"/v2/team/repo2/tags/list?n={most}"
        while path:
            answer = registry.http.get(path)
            page = answer.json()["tags"]
            assert len(page) == min(most, len(tagged) - len(found))
            found += page
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
            assert (link is not None) == ("Link" in answer.headers) == (len(found) < len(tagged))
            path = link[1] if link else ""
        assert found == tagged


def test_end_8b_n_zero_must_be_an_empty_list_without_a_link(registry: Served, tagged: list[str]) -> None:
    answer = registry.http.get("/v2/team/repo2/tags/list?n=0")
    assert answer.json()["tags"] == []
    assert "Link" not in answer.headers


def test_end_8b_last_begins_after_that_tag_with_or_without_n(registry: Served, tagged: list[str]) -> None:
    for position, tag in enumerate(tagged):
        answer = registry.http.get("/v2/team/repo2/tags/list", params={"last": tag})
        assert answer.json()["tags"] == tagged[position + 1 :]
        answer = registry.http.get("/v2/team/repo2/tags/list", params={"last": tag, "n": "2"})
        assert answer.json()["tags"] == tagged[position + 1 : position + 3]


@pytest.mark.parametrize("most", ["-1", "x", "1.5", "9" * 30])
def test_end_8b_n_that_is_no_number_is_400(registry: Served, most: str) -> None:
    assert registry.http.get("/v2/team/repo2/tags/list", params={"n": most}).status_code == 400


def test_the_catalog_lists_repositories_page_by_page(registry: Served) -> None:
    assert registry.http.get("/v2/_catalog").json() == {"repositories": sorted(NAMES)}
    answer = registry.http.get("/v2/_catalog?n=2")
    assert answer.json() == {"repositories": sorted(NAMES)[:2]}
    link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers["Link"])
    assert link is not None
    assert registry.http.get(link[1]).json() == {"repositories": sorted(NAMES)[2:]}


# -- end-9, end-10: deleting -------------------------------------------------------------------------------------


def test_end_9_deleting_a_tag_must_be_202_and_the_manifest_stays(registry: Served, name: str) -> None:
    wanted = registry.push(name, new_image(), "gone")
    assert registry.http.delete(f"/v2/{name}/manifests/gone").status_code == 202
    assert registry.http.get(f"/v2/{name}/manifests/gone").status_code == 404
    assert registry.http.get(f"/v2/{name}/manifests/{wanted}").status_code == 200
    assert registry.http.delete(f"/v2/{name}/manifests/gone").status_code == 404


def test_end_9_deleting_a_manifest_must_be_202_and_its_tags_are_404_then(registry: Served, name: str) -> None:
    image = new_image()
    wanted = registry.push(name, image, "first")
    registry.put(name, "second", image.manifest)
    assert registry.http.delete(f"/v2/{name}/manifests/{wanted}").status_code == 202
    for reference in (wanted, "first", "second"):
        assert registry.http.get(f"/v2/{name}/manifests/{reference}").status_code == 404
    assert registry.code(registry.http.delete(f"/v2/{name}/manifests/{wanted}")) == (404, "MANIFEST_UNKNOWN")


def test_end_9_deleting_in_a_repository_that_does_not_exist_must_be_404(registry: Served) -> None:
    login = registry.login("repo1", push=True)
    assert registry.http.delete(f"/v2/never/made/manifests/{ABSENT}", auth=login).status_code == 404


def test_end_10_deleting_a_blob_must_be_202_and_it_is_404_then(registry: Served, name: str, algorithm: str) -> None:
    wanted = registry.push_blob(name, new_body(), algorithm)
    assert registry.http.delete(f"/v2/{name}/blobs/{wanted}").status_code == 202
    assert registry.http.head(f"/v2/{name}/blobs/{wanted}").status_code == 404


def test_end_10_a_blob_that_is_not_found_must_be_404(registry: Served, name: str) -> None:
    assert registry.code(registry.http.delete(f"/v2/{name}/blobs/{ABSENT}")) == (404, "BLOB_UNKNOWN")


def test_end_10_a_blob_of_an_image_can_t_be_deleted_before_the_image(registry: Served, name: str) -> None:
    image = new_image()
    wanted = registry.push(name, image)
    (blob, *_) = image.blobs
    assert registry.code(registry.http.delete(f"/v2/{name}/blobs/{blob}")) == (405, "UNSUPPORTED")
    assert registry.http.head(f"/v2/{name}/blobs/{blob}").status_code == 200
    registry.http.delete(f"/v2/{name}/manifests/{wanted}")
    assert registry.http.delete(f"/v2/{name}/blobs/{blob}").status_code == 202


# -- errors ------------------------------------------------------------------------------------------------------

CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v2/repo1/nothing", 404),
        ("POST", "/v2/repo1/tags/list", 405),
        ("PUT", "/v2/", 405),
        ("GET", "/v2/UPPER/tags/list", 400),
        ("GET", "/v2/a//b/tags/list", 400),
        ("GET", "/v2/%2e%2e/tags/list", 400),
        ("GET", f"/v2/{'x' * 256}/tags/list", 400),
        ("GET", f"/v2/{'x/' * 120}x/tags/list", 401),
        ("GET", "/v2/repo1/manifests/no-such-tag", 404),
    ],
)
def test_an_error_must_have_a_code_of_the_specification_and_a_sentence(
    registry: Served, method: str, path: str, status: int
) -> None:
    answer = registry.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    (error,) = answer.json()["errors"]
    assert error["code"] in CODES
    assert error["message"]


def test_name_a_name_that_can_t_be_is_name_invalid(registry: Served) -> None:
    for wrong in ("Upper", "a..b", "-a", "a/", "a b", "é"):
        answer = registry.http.post(f"/v2/{wrong}/blobs/uploads/")
        assert registry.code(answer) == (400, "NAME_INVALID"), wrong
