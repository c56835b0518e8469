"""A registry's own endpoint: what only the registry may say, and what is said where nobody, or somebody else, answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError

from reconciler.engine.plan import Plan
from reconciler.errors import GuardViolation
from reconciler.model.kind import UNCOUNTED
from reconciler.platforms.azure.endpoints import InTenant
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Server
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, AzureSandbox
from tests.sandbox.base import Document

PAGE = "<html><title>Not found</title></html>"
REGISTRY, APP = f"images.registry.{NAME}", "images.repository.app-a"


def errors(code: str, message: str = "It is refused.") -> Document:
    return {"errors": [{"code": code, "message": message}]}


@dataclass
class Says:
    """Each call of an operation, or of all that begin so (`data:*`), is answered so."""

    operation: str
    answer: Answer
    times: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation and not (
            self.operation.endswith("*") and call.operation.startswith(self.operation[:-1])
        ):
            return None
        self.times += 1
        return self.answer

    def after(self, call: Call) -> Answer | None:
        return None


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def images(plan: Plan) -> dict[str, int | None]:
    return {str(item.address): item.images for item in plan.changes if item.kind in ("registry", "repository")}


#: what is none of the registry's, by the call that it answers
FOREIGN = {
    "a page in place of everything": ("data:*", Answer(404, text=PAGE)),
    "a page in place of the attributes": ("data:attributes", Answer(404, text=PAGE)),
    "a page in place of the catalog": ("data:catalog", Answer(404, text=PAGE)),
    "a 404 of the catalog": ("data:catalog", Answer(404, errors("NAME_UNKNOWN"))),
    "a 404 of the exchange": ("data:exchange", Answer(404, errors("NAME_UNKNOWN"))),
    "a 404 of the token": ("data:token", Answer(404, errors("NAME_UNKNOWN"))),
    "another code": ("data:attributes", Answer(404, errors("NOT_FOUND"))),
    "a 404 of ARM": ("data:attributes", Answer(404, {"error": {"code": "ResourceNotFound", "message": "x"}})),
    "a login page": ("data:*", Answer(200, text=PAGE)),
    "a login page in place of the catalog": ("data:catalog", Answer(200, text=PAGE)),
    "a login page in place of the attributes": ("data:attributes", Answer(200, text=PAGE)),
    "a login page in place of the exchange": ("data:exchange", Answer(200, text=PAGE)),
    "a login page in place of the token": ("data:token", Answer(200, text=PAGE)),
    "a redirect to one": ("data:*", Answer(302, text=PAGE, headers={"Location": "/login"})),
    "a catalog of nothing": ("data:catalog", Answer(200, {})),
    "a catalog of no names": ("data:catalog", Answer(200, {"repositories": {}})),
    "attributes of nothing": ("data:attributes", Answer(200, {})),
    "attributes without a count": ("data:attributes", Answer(200, {"registry": "x", "imageName": "app-a"})),
    "attributes with a word for a count": ("data:attributes", Answer(200, {"manifestCount": "none"})),
    "no token": ("data:token", Answer(200, {})),
    "another challenge": ("data:*", Answer(401, text=PAGE, headers={"WWW-Authenticate": 'Basic realm="proxy"'})),
    "half a challenge": ("data:*", Answer(401, text=PAGE, headers={"WWW-Authenticate": "Bearer realm"})),
    "no challenge": ("data:*", Answer(401, text=PAGE)),
    "a refusal": ("data:*", Answer(403, text=PAGE)),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_somebody_else_answers_never_means_that_there_are_no_images(
    azure: AzureSandbox, azure_stand_in: Server, what: str
) -> None:
    """Otherwise Azure deletes the registry with all that is in it."""
    document = azure.document("app-a")
    azure.apply(document)
    for name in ("app-a", "stray"):
        azure.push_image(name)
    good = azure.state()
    operation, answer = FOREIGN[what]
    says = Says(operation, answer)
    azure_stand_in.behaviours.append(says)
    plan = azure.plan(document, destroy=True)
    assert says.times
    asked = {REGISTRY, APP} if operation not in ("data:catalog", "data:attributes") else {REGISTRY}
    counted = images(plan)
    assert {at for at, count in counted.items() if count == UNCOUNTED} >= asked
    assert 0 not in counted.values()
    server = azure.acr.properties["loginServer"]
    assert f"its images can't be counted: {server} " in words(plan)
    assert {at for verdict in plan.violations for at in verdict.addresses} == {REGISTRY, APP}
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert azure.state() == good


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, text=PAGE), "was asked, and the answer (HTTP 404) did not come from Azure"),
        (Answer(200, text=PAGE), "was asked, and the answer (HTTP 200) did not come from Azure"),
        (
            Answer(401, text=PAGE, headers={"WWW-Authenticate": 'Basic realm="proxy"'}),
            "was asked, and the answer did not come from Azure",
        ),
        (
            Answer(403, text=PAGE),
            "refuses these credentials (HTTP 403, without a reason of its own: it may come from a proxy)",
        ),
        (
            Answer(401, errors("UNAUTHORIZED", "token validation failed for eyJh.bGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9")),
            "refuses these credentials: UNAUTHORIZED: token validation failed for eyJh.[hidden]; to count takes Container Registry"
            " Repository Reader and Container Registry Repository Catalog Lister (AcrPull in mode legacy)",
        ),
    ],
)
def test_a_plan_says_who_answered_what(azure: AzureSandbox, azure_stand_in: Server, answer: Answer, said: str) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    azure_stand_in.behaviours.append(Says("data:*", answer))
    (change,) = azure.plan(azure.document("app-b")).changes
    assert change.notes[-1] == f"its images can't be counted: {azure.acr.properties['loginServer']} {said}"
    assert change.images == UNCOUNTED


@pytest.mark.parametrize(
    "answer", [Answer(404, text=PAGE), Answer(404, errors("NOT_FOUND")), Answer(202, text=PAGE), Answer(200, text=PAGE)]
)
def test_what_somebody_else_answers_is_no_delete(azure: AzureSandbox, azure_stand_in: Server, answer: Answer) -> None:
    document = azure.document("app-a", "app-b")
    azure.apply(document)
    azure.push_image("app-a")
    good = azure.state()
    azure_stand_in.behaviours.append(Says("data:delete", answer))
    plan = azure.plan(azure.document("app-b"), allow_delete=[APP])
    (outcome,) = azure.carry_out(plan)
    server = azure.acr.properties["loginServer"]
    assert outcome.message == (
        f"repositories:delete: its images were not deleted: {server} was asked, and the answer (HTTP {answer.status}) did not come"
        " from Azure\n  check the endpoint override if one is set, and anything between here and Azure, such as a proxy with a login"
        " page"
    )
    assert azure.state() == good, "its note too"


def test_a_repository_that_the_registry_does_not_know_is_empty(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", "team/c"))
    assert images(azure.plan(azure.document("app-a"))) == {"images.repository.team/c": 0}
    azure.apply(azure.document("app-a"))
    azure.apply(azure.document("app-a"), destroy=True)
    assert azure.cloud.registries == {}


def test_what_comes_between_a_plan_and_its_apply_deletes_nothing(azure: AzureSandbox, azure_stand_in: Server) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    plan = azure.plan(document, destroy=True)
    assert images(plan) == {REGISTRY: 0, APP: 0}
    azure.push_image("stray")
    azure_stand_in.behaviours.append(Says("data:catalog", Answer(404, text=PAGE)))
    (failed,) = [item for item in azure.carry_out(plan) if item.address == REGISTRY]
    assert "its images can't be counted now" in failed.message
    assert "did not come from Azure" in failed.message
    assert "stray" in azure.acr.images


def test_a_plan_works_where_nothing_answers_and_waits_for_it_once(
    azure: AzureSandbox, azure_stand_in: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """../shared/azure/traps.md, 9."""
    monkeypatch.setattr("reconciler.platforms.azure.pipeline.PATIENCE", 0.0)
    azure.apply(azure.document("app-a", "app-b", "team/c"))
    dropping = Says("data:*", Answer(drop=True))
    azure_stand_in.behaviours.append(dropping)
    one = images(azure.plan(azure.document("app-a", "app-b")))
    tries, dropping.times = dropping.times, 0
    three = images(azure.plan(azure.document()))
    assert {*one.values(), *three.values()} == {UNCOUNTED}
    assert (len(three), dropping.times) == (3, tries)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            "localhost:1",
            "localhost:1 can't be reached: Failed to establish a new connection: [Errno 111] Connection refused",
        ),
        (
            "acmeimages.invalid",
            "acmeimages.invalid can't be reached: Failed to resolve 'acmeimages.invalid' ([Errno -",
        ),
    ],
)
def test_a_plan_says_why_nothing_answers_and_an_apply_what_to_do(
    azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch, server: str, said: str
) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.pipeline.PATIENCE", 0.0)
    document = azure.document("app-a", "app-b")
    azure.apply(document)
    azure.push_image("app-b")
    azure.acr.properties["loginServer"] = server
    assert azure.plan(document).changes == ()
    plan = azure.plan(azure.document("app-a"))
    (change,) = plan.changes
    assert f"its images can't be counted: {said}" in change.notes[-1]
    assert [verdict.addresses for verdict in plan.violations] == [("images.repository.app-b",)]
    (failed,) = azure.carry_out(azure.plan(azure.document("app-a"), allow_delete=["images.repository.app-b"]))
    assert failed.message.startswith(f"repositories:delete: its images were not deleted: {said}")
    assert failed.message.endswith("\n  check the network, and the endpoint override if one is set; then run again")
    assert set(azure.acr.images) == {"app-b"}


FIREWALL = "client with IP '172.214.169.102' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
LOCKED = "The operation is disallowed on this registry, repository or image."


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (
            Answer(403, errors("DENIED", FIREWALL)),
            f"lets nobody in from here: DENIED: {FIREWALL}",
            "run where the registry is reached, such as behind its private endpoint, or let this machine's address in:"
            " `az acr network-rule add --name acmeimages --ip-address ADDRESS`",
        ),
        (
            Answer(403, errors("DENIED", "requested access to the resource is denied")),
            "refuses these credentials: DENIED: requested access to the resource is denied",
            "give them Container Registry Repository Contributor (AcrDelete in mode legacy) on the resource group, since what is"
            " given on the registry itself is foreign access to each plan; or delete the repository"
            " with `az acr repository delete --name acmeimages --repository app-a`",
        ),
        (
            Answer(405, errors("REGISTRY_DISALLOWED_OPERATION", LOCKED)),
            f"answered HTTP 405: REGISTRY_DISALLOWED_OPERATION: {LOCKED}",
            "it or an image in it is locked; if its images may go, run `az acr repository update --name acmeimages --repository app-a"
            " --write-enabled true --delete-enabled true`, and for a locked image `az acr repository update --name acmeimages --image"
            " app-a:TAG --write-enabled true --delete-enabled true`; then run again",
        ),
        (
            Answer(400, errors("UNSUPPORTED", "No.")),
            "answered HTTP 400: UNSUPPORTED: No.",
            "run again; changes already",
        ),
        (Answer(503, text=PAGE), "answered HTTP 503", "Azure failed: run again; changes already made are kept"),
    ],
)
def test_a_delete_that_the_registry_refuses_is_said_in_its_words_with_the_way_out(
    azure: AzureSandbox, azure_stand_in: Server, monkeypatch: pytest.MonkeyPatch, answer: Answer, said: str, hint: str
) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.pipeline.PATIENCE", 0.0)
    azure.apply(azure.document("app-a", "app-b"))
    azure.push_image("app-a")
    plan = azure.plan(azure.document("app-b"), allow_delete=[APP])
    says = Says("data:delete", answer)
    azure_stand_in.behaviours.append(says)
    (failed,) = azure.carry_out(plan)
    server = azure.acr.properties["loginServer"]
    message = failed.message.replace(f" (request id {failed.request_id})", "")
    assert message.startswith(f"repositories:delete: its images were not deleted: {server} {said}\n  {hint}")
    assert set(azure.acr.images) == {"app-a"}
    says.operation = "data:attributes"
    (change,) = azure.plan(azure.document("app-b")).changes
    assert change.notes[-1].partition("; to count takes ")[0] == f"its images can't be counted: {server} {said}"


@pytest.mark.parametrize("status", ["enabled", "disabled"])
def test_images_are_reached_in_registries_that_take_tokens_for_azure_resource_manager_and_in_others(
    azure: AzureSandbox, status: str
) -> None:
    """https://learn.microsoft.com/azure/container-registry/container-registry-disable-authentication-as-arm"""
    document = azure.document("app-a", {"name": "app-b", "delete_images": True})
    azure.apply(document)
    azure.push_image("app-b")
    azure.acr.properties["policies"] = {"azureADAuthenticationAsArmPolicy": {"status": status}}
    plan = azure.plan(azure.document("app-a"))
    assert images(plan) == {"images.repository.app-b": 1}
    azure.apply(azure.document("app-a"))
    assert azure.acr.images == {}


