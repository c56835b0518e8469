"""The report with plain values: every form shows the same facts, and counts agree with their nouns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.engine.basis import Basis
from reconciler.engine.guard import Verdict
from reconciler.engine.plan import Plan
from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change, FieldChange, PlanProblem
from reconciler.model.resource import NativeName
from reconciler.platforms.local.spec import LocalRegistry
from reconciler.render import counts
from reconciler.render.change_item import SIGNS, Meaning, change_item
from reconciler.render.markdown import drift_markdown, plan_markdown
from reconciler.render.report import CAUSE_HEADINGS, Report, report_of
from reconciler.render.sentences import gained, held, lost
from reconciler.render.text import drift_lines, joined, plan_lines
from reconciler.words import natural

ALICE = Access(Principal("user alice"), "pull", "box", "new")
BOB = Access(Principal("user bob"), "push", "box", "gone")
EVERYONE = Access(Principal("anyone", public=True), "pull", "box", "app")
STRANGER = ForeignAccess(Address("box.access.app"), "statement 'debug'", (EVERYONE,))
GOES_TOO = ForeignAccess(
    Address("box.access.gone"), "statement 'old'", (Access(Principal("user eve"), "pull", "box", "gone"),)
)


def address(kind: str, name: str) -> Address:
    return Address.of("box", kind, name)


def everything() -> Plan:
    """A plan with at least one of all that a plan can have."""
    scan = FieldChange("scan", True, False)
    return Plan(
        owner="tests",
        base="",
        spec_hash="",
        registries=(
            LocalRegistry(name="quiet", platform="local", path="q"),
            LocalRegistry(name="box", platform="local", path="b"),
        ),
        changes=(
            Change(Action.ADOPT, address("repository", "old"), "repository", Cause.PENDING),
            Change(Action.RELEASE, address("repository", "let-go"), "repository", Cause.PENDING),
            Change(
                Action.CREATE,
                address("access", "new"),
                "access",
                Cause.DRIFT,
                fields=(FieldChange("users", None, ["alice"], said=True),),
                gains=(ALICE,),
            ),
            Change(
                Action.CREATE,
                address("repository", "new"),
                "repository",
                Cause.CHANGED,
                fields=(FieldChange("labels.team", None, "shop"),),
                native_name=NativeName("new", "box.example.com/new", "unless moved"),
            ),
            Change(
                Action.UPDATE, address("repository", "app"), "repository", Cause.BOTH, fields=(scan,), notes=("a note",)
            ),
            Change(Action.UPDATE, address("repository", "worn"), "repository", Cause.OUTDATED, fields=(scan,)),
            Change(
                Action.REPLACE, address("repository", "moved"), "repository", Cause.PENDING, images=0, fields=(scan,)
            ),
            Change(
                Action.DELETE,
                address("repository", "gone"),
                "repository",
                Cause.PENDING,
                images=2,
                along=(address("access", "gone"),),
                losses=(BOB,),
                foreign=(GOES_TOO,),
            ),
        ),
        graph=((address("repository", "new"), address("access", "new")),),
        verdicts=(
            Verdict("images", False, "box.repository.gone holds 2 images", (address("repository", "gone"),)),
            Verdict("max_deletes", True, "2 to delete"),
        ),
        problems=(PlanProblem(address("repository", "taken"), "it has no owner"),),
        foreign=(STRANGER, GOES_TOO),
        unowned={"box": 2},
        runtime=(address("repository", "made"),),
        unchanged=1,
        left_out=1,
    )


def of_each_action(count: int) -> str:
    return counts.totals(Counter(dict.fromkeys(Action, count)))


@pytest.fixture
def report() -> Report:
    return report_of(everything())


def test_text_and_markdown_show_the_same_facts(report: Report) -> None:
    text, markdown = joined(plan_lines(report)), plan_markdown(report)
    for form in (text, markdown):
        assert report.headline in form
        for registry in report.registries:
            assert registry.title in form
            for change in registry.changes:
                assert re.search(rf"{re.escape(change.sign)} +{change.title} +{change.address}\b", form)
                for detail in change.details:
                    assert detail.text in form
        for section in (
            report.gains,
            report.losses,
            report.foreign,
            report.strangers,
            report.problems,
            report.violations,
        ):
            assert section.heading in form
            for statement in section.statements:
                assert re.search(rf"\W{re.escape(statement.subject)}\W+{re.escape(statement.text)}\n", form)
        assert "1 unchanged." in form
        assert report.left_out in form
        assert report.left_alone in form
    assert "registry quiet" not in text + markdown


def test_each_fact_of_a_plan_is_in_the_report(report: Report) -> None:
    (registry,) = report.registries
    assert (registry.name, registry.size) == ("box", "8 changes")
    found = {change.address: change for change in registry.changes}
    assert found.keys() == {change.address for change in everything().changes}
    assert {change.sign for change in found.values()} == set(SIGNS.values())
    said = {address: [detail.text for detail in change.details] for address, change in found.items()}
    assert said == {
        "box.repository.old": [],
        "box.repository.let-go": ["is kept, with its images and settings, and is no longer owned by this spec"],
        "box.access.new": [
            "user alice can now pull new",
            "changed since the last apply, by hand or by an interrupted apply",
        ],
        "box.repository.new": ["as new, pulled from box.example.com/new unless moved", 'labels.team: "shop"'],
        "box.repository.app": [
            "scan: true → false",
            "a note",
            "changed since the last apply, by hand or by an interrupted apply",
        ],
        "box.repository.worn": [
            "scan: true → false",
            "nobody has changed it since the last apply, but the login that it holds ends, or is to be another one by now; an apply"
            " renews it, and so does `reconciler refresh`",
        ],
        "box.repository.moved": [
            "scan: true → false",
            "is deleted and created again: nobody can pull from it in between, and it is empty afterwards",
            "holds no images",
        ],
        "box.repository.gone": [
            "user bob can no longer push gone",
            "holds 2 images, which can't be deleted without permission",
            "also deletes access.gone",
            "also removes what somebody else gave: user eve can pull gone (statement 'old')",
        ],
    }
    meanings = {detail.meaning for change in found.values() for detail in change.details}
    assert meanings == set(Meaning), "a form must know a style for each"
    assert [item.text for item in found[address("access", "new")].fields] == ['users: "alice"'], "for forms with room"
    assert [(item.subject, item.public) for item in report.foreign.statements] == [("box.access.app", True)]
    assert report.violations.statements[0].addresses == ("box.repository.gone",)
    assert report.graph == everything().graph


def test_drift_shows_every_change_by_cause(report: Report) -> None:
    assert [section.cause for section in report.by_cause] == list(CAUSE_HEADINGS)
    assert set(CAUSE_HEADINGS) == set(Cause)
    text = joined(drift_lines(report))
    for section in report.by_cause:
        assert section.heading in text
        for change in section.changes:
            assert f"  {change.address} {change.state}\n" in text
    assert "scan: true (live), false (spec)" in text
    for part in (report.left_alone, report.left_out, report.in_the_way.heading, report.violations.heading, "a note"):
        assert part in text


def test_a_plan_without_anything_is_one_line() -> None:
    report = report_of(Plan("tests", "", "", (), unchanged=2))
    assert report.quiet
    assert joined(plan_lines(report)) == "No changes. 2 resources match the spec.\n"
    assert joined(drift_lines(report)) == "No drift. 2 resources match the spec.\n"
    assert plan_markdown(report) == "### tests: No changes\n\n2 unchanged.\n"


def test_every_form_of_a_plan_says_so_where_nobody_gains_or_loses_access() -> None:
    plan = everything()
    quiet = replace(plan, changes=plan.changes[3:4])
    for shown, said in ((quiet, 1), (plan, 0), (replace(plan, changes=()), 0)):
        report = report_of(shown)
        for form in (joined(plan_lines(report)), plan_markdown(report)):
            assert form.count("\nNobody gains or loses access.\n") == said


@pytest.mark.parametrize("form", [plan_markdown, drift_markdown])
def test_details_are_indented_below_their_resource_in_markdown(form: Callable[[Report], str], report: Report) -> None:
    block = re.findall(r"```diff\n(.*?)```", form(report), re.DOTALL)
    titles = 0
    for line in "".join(block).splitlines():
        column = len(line) - len(line[1:].lstrip())
        is_title = re.match(r". (-/\+|[-+~!.]|box\.)", line) is not None
        titles += is_title
        assert column <= 2 if is_title else column > 5, line
    assert titles == len(everything().changes)


def test_a_plan_to_destroy_nothing_says_so() -> None:
    report = report_of(Plan("tests", "", "", (), basis=Basis(destroy=True)))
    assert joined(plan_lines(report)) == "Nothing to destroy.\n"


@pytest.mark.parametrize(
    ("sentence", "none", "one", "two"),
    [
        (
            counts.as_wanted,
            "0 resources match the spec.",
            "1 resource matches the spec.",
            "2 resources match the spec.",
        ),
        (counts.changes, "0 changes", "1 change", "2 changes"),
        (
            counts.left_out,
            "",
            "1 change is left out by --target.",
            "2 changes are left out by --target.",
        ),
        (
            lambda count: counts.left_alone({}, count),
            "",
            "Left alone: 1 resource created at run time.",
            "Left alone: 2 resources created at run time.",
        ),
        (
            lambda count: counts.left_alone({"box": count}, 0),
            "",
            "Left alone: 1 repository of registry box that nobody owns.",
            "Left alone: 2 repositories of registry box that nobody owns.",
        ),
        (
            lambda count: counts.images_going(count, True),
            "holds no images",
            "holds 1 image, which will be deleted",
            "holds 2 images, which will be deleted",
        ),
        (
            of_each_action,
            "nothing to do",
            "1 to create, 1 to update, 1 to replace, 1 to delete, 1 to adopt, 1 to release",
            "2 to create, 2 to update, 2 to replace, 2 to delete, 2 to adopt, 2 to release",
        ),
    ],
)
def test_counts_agree_with_their_nouns(sentence: Callable[[int], str], none: str, one: str, two: str) -> None:
    assert [sentence(count) for count in range(3)] == [none, one, two]


def test_access_that_ends_for_everyone_does_not_read_as_if_some_still_had_none() -> None:
    assert [sentence.text for sentence in lost([EVERYONE])] == ["not everyone can pull app any more"]
    assert [sentence.text for sentence in lost([ALICE])] == ["user alice can no longer pull new"]


def test_what_cannot_be_decided_and_what_a_reader_must_know_are_said() -> None:
    may = replace(ALICE, may=True)
    noted = replace(ALICE, note="unless statement 'x' denies it")
    assert [item.text for item in gained([may])] == ["user alice may now be able to pull new"]
    assert [item.text for item in lost([may])] == ["user alice may no longer be able to pull new"]
    assert [item.text for item in held([may])] == ["user alice may be able to pull new"]
    assert [item.text for item in lost([replace(EVERYONE, may=True)])] == ["perhaps not everyone can pull app any more"]
    other, sure = gained([noted, replace(ALICE, repository="other")])
    assert (sure.text, other.text) == (
        "user alice can now pull new, unless statement 'x' denies it",
        "user alice can now pull other",
    )


def test_names_stand_as_people_count() -> None:
    names = ["app-10", "app-9", "app", "9", "app-9a", "b2/c10", "b2/c9"]
    assert sorted(names, key=natural) == ["9", "app", "app-9", "app-9a", "app-10", "b2/c9", "b2/c10"]
    given = [Access(Principal("user alice"), "pull", "box", name) for name in names]
    (sentence,) = gained(given)
    assert sentence.text == "user alice can now pull 9, app, app-9, app-9a, app-10, b2/c9, b2/c10"


def alike(count: int) -> tuple[Change, ...]:
    return tuple(
        Change(
            Action.CREATE,
            Address.of("box", "repository", f"app-{number}"),
            "repository",
            Cause.CHANGED,
            fields=(FieldChange("description", None, f"all about app-{number}"),),
        )
        for number in range(1, count + 1)
    )


def shown(changes: tuple[Change, ...], *, full: bool) -> list[str]:
    plan = Plan("tests", "", "", (LocalRegistry(name="box", platform="local", path="box"),), changes)
    return joined(plan_lines(report_of(plan, full=full), full=full)).splitlines()


def test_many_changes_that_are_alike_are_folded_and_named() -> None:
    lines = shown(alike(30), full=False)
    assert [line.split()[-1] for line in lines if line.startswith("  +   repository")] == [
        "box.repository.app-1",
        "box.repository.app-2",
        "box.repository.app-3",
    ]
    (others,) = (line for line in lines if "like this" in line)
    assert others == (
        "  +   and 27 changes like this: "
        + ", ".join(f"repository.app-{number}" for number in range(4, 16))
        + " and 15 more (--full shows each)"
    )
    assert "Plan: 30 to create, 0 unchanged." in lines
    assert len([line for line in shown(alike(30), full=True) if line.startswith("  +   repository")]) == 30
    assert shown(alike(12), full=False) == shown(alike(12), full=True)


def test_names_of_the_platform_s_own_keep_no_changes_from_being_folded() -> None:
    """What stands before and after a name in the platform's own is for the platform to know: `box-app-1`, `HOST/box-app-1`."""
    changes = tuple(
        replace(
            change, native_name=NativeName(f"box-{change.address.name}", f"x.example.com/box-{change.address.name}")
        )
        for change in alike(30)
    )
    lines = shown(changes, full=False)
    assert "  +   and 27 changes like this: " in "\n".join(lines)
    assert "        as box-app-3, pulled from x.example.com/box-app-3" in lines
    assert not any("box-app-4" in line for line in lines)


