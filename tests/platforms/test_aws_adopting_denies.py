"""A repository whose policy denies something is adopted together with its first grants."""

from __future__ import annotations

import json

from reconciler.model.address import Address
from reconciler.model.change import Action
from tests.sandbox.aws import AwsSandbox


def test_a_repository_whose_policy_denies_something_is_adopted_with_a_grant_in_one_plan(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "adopt": True}, grants=({"name": "one", "to": aws.target("1")},))
    aws.make_foreign("app-a")
    theirs = {"Sid": "keep", "Effect": "Deny", "Principal": "*", "Action": "ecr:BatchDeleteImage"}
    ecr = aws.client("ecr")
    ecr.set_repository_policy(
        repositoryName="images-app-a", policyText=json.dumps({"Version": "2008-10-17", "Statement": [theirs]})
    )
    plan = aws.plan(document)
    actions = {change.address: change.action for change in plan.changes if change.address.name == "app-a"}
    assert actions[Address("images.repository.app-a")] is Action.ADOPT
    aws.apply(document)
    assert aws.plan(document).changes == ()
