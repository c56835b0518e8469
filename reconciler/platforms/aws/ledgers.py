"""Where marks stand on AWS of what can't be tagged: policies' on their repository, and on the pull role, or on a repository for
that alone, those of regions and of what an account has one document of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.ledger import Ledger, Texts
from reconciler.model.marks import APPLIED, PREFIX, Marks, applied_key

from . import names, tags
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

#: IAM's codes for a role that isn't there
GONE = ("NoSuchEntity", "NoSuchEntityException")
#: IAM's code and ECR's for what credentials may not do
DENIED = ("AccessDenied", "AccessDeniedException")
#: ECR's code for a repository that isn't there
NO_REPOSITORY = ("RepositoryNotFoundException",)
#: the kind and the name of the repository that a registry without roles has for its marks
LEDGER, MARKS = "ledger", "marks"
_CARRIERS = ("role", LEDGER)
#: the mark of what is being written: no settings have this hash, so that it is written again if that was cut off
PENDING = "v1-pending"
#: what a note says after the mark of something that was there before a spec adopted it
ADOPTED = "adopted"
#: says on one carrier in which regions there may be other ledgers
AT = f"{PREFIX}ledgers"
_REGION = f"{PREFIX}region-"
_RULE = f"{applied_key('replication')}-"
_PREFIXES = f"{PREFIX}rule-prefixes-"
#: what the keys of what is noted of a registry begin with
_NOTES = (_REGION, f"{APPLIED}-", _PREFIXES)


class RepositoryLedger(Ledger):
    """The tags of ECR repositories, which carry the marks of their lifecycle and repository policies."""

    session: AwsSession

    def carrier(self, at: Address) -> Address:
        return at.sibling("repository")

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(self._tags, carriers)

    def _tags(self, at: Address) -> Texts:
        answer = self.session.call(
            "ecr",
            "list_tags_for_resource",
            self.session.region_of(at),
            address=at,
            absent=NO_REPOSITORY,
            resourceArn=repository_arn(self.session, at),
        )
        return tags.as_dict(answer["tags"]) if answer else {}

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        arn = repository_arn(self.session, at)
        tag_repository(self.session, at, arn, self.session.region_of(at), put, remove)


class RegistryLedger(Ledger):
    """What is noted of a registry as a whole: the marks of regions and of what an account has one document of. It is carried by the
    tags of the pull role, or of an ECR repository that is there for nothing else if the registry has no roles."""

    session: AwsSession

    def __init__(self, session: AwsSession) -> None:
        super().__init__(session)
        #: the other carriers, once they were looked for
        self.beside: tuple[Address, ...] | None = None

    @cached_property
    def elsewhere(self) -> list[str]:
        """The other regions that hold a ledger of this registry: all are asked, once."""
        regions = self.session.other_regions
        with ThreadPoolExecutor(16) as pool:
            there = list(pool.map(partial(is_in, self.session), regions))
        return [region for region, found in zip(regions, there, strict=True) if found]

    def carrier(self, at: Address) -> Address:
        return at if at.kind in _CARRIERS else carrier_of(self.session.registry)

    def key(self, at: Address) -> str:
        # more than one region has a rule only while a registry moves
        return f"{_REGION}{at.name}" if at.kind == "region" else f"{_RULE}{self.session.region_of(at)}"

    def note_of(self, marks: Marks) -> str:
        applied = super().note_of(marks)
        return f"{applied} {ADOPTED}" if marks.adopted else applied

    def marks(self, at: Address, texts: Texts | None = None) -> Marks:
        found = super().marks(at, texts)
        applied, _, more = (found.applied or "").partition(" ")
        return found if found.applied is None else replace(found, applied=applied, adopted=more == ADOPTED)

    def noted(self, at: Address) -> Collection[str]:
        rule = at.kind == "replication"
        return (self.key(at), *([prefixes_key(self.session.region_of(at))] if rule else []))

    def regions(self, texts: Texts) -> Iterator[str]:
        """The regions that the registry extends to, sorted."""
        return _after(_REGION, texts)

    def regions_with_a_rule(self, texts: Texts) -> Iterator[str]:
        """The regions in which a replication rule of ours was made, sorted."""
        return _after(_RULE, texts)

    def change(self, at: Address, put: Texts, remove: Sequence[str] = ()) -> None:
        with self.session.ledger_lock:  # no carrier is made or given up meanwhile
            self.write(at, put, remove)

    def texts(self, carrier: Address) -> Texts:
        """With what other carriers say that are still there: `roles` or `region` was changed in the spec."""
        found = super().texts(carrier)
        if carrier != carrier_of(self.session.registry):
            return found
        others = {other: self._known.get(other, {}) for other in self.session.carriers if other != carrier}
        return {**_together(self.session, others), **found}

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(self._tags, carriers)

    def _tags(self, carrier: Address) -> Texts:
        if carrier != carrier_of(self.session.registry):
            return self._alone(carrier)
        with self.session.ledger_lock:
            found = self._alone(carrier)
            others = self.session.ledger(RegistryLedger)._others(found)
            return {**_together(self.session, {other: self.of_carrier(other) for other in others}), **found}

    def _alone(self, carrier: Address) -> Texts:
        if carrier.kind == LEDGER:
            return tags_in(self.session, carrier) or {}
        # where the registry has no roles, whoever applies it may have no rights to IAM either
        denied = () if self.session.registry.roles else DENIED
        return tags_of_role(self.session, self.session.registry, carrier, denied)

    def of_carrier(self, carrier: Address) -> Texts:
        """The texts of any carrier, read now; empty if it isn't there or is not this registry's. Raises PlatformError."""
        found = self._alone(carrier)
        return found if is_ours(self.session, found) else {}

    def _others(self, found: Texts) -> tuple[Address, ...]:
        """The other carriers that are there, looked for once. `found`: what the registry's own says now."""
        if self.session.registry.roles and found and AT not in found:  # the usual case: it never had a ledger
            self.beside = ()
        elif self.beside is None:
            self.beside = tuple(others_of(self.session, found))
        return self.beside

    def others(self) -> dict[Address, Texts]:
        """What carriers beside the registry's own say now. Raises PlatformError."""
        others = self._others(self._alone(carrier_of(self.session.registry)))
        return {other: texts for other in others if (texts := self.of_carrier(other))}

    def of(self, sibling: AwsRegistry, at: Address, *, guess: bool = False) -> Texts:
        """What is noted of another registry of the spec in the account, read now; nothing where that is a `guess` which AWS does not
        allow. `at`: what it is asked for. Raises PlatformError."""
        denied = DENIED if guess else ()
        # where `roles` was changed in the spec, its own carrier may be made in this very run: until then the other one says it
        if sibling.roles:
            role = tags_of_role(self.session, sibling, at, denied)
            return role or tags_of_ledger(self.session, sibling, at, DENIED) or {}
        ledger = tags_of_ledger(self.session, sibling, at, denied)
        return ledger or tags_of_role(self.session, sibling, at, DENIED)

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        carrier = self.carrier(at)
        self._write(carrier, at, put, remove)
        if remove and at.kind not in _CARRIERS:
            # what is forgotten must not come back from a carrier that is still to be deleted
            known = self.session.ledger(RegistryLedger)
            for other in known._others(known._alone(carrier)) if known.beside is None else known.beside:
                self._write(other, at, {}, remove)

    def _write(self, carrier: Address, at: Address, put: Texts, remove: Sequence[str]) -> None:
        if carrier.kind == LEDGER:
            region = self.session.region_of(carrier)
            tag_repository(self.session, at, ledger_arn(self.session.registry, region), region, put, remove)
            return
        name = self.session.registry.role_name(carrier.name)
        if put:
            self.session.call("iam", "tag_role", address=at, RoleName=name, Tags=tags.as_list(put))
        if remove:
            self.session.call("iam", "untag_role", address=at, absent=GONE, RoleName=name, TagKeys=list(remove))


