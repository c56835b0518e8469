"""Tokens that look like those of Entra and of a registry: JSON Web Tokens whose claims clients read; the signature is of nobody."""

from __future__ import annotations

import base64
import json
import time

from .wire import Document


def written(claims: Document, seconds: int) -> str:
    """A token that ends after some seconds."""
    at = int(time.time())
    parts = ({"typ": "JWT", "alg": "RS256"}, {**claims, "iat": at, "nbf": at, "exp": at + seconds})
    return ".".join([*(_packed(json.dumps(part).encode()) for part in parts), _packed(b"stand-in")])


def claims(token: str) -> Document:
    """What a token claims; empty if it is none, or has ended."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found: Document = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("exp", 0) > time.time() else {}


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
