"""A stand-in for Azure: Container Registry, role assignments, managed identities, Entra and a registry's own endpoint, over TLS.

What is recorded of Azure is answered as recorded (tests/emulators/test_azure_recordings.py), published examples are taken
(test_azure_examples.py), and the rest follows rules with their sources. What no source says is marked so where it stands.
"""

from __future__ import annotations

from .access import may, token_may
from .data import push
from .faults import Answers, Fails, FailsOften, fault, refused
from .server import Server, serving
from .state import Knobs

__all__ = [
    "Answers",
    "Fails",
    "FailsOften",
    "Knobs",
    "Server",
    "fault",
    "may",
    "push",
    "refused",
    "serving",
    "token_may",
]
