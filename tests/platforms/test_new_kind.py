"""docs/architecture.md's worked example, done: a new kind is one file and one line, and the core needs no change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.write import Status
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.model.kind import Kind
from reconciler.model.resource import Desired
from reconciler.platforms.local.platform import LocalPlatform
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from tests.sandbox.local import LocalSandbox


@pytest.fixture
def notice() -> Iterator[ModuleType]:
    """The file of the kind as the documentation prints it."""
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    module = ModuleType("notice")
    sys.modules["notice"] = module
    exec(compile(text.partition("```python\n")[2].partition("```")[0], "docs/architecture.md", "exec"), vars(module))
    yield module
    del sys.modules["notice"]


class WithNotice(LocalPlatform):
    """The local platform with one kind more, and what its registries' specs want of it."""

    def __init__(self, notice: ModuleType) -> None:
        self.notice = notice
        kind: Kind = notice.NoticeKind()
        self.kinds = {**LocalPlatform.kinds, "notice": kind}
        self.wanted = ["be kind"]

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        yield from super().expand(spec, registry)
        for text in self.wanted:
            yield Desired(Address.of(registry.name, "notice", "login"), "notice", self.notice.NoticeSettings(text))


def test_a_new_kind_is_planned_applied_drifts_and_goes_without_a_change_in_the_core(
    local: LocalSandbox, notice: ModuleType
) -> None:
    platform = WithNotice(notice)
    local.platforms = {"local": platform}
    document = local.document("app-a", guards={"max_deletes": 5})
    plan = local.plan(document)
    assert '  +   notice login                            images.notice.login\n        text: "be kind"\n' in joined(
        plan_lines(report_of(plan))
    )
    assert dumps(loads(dumps(plan), platforms=local.platforms)) == dumps(plan)
    local.apply(document)
    assert local.plan(document).changes == ()
    path = local.root / "control/notices/login.json"
    path.write_text(path.read_text().replace("be kind", "be rude"))
    (change,) = local.plan(document).changes
    assert (change.action, change.cause) == (Action.UPDATE, Cause.DRIFT)
    local.apply(document)
    assert "be kind" in path.read_text()
    platform.wanted.clear()
    assert [(item.address, item.action) for item in local.plan(document).changes] == [
        ("images.notice.login", Action.DELETE)
    ]
    local.apply(document)
    assert not path.exists()


def test_the_new_kind_takes_over_nothing_that_somebody_else_makes_meanwhile(
    local: LocalSandbox, notice: ModuleType
) -> None:
    local.platforms = {"local": WithNotice(notice)}
    plan = local.plan(local.document("app-a"))
    path = local.root / "control/notices/login.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"text": "theirs"}')
    outcomes = {str(outcome.address): outcome.status for outcome in local.carry_out(plan)}
    assert outcomes == {"images.repository.app-a": Status.DONE, "images.notice.login": Status.STALE}
    assert path.read_text() == '{"text": "theirs"}'
