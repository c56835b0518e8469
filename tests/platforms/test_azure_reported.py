"""What other tools' users reported of Azure, and what is done about it here; each report stands with its tests. Access is in
test_azure_reported_access.py."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import pytest

from reconciler import loads
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Answers, Server, refused
from tests.emulators.azure.children import shown_scope_map, shown_token
from tests.emulators.azure.registries import own_replication, shown_replication
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

REGISTRY = Address.of("images", "registry", NAME)
ABAC = {"roleAssignmentMode": "AbacRepositoryPermissions"}


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


@pytest.fixture
def partner(azure: AzureSandbox) -> Document:
    """A spec with a token, applied."""
    document = azure.document("app-a", grants=({"name": "partner", "to": {"type": "azure-token"}},))
    azure.apply(document)
    return document


@pytest.fixture
def replicated(azure: AzureSandbox) -> Document:
    """A spec with a replication, applied."""
    document = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    azure.apply(document)
    return document


def not_replicated(azure: AzureSandbox) -> Document:
    return azure.document("app-a", registry={"sku": "Premium"})


# -- lists: https://github.com/Azure/ARO-HCP/pull/6250 ("there are bugs flying around that report the wrong replication state on the
# list operation")


def listed(azure: AzureSandbox, state: str) -> Answers:
    """The list of replications calls them all so."""

    def answer(call: Call) -> Answer:
        items = [own_replication(azure.acr), *azure.acr.replications.values()]
        found = [shown_replication(azure.cloud, item) for item in items]
        for item in found:
            item["properties"]["provisioningState"] = state
        return Answer(200, {"value": found})

    return Answers("replications:list", answer)


def test_a_replication_that_only_its_list_calls_failed_is_not_made_anew(
    azure: AzureSandbox, azure_stand_in: Server, replicated: Document
) -> None:
    azure_stand_in.behaviours.append(listed(azure, "Failed"))
    assert azure.plan(replicated).changes == ()


def test_a_replication_that_only_its_list_calls_well_is_mended(
    azure: AzureSandbox, azure_stand_in: Server, replicated: Document
) -> None:
    azure.acr.replications["northeurope"].state = "Failed"
    azure_stand_in.behaviours.append(listed(azure, "Succeeded"))
    assert [change.action for change in azure.plan(replicated).changes] == [Action.REPLACE]
    azure.apply(replicated)
    assert azure.plan(replicated).changes == ()


# -- tiers: https://github.com/hashicorp/terraform-provider-azurerm/issues/26414 (for days, each GET said Managed),
# https://github.com/Azure/acr/issues/67 (Classic)


def tiered(azure: AzureSandbox, word: str, public_network_access: str = "Enabled") -> Document:
    """A registry that was there before and is adopted, whose tier is then called so. The spec leaves it open."""
    body = {"location": "westeurope", "sku": {"name": "Premium"}, "properties": ABAC}
    azure.call("PUT", RESOURCE, body)
    azure.acr.properties["publicNetworkAccess"] = public_network_access
    document = azure.document("app-a", registry={"adopt": True})
    azure.apply(document)
    azure.acr.sku = word
    return document


@pytest.mark.parametrize("public_network_access", ["Enabled", "Disabled"])
@pytest.mark.parametrize("word", ["Managed", "Classic"])
def test_a_tier_that_no_spec_has_stays_where_the_spec_leaves_it_open(
    azure: AzureSandbox, word: str, public_network_access: str
) -> None:
    document = tiered(azure, word, public_network_access)
    (change,) = azure.plan(document).changes
    assert change.cause is Cause.BOTH, "that a hand changed it is seen"
    document["registries"][0]["labels"] = {"team": "a"}
    plan = azure.plan(document)
    (change,) = plan.changes
    assert change.notes == (f"its tier is {word}, which stays until the spec names sku",)
    assert words(loads(dumps(plan))) == words(plan)
    assert [outcome.status for outcome in azure.carry_out(plan)] == [Status.DONE]
    assert (azure.acr.sku, azure.acr.tags["team"]) == (word, "a")


def test_what_a_hand_changed_where_the_spec_leaves_it_open_stays_and_is_seen_once(azure: AzureSandbox) -> None:
    document = tiered(azure, "Standard", "Disabled")
    azure.acr.properties["publicNetworkAccess"] = "Enabled"
    (change,) = azure.plan(document).changes
    assert str(change.address) == f"images.registry.{NAME}"
    azure.apply(document)
    assert (azure.acr.sku, azure.acr.properties["publicNetworkAccess"]) == ("Standard", "Enabled")
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"sku": "Standard"}, {}),
        ({"sku": "Premium", "public_network_access": False}, {"sku": "Premium"}),
    ],
)
def test_what_a_spec_no_longer_says_of_a_registry_of_ours_was_changed_by_no_hand(
    azure: AzureSandbox, before: Document, after: Document
) -> None:
    azure.apply(azure.document("app-a", registry=before))
    (change,) = azure.plan(azure.document("app-a", registry=after)).changes
    assert change.cause is Cause.PENDING


@pytest.mark.parametrize("named", [{"sku": "Premium"}, {"sku": "Premium", "public_network_access": False}])
def test_what_a_spec_says_as_it_is_in_an_adopted_registry_is_no_change(azure: AzureSandbox, named: Document) -> None:
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Premium"}, "properties": {}})
    azure.acr.properties["publicNetworkAccess"] = "Disabled"
    azure.apply(azure.document("app-a", registry={"adopt": True}))
    for fields in (named, {}):
        assert azure.plan(azure.document("app-a", registry={"adopt": True, **fields})).changes == ()


def test_a_saved_plan_with_a_tier_that_no_spec_has_is_refused(azure: AzureSandbox) -> None:
    document = tiered(azure, "Managed")
    document["registries"][0]["labels"] = {"team": "a"}
    saved = json.loads(dumps(azure.plan(document)))
    settings = saved["changes"][0]["desired"]["settings"]
    settings["left_open"] = ["public_network_access"]
    with pytest.raises(ReconcilerError, match="sku would not be written as shown"):
        loads(json.dumps(saved))
    settings["left_open"], settings["sku"] = ["sku"], "Basic"
    with pytest.raises(ReconcilerError, match="left_open"):
        loads(json.dumps(saved))


# -- replications: https://github.com/Azure/azure-rest-api-specs/issues/18934 (the PUT of one that was just deleted answers 201, and
# its operation fails)


def test_a_replication_that_was_just_deleted_is_tried_again_where_its_operation_fails(
    azure: AzureSandbox, replicated: Document
) -> None:
    azure.acr.replications["northeurope"].state = "Failed"
    plan = azure.plan(replicated)
    azure.cloud.knobs.settling = 2
    (outcome,) = azure.carry_out(plan)
    assert (outcome.status, outcome.message) == (Status.DONE, "")
    assert azure.plan(replicated).changes == ()


@pytest.mark.parametrize("code", ["RegionIsFull", "ResourceNotFound", "AuthorizationFailed"])
def test_a_replication_that_azure_never_carries_out_fails_with_its_reason(azure: AzureSandbox, code: str) -> None:
    azure.apply(not_replicated(azure))
    document = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    azure.cloud.knobs.failing = {"replications": (code, "There is no room.")}
    (outcome,) = azure.carry_out(azure.plan(document))
    assert (outcome.status, f"{code}: There is no room." in outcome.message) == (Status.FAILED, True)


@dataclass
class Behind:
    """The list of scope maps is so many seconds behind."""

    azure: AzureSandbox
    seconds: float
    seen: list[tuple[float, list[Document]]] = field(default_factory=list)

    def before(self, call: Call) -> Answer | None:
        self.seen = self.seen or [(0.0, self.now())]
        if call.operation != "scopeMaps:list":
            return None
        return Answer(200, {"value": [said for at, said in self.seen if at <= time.monotonic() - self.seconds][-1]})

    def after(self, call: Call) -> Answer | None:
        self.seen.append((time.monotonic(), self.now()))
        return None

    def now(self) -> list[Document]:
        return [shown_scope_map(self.azure.cloud, item) for item in self.azure.acr.scope_maps.values()]


@pytest.mark.parametrize("seconds", [0.3, 60])
def test_notes_are_written_though_the_list_is_behind(
    azure: AzureSandbox, azure_stand_in: Server, seconds: float
) -> None:
    """https://github.com/Azure/ARO-HCP/pull/2585; the session itself counts with lists that are up to 60 s behind."""
    azure.apply(azure.document("app-a"))
    azure_stand_in.behaviours.append(Behind(azure, seconds))
    rows = [{"name": f"r{number}", "protect": number % 2 == 0, "delete_images": number % 3 == 0} for number in range(6)]
    azure.apply(azure.document("app-a", *rows))
    azure_stand_in.behaviours.clear()
    assert azure.plan(azure.document("app-a", *rows)).changes == ()


