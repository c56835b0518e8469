"""Two servers on one folder, and whatever may happen there: after every step, each tagged image pulls whole from both.

MACHINE_EXAMPLES=2000 plays longer; with --hypothesis-profile=explore, other plays each time. A failure is made small, which takes
minutes; not with MACHINE_QUICKLY=1.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reconciler import session
from reconciler.model.service import ServerOptions, serving
from reconciler.platforms.local.collect import collect
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.server import running
from reconciler.platforms.local.store import Store
from tests.images import digest
from tests.pushes import WAYS, Answer, Client, Play, Push
from tests.registries import EVERYONE, make_older
from tests.registry_model import BODIES, BY_DIGEST, BY_NAME, DAY, Rules
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each play has two servers

NAMES = ("app", "team/web")
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "35"))
#: far from every age, so that it does not matter how long a play takes
GRACES = (3600.0, 3600.0, 0.0)
AGES = (0.0, 5000.0, 8.0 * DAY)

#: as many steps as no push has
ALL = 1000

names = st.sampled_from(NAMES)
items = st.sampled_from(sorted(BY_NAME))
tags = st.sampled_from(["v1", "v2", "release-1", ""])
ways = st.lists(st.sampled_from(WAYS), min_size=1, max_size=3)
numbers = st.integers(0, 30)
servers = st.lists(st.integers(0, 1), min_size=1, max_size=3)
rules = st.sampled_from(
    [
        Rules(),
        Rules(keep_last=1),
        Rules(keep_last=2, untagged_days=7),
        Rules(keep_last=1, keep_tags=("release-*",)),
        Rules(untagged_days=7),
        Rules(keep_last=2, immutable=True),
    ]
)


class Machine(RuleBasedStateMachine):
    """The play."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(*NAMES)
        self.pushes: list[Push] = []
        self.folder = Path(tempfile.mkdtemp())
        self.sandbox = LocalSandbox(self.folder)
        self.token = ""
        self.servers: list[ExitStack] = []
        self.clients: list[Client] = []

    @initialize(found=st.tuples(rules, rules), pushed=st.lists(st.tuples(names, items, tags, ways), max_size=5))
    def begin(self, found: tuple[Rules, Rules], pushed: list[tuple[str, str, str, list[str]]]) -> None:
        for name, one in zip(NAMES, found, strict=True):
            self.play.repositories[name].rules = one
        self._apply()
        for _ in range(2):
            server, client = self._start()
            self.servers.append(server)
            self.clients.append(client)
        # of one of them, and good at both, also after they have started anew
        scopes = "&".join(f"scope=repository:{name}:pull,push,delete" for name in NAMES)
        self.token = self.clients[0].request("GET", f"/token?{scopes}").json["token"]
        for client in self.clients:
            client.token = self.token
        for name, item, tag, ways in pushed:
            self.push(name, item, tag, ways, elsewhere=True, asks=False, at=[0, 1])

    # -- what happens

    @rule(name=names, item=items, tag=tags, ways=ways, elsewhere=st.booleans(), asks=st.booleans(), at=servers)
    def push(self, name: str, item: str, tag: str, ways: Any, elsewhere: bool, asks: bool, at: list[int]) -> None:
        self.begin_push(name, item, tag, ways, elsewhere, asks, ALL, at)

    @rule(
        name=names,
        item=items,
        tag=tags,
        ways=ways,
        elsewhere=st.booleans(),
        asks=st.booleans(),
        steps=st.integers(1, 9),
        at=servers,
    )
    def begin_push(
        self, name: str, item: str, tag: str, ways: Any, elsewhere: bool, asks: bool, steps: int, at: list[int]
    ) -> None:
        push = Push(self.play, name, BY_NAME[item], tag, ways, elsewhere=elsewhere, asks=asks)
        self.pushes.append(push)
        self._go_on(push, steps, at)

    @precondition(lambda self: any(found.held for found in self.play.repositories.values()))
    @rule(number=numbers, which=numbers, tag=tags, ways=ways, steps=st.sampled_from([1, 2, ALL]), at=servers)
    def push_again(self, number: int, which: int, tag: str, ways: list[str], steps: int, at: list[int]) -> None:
        """Pushes what is there, or an index of it, as a client does that asks for what it needs not push."""
        held = [(name, item) for name in NAMES for item in sorted(self.play.repositories[name].held)]
        name, wanted = held[number % len(held)]
        found = [item.name for item in BY_NAME.values() if wanted in {part.digest for part in item.all()}]
        self.begin_push(name, found[which % len(found)], tag, ways, elsewhere=False, asks=True, steps=steps, at=at)

    @precondition(lambda self: self.pushes)
    @rule(number=numbers, steps=st.sampled_from([1, 3, ALL]), at=servers)
    def go_on(self, number: int, steps: int, at: list[int]) -> None:
        self._go_on(self.pushes[number % len(self.pushes)], steps, at)

    def _go_on(self, push: Push, steps: int, at: list[int]) -> None:
        for number in range(steps):
            if not push.step(self.clients[at[number % len(at)]]):
                self.pushes.remove(push)
                return

    @rule(age=st.sampled_from(AGES), grace=st.sampled_from(GRACES))
    def collect(self, age: float, grace: float) -> None:
        self.pass_time(age)
        play = self.play
        may_go = {name: found.may_go(play.now, grace) for name, found in play.repositories.items()}
        for push in self.pushes:
            push.doomed |= any(play.now - at >= grace for at in push.parts.values())
        troubles = [item.trouble for item in collect(Content(Store(self.sandbox.root)), grace=grace) if item.trouble]
        assert troubles == []
        for name, repository in play.repositories.items():
            found = {item: self._get(0, name, f"manifests/{item}").status for item in repository.held}
            left = {item for item, status in found.items() if status != 404}
            assert repository.held.keys() - left <= may_go[name]
            repository.collected(left, play.now, grace)

    @rule(age=st.sampled_from(AGES[1:]))
    def pass_time(self, age: float) -> None:
        self.play.now += age
        make_older(self.sandbox.root, age)

    @precondition(lambda self: any(found.blobs for found in self.play.repositories.values()))
    @rule(part=st.sampled_from(["tags", "held", "blobs"]), number=numbers, at=st.integers(0, 1))
    def delete(self, part: str, number: int, at: int) -> None:
        """Deletes a tag, a manifest or a blob that is there."""
        found = [(name, key) for name in NAMES for key in sorted(getattr(self.play.repositories[name], part))]
        if not found:
            return
        name, wanted = found[number % len(found)]
        repository = self.play.repositories[name]
        place = "blobs" if part == "blobs" else "manifests"
        answer = self.clients[at].request("DELETE", f"/v2/{name}/{place}/{wanted}")
        assert answer.status == (405 if repository.users(wanted) else 202), answer
        if answer.status == 202:
            repository.deleted(part, wanted)
            self._doom(name, wanted)

    def _doom(self, name: str, wanted: str) -> None:
        for push in self.pushes:
            push.doomed |= push.name == name and wanted in push.parts

    @rule(name=names, wanted=st.sampled_from(sorted(BODIES)), at=st.permutations([0, 1, 0]))
    def lie(self, name: str, wanted: str, at: list[int]) -> None:
        """An upload that begins as the content that it says it is, and goes on: at another server, it may be."""
        place, body = f"/v2/{name}/blobs/uploads/", BODIES[wanted]
        first, second, last = (self.clients[number] for number in at)
        location = first.request("POST", place).headers["location"]
        assert first.request("PATCH", location, body).status == 202
        assert second.request("PATCH", location, b"and more").status == 202
        assert last.request("PUT", f"{location}?digest={wanted}").status == 400

    @rule(name=names, found=rules)
    def change_rules(self, name: str, found: Rules) -> None:
        self.play.repositories[name].rules = found
        self._apply()

    @rule(at=st.integers(0, 1))
    def restart(self, at: int) -> None:
        self.servers[at].close()
        self.servers[at], self.clients[at] = self._start()

    # -- what must be

    @invariant()
    def content_is_what_its_name_says(self) -> None:
        for wanted, path in Content(Store(self.sandbox.root)).blobs():
            assert digest(path.read_bytes()) == wanted

    @invariant()
    def tagged_images_pull_whole(self) -> None:
        for at in range(len(self.clients)):
            for name in NAMES:
                self._pull(at, name)

    def _pull(self, at: int, name: str) -> None:
        repository = self.play.repositories[name]
        assert self._get(at, name, "tags/list").json["tags"] == sorted(repository.tags)
        for tag, found in repository.tags.items():
            assert self._get(at, name, f"manifests/{tag}").body == BY_DIGEST[found].body
        items = {item for found in set(repository.tags.values()) for item in BY_DIGEST[found].all()}
        blobs = {body for item in items for body in item.blobs}
        blobs |= {body for item in items for body in item.elsewhere if digest(body) in repository.blobs}
        for item in items:
            assert self._get(at, name, f"manifests/{item.digest}").body == item.body
            if wanted := repository.referrers(item.digest):
                listed = self._get(at, name, f"referrers/{item.digest}").json["manifests"]
                assert {row["digest"] for row in listed} == wanted
        for body in blobs:
            assert self._get(at, name, f"blobs/{digest(body)}").body == body
            repository.blobs.setdefault(digest(body), -math.inf)  # it is there; a pull gives it no grace

    # -- the stage

    def _get(self, at: int, name: str, path: str) -> Answer:
        return self.clients[at].request("GET", f"/v2/{name}/{path}")

    def _apply(self) -> None:
        self.sandbox.apply(self._document())

    def _document(self) -> dict[str, Any]:
        rows = []
        for name in NAMES:
            found = self.play.repositories[name].rules
            retention = {
                "keep_last": found.keep_last,
                "untagged_days": found.untagged_days,
                "keep_tags": list(found.keep_tags),
            }
            said = {key: value for key, value in retention.items() if value}
            rows.append({"name": name, "immutable_tags": found.immutable, **({"retention": said} if said else {})})
        return self.sandbox.document(*rows, grants=(EVERYONE,), guards={"allow_public": True})

    def _start(self) -> tuple[ExitStack, Client]:
        with ExitStack() as stack:
            opened = stack.enter_context(session(self.sandbox.spec(self._document()), "images"))
            server = stack.enter_context(serving(opened).server(ServerOptions()))
            client = Client(server.url, self.token)
            stack.callback(client.close)
            return stack.pop_all(), client
        raise AssertionError("a stack of contexts passes on what they raise")

    def teardown(self) -> None:
        for server in self.servers:
            server.close()
        shutil.rmtree(self.folder)


