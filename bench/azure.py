"""A plan on Azure: calls, CPU and memory, beside a thin client that makes the same calls over azure-core."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.process import Figures, run
from tests.emulators.azure import Server, serving

NUMBER = 1_000
RECONCILER = [sys.executable, "-m", "reconciler"]
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_GROUP = f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/images"
_REGISTRY = f"{_GROUP}/providers/Microsoft.ContainerRegistry/registries/acmeimages"
#: whose secret the stand-in takes
CREDENTIALS = {
    "AZURE_CLIENT_ID": "33333333-3333-3333-3333-333333333333",
    "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
    "AZURE_CLIENT_SECRET": "stand-in",
}
#: what a plan reads, page by page, through the library's own pipeline and credentials
THIN = f"""\
import os
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
base, authority = os.environ["AZURE_RESOURCE_MANAGER_ENDPOINT"], os.environ["AZURE_AUTHORITY_HOST"]
names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
credentials = ClientSecretCredential(
    *(os.environ[name] for name in names), authority=authority, disable_instance_discovery=True
)
policy = ARMChallengeAuthenticationPolicy(credentials, "https://management.azure.com/.default")
client = ARMPipelineClient(base, policies=[policy])
def ask(url):
    answer = client.send_request(HttpRequest("GET", client.format_url(url)))
    answer.raise_for_status()
    return answer.json()
def listed(url):
    found = []
    while url:
        page = ask(url)
        found += page["value"]
        url = page.get("nextLink")
    return found
registry, group = {_REGISTRY!r}, {_GROUP!r}
acr, roles = "?api-version=2025-11-01", "?api-version=2022-04-01&$filter=atScope()"
assert ask(registry + acr)["name"] == "acmeimages"
listed(registry + "/replications" + acr)
maps = listed(registry + "/scopeMaps" + acr)
listed(registry + "/tokens" + acr)
listed(registry + "/providers/Microsoft.Authorization/roleAssignments" + roles)
listed(group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities?api-version=2024-11-30")
noted = {{item for found in maps if found["name"].startswith("reconciler-") for item in found["properties"]["actions"]}}
assert len(noted) == {NUMBER}, len(noted)
"""


def spec(number: int) -> str:
    """A spec of so many repositories with a grant to all, another to ten of them, and a token for a hundred."""
    rows = "".join(f"  - {{name: app-{index:04}, registry: images}}\n" for index in range(number))
    return (
        "version: 1\nname: bench\nregistries:\n"
        f"  - {{name: images, platform: azure, subscription_id: {_SUBSCRIPTION}, resource_group: images,"
        " location: westeurope, registry_name: acmeimages}\n"
        f"repositories:\n{rows}"
        "grants:\n"
        "  - {name: builders, registry: images, repositories: [app-000*], permission: push-pull,"
        " to: {type: azure, principal_ids: [11111111-2222-3333-4444-555555555555]}}\n"
        "  - {name: partner, registry: images, repositories: [app-00*], to: {type: azure-token}}\n"
    )


def azure() -> None:
    """Prints the plan without changes of 1,000 repositories, and the thin client."""
    print(f"\nAzure: a plan without changes of {NUMBER} repositories; the best of 3")
    print(f"{'':<28} {'calls':>7} {'cpu s':>8} {'wall s':>8} {'MiB':>7}   (target: at most 3 s of CPU)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry.yaml").write_text(spec(NUMBER))
        with serving(folder / "ca.pem") as server:
            _run([*RECONCILER, "apply", "--yes"], folder, server)
            plan = [*RECONCILER, "plan", "--detailed-exitcode"]
            for what, command in (("reconciler plan", plan), ("thin client", [sys.executable, "-c", THIN])):
                server.calls.clear()
                figures = [_run(command, folder, server) for _ in range(3)]
                best = min(figures, key=lambda item: item.cpu)
                calls = sum(call.service != "entra" for call in server.calls) // 3
                print(f"{what:<28} {calls:>7} {best.cpu:>8.2f} {best.wall:>8.2f} {best.peak:>7.0f}")


def _run(command: list[str], folder: Path, server: Server) -> Figures:
    """A command as a whole process, whose Azure is the stand-in in this one."""
    environ = {
        **CREDENTIALS,
        "AZURE_RESOURCE_MANAGER_ENDPOINT": server.url,
        "AZURE_AUTHORITY_HOST": server.url,
        "REQUESTS_CA_BUNDLE": str(server.ca),
    }
    return run(command, folder, environ, folder / "no.log")
