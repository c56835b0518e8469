"""Who can do what through the registry's roles: by all statements of a role's trust policy and of its permissions. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from reconciler.model.access import Access, Given, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Home
from reconciler.words import Alternatives, Named, all_of, any_of, some_of

from . import effective, inclusion, names, policy
from .condition import Condition, plain
from .inclusion import Who
from .policy import Document, Statement
from .role_documents import ROLES, TAG, RoleSettings, settings_of, tag_conditions, usual_permissions
from .spec import AwsRegistry
from .verbs import ECR, Verb, Words, principal_of, resources_but

#: what is said of a resource is put together in `_said`: `pull any repository`, `perform s3:getobject on any resource`
_PERMISSIONS = replace(
    ECR,
    other="{}",
    covers=inclusion.resource_covers,
    still=lambda who, kept: (f"except {some_of(sorted({_resource(other, 'any repository') for other in kept}))}",),
)
#: where nobody attached a policy, which is not read and may allow the same
_ALONE = replace(_PERMISSIONS, alone=True)
#: how the verbs go on to what they are about
_TO = {"pull": "pull from", "push": "push to"}
#: verbs that are said of images as they are
_ON_IMAGES = frozenset(verb.word for verb in ECR.verbs)
#: how a note says that it is as one of the registry's roles that somebody can do something
THROUGH = "through the registry's roles"
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
    allowed = effective.gains(*_permissions(at, before, after, home), home.account, _words_of(before, after))
    through = list(_through(at, allowed, trust, before, after, home, all_of) if before.settings is not None else ())
    beside = _beside(at, allowed, before, after, home) if through else allowed
    return [*_trusting(at, trust), *_permitting(at, beside, before, after), *through]


def losses(at: Address, before: Given, after: Given, home: Home) -> list[Access]:
    """Who could assume the role before and can't now, and what it could do before and can't now."""
    words = _words(at, _usual(at, before.settings, home))
    trust = effective.losses(_trust(before), _trust(after), home.account, words)
    allowed = effective.losses(*_permissions(at, before, after, home), home.account, _words_of(before, after))
    through = list(_through(at, allowed, trust, after, before, home, any_of) if after.settings is not None else ())
    beside = _beside(at, allowed, before, after, home) if through else allowed
    return [*_trusting(at, trust), *_permitting(at, beside, before, after), *through]


def reaches(at: Address, given: Given, home: Home) -> Iterator[Access]:
    """Who can pull or push through the role what is tagged as the registry's: no more than that, since what it can do with other
    repositories doesn't hang on the tags."""
    settings, here = given.settings, home.registry
    if not isinstance(settings, RoleSettings) or not isinstance(here, AwsRegistry) or at.name not in ROLES:
        return
    permitted = _permitted(settings)
    if not _login(permitted):
        return
    here_alone = _places(at, settings, home)
    can = [
        item
        for item in effective.gains((), permitted, home.account, _PERMISSIONS)
        if item.what in _TO and here_alone(item.who)
    ]
    for one in _assuming(at, given, home):
        who = principal_of(one.who)
        for item in can:
            region = names.arn_part(item.who.principal, 3)
            may = one.may or item.may or bool(given.foreign)
            notes = ", ".join(filter(None, (THROUGH, one.note, item.note)))
            yield Access(who, item.what, at.registry, "", "" if region == here.region else region, may, notes)


def narrowed_shown(statements: Iterable[Statement]) -> list[Named]:
    """Whom a role trusts with conditions, as a field shows it."""
    return Alternatives(
        Named(who.label)
        for item in statements
        for principal in item.principals
        for who in policy.who(principal, item.conditions)
    )


def others_shown(kept: str) -> list[Named]:
    """Statements that the settings have no words for, as a field shows them: each in words, and as its JSON for machines."""
    return [Named(text(item), _in_words(item)) for item in _others(kept) if "missing" not in item]


