"""Access that programs give in a local registry: entries of their own in a repository's access document, one for each permission."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.model.address import Address
from reconciler.spec.models import Grant

from .documents import AT_RUNTIME, AccessDocument, ForeignEntry
from .session import LocalSession
from .spec import LocalTarget

Users = frozenset[str]


class RuntimeSession(LocalSession):
    """A session that gives access at run time."""

    def given(self, repository: Address) -> list[Grant]:
        document = self.documents.access.read(repository.name) or AccessDocument(repository.name)
        return [
            Grant(
                name=AT_RUNTIME,
                registry=self.name,
                repositories=(repository.name,),
                permission=permission,
                to=LocalTarget(type="local", users=tuple(sorted(users))),
            )
            for permission, users in sorted(_given(document).items())
        ]

    def give(self, repository: Address, grant: Grant) -> None:
        self._change(repository, grant, lambda before, named: before | named)

    def take(self, repository: Address, grant: Grant) -> None:
        self._change(repository, grant, lambda before, named: before - named)

    def _change(self, repository: Address, grant: Grant, changed: Callable[[Users, Users], Users]) -> None:
        stored, name = self.documents.access, repository.name
        named = frozenset(grant.to.users) if isinstance(grant.to, LocalTarget) else frozenset()
        with self.store.writing():
            before = stored.read(name) or AccessDocument(name)
            users = _given(before).get(grant.permission, frozenset())
            if changed(users, named) == users:
                return
            others = [item for item in before.foreign if not (item.at_runtime and item.permission == grant.permission)]
            foreign = (*others, *_entries(grant.permission, changed(users, named)))
            if before.entries or foreign:
                stored.write(AccessDocument(name, before.entries, before.marks, foreign))
            else:
                stored.remove(name)


def _given(document: AccessDocument) -> dict[str, Users]:
    """The users of each permission that were given it at run time."""
    found: dict[str, Users] = {}
    for entry in document.foreign:
        if entry.at_runtime:
            found[entry.permission] = found.get(entry.permission, frozenset()).union(map(str, entry.users))
    return found


def _entries(permission: str, users: Users) -> Iterator[ForeignEntry]:
    if users:
        listed = sorted(users)
        yield ForeignEntry(tuple(listed), permission, {AT_RUNTIME: True, "users": listed, "permission": permission})
