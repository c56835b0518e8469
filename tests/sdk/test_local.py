"""A program's registry on this machine: repositories, credentials and access, beside what a spec has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from reconciler import (
    ArtifactRegistry,
    AwsAccess,
    GivenAccess,
    GuardViolation,
    LocalAccess,
    ReconcilerError,
    RegistryNotFound,
    RepositoryExists,
    RepositoryNotFound,
    RepositoryOfSpec,
    SpecError,
    UnsupportedAccess,
    apply,
    artifact_registry,
    async_artifact_registry,
    load_spec,
    plan,
)
from reconciler.spec.binding import binding_of, variable

DOCUMENT = {
    "version": 1,
    "name": "shop",
    "defaults": {"repository": {"immutable_tags": True}},
    "registries": [{"name": "images", "platform": "local", "path": "data"}],
    "repositories": [{"name": "base", "registry": "images"}],
}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec that was applied."""
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    apply(plan(load_spec(path)))
    return path


@pytest.fixture
def registry(spec: Path) -> ArtifactRegistry:
    return artifact_registry("images", spec=spec)


def test_a_repository_is_made_found_listed_and_deleted(registry: ArtifactRegistry, spec: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    made = registry.create_repository("my-app")
    assert (made.name, made.origin) == ("my-app", "runtime")
    assert made.uri.endswith("/my-app")
    assert made.created_at is not None
    assert before <= made.created_at <= datetime.now(UTC)
    assert registry.get_repository("my-app") == made
    assert [(item.name, item.origin) for item in registry.list_repositories()] == [
        ("base", "spec"),
        ("my-app", "runtime"),
    ]
    found = plan(load_spec(spec))
    assert (found.changes, found.runtime) == ((), ("images.repository.my-app",))
    registry.delete_repository("my-app")
    assert [item.name for item in registry.list_repositories()] == ["base"]


def test_it_takes_the_defaults_of_the_spec_and_settings_over_them(registry: ArtifactRegistry, spec: Path) -> None:
    registry.create_repository("usual")
    registry.create_repository("other", immutable_tags=False, labels={"team": "a"})
    text = spec.read_text()
    spec.write_text(
        yaml.safe_dump(
            DOCUMENT
            | {
                "repositories": [
                    {"name": "base", "registry": "images"},
                    {"name": "usual", "registry": "images", "adopt": True},
                    {"name": "other", "registry": "images", "adopt": True, "immutable_tags": True},
                ]
            }
        )
    )
    fields = {change.address: {item.path for item in change.fields} for change in plan(load_spec(spec)).changes}
    assert fields == {
        "images.repository.other": {"immutable_tags", "labels.team"},
        "images.repository.usual": set(),
    }
    spec.write_text(text)


def refusals() -> dict[str, tuple[Callable[[ArtifactRegistry], object], type[ReconcilerError], str]]:
    anyone, aws = LocalAccess(users=["*"]), AwsAccess(account_ids=["123456789012"])
    return {
        "again": (lambda it: it.create_repository("my-app"), RepositoryExists, "it was made at run time"),
        "of the spec": (lambda it: it.create_repository("base"), RepositoryExists, "it is the spec's"),
        "no name": (lambda it: it.create_repository("No!"), SpecError, "must be words of lower-case letters"),
        "no setting": (lambda it: it.create_repository("a", encrypted=True), SpecError, "encrypted"),
        "unknown": (lambda it: it.get_repository("nope"), RepositoryNotFound, "has no repository nope"),
        "no name of one": (lambda it: it.get_repository("No!"), RepositoryNotFound, "has no repository No!"),
        "delete the spec's": (lambda it: it.delete_repository("base"), RepositoryOfSpec, "take it out of the spec"),
        "credentials": (lambda it: it.generate_credentials("nope"), RepositoryNotFound, "has no repository nope"),
        "a verb": (lambda it: it.generate_credentials("base", "push"), UnsupportedAccess, "pull or push-pull"),
        "anyone": (lambda it: it.add_cross_account_access("base", anyone), GuardViolation, "allow_public"),
        "another cloud": (lambda it: it.add_cross_account_access("base", aws), UnsupportedAccess, "can grant to local"),
        "no access": (lambda it: it.add_cross_account_access("base", "bob"), UnsupportedAccess, "not str"),
    }


@pytest.mark.parametrize("case", refusals())
def test_what_can_t_be_is_an_error_of_its_own_class(registry: ArtifactRegistry, case: str) -> None:
    registry.create_repository("my-app")
    act, error, said = refusals()[case]
    with pytest.raises(error) as raised:
        act(registry)
    assert said in str(raised.value)


def test_access_is_given_once_and_taken_back_user_by_user(registry: ArtifactRegistry, spec: Path) -> None:
    for users in (["bob"], ["amy", "bob"]):
        registry.add_cross_account_access("base", LocalAccess(users=users))
    registry.add_cross_account_access("base", LocalAccess(users=["zoe"]), "push-pull")
    assert registry.get_cross_account_access("base") == [
        GivenAccess(LocalAccess(users=("amy", "bob"))),
        GivenAccess(LocalAccess(users=("zoe",)), "push-pull"),
    ]
    registry.remove_cross_account_access("base", LocalAccess(users=["bob", "nobody"]))
    registry.remove_cross_account_access("base", LocalAccess(users=["zoe"]), "push-pull")
    assert registry.get_cross_account_access("base") == [GivenAccess(LocalAccess(users=("amy",)))]
    found = plan(load_spec(spec))
    assert found.changes == ()
    assert [item.what for item in found.foreign] == ["an entry that was made at run time"]


def test_what_the_spec_gives_and_what_a_program_gives_stay_apart(registry: ArtifactRegistry, spec: Path) -> None:
    registry.add_cross_account_access("base", LocalAccess(users=["bob"]))
    grant = {"name": "deploy", "registry": "images", "to": {"type": "local", "users": ["bob"]}}
    for grants in ([grant], []):
        spec.write_text(yaml.safe_dump({**DOCUMENT, "grants": grants}))
        apply(plan(load_spec(spec)))
        assert registry.get_cross_account_access("base") == [GivenAccess(LocalAccess(users=("bob",)))]
    spec.write_text(yaml.safe_dump({**DOCUMENT, "grants": [grant]}))
    apply(plan(load_spec(spec)))
    registry.remove_cross_account_access("base", LocalAccess(users=["bob"]))
    found = plan(load_spec(spec))
    assert (found.changes, found.foreign) == ((), ())


def test_a_binding_is_as_good_as_the_spec_and_knows_no_folder(
    registry: ArtifactRegistry, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.create_repository("my-app")
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv(variable("images"), binding_of(load_spec(spec), "images").written())
    found = artifact_registry("images")
    assert [item.name for item in found.list_repositories()] == ["base", "my-app"]
    found.create_repository("more")
    with pytest.raises(RegistryNotFound, match=r"no registry\.yaml"):
        artifact_registry("others")
    monkeypatch.setenv(variable("others"), binding_of(load_spec(spec), "images").written())
    with pytest.raises(RegistryNotFound, match="binding of registry 'images'"):
        artifact_registry("others")
    for text in (
        "{",
        "{}",
        '{"binding": 1, "more": {}}',
        '{"binding": 1, "owner": "x", "registry": {"name": "others"}}',
    ):
        monkeypatch.setenv(variable("others"), text)
        with pytest.raises(SpecError):
            artifact_registry("others")


def test_where_a_registry_is_looked_for(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifact_registry().name == "images"  # registry.yaml is here
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(RegistryNotFound):
        artifact_registry("images")
    monkeypatch.setenv("RECONCILER_SPEC", str(spec))
    assert [item.name for item in artifact_registry("images").list_repositories()] == ["base"]
    with pytest.raises(RegistryNotFound, match="did you mean 'images'"):
        artifact_registry("imges")


def test_the_asyncio_twin_does_the_same_many_at_once(spec: Path) -> None:
    async def main() -> list[str]:
        async with async_artifact_registry("images", spec=spec) as registry:
            await asyncio.gather(*(registry.create_repository(f"app-{number}") for number in range(20)))
            with pytest.raises(RepositoryNotFound):
                await registry.get_repository("nope")
            await registry.add_cross_account_access("base", LocalAccess(users=["bob"]))
            assert len(await registry.get_cross_account_access("base")) == 1
            await registry.remove_cross_account_access("base", LocalAccess(users=["bob"]))
            await registry.delete_repository("app-0")
            assert (await registry.generate_credentials("app-1")).password
            return [item.name for item in await registry.list_repositories()]

    assert sorted(asyncio.run(main())) == sorted(["base", *(f"app-{number}" for number in range(1, 20))])


def test_the_twin_has_all_that_the_registry_has(registry: ArtifactRegistry) -> None:
    from reconciler import AsyncArtifactRegistry

    public = {name for name in vars(ArtifactRegistry) if not name.startswith("_")} - {"close"}
    assert public == {name for name in vars(AsyncArtifactRegistry) if not name.startswith("_")} - {"aclose"}
