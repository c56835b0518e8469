"""A stand-in for Google's Artifact Registry, and for as much of IAM, Resource Manager, KMS and Service Usage as its clients ask.

It speaks HTTP on a real socket. In this process: `with serving() as server`, then `server.url`, `server.cloud.state` and
`server.behaviours`; as a process of its own: `python -m tests.emulators.gcp --port 0`, then control.py's paths.
Fresh service accounts flap as recorded unless `knobs.flaps` is empty (`--steady`); state.py says what else can be told.

What it answers is proved by recorded exchanges (test_gcp_recordings.py), by gcloud and Google's own library (test_gcp_clients.py)
and, where nothing was recorded, by a table of rules with their sources (test_gcp_rules.py).
"""

from __future__ import annotations

from .faults import Fails, FailsOften, Quota, Sends, fault
from .images import push
from .server import Server, serving
from .state import RECORDED_FLAPS, Knobs, project_number

__all__ = [
    "RECORDED_FLAPS",
    "Fails",
    "FailsOften",
    "Knobs",
    "Quota",
    "Sends",
    "Server",
    "fault",
    "project_number",
    "push",
    "serving",
]