# -- how an operation goes: https://github.com/pulumi/pulumi-azure-native/issues/4835 (the look at `Location` says it in a 200; the
# report quotes Azure Storage, and what Container Registry answers is recorded nowhere), https://github.com/Azure/acr/pull/143,
# https://github.com/hashicorp/terraform-provider-azurerm/issues/29047, https://github.com/hashicorp/go-azure-sdk/issues/740


def fails_in_a_body(azure: AzureSandbox, status: str = "Failed") -> Answers:
    """A delete that comes to nothing, as the look at its `Location` says."""

    def answer(call: Call) -> Answer:
        for operation in azure.cloud.operations.values():
            operation.done = True
        return Answer(200, {"status": status, "error": {"code": "InternalError", "message": "It failed."}})

    return Answers("operationResults:GET", answer, 1)


@pytest.mark.parametrize("status", ["Failed", "Canceled"])
def test_a_registry_that_stays_is_not_done(azure: AzureSandbox, azure_stand_in: Server, status: str) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    plan = azure.plan(document, destroy=True)
    azure_stand_in.behaviours.append(fails_in_a_body(azure, status))
    outcomes = {outcome.address: outcome for outcome in azure.carry_out(plan)}
    assert NAME in azure.cloud.registries
    assert outcomes[REGISTRY].status is Status.FAILED
    assert "InternalError: It failed." in outcomes[REGISTRY].message


