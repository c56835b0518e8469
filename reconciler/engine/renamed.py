"""What a spec or a registry that was renamed runs into: its resources bear the old name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.model.address import Address
from reconciler.model.released import ReleasedAlong, ReleasesAll
from reconciler.model.resource import Desired
from reconciler.spec.models import Spec
from reconciler.words import all_of, counted, plural

from .picture import Picture
from .release import all_released

_MORE = "(`reconciler help renaming-a-registry-or-a-spec`)"


def renamed(spec: Spec, seen: Picture, described: Mapping[Address, Desired]) -> Iterator[str]:
    """For each other name that resources of this spec bear: that a renaming may be why, and what to do then; each a sentence.
    `described`: what the spec describes, also where it is to be destroyed."""
    specs: dict[str, list[Address]] = {}
    registries: dict[tuple[str, str], list[Address]] = {}
    for address, wanted in described.items():
        live = seen.live.get(address)
        if live is None or live.vacant or live.marks.owner is None or address in seen.twice:
            continue  # what has two addresses in the spec is said of itself
        above = seen.live.get(wanted.parent) if wanted.parent is not None else None
        if above is not None and (above.marks.owner, above.marks.registry) == (live.marks.owner, live.marks.registry):
            continue  # it goes with what it belongs to, and is no conflict of its own
        if live.marks.owner != spec.name:
            specs.setdefault(live.marks.owner, []).append(address)
        elif live.marks.registry is not None and live.marks.elsewhere(address.registry):
            registries.setdefault((live.marks.registry, address.registry), []).append(address)
    for owner, found in sorted(specs.items()):
        if not (those := _renamed(found, seen)):
            continue
        yield (
            f"{counted(len(those), 'resource')} {plural(len(those), 'is', 'are')} owned by the spec '{owner}': if this spec,"
            f" '{spec.name}', was called '{owner}' before, change its name back, or {_how(those, seen)}"
        )
    for (was, now), those in sorted(registries.items()):
        yield (
            f"{counted(len(those), 'resource')} {plural(len(those), 'belongs', 'belong')} to the registry '{was}': if the registry"
            f" '{now}' was called '{was}' before, change its name back, or {_how(those, seen, was)}"
        )


def _renamed(those: Iterable[Address], seen: Picture) -> list[Address]:
    """Without what is called after a registry that is not among them: that one is another, which is called alike."""
    found = list(those)
    whole = all_released(found, seen.kinds)

    def called_alike(at: Address) -> bool:
        kind = seen.kinds[at.registry][at.kind]
        return at.registry not in whole and isinstance(kind, ReleasedAlong) and kind.called_after

    return [at for at in found if not called_alike(at)]


def _how(those: Iterable[Address], seen: Picture, was: str = "") -> str:
    """How what bears an old name comes to the new one, with nothing lost. `was`: the name that their registry had."""
    whole = all_released(those, seen.kinds)
    named = sorted(
        at for at in those if at.registry in whole and isinstance(seen.kinds[at.registry][at.kind], ReleasesAll)
    )
    old = [Address.of(was, at.kind, at.name) if was else at for at in named]
    if not old:
        return (
            "release each repository under the old name, destroy what is left there, and adopt the repositories under the new one"
            f" {_MORE}"
        )
    commands = all_of([f"`reconciler release {at}`" for at in old])
    them = plural(len(old), "it", "them")
    lets = f"run {commands} under the old name, which lets go of all that {plural(len(old), 'it holds', 'they hold')}"
    if all(at.registry in whole for at in those):
        return f"{lets}, and adopt {them} under the new one {_MORE}"
    return (
        f"{lets}; release each repository of the other registries there too, then destroy what is left there, and adopt all under the"
        f" new one {_MORE}"
    )
