"""ECR's lifecycle policy preview, which moto does not have: a stand-in that answers as AWS documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .aws_by_prefix import ByPrefix, refusal
from .proxy import Answer, Call


@dataclass
class LifecyclePreview(ByPrefix):
    """Previews of lifecycle policies, one at a time for each repository.

    `counts`: how many images expire, by the repository's name; those that are not in it do not exist. `looks`: how often the preview
    is under way when it is asked for. `busy`: how often somebody else's preview is in the way of a start. `ends`: the status at the
    end. `theirs`: a policy of which somebody else starts a preview in between.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_StartLifecyclePolicyPreview.html,
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetLifecyclePolicyPreview.html
    """

    counts: Mapping[str, int]
    looks: int = 0
    busy: int = 0
    ends: str = "COMPLETE"
    theirs: str = ""
    started: dict[str, str] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.operations = {"StartLifecyclePolicyPreview": self.start, "GetLifecyclePolicyPreview": self.look}

    def start(self, call: Call) -> Answer:
        name = call.body["repositoryName"]
        if name not in self.counts:
            return refusal("RepositoryNotFoundException", f"The repository with name '{name}' does not exist")
        if self.busy:
            self.busy -= 1
            return refusal("LifecyclePolicyPreviewInProgressException", "a lifecycle policy preview is in progress")
        self.started[name], self.looked[name] = call.body["lifecyclePolicyText"], 0
        return Answer(body=self._head(name, "IN_PROGRESS"))

    def look(self, call: Call) -> Answer:
        name = call.body["repositoryName"]
        if name not in self.started:
            return refusal("LifecyclePolicyPreviewNotFoundException", "there is no dry run for this repository")
        self.looked[name] += 1
        if self.looked[name] <= self.looks:
            return Answer(body=self._head(name, "IN_PROGRESS"))
        summary = {"summary": {"expiringImageTotalCount": self.counts[name]}} if self.ends == "COMPLETE" else {}
        return Answer(body={**self._head(name, self.ends), "previewResults": [], **summary})

    def _head(self, name: str, status: str) -> dict[str, Any]:
        policy = self.theirs or self.started[name]
        return {
            "registryId": self.account,
            "repositoryName": name,
            "lifecyclePolicyText": policy,
            "status": status,
        }
