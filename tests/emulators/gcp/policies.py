"""Allow policies, whatever they are of: reads and writes with etags."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from .fields import Message, Repeated, read
from .members import (
    all_members,
    check_conditions,
    check_counts,
    check_member,
    check_permitted,
    check_role,
    merged,
)
from .places import account_domain
from .schemas import POLICY
from .state import Policy, State
from .wire import Asked, Document, Refusal, invalid

#: the etag of a policy that was never set: `ACAB`. Recorded, cloud-custodian at df800e9e: kms-keyring-filter-iam
NEVER_SET = base64.b64decode("ACAB")
ACCOUNT = "serviceAccount:"
#: the requests of the discovery documents; IAM's and Resource Manager's write has a mask, Artifact Registry's has none
GET = Message({"options": Message({"requestedPolicyVersion": int})})
PUT = Message({"policy": POLICY})
MASKED = Message({"policy": POLICY, "updateMask": str})
TEST = Message({"permissions": Repeated(str)})


@dataclass(frozen=True)
class Owner:
    """What a policy is of. `roles`: what its predefined roles start with, none for any; `strict`: whether unknown members are
    refused; `masks`: whether a write may have an update mask."""

    resource: str
    project: str
    roles: tuple[str, ...] = ()
    strict: bool = False
    masks: bool = False


def get(state: State, owner: Owner, asked: Asked) -> Document:
    """The policy as it stands, with conditions only for those who ask for version 3."""
    options = read(GET, asked.body, "request").get("options", {})
    text = str(options.get("requestedPolicyVersion", asked.query.get("options.requestedPolicyVersion", 0)))
    if text not in ("0", "1", "3"):
        raise invalid(f"Invalid policy version {text}.")
    return _shown(state, _stored(state, owner.resource), int(text) == 3)


def current(state: State, resource: str) -> Document:
    """The policy of a resource as it stands, with its conditions."""
    return _shown(state, _stored(state, resource), True)


def _stored(state: State, resource: str) -> Policy:
    return state.policies.get(resource) or Policy(NEVER_SET)


def put(state: State, owner: Owner, asked: Asked) -> Document:
    """Replaces the policy. Raises Refusal, ABORTED if the etag is another's; without an etag it overwrites."""
    whole = read(MASKED if owner.masks else PUT, asked.body, "request")
    if "policy" not in asked.body:
        raise invalid()
    sent = whole.get("policy", {})
    stored = _stored(state, owner.resource)
    etag = etag_bytes(sent.get("etag", ""))
    if etag and etag != stored.etag:
        raise conflict(etag, stored.etag)
    bindings = merged(sent.get("bindings", []))
    check_conditions(sent.get("version", 0), bindings, stored.bindings, bool(etag))
    for binding in bindings:
        check_role(binding.get("role", ""), owner.roles)
    for member in all_members(bindings):
        check_member(member)
    check_counts(bindings)
    _check_people(state, owner, all_members(bindings))
    emails = {member.removeprefix(ACCOUNT) for member in all_members(bindings) if member.startswith(ACCOUNT)}
    uids = {email: account.unique_id for email in emails if (account := state.account(email)) is not None}
    after = Policy(state.new_etag(), bindings, True, sent.get("auditConfigs"), uids)
    state.policies[owner.resource] = after
    return _shown(state, after, True)


def test(asked: Asked, denied: Iterable[str]) -> Document:
    """Those of the permissions that the caller has: all but the denied ones. Wildcards are not allowed."""
    asked.only()
    wanted = read(TEST, asked.body, "request").get("permissions", [])
    if any("*" in permission for permission in wanted):
        raise invalid()
    found = [permission for permission in wanted if permission not in set(denied)]
    return {"permissions": found} if found else {}


def conflict(sent: bytes, stored: bytes) -> Refusal:
    """409 ABORTED. https://github.com/hashicorp/terraform-provider-google/issues/12512,
    https://github.com/hashicorp/terraform-provider-google/issues/25305"""
    return Refusal(
        "ABORTED",
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. "
        f"The request's ETag '{_octal(sent)}' did not match the current policy's ETag '{_octal(stored)}'.",
    )


def etag_bytes(text: str) -> bytes:
    """An etag's bytes: clients write it in either alphabet of base64 and encode it anew, so that its letters may differ.

    https://protobuf.dev/programming-guides/json/: "Either standard or URL-safe base64 encoding with/without paddings are accepted."
    """
    letters = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except binascii.Error:
        raise invalid(f"Invalid value at 'policy.etag' (TYPE_BYTES), Base64 decoding failed for \"{text}\"") from None


def etag_text(etag: bytes) -> str:
    """An etag as it is answered."""
    return base64.b64encode(etag).decode()


def _octal(etag: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in etag)


def _check_people(state: State, owner: Owner, members: Iterable[str]) -> None:
    """One member that does not exist fails the whole policy: https://github.com/GoogleCloudPlatform/data-migration-tool/issues/58.

    Which accounts exist is known of the projects that have had one here, and of the policy's own.
    """
    known = {account_domain(project) for project in {*state.once_known, owner.project}}
    named = list(members)
    for member in named:
        kind, _, who = member.partition(":")
        if member in state.knobs.unknown_members:
            raise invalid(f"{_KINDS.get(kind, kind)} {who} does not exist.")
        if not owner.strict or kind != "serviceAccount" or who.rpartition("@")[2] not in known:
            continue
        account = state.account(who)
        if account is not None and account.refusals:
            account.refusals -= 1
            account = None
        if account is None:
            raise invalid(f"Service account {who} does not exist.")
    if state.knobs.permitted is not None:
        check_permitted(named, state.knobs.permitted)


_KINDS = {"user": "User", "group": "Group", "serviceAccount": "Service account", "domain": "Domain"}


def _shown(state: State, policy: Policy, conditions: bool) -> Document:
    """Recorded: a policy that was never set has its etag alone, and one that was has its version too, even without bindings."""
    bindings = [
        {**binding, "members": [_member(state, policy, member) for member in binding["members"]]}
        for binding in policy.bindings
    ]
    if not conditions:
        bindings = [_without_condition(binding) for binding in bindings]
    found: Document = {"etag": etag_text(policy.etag)}
    if policy.was_set:
        found["version"] = 3 if any("condition" in binding for binding in bindings) else 1
    if bindings:
        found["bindings"] = bindings
    if policy.audit:
        found["auditConfigs"] = policy.audit
    return found


def _member(state: State, policy: Policy, member: str) -> str:
    """A member as it stands now: bindings follow an account's unique id, not its email.

    https://cloud.google.com/iam/docs/service-accounts-delete-undelete: one made anew under a name has not what the deleted one had.
    """
    email = member.removeprefix(ACCOUNT)
    unique_id = policy.uids.get(email) if member.startswith(ACCOUNT) else None
    account = state.account(email)
    if unique_id is None or (account is not None and account.unique_id == unique_id):
        return member
    return f"deleted:{member}?uid={unique_id}"


def _without_condition(binding: Document) -> Document:
    """A conditional binding for those who did not ask for version 3: https://cloud.google.com/iam/docs/troubleshooting-withcond"""
    if "condition" not in binding:
        return binding
    text = f"{binding['role']} {sorted(binding['condition'].items())}"
    mark = hashlib.sha256(text.encode()).hexdigest()[:20]
    return {"role": f"{binding['role']}_withcond_{mark}", "members": binding["members"]}
