"""Whom clients trust."""

from __future__ import annotations

import ssl
from pathlib import Path


def trusting(ca_file: Path | str | None = None, ca: str | None = None, *, alone: bool = False) -> ssl.SSLContext:
    """A client's side of TLS, which verifies names and certificates. It trusts the system's authorities, and those in PEM of
    `ca_file` or `ca`; with `alone`, these in the place of the system's.

    What somebody has named is trusted as curl, docker and kubectl do: also if another authority has signed it, and without the key
    identifiers of VERIFY_X509_STRICT, a default since Python 3.13 (https://docs.python.org/3/library/ssl.html#ssl.create_default_context),
    which certificates of EKS and microk8s lack (https://github.com/kubernetes-client/python/issues/2394).

    Raises OSError, of which ssl.SSLError is one, if the authorities can't be read.
    """
    given = ca_file is not None or ca is not None
    if alone and given:
        return _lenient(ssl.create_default_context(cafile=ca_file, cadata=ca))
    context = ssl.create_default_context()
    if given:
        context.load_verify_locations(cafile=ca_file, cadata=ca)
        _lenient(context)
    return context


def _lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    context.verify_flags = (context.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
