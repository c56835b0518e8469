"""Who can do what through the registry's roles: by all statements of a role's trust policy and of its permissions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from reconciler.model.access import Access, Given, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Home
from reconciler.words import Named, all_of

from . import effective, inclusion, names, policy
from .effective import Verb, Words
from .inclusion import Who
from .policy import Document, Statement
from .role_documents import ROLES, RoleSettings, settings_of, tag_conditions, usual_permissions
from .spec import AwsRegistry

#: what is said of a resource is put together in `_permitting`: `use pull and push on *`
_PERMISSIONS = replace(effective.ECR, other="{}", covers=inclusion.resource_covers)
#: how the verbs go on to what they are about
_TO = {"pull": "pull from", "push": "push to"}
_LOGIN = Statement("", ("*",), (policy.LOGIN,))


def given(at: Address, settings: RoleSettings) -> Iterator[Access]:
    """Whom the settings let assume the role, statement by statement, and what the role can do with which repositories."""
    verb = _words(at, False).verbs[0].word
    for principal in settings.trusted:
        yield from (Access(who, verb, at.registry, "") for who in policy.who(principal))
    for statement in settings.trusted_if:
        for principal in statement.principals:
            yield from (Access(who, verb, at.registry, "") for who in policy.who(principal, statement.conditions))
    permitted = _permitted(settings)
    can = effective.gains(_login(permitted), permitted, "", _PERMISSIONS)
    yield from _permitting(at, can, Given(), Given(settings))


def gains(at: Address, before: Given, after: Given, home: Home) -> list[Access]:
    """Who can assume the role now and could not before, and what it can do now and could not."""
    words = _words(at, _usual(at, after.settings, home))
    trust = effective.gains(_trust(before), _trust(after), home.account, words)
    allowed = effective.gains(*_permissions(at, before, after, home), home.account, _PERMISSIONS)
    through = _through(at, allowed, trust, before, after, home) if before.settings is not None else ()
    return [*_trusting(at, trust), *_permitting(at, allowed, before, after), *through]


def losses(at: Address, before: Given, after: Given, home: Home) -> list[Access]:
    """Who could assume the role before and can't now, and what it could do before and can't now."""
    words = _words(at, _usual(at, before.settings, home))
    trust = effective.losses(_trust(before), _trust(after), home.account, words)
    allowed = effective.losses(*_permissions(at, before, after, home), home.account, _PERMISSIONS)
    through = _through(at, allowed, trust, after, before, home) if after.settings is not None else ()
    return [*_trusting(at, trust), *_permitting(at, allowed, before, after), *through]


def narrowed_shown(statements: Iterable[Statement]) -> list[Named]:
    """Whom a role trusts with conditions, as a field shows it."""
    return [
        Named(who.label)
        for item in statements
        for principal in item.principals
        for who in policy.who(principal, item.conditions)
    ]


def others_shown(kept: str) -> list[Named]:
    """Statements that the settings have no words for, as a field shows them: each in words, and as its JSON for machines."""
    return [Named(text(item), _in_words(item)) for item in _others(kept)]


def _in_words(item: Document) -> str:
    """What a statement of trust or of permissions says: `account 1 may use sts:TagSession`, `may not use s3:getobject on *`."""
    if "missing" in item:
        return "may not log in to ECR"
    of_permissions = "Principal" not in item and "NotPrincipal" not in item
    statement = _on_resources(item) if of_permissions else policy.normal(item)
    actions = sorted(one for one in effective.actions_of(replace(statement, actions=())) if one.startswith("!"))
    used = all_of([*statement.actions, *(f"all but {one[1:]}" for one in actions)])
    whos = list(effective.whos_of(statement))
    may = f"may{'' if statement.effect == 'Allow' else ' not'} use {used or 'nothing'}"
    if of_permissions:
        return f"{may} on {all_of([_resource(who) for who in whos]) or 'nothing'}"
    return f"{all_of([effective.principal_of(who).label for who in whos]) or 'nobody'} {may}"


def _usual(at: Address, settings: RoleSettings | None, home: Home) -> bool:
    """Whether the role can do just what its registry's role of that name is for, so that it need not be said."""
    here = home.registry
    return (
        settings is not None
        and isinstance(here, AwsRegistry)
        and at.name in ROLES
        and usual_permissions(settings, here, at.name, home.owner)
    )


@cache
def _words(at: Address, usual: bool) -> Words:
    role = f"{at.registry}-{at.name}"
    word = (
        f"{'pull from' if at.name == 'pull' else 'push to'} every repository as {role}" if usual else f"assume {role}"
    )
    return Words((Verb(word, policy.ASSUME, policy.ASSUME, any_of=True),), f"use {{}} on role {role}")


def _trust(given: Given) -> tuple[Statement, ...]:
    settings: RoleSettings | None = given.settings
    if settings is None:
        return ()
    plain = (Statement("", settings.trusted, ("sts:AssumeRole",)),) if settings.trusted else ()
    return (*plain, *settings.trusted_if, *map(policy.normal, _others(settings.other_trust)))


def _permissions(
    at: Address, before: Given, after: Given, home: Home
) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """The permissions before and after. Of a role that is made or deleted, they are said only if they aren't the usual ones."""
    if before.settings is None or after.settings is None:
        there = after if before.settings is None else before
        if there.settings is None or _usual(at, there.settings, home):
            return (), ()
        permitted = _permitted(there.settings)
        return (_login(permitted), permitted) if before.settings is None else (permitted, _login(permitted))
    return _permitted(before.settings), _permitted(after.settings)