def test_images_that_the_catalog_does_not_list_keep_a_registry(azure: AzureSandbox, azure_stand_in: Server) -> None:
    """`az acr repository update --list-enabled false`."""
    document = azure.document("app-a")
    azure.apply(document)
    azure.push_image("hidden")
    azure.acr.hidden.add("hidden")
    plan = azure.plan(document, destroy=True)
    assert images(plan) == {REGISTRY: UNCOUNTED, APP: 0}
    assert (
        "its images can't be counted: its catalog lists none, and Azure says that it stores 12,345,678 bytes: they are of"
        " repositories that are not listed, or of images that were deleted a few minutes ago"
    ) in words(plan)
    assert [verdict.addresses for verdict in plan.violations] == [(REGISTRY,)]
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert "hidden" in azure.acr.images
    azure_stand_in.calls.clear()
    azure.plan(azure.document("app-a", "app-b"))
    assert "registries:usages" not in [call.operation for call in azure_stand_in.calls], "asked for nothing else"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(403, {"error": {"code": "AuthorizationFailed", "message": "It is refused."}}),
            "these credentials may not ask whether it stores any that are not listed:"
            " Microsoft.ContainerRegistry/registries/listUsages/read",
        ),
        (Answer(200, {"value": [{"name": "Webhooks", "currentValue": 0}]}), "Azure does not say how much it stores"),
    ],
)
def test_what_a_registry_stores_and_nobody_says_is_not_none(
    azure: AzureSandbox, azure_stand_in: Server, answer: Answer, said: str
) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    azure_stand_in.behaviours.append(Says("registries:usages", answer))
    plan = azure.plan(document, destroy=True)
    assert images(plan) == {REGISTRY: UNCOUNTED, APP: 0}
    assert f"its images can't be counted: its catalog lists none, and {said}" in words(plan)


