"""The stored JSON of a local registry: what it looks like, and that what others put into it survives a write."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import PlatformError
from reconciler.model.marks import Marks
from reconciler.platforms.local.documents import (
    AccessDocument,
    CredentialsDocument,
    Documents,
    Entry,
    RepositoryDocument,
    RepositorySettings,
)
from reconciler.platforms.local.store import SETTLED, Stamp, Store

MARKS = Marks("tests", "spec", "v1-0123")
STORED_MARKS = {"reconciler-owner": "tests", "reconciler-origin": "spec", "reconciler-applied": "v1-0123"}


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    return Documents(Store(tmp_path))


def put(documents: Documents, path: str, stored: dict[str, Any]) -> None:
    """Writes a file below control/ as somebody would by hand."""
    file = documents.store.root / "control" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(stored))


def stored(documents: Documents, path: str) -> Any:
    return json.loads((documents.store.root / "control" / path).read_bytes())


def test_a_repository_is_its_settings_that_are_not_at_their_default_its_labels_and_its_marks(
    documents: Documents,
) -> None:
    settings = RepositorySettings(keep_last=3, movable_tags=("latest",), labels=(("a", "1"), ("b", "2")))
    document = RepositoryDocument("team/app", settings, MARKS, {"theirs": "x"})
    documents.repositories.write(document)
    assert stored(documents, "repositories/team%2Fapp.json") == {
        "settings": {"keep_last": 3, "movable_tags": ["latest"]},
        "labels": {"a": "1", "b": "2", "theirs": "x"},
        "marks": {**STORED_MARKS, "reconciler-labels": "a b"},
    }
    assert documents.repositories.names() == ["team/app"]
    assert documents.repositories.read("team/app") == document


def test_a_repository_that_somebody_made_by_hand_has_no_marks_and_labels_of_its_own(documents: Documents) -> None:
    put(documents, "repositories/a.json", {"settings": {"keep_last": 1, "unknown": 2}, "labels": {"l": "m"}})
    assert documents.repositories.read("a") == RepositoryDocument(
        "a", RepositorySettings(keep_last=1), Marks(), {"l": "m"}
    )


def test_entries_without_a_grant_survive_a_write_whole_and_in_their_order(documents: Documents) -> None:
    others = [{"users": ["q", 1], "permission": "odd", "x": {"y": [1, None]}}, {"grant": "", "note": "by hand"}]
    own = {"grant": "ops", "users": ["bob"], "permission": "pull"}
    put(documents, "access/a.json", {"entries": [others[0], own, others[1]], "marks": STORED_MARKS})
    found = documents.access.read("a")
    assert found is not None
    assert (found.entries, found.marks) == ((Entry("ops", ("bob",)),), MARKS)
    documents.access.write(found)
    assert stored(documents, "access/a.json") == {"entries": [*others, own], "marks": STORED_MARKS}
    documents.access.write(AccessDocument("a", foreign=found.foreign))
    assert stored(documents, "access/a.json") == {"entries": others, "marks": {}}


def test_access_is_the_sum_of_a_user_s_entries_and_of_everyone_s(documents: Documents) -> None:
    entries = [
        {"grant": "devs", "users": ["alice"], "permission": "push-pull"},
        {"users": ["*"], "permission": "pull"},
        {"users": ["bob"], "permission": "a permission of a later release"},
    ]
    access = AccessDocument.parse("a", {"entries": entries})
    assert {user: sorted(access.allows(user)) for user in ("alice", "bob", "")} == {
        "alice": ["pull", "push"],
        "bob": ["pull"],
        "": ["pull"],
    }
    assert access.open_to_everyone
    closed = AccessDocument.parse("a", {"entries": entries[:1]})
    assert (closed.allows(""), closed.allows("bob"), closed.open_to_everyone) == (frozenset(), frozenset(), False)


def test_credentials_are_kept_as_a_hash_and_a_file_that_is_none_of_ours_is_nobody_s(documents: Documents) -> None:
    expires = datetime(2026, 11, 24, 12, tzinfo=UTC)
    issued = CredentialsDocument("0123", "alice", frozenset(["b", "a"]), "pull", expires, "$argon2id$...")
    documents.credentials.write(issued)
    kept = {
        "user": "alice",
        "repositories": ["a", "b"],
        "permission": "pull",
        "expires_at": "2026-11-24T12:00:00+00:00",
        "hash": "$argon2id$...",
    }
    assert stored(documents, "credentials/0123.json") == kept
    assert documents.credentials.read("0123") == issued
    put(documents, "credentials/4567.json", {**kept, "expires_at": "soon"})
    assert documents.credentials.read("4567") is None


def test_where_it_is_served_is_known_while_it_is_and_the_first_server_stays(documents: Documents) -> None:
    assert documents.served_at() is None
    with documents.serving("127.0.0.1:5000"):
        with documents.serving("127.0.0.1:5001"):
            assert documents.served_at() == "127.0.0.1:5000"
        assert stored(documents, "server/running.json") == {"place": "127.0.0.1:5000"}
    assert documents.served_at() is None
    put(documents, "server/running.json", {"place": "127.0.0.1:5000"})
    assert documents.served_at() is None, "a server that was killed holds no lock"


def test_what_is_read_again_and_again_is_parsed_once_until_it_changes(documents: Documents) -> None:
    documents.access.write(AccessDocument("a", (Entry("ops", ("bob",)),), MARKS))
    path = documents.store.path("access", "a")
    os.utime(path, ns=(0, time.time_ns() - 2 * SETTLED))
    first = documents.access.read_again("a")
    assert documents.access.read_again("a") is first
    documents.access.write(AccessDocument("a", (Entry("ops", ("alice",)),), MARKS))
    changed = documents.access.read_again("a")
    assert changed is not None
    assert changed.allows("alice") == {"pull"}
    documents.access.remove("a")
    assert documents.access.read_again("a") is None


def test_a_document_that_has_just_changed_is_read_again_since_the_next_may_look_the_same(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems with whole seconds, which give a removed file's number to the next: the size alone tells them apart."""
    path = documents.store.path("access", "a")
    for user in ("alice", "frank"):
        documents.access.write(AccessDocument("a", (Entry("ops", (user,)),), MARKS))
        second = time.time_ns() // 10**9 * 10**9
        os.utime(path, ns=(second, second))
        monkeypatch.setattr(documents.store, "stamp", lambda *_, at=second: Stamp(at, 1, 100))
        found = documents.access.read_again("a")
        assert found is not None
        assert found.allows(user) == {"pull"}


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_what_somebody_emptied_by_hand_is_empty(documents: Documents, nothing: Any) -> None:
    put(documents, "repositories/app.json", {"settings": nothing, "labels": nothing, "marks": nothing})
    put(documents, "access/app.json", {"entries": nothing, "marks": nothing})
    assert documents.repositories.read("app") == RepositoryDocument("app")
    assert documents.access.read("app") == AccessDocument("app")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("repositories/app.json", {"labels": "text"}),
        ("repositories/app.json", {"marks": ["x"]}),
        ("repositories/app.json", {"settings": 7}),
        ("repositories/app.json", {"settings": {"description": {"a": 1}}}),
        ("repositories/app.json", {"settings": {"movable_tags": [["x"]]}}),
        ("access/app.json", {"entries": ["alice"]}),
        ("access/app.json", {"entries": {"a": 1}}),
    ],
)
def test_a_document_of_another_form_is_reported_with_its_file(documents: Documents, path: str, wrong: Any) -> None:
    put(documents, path, wrong)
    section = documents.repositories if path.startswith("repositories") else documents.access
    for read in (section.read, section.read_again):
        with pytest.raises(PlatformError, match=r"app\.json is not a valid document of") as error:
            read("app")
        assert "repair the file" in str(error.value)


def test_a_text_in_the_place_of_users_is_one_user(documents: Documents) -> None:
    """Not its letters, and not whoever's name is a part of it."""
    put(documents, "access/app.json", {"entries": [{"users": "alice"}, {"grant": "one", "users": "bob"}]})
    document = documents.access.read("app")
    assert document is not None
    assert [bool(document.allows(user)) for user in ("alice", "bob", "a", "ali", "bo")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert document.to_json()["entries"][0] == {"users": "alice"}, "kept as it was written"


def test_a_text_in_the_place_of_tags_is_one_tag(documents: Documents) -> None:
    put(documents, "repositories/app.json", {"settings": {"movable_tags": "latest", "keep_tags": "v1"}})
    document = documents.repositories.read("app")
    assert document is not None
    assert (document.settings.movable_tags, document.settings.keep_tags) == (("latest",), ("v1",))
