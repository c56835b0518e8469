"""Why a registry's own endpoint was asked in vain, in words, with what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.platforms.http import Trouble

from .answers import LOCKED, Said
from .troubles import BETWEEN

#: what urllib3 puts before its words
_WHERE = re.compile(r"^HTTPS?Connection(?:Pool)?\([^)]*\): ")
_UNLOCKED = "--write-enabled true --delete-enabled true"
#: what counting images takes, by the mode of the registry: https://learn.microsoft.com/azure/container-registry/
#: container-registry-rbac-built-in-roles-directory-reference
_COUNTS = (
    "; to count takes Container Registry Repository Reader and Container Registry Repository Catalog Lister (AcrPull in mode"
    " legacy)"
)


def is_said(status: int, said: Said) -> bool:
    """Whether an error is Azure's: it says why, or is one that Azure gives without a reason. `status`: of HTTP, 0 if it says none."""
    return bool(said.code) or status in (401, 403) or status >= 500


def reason(server: str, status: int, said: Said) -> str:
    """What came of a question."""
    if not is_said(status, said):
        answer = f" (HTTP {status})" if status else ""
        return f"{server} was asked, and the answer{answer} did not come from Azure"
    words = f": {said}" if said.code else f" (HTTP {status}, without a reason of its own: it may come from a proxy)"
    if said.is_network:
        return f"{server} lets nobody in from here{words}"
    if status in (401, 403):
        return f"{server} refuses these credentials{words}"
    return f"{server} answered HTTP {status}{words if said.code else ''}"


def counting(status: int, said: Said) -> str:
    """Which roles whoever counts images has to have, as the end of a sentence, where that is why a question was in vain; else ""."""
    return _COUNTS if said.code and not said.is_network and status in (401, 403) else ""


def unreached(server: str, error: BaseException) -> str:
    """That nothing was answered, and what kept it away: the innermost of the errors that the libraries have put around each other."""
    while (inner := next(_within(error), None)) is not None:
        error = inner
    said = _WHERE.sub("", str(error).strip().partition("\n")[0])
    return f"{server} can't be reached: {said or type(error).__name__}"


def _within(error: BaseException) -> Iterator[BaseException]:
    places = (getattr(error, "inner_exception", None), getattr(error, "reason", None), *reversed(error.args))
    return (item for item in places if isinstance(item, BaseException) and item is not error)


def way_out(registry: str, repository: str, status: int, said: Said) -> str:
    """What to do so that a repository can be deleted."""
    if not is_said(status, said):
        return BETWEEN
    if said.is_network:
        return (
            "run where the registry is reached, such as behind its private endpoint, or let this machine's address in:"
            f" `az acr network-rule add --name {registry} --ip-address ADDRESS`"
        )
    if said.code == LOCKED:
        unlock = f"az acr repository update --name {registry}"
        return (
            f"it or an image in it is locked; if its images may go, run `{unlock} --repository {repository} {_UNLOCKED}`, and for a"
            f" locked image `{unlock} --image {repository}:TAG {_UNLOCKED}`; then run again"
        )
    if status in (401, 403):
        return (
            "give them Container Registry Repository Contributor (AcrDelete in mode legacy) on the resource group, since what is"
            " given on the registry itself is foreign access to each plan; or delete the"
            f" repository with `az acr repository delete --name {registry} --repository {repository}`"
        )
    return Trouble.SERVER.hint(cloud="Azure") if status >= 500 else "run again; changes already made are kept"
