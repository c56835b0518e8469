"""Clusters: where grants to service accounts are made, named once for all registries."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from .fields import FilePath, Flag, Model, RegistryName, Text

#: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
LABEL = Text(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "a Kubernetes name: lower-case letters, digits and dashes, starting and ending with a letter or digit, at most 63 characters",
)
#: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
SUBDOMAIN = Text(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
    "a Kubernetes name: words of lower-case letters, digits and inner dashes, joined by dots",
    253,
)
Namespace = Annotated[str, LABEL]
ObjectName = Annotated[str, SUBDOMAIN]


class Cluster(Model):
    """A Kubernetes cluster, and how it is reached."""

    name: RegistryName = Field(description="The cluster's name in this spec.")
    context: str | None = Field(
        None, min_length=1, description="A context of the kubeconfig. Default: the file's current one."
    )
    kubeconfig: FilePath | None = Field(
        None,
        description="The kubeconfig's path, relative to the spec's folder. Default: as kubectl finds it.",
    )
    in_cluster: Flag = Field(
        False, description="Whether it is reached from one of its own pods, as that pod's service account."
    )
    namespace: Namespace = Field(
        "default", description="The namespace of the ConfigMap that says which secrets the spec has made."
    )

    def fault(self) -> str | None:
        if self.in_cluster and (self.context or self.kubeconfig):
            return "in_cluster needs no context and no kubeconfig: give one or the other"
        if not (self.in_cluster or self.context or self.kubeconfig):
            return "give context, kubeconfig or `in_cluster: true`"
        return None

    def reached(self, base: str) -> tuple[str, ...]:
        """How it is reached: clusters for which that is the same are one. `base`: the folder that relative paths start from."""
        if self.in_cluster:
            return ("from its own pods",)
        path = self.kubeconfig and os.path.normpath(os.path.join(base, os.path.expanduser(self.kubeconfig)))
        return self._words(path)

    @property
    def noted_at(self) -> tuple[tuple[str, ...], str]:
        """Where what is made in it is noted, whatever it is called and whichever folder the spec was read from."""
        return self.reached(""), self.namespace

    def place(self, base: str, start: str) -> tuple[str, ...]:
        """How it is reached, for people. `base`: the folder that relative paths start from. `start`: the folder that they are said
        relative to."""
        if self.in_cluster:
            return ("from its own pods",)
        path = self.kubeconfig
        if path is not None and not path.startswith(("/", "~")):
            path = os.path.relpath(os.path.join(base, path), start)
        return self._words(path)

    def _words(self, path: str | None) -> tuple[str, ...]:
        context = f"context {self.context}" if self.context else "the current context"
        return (context, f"of {path}") if path else (context,)
