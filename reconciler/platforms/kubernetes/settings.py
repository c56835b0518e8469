"""What a pull secret and its links are, as values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reconciler.model.access import Access, Principal
from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.spec.models import Grant, Spec
from reconciler.spec.registry import RegistryBase

from .login_document import TYPE
from .spec import KubernetesTarget, secret_name

#: where these things are
CLUSTER = "a cluster"
#: what the login of a secret is that needs nothing done
GOOD = "good"


@dataclass(frozen=True, slots=True)
class SecretSettings:
    """A pull secret. `secret`: its name in its namespace. `identity`: who logs in by it. `login`: GOOD, or what is wrong with the one
    that it holds, in words. `noted`: whether the cluster's notes have it. `immutable`: whether a hand has made it so, and
    its login can't be changed therefore."""

    secret: str
    identity: str
    login: str = GOOD
    type: str = TYPE
    noted: bool = True
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """That a service account names a pull secret, so that pods made with it have that. `secret`: its name, "" if it is not named."""

    secret: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pull secret or a link is. `account`: the service account; "" of a secret."""

    cluster: str
    namespace: str
    grant: str
    account: str = ""

    @classmethod
    def of(cls, at: Address) -> Place | None:
        """The place of an address; None if it is none of such a thing."""
        parts = at.name.split("/")
        whole = len(parts) == (4 if at.kind == LINK else 3) and all(parts) and not at.where
        return cls(*parts) if whole else None

    def secret_of(self, owner: str) -> str:
        """What a spec calls the secret."""
        return secret_name(owner, self.grant)

    def secret_at(self, registry: str) -> Address:
        """The address of the secret."""
        return Address.of(registry, SECRET, f"{self.cluster}/{self.namespace}/{self.grant}")

    def pulls(self, registry: str) -> Access:
        """What whoever pulls by it can do with the registry, where its login is not narrower: the service account, or of a secret
        whoever uses that."""
        secret = f"{SECRET} {self.cluster}/{self.namespace}/{self.grant}"
        who = f"service account {self} in cluster {self.cluster}" if self.account else f"whoever uses {secret}"
        return Access(Principal(who), "pull all repositories of the registry", registry, "")

    @property
    def service_account(self) -> tuple[str, str, str]:
        """The cluster, namespace and name of a link's service account."""
        return self.cluster, self.namespace, self.account

    def account_in(self, registry: str) -> Address:
        """Of a link, where it stands by whichever grant of a registry: what gives access to another one takes nobody's place."""
        return Address.of(registry, LINK, f"{self.cluster}/{self.namespace}/{self.account}")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.account}" if self.account else self.namespace


#: the kinds, as addresses have them
SECRET, LINK = "pull-secret", "link"


def nobody(registry: str, grant: str) -> tuple[Address, ...]:
    """What must be there before anybody can log in by a grant, where that is nothing of the spec's."""
    return ()


def desired(
    spec: Spec,
    registry: RegistryBase,
    identity: Callable[[Grant], str],
    needs: Callable[[str, str], tuple[Address, ...]] = nobody,
    chosen: Callable[[Grant], bool] = lambda grant: True,
) -> Iterator[Desired]:
    """What the grants to clusters on a registry become: in each namespace a secret, and a link for each service account.

    `identity`: who logs in by a grant's secrets, in words. `needs`: by registry and grant, what must be there before they can.
    `chosen`: whether a grant becomes anything.
    """
    for grant in sorted(spec.grants, key=lambda item: item.name):
        if grant.registry != registry.name or not isinstance(grant.to, KubernetesTarget) or not chosen(grant):
            continue
        source = spec.source(registry.name, None, (grant,))
        settings = SecretSettings(secret_name(spec.name, grant.name), identity(grant))
        others = [item.name for item in spec.registries if item.name != registry.name]
        for namespace in sorted(grant.to.namespaces):
            at = Address.of(registry.name, SECRET, f"{grant.to.cluster}/{namespace}/{grant.name}")
            # a grant has one secret, in whichever registry it is: what that was in another one goes after this
            yield Desired(
                at, SECRET, settings, needs(registry.name, grant.name), source=source, instead_of=_in(others, at)
            )
            for account in sorted(grant.to.service_accounts):
                link = Address.of(registry.name, LINK, f"{at.name}/{account}")
                there = Place(grant.to.cluster, namespace, grant.name, account).account_in(registry.name)
                before = (there, *_in(others, link))
                yield Desired(link, LINK, LinkSettings(settings.secret), (at,), source=source, instead_of=before)


def _in(registries: Iterable[str], at: Address) -> tuple[Address, ...]:
    """What is called the same in these registries."""
    return tuple(Address.of(name, at.kind, at.name) for name in registries)
