"""What people write into the description of a service account of ours, in which our marks stand too."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import PlanRefused, ReadFailed
from reconciler.model.canonical import applied_hash
from reconciler.platforms import described
from reconciler.platforms.gcp import description, record
from reconciler.platforms.gcp.location import LocationSettings
from tests.emulators.gcp import Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, PROJECT, GcpSandbox

EMAIL = f"images-pull@{PROJECT}.iam.gserviceaccount.com"
PULL = f"projects/{PROJECT}/serviceAccounts/{EMAIL}"
TEXTS = {
    "reconciler-owner": "shop",
    "reconciler-origin": "spec",
    "reconciler-applied": "v1-0123456789abcdef",
    "reconciler-registry": "images",
    "reconciler-members": record.sealed(["abcdefg", "hijklmn"]),
    "reconciler-at-europe-west1": "v1-0123456789abcdef",
}
SUMMED = record.sealed(["support"])
#: words of people that have the keys of ours, and values that we never write
LOOK_ALIKE = (
    *("members=alice,bob", "members=support", "members=billingfinance", "members=SUPPORT", "members=a"),
    *(f"members={SUMMED[:-1]}", f"members={SUMMED[:-2]}77", f"members=x{SUMMED}"),
    *("at-least=3", "at-work=9to5", "at-night=oncall", "at-once=1", "at-europe-west1=yes", "at-us-central1=v1"),
    *("at-least=v1-0123456789ABCDEF", "at-least=v1-0123456789abcde"),
    *("at-least=x1-0123456789abcdef", "at-least=0123456789abcdef", "applied=yesterday", "applied=v1-", "adopted=2024"),
)
#: words of people: some look like ours
WORDS = st.sampled_from(
    (
        *(
            "used",
            "by",
            "|",
            "ticket=77",
            "owner=me",
            "reconciler:",
            "at-../../other=x",
            "at-EU=1",
            "at-a.b.c=1",
            "at-=x",
        ),
        *(
            "at-us-central1=",
            "at-us-central1",
            "at-*=1",
            "at-ü=1",
            "at--=1",
            "=",
            "members=",
            "applied",
            "reconciler-owner=x",
        ),
        *LOOK_ALIKE,
    )
)


@given(
    st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6), st.integers(0, len(TEXTS))
)
def test_each_word_of_others_outlives_any_write_of_ours(
    before: list[str], between: list[str], behind: list[str], at: int
) -> None:
    ours = [f"{key.removeprefix('reconciler-')}={value}" for key, value in TEXTS.items()]
    # another owner before ours could not be told from ours
    before = [word for word in before if word != "owner=me"]
    between = between if at else [word for word in between if word != "owner=me"]
    words = ["reconciler:", *ours[:at], *between, *ours[at:], *behind]
    text = " | ".join(filter(None, [" ".join(before), " ".join(words)]))
    said = description.parsed(text)
    for texts in (TEXTS, {**TEXTS, "reconciler-at-europe-west1": "v2-fedcba9876543210"}):
        after = description.written({**said.texts, **texts}, said.before, said.behind)
        again = description.parsed(after)
        assert sorted(after.split()) == sorted(
            text.replace("west1=v1-0123456789abcdef", f"west1={texts['reconciler-at-europe-west1']}").split()
        )
        assert (again.before, again.behind) == (said.before, said.behind)
        assert again.texts == {**said.texts, **texts}
    assert said.texts["reconciler-owner"] == "shop"


def _is_mark(key: str, value: str) -> bool:
    return described.is_mark(key)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_description_is_read_as_it_is_written_whatever_it_holds(before: str, behind: str) -> None:
    said = described.parsed(f"{before} | reconciler: owner=shop {behind}", _is_mark)
    assert described.parsed(described.written(said.texts, said.before, said.behind), _is_mark) == said


def trusting(gcp: GcpSandbox, *groups: str) -> Document:
    return gcp.document("app-a", registry={"trusted_principals": [f"group:{name}@example.com" for name in groups]})


@pytest.mark.parametrize(
    "text", [" | used by the billing job, ask ops ticket=77", " at-../../other=x", " at-=x", " at-a.b.c=1", " owner=me"]
)
def test_what_is_appended_to_a_description_is_kept_by_each_write(gcp: GcpSandbox, text: str) -> None:
    gcp.apply(trusting(gcp, "one"))
    gcp.estate.change(PULL, "description", lambda found: f"billing | {found}{text}")
    plan = gcp.plan(trusting(gcp, "one"))
    assert (plan.changes, plan.foreign) == ((), ())
    for document in (trusting(gcp, "two"), trusting(gcp)):
        gcp.apply(document)
        found = gcp.estate.account(PULL)["description"]
        assert found.startswith("billing | reconciler: owner=tests ")
        assert found.endswith(text)
        assert gcp.plan(document).changes == ()


def test_what_is_appended_outlives_the_notes_of_locations(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(PULL, "description", lambda found: f"{found} | billing")
    moved = gcp.document(
        {"name": "app-a", "delete_images": True}, registry={"location": ELSEWHERE}, guards={"max_deletes": "100%"}
    )
    gcp.apply(moved)
    found = gcp.estate.account(PULL)["description"]
    assert found.endswith(" | billing")
    assert f"at-{ELSEWHERE}=" in found
    assert "at-europe-west1=" not in found


def test_a_text_of_others_for_which_a_description_has_no_room_is_said_before_anything_is_written(
    gcp: GcpSandbox,
) -> None:
    gcp.apply(gcp.document("app-a"))
    free = description.MAX_DESCRIPTION - len(gcp.estate.account(PULL)["description"])
    gcp.estate.change(PULL, "description", lambda found: f"{found} {'x' * (free - 1)}")
    assert gcp.plan(gcp.document("app-a")).changes == ()
    (problem,) = (item for item in gcp.plan(trusting(gcp, "one", "two")).problems if "pull" in str(item))
    assert "trust a group instead of single principals, or shorten what somebody else wrote there" in str(problem)


@pytest.mark.parametrize("layout", ["repository", "shared"])
@pytest.mark.parametrize("trusted", [(), ("one",)])
def test_a_move_for_whose_note_a_description_has_no_room_is_a_problem_of_the_plan(
    gcp: GcpSandbox, layout: str, trusted: tuple[str, ...]
) -> None:
    """The account itself does not change."""
    gcp.apply(trusting(gcp, *trusted))
    free = description.MAX_DESCRIPTION - len(gcp.estate.account(PULL)["description"])
    text = f" {'x' * (free - 1)}"
    gcp.estate.change(PULL, "description", lambda found: found + text)
    moved = trusting(gcp, *trusted)
    moved["registries"][0] |= {"location": ELSEWHERE, "layout": layout}
    plan = gcp.plan(moved)
    (problem,) = plan.problems
    size = description.MAX_DESCRIPTION + len(f" at-{ELSEWHERE}={NOTE}")
    assert (problem.address, problem.message) == (
        f"images.location.{ELSEWHERE}",
        f"it is noted on images.account.pull, whose description, in which its marks stand, would have {size} bytes; Google allows at"
        f" most {description.MAX_DESCRIPTION}; shorten what somebody else wrote there",
    )
    with pytest.raises(PlanRefused, match=f"would have {size} bytes"):
        gcp.carry_out(plan)
    gcp.estate.change(PULL, "description", lambda found: found.removesuffix(text))
    assert gcp.plan(moved).problems == ()


NOTE = applied_hash(LocationSettings("nowhere"))


class NoPlace:
    """Google has no such location, and says so with one of its statuses."""

    def __init__(self, place: str, status: str) -> None:
        self.place, self.status = place, status

    def before(self, call: Call) -> Answer | None:
        if call.operation != "ListRepositories" or f"/locations/{self.place}/" not in call.body["path"]:
            return None
        http = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "PERMISSION_DENIED": 403}[self.status]
        return Answer(status=http, body={"error": {"code": http, "status": self.status, "message": "no place"}})

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"])
@pytest.mark.parametrize("place", ["nowhere", "mars-north1"])
def test_a_noted_location_that_google_does_not_have_is_said_with_the_account_and_the_command_that_mends_it(
    gcp: GcpSandbox, stand_in: Server, place: str, status: str
) -> None:
    document = gcp.document("app-a")
    gcp.apply(document)
    gcp.estate.change(PULL, "description", lambda found: f"it's billing's | {found} at-{place}={NOTE} | ask ops")
    kept = gcp.estate.account(PULL)["description"].replace(f" at-{place}={NOTE}", "")
    stand_in.behaviours.append(NoPlace(place, status))
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(document)
    said = str(failed.value)
    assert f"images.location.{place}: artifactregistry:ListRepositories: {status}: " in said
    assert (
        f"; the description of the service account {EMAIL} notes that registry images has repositories in {place}"
        f" (its word at-{place}=...)" in said
    )
    assert f"if Artifact Registry has no location {place} (`gcloud artifacts locations list` names those" in said
    assert "europe-west1, give another" not in said
    allow = f"allow artifactregistry.repositories.list to these credentials in project {PROJECT}; or, if Artifact"
    assert (allow in said) == (status == "PERMISSION_DENIED")
    command = re.search(r"take that word out: run `(gcloud .*)`", said)
    assert command is not None
    *words, text = shlex.split(command[1])
    assert words == ["gcloud", "iam", "service-accounts", "update", EMAIL, "--project", PROJECT, "--description"]
    assert text == kept
    stand_in.behaviours.clear()
    gcp.estate.change(PULL, "description", lambda _: text)
    assert gcp.plan(gcp.document("app-a")).changes == ()


def test_a_note_of_a_location_that_google_has_is_a_place_to_look_at(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    note = f" at-{ELSEWHERE}={applied_hash(LocationSettings(ELSEWHERE))}"
    gcp.estate.change(PULL, "description", lambda found: found + note)
    document = gcp.document("app-a", guards={"max_deletes": "100%"})
    assert [str(change.address) for change in gcp.plan(document).changes] == [f"images.location.{ELSEWHERE}"]
    gcp.apply(document)
    assert note not in gcp.estate.account(PULL)["description"]


@pytest.mark.parametrize(
    "words", [*LOOK_ALIKE, " ".join(LOOK_ALIKE), "at-least=3 things", "\nsecond line\n\nat-night=oncall"]
)
def test_words_of_people_that_begin_as_ours_do_stay_theirs(words: str) -> None:
    said = description.parsed(f"reconciler: owner=shop registry=images origin=spec {words}")
    assert said.behind == f" {words}"
    assert description.written(said.texts, said.before, said.behind).endswith(words)


@pytest.mark.parametrize(
    "words",
    [
        " members=support",
        " members=finance members=billing at-least=3 things",
        " at-work=9to5 applied=yesterday adopted=2024",
        f"\nsecond line\n\nlast at-{ELSEWHERE}=oncall\n",
        " see\ttabs  at-once=v1 x",
    ],
)
def test_words_of_people_that_begin_as_ours_do_change_no_plan_and_are_lost_by_no_apply(
    gcp: GcpSandbox, words: str
) -> None:
    gcp.apply(trusting(gcp))
    gcp.estate.change(PULL, "description", lambda found: found + words)
    assert gcp.plan(trusting(gcp)).changes == ()
    for document in (trusting(gcp, "one"), trusting(gcp)):
        gcp.apply(document)
        assert gcp.estate.account(PULL)["description"].rstrip().endswith(words.rstrip())
        assert gcp.plan(document).changes == ()


@given(st.sets(st.text(min_size=1, max_size=4), max_size=9))
def test_a_sealed_record_is_read_as_it_was_written(words: set[str]) -> None:
    hashes = {record.hash_of(word) for word in words}
    assert record.opened(record.sealed(hashes)) == hashes


@pytest.mark.parametrize("count", range(4))
def test_what_is_no_sealed_record_holds_no_hashes(count: int) -> None:
    hashes = {record.hash_of(str(number)) for number in range(count)}
    text = record.sealed(hashes)
    for cut in range(len(text)):
        assert record.opened(text[:cut]) == record.opened(text[cut + 1 :]) == set()
    assert record.opened(record.joined(hashes)) == set()


@pytest.mark.parametrize(
    "glued", [", used by CI", ".", "; see OPS-1", "(CI)", "\nsecond line", ": x=y", "/", "\n", "  "]
)
@pytest.mark.parametrize("last", ["adopted=true", "registry=images", "members=", "at-europe-west1=v1-0123456789abcdef"])
def test_what_people_write_right_behind_our_last_word_leaves_that_as_it_is(glued: str, last: str) -> None:
    last = last if last != "members=" else f"members={record.sealed({'abcdefg', 'hijklmn'})}"
    ours = f"reconciler: owner=shop registry=images origin=spec {last}".replace(
        "registry=images origin=spec registry=", "origin=spec registry="
    )
    said = description.parsed(ours + glued)
    assert said.texts == description.parsed(ours).texts
    assert (said.before, said.behind) == ("", glued)
    assert description.written(said.texts, said.before, said.behind) == ours + glued


@pytest.mark.parametrize("word", ["adopted=false", "members=support", "at-least=3,", "at-night=oncall.", "applied=v2,"])
def test_a_word_of_people_is_none_of_ours_for_what_is_behind_it(word: str) -> None:
    assert description.parsed(f"reconciler: owner=shop {word}").texts == {"reconciler-owner": "shop"}


@pytest.mark.parametrize(
    "mark",
    [
        *(
            " adopted=true, used by CI",
            ",adopted=true",
            ";adopted=true",
            "|adopted=true",
            " (adopted=true)",
            " 'adopted=true'",
        ),
        *(" Adopted=true", " adopted=True", " adopted=yes", " adopted = true", " adopted=tr"),
    ],
)
def test_an_adopted_account_is_guarded_whatever_people_make_of_its_mark(gcp: GcpSandbox, mark: str) -> None:
    document = gcp.document("app-a")
    gcp.apply(document)
    push = PULL.replace("-pull@", "-push@")
    gcp.estate.change(push, "description", lambda found: f"{found}{mark}")
    assert gcp.plan(document).changes == ()
    gcp.apply(gcp.document("app-a", registry={"trusted_principals": ["group:admins@example.com"]}))
    assert [item.guard for item in gcp.plan(document, destroy=True).violations] == ["adopted"]


def test_whom_the_spec_trusts_no_longer_loses_it_whatever_people_write_behind_the_record(gcp: GcpSandbox) -> None:
    trusting = {"trusted_principals": ["group:admins@example.com"]}
    gcp.apply(gcp.document("app-a", registry=trusting))
    push = PULL.replace("-pull@", "-push@")
    assert "admins@example.com" in str(gcp.estate.policy(push))
    gcp.estate.change(push, "description", lambda found: f"{found}, used by CI")
    gcp.apply(gcp.document("app-a"))
    assert "admins@example.com" not in str(gcp.estate.policy(push))
    assert gcp.estate.account(push)["description"].endswith(", used by CI")
    assert gcp.plan(gcp.document("app-a")).changes == ()


@pytest.mark.parametrize("glued", ["Used by CI", "-ci", "_ci", "a", "7", "used"])
@pytest.mark.parametrize(
    "last", ["adopted=true", f"members={record.sealed({'abcdefg', 'hijklmn'})}", "at-us-central1=v1-0123456789abcdef"]
)
def test_what_people_write_without_a_space_behind_our_last_word_takes_nothing_from_it(glued: str, last: str) -> None:
    ours = f"reconciler: owner=shop registry=images origin=spec {last}"
    said = description.parsed(ours + glued)
    assert said.texts == description.parsed(ours).texts
    assert said.behind == f" {glued}"
    assert description.parsed(description.written(said.texts, said.before, said.behind)) == said


@pytest.mark.parametrize("copied", [" (like push: {})", " | {}", "\n{}", " see reconciler: {}"])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_copy_of_a_whole_description_behind_ours_is_somebody_elses(
    gcp: GcpSandbox, copied: str, by_hand: bool
) -> None:
    """With its record of members, too, whose sum is right: who is trusted by hand stays, and is said to be by somebody else."""
    gcp.apply(trusting(gcp, "admins"))
    push = gcp.estate.account(PULL.replace("images-pull@", "images-push@"))["description"]
    assert record.opened(description.parsed(push).texts[description.MEMBERS])
    document = trusting(gcp)
    gcp.apply(document)
    gcp.estate.change(PULL, "description", lambda found: found + copied.format(push))
    if by_hand:
        binding = {"role": "roles/iam.serviceAccountTokenCreator", "members": ["group:admins@example.com"]}
        gcp.estate.change_policy(PULL, lambda bindings: bindings.append(binding))
    before, policy = gcp.estate.account(PULL)["description"], gcp.estate.policy(PULL)
    plan = gcp.plan(document)
    assert (plan.changes, len(plan.foreign)) == ((), int(by_hand))
    gcp.apply(trusting(gcp, "more"))
    gcp.apply(document)
    assert gcp.estate.account(PULL)["description"] == before
    assert gcp.estate.policy(PULL).get("bindings") == policy.get("bindings")


def test_only_behind_a_whole_description_a_second_one_is_a_copy() -> None:
    said = description.parsed(
        "reconciler: owner=shop (reconciler: origin=runtime) owner=me origin=spec registry=images"
    )
    assert said.texts == {"reconciler-owner": "shop", "reconciler-origin": "runtime", "reconciler-registry": "images"}
    assert said.behind == " (reconciler:) owner=me origin=spec"


@pytest.mark.parametrize("between", [",", ";", "|", " (", "', '", ") [", ":", "/", " . "])
def test_what_a_hand_puts_between_our_words_hides_none_of_them(between: str) -> None:
    note, hashed = "v1-0123456789abcdef", record.sealed([record.hash_of("group:admins@example.com")])
    ours = ["owner=shop", "registry=images", f"members={hashed}", f"at-europe-west1={note}", f"at-us-central1={note}"]
    said = description.parsed("reconciler: " + between.join(ours))
    assert said.texts == {f"reconciler-{key}": value for key, value in (item.split("=", 1) for item in ours)}
    again = description.parsed(description.written(said.texts, **said.of_people))
    assert again == said
