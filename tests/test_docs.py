"""The documentation says what there is: every field of the spec, every mark of a plan."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from reconciler.platforms.azure import buckets, condition, rules
from reconciler.platforms.azure.passwords import ACTION
from reconciler.platforms.azure.platform import PLATFORM as AZURE
from reconciler.platforms.azure.session import POLLING
from reconciler.platforms.azure.token_settings import ACTIONS
from reconciler.platforms.catalog import CATALOG, Spec
from reconciler.render.change_item import SIGNS
from tests.spec_tables import TABLES, described, table, with_tables

DOCS = Path(__file__).parents[1] / "docs"


def test_the_tables_of_the_spec_are_the_models(golden: Callable[[str, str], None]) -> None:
    golden("../../docs/spec.md", with_tables((DOCS / "spec.md").read_text()))


def test_every_field_of_every_model_has_a_row_that_says_what_it_is() -> None:
    tables = {model: table(model) for model in TABLES}
    rows = [row.split(" | ") for text in tables.values() for row in text.splitlines()[2:]]
    named = {key.rpartition(".")[2].strip("|` ") for key, *_ in rows}
    for model in described(Spec):
        for name, info in model.model_fields.items():
            assert (info.alias or name) in named, f"{model.__name__}.{name}"
    for key, kind, _, meaning in rows:
        assert kind.strip(), key
        assert meaning.strip("| "), key


def test_every_registry_and_target_of_the_spec_has_a_table() -> None:
    own = {model for model in described(Spec) if model.__name__.endswith(("Registry", "Target"))}
    assert own <= set(TABLES)
    assert len(own) == 11


def test_the_page_on_the_spec_names_every_platform_of_this_build_and_no_other() -> None:
    sentence = re.search(r"In this build (.*?) can be planned and applied", (DOCS / "spec.md").read_text())
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == sorted(CATALOG)


def test_every_sign_of_a_plan_is_explained() -> None:
    rows = [line for line in (DOCS / "commands.md").read_text().splitlines() if line.startswith("| `")]
    assert {f"| `{sign}` |" for sign in SIGNS.values()} <= {row[: row.index("|", 1) + 1] for row in rows}


def test_the_page_on_aws_lists_every_permission_and_no_other() -> None:
    kinds = CATALOG["aws"].own_kinds.values()
    needed = {action for kind in kinds for actions in kind.permissions.values() for action in actions}
    # what no kind calls itself: who we are, and what AWS does for a first replication and for a key
    needed |= {"sts:GetCallerIdentity", "sts:AssumeRole", "iam:CreateServiceLinkedRole"}
    needed |= {"kms:DescribeKey", "kms:CreateGrant", "kms:RetireGrant"}
    section = (DOCS / "aws.md").read_text().partition("## Permissions")[2]
    listed = {action for block in section.split("```")[1::2] for action in re.findall(r"\b[a-z0-9]+:[A-Z]\w+", block)}
    assert listed == needed


def test_the_page_on_google_lists_every_permission_and_no_other() -> None:
    kinds = CATALOG["gcp"].own_kinds.values()
    needed = {permission for kind in kinds for found in kind.permissions.values() for permission in found}
    section = (DOCS / "gcp.md").read_text().partition("## Permissions")[2].split("```")[1]
    assert set(section.split()) - {"text"} == needed


def test_the_role_on_the_page_on_azure_has_every_permission_and_no_other() -> None:
    needed = {action for kind in AZURE.own_kinds.values() for found in kind.permissions.values() for action in found}
    images = tuple(f"Microsoft.ContainerRegistry/registries/{name}/" for name in ("catalog", "repositories"))
    data = {action for action in needed if action.startswith(images)}
    # what no kind calls itself: whether a name is free, how an operation stands, and images in mode legacy
    registry, registries = "Microsoft.ContainerRegistry", "Microsoft.ContainerRegistry/registries"
    beside = {f"{registry}/checkNameAvailability/read", f"{registry}/locations/operationResults/read"}
    beside |= {
        f"{registries}{child}/operationStatuses/read" for child in ("", "/replications", "/scopeMaps", "/tokens")
    }
    beside |= {f"{registries}/pull/read", f"{registries}/artifacts/delete"}
    # what is asked of roles of others, and of tokens by `credentials`
    beside |= {"Microsoft.Authorization/roleDefinitions/read", ACTION}
    section = (DOCS / "azure.md").read_text().partition("## Permissions")[2]
    role = json.loads(section.split("```")[1].partition("\n")[2])
    assert (set(role["Actions"]), set(role["DataActions"])) == (needed - data | beside, data)
    assert len(role["Actions"]) == len(set(role["Actions"]))


def test_the_numbers_on_the_page_on_azure_are_those_of_its_rules() -> None:
    page = (DOCS / "azure.md").read_text()
    tiers = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|$", page, re.MULTILINE)
    assert [(name, int(most.replace(",", ""))) for name, most in tiers] == list(rules.TOKENS.items())
    pull, push = (rules.MAX_ACTIONS // len(ACTIONS[permission]) for permission in ("pull", "push-pull"))
    assert f"A scope map takes {rules.MAX_ACTIONS} actions: {pull} repositories to pull, {push} to push to." in page
    assert f"{rules.MAX_TAGS} tags, of which the spec can set {rules.MAX_LABELS}." in page
    assert f"It may have {condition.MAX:,}\ncharacters" in page
    (reads, then), (writes, later) = buckets.READS, buckets.WRITES
    rate = f"{reads} reads and then {then:.0f} more each\nsecond, {writes} writes and then {later:.0f}."
    assert (rate in page, f"looked at every {POLLING} seconds" in page) == (True, True)