def test_what_takes_something_away_is_never_folded() -> None:
    gone = tuple(replace(change, action=Action.DELETE, images=3) for change in alike(30))
    assert shown(gone, full=False) == shown(gone, full=True)
    access = Access(Principal("user eve"), "pull", "box", "x")
    losing = tuple(replace(change, action=Action.UPDATE, losses=(access,)) for change in alike(30))
    assert shown(losing, full=False) == shown(losing, full=True)


def test_many_principals_that_gain_the_same_are_one_line_with_a_count() -> None:
    roles = tuple(Access(Principal(f"role r{number:02}"), "pull", "box", "app") for number in range(80))
    everyone = Access(Principal("anyone", public=True), "pull", "box", "app")
    change = replace(alike(1)[0], gains=(*roles, everyone))
    lines = shown((change,), full=False)
    folded = "80 principals can now pull app: role r00, role r01, role r02 and 77 more (--full names them)"
    assert f"        {folded}" in lines
    assert f"  + box: {folded}" in lines
    assert "  + box: anyone can now pull app" in lines
    assert len(shown((change,), full=True)) > 160


def numbered(count: int, field: Callable[[str], FieldChange]) -> tuple[Change, ...]:
    names = [str(number) for number in range(1, count + 1)]
    return tuple(
        Change(Action.CREATE, Address.of("box", "repository", name), "repository", Cause.CHANGED, fields=(field(name),))
        for name in names
    )


