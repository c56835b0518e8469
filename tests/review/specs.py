"""A spec to change, and its review."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from reconciler.api.review import review
from reconciler.render.review import place, review_text, sentences
from reconciler.review.model import Review, Risk

Document = dict[str, Any]
BASE = """\
version: 1
name: acme
defaults:
  repository:
    immutable_tags: true
    scan_on_push: true
    retention: {keep_last: 100, untagged_days: 14, keep_tags: ["v*"]}
guards:
  allowed_accounts: ["222222222222", "333333333333"]
  protect: ["payments*"]
registries:
  - name: images
    platform: aws
    account_id: "111111111111"
    region: eu-central-1
    replication_regions: [eu-west-1]
    trusted_principals: ["arn:aws:iam::111111111111:role/ci"]
  - name: box
    platform: local
    path: .reconciler/box
repositories:
  - {name: cart, registry: images}
  - {name: payments, registry: images, protect: true}
  - {name: tool, registry: box}
grants:
  - name: staging
    registry: images
    to: {type: aws, account_ids: ["222222222222"]}
  - name: production
    registry: images
    repositories: [cart]
    permission: push-pull
    to:
      type: aws
      account_ids:
        - "333333333333"
  - name: team
    registry: box
    to: {type: local, users: [alice, bob]}
"""


#: a registry on a platform that is not in this build
ABSENT = "{name: eu, platform: external, url: https://registry.example.com}"


def reviewed(folder: Path, head: str, base: str = BASE) -> Review:
    """The review of the change from one text to another."""
    (folder / "base.yaml").write_text(base)
    (folder / "head.yaml").write_text(head)
    return review(folder / "base.yaml", folder / "head.yaml")


def replaced(*pairs: tuple[str, str], base: str = BASE) -> str:
    """The text with each of these replaced, once."""
    for old, new in pairs:
        assert base.count(old) >= 1, old
        base = base.replace(old, new, 1)
    return base


def edited(change: Callable[[Document], object], base: str = BASE) -> str:
    """The text after a change of the document."""
    document: Document = copy.deepcopy(yaml.safe_load(base))
    change(document)
    return yaml.safe_dump(document, sort_keys=False)


def said(found: Review, risk: Risk) -> list[str]:
    """All that is said of a risk."""
    return [sentence for finding in found.findings if finding.risk is risk for sentence in sentences(finding)]


def lines(found: Review, text: str, risk: Risk) -> list[str]:
    """The lines of the head that cause a risk, without what is around them."""
    spots = (finding.spot for finding in found.findings if finding.risk is risk)
    return [text.splitlines()[spot.line - 1].strip() for spot in spots if spot is not None]


def verdict(found: Review) -> list[str]:
    """The risks, the worst first."""
    return [risk.value for risk in found.verdict]


__all__ = ["BASE", "edited", "lines", "place", "replaced", "review", "review_text", "reviewed", "said", "verdict"]
