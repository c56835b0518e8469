"""What others have just where ours is to be, or comes to be: none of it is taken for ours, and none is lost.

Each of these was a fault that a tester found: a rule of somebody else was overwritten or deleted without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import ReconcilerError
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import ACCOUNT, AS_ROLE, HUB, SECRET, AwsSandbox
from tests.sandbox.base import Document

RULE = "images.replication.rule"
FREE: Document = {"max_deletes": "100%"}


def rule(prefix: str, *regions: str) -> Document:
    return {
        "destinations": [{"region": region, "registryId": ACCOUNT} for region in regions],
        "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}],
    }


def put(aws: AwsSandbox, *rules: Document, region: str = "us-east-1") -> None:
    aws.replication.rules[region] = list(rules)


def rules(aws: AwsSandbox, region: str = "us-east-1") -> list[Document]:
    return aws.replication.rules.get(region, [])


def web(aws: AwsSandbox, **registry: Any) -> Document:
    return aws.document("web", registry=registry, guards=FREE)


@dataclass
class Dies(Quiet):
    """From one operation on, nothing is answered but a refusal."""

    operation: str
    dead: bool = False

    def before(self, call: Call) -> Answer | None:
        self.dead = self.dead or call.operation == self.operation
        return Answer(400, {"message": "no"}, "AccessDeniedException") if self.dead else None


def cut_off(aws: AwsSandbox, document: Document, operation: str, **wishes: Any) -> None:
    """Applies, and every call fails from that operation on."""
    dies = Dies(operation)
    aws.proxy.behaviours.insert(0, dies)
    with suppress(ReconcilerError):
        aws.carry_out(aws.plan(document, **wishes))
    aws.proxy.behaviours.remove(dies)
    assert dies.dead


def in_conflict(aws: AwsSandbox, document: Document) -> None:
    (problem,) = aws.plan(document).problems
    assert (problem.address, problem.conflict) == (RULE, True)
    assert problem.message.endswith(
        f"already exists and has no owner; to adopt it, add --adopt {RULE} to plan and apply"
    )


@pytest.mark.parametrize("roles", [True, False])
def test_a_new_prefix_that_a_rule_of_others_has_is_a_conflict(aws: AwsSandbox, roles: bool) -> None:
    def replicated(prefix: str) -> Document:
        registry = {"prefix": prefix, "roles": roles, "replication_regions": ["eu-west-1"]}
        return aws.document(registry=registry, guards=FREE)

    aws.apply(replicated("team/"))
    theirs = rule("zzz/", "ap-south-1")
    put(aws, *rules(aws), theirs)
    in_conflict(aws, replicated("zzz/"))
    aws.apply(replicated("team/"), destroy=True)
    assert rules(aws) == [theirs]
    put(aws, theirs)
    aws.apply(replicated("team/"))
    plan = aws.plan(replicated("zzz/"), adopt=[RULE])
    assert 'destinations: "ap-south-1" and "eu-west-1" → "eu-west-1"' in joined(plan_lines(report_of(plan)))


@pytest.mark.parametrize(
    ("before", "after", "region"),
    [
        ({"roles": False}, {"roles": False, "region": "eu-west-1", "replication_regions": ["us-east-1"]}, "eu-west-1"),
        (
            {"roles": False, "replication_regions": ["eu-west-1"]},
            {"roles": False, "region": "eu-west-1", "replication_regions": ["us-east-1"]},
            "eu-west-1",
        ),
        ({}, {"roles": False, "replication_regions": ["eu-west-1"]}, "us-east-1"),
        ({"roles": False}, {"replication_regions": ["eu-west-1"]}, "us-east-1"),
    ],
)
def test_a_carrier_that_is_still_to_come_makes_no_rule_of_others_ours(
    aws: AwsSandbox, before: Document, after: Document, region: str
) -> None:
    aws.apply(web(aws, **before))
    put(aws, rule("images-", "ap-south-1"), region=region)
    in_conflict(aws, web(aws, **after))


@pytest.mark.parametrize("how", ["change", "leave", "heal", "destroy"])
def test_where_our_rule_was_removed_by_hand_one_of_others_with_the_usual_prefix_stays(
    aws: AwsSandbox, how: str
) -> None:
    aws.apply(web(aws, prefix="team/", replication_regions=["eu-west-1"]))
    theirs = rule("images-", "ap-south-1")
    put(aws, theirs)
    regions = {"change": ["us-west-2"], "leave": []}.get(how, ["eu-west-1"])
    aws.apply(web(aws, prefix="team/", replication_regions=regions), destroy=how == "destroy")
    assert theirs in rules(aws)


@pytest.mark.parametrize("destroy", [True, False])
def test_a_note_that_a_cut_off_left_takes_no_rule_of_others_along(aws: AwsSandbox, destroy: bool) -> None:
    theirs = rule("images-", "ap-south-1")
    put(aws, theirs)
    on = web(aws, prefix="team/", roles=False, replication_regions=["eu-west-1"])
    aws.apply(on)
    after = on if destroy else web(aws, prefix="team/", roles=False)
    cut_off(aws, after, "UntagResource", destroy=destroy)
    aws.apply(after, destroy=destroy)
    assert rules(aws) == [theirs]


@pytest.mark.parametrize("roles", [True, False])
def test_two_registries_that_swap_their_prefixes_lose_no_rule(aws: AwsSandbox, roles: bool) -> None:
    def two(first: str, second: str) -> Document:
        found = aws.document(
            registry={"prefix": first, "roles": roles, "replication_regions": ["eu-west-1"]}, guards=FREE
        )
        found["registries"].append(aws.registry("tools", prefix=second, roles=roles, replication_regions=["us-west-2"]))
        return found

    aws.apply(two("team/", "x/"))
    aws.apply(two("x/", "team/"))
    assert sorted(map(str, rules(aws))) == sorted(map(str, [rule("x/", "eu-west-1"), rule("team/", "us-west-2")]))
    assert aws.plan(two("x/", "team/")).changes == ()


def test_a_rule_of_others_with_the_usual_prefix_counts_among_the_ten(aws: AwsSandbox) -> None:
    put(aws, rule("images-", "ap-south-1"), *(rule(f"f{number}", "ap-south-1") for number in range(9)))
    (problem,) = aws.plan(web(aws, prefix="team/", replication_regions=["eu-west-1"])).problems
    assert problem.message == "the account would have 11 replication rules; ECR allows at most 10"


def test_a_rule_that_was_there_before_it_was_adopted_goes_only_by_its_address(aws: AwsSandbox) -> None:
    put(aws, rule("images-", "ap-south-1"))
    aws.apply(web(aws, replication_regions=["eu-west-1"]), adopt=[RULE])
    aws.apply(web(aws, replication_regions=["us-west-2"]))
    (violation,) = aws.plan(web(aws)).violations
    assert (violation.guard, violation.addresses) == ("adopted", (RULE,))
    assert aws.plan(web(aws, replication_regions=["us-west-2"]), destroy=True).violations
    aws.apply(web(aws), allow_delete=[RULE])
    assert rules(aws) == []


def test_a_scanning_filter_of_others_stays_whichever_registry_is_the_last_to_have_had_it(aws: AwsSandbox) -> None:
    def two(*names: str) -> Document:
        found = aws.document(guards=FREE)
        scanning = {"scanning": {"type": "basic", "on_push": ["*"]}}
        found["registries"] = [aws.registry(name, **(scanning if name in names else {})) for name in ("a", "b")]
        found["repositories"] = []
        return found

    theirs = [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}]
    ecr = aws.client("ecr")
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=theirs)
    for names in (("a",), ("a", "b"), ("b",), ()):
        aws.apply(two(*names))
        assert ecr.get_registry_scanning_configuration()["scanningConfiguration"]["rules"] == theirs, names


@pytest.mark.parametrize("what", ["template", "cache"])
def test_what_others_made_where_a_run_was_cut_off_is_a_conflict(aws: AwsSandbox, what: str) -> None:
    template = {"prefix": "docker-hub", "for": ["pull_through_cache"]}
    wanted = web(aws, **({"creation_templates": [template]} if what == "template" else {"pull_through_cache": [HUB]}))
    made = "CreateRepositoryCreationTemplate" if what == "template" else "CreatePullThroughCacheRule"
    cut_off(aws, wanted, made)
    found: dict[str, Document] = {
        "template": {
            "prefix": "docker-hub",
            "description": "by a team",
            "appliedFor": ["REPLICATION"],
            "imageTagMutability": "MUTABLE",
            "encryptionConfiguration": {"encryptionType": "AES256"},
        },
        "cache": {
            "ecrRepositoryPrefix": "docker-hub",
            "upstreamRegistryUrl": "ghcr.io",
            "credentialArn": f"{SECRET}7",
            "upstreamRepositoryPrefix": "ROOT",
        },
    }
    theirs, of = found[what], aws.templates.templates if what == "template" else aws.caches.rules
    of.setdefault("us-east-1", {})["docker-hub"] = dict(theirs)
    (problem,) = aws.plan(wanted).problems
    assert problem.conflict
    assert "already exists and has no owner" in problem.message
    aws.apply(web(aws))
    assert of["us-east-1"]["docker-hub"] == theirs


@pytest.mark.parametrize("what", ["template", "cache"])
def test_what_was_cut_off_after_it_was_made_is_ours(aws: AwsSandbox, what: str) -> None:
    template = {"prefix": "docker-hub", "for": ["pull_through_cache"]}
    wanted = web(aws, **({"creation_templates": [template]} if what == "template" else {"pull_through_cache": [HUB]}))

    @dataclass
    class CutAfter(Quiet):
        made: bool = False

        def before(self, call: Call) -> Answer | None:
            if self.made:
                return Answer(400, {"message": "no"}, "AccessDeniedException")
            return None

        def after(self, call: Call) -> Answer | None:
            self.made = self.made or call.operation.startswith(("CreatePullThrough", "CreateRepositoryCreation"))
            return None

    cut = CutAfter()
    aws.proxy.behaviours.insert(0, cut)
    with suppress(ReconcilerError):
        aws.carry_out(aws.plan(wanted))
    aws.proxy.behaviours.remove(cut)
    aws.apply(wanted)
    assert aws.plan(wanted).changes == ()


def test_what_others_put_on_the_ledger_is_not_deleted_with_it(aws: AwsSandbox) -> None:
    aws.apply(web(aws, roles=False))
    ecr = aws.client("ecr")
    account = {"AWS": "arn:aws:iam::111122223333:root"}
    statement = {"Sid": "x", "Effect": "Allow", "Principal": account, "Action": ["ecr:BatchGetImage"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    ecr.set_repository_policy(repositoryName="reconciler/images", policyText=json.dumps(policy))
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/reconciler/images"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "cost", "Value": "42"}])
    assert aws.plan(web(aws, roles=False)).changes == ()
    for plan in (aws.plan(web(aws)), aws.plan(web(aws, roles=False), destroy=True)):
        (violation,) = [item for item in plan.violations if item.guard == "foreign"]
        assert (
            "(statement 'x'; the tag 'cost'), which reconciler never removes: remove it by hand first"
            in violation.message
        )
    ecr.delete_repository_policy(repositoryName="reconciler/images")
    ecr.untag_resource(resourceArn=arn, tagKeys=["cost"])
    aws.apply(web(aws))
    assert aws.plan(web(aws)).changes == ()


def test_a_registry_that_was_retired_in_two_runs_is_within_its_own_limit(aws: AwsSandbox) -> None:
    on = web(aws, replication_regions=["eu-west-1"], scanning={"type": "basic"}, pull_through_cache=[HUB])
    aws.apply(on)
    gone = web(
        aws, replication_regions=["eu-west-1"], scanning={"type": "basic"}, pull_through_cache=[HUB], retired=True
    )
    cut_off(aws, gone, "UntagRole")
    aws.apply(gone)
    assert aws.state()["roles"] == {}


def test_a_rule_for_all_is_no_loss_of_what_a_prefix_gave(aws: AwsSandbox) -> None:
    def copied(name: str) -> Document:
        return web(aws, replication={"accounts": ["987654321098"], "filter": name})

    aws.apply(copied("prefix"))
    plan = aws.plan(copied("all"))
    (change,) = [item for item in plan.changes if item.address == RULE]
    assert (len(change.gains), change.losses) == (1, ())
    aws.apply(copied("all"))
    (change,) = [item for item in aws.plan(copied("prefix")).changes if item.address == RULE]
    assert (change.gains, len(change.losses)) == ((), 1)


def _set(**settings: Any) -> Callable[[Document], None]:
    return lambda change: change["desired"]["settings"].update(settings)


EDITS: dict[str, tuple[str, Callable[[Document], None]]] = {
    "prefix of a rule of others": (RULE, _set(prefix="zzz")),
    "all repositories": (RULE, _set(prefix="*")),
    "another account": (RULE, _set(destinations=["eu-west-1", "eu-west-1/666666666666"])),
    "another type": ("images.scanning.rules", _set(type="ENHANCED")),
    "no star": ("images.scanning.rules", _set(on_push=["app"])),
    "secret of another account": (
        "images.pull_through_cache.docker-hub",
        _set(credentials=f"{SECRET.replace(ACCOUNT, '666666666666')}1"),
    ),
    "this registry itself": (
        "images.pull_through_cache.docker-hub",
        _set(upstream=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", credentials=""),
    ),
    "role of another account": (
        "images.creation_template.ROOT",
        _set(role_arn="arn:aws:iam::666666666666:role/evil"),
    ),
    "our own marks as labels": ("images.creation_template.ROOT", _set(labels=[["reconciler-owner", "x"]])),
    "aws: labels": ("images.creation_template.ROOT", _set(labels=[["aws:x", "x"]])),
    "80 labels": ("images.creation_template.ROOT", _set(labels=[[f"l{number}", "x"] for number in range(80)])),
    "used twice": ("images.creation_template.ROOT", _set(used_for=["pull_through_cache", "pull_through_cache"])),
    "key of another region": (
        "images.creation_template.ROOT",
        _set(encryption=f"arn:aws:kms:us-west-2:{ACCOUNT}:key/mrk-1"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_plan_says_nothing_that_its_registry_does_not_ask_for(aws: AwsSandbox, name: str) -> None:
    address, edit = EDITS[name]
    template = {**AS_ROLE, "prefix": "ROOT", "for": ["pull_through_cache"]}
    document = web(
        aws,
        replication_regions=["eu-west-1"],
        scanning={"type": "basic"},
        pull_through_cache=[HUB],
        creation_templates=[template],
    )
    saved = json.loads(dumps(aws.plan(document)))
    assert loads(json.dumps(saved), platforms=aws.platforms)
    (change,) = [item for item in saved["changes"] if item["address"] == address]
    edit(change)
    with pytest.raises(ReconcilerError, match=f"(?s){address}.*(asks for|would not be written as shown|be written)"):
        loads(json.dumps(saved), platforms=aws.platforms)
