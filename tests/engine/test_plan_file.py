"""A saved plan says what it does: an edited file is refused, and none ends in a traceback."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter

from reconciler.engine.fields import changes_of, set_by
from reconciler.engine.plan import Plan
from reconciler.engine.plan_again import again
from reconciler.engine.plan_document import PlanDocument
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.plan_parts import Loading
from reconciler.errors import ReconcilerError
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, Home, Kind
from reconciler.model.marks import APPLIED
from reconciler.platforms.catalog import CATALOG
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Sandbox
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # many edits of a plan file

Json = dict[str, Any]


def estate(sandbox: Sandbox, **immutable: Any) -> Plan:
    """A plan with creates, updates, deletes that take along what others gave, an adoption, a release, and guards that say much.

    `immutable`: a field of a repository whose change is a replacement.
    """
    document = sandbox.document(
        {"name": "app-a", "description": "the shop", "labels": {"team": "shop"}},
        {"name": "app-b", "delete_images": True},
        {"name": "app-c", "protect": True},
        "app-d",
        "app-g",
        grants=(
            {"name": "one", "to": sandbox.target("1")},
            {"name": "two", "repositories": ["app-a"], "to": sandbox.target("2")},
        ),
        guards={"max_deletes": "100%"},
    )
    sandbox.apply(document)
    for name in ("app-b", "app-c"):
        sandbox.push_image(name)
    sandbox.give_foreign_access("app-b")
    sandbox.give_foreign_access("app-a")
    sandbox.make_foreign("app-e")
    sandbox.describe("app-a")
    document["repositories"] = [
        {"name": "app-a", "registry": "images", "description": "the new shop"},
        {"name": "app-d", "registry": "images", **immutable},
        {"name": "app-e", "registry": "images", "adopt": True},
        {"name": "app-f", "registry": "images", "description": "new"},
        {"name": "app-g", "registry": "images", "release": True},
    ]
    document["grants"][0]["to"] = sandbox.target("3")
    document["grants"].append({"name": "world", "registry": "images", "to": sandbox.everyone()})
    document["guards"] = {"max_deletes": 1, "protect": ["x-*"]}
    return sandbox.plan(document)


@pytest.fixture
def plan(local: LocalSandbox) -> Plan:
    return estate(local)


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def read(document: Json | str) -> Plan:
    return loads(document if isinstance(document, str) else json.dumps(document), "plan.json", platforms=CATALOG)


def change_of(document: Json, address: str) -> Json:
    changes: list[Json] = document["changes"]
    (found,) = [change for change in changes if change["address"] == address]
    return found


def test_the_plan_has_all_that_there_is_to_edit(plan: Plan) -> None:
    assert {change.action for change in plan.changes} == set(Action) - {Action.REPLACE}
    assert {verdict.guard for verdict in plan.violations} == {"max_deletes", "protect", "images", "allow_public"}
    assert any(change.foreign for change in plan.changes)
    loaded = read(dumps(plan))
    assert loaded.changes == tuple(without_what_is_not_kept(change) for change in plan.changes)
    assert (loaded.verdicts, loaded.graph, words(loaded)) == (plan.verdicts, plan.graph, words(plan))
    assert dumps(loaded) == dumps(plan)


@pytest.mark.parametrize("part", ["name", "uri", "note", "all of it"])
def test_no_file_says_another_name_of_the_platform_s_own(plan: Plan, part: str) -> None:
    document = json.loads(dumps(plan))
    change = change_of(document, "images.repository.app-f")
    if part == "all of it":
        del change["native_name"]
    else:
        change["native_name"][part] = "evil.example.com/app-f"
    with pytest.raises(
        ReconcilerError, match=r"images\.repository\.app-f: 'native_name' does not follow from what would be"
    ):
        read(document)


def without_what_is_not_kept(change: Change) -> Change:
    from dataclasses import replace

    wanted = change.desired and replace(change.desired, adopt=False)
    return replace(change, desired=wanted, live=change.live and replace(change.live, etag=""))


def stranger(document: Json) -> None:
    """What is written is more than what is said."""
    change_of(document, "images.access.app-a")["desired"]["settings"]["entries"][0]["users"] = ["mallory"]


def nobody_s(document: Json) -> None:
    """What is written counts as somebody else's."""
    change_of(document, "images.access.app-f")["desired"]["settings"]["entries"][0]["grant"] = ""