def test_changes_whose_values_differ_are_not_folded_though_each_value_is_its_name() -> None:
    """A name is left out of the comparison where it is a word of a text; a number is a value."""
    kept = numbered(20, lambda name: FieldChange("retention.keep_last", None, int(name)))
    assert shown(kept, full=False) == shown(kept, full=True)
    text = numbered(20, lambda name: FieldChange("rule 1", None, f"remove images that are not among the newest {name}"))
    assert shown(text, full=False) == shown(text, full=True)


@pytest.mark.parametrize(
    ("text", "folds"),
    [
        ("all about {}", True),
        ("{}: owned by team {}", True),
        ("the same for all", True),
        ("v{}", False),
        ("{}x", False),
        ("{}-data", False),
        ("data/{}", False),
        ("{}.old", False),
    ],
)
def test_only_the_whole_name_as_a_word_is_left_out_of_the_comparison(text: str, folds: bool) -> None:
    names = [f"app{number}" for number in range(1, 21)]
    changes = tuple(
        Change(
            Action.CREATE,
            Address.of("box", "repository", name),
            "repository",
            Cause.CHANGED,
            fields=(FieldChange("description", None, text.replace("{}", name)),),
        )
        for name in names
    )
    assert any("like this" in line for line in shown(changes, full=False)) == folds