def login_shown(kept: str) -> Named:
    """Whether the role may log in to ECR, as a field shows it."""
    lacks = any("missing" in item for item in _others(kept))
    return Named("denied", "not permitted") if lacks else Named("allowed", "permitted")


def _in_words(item: Document) -> str:
    """What a statement says: `account 1 may perform sts:TagSession`, `may not perform s3:getobject on any resource`."""
    of_permissions = "Principal" not in item and "NotPrincipal" not in item
    statement = _on_resources(item) if of_permissions else policy.normal(item)
    actions = sorted(one for one in effective.actions_of(replace(statement, actions=())) if one.startswith("!"))
    used = all_of([*statement.actions, *(f"all but {one[1:]}" for one in actions)])
    whos = list(effective.whos_of(statement))
    may = f"may{'' if statement.effect == 'Allow' else ' not'} perform {used or 'nothing'}"
    if of_permissions:
        return f"{may} on {all_of([_resource(who) for who in whos]) or 'nothing'}"
    return f"{all_of([principal_of(who).label for who in whos]) or 'nobody'} {may}"


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
    return Words((Verb(word, policy.ASSUME, policy.ASSUME, any_of=True),), f"perform {{}} on role {role}", alone=True)


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
        yield Access(principal_of(item.who), item.what, at.registry, "", "", item.may, item.note)


def _beside(
    at: Address, found: Sequence[effective.Difference], before: Given, after: Given, home: Home
) -> list[effective.Difference]:
    """What a role can do beside its work: of that, another sentence says who can do it."""
    of_it = [_places(at, given.settings, home) for given in (before, after)]
    return [item for item in found if item.what not in _TO or not any(here(item.who) for here in of_it)]


def _places(at: Address, settings: RoleSettings, home: Home) -> Callable[[Who], bool]:
    """Tells of resources whether they are what the registry's marks are on, in a region."""
    here = home.registry
    if not isinstance(here, AwsRegistry) or at.name not in ROLES:
        return lambda who: False
    marked = tag_conditions(settings_of(here, at.name, home.owner))
    places = {arn for arn in settings.repositories if _is_of(here, arn)}
    return lambda who: who.principal in places and who.conditions == marked and not who.other


def _words_of(before: Given, after: Given) -> Words:
    return _PERMISSIONS if before.foreign or after.foreign else _ALONE


def _permitting(at: Address, found: Iterable[effective.Difference], before: Given, after: Given) -> Iterator[Access]:
    role = Principal(f"role {at.registry}-{at.name}")
    # what is in a policy that somebody attached is not read, and may allow the same
    attached = bool(before.foreign or after.foreign)
    together: dict[tuple[Who, bool, str], list[str]] = {}
    for item in found:
        together.setdefault((item.who, item.may or attached, item.note), []).append(item.what)
    for (who, may, note), verbs in together.items():
        yield from (Access(role, *said, "", may, note) for said in _said(at, who, verbs))