def test_a_replication_that_stays_is_not_done(
    azure: AzureSandbox, azure_stand_in: Server, replicated: Document
) -> None:
    plan = azure.plan(not_replicated(azure))
    azure_stand_in.behaviours.append(fails_in_a_body(azure))
    (outcome,) = azure.carry_out(plan)
    assert "northeurope" in azure.acr.replications
    assert outcome.status is Status.FAILED


def test_a_token_that_stays_is_not_done_and_stays_ours(
    azure: AzureSandbox, azure_stand_in: Server, partner: Document
) -> None:
    gone: Document = {**partner, "grants": []}
    plan = azure.plan(gone)
    azure_stand_in.behaviours.append(fails_in_a_body(azure))
    (outcome,) = azure.carry_out(plan)
    assert "partner" in azure.acr.tokens
    assert "owner=tests" in azure.acr.scope_maps["partner"].properties["description"]
    assert outcome.status is Status.FAILED
    azure.apply(gone)
    assert not {"partner"} & {*azure.acr.tokens, *azure.acr.scope_maps}


def test_a_token_whose_delete_comes_to_nothing_without_a_word_stays_ours(
    azure: AzureSandbox, azure_stand_in: Server, partner: Document
) -> None:
    gone: Document = {**partner, "grants": []}
    plan = azure.plan(gone)
    nothing = Answer(200, {})
    azure_stand_in.behaviours.append(Answers("tokens:DELETE", lambda call: nothing, 1))
    (outcome,) = azure.carry_out(plan)
    assert (outcome.status, "its token is still there" in outcome.message) == (Status.FAILED, True)
    assert "owner=tests" in azure.acr.scope_maps["partner"].properties["description"]
    azure.apply(gone)
    assert not {"partner"} & {*azure.acr.tokens, *azure.acr.scope_maps}


