"""What tests of the stand-in ask of it, in a project, a place and a repository of their own."""

from __future__ import annotations

from typing import Any

import httpx

from .wire import Document

PROJECT = "/v1/projects/my-project"
REPOSITORIES = f"{PROJECT}/locations/us-central1/repositories"
ACCOUNTS = f"{PROJECT}/serviceAccounts"
PULL = "images-pull@my-project.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{PULL}"
READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"


def make(http: httpx.Client, name: str = "app", **settings: Any) -> str:
    """Makes a repository; its operation's path."""
    got = http.post(REPOSITORIES, params={"repositoryId": name}, json={"format": "DOCKER", **settings})
    assert got.status_code == 200, got.text
    return f"/v1/{got.json()['name']}"


def make_account(http: httpx.Client, name: str = "images-pull") -> Document:
    got = http.post(ACCOUNTS, json={"accountId": name})
    assert got.status_code == 200, got.text
    found: Document = got.json()
    return found


def policy(http: httpx.Client, version: int = 0) -> Document:
    query = {"options.requestedPolicyVersion": version} if version else {}
    found: Document = http.get(f"{REPOSITORIES}/app:getIamPolicy", params=query).json()
    return found


def set_policy(http: httpx.Client, *members: str, **more: Any) -> httpx.Response:
    bindings = [{"role": READER, "members": list(members)}] if members else []
    return http.post(f"{REPOSITORIES}/app:setIamPolicy", json={"policy": {"bindings": bindings, **more}})


def error(got: httpx.Response) -> tuple[int, str]:
    return got.status_code, got.json()["error"]["status"]
