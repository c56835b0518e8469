"""A registry of somebody else as a sandbox: Debian's docker-registry. Nothing in it is ours, so most of the contract promises what
can't be here; pull secrets, which are ours, have a cluster's tests (test_kubernetes.py)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from reconciler.platforms.external.spec import EnvCredentials, ExternalRegistry, LoginSource, SecretReference
from tests.emulators.distribution import Distribution, available, docker_registry

from .base import Document, Hand, Sandbox
from .fields import COMMON, Fields, registry

LOGIN = ("alice", "pass:word")
_NONE = "a registry keeps neither tags nor access, as far as its API says"
NAMES = {"username": "SANDBOX_USER", "password": "SANDBOX_PASSWORD"}


#: why a test of the contract promises what can't be here, and those tests
_INAPPLICABLE = {
    "repositories are made, changed and deleted by whoever runs the registry": """
        after_apply_there_is_nothing_left_to_do
        a_change_by_hand_is_drift_and_apply_heals_it
        a_change_of_the_spec_is_pending_not_drift
        both_changed_is_told_as_both
        what_left_the_spec_is_deleted_with_what_stands_below_it
        what_goes_along_is_counted
        two_orders_of_the_same_spec_give_the_same_plan_file
        a_repository_with_images_is_not_deleted_without_permission
        delete_images_in_the_spec_is_remembered_when_the_repository_leaves_it
        a_protected_repository_is_never_deleted
        guards_protect_names_repositories_by_glob
        more_than_30_percent_of_deletes_are_refused_by_default
        foreign_tags_survive
        a_label_of_ours_alone_leaves_nothing_behind
        what_moves_during_the_run_is_stale_and_the_rest_goes_on
        what_is_gone_already_need_not_be_deleted
        a_plan_file_that_keeps_quiet_about_what_a_delete_takes_along_is_stale
        a_stop_ends_the_verification
        images_pushed_after_the_plan_make_a_delete_stale
        a_target_takes_what_it_needs_along_and_nothing_else
        a_write_marks_what_it_makes_with_the_origin_that_it_is_given
        a_saved_plan_says_what_the_spec_does_that_it_was_made_from
        a_saved_plan_that_lets_go_says_what_the_spec_does
        a_saved_plan_of_each_example_says_what_the_example_does
        an_error_and_a_saved_plan_know_the_lines_that_a_resource_comes_from
        an_address_that_is_none_of_what_is_there_reads_nothing
        a_saved_plan_is_applied_as_wide_as_it_is_asked_for
        somebody_else_s_tag_is_named_kept_and_given_back
        all_of_a_retired_registry_is_deleted_and_nothing_of_another
        what_a_registry_of_every_kind_holds_goes_in_an_order
        guards_hold_for_what_is_retired
        destroy_and_a_retired_registry_leave_what_is_released
        a_released_repository_stays_without_our_marks_and_statements
        a_release_and_a_target_are_both_done
        a_delete_is_not_done_already_where_the_resource_only_has_other_marks
        a_repository_s_own_name_and_uri_are_said_where_it_is_created_or_adopted
        any_change_by_hand_is_healed
        every_single_change_by_hand_is_healed
    """,
    "nobody owns a repository there, in words that a registry keeps": """
        a_repository_that_nobody_owns_is_a_conflict_until_it_is_adopted
        adopt_in_the_spec_is_enough
        what_another_spec_owns_is_never_taken_over
        what_was_created_at_run_time_is_reported_and_left_alone
        what_has_another_origin_is_reported_and_left_alone_and_a_conflict_if_wanted
        what_nobody_owns_and_the_spec_does_not_name_is_counted_and_kept
        a_target_that_names_what_nobody_owns_is_an_error_too
        what_was_there_before_it_was_adopted_is_deleted_only_by_its_address
        release_refuses_what_is_not_this_spec_s
        who_names_what_cannot_be_released_changes_nothing_else
        a_conflict_that_a_target_needs_is_shown_and_refuses_the_plan
    """,
    "access in it is up to whoever runs the registry; grants are to clusters: test_kubernetes.py": """
        access_that_was_removed_by_hand_is_drift_and_comes_back
        a_target_that_names_only_what_is_deleted_with_something_else_is_an_error
        a_grant_to_everyone_is_refused_unless_it_is_allowed
        foreign_access_survives_and_is_reported
        a_repository_with_access_that_others_gave_is_not_deleted_without_permission
        access_that_others_give_after_the_plan_makes_a_delete_stale
        a_saved_plan_is_stale_when_access_changed_meanwhile
        a_target_that_names_nothing_is_an_error_and_not_a_plan_of_nothing
        what_the_spec_gives_on_something_adopted_goes_without_permission
    """,
}
#: what the registry's operator decides: a spec that asks for it is refused
_THEIRS = ("immutable_tags", "scan_on_push", "retention", "labels")
#: fields of which nothing is in the registry: whatever they say, nothing is planned
_SAME: Fields = {
    field: (change, "same")
    for field, (change, _) in COMMON.items()
    if field.startswith("Repository.") and field.removeprefix("Repository.") not in _THEIRS
}


class ExternalSandbox(Sandbox):
    """A registry that takes one login, by Basic."""

    platform = "external"
    slow = True
    examples = 5
    longest_chain = 2
    inapplicable = {f"test_{name}": why for why, names in _INAPPLICABLE.items() for name in names.split()}
    targets = st.nothing()
    repository_fields = dict.fromkeys(_THEIRS, st.none())
    models = (ExternalRegistry, LoginSource, EnvCredentials, SecretReference)
    fields = {
        **_SAME,
        "Spec.defaults": (COMMON["Spec.defaults"][0], "same"),
        "Spec.repositories": (COMMON["Spec.repositories"][0], "same"),
        "ExternalRegistry.retired": (registry(retired=True), "same"),
    }
    elsewhere = {
        "ExternalRegistry.name": "another registry: the chains of test_transitions.py",
        "ExternalRegistry.platform": "another platform: the contract suite runs on each",
        **dict.fromkeys(
            (
                "ExternalRegistry.url",
                "ExternalRegistry.credentials",
                "ExternalRegistry.ca_file",
                "LoginSource.env",
                "LoginSource.docker_config",
                "LoginSource.kubernetes_secret",
                "EnvCredentials.username",
                "EnvCredentials.password",
                "SecretReference.cluster",
                "SecretReference.namespace",
                "SecretReference.name",
            ),
            "how it is reached, and where the login is: test_external.py",
        ),
        **dict.fromkeys(
            ("Spec.grants", "Grant.name", "Grant.repositories", "Grant.permission", "Grant.also"),
            "grants are to clusters: test_kubernetes.py",
        ),
        **dict.fromkeys((f"Repository.{field}" for field in _THEIRS), "refused: test_left_out.py"),
        "Repository.encryption": "refused: test_loader.py",
        "Repository.native_name": "refused: test_native_names.py",
        "Repository.lifecycle_policy": "refused: test_loader.py",
    }

    def __init__(self, server: Distribution) -> None:
        self.server = server
        self.data = server.authority.folder / "data"
        self.repositories = self.data / "docker" / "registry" / "v2" / "repositories"

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {
            "name": name,
            "platform": "external",
            "url": self.server.url,
            "ca_file": str(self.server.authority.file),
            "credentials": {"env": NAMES},
            **fields,
        }

    def target(self, who: str) -> Document:
        return {"type": "kubernetes", "cluster": "prod", "namespaces": [f"namespace-{who}"]}

    def everyone(self) -> Document:
        raise NotImplementedError("no cluster is everyone")

    @property
    def full_row(self) -> Document:
        return {}

    # without grants: a cluster has tests of its own
    def document(self, *repositories: Document | str, grants: tuple[Document, ...] = (), **top: Any) -> Document:
        return super().document(*repositories, **top)

    @property
    def rich(self) -> Document:
        return {
            "registries": [self.registry()],
            "repositories": [{"name": name, "registry": "images"} for name in ("app-a", "app-b")],
            "grants": [],
        }

    def put_labels(self, document: Document, labels: Mapping[str, str]) -> None:
        """Nothing there has any."""

    def state(self) -> Document:
        return {str(path.relative_to(self.data)): path.stat().st_size for path in self.data.rglob("link")}

    def reset(self) -> None:
        """Nothing is ever ours."""

    def repository_names(self) -> set[str]:
        return {str(path.parent.relative_to(self.repositories)) for path in self.repositories.rglob("_manifests")}

    def push_image(self, repository: str, tag: str = "v1") -> None:
        self.server.push(repository, LOGIN)

    def remove_repository(self, repository: str) -> None:
        shutil.rmtree(self.repositories / repository)

    def hands(self) -> list[Hand]:
        return []

    def foreign_access(self, repository: str) -> list[Any]:
        raise NotImplementedError(_NONE)

    def tag(self, repository: str, key: str) -> str:
        raise NotImplementedError(_NONE)

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        raise NotImplementedError(_NONE)

    def give_foreign_access(self, repository: str) -> None:
        raise NotImplementedError(_NONE)

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        raise NotImplementedError(_NONE)

    def describe(self, repository: str) -> None:
        raise NotImplementedError(_NONE)

    def remove_access(self, repository: str) -> None:
        raise NotImplementedError(_NONE)


SANDBOX = ExternalSandbox


@pytest.fixture(scope="session")
def external_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    """One for the session."""
    if why := available():
        # where everything is to be there, what is missing fails
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    with docker_registry(tmp_path_factory.mktemp("external"), users=dict([LOGIN])) as found:
        for name in ("app-a", "stray"):
            found.push(name, LOGIN)
        yield found


@pytest.fixture
def external(external_server: Distribution, monkeypatch: pytest.MonkeyPatch) -> ExternalSandbox:
    """A registry that has app-a and another repository, and its login in the environment."""
    for name, value in zip(NAMES.values(), LOGIN, strict=True):
        monkeypatch.setenv(name, value)
    return ExternalSandbox(external_server)