@pytest.mark.parametrize("asked", ["operationResults:GET", "operations:GET"])
def test_what_azure_carries_out_is_done_though_nobody_may_ask_how_it_goes(
    azure: AzureSandbox, replicated: Document, asked: str
) -> None:
    azure.cloud.knobs.denied = [asked]
    azure.cloud.knobs.polls = 2
    azure.apply(not_replicated(azure))
    assert "northeurope" not in azure.acr.replications
    azure.apply(replicated)
    assert azure.plan(replicated).changes == ()
    azure.apply(replicated, destroy=True)
    assert NAME not in azure.cloud.registries


def test_a_delete_that_nobody_may_watch_and_that_never_ends_says_who_may(
    azure: AzureSandbox, replicated: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.states.PATIENCE", 0.05)
    azure.cloud.knobs.denied = ["operationResults:GET"]
    azure.cloud.knobs.polls = 10_000
    (outcome,) = azure.carry_out(azure.plan(not_replicated(azure)))
    assert outcome.status is Status.FAILED
    assert "locations/operationResults/read on the subscription" in outcome.message
    assert "to plan" not in outcome.message


@pytest.mark.parametrize("looks", [1, 100])
def test_an_operation_that_is_not_seen_yet_fails_nothing(
    azure: AzureSandbox, azure_stand_in: Server, looks: int
) -> None:
    azure.apply(not_replicated(azure))
    document = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    gone = refused(404, "ResourceNotFound", "The resource northeurope could not be found.")
    for operation in ("operations:GET", "operationResults:GET"):
        azure_stand_in.behaviours.append(Answers(operation, lambda call: gone, looks))
    (outcome,) = azure.carry_out(azure.plan(document))
    assert (outcome.status, outcome.message) == (Status.DONE, "")
    azure.apply(not_replicated(azure))
    assert "northeurope" not in azure.acr.replications


def test_a_list_that_still_has_our_token_does_not_make_its_scope_map_nobody_s(
    azure: AzureSandbox, azure_stand_in: Server, partner: Document
) -> None:
    """https://github.com/Azure/ARO-HCP/pull/2585: lists of a registry answer something else than a GET."""
    stale = [shown_token(azure.cloud, item) for item in azure.acr.tokens.values()]
    plan = azure.plan({**partner, "grants": []})
    behind = Answers("tokens:list", lambda call: None if azure.acr.tokens else Answer(200, {"value": stale}), 1)
    azure_stand_in.behaviours.append(behind)
    azure.carry_out(plan)
    assert "partner" not in azure.acr.scope_maps


def test_a_list_that_still_has_a_token_of_others_leaves_no_scope_map_behind(
    azure: AzureSandbox, azure_stand_in: Server, partner: Document
) -> None:
    azure.call("PUT", f"{RESOURCE}/tokens/others", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    stale = [shown_token(azure.cloud, item) for item in azure.acr.tokens.values()]
    azure.call("DELETE", f"{RESOURCE}/tokens/others")
    plan = azure.plan({**partner, "grants": []})
    behind = Answers("tokens:list", lambda call: None if azure.acr.tokens else Answer(200, {"value": stale}))
    azure_stand_in.behaviours.append(behind)
    assert {outcome.status for outcome in azure.carry_out(plan)} == {Status.DONE}
    assert "partner" not in azure.acr.scope_maps
