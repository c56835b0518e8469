"""Whether a saved plan was made from a spec, and what differs if it was not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model.change import Action
from reconciler.model.platform import Platforms
from reconciler.spec.cluster import Cluster
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from reconciler.words import all_of

from .expand import expand
from .fields import changes_of
from .picture import without
from .plan import Plan, spec_digest
from .release import all_released, released_by


def differing(plan: Plan, spec: Spec, platforms: Platforms) -> list[str]:
    """What of the spec is other than what the plan was made from, a sentence each; nothing if it is the same. Raises ReadFailed if a
    platform is not in this build."""
    if plan.owner != spec.name:
        return [f"the plan is of the spec '{plan.owner}', and this one is '{spec.name}'"]
    # a file may have been edited and have the spec's hash all the same
    found = list(_differences(plan, spec, platforms))
    if not found and plan.spec_hash != spec_digest(spec):
        return ["it says something else of what the plan does not change"]
    return found


def _differences(plan: Plan, spec: Spec, platforms: Platforms) -> Iterator[str]:
    yield from _of_named("registry", spec.registries, plan.registries)
    yield from _of_named("cluster", spec.clusters, plan.clusters)
    if spec.guards != plan.basis.rules:
        yield "the guards differ"
    kinds, groups = expand(spec, platforms)
    released = released_by(spec, (), kinds, groups.values())
    retired = {item.name for item in spec.registries if item.retired} | all_released(released, kinds)
    kept = (items for name, items in groups.items() if name not in retired)
    wanted = without({at: item for items in kept for at, item in items.items()}, released)
    # what is deleted with what it stands below, and made again
    there = {item.address: item for item in plan.basis.beside}
    for change in plan.changes:
        asked = wanted.get(change.address)
        if change.desired is None:
            if asked is not None and not plan.destroy:
                does = "lets go of it" if change.action is Action.RELEASE else "deletes it"
                yield f"{change.address}: the plan {does}, and the spec has it"
        elif asked is None:
            yield f"{change.address}: the plan makes it, and the spec does not have it"
        else:
            kind = kinds[change.registry][change.kind]
            # what the spec leaves open was decided by what is there
            settings = kind.fitted(asked, change.live or there.get(change.address)).settings
            fields = [item.path for item in changes_of(kind, change.desired.settings, settings)]
            if fields:
                yield f"{change.address}: {all_of(fields)} differ{'s' if len(fields) < 2 else ''}"


def _of_named(
    what: str, here: Sequence[RegistryBase | Cluster], planned: Sequence[RegistryBase | Cluster]
) -> Iterator[str]:
    """How what has a name in a spec differs from what a plan was made from."""
    now, then = ({item.name: item for item in items} for items in (here, planned))
    for name in sorted({*now, *then}):
        if name not in now:
            yield f"{what} {name} is not in it"
        elif name not in then:
            yield f"{what} {name} was not in it when the plan was made"
        elif now[name] != then[name]:
            keys = sorted(
                key for key in type(now[name]).model_fields if getattr(now[name], key) != getattr(then[name], key, None)
            )
            yield f"{what} {name}: {all_of(keys) or 'platform'} differ{'s' if len(keys) < 2 else ''}"