def _place(play: Machine, item: str) -> int:
    return sorted(play.play.repositories["app"].held).index(BY_NAME[item].digest)


@pytest.mark.parametrize(
    ("first", "asks", "steps"),
    [
        pytest.param(("app", "d", "v1"), False, 7, id="children that were pushed"),
        pytest.param(("app", "a and b", ""), True, 2, id="children that were asked for"),
    ],
)
@pytest.mark.parametrize("found", [Rules(keep_last=1), Rules(keep_last=1, untagged_days=7)], ids=["last", "untagged"])
def test_a_collection_in_the_midst_of_a_push(
    found: Rules, first: tuple[str, str, str], asks: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plays that the drawn ones may miss: the image before stays, and the push goes on, whose parts are not counted."""
    monkeypatch.setattr(running, "TURNS", 0)
    play = Machine()
    try:
        play.begin(found=(found, Rules()), pushed=[(*first, ["at once"])])
        if asks:  # the index goes, and its images are left alone
            play.delete("held", number=_place(play, first[1]), at=0)
        play.pass_time(age=8.0 * DAY)
        play.begin_push("app", "a and b", "v2", ["at once"], elsewhere=False, asks=asks, steps=steps, at=[0, 1])
        play.collect(age=0.0, grace=3600.0)
        play.tagged_images_pull_whole()
        play.go_on(number=0, steps=ALL, at=[1, 0])
        assert not play.pushes
        assert "v2" in play.play.repositories["app"].tags
        play.tagged_images_pull_whole()
    finally:
        play.teardown()


@pytest.mark.parametrize("examples", [2, EXAMPLES], ids=["some", "many"])
def test_every_tagged_image_pulls_whole_whatever_happens(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # no request is on its way when a server is told to stop here
    monkeypatch.setattr(running, "TURNS", 0)
    phases = [phase for phase in Phase if phase != Phase.shrink or not os.environ.get("MACHINE_QUICKLY")]
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=40, phases=phases))