def no_verdicts(document: Json) -> None:
    document["guards"] = []


def passed(document: Json) -> None:
    for verdict in document["guards"]:
        verdict["passed"] = True


def force(document: Json) -> None:
    change_of(document, "images.repository.app-c")["force"] = True
    document["guards"] = [item for item in document["guards"] if item["guard"] != "images"]


def not_counted(document: Json) -> None:
    del change_of(document, "images.repository.app-c")["images"]
    document["guards"] = [item for item in document["guards"] if item["guard"] != "images"]


def no_limit(document: Json) -> None:
    document["basis"]["rules"]["max_deletes"] = 100


def no_gains(document: Json) -> None:
    del change_of(document, "images.access.app-f")["gains"]


def no_losses(document: Json) -> None:
    del change_of(document, "images.repository.app-b")["losses"]


def nothing_along(document: Json) -> None:
    del change_of(document, "images.repository.app-b")["along"]


def no_foreign(document: Json) -> None:
    del change_of(document, "images.repository.app-b")["foreign"]


def other_field(document: Json) -> None:
    change_of(document, "images.repository.app-a")["fields"][0]["new"] = "harmless"


def other_cause(document: Json) -> None:
    change_of(document, "images.repository.app-a")["cause"] = "pending"


def other_fingerprint(document: Json) -> None:
    change_of(document, "images.repository.app-a")["fingerprint"] = "0" * 16


def update_as_create(document: Json) -> None:
    change_of(document, "images.repository.app-a")["action"] = "create"


def update_as_delete(document: Json) -> None:
    change_of(document, "images.repository.app-a")["action"] = "delete"


def delete_as_replace(document: Json) -> None:
    change_of(document, "images.repository.app-b")["action"] = "replace"


def create_without_desired(document: Json) -> None:
    change_of(document, "images.repository.app-f")["desired"] = None


def somebody_else_s(document: Json) -> None:
    change_of(document, "images.repository.app-b")["live"]["owner"] = "somebody-else"


def unknown_registry(document: Json) -> None:
    change_of(document, "images.repository.app-f")["address"] = "imges.repository.app-f"


def unknown_kind(document: Json) -> None:
    change_of(document, "images.repository.app-f").update(address="images.rule.app-f", kind="rule")


def two_kinds(document: Json) -> None:
    change_of(document, "images.repository.app-f")["kind"] = "access"


def no_address(document: Json) -> None:
    change_of(document, "images.repository.app-f")["address"] = "images"


def a_line_more(document: Json) -> None:
    change_of(document, "images.repository.app-f")["address"] = "images.repository.app-f\nPlan: nothing"


def circle(document: Json) -> None:
    first, then = document["graph"][0]
    document["graph"].append([then, first])


def circle_of_needs(document: Json) -> None:
    repository, access = (change_of(document, f"images.{kind}.app-f") for kind in ("repository", "access"))
    repository["needs"] = repository["desired"]["needs"] = [access["address"]]
    document["graph"].append([access["address"], repository["address"]])


def circle_of_parents(document: Json) -> None:
    change_of(document, "images.repository.app-b")["live"]["parent"] = "images.access.app-b"


def parent_of_another_name(document: Json) -> None:
    change_of(document, "images.access.app-a")["desired"]["parent"] = "images.repository.app-f"


def unknown_in_graph(document: Json) -> None:
    document["graph"].append(["images.repository.nope", "images.repository.app-f"])


def shorter_graph(document: Json) -> None:
    document["graph"].pop()


def other_order(document: Json) -> None:
    document["changes"].reverse()


def twice(document: Json) -> None:
    document["changes"].append(document["changes"][0])


def one_less(document: Json) -> None:
    document["changes"].remove(change_of(document, "images.access.app-f"))


