"""What hands can do to what is ours on Google Cloud, and what they can put beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .base import Document, Hand
from .gcp_state import Estate

READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"
TOKEN_CREATOR = "roles/iam.serviceAccountTokenCreator"
CONDITION = {"title": "this year", "expression": 'request.time < timestamp("2027-01-01T00:00:00Z")'}
#: a cleanup policy whose id is as ours are, and that no spec asks for
GHOST = {"action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "86400s"}}
#: without these a thing is nobody's and asks to be adopted; with others of the latter it is another's
_OWNER = "reconciler-owner"
_WHOSE = (_OWNER, "reconciler-origin", "reconciler-registry")
#: words of an account's description that say whose it is
_SAYS_WHOSE = re.compile(r"owner|origin|registry|reconciler\W?$|tests|images|other|spec")


class Hands:
    """What hands can do now. Each name is of one hand, and the same in the same estate."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def all(self) -> list[Hand]:
        """Changes of what is ours, which are healed."""
        hands: list[Hand] = []
        for name in self._estate.repositories():
            hands += self._repository(name)
            hands += self._access(name)
        for name in self._estate.accounts():
            hands += self._account(name)
            hands += self._access(name)
        return hands

    def strangers(self, member: str) -> list[Hand]:
        """What others put beside ours: access for `member`, a label, a cleanup policy."""
        hands: list[Hand] = []
        for name in self._estate.repositories():
            hands += self._foreign_access(name, READER, member)
            hands.append((f"label {_short(name)}", self._edit(name, "labels", lambda labels: labels | {"cost": "42"})))
            put = self._edit(name, "cleanupPolicies", lambda found: {**(found or {}), "theirs": GHOST})
            hands.append((f"clean {_short(name)} up", put))
        for name in self._estate.accounts():
            hands += self._foreign_access(name, TOKEN_CREATOR, member)
        return hands

    def for_a_time(self) -> list[Hand]:
        """Ours becomes somebody else's: with a condition it is no member that we give, and stays beside what comes back."""
        return [
            (
                f"{binding['role']} of {_short(name)} for a time",
                self._bind(name, partial(_for_a_time, role=binding["role"])),
            )
            for name in self._estate.repositories()
            for binding in self._estate.policy(name).get("bindings", [])
        ]

    def _foreign_access(self, name: str, role: str, member: str) -> Iterator[Hand]:
        def give(bindings: list[Document]) -> None:
            members_of(bindings, role).append(member)

        def give_for_a_time(bindings: list[Document]) -> None:
            bindings.append({"role": role, "members": [member], "condition": CONDITION})

        place = _short(name)
        yield f"give somebody {place}", partial(self._estate.change_policy, name, give)
        yield f"give somebody {place} for a time", partial(self._estate.change_policy, name, give_for_a_time)

    # -- repositories

    def _repository(self, name: str) -> Iterator[Hand]:
        found, place = self._estate.settings(name), _short(name)
        yield f"delete {place}", partial(self._estate.remove, name)
        # as somebody would who has kept what it was: all of it but its access, which is not of the repository
        yield f"delete {place} and make it anew", partial(self._remake, name)
        yield f"describe {place}", self._edit(name, "description", lambda _: "by hand")
        yield f"immutability of {place}", self._edit(name, "dockerConfig", _other_tags)
        yield f"scanning of {place}", self._edit(name, "vulnerabilityScanningConfig", _other_scanning)
        yield from self._labels(name, found["labels"])
        yield from self._cleanup(name, found.get("cleanupPolicies", {}))

    def _remake(self, name: str) -> None:
        found = self._estate.settings(name)
        self._estate.remove(name)
        self._estate.make(name, found)

    def _labels(self, name: str, labels: Document) -> Iterator[Hand]:
        place = _short(name)
        for key in sorted(labels):
            if key != _OWNER:
                yield f"unlabel {key} of {place}", self._edit(name, "labels", partial(_without, key=key))
            if key not in _WHOSE:
                value = "v1-0000000000000000" if "applied" in key else "by-hand"
                put = self._edit(name, "labels", partial(_with, key=key, value=value))
                yield f"relabel {key} of {place}", put

    def _cleanup(self, name: str, policies: Document) -> Iterator[Hand]:
        place, field = _short(name), "cleanupPolicies"
        ghost = self._edit(name, field, partial(_with, key="reconciler-ghost", value=GHOST))
        yield f"a cleanup policy of {place} as if it were ours", ghost
        for key, policy in sorted(policies.items()):
            yield f"no cleanup policy {key} of {place}", self._edit(name, field, partial(_without, key=key))
            changed = partial(_with, key=key, value=_other_policy(policy))
            yield f"another cleanup policy {key} of {place}", self._edit(name, field, changed)
        if policies:
            yield f"no cleanup policies of {place}", self._edit(name, field, lambda _: None)
            yield f"only try the cleanup of {place}", self._edit(name, "cleanupPolicyDryRun", lambda _: True)

    # -- service accounts

    def _account(self, name: str) -> Iterator[Hand]:
        found, place = self._estate.account(name), _short(name)
        yield f"delete {place}", partial(self._estate.remove, name)
        # its email is the same and it is another: all that it was a member of has the deleted one now
        yield f"delete {place} and make it anew", partial(self._remake_account, name)
        if not found.get("disabled"):
            yield f"disable {place}", lambda: self._estate.call("POST", f"{name}:disable", {})
        if "displayName" in found:
            yield f"rename {place}", self._edit(name, "displayName", lambda _: "by hand")
        for word in found.get("description", "").split():
            if not _SAYS_WHOSE.search(word):
                yield f"forget {word} of {place}", self._edit(name, "description", partial(_without_word, word=word))

    def _remake_account(self, name: str) -> None:
        found = self._estate.account(name)
        self._estate.remove(name)
        self._estate.make_account(name, {key: value for key, value in found.items() if key != "disabled"})

    # -- access

    def _access(self, name: str) -> Iterator[Hand]:
        place = _short(name)
        bindings = self._estate.policy(name).get("bindings", [])
        if bindings:
            yield f"empty the policy of {place}", self._bind(name, list.clear)
        for binding in sorted(bindings, key=str):
            role = binding["role"]
            yield f"no {role} of {place}", self._bind(name, partial(_without_role, role=role))
            for member in sorted(binding["members"]):
                gone = _deleted(member)
                yield f"take {role} of {place} from {member}", self._bind(name, partial(_swap, role, member, None))
                if gone is not None:
                    yield f"{member} of {role} of {place} deleted", self._bind(name, partial(_swap, role, member, gone))

    def _bind(self, name: str, change: Callable[[list[Document]], Any]) -> Callable[[], None]:
        return partial(self._estate.change_policy, name, change)

    def _edit(self, name: str, field: str, change: Callable[[Any], Any]) -> Callable[[], None]:
        return partial(self._estate.change, name, field, change)


