"""External registries in the spec: registries that somebody else runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.cluster import Namespace, ObjectName
from reconciler.spec.fields import Fault, Model, RegistryName, Text, each
from reconciler.spec.registry import RegistryBase, refused
from reconciler.spec.repository import Repository

Url = Annotated[str, Text(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?", "an http(s) URL with no query")]
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
    docker_config: str | None = Field(None, min_length=1, description="The path of a docker config.json.")
    kubernetes_secret: SecretReference | None = Field(None, description="A secret of type dockerconfigjson.")

    def fault(self) -> str | None:
        if [self.env, self.docker_config, self.kubernetes_secret].count(None) != 2:
            return "give exactly one of env, docker_config and kubernetes_secret"
        return None


class ExternalRegistry(RegistryBase):
    """A registry that the cluster's operator runs; repositories appear there with the first push."""

    grant_types = ("kubernetes",)
    leaves_out = True
    whole_login = (
        "a grant to a cluster hands on the login that the registry has in this spec, whatever that may do there"
    )

    platform: Literal["external"] = Field(description="A registry that somebody else runs.")
    url: Url = Field(description="The registry's address.")
    credentials: LoginSource | None = Field(None, description="Where its login comes from. Default: anonymous access.")
    ca_file: str | None = Field(None, min_length=1, description="A private CA's certificates; TLS is always verified.")

    @property
    def named_cluster(self) -> tuple[tuple[str, ...], str] | None:
        secret = self.credentials.kubernetes_secret if self.credentials is not None else None
        return (("credentials", "kubernetes_secret", "cluster"), secret.cluster) if secret is not None else None

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
