"""What of two specs need be looked at: of a large spec most is the same, and does the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.engine.plan import Plan
from reconciler.model.address import Address
from reconciler.spec.models import Spec
from reconciler.spec.repository import Repository

from .edits import Edit

#: (registry, name) of a repository
Key = tuple[str, str]


@dataclass(frozen=True)
class Touched:
    """Both specs with the repositories that edits are about, and one of each sort of the others: what a guard says of that, it says
    of all of them."""

    specs: tuple[Spec, Spec]
    keys: frozenset[Key]

    def decides(self, plan: Plan) -> bool:
        """Whether a plan of this part says what one of the whole would: nothing is removed, whose share of the whole counts, and
        nothing is objected to in what was not touched."""
        said = [address for verdict in plan.violations for address in verdict.addresses]
        said += [problem.address for problem in plan.problems]
        removed = any(change.removes or change.lets_go for change in plan.changes)
        return not removed and all((Address(at).registry, Address(at).name) in self.keys for at in said)


def touched(base: Spec, head: Spec, differing: Sequence[Edit]) -> Touched | None:
    """The part that edits of repositories and grants are about; None where anything else differs, which may be about all."""
    if any(edit.item[0] not in ("repository", "grant") for edit in differing):
        return None
    edited = {edit.item[1] for edit in differing if edit.item[0] == "grant"}
    edited |= {edit.was for edit in differing if edit.was}
    keys = {_key(edit.item[1]) for edit in differing if edit.item[0] == "repository"}
    for spec in (base, head):
        for key, grants in spec.grants_by_repository.items():
            if any(grant.name in edited for grant in grants):
                keys.add(key)
    found = {key for spec in (base, head) for key in _examples(spec, keys)} | keys
    return Touched((_part(base, found), _part(head, found)), frozenset(keys))


def _key(name: str) -> Key:
    registry, _, repository = name.partition("/")
    return registry, repository


def _examples(spec: Spec, keys: set[Key]) -> Iterator[Key]:
    """One repository of each sort of those that are not touched: what a guard or a role looks at is the same for all of a sort."""
    seen: set[tuple[object, ...]] = set()
    for item in spec.repositories:
        key = (item.registry, item.name)
        if key in keys:
            continue
        grants = spec.grants_by_repository.get(key, ())
        # what grants give, whatever they are called
        given = tuple((grant.permission, grant.also, grant.to) for grant in grants)
        sort = (item.registry, given, *_looked_at(item))
        if sort not in seen:
            seen.add(sort)
            yield key


def _looked_at(item: Repository) -> Iterable[object]:
    return (
        frozenset(item.labels),
        item.tags_immutable,
        item.movable_tags,
        item.native_name is None,
        item.release,
        item.adopt,
    )


def _part(spec: Spec, keys: set[Key]) -> Spec:
    # a grant that names a repository that is left out still covers what it covered of the others
    return spec.with_repositories(item for item in spec.repositories if (item.registry, item.name) in keys)