def members_of(bindings: list[Document], role: str) -> list[str]:
    """The members of the role's binding without a condition, which is made if there is none."""
    for binding in bindings:
        if binding["role"] == role and "condition" not in binding:
            found: list[str] = binding["members"]
            return found
    bindings.append({"role": role, "members": []})
    return members_of(bindings, role)


def _short(name: str) -> str:
    """`europe-west1/images-app-a` of a repository, the email of an account."""
    _, _, _, place, *rest = name.split("/")
    return f"{place}/{rest[-1]}" if rest else place


def _with(found: Document | None, key: str, value: Any) -> Document:
    return {**(found or {}), key: value}


def _without(found: Document | None, key: str) -> Document | None:
    return {name: value for name, value in (found or {}).items() if name != key}


def _without_word(text: str | None, word: str) -> str:
    words = (text or "").split()
    words.remove(word)
    return " ".join(words)


def _other_tags(config: Document | None) -> Document:
    return {"immutableTags": not (config or {}).get("immutableTags", False)}


def _other_scanning(config: Document | None) -> Document:
    inherited = (config or {}).get("enablementConfig", "INHERITED") == "INHERITED"
    return {"enablementConfig": "DISABLED" if inherited else "INHERITED"}


def _other_policy(policy: Document) -> Document:
    """The policy with another number of versions, or for another age."""
    if "mostRecentVersions" in policy:
        return {**policy, "mostRecentVersions": {"keepCount": policy["mostRecentVersions"]["keepCount"] + 1}}
    return {**policy, "condition": {"tagState": "UNTAGGED", "olderThan": "31536000s"}}


def _without_role(bindings: list[Document], role: str) -> None:
    bindings[:] = [binding for binding in bindings if binding["role"] != role]


def _for_a_time(bindings: list[Document], role: str) -> None:
    for binding in bindings:
        if binding["role"] == role:
            binding["condition"] = CONDITION


def _swap(role: str, member: str, other: str | None, bindings: list[Document]) -> None:
    members = members_of(bindings, role)
    members[members.index(member) : members.index(member) + 1] = [] if other is None else [other]


def _deleted(member: str) -> str | None:
    """The member as a policy shows it once it is deleted, or None of those that can't be.

    https://cloud.google.com/iam/docs/principal-identifiers: deleted principals.
    """
    if re.match(r"(user|group|serviceAccount):[^\[]+$", member):
        return f"deleted:{member}?uid=123456789012345678901"
    return f"deleted:principal:{member.removeprefix('principal:')}" if member.startswith("principal:") else None
