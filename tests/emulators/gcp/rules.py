"""What Artifact Registry refuses of a repository. Pure functions; each rule has its source, and test_gcp_rules.py a line for it.

Where a text is quoted in the source it is Google's own; the other texts are ours, and only their status is meant. "Reference" is
https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .fields import unknown_paths
from .places import GCR_PLACES, LOCATIONS
from .schemas import IMMUTABLE, REPOSITORY
from .wire import Document, invalid


def check_place(location: str) -> None:
    """https://github.com/hashicorp/terraform-provider-google/issues/10184: an unknown location is a 400 without a word of it."""
    if location not in LOCATIONS:
        raise invalid()


def check_name(name: str, location: str, form: str) -> None:
    """https://cloud.google.com/artifact-registry/docs/repositories/create-repos: lower-case letters, digits and hyphens, a letter
    first, no hyphen last, at most 63; gcr.io names only in their places and for Docker."""
    if name in GCR_PLACES:
        if GCR_PLACES[name] != location or form != "DOCKER":
            raise invalid(f"repository {name} can only be created in {GCR_PLACES[name]} with the format DOCKER")
        return
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name) > 63:
        raise invalid()


def check_labels(labels: Mapping[str, str]) -> None:
    """Reference, labels: at most 64, keys and values at most 63 characters, a key starts with a lower-case letter, then letters,
    digits, underscores, dashes.

    The text about a character is Google's: https://github.com/simple-container-com/api/issues/164.
    """
    shown = " ".join(f"{key}:{value}" for key, value in sorted(labels.items()))
    start = f"invalid repository labels (&map[{shown}]): "
    if len(labels) > 64:
        raise invalid(f"{start}{len(labels)} labels are more than the maximum of 64")
    for key, value in labels.items():
        for what, text in (("key", key), ("value", value)):
            if len(text) > 63:
                raise invalid(f'{start}{what} "{text}" is longer than 63 characters')
            for index, character in enumerate(text):
                # letters of other scripts are allowed as long as they are not upper case
                if not (character.isalpha() and not character.isupper()) and not re.match(r"[0-9_-]", character):
                    raise invalid(f"{start}{what} \"{text}\" contains invalid character '{character}' at index {index}")
        if not key or not (key[0].isalpha() and not key[0].isupper()):
            raise invalid(f'{start}key "{key}" must start with a lowercase letter')


def check_cleanup(policies: Mapping[str, Document]) -> None:
    """https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy-overview: at most 10, most recent versions not
    beside a condition; Reference, cleanupPolicies: ids shorter than 128 characters, most recent versions only with KEEP."""
    if len(policies) > 10:
        raise invalid(f"cleanup_policies: {len(policies)} policies are more than the maximum of 10")
    for key, policy in policies.items():
        start = f"cleanup_policies[{key}]: "
        if not 0 < len(key) < 128:
            raise invalid(f"{start}the id must have 1 to 127 characters")
        if policy.get("id", key) != key:
            raise invalid(f"{start}the id of the policy is {policy['id']}")
        if "action" not in policy:
            raise invalid(f"{start}the action must be DELETE or KEEP")
        recent, condition = policy.get("mostRecentVersions"), policy.get("condition")
        if recent is not None and policy["action"] != "KEEP":
            raise invalid(f"{start}most_recent_versions may only be specified with a KEEP action")
        if recent is not None and condition is not None:
            raise invalid(f"{start}condition and most_recent_versions can't be used in the same policy")
        if recent is None and condition is None:
            raise invalid(f"{start}a condition or most_recent_versions is needed")
        if recent is not None and recent.get("keepCount", 0) < 1:
            raise invalid(f"{start}keep_count must be positive")


def check_key(key: str, location: str) -> None:
    """https://cloud.google.com/artifact-registry/docs/cmek: a Cloud KMS key by its full name, in the repository's location.

    Reference, kmsKeyName: the form of the name.
    """
    found = re.fullmatch(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+", key)
    if found is None:
        raise invalid(f"kms_key_name: {key} is not projects/*/locations/*/keyRings/*/cryptoKeys/*")
    if found.group(1) != location:
        raise invalid(f"kms_key_name: the key is in {found.group(1)}, the repository in {location}")


def check_settings(settings: Document, location: str) -> None:
    """What must hold of a repository's settings as a whole, after a create and after a patch.

    Reference: upstream policies can't be set on a standard repository, dockerConfig is for the format Docker;
    https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy: cleanup policies are for standard and remote
    repositories; https://github.com/stackshy/cloudemu/pull/1190: a format is needed.
    """
    mode, form = settings.get("mode"), settings.get("format")
    if form is None:
        raise invalid()
    check_labels(settings.get("labels", {}))
    check_cleanup(settings.get("cleanupPolicies", {}))
    if "kmsKeyName" in settings:
        check_key(settings["kmsKeyName"], location)
    if "virtualRepositoryConfig" in settings and mode != "VIRTUAL_REPOSITORY":
        raise invalid("virtual_repository_config: upstream policies can't be set on a repository of another mode")
    if ("remoteRepositoryConfig" in settings) != (mode == "REMOTE_REPOSITORY"):
        raise invalid("remote_repository_config: needed of a remote repository, and of no other")
    if "cleanupPolicies" in settings and mode == "VIRTUAL_REPOSITORY":
        raise invalid("cleanup_policies: a virtual repository has none")
    if "dockerConfig" in settings and form != "DOCKER":
        raise invalid("docker_config: the repository's format is another")


def check_mask(paths: tuple[str, ...]) -> None:
    """https://protobuf.dev/reference/protobuf/google.protobuf/#field-mask: a path that is no field is an error."""
    for path in unknown_paths(REPOSITORY, paths):
        raise invalid(f"Invalid field mask: {path}")


def check_unchanged(before: Document, after: Document) -> None:
    """https://cloud.google.com/artifact-registry/docs/repositories/manage-repos: format and mode stay; Reference, kmsKeyName:
    so does the key."""
    for name in IMMUTABLE:
        if before.get(name) != after.get(name):
            raise invalid(f"{name} can't be changed after the repository has been created")
