"""Findings on a spec as a whole: its name, its registries, guards, and what hangs on a variable's value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model.change import Action
from reconciler.model.kind import HoldsImages
from reconciler.places import Spot
from reconciler.spec.cluster import Cluster
from reconciler.spec.models import Grant, Guards, Spec
from reconciler.spec.repository import Repository
from reconciler.spec.selection import matches_any
from reconciler.words import all_of, any_of, counted, plural

from .edits import Edit, How
from .guards import loosened
from .model import Risk
from .parts import Parts
from .said import named


class OfTheWhole(Parts):
    """What a change of the whole spec means."""

    def of_the_whole(self) -> None:
        for edit in self.causes.of.get(("name", ""), ()):
            self.part(Risk.UNMANAGED, edit).messages.append(
                f"the spec's name changes from {edit.old} to {edit.new}: all that {edit.old} owns stays as it is, and"
                " what of it goes by the same name is in the way of the next plan; this review compares as if the spec had been"
                " called so before"
            )
        kept = {registry.name: registry for registry in self.head.registries}
        for registry in self.base.registries:
            now = kept.get(registry.name)
            if registry.retired or (now is not None and registry.found_by(now)):
                continue
            found = self.causes.of.get(("registry", registry.name), [])
            cause = next((one for one in found if not one.path), found[0] if found else None)
            count = counted(len(self.base.repositories_by_registry[registry.name]), "repository", "repositories")
            what = "leaves the spec" if now is None else "is another registry from now on"
            part = self.part(Risk.UNMANAGED, cause)
            has = f"its {count} and the access that the spec gave there stay as they are, unwatched"
            if not self.base.repositories_by_registry[registry.name]:
                has = "what the spec made there stays as it is, unwatched"
            end = "neither a plan nor drift looks at it again; to delete it all, apply retired: true first"
            if now is not None and registry.still_finds(now):
                end = "a plan is refused until it is put back"
            names = {item.name for item in self.base.registries}
            others = [item.name for item in self.head.registries if item.name not in names and registry.met_by(item)]
            if now is None and others:
                what = f"is called {others[0]} from now on"
                has = "what it holds belongs to the old name"
                end = (
                    "a plan is refused until that is put back, or it is released under it and adopted"
                    " (`reconciler help renaming-a-registry-or-a-spec`)"
                )
            part.messages.append(f"registry {registry.name} {what}: {has}: {end}")
            # what else of it differs is part of that
            self.used.update(id(one) for one in found)
            self.used.update(
                id(one) for one in self.edits if one.how is How.REMOVED and self._is_in(one, registry.name)
            )

        self.of_logins()
        self.of_clusters()

    def of_logins(self) -> None:
        """Logins of the spec's registries that go elsewhere."""
        later = {registry.name: registry for registry in self.head.registries}
        for registry in self.base.registries:
            now = later.get(registry.name)
            for key, said in registry.login_moves(now) if now is not None else ():
                found = self.causes.nearest(("registry", registry.name), (key,))
                self.part(Risk.WIDENS, found, may=True).messages.append(f"registry {registry.name}: {said}")

    def of_clusters(self) -> None:
        """Clusters that the head does not have, or reaches otherwise: what was made in them is found by nobody, and who is named in
        them may be somebody else."""
        now = {item.name: item for item in self.head.clusters}
        # by whatever name
        kept = {item.noted_at for item in self.head.clusters}
        for cluster in self.base.clusters:
            there = now.get(cluster.name)
            found = self.causes.of.get(("cluster", cluster.name), [])
            moved = there is not None and there.noted_at[0] != cluster.noted_at[0]
            if moved:
                self.of_another(cluster.name, [edit for edit in found if edit.path != ("namespace",)])
            grants = _grants_to(self.base, cluster.name)
            same = {there.noted_at} if there is not None else kept
            if not grants or cluster.noted_at in same:
                continue
            part = self.part(Risk.UNMANAGED, found[0] if found else None)
            kept_there = _grants_to(self.head, cluster.name)
            left = [name for name in grants if name not in kept_there]
            part.messages += [
                f"cluster {cluster.name} {said}" for said in _what_is_left(cluster, there, moved, grants, left)
            ]
            self.used.update(id(one) for one in found)
            if not moved:  # that the grants left with it is part of that
                gone = [name for name in left if all(item.name != name for item in self.head.grants)]
                self.used.update(id(one) for name in gone for one in self.causes.of.get(("grant", name), ()))

    def of_another(self, name: str, found: Sequence[Edit]) -> None:
        """What a cluster gives if it is another one than before."""
        said = []
        if grants := _grants_to(self.head, name):
            said.append(
                f"whom {_named_grants(grants)} {plural(len(grants), 'names', 'name')} there can pull from now on"
            )
        said += [
            f"registry {registry.name} has its login from there"
            for registry in self.head.registries
            if registry.named_cluster is not None and registry.named_cluster[1] == name
        ]
        if said:
            part = self.part(Risk.WIDENS, found[0] if found else None, may=True)
            part.messages.append(f"cluster {name} is reached otherwise: if that is another cluster, {all_of(said)}")

    def _is_in(self, edit: Edit, registry: str) -> bool:
        return isinstance(edit.old, dict) and edit.old.get("registry") == registry

    def of_guards(self) -> None:
        for setting, message in loosened(self.base.guards, self.head.guards):
            if setting == ("protect",):
                message += self.unprotected()
            below = [edit for edit in self.causes.of.get(("guards", ""), ()) if edit.path[:1] == setting]
            # of several values of one list, the one that is spoken of
            spoken = [edit for edit in below if str(edit.old if edit.how is How.REMOVED else edit.new) in message]
            found = next(iter(spoken), None) or self.causes.nearest(("guards", ""), setting)
            lists = (getattr(guards, setting[0], None) for guards in (self.base.guards, self.head.guards))
            may = self.unknown.within([value if isinstance(value, tuple) else () for value in lists])
            self.part(Risk.WEAKENS, found, may=may).messages.append(message)

    def unprotected(self) -> str:
        """The repositories that nothing protects any more, as the end of a sentence."""
        lost = [
            f"{item.registry}/{item.name}"
            for item in self.head.repositories
            if not item.protect and _protects(self.base.guards, item) and not _protects(self.head.guards, item)
        ]
        return f": a later plan may delete {named(lost)}" if lost else ""

    def of_unknown(self) -> None:
        """What may widen, since it hangs on a variable's value: which repositories a grant covers, or whose a registry is."""
        if not any(True for _ in self.unknown):
            return
        unsure = {
            registry.name
            for registry in (*self.before.registries, *self.after.registries)
            if self.unknown.within(registry.own_account)
        }
        created: dict[str, dict[Spot, Edit]] = {}
        for change in self.changes.values():
            holds = isinstance(self.seen.kinds[change.registry][change.kind], HoldsImages)
            if change.action is Action.CREATE and holds and (edit := self.causes.cause_of_making(change)) is not None:
                created.setdefault(change.registry, {})[edit.spot] = edit
        self.of_unknown_names()
        for grant in self.after.grants:
            found = [edit for edit in self.causes.edits_of(grant.name, gained=True) if edit.how is not How.RENAMED]
            if self.unknown.within(list(grant.repositories or ())):
                causes = [*found[:1], *created.get(grant.registry, {}).values()]
                text = (
                    f"grant {grant.name} covers repositories that a variable names, so it may cover any of the registry"
                )
            elif grant.registry in unsure:
                causes = [
                    edit
                    for edit in found
                    if not edit.path or edit.path[0] in ("to", "permission", "also", "repositories")
                ]
                text = f"the account of registry {grant.registry} is not known, so neither is what grant {grant.name} gave before"
            else:
                continue
            for edit in causes:
                self.part(Risk.WIDENS, edit, may=True).messages.append(text)

    def of_unknown_names(self) -> None:
        """Repositories whose names are not known: any grant to repositories that are named may cover them."""
        for item in self.after.repositories:
            if not self.unknown.within(item.name):
                continue
            new = [
                edit for edit in self.causes.of.get(self.causes.item_of(item.registry, item.name), ()) if not edit.path
            ]
            for grant in self.after.grants:
                if grant.registry != item.registry or grant.repositories is None:
                    continue
                if self.causes.covers(grant, item.name, gained=True):
                    continue
                edits = new or [
                    edit for edit in self.causes.edits_of(grant.name, gained=True) if edit.how is not How.RENAMED
                ]
                for edit in edits[:1]:
                    part = self.part(Risk.WIDENS, edit, may=True)
                    which = all_of(grant.repositories)
                    part.say(f"grant {grant.name} ({which}) may cover it, whatever its name is", item.name)

    def of_nothing(self) -> None:
        """Grants that cover no repository yet: nobody gains anything now, and whoever makes a repository must know of it."""
        edited = {edit.item[1] for edit in self.edits if edit.item[0] == "grant"}
        grants = [grant for grant in self.after.grants if grant.name in edited]
        covered = (
            {grant.name for grants in self.after.grants_by_repository.values() for grant in grants} if grants else set()
        )
        for grant in grants:
            edits = [edit for edit in self.causes.edits_of(grant.name, gained=True) if edit.how is not How.REMOVED]
            if not edits or grant.name in covered or self.unknown.within(list(grant.repositories or ())):
                continue
            which = f"called {any_of(grant.repositories)}" if grant.repositories is not None else "in its registry"
            whom, verbs = all_of(sorted(_targets(grant))) or "nobody", grant.permission.replace("-", " and ")
            self.part(Risk.COSMETIC, edits[0]).messages.append(
                f"grant {grant.name} covers no repository yet; it will let {whom} {verbs} whatever is {which}, and guards look at"
                " that only then"
            )


