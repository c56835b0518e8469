"""Whatever JSON is sent, the stand-in answers it as Google answers: it takes it or refuses it, and never breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.gcp.cloud import Cloud, find
from tests.emulators.gcp.fields import Map, Message, Repeated
from tests.emulators.gcp.schemas import POLICY, PROJECT_SETTINGS, REPOSITORY, SERVICE_ACCOUNT
from tests.emulators.gcp.tokens import REQUEST
from tests.emulators.gcp.wire import Asked, Refusal, asked

pytestmark = pytest.mark.slow  # thousands of bodies

PROJECT = "/v1/projects/my-project"
REPOSITORIES = f"{PROJECT}/locations/us/repositories"
ACCOUNT = f"{PROJECT}/serviceAccounts/images-pull@my-project.iam.gserviceaccount.com"
#: by method and path: the message of the body, and the member that it stands in
CALLS: dict[tuple[str, str], tuple[Message, str]] = {
    ("POST", f"{REPOSITORIES}?repositoryId=more"): (REPOSITORY, ""),
    ("PATCH", f"{REPOSITORIES}/app"): (REPOSITORY, ""),
    ("PATCH", f"{REPOSITORIES}/app?updateMask=labels,cleanupPolicies,dockerConfig.immutableTags"): (REPOSITORY, ""),
    ("POST", f"{REPOSITORIES}/app:setIamPolicy"): (POLICY, "policy"),
    ("POST", f"{REPOSITORIES}/app:testIamPermissions"): (Message({"permissions": Repeated(str)}), ""),
    ("POST", f"{PROJECT}/serviceAccounts"): (SERVICE_ACCOUNT, "serviceAccount"),
    ("PATCH", ACCOUNT): (SERVICE_ACCOUNT, "serviceAccount"),
    ("POST", f"{ACCOUNT}:setIamPolicy"): (POLICY, "policy"),
    ("POST", f"{ACCOUNT}:getIamPolicy"): (POLICY, "options"),
    ("POST", f"{ACCOUNT}:generateAccessToken"): (REQUEST, ""),
    ("PATCH", f"{PROJECT}/projectSettings"): (PROJECT_SETTINGS, ""),
}
WORDS = st.sampled_from(
    ["", "app", "allUsers", "DOCKER", "KEEP", "86400s", "ACAB", "roles/artifactregistry.reader", "é"]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 4) | st.floats(allow_nan=False) | WORDS
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field, now and then of a wrong type."""
    if isinstance(kind, Message):
        fields = {name: values(field) for name, field in kind.fields.items()}
        return st.fixed_dictionaries({}, optional=fields) | ANYTHING
    if isinstance(kind, Map):
        return st.dictionaries(WORDS, values(kind.values), max_size=2) | ANYTHING
    if isinstance(kind, Repeated):
        return st.lists(values(kind.items), max_size=2) | ANYTHING
    return ANYTHING


def answer(cloud: Cloud, method: str, target: str, body: Any) -> tuple[int, dict[str, Any]]:
    try:
        request: Asked = asked(method, target, {}, json.dumps(body).encode())
    except Refusal:
        return 400, {"error": {}}
    found = find(request)
    assert found is not None
    return cloud.answer(found)


@pytest.mark.parametrize(("method", "target"), CALLS, ids=str)
@given(data=st.data())
def test_any_body_is_taken_or_refused(method: str, target: str, data: st.DataObject) -> None:
    cloud = Cloud()
    answer(cloud, "POST", f"{REPOSITORIES}?repositoryId=app", {"format": 1})
    answer(cloud, "POST", f"{PROJECT}/serviceAccounts", {"accountId": "images-pull"})
    message, member = CALLS[method, target]
    body = data.draw(values(message))
    if member:
        more = {name: data.draw(ANYTHING) for name in ("updateMask", "accountId") if data.draw(st.booleans())}
        body = {member: body, **more}
    status, got = answer(cloud, method, target, body)
    assert status in (200, 400)
    assert ("error" in got) == (status == 400)
    # and what was there can still be read, in words and in numbers
    for query in ("", "?$alt=json;enum-encoding=int"):
        assert answer(cloud, "GET", f"{REPOSITORIES}/app{query}", {})[0] == 200
    assert answer(cloud, "GET", f"{REPOSITORIES}/app:getIamPolicy", {})[0] == 200
