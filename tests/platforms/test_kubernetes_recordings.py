"""What was recorded on a real cluster, as our code reads it: each refusal in words, each object field by field."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.kubernetes import trouble
from reconciler.platforms.kubernetes.written_by import last_writer
from tests.emulators.test_cluster_recordings import EVIDENCE, MISSING, Exchange, read

FILES = sorted(EVIDENCE.glob("*.http.log")) if EVIDENCE.exists() else []
pytestmark = pytest.mark.skipif(not FILES and not os.environ.get("CI"), reason=MISSING)
#: the resources that our code reads and writes
OURS = ("secrets", "serviceaccounts", "configmaps")
AT = "onprem.pull-secret.prod/prod/pull"


def exchanges() -> Iterator[tuple[str, Exchange]]:
    for path in FILES:
        if path.name.startswith(("kubectl", "python-client")):  # which show clients
            continue
        for number, item in enumerate(read(path)):
            yield f"{path.name.partition('.')[0]}-{number}", item


ALL = dict(exchanges())


def refused(item: Exchange) -> PlatformError:
    """What our code makes of a recorded refusal."""
    headers: dict[str, str] = {"Audit-Id": "abc"}
    text = json.dumps(item.answer) if item.answer is not None else "Too many requests, please try again later.\n"
    error = SimpleNamespace(status=item.status, body=text, headers=headers)
    return trouble.refused(error, AT, "get secrets", "prod", "prod")


@pytest.mark.parametrize("name", [name for name, item in ALL.items() if item.status >= 400])
def test_each_recorded_refusal_has_its_code_and_a_way_out(name: str) -> None:
    item = ALL[name]
    error = refused(item)
    body = item.answer or {}
    causes = [cause.get("reason") for cause in (body.get("details") or {}).get("causes") or ()]
    kind = (body.get("details") or {}).get("kind")
    expected = {
        403: trouble.TERMINATING if trouble.TERMINATING in causes else "Forbidden",
        404: trouble.NO_NAMESPACE if kind == "namespaces" else trouble.GONE,
        409: trouble.TAKEN,
        429: trouble.THROTTLED,
    }.get(item.status, body.get("reason"))
    assert error.code == expected
    assert error.hint
    assert error.request_id == "abc"
    assert "prod" in str(error)
    if expected == "Forbidden":
        who = re.search(r'[Uu]ser "([^"]+)" cannot', str(body.get("message")))
        if who is not None and who[1] == "system:anonymous":
            assert "cluster prod is asked without a login that it knows" in error.message
        elif who is not None:
            named = (body.get("details") or {}).get("name")
            what = f"secret {named}" if named else "secrets"
            assert f"user {who[1]} may not get {what} in namespace prod of cluster prod" in error.message
        else:  # what is admitted is another matter than rights
            assert f"cluster prod forbids it: {body['message']}" in error.message


@pytest.mark.parametrize("name", [name for name, item in ALL.items() if item.status < 300 and item.answer])
def test_each_recorded_object_is_read_field_by_field(name: str) -> None:
    """By the official client's models, and back to JSON: what our code reads of it is what was answered."""
    from kubernetes import client

    item = ALL[name]
    models = {"Secret": client.V1Secret, "ServiceAccount": client.V1ServiceAccount, "ConfigMap": client.V1ConfigMap}
    if item.answer.get("kind") not in models:
        return
    model: Any = models[item.answer["kind"]]
    api: Any = client.ApiClient(client.Configuration())
    answered = SimpleNamespace(data=json.dumps(item.answer))
    made = model.from_dict(item.answer) if hasattr(model, "from_dict") else api.deserialize(answered, model.__name__)
    found = api.sanitize_for_serialization(made)
    for key in ("type", "data", "imagePullSecrets"):
        assert found.get(key) == item.answer.get(key), key
    for key in ("name", "namespace", "uid", "resourceVersion", "labels", "annotations"):
        assert found["metadata"].get(key) == item.answer["metadata"].get(key), key
    for field in ("f:data", "f:imagePullSecrets"):
        theirs, ours = last_writer(item.answer, field), last_writer(found, field)
        assert (theirs is None) == (ours is None)
        if theirs is not None and ours is not None:
            assert ours[0] == theirs[0]


def test_the_recordings_have_what_is_looked_for() -> None:
    """Else the tests above would hold of nothing."""
    statuses = {item.status for item in ALL.values()}
    assert {200, 201, 403, 404, 409, 422} <= statuses
    kinds = {item.answer.get("kind") for item in ALL.values() if item.answer}
    assert {"Secret", "ServiceAccount", "Status"} <= kinds
    assert Path(EVIDENCE).exists()