def unknown_setting(document: Json) -> None:
    change_of(document, "images.repository.app-f")["desired"]["settings"]["public"] = True


def other_type(document: Json) -> None:
    change_of(document, "images.repository.app-f")["desired"]["settings"]["keep_last"] = "5"


def huge(document: Json) -> None:
    change_of(document, "images.repository.app-c")["images"] = 10**400


def negative(document: Json) -> None:
    change_of(document, "images.repository.app-c")["images"] = -1


def half_a_character(document: Json) -> None:
    document["changes"][0]["notes"] = ["\ud800"]


def registry_twice(document: Json) -> None:
    document["registries"] *= 2


def no_platform(document: Json) -> None:
    document["registries"][0]["platform"] = "nope\nPlan: nothing"


def key_of_two_lines(document: Json) -> None:
    document["changes"][0]["x\nPlan: nothing"] = 1


def no_path(document: Json) -> None:
    document["base"] = "a\0b"


EDITS: tuple[Callable[[Json], None], ...] = (
    *(
        stranger,
        nobody_s,
        no_verdicts,
        passed,
        force,
        not_counted,
        no_limit,
        no_gains,
        no_losses,
        nothing_along,
        no_foreign,
    ),
    *(other_field, other_cause, other_fingerprint, update_as_create, update_as_delete, delete_as_replace),
    *(create_without_desired, somebody_else_s, unknown_registry, unknown_kind, two_kinds, no_address, a_line_more),
    *(circle, circle_of_needs, circle_of_parents, parent_of_another_name, unknown_in_graph, shorter_graph, other_order),
    *(
        twice,
        one_less,
        unknown_setting,
        other_type,
        negative,
        half_a_character,
        registry_twice,
        no_path,
        no_platform,
        key_of_two_lines,
    ),
)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edited_plan_is_damaged(plan: Plan, edit: Callable[[Json], None]) -> None:
    document = json.loads(dumps(plan))
    edit(document)
    with pytest.raises(ReconcilerError, match=r"^plan\.json is (damaged|not a plan file): [^\n]+$"):
        read(document)


def edited_throughout(document: Json) -> Plan:
    """What somebody gets who edits all that follows from an edit too."""
    loading = Loading(PlanDocument[dict[str, JsonValue]].model_validate(document), CATALOG, ".", {})
    return read(dumps(again(loading.plan(), loading.kinds)))


def test_whoever_edits_all_that_follows_gets_a_plan_that_says_what_it_does(plan: Plan) -> None:
    document = json.loads(dumps(plan))
    stranger(document)
    no_limit(document)
    huge(document)
    said = words(edited_throughout(document))
    assert "user mallory can now pull" in said
    assert f"images.repository.app-c holds {10**400} images" in said
    assert "max_deletes" in words(plan)
    assert "max_deletes" not in said


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 3, "changes": ' + "[" * 100_000,
        '{"format": 3, "changes": NaN}',
        '{"format": 3, "changes": 1e999}',
        '{"format": 3, "changes": ' + "9" * 5000 + "}",
        '{"format": 3, "format": 3}',
        '{"format": true, "changes": []}',
        '{"format": 3.0, "changes": []}',
        '{"format": 3, "changes": [], "variables": []}',
        '{"format": 3, "changes": [], "variables": {"A": 1}, "spec_hash": "x"}',
        '{"format": 3, "changes": ["${env:HOME}"], "variables": {}}',
        '{"format": 3, "spec_hash": "", "changes": ' + "[" * 600 + '"${env:}"' + "]" * 600 + "}",
        "{",
        "{}",
        "[]",
        "\0",
    ],
    ids=range(16),
)
def test_what_is_no_plan_is_refused_in_words(text: str) -> None:
    with pytest.raises(ReconcilerError, match=r"^plan\.json is (damaged|not a plan file)"):
        read(text)