def carrier_of(registry: AwsRegistry) -> Address:
    """The address of the resource whose tags remember what is noted of the registry as a whole."""
    return Address.of(registry.name, *(("role", "pull") if registry.roles else (LEDGER, MARKS)))


def _together(session: AwsSession, found: Mapping[Address, Texts]) -> Texts:
    """The texts of several carriers. A ledger that another one names is the older of the two, and gives way."""
    named = {region for texts in found.values() for region in texts.get(AT, "").split()}
    older = [texts for at, texts in found.items() if at.kind == LEDGER and session.region_of(at) in named]
    newer = [texts for texts in found.values() if texts not in older]
    return {key: value for texts in (*older, *newer) for key, value in texts.items()}


def is_ours(session: AwsSession, texts: Texts) -> bool:
    """Whether these are the texts of a carrier of this registry."""
    marks = Marks.of(texts)
    return (marks.owner, marks.registry) == (session.owner, session.name)


def notes_of(texts: Texts) -> Texts:
    """What is noted on a carrier, without its own marks."""
    return {key: value for key, value in texts.items() if key.startswith(_NOTES)}


def regions_noted(session: AwsSession) -> Iterator[str]:
    """The regions that the registry extends to, by what the listing has found on its carriers, sorted."""
    ledger = session.ledger(RegistryLedger)
    return ledger.regions(ledger.texts(carrier_of(session.registry)))


def carriers_of(session: AwsSession) -> tuple[Address, ...]:
    """What carries what is noted of the session's registry: nothing of it is deleted before what is noted there."""
    return session.carriers or (carrier_of(session.registry),)


def hand_over(session: AwsSession, carrier: Address) -> None:
    """What is noted on a carrier that is to be deleted, and not on the one that the registry has now, is put there."""
    home, ledger = carrier_of(session.registry), session.ledger(RegistryLedger)
    if carrier == home:
        return
    with session.ledger_lock:
        now = ledger.of_carrier(home)
        missing = {key: value for key, value in notes_of(ledger.of_carrier(carrier)).items() if key not in now}
        if now and missing:
            ledger.change(home, missing)


