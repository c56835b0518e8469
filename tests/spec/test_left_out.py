"""What defaults ask for and a registry's platform does not have: left out there, and said once; on the repository it is an error."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml

from reconciler import Spec, parse_spec
from reconciler.errors import SpecError

AZURE = {
    "platform": "azure",
    "subscription_id": "00000000-0000-0000-0000-000000000000",
    "resource_group": "images",
    "location": "westeurope",
}
REGISTRIES = [
    {"name": "small", "registry_name": "acmesmall", **AZURE},
    {"name": "large", "registry_name": "acmelarge", "sku": "Premium", **AZURE},
    {"name": "google", "platform": "gcp", "project": "my-project", "location": "europe-west1"},
    {"name": "onprem", "platform": "external", "url": "https://registry.example.com"},
    {"name": "here", "platform": "local", "path": "here"},
]
DEFAULTS = {
    "immutable_tags": {"except": ["latest"]},
    "scan_on_push": True,
    "retention": {"keep_last": 100, "untagged_days": 14},
    "labels": {"team": "platform"},
}


def spec(*rows: Mapping[str, object], **defaults: object) -> Spec:
    document = {
        "version": 1,
        "name": "shop",
        "defaults": {"repository": defaults or DEFAULTS},
        "registries": REGISTRIES,
        "repositories": [dict(row) for row in rows],
    }
    return parse_spec(yaml.safe_dump(document))


def test_what_a_platform_can_t_honour_of_the_defaults_is_left_out_there_alone() -> None:
    names = [str(item["name"]) for item in REGISTRIES]
    found = {item.registry: item for item in spec(*({"name": "app", "registry": name} for name in names)).repositories}
    whole, google = found["here"], found["google"]
    assert (whole.movable_tags, whole.scan_on_push, whole.labels) == (("latest",), True, {"team": "platform"})
    assert (google.tags_immutable, google.scan_on_push, google.labels) == (False, True, {"team": "platform"})
    for name in ("small", "large", "onprem"):
        assert (found[name].immutable_tags, found[name].scan_on_push, found[name].labels) == (False, False, {})
    assert found["small"].retention is None, "it would keep nothing"
    assert found["onprem"].retention is None
    assert found["large"].retention is not None
    assert (found["large"].retention.keep_last, found["large"].retention.untagged_days) == (None, 14)
    assert found["google"].retention == found["here"].retention


def test_it_is_said_once_for_each_registry() -> None:
    rows = [
        {"name": f"app-{number}", "registry": name}
        for number in range(3)
        for name in ("large", "google", "onprem", "here")
    ]
    assert spec(*rows).left_out == (
        "registry google leaves out immutable_tags.except of defaults.repository: its platform can't honour it",
        "registry large leaves out immutable_tags, labels, retention.keep_last, and scan_on_push of defaults.repository: its platform"
        " can't honour them",
        "registry onprem leaves out immutable_tags, labels, retention, and scan_on_push of defaults.repository: its platform"
        " can't honour them",
    )
    assert spec({"name": "app", "registry": "here"}).left_out == ()


def test_the_same_value_on_the_repository_is_an_error_with_the_reason() -> None:
    row = {"name": "app", "registry": "large", "retention": {"keep_last": 3}, "scan_on_push": True}
    with pytest.raises(SpecError) as refused:
        spec(row)
    assert [(item.path, item.message.partition(":")[0]) for item in refused.value.problems] == [
        ("repositories[0].retention.keep_last", "Azure Container Registry removes untagged images alone, by their age"),
        ("repositories[0].scan_on_push", "Azure Container Registry scans nothing by itself"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("immutable_tags", True),
        ("immutable_tags", {"except": ["latest"]}),
        ("scan_on_push", True),
        ("labels", {"team": "x"}),
        ("retention", {"untagged_days": 3}),
    ],
)
def test_nothing_is_asked_of_a_registry_that_somebody_else_runs(field: str, value: object) -> None:
    with pytest.raises(SpecError) as refused:
        spec({"name": "app", "registry": "onprem", field: value})
    (problem,) = refused.value.problems
    assert problem.path.startswith(f"repositories[0].{field}")
    assert problem.message == "this is up to the external registry's operator, and no spec can say it"
    off = {"immutable_tags": False, "scan_on_push": False, "labels": None, "retention": None}[field]
    assert spec({"name": "app", "registry": "onprem", field: off}).repositories


def test_what_is_wrong_with_the_defaults_everywhere_stays_an_error() -> None:
    with pytest.raises(SpecError, match="retention: needs keep_last or untagged_days"):
        spec({"name": "app", "registry": "large"}, retention={"keep_tags": ["v*"]})
    with pytest.raises(SpecError, match="Azure takes at most 365 days"):
        spec({"name": "app", "registry": "large"}, retention={"untagged_days": 366})


def test_two_registries_do_not_take_from_each_other_s_defaults() -> None:
    rows = [{"name": "app", "registry": name} for name in ("small", "large", "here")]
    first, second, third = spec(*rows).repositories
    assert (first.retention, second.retention) != (None, None)
    assert third.retention is not None
    assert third.retention.keep_last == 100
