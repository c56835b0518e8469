"""The platforms that tests play on: one file here for each, with an empty account and all that the contract suite asks of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Sandbox

#: a new platform is a file here, which ends in `SANDBOX = ...` and has a fixture of the platform's name, and its name in this list
PLATFORMS = ("local", "aws", "gcp", "azure")
#: those on which repositories and access are resources such as tests/contract/test_contract.py and its neighbours name. On Azure,
#: access is a role assignment of the registry, and a repository has no description, labels or owner of its own: what they assert
#: stands in platforms/test_azure_*.py, until the sandbox says it in words of its own
WITH_THEIR_OWN = ("local", "aws", "gcp")


def sandbox_class(platform: str) -> type[Sandbox]:
    """The platform's sandbox."""
    found: type[Sandbox] = import_module(f"{__name__}.{platform}").SANDBOX
    return found
