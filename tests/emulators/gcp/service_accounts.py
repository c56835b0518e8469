"""Service accounts of IAM v1."""

from __future__ import annotations

import re

from .fields import Message, mask_paths, read
from .paging import page
from .places import account_domain
from .policies import etag_text
from .schemas import SERVICE_ACCOUNT
from .state import Account, State
from .wire import Asked, Document, Refusal, invalid, not_found

#: https://iam.googleapis.com/$discovery/rest?version=v1: CreateServiceAccountRequest, PatchServiceAccountRequest
CREATE = Message({"accountId": str, "serviceAccount": SERVICE_ACCOUNT})
PATCH = Message({"serviceAccount": SERVICE_ACCOUNT, "updateMask": str})
#: the longest of each, in bytes of UTF-8: https://iam.googleapis.com/$discovery/rest?version=v1
LONGEST = {"displayName": 100, "description": 256}


def create(state: State, asked: Asked) -> Document:
    """The new account. Raises Refusal, ALREADY_EXISTS if its name is taken."""
    asked.only()
    sent = read(CREATE, asked.body, "request")
    project, identifier = asked.names["project"], sent.get("accountId", "")
    settings = sent.get("serviceAccount", {})
    # https://iam.googleapis.com/$discovery/rest?version=v1, CreateServiceAccountRequest.accountId; the second hyphen is not recorded
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])", identifier) or not 6 <= len(identifier) <= 30:
        raise invalid(
            f"Service account id {identifier} does not have a valid form: 6 to 30 of [a-z]([-a-z0-9]*[a-z0-9])."
        )
    _check_lengths(settings)
    email = f"{identifier}@{account_domain(project)}"
    if state.account(email) is not None:
        raise Refusal(
            "ALREADY_EXISTS", f"Service account {identifier} already exists within project projects/{project}."
        )
    if sum(one.project == project for one in state.accounts.values()) >= state.knobs.accounts_at_most:
        # https://github.com/kubeflow/pipelines/issues/1052; 100 by default: https://cloud.google.com/iam/quotas
        raise Refusal("RESOURCE_EXHAUSTED", "Maximum number of service accounts on project reached.")
    made = Account(project, email, state.unique_id(), etag_text(state.new_etag()), settings)
    made.flaps, made.refusals = list(state.knobs.flaps), state.knobs.member_refusals
    state.accounts[email] = made
    state.once_known.add(project)
    return shown(made)


def get(state: State, asked: Asked) -> Document:
    """The account, unless a fresh one is not known at this moment."""
    asked.only()
    found = existing(state, asked)
    flap(asked, found, "get")
    return shown(found)


def flap(asked: Asked, found: Account, verb: str) -> None:
    """Raises Refusal if a fresh account is not known at this moment: as 404, or as 403.

    https://github.com/GoogleCloudPlatform/magic-modules/pull/8815 (both of a fresh account), and for the words of the 403
    https://github.com/hashicorp/terraform-provider-google/issues/15042.
    """
    answer = found.flaps.pop(0) if found.flaps else 200
    if answer == 404:
        raise _unknown(asked, found, verb)
    if answer == 403:
        text = f"Permission 'iam.serviceAccounts.{verb}' denied on resource (or it may not exist)."
        raise Refusal("PERMISSION_DENIED", text)


def list_all(state: State, asked: Asked) -> Document:
    """A page of a project's accounts: 20, and at most 100. https://iam.googleapis.com/$discovery/rest?version=v1"""
    asked.only("pageSize", "pageToken")
    there = {email: one for email, one in state.accounts.items() if one.project == asked.names["project"]}
    items, token = page(asked, there, default=20, most=100)
    answer: Document = {"accounts": [shown(item) for item in items]} if items else {}
    return answer | ({"nextPageToken": token} if token else {})


def patch(state: State, asked: Asked) -> Document:
    """The account's name and what was patched, as recorded; the mask stands in the body.

    Like every write it makes a fresh account known for good: after the recorded one the account does not flap.
    """
    asked.only()
    found = existing(state, asked, "update")
    whole = read(PATCH, asked.body, "request")
    sent, paths = whole.get("serviceAccount", {}), mask_paths(whole.get("updateMask", ""))
    # https://iam.googleapis.com/$discovery/rest?version=v1, PatchServiceAccountRequest: a mask of these two is needed
    if not paths or not set(paths) <= LONGEST.keys():
        raise invalid()
    _check_lengths(sent)
    for path in paths:
        found.settings.pop(path, None)
        found.settings |= {path: sent[path]} if path in sent else {}
    found.flaps, found.etag = [], etag_text(state.new_etag())
    return {"name": found.name} | {path: sent[path] for path in paths if path in sent}


def delete(state: State, asked: Asked) -> Document:
    """Nothing. Where the account was a member of a policy, its unique id is one now."""
    asked.only()
    found = existing(state, asked, "delete")
    del state.accounts[found.email]
    state.policies.pop(found.name, None)
    return {}


def disable(state: State, asked: Asked) -> Document:
    """Nothing. https://cloud.google.com/iam/docs/service-accounts-disable-enable"""
    found = existing(state, asked, "disable")
    found.disabled, found.flaps = True, []
    return {}


def enable(state: State, asked: Asked) -> Document:
    """Nothing."""
    found = existing(state, asked, "enable")
    found.disabled, found.flaps = False, []
    return {}


def existing(state: State, asked: Asked, verb: str = "get") -> Account:
    """The account that the path names, by email or by unique id; its project may be `-`. Raises Refusal if it is not there."""
    project, key = asked.names["project"], asked.names["account"]
    for one in state.accounts.values():
        if key in (one.email, one.unique_id) and project in ("-", one.project):
            return one
    raise _unknown(asked, None, verb)


def shown(account: Account) -> Document:
    """An account as get, list and create answer it."""
    found = {
        **account.settings,
        "email": account.email,
        "etag": account.etag,
        "name": account.name,
        # recorded: the same as the unique id (cloud-custodian at df800e9e, iam-service-account-disable)
        "oauth2ClientId": account.unique_id,
        "projectId": account.project,
        "uniqueId": account.unique_id,
    }
    return found | ({"disabled": True} if account.disabled else {})


def _unknown(asked: Asked, fresh: Account | None, verb: str) -> Refusal:
    """With the project it is a 404, whose words differ for an account that is not known yet: both are recorded. With `-` it is a 403.

    https://iam.googleapis.com/$discovery/rest?version=v1, ServiceAccount.name; https://github.com/sethvargo/vault-on-gke/issues/33
    """
    name = f"projects/{asked.names['project']}/serviceAccounts/{asked.names['account']}"
    if asked.names["project"] == "-":
        return Refusal(
            "PERMISSION_DENIED",
            f"Permission iam.serviceAccounts.{verb} is required to perform this operation on service account {name}.",
        )
    return not_found(f"Service account {name} does not exist." if fresh else "Unknown service account")


def _check_lengths(settings: Document) -> None:
    for name, most in LONGEST.items():
        if len(settings.get(name, "").encode()) > most:
            raise invalid(f"Invalid value at 'service_account': {name} is longer than {most} bytes of UTF-8")
