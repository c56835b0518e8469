"""The description of a service account, in which its marks stand, since an account has no labels. Pure.

`reconciler: owner=shop registry=images origin=spec applied=v1-0123456789abcdef at-europe-west1=v1-0123456789abcdef`
"""

from __future__ import annotations

from reconciler.model.marks import PREFIX
from reconciler.platforms.described import Said, parsed, written

__all__ = ["AT", "MAX_DESCRIPTION", "MEMBERS", "Said", "parsed", "too_long", "written"]

#: bytes of UTF-8: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts#ServiceAccount.FIELDS.description
MAX_DESCRIPTION = 256
#: what the key of a location's note begins with, and the key of the hashes of members that are ours
AT, MEMBERS = f"{PREFIX}at-", f"{PREFIX}members"


def too_long(text: str) -> str | None:
    """Why Google would refuse a description, with the numbers; or None."""
    size = len(text.encode())
    if size <= MAX_DESCRIPTION:
        return None
    return (
        f"its description, in which its marks stand, would have {size} bytes; Google allows at most {MAX_DESCRIPTION}"
    )
