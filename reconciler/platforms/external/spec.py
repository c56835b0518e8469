"""External registries in the spec: registries that somebody else runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.spec.cluster import Namespace, ObjectName
from reconciler.spec.fields import Fault, FilePath, Model, RegistryName, Text, each
from reconciler.spec.registry import GrantTarget, RegistryBase, refused
from reconciler.spec.repository import Repository


def _no_url(value: str) -> str | None:
    """What is wrong with an address that is none of a registry, where more can be said than that. It never repeats the address, which
    may hold a login."""
    if "@" in value:  # wherever: a password may hold what ends a host
        return "holds a login, which no spec may: give `credentials`, which says where the login is"
    if re.fullmatch(r"https?://[^/?#]+/v[12]/*", value):
        return "must be host and port alone: what is asked for there is added to it"
    if re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[^?#]+", value):
        return (
            "must be host and port alone, since a registry's API is below /v2/ of its host: what comes behind belongs in the names of"
            " repositories"
        )
    if re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?(/.*)?", value):
        return "must begin with https://"
    return None


#: a host is what DNS or a resolver's file has: https://www.rfc-editor.org/rfc/rfc1123#section-2.1
_PORT = r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
Url = Annotated[
    str,
    Text(
        rf"https?://{_HOST}{_PORT}/?", "the registry's address, such as https://registry.example.com:5000", 300, _no_url
    ),
]
EnvName = Annotated[
    str,
    Text(
        r"[A-Za-z_][A-Za-z0-9_]*",
        "the name of an environment variable: letters, digits and _, not starting with a digit",
    ),
]


class EnvCredentials(Model):
    """Names of the environment variables that hold the login."""

    username: EnvName = Field(description="The variable that holds the user name.")
    password: EnvName = Field(description="The variable that holds the password.")


class SecretReference(Model):
    """A secret in the cluster."""

    cluster: RegistryName = Field(description="The cluster, by its name in this spec.")
    namespace: Namespace = Field(description="The secret's namespace.")
    name: ObjectName = Field(description="The secret's name.")


class LoginSource(Model):
    """Where the login comes from: exactly one of the three. The login itself is never in the spec."""

    env: EnvCredentials | None = Field(None, description="Environment variables.")
    docker_config: FilePath | None = Field(None, description="The path of a docker config.json.")
    kubernetes_secret: SecretReference | None = Field(None, description="A secret of type dockerconfigjson.")

    def fault(self) -> str | None:
        if [self.env, self.docker_config, self.kubernetes_secret].count(None) != 2:
            return "give exactly one of env, docker_config and kubernetes_secret"
        return None


def _anywhere(path: str, base: str) -> str:
    """A path of a spec, as it is from any folder."""
    return os.path.abspath(os.path.join(base, os.path.expanduser(path)))


class ExternalRegistry(RegistryBase):
    """A registry that the cluster's operator runs; repositories appear there with the first push."""

    grant_types = ("kubernetes",)
    leaves_out = True
    identity = ("credentials",)
    # each is one more try of a login that may be wrong
    tried_with = 3
    whole_login = (
        "a grant to a cluster hands on the login that the registry has in this spec, whatever that may do there"
    )

    platform: Literal["external"] = Field(description="A registry that somebody else runs.")
    url: Url = Field(description="The registry's address.")
    credentials: LoginSource | None = Field(None, description="Where its login comes from. Default: anonymous access.")
    ca_file: FilePath | None = Field(None, description="A private CA's certificates; TLS is always verified.")

    def portable(self, base: str) -> dict[str, Any]:
        found = super().portable(base)
        if self.ca_file is not None:
            found["ca_file"] = _anywhere(self.ca_file, base)
        if self.credentials is not None and self.credentials.docker_config is not None:
            found["credentials"] = {"docker_config": _anywhere(self.credentials.docker_config, base)}
        return found

    @property
    def named_cluster(self) -> tuple[tuple[str, ...], str] | None:
        secret = self.credentials.kubernetes_secret if self.credentials is not None else None
        return (("credentials", "kubernetes_secret", "cluster"), secret.cluster) if secret is not None else None

    @property
    def login_secret(self) -> tuple[str, str, str] | None:
        secret = self.credentials.kubernetes_secret if self.credentials is not None else None
        return (secret.cluster, secret.namespace, secret.name) if secret is not None else None

    @property
    def whose_login(self) -> str:
        """Whose login it is, in words without the login."""
        source = self.credentials
        if source is None:
            return "nobody"
        if source.env is not None:
            return f"the login in {source.env.username} and {source.env.password}"
        if source.docker_config is not None:
            return f"the login in {source.docker_config}"
        assert source.kubernetes_secret is not None
        found = source.kubernetes_secret
        return f"the login in secret {found.namespace}/{found.name} of cluster {found.cluster}"

    def login_moves(self, later: RegistryBase) -> Iterator[tuple[str, str]]:
        if not isinstance(later, ExternalRegistry) or later.credentials is None:
            return
        if (here := later.url.rstrip("/").lower()) != (was := self.url.rstrip("/").lower()):
            yield "url", f"its login goes to {here} and no longer to {was}: whatever answers there learns it"
        if self.ca_file != later.ca_file:
            whom = (
                "the system's authorities alone" if later.ca_file is None else f"the authorities in {later.ca_file} too"
            )
            yield "ca_file", f"its login goes to whatever has a certificate of {whom}"

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if self.credentials is None and not self.retired:
            yield Fault(
                ("registry",),
                f"a grant to a cluster hands on a login, and registry {self.name} has none: add `credentials` to it, or remove the"
                " grant, since pods need no pull secret where anybody may pull",
            )

    def faults(self) -> Iterator[Fault]:
        clear, host = self.url.startswith("http://"), self.url.partition("://")[2].partition(":")[0].rstrip("/")
        if clear and self.credentials is not None and host not in ("localhost", "127.0.0.1"):
            yield Fault(
                ("url",), "the login would go there in clear: use https://, or a registry on this machine (localhost)"
            )
        if clear and self.ca_file is not None:
            yield Fault(("ca_file",), "is for https:// alone, and `url` is http://")

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        return (self.url,)

    def native_name(self, repository: str) -> str:
        return repository

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        why = "this is up to the external registry's operator; remove it"
        fields = ("retention", "lifecycle_policy", "encryption")
        own_name = "is for AWS; in an external registry, name is the repository's own name"
        yield from each(
            *(refused(repository, field, why) for field in fields), refused(repository, "native_name", own_name)
        )
