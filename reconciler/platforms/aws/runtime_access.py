"""Access that programs give in repository policies, in every region of the registry.

ECR has no etag: what two writers write at once, the later one overwrites. So each reads again, a while after its write, and writes
again what is missing, until it is there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from reconciler.errors import PlatformError, UnsupportedAccess
from reconciler.model.address import Address
from reconciler.spec.models import Grant
from reconciler.words import all_of

from . import access, names, policy, runtime_statements, shared
from .access import AccessKind
from .issuing import IssuingSession
from .policy import Document
from .repository_listing import copies_of
from .runtime_statements import Given
from .target import AwsTarget

#: seconds after which a write is looked at: what others had read before it, they have written by then
SETTLING = 1.0
#: seconds in which a write is made again that others overwrite
PATIENCE = 60.0
_OPERATION = "access"


class RuntimeSession(IssuingSession):
    """A session that gives access at run time."""

    def given(self, repository: Address) -> Sequence[Grant]:
        found = runtime_statements.of_document(self._policy(repository) or {})
        return list(runtime_statements.grants_of(found, self.name, repository.name))

    def give(self, repository: Address, grant: Grant) -> None:
        new = self._of(grant)
        self._everywhere(repository, lambda given: given.with_(new))

    def take(self, repository: Address, grant: Grant) -> None:
        gone = self._of(grant)
        self._everywhere(repository, lambda given: given.without(gone))

    def _of(self, grant: Grant) -> Given:
        target = grant.to
        fields = runtime_statements.unfit(target) if isinstance(target, AwsTarget) else ["type"]
        if fields or grant.also:
            raise UnsupportedAccess(
                f"{all_of([*fields, *(['also'] if grant.also else [])])} can't be given at run time on AWS",
                address=self.name,
                operation=_OPERATION,
                hint="add a grant to the spec, and run `reconciler apply`",
            )
        return runtime_statements.of_grant(grant, self.registry)

    def _everywhere(self, repository: Address, changed: Callable[[Given], Given]) -> None:
        """In the home region, and in those of copies that are there."""
        for at in (*copies_of(self.registry, repository.name), repository):
            self._change(at.sibling(AccessKind.name), changed, needed=not at.where)

    def _change(self, at: Address, changed: Callable[[Given], Given], *, needed: bool) -> None:
        """Writes a policy as somebody changes what was given in it, until it reads so. `needed`: whether it is an error that its
        repository is not there."""
        end, written, pause = time.monotonic() + PATIENCE, False, SETTLING
        while True:
            document = self._policy(at) or {}
            before = runtime_statements.of_document(document)
            after = changed(before)
            if after == before:
                return
            if time.monotonic() > end:
                raise PlatformError(
                    "others write the repository policy again and again",
                    address=at,
                    operation="ecr:SetRepositoryPolicy",
                    hint="try again; is something else writing all of it?",
                )
            if not self._set(
                at, runtime_statements.merged(document, after, names.partition(self.registry.region)), needed
            ):
                return
            time.sleep(pause + random.uniform(0, pause if written else SETTLING / 2))  # noqa: S311 - so that writers part
            written, pause = True, min(2 * pause, 8.0)

    def _policy(self, at: Address) -> Document | None:
        return access.read(self, at)

    def _set(self, at: Address, document: Document, needed: bool) -> bool:
        """Whether the repository was there."""
        gone = () if needed else ("RepositoryNotFoundException",)
        if not policy.statements_of(document):
            self.repository_call("delete_repository_policy", at, absent=access.GONE)
            return True
        text = shared.text_of(document)
        if len(text) > shared.MAX_POLICY:
            raise UnsupportedAccess(
                f"the repository policy would have {len(text):,} characters; ECR allows at most {shared.MAX_POLICY:,}",
                address=at,
                operation=_OPERATION,
                hint="give access to accounts instead of their roles, or take back what nobody needs",
            )
        return self.repository_call("set_repository_policy", at, absent=gone, policyText=text) is not None