def _login(permitted: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """What every role of a registry can do beside its work, so that it need not be said: log in."""
    return tuple(item for item in permitted if item == _LOGIN)


def _permitted(settings: RoleSettings | None) -> tuple[Statement, ...]:
    """What the inline policy allows, a statement's resources in the place of its principals."""
    if settings is None:
        return ()
    others = list(_others(settings.other_permissions))
    images = Statement("", settings.repositories, settings.actions, tag_conditions(settings))
    found = [images] if settings.repositories else []
    if {"missing": policy.LOGIN} not in others:
        found.append(_LOGIN)
    return (*found, *(_on_resources(item) for item in others if "missing" not in item))


def _on_resources(item: Document) -> Statement:
    statement = policy.normal({key: value for key, value in item.items() if key != "Resource"})
    resources = tuple(sorted(str(arn) for arn in policy.listed(item.get("Resource"))))
    return replace(statement, principals=resources)


def _others(kept: str) -> Iterator[Document]:
    yield from json.loads(kept) if kept else ()


def _trusting(at: Address, found: Iterable[effective.Difference]) -> Iterator[Access]:
    for item in found:
        yield Access(effective.principal_of(item.who), item.what, at.registry, "", "", item.may, item.note)


def _permitting(at: Address, found: Iterable[effective.Difference], before: Given, after: Given) -> Iterator[Access]:
    role = Principal(f"role {at.registry}-{at.name}")
    # what is in a policy that somebody attached is not read, and may allow the same
    attached = bool(before.foreign or after.foreign)
    together: dict[tuple[Who, bool, str], list[str]] = {}
    for item in found:
        together.setdefault((item.who, item.may or attached, item.note), []).append(item.what)
    for (who, may, note), verbs in together.items():
        said = " and ".join(part for part in (", ".join(verbs[:-1]), verbs[-1]) if part)
        yield Access(role, f"use {said} on", at.registry, _resource(who), "", may, note)


def _through(
    at: Address,
    allowed: Sequence[effective.Difference],
    trust: Sequence[effective.Difference],
    without: Given,
    having: Given,
    home: Home,
) -> Iterator[Access]:
    """Who can pull or push through a role of the registry as its permissions are in `having`, and not as they are in `without`.

    `allowed`: what the permissions differ in. `trust`: of whom another sentence says that they come to the role, or leave it.
    """
    verbs = _of_registry(at, allowed, having.settings, home)
    if not verbs or having.settings is None:
        return
    attached = bool(without.foreign or having.foreign)
    said = {item.who for item in trust}
    for one in effective.gains((), _trust(having), home.account, _words(at, False)):
        if one.who in said:
            continue
        for verb, (may, note) in verbs.items():
            notes = ", ".join(part for part in (one.note, note) if part)
            who = effective.principal_of(one.who)
            yield Access(who, verb, at.registry, "", "", one.may or may or attached, notes)


def _of_registry(
    at: Address, allowed: Iterable[effective.Difference], settings: RoleSettings | None, home: Home
) -> dict[str, tuple[bool, str]]:
    """What of these differences is to pull from or push to the registry's repositories, in words; each with whether it is only
    possible, and its note."""
    here = home.registry
    if not isinstance(here, AwsRegistry) or settings is None or at.name not in ROLES:
        return {}
    marked = tag_conditions(settings_of(here, at.name, home.owner))
    places = {arn: names.arn_part(arn, 3) for arn in settings.repositories if _is_of(here, arn)}
    found: dict[str, dict[tuple[bool, str], set[str]]] = {}
    for item in allowed:
        regions: set[str] = set()
        if item.who.anything and (
            item.what == policy.LOGIN or item.may
        ):  # who can't log in, or is denied it, can't pull
            regions = set(places.values())
        elif item.who.principal in places and item.who.conditions == marked and not item.who.other:
            regions = {places[item.who.principal]}
        for verb in policy.verbs(settings.actions) if item.what == policy.LOGIN else (item.what,):
            if regions and verb in _TO:
                found.setdefault(verb, {}).setdefault((item.may, item.note), set()).update(regions)
    said: dict[tuple[str, bool, str], list[str]] = {}
    for verb in filter(found.__contains__, _TO):
        for (may, note), regions in found[verb].items():
            where = "" if regions == set(places.values()) else f" in {all_of(sorted(regions))}"
            said.setdefault((where, may, note), []).append(_TO[verb])
    role = f"{at.registry}-{at.name}"
    return {
        f"{all_of(verbs)} every repository{where} as {role}": (may, note)
        for (where, may, note), verbs in said.items()
        if places
    }


def _is_of(registry: AwsRegistry, arn: str) -> bool:
    """Whether a resource is all repositories of the registry in a region."""
    return arn == names.repository_arn(registry.account_id, names.arn_part(arn, 3), f"{registry.prefix}*")


def _resource(who: Who) -> str:
    left: Document = json.loads(who.other) if who.other else {}
    but = [str(item) for item in policy.listed(left.pop("NotResource", None))]
    also = [f"{key} {json.dumps(value)}" for key, value in sorted(left.items())]
    narrowed = f" (with {', '.join(also)})" if also else ""
    name = who.principal or (f"everything but {', '.join(but)}" if but else "anything")
    return f"{name}{policy.suffix(who.conditions)}{narrowed}"
