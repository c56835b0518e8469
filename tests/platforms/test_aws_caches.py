"""Pull-through cache rules: ours, by the registry's ledger, beside those of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, ReconcilerError, SpecError, StalePlan
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import ACCOUNT, ECR, HUB, QUAY, SECRET, AwsSandbox
from tests.sandbox.base import Document

AT = "images.pull_through_cache.docker-hub"
THEIRS = {"ecrRepositoryPrefix": "theirs", "upstreamRegistryUrl": "quay.io", "upstreamRepositoryPrefix": "ROOT"}
NOTE = "reconciler-applied-pull_through_cache-us-east-1/docker-hub"


def cached(aws: AwsSandbox, *rules: Document, **registry: Any) -> Document:
    return aws.document("web", registry={"pull_through_cache": list(rules), **registry}, guards={"max_deletes": "100%"})


def rules(aws: AwsSandbox, region: str = "us-east-1") -> dict[str, Document]:
    return aws.caches.rules.setdefault(region, {})


def tags(aws: AwsSandbox) -> dict[str, str]:
    return {item["Key"]: item["Value"] for item in aws.client("iam").get_role(RoleName="images-pull")["Role"]["Tags"]}


def changes(aws: AwsSandbox, document: Document, **wishes: Any) -> list[tuple[str, str]]:
    return [(str(change.address), change.action.value) for change in aws.plan(document, **wishes).changes]


def test_a_registry_without_rules_asks_nothing_about_them(aws: AwsSandbox) -> None:
    rules(aws)["theirs"] = dict(THEIRS)
    aws.apply(cached(aws))
    assert [call.operation for call in aws.proxy.calls if "PullThrough" in call.operation] == []
    assert rules(aws) == {"theirs": THEIRS}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (QUAY, {"ecrRepositoryPrefix": "ROOT", "upstreamRegistryUrl": "quay.io"}),
        (
            HUB,
            {
                "ecrRepositoryPrefix": "docker-hub",
                "upstreamRegistryUrl": "registry-1.docker.io",
                "credentialArn": f"{SECRET}1",
            },
        ),
        (
            {**ECR, "prefix": "a/b/", "upstream_prefix": "team"},
            {
                "ecrRepositoryPrefix": "a/b/",
                "upstreamRegistryUrl": "987654321091.dkr.ecr.eu-west-1.amazonaws.com",
                "customRoleArn": f"arn:aws:iam::{ACCOUNT}:role/fetch",
                "upstreamRepositoryPrefix": "team",
            },
        ),
        (
            {"prefix": "west", "upstream": f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com", "upstream_prefix": "ROOT"},
            {"ecrRepositoryPrefix": "west", "upstreamRegistryUrl": f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"},
        ),
    ],
)
def test_each_form_is_written_as_aws_has_it_and_read_back(aws: AwsSandbox, rule: Document, found: Document) -> None:
    document = cached(aws, rule)
    aws.apply(document)
    said = {key: value for key, value in rules(aws)[rule["prefix"]].items() if key not in ("createdAt", "registryId")}
    assert said == {"upstreamRepositoryPrefix": "ROOT", **found}
    assert changes(aws, document) == []
    aws.apply(cached(aws))
    assert rules(aws) == {}


def test_rules_are_in_the_home_region_alone_and_move_with_it(aws: AwsSandbox) -> None:
    aws.apply(cached(aws, QUAY, replication_regions=["eu-west-1"]))
    assert (set(rules(aws)), set(rules(aws, "eu-west-1"))) == ({"ROOT"}, set())
    aws.apply(cached(aws, QUAY, region="eu-west-1"))
    assert (set(rules(aws)), set(rules(aws, "eu-west-1"))) == (set(), {"ROOT"})
    assert changes(aws, cached(aws, QUAY, region="eu-west-1")) == []


@pytest.mark.parametrize("leaves", ["the rule", "retired", "destroy"])
def test_ours_goes_and_what_others_made_stays(aws: AwsSandbox, leaves: str) -> None:
    rules(aws)["theirs"] = dict(THEIRS)
    aws.apply(cached(aws, HUB))
    assert set(rules(aws)) == {"theirs", "docker-hub"}
    if leaves == "the rule":
        assert changes(aws, cached(aws)) == [(AT, "delete")]
        aws.apply(cached(aws))
        assert NOTE not in tags(aws)
    elif leaves == "retired":
        aws.apply(cached(aws, HUB, retired=True))
    else:
        aws.apply(cached(aws, HUB), destroy=True)
    assert rules(aws) == {"theirs": THEIRS}


def test_a_rule_that_somebody_else_made_is_a_conflict_until_it_is_adopted_and_goes_only_by_its_address(
    aws: AwsSandbox,
) -> None:
    aws.apply(cached(aws))
    rules(aws)["ROOT"] = {**THEIRS, "ecrRepositoryPrefix": "ROOT"}
    at = "images.pull_through_cache.ROOT"
    with pytest.raises(PlanRefused) as refused:
        aws.apply(cached(aws, QUAY))
    assert str(refused.value).endswith(
        f"{at}: pull-through cache rule ROOT in us-east-1 of account {ACCOUNT} already exists and has no owner;"
        f" to adopt it, add --adopt {at} to plan and apply"
    )
    other = {"prefix": "ROOT", "upstream": "public.ecr.aws"}
    with pytest.raises(PlanRefused, match="can't be adopted: its upstream differs from the spec"):
        aws.apply(cached(aws, other), adopt=[at])
    assert changes(aws, cached(aws, QUAY), adopt=[at]) == [(at, "adopt")]
    aws.apply(cached(aws, QUAY), adopt=[at])
    assert changes(aws, cached(aws, QUAY)) == []
    assert [item.guard for item in aws.plan(cached(aws)).violations] == ["adopted"]
    aws.apply(cached(aws), allow_delete=[at])
    assert rules(aws) == {}


def hub_changed(**members: str) -> Callable[[dict[str, Document]], None]:
    return lambda found: found["docker-hub"].update(members)


@pytest.mark.parametrize(
    ("by_hand", "action"),
    [
        (lambda found: found.clear(), "create"),
        (hub_changed(credentialArn=f"{SECRET}9"), "update"),
        (hub_changed(upstreamRegistryUrl="ghcr.io"), "replace"),
    ],
)
def test_what_a_hand_changes_is_drift_and_is_put_right(
    aws: AwsSandbox, by_hand: Callable[[dict[str, Document]], None], action: str
) -> None:
    document = cached(aws, HUB)
    aws.apply(document)
    good = aws.state()
    by_hand(rules(aws))
    (change,) = aws.plan(document).changes
    assert (change.address, change.action.value, change.cause.value) == (AT, action, "drift")
    aws.apply(document)
    assert aws.state() == good
    assert changes(aws, document) == []


def test_credentials_are_changed_in_place_and_taken_away_by_making_the_rule_anew(aws: AwsSandbox) -> None:
    quay = {"prefix": "quay", "upstream": "quay.io"}
    for secret, calls in (("1", ["Create"]), ("2", ["Update"]), ("", ["Delete", "Create"])):
        document = cached(aws, {**quay, "credentials": SECRET + secret} if secret else quay)
        aws.proxy.calls.clear()
        aws.apply(document)
        made = [call.operation for call in aws.proxy.calls if call.operation.endswith("PullThroughCacheRule")]
        assert made == [f"{verb}PullThroughCacheRule" for verb in calls]
        assert rules(aws)["quay"].get("credentialArn", "") == (SECRET + secret if secret else "")
        assert changes(aws, document) == []


def test_a_rule_of_another_registry_of_the_spec_says_so(aws: AwsSandbox) -> None:
    document = cached(aws, QUAY)
    document["registries"].append(aws.registry("other"))
    aws.apply(document)
    moved = cached(aws)
    moved["registries"].append(aws.registry("other", pull_through_cache=[QUAY]))
    with pytest.raises(PlanRefused, match=r"other\.pull_through_cache\.ROOT: .*registry images"):
        aws.apply(moved)
    assert set(rules(aws)) == {"ROOT"}


@dataclass
class CutOff(Quiet):
    """From write number `number` on no call is carried out; that write itself is, if `carried_out`."""

    number: int
    carried_out: bool
    seen: int = 0

    def before(self, call: Call) -> Answer | None:
        self.seen += not call.operation.startswith(("Get", "List", "Describe"))
        over = self.seen > self.number if self.carried_out else self.seen >= self.number
        return Answer(400, {"message": "no"}, "AccessDeniedException") if over else None


@pytest.mark.parametrize("before", [None, {**HUB, "credentials": f"{SECRET}2"}, {**HUB, "upstream": "ghcr.io"}])
@pytest.mark.parametrize("after", [HUB, None])
def test_whenever_a_run_is_cut_off_the_next_one_ends_as_an_undisturbed_one(
    aws: AwsSandbox, before: Document | None, after: Document | None
) -> None:
    first, then = (cached(aws, *([rule] if rule else [])) for rule in (before, after))
    number = 0
    while True:
        number += 1
        aws.reset()
        rules(aws)["theirs"] = dict(THEIRS)
        aws.apply(first)
        plan = aws.plan(then)
        cut = CutOff((number + 1) // 2, carried_out=number % 2 == 0)
        aws.proxy.behaviours.append(cut)
        with suppress(ReconcilerError):
            aws.carry_out(plan)
        aws.proxy.behaviours.remove(cut)
        aws.apply(then)
        assert changes(aws, then) == []
        assert set(rules(aws)) == {"theirs", *(["docker-hub"] if after else [])}
        assert (NOTE in tags(aws)) == bool(after)
        if cut.seen < cut.number:
            break
    assert before == after or number > 4


class LosesTheAnswer(Quiet):
    """The first answer to a create is lost, after it was carried out."""

    lost = False

    def after(self, call: Call) -> Answer | None:
        if call.operation != "CreatePullThroughCacheRule" or self.lost:
            return None
        self.lost = True
        return Answer(drop=True)


def test_a_create_whose_answer_was_lost_is_done(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(LosesTheAnswer())
    aws.apply(cached(aws, HUB))
    assert changes(aws, cached(aws, HUB)) == []


def test_a_rule_that_was_not_made_is_not_noted_so_that_one_of_somebody_else_is_never_taken_for_it(
    aws: AwsSandbox,
) -> None:
    aws.caches.unknown_secrets.add(HUB["credentials"])
    (failed,) = [item for item in aws.carry_out(aws.plan(cached(aws, HUB))) if item.status.value == "failed"]
    assert (failed.address, "SecretNotFoundException" in failed.message) == (AT, True)
    assert NOTE not in tags(aws)
    made = {**THEIRS, "ecrRepositoryPrefix": "docker-hub"}
    plan = aws.plan(cached(aws, HUB))
    rules(aws)["docker-hub"] = dict(made)
    assert {item.status.value for item in aws.carry_out(plan)} == {"failed"}
    assert NOTE not in tags(aws)
    aws.apply(cached(aws))
    assert rules(aws) == {"docker-hub": made}


@pytest.mark.parametrize("owner", ["theirs", "ours"])
def test_a_prefix_that_differs_by_the_slash_at_its_end_alone_is_found_by_the_plan(aws: AwsSandbox, owner: str) -> None:
    if owner == "ours":
        aws.apply(cached(aws, HUB))
    else:
        rules(aws)["docker-hub"] = {**THEIRS, "ecrRepositoryPrefix": "docker-hub"}
    (problem,) = aws.plan(cached(aws, {**HUB, "prefix": "docker-hub/"})).problems
    assert problem.message.endswith("a / at the end makes no difference: write prefix: docker-hub")


def test_a_saved_plan_is_stale_once_a_hand_has_changed_the_rule(aws: AwsSandbox) -> None:
    aws.apply(cached(aws, HUB))
    saved = dumps(aws.plan(cached(aws, {**HUB, "credentials": f"{SECRET}2"})))
    rules(aws)["docker-hub"]["credentialArn"] = f"{SECRET}9"
    with pytest.raises(StalePlan, match="credentials was"):
        aws.carry_out(loads(saved, platforms=aws.platforms), saved=True)
    assert rules(aws)["docker-hub"]["credentialArn"] == f"{SECRET}9"


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        ({"upstream": "evil.example.org"}, "upstream"),
        ({"credentials": ""}, "upstream"),
        ({"credentials": SECRET.replace("ecr-pullthroughcache/", "database/")}, "credentials"),
        ({"role_arn": "nobody"}, "role_arn"),
        ({"upstream_prefix": "Team"}, "upstream_prefix"),
    ],
)
def test_an_edited_plan_writes_nothing_that_no_spec_could_say(aws: AwsSandbox, edit: Document, part: str) -> None:
    document = json.loads(dumps(aws.plan(cached(aws, HUB))))
    (change,) = [change for change in document["changes"] if change["address"] == AT]
    change["desired"]["settings"] |= edit
    with pytest.raises(ReconcilerError, match=f"{part}.* would not be written as shown"):
        loads(json.dumps(document), "plan.json", platforms=aws.platforms)


def test_without_the_role_that_noted_it_a_rule_that_says_what_the_spec_says_is_ours_still(aws: AwsSandbox) -> None:
    document = cached(aws, HUB)
    aws.apply(document)
    good = aws.state()
    dict(aws.hands())["delete the role images-pull"]()
    aws.apply(document)
    assert aws.state() == good
    assert changes(aws, document) == []


def test_more_rules_than_ecr_takes_are_refused_with_the_numbers(aws: AwsSandbox) -> None:
    for number in range(50):
        rules(aws)[f"theirs-{number}"] = {**THEIRS, "ecrRepositoryPrefix": f"theirs-{number}"}
    with pytest.raises(PlanRefused, match="would have 51 pull-through cache rules; ECR allows at most 50"):
        aws.apply(cached(aws, HUB))


def test_more_notes_than_the_role_has_tags_for_are_refused_with_the_numbers(aws: AwsSandbox) -> None:
    aws.apply(cached(aws))
    room = 50 - len(tags(aws))
    theirs = [{"Key": f"theirs-{number}", "Value": "x"} for number in range(room)]
    aws.client("iam").tag_role(RoleName="images-pull", Tags=theirs)
    with pytest.raises(PlanRefused, match=r"a tag of images\.role\.pull, which would have 51; AWS allows at most 50"):
        aws.apply(cached(aws, HUB))


def test_no_roles_are_needed_to_note_it(aws: AwsSandbox) -> None:
    document = cached(aws, HUB, roles=False)
    aws.client("ecr").create_repository(repositoryName="reconciler/images")
    assert [at for at, _ in changes(aws, document) if "cache" in at] == [AT]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"prefix": "x"}, "must be 2 to 30 characters: words of lower-case letters"),
        ({"prefix": "a" * 31}, "must be 2 to 30 characters"),
        ({"prefix": "Docker"}, "must be 2 to 30 characters"),
        ({"upstream": "docker.io"}, "must be a registry that ECR can fetch from: public.ecr.aws, quay.io"),
        (
            {"credentials": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:hub"},
            "begins with ecr-pullthroughcache/",
        ),
        ({"credentials": None}, "pull_through_cache[0]: ECR reads registry-1.docker.io only with credentials"),
        (
            {"credentials": SECRET.replace("us-east-1", "us-west-2")},
            f"the secret is in us-west-2 of account {ACCOUNT}; the registry is in us-east-1",
        ),
        ({"role_arn": ECR["role_arn"]}, "ECR reads registry-1.docker.io with credentials, not as a role"),
        ({"upstream_prefix": "team"}, "upstream_prefix is for another ECR registry only"),
        ({**ECR, "credentials": f"{SECRET}1"}, "as a role: write role_arn in the place of credentials"),
        ({**ECR, "credentials": None, "role_arn": None}, "is of account 987654321091, which ECR reads only as a role"),
        (
            {**ECR, "credentials": None, "role_arn": "arn:aws:iam::987654321091:role/r"},
            f"role_arn: must be a role of the registry's own account, {ACCOUNT}",
        ),
        (
            {"upstream": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", "credentials": None},
            "upstream: is this registry itself",
        ),
        ({**ECR, "credentials": None, "prefix": "ROOT", "upstream_prefix": "x1"}, "with the prefix ROOT"),
    ],
)
def test_what_ecr_would_refuse_is_an_error_in_the_spec(aws: AwsSandbox, rule: Document, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        aws.plan(cached(aws, {**HUB, **rule}))
    assert message in str(refused.value)


def test_prefixes_are_one_s_alone_and_each_has_room_for_its_note(aws: AwsSandbox) -> None:
    with pytest.raises(SpecError, match=r"pull_through_cache\[1\]\.prefix: 'docker-hub' is listed twice"):
        aws.plan(cached(aws, HUB, {**HUB, "prefix": "docker-hub/"}))
    document = cached(aws, HUB)
    document["registries"].append(aws.registry("other", pull_through_cache=[HUB]))
    with pytest.raises(SpecError, match="has 'docker-hub', as has registry other in the same account and region"):
        aws.plan(document)
    many = [{**QUAY, "prefix": f"quay-{number}"} for number in range(39)]
    with pytest.raises(SpecError, match="39 rules need a tag each to be noted: beside those of 1 region, 38 are left"):
        aws.plan(cached(aws, *many, scanning={"type": "basic"}))
    assert aws.plan(cached(aws, *many)).problems == ()
