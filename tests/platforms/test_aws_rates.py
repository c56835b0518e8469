"""AWS that throttles: no call fails for it, and each operation has a rate of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import apply, session
from reconciler.engine.apply import succeeded
from reconciler.engine.expand import estate_of
from reconciler.engine.plan import make_plan
from reconciler.engine.sessions import sessions_of
from reconciler.engine.write import Outcome, Status
from reconciler.errors import Halted, PlatformError, TimeIsUp
from reconciler.model.platform import PARALLELISM
from reconciler.platforms.aws.session import AwsSession
from tests.command_line import in_this_process
from tests.emulators.aws import Quiet, TaggingIndex, Throttled, ThrottledUntil
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document


def estate(aws: AwsSandbox, number: int) -> Document:
    return aws.document(
        *({"name": f"app-{index:03}", "retention": {"keep_last": 3}} for index in range(number)),
        grants=({"name": "one", "to": aws.target("1")},),
    )


@pytest.fixture
def opened(aws: AwsSandbox) -> Iterator[AwsSession]:
    with session(aws.spec(estate(aws, 1))) as found:
        assert isinstance(found, AwsSession)
        yield found


@dataclass
class Refused(Quiet):
    """Throttles the calls of an operation that are numbered so (from 1; none: all of them)."""

    operation: str
    numbers: tuple[int, ...] = ()
    code: str = "ThrottlingException"
    status: int = 400
    seen: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        self.seen += 1
        wanted = not self.numbers or self.seen in self.numbers
        return Answer(self.status, {"message": "Rate exceeded"}, self.code) if wanted else None


def test_a_run_that_is_throttled_all_the_time_is_a_slow_one_and_never_a_failed_one(aws: AwsSandbox) -> None:
    document = estate(aws, 40)
    buckets = Throttled(rate=25, burst=5)
    aws.proxy.behaviours.insert(0, buckets)
    aws.apply(document)
    assert aws.plan(document).changes == ()
    for operation in ("CreateRepository", "PutLifecyclePolicy", "SetRepositoryPolicy", "GetLifecyclePolicy"):
        assert buckets.taken[operation] == 40
        # those that are under way when the bucket is empty, and one for every few after that
        assert buckets.refused[operation] <= PARALLELISM + 20, operation
    assert sum(buckets.refused.values()) > 0


#: in the order in which they are begun
READS = ("ListTagsForResource", "GetLifecyclePolicy", "GetRepositoryPolicy")


@pytest.mark.parametrize(("late", "other"), list(combinations(READS, 2)))
def test_what_waits_for_its_rate_keeps_no_other_kind_from_being_read(aws: AwsSandbox, late: str, other: str) -> None:
    document = estate(aws, 12)
    aws.apply(document)
    until = ThrottledUntil(late, other, times=12)
    aws.proxy.behaviours.append(until)
    assert aws.plan(document, parallelism=2, timeout=60).changes == ()
    assert until.refused >= 1


def test_what_waits_for_its_rate_keeps_no_other_kind_from_being_written(aws: AwsSandbox) -> None:
    plan = aws.plan(estate(aws, 12))
    until = ThrottledUntil("PutLifecyclePolicy", "SetRepositoryPolicy", times=12)
    aws.proxy.behaviours.append(until)
    outcomes = aws.carry_out(plan, parallelism=2, timeout=60)
    assert succeeded(outcomes), [outcome for outcome in outcomes if outcome.message]
    assert until.refused >= 1


def test_a_page_that_is_throttled_is_asked_for_again_and_not_the_last_one(aws: AwsSandbox, opened: AwsSession) -> None:
    aws.apply(estate(aws, 3))
    second = Refused("GetResources", (2,))
    aws.proxy.behaviours += [second, TaggingIndex(aws.moto)]
    found = opened.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=[], ResourcesPerPage=1
    )
    assert len({item["ResourceARN"] for item in found}) == 3
    assert second.seen == 4


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("Throttling", 400),
        ("TooManyRequestsException", 429),
        ("RequestLimitExceeded", 503),
        ("SlowDown", 503),
    ],
)
def test_each_way_of_throttling_is_one(aws: AwsSandbox, opened: AwsSession, code: str, status: int) -> None:
    twice = Refused("DescribeRegistry", (1, 2), code, status)
    aws.proxy.behaviours.insert(0, twice)
    assert "replicationConfiguration" in opened.call("ecr", "describe_registry")
    assert twice.seen == 3


def test_a_quota_is_not_waited_for(aws: AwsSandbox, opened: AwsSession) -> None:
    full = Refused("DescribeRegistry", code="LimitExceededException")
    aws.proxy.behaviours.insert(0, full)
    with pytest.raises(PlatformError, match="request an increase in Service Quotas"):
        opened.call("ecr", "describe_registry")
    assert full.seen == 1


def test_what_passes_without_throttling_is_botocores_to_try_again(aws: AwsSandbox, opened: AwsSession) -> None:
    once = Refused("DescribeRegistry", (1,), "ServiceUnavailable", 503)
    aws.proxy.behaviours.insert(0, once)
    opened.call("ecr", "describe_registry")
    assert once.seen == 2
    assert not opened.estate.rates.of("123456789012", "us-east-1", "ecr:DescribeRegistry").limit


def test_the_rate_is_one_for_an_account_a_region_and_an_operation(aws: AwsSandbox) -> None:
    document = {
        "version": 1,
        "name": "tests",
        "registries": [
            aws.registry("one"),
            aws.registry("two"),
            aws.registry("far", region="eu-west-1"),
        ],
        "repositories": [],
    }
    with sessions_of(estate_of(aws.spec(document)), platforms=aws.platforms) as sessions:
        one, two, far = (sessions[name] for name in ("one", "two", "far"))
        assert isinstance(one, AwsSession)
        aws.proxy.behaviours.insert(0, Refused("DescribeRegistry", (1,)))
        one.call("ecr", "describe_registry")
        key = ("123456789012", "us-east-1", "ecr:DescribeRegistry")
        assert two.estate.rates.of(*key).limit > 0
        assert not far.estate.rates.of("123456789012", "eu-west-1", "ecr:DescribeRegistry").limit
        assert not one.estate.rates.of("123456789012", "us-east-1", "ecr:DescribeRepositories").limit


def test_a_plan_that_is_throttled_until_its_time_is_over_names_the_operation(
    aws: AwsSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = estate(aws, 2)
    aws.apply(document)
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    aws.proxy.behaviours.append(Refused("GetLifecyclePolicy"))
    for command in (("plan",), ("drift",), ("apply", "--yes"), ("destroy", "--yes")):
        errors = in_this_process(*command, "--timeout", "0", code=1).stderr
        assert "ecr:GetLifecyclePolicy: AWS throttled it until the time limit of 0 seconds ran out" in errors
        assert "run again with a longer --timeout" in errors


def test_a_change_whose_time_is_over_fails_and_the_rest_is_skipped(aws: AwsSandbox) -> None:
    plan = aws.plan(estate(aws, 12))
    aws.proxy.behaviours.append(Refused("CreateRepository"))
    outcomes: dict[str, Outcome] = {item.address: item for item in aws.carry_out(plan, parallelism=2, timeout=0)}
    made = [outcome for address, outcome in outcomes.items() if ".repository." in address]
    failed = [outcome for outcome in made if outcome.status is Status.FAILED]
    skipped = [outcome for outcome in made if outcome.status is Status.SKIPPED]
    assert 1 <= len(failed) <= 2
    assert len(failed) + len(skipped) == 12
    assert all("ecr:CreateRepository: AWS throttled it until" in outcome.message for outcome in failed)
    assert {outcome.message for outcome in skipped} == {"the time limit ran out before it started"}


def test_the_time_limit_starts_anew_once_a_plan_was_thought_about(aws: AwsSandbox) -> None:
    spec = aws.spec(estate(aws, 1))
    with sessions_of(estate_of(spec, timeout=60), platforms=aws.platforms) as sessions:
        plan = make_plan(spec, platforms=aws.platforms, sessions=sessions)
        sessions["images"].until = 0.0  # somebody took his time
        aws.proxy.behaviours.append(Refused("CreateRepository", (1, 2)))
        assert succeeded(apply(plan, sessions=sessions))


def test_who_gives_up_reading_ends_the_wait(aws: AwsSandbox, opened: AwsSession) -> None:
    aws.proxy.behaviours.insert(0, Refused("DescribeRegistry"))
    found: list[Exception] = []

    def call() -> None:
        try:
            opened.call("ecr", "describe_registry")
        except Halted as error:
            found.append(error)

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    opened.halt.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 6
    assert "stopped waiting for ecr:DescribeRegistry" in str(found[0])


def test_a_role_to_assume_that_is_throttled_is_waited_for_too(aws: AwsSandbox) -> None:
    role: dict[str, Any] = {"role_arn": "arn:aws:iam::123456789012:role/deployer"}
    document = aws.document("app-a", registry={"assume_role": role})
    busy = Refused("AssumeRole", (1, 2), "Throttling")
    aws.proxy.behaviours.append(busy)
    aws.plan(document)
    assert busy.seen == 3


def test_time_that_is_up_is_an_error_of_its_own(aws: AwsSandbox, opened: AwsSession) -> None:
    aws.proxy.behaviours.insert(0, Refused("DescribeRegistry"))
    opened.until = 0.0
    with pytest.raises(TimeIsUp) as raised:
        opened.call("ecr", "describe_registry", address="images.replication.rule")
    assert str(raised.value).startswith("images.replication.rule: ecr:DescribeRegistry: AWS throttled it until")
