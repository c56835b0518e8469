"""The OCI Distribution server of a local registry."""

from .running import LocalServer

__all__ = ["LocalServer"]
