"""What a program can do with repositories, on each platform: made, found, listed, left alone by plans, deleted."""

from __future__ import annotations

import pytest

from reconciler import (
    PlatformError,
    RepositoryExists,
    RepositoryNotFound,
    RepositoryOfSpec,
    UnsupportedAccess,
    artifact_registry,
)
from tests.sandbox.base import Sandbox


def test_a_repository_that_a_program_makes_is_its_own(sandbox: Sandbox) -> None:
    document = sandbox.document("base")
    sandbox.apply(document)
    with artifact_registry("images", spec=sandbox.spec(document)) as registry:
        if registry.platform == "external":
            pytest.skip("repositories of an external registry appear with the first push: the next test")
        made = registry.create_repository("my-app")
        assert (made.name, made.origin) == ("my-app", "runtime")
        assert made.native_name in made.uri
        assert registry.get_repository("my-app") == registry.get_repository(made.native_name) == made
        assert [(item.name, item.origin) for item in registry.list_repositories()] == [
            ("base", "spec"),
            ("my-app", "runtime"),
        ]
        plan = sandbox.plan(document)
        assert plan.changes == ()
        assert "images.repository.my-app" in plan.runtime
        with pytest.raises(RepositoryExists):
            registry.create_repository("my-app")
        with pytest.raises(RepositoryExists):
            registry.create_repository("base")
        with pytest.raises(RepositoryOfSpec):
            registry.delete_repository("base")
        registry.delete_repository("my-app")
        with pytest.raises(RepositoryNotFound):
            registry.get_repository("my-app")
        assert sandbox.plan(document).changes == ()


def test_repositories_of_others_appear_with_the_first_push(sandbox: Sandbox) -> None:
    document = sandbox.document("base")
    with artifact_registry("images", spec=sandbox.spec(document)) as registry:
        if registry.platform != "external":
            pytest.skip("made here: the test before")
        made = registry.create_repository("my-app")
        assert (made.created_at, made.origin) == (None, "push")
        with pytest.raises(RepositoryNotFound, match="appears with the first push"):
            registry.get_repository("my-app")
        sandbox.push_image("my-app")
        assert registry.get_repository("my-app") == made
        assert "my-app" in [item.name for item in registry.list_repositories()]
        with pytest.raises(PlatformError, match="deleted there alone"):
            registry.delete_repository("my-app")
        with pytest.raises(UnsupportedAccess):
            registry.get_cross_account_access("my-app")
        assert registry.generate_credentials("my-app").notes
