"""How much a registry stores, as Azure Resource Manager says it: the catalog leaves out repositories that somebody took off the list
(https://learn.microsoft.com/azure/container-registry/container-registry-image-lock, `--list-enabled false`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.kind import Uncounted

if TYPE_CHECKING:
    from .session import AzureSession

ACTION = "Microsoft.ContainerRegistry/registries/listUsages/read"


#: where some images are known: those of a repository that is not listed can't be told from them
UNTOLD = "its catalog may leave out repositories that somebody took off the list, and Azure says how much it stores, but not where"


def check(session: AzureSession, at: str) -> None:
    """Raises Uncounted if a registry in which no images were counted stores some. Raises PlatformError."""
    ask = partial(session.client.registries.list_usages, *session.group)
    try:
        found = session.found_plain(at, "registries:listUsages", ask)
    except PlatformError as error:
        if error.code != "AuthorizationFailed":
            raise
        raise Uncounted(
            f"its catalog lists none, and these credentials may not ask whether it stores any that are not listed: {ACTION}"
        ) from None
    if found is None:  # the registry is gone
        return
    sizes = [item.get("currentValue") for item in found.get("value") or () if item.get("name") == "Size"]
    size = sizes[0] if sizes else None
    if not isinstance(size, int):
        raise Uncounted("its catalog lists none, and Azure does not say how much it stores")
    if size:
        # how soon: https://learn.microsoft.com/azure/container-registry/container-registry-faq
        raise Uncounted(
            f"its catalog lists none, and Azure says that it stores {size:,} bytes: they are of repositories that are not listed, or"
            " of images that were deleted a few minutes ago"
        )