MANY = [f"s{number:02}" for number in range(20)]


def test_what_is_lost_names_every_repository_and_what_is_gained_does_with_full() -> None:
    access = [Access(Principal("account 1"), "pull", "box", name) for name in MANY]
    (loss,) = lost(access)
    assert loss.text == f"account 1 can no longer pull {', '.join(MANY)}"
    (gain,) = gained(access)
    assert gain.text == f"account 1 can now pull {', '.join(MANY)}"
    (gain,) = gained(access, gathered=True)
    assert gain.text == f"account 1 can now pull {', '.join(MANY[:12])} and 8 more (--full names them)"
    assert gained(access[:12], gathered=True) == gained(access[:12])
    change = replace(alike(1)[0], gains=tuple(access), losses=tuple(replace(item, verb="push") for item in access))
    plan = Plan("tests", "", "", (LocalRegistry(name="box", platform="local", path="box"),), (change,))
    short = joined(plan_lines(report_of(plan, gathered=True)))
    assert short.count("and 8 more (--full names them)") == 2, "of the change, and of the plan"
    assert short.count(f"can no longer push {', '.join(MANY)}") == 2


def test_copies_agree_with_their_number() -> None:
    def text(repositories: str, places: str) -> str:
        access = [
            Access(Principal("user a"), "pull", "box", name, place)
            for name in repositories
            for place in places.split(",")
        ]
        (sentence,) = gained(access)
        return sentence.text

    assert text("a", ",eu") == "user a can now pull a (and the copy in eu)"
    assert text("ab", ",eu") == "user a can now pull a, b (and the copies in eu)"
    assert text("a", ",eu,us") == "user a can now pull a (and the copies in eu, us)"
    assert text("ab", "eu") == "user a can now pull a, b in eu"