def ledger_at(session: AwsSession, region: str) -> Address:
    """The address of the ledger in a region."""
    return Address.of(session.name, LEDGER, MARKS, session.where(region))


def regions_named(session: AwsSession, texts: Texts) -> list[str]:
    """The regions in which a carrier says that a ledger may be, but for itself; words that are no region are nobody's."""
    said = texts.get(AT, "").split()
    return [region for region in said if region in (session.registry.region, *session.other_regions)] if said else []


def others_of(session: AwsSession, found: Texts, pull_role: Texts | None = None) -> Iterator[Address]:
    """The carriers that may be there beside the registry's own. `found`: what that says now; empty if it isn't there. `pull_role`:
    the tags of the pull role if that is this registry's, where they are known.

    A registry without roles that has no ledger in its region may have been in another one: all regions are asked. One that is not
    open to the account, or to the credentials, holds nothing of it.
    """
    home, ledger = carrier_of(session.registry), session.ledger(RegistryLedger)
    regions = regions_named(session, found)
    if session.registry.roles:
        regions = regions or ([] if found else [session.registry.region])
    else:
        role = Address.of(session.name, "role", "pull")
        texts = ledger.of_carrier(role) if pull_role is None else pull_role
        if texts:
            yield role
        regions = [*regions, *regions_named(session, texts), *([] if found else ledger.elsewhere)]
    seen = {home}
    while regions:
        at = ledger_at(session, regions.pop(0))
        if at not in seen:
            seen.add(at)
            regions += regions_named(session, ledger.of_carrier(at))
            yield at


def is_in(session: AwsSession, region: str) -> bool:
    """Whether a region that may not be open to us holds a ledger of this registry."""
    answer = session.probe("ecr", "list_tags_for_resource", region, resourceArn=ledger_arn(session.registry, region))
    return bool(answer) and is_ours(session, tags.as_dict(answer["tags"]))


def tags_in(session: AwsSession, at: Address) -> Texts | None:
    """The tags of the ledger at an address; None if it isn't there."""
    denied = DENIED if at.where else ()
    return tags_of_ledger(session, session.registry, at, denied, region=session.region_of(at))


def ledger_arn(registry: AwsRegistry, region: str = "") -> str:
    """The ARN of the ECR repository whose tags do where it has no roles, in a region ("": its own)."""
    return names.repository_arn(registry.account_id, region or registry.region, registry.ledger_name)


#: what IAM and ECR must allow for what is noted: on the pull role, or on the ledger of a registry without roles
LEDGER_READ = ("iam:GetRole", "ecr:ListTagsForResource")
LEDGER_PUT = ("iam:TagRole", "ecr:TagResource")
LEDGER_REMOVE = ("iam:UntagRole", "ecr:UntagResource")


def tags_of_role(session: AwsSession, registry: AwsRegistry, at: Address, absent: tuple[str, ...] = ()) -> Texts:
    """The tags of the registry's pull role, or of the role at an address of this session's; empty if it isn't there."""
    name = registry.role_name(at.name if at.kind == "role" else "pull")
    answer = session.call("iam", "get_role", address=at, absent=(*GONE, *absent), RoleName=name)
    return tags.as_dict(answer["Role"].get("Tags", ())) if answer else {}


def tags_of_ledger(
    session: AwsSession, registry: AwsRegistry, at: Address, absent: tuple[str, ...] = (), region: str = ""
) -> Texts | None:
    """The tags of a registry's ledger in a region ("": its own); None if it isn't there."""
    region = region or registry.region
    arn = ledger_arn(registry, region)
    answer = session.call(
        "ecr", "list_tags_for_resource", region, address=at, absent=(*NO_REPOSITORY, *absent), resourceArn=arn
    )
    return tags.as_dict(answer["tags"]) if answer else None


def tag_repository(session: AwsSession, at: Address, arn: str, region: str, put: Texts, remove: Sequence[str]) -> None:
    """Puts tags on an ECR repository and removes others. Raises PlatformError."""
    if put:
        session.call("ecr", "tag_resource", region, address=at, resourceArn=arn, tags=tags.as_list(put))
    if remove:
        session.call(
            "ecr", "untag_resource", region, address=at, absent=NO_REPOSITORY, resourceArn=arn, tagKeys=list(remove)
        )


def prefixes_key(region: str) -> str:
    """The key of the entry that says which prefixes a registry's rules in a region have, where that is not just its name."""
    return f"{_PREFIXES}{region}"


def _after(prefix: str, texts: Texts) -> Iterator[str]:
    return (key.removeprefix(prefix) for key in sorted(texts) if key.startswith(prefix))


def repository_arn(session: AwsSession, at: Address) -> str:
    """The ARN of the ECR repository that an address is about."""
    return names.repository_arn(session.registry.account_id, session.region_of(at), session.native_of(at))


def lasting_arn(session: AwsSession, at: Address) -> str:
    """What stands for the repository whatever it is called: a replacement may give it another name, and what waits to be put back
    is found by this before and after."""
    here = session.registry
    return names.repository_arn(here.account_id, session.region_of(at), here.usual_prefix + at.name)
