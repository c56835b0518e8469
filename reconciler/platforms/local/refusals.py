"""Why a local registry's content can't be given, taken or removed."""

from __future__ import annotations


class Missing(LookupError):
    """What was asked for is not in the repository."""


class Deleted(LookupError):
    """The repository was deleted while the request was under way."""


class Refused(Exception):
    """The registry's rules forbid it; the message says which."""


class WrongDigest(Exception):
    """The content is not what its digest says."""


class Exists(Exception):
    """What was to be new is there."""