def _protects(guards: Guards, item: Repository) -> bool:
    return matches_any(item.name, guards.protect) or matches_any(f"{item.registry}/{item.name}", guards.protect)


def _targets(grant: Grant) -> Iterator[str]:
    """Whom a grant names, as the spec has it."""
    for found in grant.to.model_dump(mode="json", exclude={"type"}).values():
        yield from (str(item) for item in found) if isinstance(found, list) else ()


def _grants_to(spec: Spec, cluster: str) -> list[str]:
    """The grants that name a cluster."""
    return [
        item.name for item in spec.grants if item.to.named_cluster is not None and item.to.named_cluster[1] == cluster
    ]


def _named_grants(names: Sequence[str]) -> str:
    return f"{plural(len(names), 'grant')} {all_of(names)}"


def _what_is_left(
    cluster: Cluster, there: Cluster | None, moved: bool, grants: Sequence[str], left: Sequence[str]
) -> Iterator[str]:
    """What becomes of what grants made in a cluster that is not there any more, or is not as it was. `left`: those of them that are
    not there any more either."""
    nobody = (
        "what {} made there stays as it is, and pods go on pulling with it for as long as its login is good: neither a plan nor drift"
        " looks at it again; to delete it, apply without these grants first"
    )
    if there is None:
        yield f"leaves the spec: unless another name of the spec is for the same cluster, {nobody.format(_named_grants(grants))}"
        return
    if moved:
        yield f"is reached otherwise: unless that is the same cluster, {nobody.format(_named_grants(grants))}"
        return
    notes = f"has its notes in namespace {there.namespace} from now on, and not in {cluster.namespace}"
    if kept := [name for name in grants if name not in left]:
        yield (
            f"{notes}: the next apply notes the secrets of {_named_grants(kept)} anew, and the next plan names their links, which"
            " stay when a grant goes unless --adopt takes them over"
        )
    if left:
        yield f"{notes}: {nobody.format(_named_grants(left))}"
