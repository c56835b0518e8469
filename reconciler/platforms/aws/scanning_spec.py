"""How a registry's images are scanned for vulnerabilities, in the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Model, Text, each, repeated

ON_PUSH, CONTINUOUS = "SCAN_ON_PUSH", "CONTINUOUS_SCAN"
#: of each frequency: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_RegistryScanningRule.html
MAX_FILTERS = 100
#: how a note of ours names a frequency
LETTERS = {ON_PUSH: "p", CONTINUOUS: "c"}
#: how it names what others scan so where ours scan the same in the other way
BESIDE = {ON_PUSH: "o", CONTINUOUS: "k"}
#: characters that the value of a tag can have, less those of the mark that stands before the filters
MAX_NOTED = 256 - 24
#: a frequency and a filter
Entry = tuple[str, str]
Filter = Annotated[
    str,
    Text(
        r"[a-z0-9*](?:[._/a-z0-9*-]?[a-z0-9*]+)*",
        "a repository name as ECR has it, with * for any text",
        255,
    ),
]


def noted(entries: Iterable[Entry], theirs: Collection[Entry] = ()) -> list[str]:
    """Filters as a tag says them: `p:images-+`, since no tag may hold a *, and no filter a +. `theirs`: those that others had before,
    `P:images-+`."""
    return [
        f"{LETTERS[entry[0]].upper() if entry in theirs else LETTERS[entry[0]]}:{entry[1].replace('*', '+')}"
        for entry in sorted(entries)
    ]


class Scanning(Model):
    """How the account scans images in the registry's regions, and which."""

    type: Literal["basic", "enhanced"] = Field(
        description="ECR's own scanner, or Amazon Inspector, which costs money. An account has one type in a region."
    )
    on_push: tuple[Filter, ...] | None = Field(
        None,
        description="Names of ECR repositories whose images are scanned when they are pushed. Default: with basic, all of the"
        " registry's.",
    )
    continuous: tuple[Filter, ...] | None = Field(
        None,
        description="Names of ECR repositories whose images are scanned again when new vulnerabilities are known; only with enhanced."
        " Default: with enhanced, all of the registry's, unless on_push is given.",
    )

    @property
    def by_prefix(self) -> bool:
        """Whether it says nothing of names, so that what begins with the registry's prefix is scanned."""
        return self.on_push is None and self.continuous is None

    def filters(self, prefix: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is scanned on push, and what all the time. `prefix`: what the registry's names begin with."""
        on_push, continuous = self.on_push or (), self.continuous or ()
        if self.by_prefix:
            everything = (f"{prefix}*",)
            return (everything, ()) if self.type == "basic" else ((), everything)
        return on_push, continuous

    def entries(self, prefix: str) -> frozenset[Entry]:
        """Each filter with its frequency."""
        on_push, continuous = self.filters(prefix)
        return frozenset((ON_PUSH, item) for item in on_push).union((CONTINUOUS, item) for item in continuous)

    def size_of_note(self, prefix: str) -> int:
        """How many characters the filters have in a tag."""
        return len(" ".join(noted(self.entries(prefix))))

    def faults(self) -> Iterator[Fault]:
        lists = (name for name in ("on_push", "continuous") if getattr(self, name) is not None)
        yield from each(*(repeated(self, name) for name in lists), self._filter_faults())

    def _filter_faults(self) -> Iterator[Fault]:
        if self.type == "basic" and self.continuous:
            yield Fault(("continuous",), "needs type: enhanced; basic scanning is on push")
        for name, found in (("on_push", self.on_push or ()), ("continuous", self.continuous or ())):
            if len(found) > MAX_FILTERS:
                yield Fault((name,), f"ECR allows at most {MAX_FILTERS} filters")
            for index, item in enumerate(found):
                if "*" not in item:
                    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-filters.html
                    yield Fault(
                        (name, index), f"without a *, ECR takes it for every name that contains it: write '*{item}*'"
                    )
        for index, item in enumerate(self.continuous or ()):
            if item in (self.on_push or ()):
                yield Fault(("continuous", index), f"'{item}' is in on_push too")
