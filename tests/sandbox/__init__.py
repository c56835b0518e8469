"""The platforms that tests play on: one file here for each, with an empty account and all that the contract suite asks of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Sandbox

#: a new platform is a file here, which ends in `SANDBOX = ...` and has a fixture of the platform's name, and its name in this list
PLATFORMS = ("local", "aws", "gcp", "azure", "external")


def sandbox_class(platform: str) -> type[Sandbox]:
    """The platform's sandbox."""
    found: type[Sandbox] = import_module(f"{__name__}.{platform}").SANDBOX
    return found
