"""Changes of a spec, field by field: those that every platform has, and what each platform's own table is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

#: what must come of a change: "state": the platform changes; "same": nothing changes on the platform, and nothing is planned;
#: "moved": what is there now is another place's
Expected = Literal["state", "same", "moved"]
Change = Callable[[dict[str, Any]], Any]
Fields = Mapping[str, tuple[Change, Expected]]


def repository(**fields: Any) -> Change:
    """A change of the first repository."""
    return lambda document: document["repositories"][0].update(fields)


def grant(**fields: Any) -> Change:
    """A change of the first grant."""
    return lambda document: document["grants"][0].update(fields)


def target(**fields: Any) -> Change:
    """A change of whom the first grant is to."""
    return lambda document: document["grants"][0]["to"].update(fields)


def registry(**fields: Any) -> Change:
    """A change of the first registry."""
    return lambda document: document["registries"][0].update(fields)


def guards(**fields: Any) -> Change:
    """A change of the guards."""
    return lambda document: document.setdefault("guards", {}).update(fields)


def top(**fields: Any) -> Change:
    """A change of the spec itself."""
    return lambda document: document.update(fields)


#: field to the change of the spec that exercises it, on every platform whose own table has no other
COMMON: Fields = {
    "Repository.name": (repository(name="renamed"), "state"),
    "Repository.description": (repository(description="something else"), "state"),
    "Repository.immutable_tags": (repository(immutable_tags={"except": ["dev-*"]}), "state"),
    "Repository.scan_on_push": (repository(scan_on_push=True), "state"),
    "Repository.retention": (repository(retention={"keep_last": 9, "untagged_days": 2, "keep_tags": ["v*"]}), "state"),
    "Repository.labels": (repository(labels={"team": "b", "tier": "1"}), "state"),
    "Repository.protect": (repository(protect=True), "state"),
    "Repository.delete_images": (repository(delete_images=True), "state"),
    "Repository.adopt": (repository(adopt=True), "same"),
    "Grant.name": (grant(name="renamed"), "state"),
    "Grant.repositories": (grant(repositories=["app-a"]), "state"),
    "Grant.permission": (grant(permission="push-pull"), "state"),
    "Guards.max_deletes": (guards(max_deletes=50), "same"),
    "Guards.protect": (guards(protect=["nothing-*"]), "same"),
    "Guards.allowed_accounts": (guards(allowed_accounts=["987654321091"]), "same"),
    "Guards.allowed_organizations": (guards(allowed_organizations=["o-a1b2c3d4e5"]), "same"),
    "Guards.allow_admin": (guards(allow_admin=True), "same"),
    "Guards.max_grants_per_repository": (guards(max_grants_per_repository=9), "same"),
    "Guards.allow_public": (guards(allow_public=True), "same"),
    "Spec.defaults": (top(defaults={"repository": {"description": "by default"}}), "state"),
    "Spec.guards": (top(guards={"max_deletes": "90%"}), "same"),
    "Spec.repositories": (lambda document: document["repositories"].pop(), "state"),
    "Spec.grants": (lambda document: document["grants"].pop(), "state"),
}
#: fields that say where and whose everything is (another value is another estate), each with the place of its test
ELSEWHERE: Mapping[str, str] = {
    "Spec.version": "there is one version",
    "Spec.name": "another owner: test_what_another_spec_owns_is_never_taken_over",
    "Spec.registries": "another registry: the chains of test_transitions.py",
    "Spec.clusters": "what is made in one: test_kubernetes.py",
    "Repository.registry": "another registry: the chains of test_transitions.py",
    "Repository.release": "what is let go of stays: test_leaving.py",
    "Grant.registry": "another registry: the chains of test_transitions.py",
    "Guards.include": "is in none once its file is read: test_include.py",
    "Guards.require_labels": "stops the plan: test_required.py",
    "Guards.require_immutable_tags": "stops the plan: test_required.py",
    "Grant.to": "its fields are counted one by one",
}
