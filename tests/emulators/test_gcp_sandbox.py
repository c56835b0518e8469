"""The sandbox of Google: what it says of the stand-in is there, and each of its hands changes something."""

from __future__ import annotations

import os

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.spec.models import Grant, Guards, Spec
from reconciler.spec.repository import Repository
from tests.contract.test_fields import fields_of
from tests.contract.test_transitions import documents
from tests.emulators.gcp import Fails
from tests.sandbox.base import Document, Hand
from tests.sandbox.gcp import FOREIGN, GcpSandbox, account, google_variables
from tests.sandbox.gcp_hands import READER, TOKEN_CREATOR, WRITER, Hands

PARENT = "projects/my-project/locations/europe-west1/repositories"
ACCOUNTS = "projects/my-project/serviceAccounts"
PULL, PUSH = (f"images-{what}@my-project.iam.gserviceaccount.com" for what in ("pull", "push"))
MARKS = {
    "reconciler-owner": "tests",
    "reconciler-origin": "spec",
    "reconciler-registry": "images",
    "reconciler-applied": "v1-0123456789abcdef",
    "reconciler-access": "a1b2c3d-d4e5f6a",
}
APP: Document = {
    "format": "DOCKER",
    "description": "the shop",
    "labels": {**MARKS, "team": "a"},
    "dockerConfig": {"immutableTags": True},
    "cleanupPolicies": {
        "reconciler-keep": {"action": "KEEP", "mostRecentVersions": {"keepCount": 3}},
        "reconciler-untagged": {"action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "1209600s"}},
    },
}


def build(gcp: GcpSandbox) -> None:
    """Makes an estate such as the platform makes of the sandbox's rich spec."""
    trusted = [{"role": TOKEN_CREATOR, "members": [f"serviceAccount:{account('ci-runner')}"]}]
    text = "reconciler owner=tests registry=images origin=spec applied=v1-0123 trusted=a1b2c3d location=europe-west1"
    for email in (PULL, PUSH):
        gcp.estate.make_account(f"{ACCOUNTS}/{email}", {"displayName": "images", "description": text})
        gcp.estate.change_policy(f"{ACCOUNTS}/{email}", lambda bindings: bindings.extend(trusted))
    gcp.estate.make(f"{PARENT}/images-app-a", APP)
    gcp.estate.make(f"{PARENT}/images-app-b", {"format": "DOCKER", "labels": MARKS})
    readers = [f"serviceAccount:{PULL}", f"serviceAccount:{account('deploy')}"]
    access = [{"role": READER, "members": readers}, {"role": WRITER, "members": [f"serviceAccount:{PUSH}"]}]
    for name in ("app-a", "app-b"):
        gcp.estate.change_policy(f"{PARENT}/images-{name}", lambda bindings: bindings.extend(access))


@pytest.fixture
def estate(gcp: GcpSandbox) -> GcpSandbox:
    """The sandbox with an estate."""
    build(gcp)
    return gcp


def all_hands(estate: GcpSandbox) -> list[Hand]:
    return [*estate.hands(), *estate.theirs()]


def test_each_hand_changes_something_and_has_a_name_of_its_own(estate: GcpSandbox) -> None:
    good = estate.state()
    names = [name for name, _ in all_hands(estate)]
    assert len(set(names)) == len(names)
    assert len(estate.hands()) >= 10
    assert estate.theirs()
    for name in names:
        estate.reset()
        build(estate)
        assert estate.state() == good, "no id, time or etag is in it"
        hands = all_hands(estate)
        assert [other for other, _ in hands] == names
        dict(hands)[name]()
        assert estate.state() != good, f"{name} changed nothing"


def test_hands_reach_every_setting_that_is_ours(estate: GcpSandbox) -> None:
    names = {name for name, _ in estate.hands()}
    app = "europe-west1/images-app-a"
    wanted = {
        f"delete {app}",
        f"delete {app} and make it anew",
        f"describe {app}",
        f"immutability of {app}",
        f"scanning of {app}",
        f"unlabel team of {app}",
        f"relabel team of {app}",
        f"unlabel reconciler-access of {app}",
        f"relabel reconciler-applied of {app}",
        f"no cleanup policy reconciler-keep of {app}",
        f"another cleanup policy reconciler-untagged of {app}",
        f"a cleanup policy of {app} as if it were ours",
        f"only try the cleanup of {app}",
        f"empty the policy of {app}",
        f"take {READER} of {app} from serviceAccount:{account('deploy')}",
        f"serviceAccount:{PULL} of {READER} of {app} deleted",
        f"delete {PULL}",
        f"delete {PULL} and make it anew",
        f"disable {PULL}",
        f"rename {PULL}",
        f"forget applied=v1-0123 of {PULL}",
        f"forget trusted=a1b2c3d of {PULL}",
        f"forget location=europe-west1 of {PULL}",
        f"take {TOKEN_CREATOR} of {PULL} from serviceAccount:{account('ci-runner')}",
    }
    assert wanted - names == set()
    whose = {
        f"unlabel reconciler-owner of {app}",
        f"relabel reconciler-registry of {app}",
        f"forget owner=tests of {PULL}",
    }
    assert not whose & names, "it would be nobody's or another's, and no plan takes that"


def test_what_others_put_there_stands_beside_ours(estate: GcpSandbox) -> None:
    before = estate.state()
    for _, hand in estate.theirs():
        hand()
    after = estate.state()
    for kind, things in before.items():
        for name, thing in things.items():
            for part in ("labels", "cleanupPolicies"):
                assert thing.get(part, {}).items() <= after[kind][name].get(part, {}).items()
            for binding in thing["access"]:
                assert any(
                    binding["role"] == found["role"] and {*binding["members"]} <= {*found["members"]}
                    for found in after[kind][name]["access"]
                )
    assert after["repositories"][f"{PARENT}/images-app-b"]["cleanupPolicies"].keys() == {"theirs"}
    assert after["repositories"][f"{PARENT}/images-app-b"]["labels"]["cost"] == "42"


def test_hands_are_not_among_the_calls_and_no_fault_hits_them(estate: GcpSandbox) -> None:
    estate.stand_in.behaviours.append(Fails("*", "UNAVAILABLE", -1))
    estate.stand_in.cloud.state.knobs.operation_calls = 3
    dict(estate.hands())["delete europe-west1/images-app-b and make it anew"]()
    estate.make_foreign("other")
    assert "other" in estate.repository_names(), "a hand ends when its operation has"
    estate.remove_repository("other")
    assert "other" not in estate.repository_names()
    assert estate.stand_in.calls == []


def test_the_helpers_do_what_they_say(estate: GcpSandbox) -> None:
    assert estate.repository_names() == {"app-a", "app-b"}
    assert estate.foreign_access("app-a") == []
    estate.give_foreign_access("app-a")
    assert estate.foreign_access("app-a") == [{"role": READER, "members": [FOREIGN]}]
    estate.remove_access("app-a")
    assert "access" not in estate.state()["repositories"][f"{PARENT}/images-app-a"]
    assert estate.foreign_access("app-a") == []
    estate.put_foreign_tag("app-a", "team", "infra")
    assert (estate.tag("app-a", "team"), estate.tag("app-a", "reconciler-owner")) == ("infra", "tests")
    with pytest.raises(KeyError):
        estate.tag("app-b", "team")
    estate.describe("app-b")
    assert estate.estate.settings(f"{PARENT}/images-app-b")["description"] == "by hand"
    estate.make_foreign("bare")
    estate.make_foreign("odd", owner="tests", origin=estate.any_mark)
    assert estate.estate.settings(f"{PARENT}/images-bare")["labels"] == {}
    assert estate.tag("odd", "reconciler-origin") == "by-hand"
    estate.push_image("bare")
    estate.push_image("bare", "v2")
    with httpx.Client(base_url=estate.stand_in.url) as http:
        images = http.get(f"/v1/{PARENT}/images-bare/dockerImages").json()["dockerImages"]
    assert sorted(tag for image in images for tag in image["tags"]) == ["v1", "v2"]
    estate.remove_repository("bare")
    assert "bare" not in estate.repository_names()
    estate.reset()
    assert estate.state() == {"accounts": {}, "repositories": {}}


def test_state_tells_a_deleted_member_and_conditions_whatever_the_ids(estate: GcpSandbox) -> None:
    estate.estate.remove(f"{ACCOUNTS}/{PULL}")
    (readers, _) = estate.state()["repositories"][f"{PARENT}/images-app-a"]["access"]
    assert readers["members"] == [f"deleted:serviceAccount:{PULL}", f"serviceAccount:{account('deploy')}"]
    estate.estate.make_account(f"{ACCOUNTS}/{PULL}", {})
    (readers, _) = estate.state()["repositories"][f"{PARENT}/images-app-a"]["access"]
    assert readers["members"][0] == f"deleted:serviceAccount:{PULL}", "bindings follow the unique id, not the email"
    dict(Hands(estate.estate).for_a_time())[f"{WRITER} of europe-west1/images-app-a for a time"]()
    found = estate.state()["repositories"][f"{PARENT}/images-app-a"]["access"]
    assert [binding["role"] for binding in found if "condition" in binding] == [WRITER]


def test_the_tables_cover_every_field() -> None:
    every = fields_of(Spec, Guards, Repository, Grant, *GcpSandbox.models)
    changed, elsewhere = GcpSandbox.changes().keys(), GcpSandbox.no_changes().keys()
    assert changed | elsewhere == every
    assert changed & elsewhere == set()
    assert GcpSandbox.changes()["Grant.name"][1] == "same"


@pytest.mark.parametrize("field", [field for field, (_, expected) in GcpSandbox.changes().items()])
def test_each_change_of_a_field_is_a_valid_spec_and_another(gcp: GcpSandbox, field: str) -> None:
    before, after = gcp.rich_document(), gcp.rich_document()
    GcpSandbox.changes()[field][0](after)
    assert gcp.spec(before) != gcp.spec(after)


@settings(max_examples=200)
@given(data=st.data())
def test_every_drawn_spec_is_valid(gcp: GcpSandbox, data: st.DataObject) -> None:
    gcp.spec(data.draw(documents(gcp)))


def test_google_finds_the_stand_in_and_nothing_of_this_machine(gcp: GcpSandbox) -> None:
    assert {name: os.environ[name] for name in google_variables()} == {
        "CLOUDSDK_CONFIG": "/nonexistent",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "NO_GCE_CHECK": "true",
        **{
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}": f"{gcp.stand_in.url}/"
            for service in ("ARTIFACTREGISTRY", "IAM", "IAMCREDENTIALS", "SERVICEUSAGE")
        },
    }