def test_a_login_to_nobody_but_the_registry(azure: AzureSandbox, azure_stand_in: Server) -> None:
    """The next page of its catalog is asked for with a token that is good for an hour."""
    document = azure.document("app-a")
    azure.apply(document)
    azure.push_image("app-a")
    elsewhere = {"Link": '<https://elsewhere.invalid/acr/v1/_catalog?last=app-a&n=100&orderby=>; rel="next"'}
    first = Says("data:catalog", Answer(200, {"repositories": ["app-a"]}, headers=elsewhere))
    azure_stand_in.behaviours.append(first)
    plan = azure.plan(document, destroy=True)
    assert images(plan) == {REGISTRY: UNCOUNTED, APP: 1}
    server = azure.acr.properties["loginServer"]
    assert f"its images can't be counted: {server} was asked, and the answer did not come from Azure" in words(plan)


def test_credentials_that_give_no_token_for_images_are_said(
    azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    azure.push_image("app-a")
    azure.acr.properties["policies"] = {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}
    give = InTenant.get_token

    def given(self: InTenant, *scopes: str, **options: Any) -> Any:
        if "https://containerregistry.azure.net/.default" in scopes:
            raise ClientAuthenticationError("AADSTS500011: The resource principal was not found in the tenant.")
        return give(self, *scopes, **options)

    monkeypatch.setattr(InTenant, "get_token", given)
    said = "the credentials gave no token: AADSTS500011: The resource principal was not found in the tenant."
    (change,) = azure.plan(azure.document("app-b")).changes
    assert change.notes[-1] == f"its images can't be counted: {said}"
    (failed,) = azure.carry_out(azure.plan(azure.document("app-b"), allow_delete=[APP]))
    assert failed.message.startswith(
        f"repositories:delete: its images were not deleted: {said}\n  the tenant does not know what the token is for: check"
        " AZURE_TENANT_ID, and the cloud"
    )
    assert set(azure.acr.images) == {"app-a"}