def test_a_plan_of_another_version_that_reads_otherwise_is_not_called_damaged(plan: Plan) -> None:
    document = json.loads(dumps(plan))
    document["tool"] = "0.0.1\n"
    assert words(read(document)) == words(plan)
    stranger(document)
    with pytest.raises(ReconcilerError, match=r"^plan\.json was made by version '0\.0\.1\\n', .*; make a new plan$"):
        read(document)


def test_a_platform_that_this_build_does_not_have_is_named(plan: Plan) -> None:
    document = json.loads(dumps(plan))
    document["registries"][0]["platform"] = "nope"
    with pytest.raises(ReconcilerError, match=r"^plan\.json: platform nope is not available in this build$"):
        read(document)


# -- anything at all, anywhere

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.floats(),
    st.sampled_from(["", "*", "create", "delete", "images.repository.app-a", "a.b", "${env:HOME}", "\n", "\ud800"]),
    st.text(max_size=5),
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from places(below, (*path, key))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def mutate(document: Json, data: st.DataObject) -> None:
    """Deletes, replaces, swaps or inserts at one place."""
    found = list(places(document))
    where = data.draw(st.sampled_from(found))
    holder, key = at(document, where[:-1]), where[-1]
    like = [place for place in found if place[-1] == key and place != where] or found
    other = copy.deepcopy(at(document, data.draw(st.sampled_from(found))))
    match data.draw(st.sampled_from(["alike", "swap", "scalar", "delete", "other", "insert"])):
        case "alike":
            holder[key] = copy.deepcopy(at(document, data.draw(st.sampled_from(like))))
        case "swap":
            place = data.draw(st.sampled_from(like))
            if place[: len(where)] != where and where[: len(place)] != place:
                second = at(document, place[:-1])
                holder[key], second[place[-1]] = second[place[-1]], holder[key]
        case "delete":
            del holder[key]
        case "scalar":
            holder[key] = data.draw(SCALARS)
        case "other":
            holder[key] = other
        case _ if isinstance(holder, list):
            holder.insert(int(key), other)
        case _:
            holder[data.draw(st.sampled_from(["force", "images", "x", "vacant", "needs"]))] = other


def _with_words(change: Change, other: Change) -> Change:
    return replace(change, fields=other.fields)


def check(text: str) -> None:
    """Either it is refused in words, or what it says is what follows from what it would write."""
    loaded, told = None, ""
    try:
        loaded = read(text)
    except ReconcilerError as error:
        told = str(error)
    if loaded is None:
        assert told.isprintable()
        return
    raw = json.loads(text)
    said = Loading(PlanDocument[dict[str, JsonValue]].model_validate(raw), CATALOG, ".", {}).plan()
    for one, other in zip(said.changes, loaded.changes, strict=True):
        assert one.fields == other.fields
    # JSON has the values alone, and the words for them are made anew
    said = replace(said, changes=tuple(map(_with_words, said.changes, loaded.changes)))
    assert words(said) == words(loaded), "what stands in the file is what is shown"
    registries = {item.name: item for item in loaded.registries}
    for change, written in zip(loaded.changes, raw["changes"], strict=True):
        kind = CATALOG[registries[change.registry].platform].kinds[change.kind]
        old, new = (settings_of(kind, written.get(side)) for side in ("live", "desired"))
        if change.desired is not None:
            there = change.live is not None and not change.live.vacant
            home = Home(loaded.owner, registries[change.registry])
            fields = changes_of(kind, old, new) if there else set_by(kind, change.desired, home)
            assert [item for item in change.fields if item.path != APPLIED] == list(fields)
        if isinstance(kind, GivesAccess) and new is not None:
            before = set(kind.access(change.address, old)) if old is not None else set()
            after = set(kind.access(change.address, new))
            # who of them could already is noted beside
            assert {replace(item, note="") for item in change.gains} <= after - before


def settings_of(kind: Kind, part: Json | None) -> Any:
    return None if part is None else TypeAdapter(kind.settings).validate_python(part["settings"])


@pytest.mark.slow
@settings(max_examples=100)
@given(data=st.data())
def test_whatever_is_done_to_a_plan_file_it_says_what_it_does(local: LocalSandbox, data: st.DataObject) -> None:
    document = json.loads(original(local))
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(document, data)
    check(json.dumps(document))


