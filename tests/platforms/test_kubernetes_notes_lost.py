"""What becomes of links whose notes are lost, and of registries that get another name."""

from __future__ import annotations

import pytest

from tests.onprem import Stage, notes_of, secret_name


@pytest.fixture
def lost(stage: Stage) -> str:
    """A grant that was applied, and whose notes were deleted; its namespace."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes")
    return namespace


def test_a_plan_without_notes_says_which_links_it_does_not_know_and_how_to_take_them_over(
    stage: Stage, lost: str
) -> None:
    link = f"onprem.link.prod/{lost}/prod/app"
    said = stage.plan()
    assert f"{link}: is there, and no note says who has made it" in said
    assert "to take it over, add --adopt with its address" in said
    said = stage.apply("--adopt", link)
    assert "Warnings" not in said
    assert f"! {link} adopted" in said
    assert "No changes. 2 resources match the spec." in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(lost, "app") == []
    assert notes_of(stage) is None


def test_a_saved_plan_adopts_a_link(stage: Stage, lost: str) -> None:
    stage.apply()
    assert "to take it over" not in stage.plan(), "whoever names the secret by themselves hears of it once"
    stage.plan("--adopt", f"onprem.link.prod/{lost}/prod/app", "--out", "plan.json")
    stage.run("apply", "plan.json", "--yes")
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(lost, "app") == []


def test_whoever_uses_a_secret_that_goes_loses_by_it_though_no_note_names_them(stage: Stage, lost: str) -> None:
    stage.apply()
    stage.document["grants"].clear()
    stage.write()
    said = stage.plan("--out", "plan.json")
    assert f"whoever uses pull-secret prod/{lost}/prod can no longer pull any repository of the registry" in said
    stage.run("apply", "plan.json", "--yes")
    assert stage.secret(lost, secret_name(stage)) is None


def test_a_link_that_is_not_adopted_is_left_by_a_destroy_which_says_how_to_have_it_deleted(
    stage: Stage, lost: str
) -> None:
    stage.apply()
    said = stage.run("destroy", "--yes")
    assert f"service account {lost}/app in cluster prod can no longer pull any repository of the registry" in said
    assert f"onprem.link.prod/{lost}/prod/app has no owner, so that it stays as it is" in said
    assert stage.cluster.pull_secrets(lost, "app") == [secret_name(stage)]


def rename(stage: Stage, name: str) -> None:
    """Gives the registry another name in the spec, and the mark of its secret with it, as the plan says."""
    was = stage.document["registries"][0]["name"]
    stage.document["registries"][0]["name"] = name
    for item in (*stage.document["grants"], *stage.document["repositories"]):
        item["registry"] = name
    stage.write()
    assert f"its mark reconciler-registry says '{was}': if that is wrong, set it back to '{name}'" in stage.plan(code=6)
    namespace = stage.document["grants"][0]["to"]["namespaces"][0]
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    marks = {"metadata": {"annotations": {"reconciler-registry": name}}}
    stage.cluster.request("PATCH", at, marks, kind="application/merge-patch+json")


@pytest.mark.parametrize("saved", [False, True])
def test_what_a_registry_has_made_is_its_own_by_its_new_name_once_its_mark_says_so(stage: Stage, saved: bool) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    rename(stage, "harbor")
    said = stage.plan("--out", "plan.json")
    assert "Plan: 2 to update, 0 unchanged." in said
    assert "Nobody gains or loses access." in said
    stage.run("apply", *(["plan.json"] if saved else []), "--yes")
    assert "No changes. 2 resources match the spec." in stage.plan()
    assert "onprem" not in str(notes_of(stage)["data"])
    stage.document["grants"].clear()
    stage.write()
    assert "Plan: 2 to delete" in stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == []
    assert notes_of(stage) is None


def test_a_registry_that_takes_the_old_name_touches_nothing_of_the_renamed_one(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    rename(stage, "harbor")
    # before anything is applied under the new name
    there = dict(stage.document["registries"][0], name="onprem")
    there["url"] = there["url"].replace("localhost", "127.0.0.1")
    stage.document["registries"].append(there)
    stage.write()
    said = stage.apply()
    assert "deleted" not in said
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)]
    assert "No changes" in stage.plan()


def test_notes_in_another_namespace_are_made_anew_and_links_are_named(stage: Stage) -> None:
    kept, left = stage.cluster.namespace("app"), stage.cluster.namespace("app")
    stage.grant("prod", kept, "app")
    stage.grant("other", left, "app")
    stage.apply()
    stage.document["clusters"][0]["namespace"] = kept
    stage.document["grants"].pop()
    stage.write()
    said = stage.apply()
    assert "noted: false → true" in said
    assert f"onprem.link.prod/{kept}/prod/app: is there, and no note says who has made it" in said
    assert left not in said
    assert "No changes" in stage.plan()
    assert stage.cluster.pull_secrets(left, "app") == [secret_name(stage, "other")]


def test_what_was_made_for_a_registry_that_the_spec_has_no_longer_is_pending(stage: Stage) -> None:
    """Its name and those of its grants are other ones: nothing else finds the login that is left."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["registries"][0]["name"] = stage.document["repositories"][0]["registry"] = "cellar"
    stage.document["grants"][0] |= {"name": "later", "registry": "cellar"}
    stage.write()
    said = stage.apply()
    assert (
        f"onprem.link.prod/{namespace}/prod/app, onprem.pull-secret.prod/{namespace}/prod: it was made for registry onprem"
        in said
    )
    assert "Apply: 2 done, 2 pending." in said
    assert "Drift: 2 pending, 2 unchanged." in stage.run("drift", code=2)
    there = dict(stage.document["registries"][0], name="onprem")
    stage.document["registries"].append(there | {"url": there["url"].replace("localhost", "127.0.0.1")})
    stage.write()
    assert "Apply: 2 done." in stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage, "later")]
    stage.document["registries"].pop()
    stage.write()
    assert "No changes." in stage.plan("--detailed-exitcode")