def _said(at: Address, who: Who, verbs: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What a role can do with a resource: verbs in words, the registry, and what they are about."""
    images = [verb for verb in verbs if verb in _ON_IMAGES]
    yield from ((verb, at.registry, _resource(who, "any repository")) for verb in images)
    login = policy.LOGIN in verbs and (who.anything or _is_all_but(who))
    if login:
        yield "log in to ECR", at.registry, ""
    others = [verb for verb in verbs if verb not in images and not (login and verb == policy.LOGIN)]
    if others:
        yield (
            f"perform {', '.join('any action' if verb == '*' else verb for verb in others)} on",
            at.registry,
            _resource(who),
        )


def _through(
    at: Address,
    allowed: Sequence[effective.Difference],
    trust: Sequence[effective.Difference],
    without: Given,
    having: Given,
    home: Home,
    joined: Callable[[Sequence[str]], str],
) -> Iterator[Access]:
    """Who can pull or push through a role of the registry as its permissions are in `having`, and not as they are in `without`.

    `allowed`: what the permissions differ in. `trust`: of whom another sentence says that they come to the role, or leave it.
    `joined`: what makes a phrase of verbs.
    """
    verbs = _of_registry(at, allowed, having.settings, home, joined)
    if not verbs or having.settings is None:
        return
    attached = bool(without.foreign or having.foreign)
    said = {item.who for item in trust}
    for one in _assuming(at, having, home):
        if one.who in said:
            continue
        for verb, (may, note) in verbs.items():
            notes = ", ".join(part for part in (one.note, note) if part)
            who = principal_of(one.who)
            yield Access(who, verb, at.registry, "", "", one.may or may or attached, notes)


def _assuming(at: Address, given: Given, home: Home) -> Iterator[effective.Difference]:
    """Who can assume the role."""
    words = _words(at, False)
    can = effective.gains((), _trust(given), home.account, words)
    return (item for item in can if item.what == words.verbs[0].word)


def _of_registry(
    at: Address,
    allowed: Iterable[effective.Difference],
    settings: RoleSettings | None,
    home: Home,
    joined: Callable[[Sequence[str]], str],
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
        # who can't log in, or is denied it, can't pull
        login = item.what == policy.LOGIN and _is_all_but(item.who)
        if login or (item.who.anything and (item.what == policy.LOGIN or item.may)):
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
        f"{joined(verbs)} every repository{where} as {role}": (may, note)
        for (where, may, note), verbs in said.items()
        if places
    }


def _is_all_but(who: Who) -> bool:
    """Whether it is all resources but some, to log in to ECR among them, which is on no resource."""
    return replace(who, other="") == Who("") and bool(resources_but(who))


def _is_of(registry: AwsRegistry, arn: str) -> bool:
    """Whether a resource is all repositories of the registry in a region."""
    region = names.arn_part(arn, 3)
    return any(
        arn == names.repository_arn(registry.account_id, region, named) for named in (f"{registry.name_prefix}*", "*")
    )


def renamed(before: RoleSettings, after: RoleSettings, then: AwsRegistry, now: AwsRegistry) -> RoleSettings:
    """What a role could do before, with all repositories of its registry called as they are after, where they are tagged as the
    registry's in both: what carries the tags is the same, whatever the registry's prefix is."""
    if before.tags != after.tags:
        return before
    named = next((arn.partition(":repository/")[2] for arn in after.repositories if _is_of(now, arn)), "")
    found = (
        names.repository_arn(now.account_id, names.arn_part(arn, 3), named) if named and _is_of(then, arn) else arn
        for arn in before.repositories
    )
    return replace(before, repositories=tuple(sorted(set(found))))


def _resource(who: Who, anything: str = "any resource") -> str:
    """A resource for people: `images-* in us-east-1 of account 1 tagged team: shop`. `anything`: what `*` is called."""
    left: Document = json.loads(who.other) if who.other else {}
    but = [str(item) for item in policy.listed(left.pop("NotResource", None))]
    also = [f"{key} {json.dumps(value)}" for key, value in sorted(left.items())]
    narrowed = f" (with {', '.join(also)})" if also else ""
    name = policy.resources_shown([who.principal])[0].words if who.principal else "anything"
    if who.principal == "*":
        name = anything
    elif but:
        name = f"everything but {', '.join(but)}"
    tags = {item: tag for item in who.conditions if (tag := _tag(item))}
    tagged = f" tagged {all_of(list(tags.values()))}" if tags else ""
    return f"{name}{tagged}{policy.suffix([item for item in who.conditions if item not in tags])}{narrowed}"


def _tag(item: Condition) -> str:
    """The tag that a condition asks for, as `key: value`; "" if it asks for anything else."""
    if item.operator != "StringEquals" or not item.key.startswith(TAG) or len(item.values) != 1:
        return ""
    return f"{plain(item.key.removeprefix(TAG))}: {plain(item.values[0])}"