@settings(max_examples=100)
@given(data=st.data())
def test_so_with_aws(aws: AwsSandbox, data: st.DataObject) -> None:
    document = json.loads(original(aws))
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(document, data)
    check(json.dumps(document))


REPLACED = {"encryption": {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/k"}}
_MADE: dict[str, str] = {}


def original(sandbox: Sandbox) -> str:
    """The plan file, made once for all examples."""
    if sandbox.platform not in _MADE:
        _MADE[sandbox.platform] = dumps(estate(sandbox, **(REPLACED if sandbox.slow else {})))
    return _MADE[sandbox.platform]


def test_statements_that_are_edited_are_refused_and_if_all_is_edited_they_are_told(aws: AwsSandbox) -> None:
    document = json.loads(original(aws))
    assert {change["action"] for change in document["changes"]} == set(Action)
    statement: Json = {}
    for edit in ({"actions": ["ecr:*"]}, {"principals": ["*"]}):
        edited = copy.deepcopy(document)
        statement |= edit
        change_of(edited, "images.access.app-a")["desired"]["settings"]["statements"][0] |= statement
        with pytest.raises(ReconcilerError, match=r"images\.access\.app-a: '(fields|gains)' does not follow"):
            read(edited)
    said = words(edited_throughout(edited))
    assert "anyone can now" in said, said


# -- where a plan stands


def test_a_plan_made_in_one_folder_is_the_same_from_another(
    local: LocalSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    text = dumps(local.plan(local.document("app-a")), tmp_path / "plans")
    assert json.loads(text)["base"] == os.path.relpath(local.folder, tmp_path / "plans")
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = loads(text, platforms=CATALOG, folder="../plans")
    assert Path(loaded.base).resolve() == local.folder.resolve()
    assert dumps(loaded, "../plans") == text


CLUSTERS: Json = {
    "clusters": [
        {"name": "prod", "context": "prod", "kubeconfig": "kube/prod", "namespace": "notes"},
        {"name": "images", "in_cluster": True},
        {"name": "far", "kubeconfig": "/etc/kube"},
    ]
}


def test_a_plan_says_of_its_clusters_how_each_is_reached(local: LocalSandbox, tmp_path: Path) -> None:
    here = tmp_path / "plans"
    made = local.plan(local.document("app-a") | CLUSTERS)
    document = json.loads(dumps(made, here))
    assert document["clusters"] == CLUSTERS["clusters"], "what is as by default is left out"
    path = os.path.relpath(local.folder / "kube" / "prod", here)
    assert {key: value for key, value in document["where"].items() if key.startswith("cluster ")} == {
        "cluster prod": f"context prod of {path}",
        "cluster images": "from its own pods",
        "cluster far": "the current context of /etc/kube",
    }
    assert document["where"]["images"].startswith("local "), "a registry may be called as a cluster is"
    loaded = loads(json.dumps(document), platforms=CATALOG, folder=here)
    assert loaded.clusters == made.clusters == loaded.estate.clusters


def test_a_plan_of_a_spec_without_clusters_says_nothing_of_any(plan: Plan) -> None:
    document = json.loads(dumps(plan))
    assert "clusters" not in document
    assert list(document["where"]) == ["images"]


def another_way(document: Json) -> None:
    document["where"]["cluster prod"] = "context stage"


def another_cluster(document: Json) -> None:
    document["clusters"][0]["context"] = "stage"


def no_such_namespace(document: Json) -> None:
    document["clusters"][0]["namespace"] = "a.b"


@pytest.mark.parametrize("edit", [another_way, another_cluster, no_such_namespace], ids=lambda edit: edit.__name__)
def test_a_cluster_that_was_edited_is_damage(local: LocalSandbox, edit: Callable[[Json], None]) -> None:
    document = json.loads(dumps(local.plan(local.document("app-a") | CLUSTERS)))
    edit(document)
    with pytest.raises(ReconcilerError, match=r"^plan\.json is (damaged|not a plan file): [^\n]+$"):
        read(document)
