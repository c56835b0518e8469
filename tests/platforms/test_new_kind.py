"""docs/architecture.md's worked example, done: a new kind is one file and one line, and the core needs no change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.engine.plan_file import dumps, loads
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.model.kind import Found, Kind, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.local.platform import LocalPlatform
from reconciler.platforms.local.session import LocalSession
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from tests.sandbox.local import LocalSandbox


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """The text."""

    text: str


class NoticeKind(Kind):
    """The registry's notice, in one file."""

    name = "notice"
    settings = NoticeSettings

    def list(self, session: LocalSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        yield from self.read(session, [Address.of(session.name, self.name, "login")])

    def read(self, session: LocalSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            document = session.store.read("notices", at.name)
            if document is not None:
                yield Live(at, self.name, NoticeSettings(document["text"]), Marks.of(document["marks"]))

    def create(self, session: LocalSession, write: Write) -> Live:
        with session.store.writing():
            document = {"text": write.desired.settings.text, "marks": write.marks.texts()}
            session.store.write("notices", "login", document)
        live = self.read_one(session, write.desired.address)
        assert live is not None
        return live

    def update(self, session: LocalSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: LocalSession, live: Live, *, force: bool) -> None:
        with session.store.writing():
            session.store.remove("notices", "login")


class WithNotice(LocalPlatform):
    """The local platform with one kind more, and what its registries' specs want of it."""

    kinds = {**LocalPlatform.kinds, "notice": NoticeKind()}

    def __init__(self) -> None:
        self.wanted = ["be kind"]

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        yield from super().expand(spec, registry)
        for text in self.wanted:
            yield Desired(Address.of(registry.name, "notice", "login"), "notice", NoticeSettings(text))


def test_a_new_kind_is_planned_applied_drifts_and_goes_without_a_change_in_the_core(local: LocalSandbox) -> None:
    platform = WithNotice()
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