def test_several_verbs_are_one_list() -> None:
    access = [Access(Principal("user a"), verb, "box", "x") for verb in ("change or delete", "push", "pull")]
    assert [sentence.text for sentence in lost(access)] == ["user a can no longer pull, push, or change or delete x"]
    assert [sentence.text for sentence in lost(access[1:])] == ["user a can no longer pull or push x"]


def test_no_dot_follows_a_parenthesis() -> None:
    change = replace(alike(1)[0], action=Action.UPDATE, fields=(FieldChange("fn (worker).conditions", "a", "b"),))
    assert next(detail.text for detail in change_item(change).details) == 'fn (worker) conditions: "a" → "b"'


def test_drift_says_who_gained_and_who_lost_by_hand() -> None:
    eve, alice = Principal("anyone", public=True), Principal("user alice")
    change = replace(
        alike(1)[0],
        action=Action.UPDATE,
        cause=Cause.DRIFT,
        losses=(Access(eve, "push", "box", "app", note="but user bob still can"),),
        gains=(
            Access(alice, "pull", "box", "app", note="unless it is denied"),
            Access(
                alice,
                "push",
                "box",
                "app",
                note="through a role, as user bob, group b could already, unless it is denied",
            ),
        ),
    )

    def told(cause: Cause) -> list[str]:
        found = Plan(
            "tests",
            "",
            "",
            (LocalRegistry(name="box", platform="local", path="box"),),
            (replace(change, cause=cause),),
        )
        lines = joined(drift_lines(report_of(found))).splitlines()
        marked = [line.removeprefix("!") for line in drift_markdown(report_of(found)).splitlines()]
        said = [line.strip() for line in lines if "by hand" in line and "can" in line]
        assert said == [line.strip() for line in marked if "by hand" in line and "can" in line]
        return said

    assert told(Cause.DRIFT) == [
        "by hand: anyone can push app",
        "by hand: user alice can no longer pull app",
        "by hand: user alice can no longer push app, but user bob, group b still can",
    ]
    # what the spec does and what a hand did can't be told apart
    assert told(Cause.BOTH) == ["by hand, or by what was applied last: anyone can push app"]
    for cause in (Cause.PENDING, Cause.CHANGED):
        assert told(cause) == []
