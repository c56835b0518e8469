"""From the one tree of all files to a Spec: validates every part, and reports everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any, Generic, Literal, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from yaml import MappingNode, SequenceNode

from reconciler.errors import Problem
from reconciler.places import Place
from reconciler.words import did_you_mean

from . import rules
from .fields import Fault, RegistryName
from .left_out import LeftOut
from .messages import IS_REQUIRED, problems_of, untagged
from .models import Defaults, Guards, Spec
from .partial import in_text, meant_model, partial
from .repository import Repository, RepositoryDefaults, merge_defaults
from .source import Loc, exists, locate, path_text, place_of, problem_at

#: the sections of a spec that are lists
LISTS = ("registries", "repositories", "grants", "clusters")
_KEYS = tuple(Spec.model_fields)
#: what the top level of a plan file has, and no spec
_PLAN = {"format", "changes"}
_PlaceKind = Literal["registry", "repository", "grant", "cluster"]
S = TypeVar("S", bound=Spec)


@cache
def _adapter(model: type[Spec], section: str) -> tuple[Any, TypeAdapter[Any]]:
    """The type of a section's rows, and what validates one."""
    row = get_args(model.model_fields[section].annotation)[0]
    return row, TypeAdapter(row)


class _Named(BaseModel):
    """What every registry has."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    name: RegistryName


class Known:
    """What rows of a valid spec say, so that the same rows of another one need not be validated again."""

    def __init__(self, spec: Spec, values: Mapping[str, Any]) -> None:
        self.defaults = values.get("defaults")
        self._items = {
            (section, _identity(row)): (row, item)
            for section in LISTS
            for row, item in zip(values.get(section) or (), getattr(spec, section), strict=True)
        }

    def item(self, section: str, row: Any) -> Any:
        """What a row says, if it stands in the other spec too; else None."""
        there = self._items.get((section, _identity(row))) if isinstance(row, dict) else None
        return there[1] if there is not None and _same(there[0], row) else None


def _in_both(known: Known, values: Mapping[str, Any]) -> dict[tuple[str, int], Any]:
    """What rows say that stand in another spec too, by section and index; with other defaults they may say something else."""
    if not _same(known.defaults, values.get("defaults")):
        return {}
    rows = ((section, values.get(section)) for section in LISTS)
    return {
        (section, index): item
        for section, found in rows
        for index, row in enumerate(found if isinstance(found, list) else ())
        if (item := known.item(section, row)) is not None
    }


def _identity(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("registry")), str(row.get("name"))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; 1 is none of true and 1.0."""
    if one != other or type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return all(_same(item, other[key]) for key, item in one.items())
    return not isinstance(one, list) or all(map(_same, one, other))


class Validation(Generic[S]):
    """One validation of one tree. Items are validated one by one, so that one wrong item hides no other's errors.

    `spec()` gives the Spec, or None once all that is wrong stands in `problems`.
    """

    def __init__(
        self,
        model: type[S],
        root: MappingNode,
        values: dict[str, Any],
        problems: list[Problem],
        base: str,
        *,
        whole: bool,
        known: Known | None = None,
    ) -> None:
        self.model = model
        self.root = root
        self.values = values
        self.problems = problems
        self.base = base
        #: whether all of the spec could be read: what is missing may stand where it could not
        self.whole = whole
        #: what rows say that stand in another spec too, which is valid
        self.same = _in_both(known, values) if known is not None else {}
        #: where the items of lists of which only some are valid stand in the text, and what their models find wrong
        self.indexes: dict[Loc, list[int]] = {}
        self.own_faults: list[Fault] = []
        #: what the defaults ask for and a platform does not have, in words
        self.left_out: tuple[str, ...] = ()
        self.taken = {(problem.file, problem.line, problem.column) for problem in problems}

    def note(self, problem: Problem) -> None:
        # a value that is already known to be wrong (a variable that is not set, say) is not reported again
        if (problem.file, problem.line, problem.column) not in self.taken:
            self.problems.append(problem)

    def spec(self) -> S | None:
        if self.values.keys() >= _PLAN:
            name = str(self.root.start_mark.name)
            self.note(
                problem_at(
                    self.root,
                    "",
                    f"is a plan file, not a spec: `reconciler show {name}` prints it, `reconciler apply {name}` applies it",
                )
            )
            return None
        for key in self.values:
            if key not in _KEYS:
                node = locate(self.root, (key,), key=True)
                self.note(problem_at(node, key, f"unknown key{did_you_mean(key, _KEYS) or _known()}"))
        head = {key: self.values[key] for key in ("version", "name") if key in self.values}
        if self.whole or {"version", "name"} <= head.keys():
            self.item(self.model, head, ())
        given = {key: {} if self.values.get(key) is None else self.values[key] for key in ("guards", "defaults")}
        if (
            isinstance(given["guards"], dict) and "include" in given["guards"]
        ):  # merged into it: what names no file is left out here
            self.note(
                problem_at(locate(self.root, ("guards", "include")), "guards.include", "must stand in guards itself")
            )
        guards = self.item(Guards, given["guards"], ("guards",)) or Guards()
        under = given["defaults"]
        defaults = (
            self.item(Defaults, under, ("defaults",)) or self.left_of(Defaults, under, ("defaults",)) or Defaults()
        )
        parts = self.parts(defaults)
        for fault in chain(self.own_faults, rules.faults(parts)):
            fault = replace(fault, loc=in_text(fault.loc, self.indexes))
            # an unknown label is at its key; everything else is at its value
            node = locate(self.root, fault.loc, key="labels" in fault.loc[-2:-1])
            self.note(problem_at(node, path_text(fault.loc), fault.message))
        if self.problems:
            return None
        spec = self.model.model_construct(
            version=1,
            name=head["name"],
            defaults=defaults,
            guards=guards,
            registries=tuple(parts.registries.values()),
            repositories=tuple(parts.repositories.values()),
            grants=tuple(parts.grants.values()),
            clusters=tuple(parts.clusters.values()),
        )
        spec._places = self.places(parts)
        spec._base = self.base
        spec._left_out = self.left_out
        return cast(S, spec)

    def item(self, model: type[BaseModel], value: Any, at: Loc) -> Any:
        return self.validated(model, model.model_validate, value, at)

    def validated(self, row: Any, validate: Callable[[Any], Any], value: Any, at: Loc, fallback: Loc = ()) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            for problem in problems_of(error, row, self.root, at, fallback):
                self.note(problem)
            for loc, key, models in untagged(error, row):
                self.guessed(models, key, value, loc, at)
            return None

    def guessed(self, models: list[type[BaseModel]], key: str, value: Any, loc: Loc, at: Loc) -> None:
        """Reports what else is wrong with a value below a row that does not say, or says wrong, which of these models it is of. What
        it lacks is not known."""
        for part in loc:
            value = value[part]
        found = meant_model(models, key, value)
        if found is None:
            return
        model, tag = found
        try:
            model.model_validate({**value, key: tag})
        except ValidationError as error:
            for problem in problems_of(error, model, self.root, (*at, *loc)):
                if problem.message != IS_REQUIRED:
                    self.note(problem)

    def rows(self, section: str) -> list[tuple[int, Any]]:
        value = self.values.get(section)
        if value is None:
            return []
        if not isinstance(value, list):
            self.note(problem_at(locate(self.root, (section,)), section, "must be a list"))
            return []
        return list(enumerate(value))

    def parts(self, known: Defaults) -> rules.Parts:
        defaults = self.values.get("defaults")
        under = defaults.get("repository") if isinstance(defaults, dict) else None
        under = under if isinstance(under, dict) else {}
        registry_rows, repository_rows, grant_rows, cluster_rows = (self.rows(section) for section in LISTS)
        self.unique("registries", registry_rows, ("name",))
        self.unique("repositories", repository_rows, ("registry", "name"))
        self.unique("grants", grant_rows, ("name",))
        self.unique("clusters", cluster_rows, ("name",))
        repositories = [
            (
                index,
                merge_defaults(under, row)
                if isinstance(row, dict) and not self.is_known("repositories", index)
                else row,
            )
            for index, row in repository_rows
        ]
        registries = self.valid("registries", registry_rows)
        found = self.valid("repositories", repositories, ("defaults", "repository"))
        left_out = LeftOut(under, _adapter(self.model, "repositories")[1])
        homes = {item.name: item for item in registries.values() if "name" in item.__dict__}
        for index, row in repository_rows:
            if index in found and isinstance(row, dict) and (home := homes.get(str(row.get("registry")))) is not None:
                found[index] = left_out.of(home, row, found[index])
        self.left_out = tuple(left_out.notes())
        names: dict[str, set[str]] = {}
        for _, row in repositories:
            if isinstance(row, dict) and isinstance(row.get("registry"), str) and isinstance(row.get("name"), str):
                names.setdefault(row["registry"], set()).add(row["name"])
        return rules.Parts(
            registries=registries,
            repositories=found,
            grants=self.valid("grants", grant_rows),
            clusters=self.valid("clusters", cluster_rows),
            cluster_names=frozenset(str(row.get("name")) for _, row in cluster_rows if isinstance(row, dict)),
            all_clusters=self.whole and _all_named(self.values.get("clusters"), "name"),
            registry_names=frozenset(str(row.get("name")) for _, row in registry_rows if isinstance(row, dict)),
            repository_names={registry: frozenset(found) for registry, found in names.items()},
            name=str(self.values.get("name") or ""),
            base=self.base,
            defaults=known.__dict__.get("repository", RepositoryDefaults()),
            all_registries=self.whole and _all_named(self.values.get("registries"), "name"),
            all_repositories=self.whole and _all_named(self.values.get("repositories"), "name"),
            checked=self.checked(),
        )

    def is_known(self, section: str, index: int) -> bool:
        """Whether a row stands in the other spec too."""
        return (section, index) in self.same

    def checked(self) -> frozenset[int]:
        """The indexes of repositories that need not be checked again: they and their registries stand in the other spec too."""
        rows = self.values.get("registries") or ()
        same = {row["name"] for index, row in enumerate(rows) if self.is_known("registries", index)}
        return frozenset(
            index for (section, index), item in self.same.items() if section == "repositories" and item.registry in same
        )

    def valid(self, section: str, rows: list[tuple[int, Any]], fallback: Loc = ()) -> dict[int, Any]:
        row_type, adapter = _adapter(self.model, section)
        found: dict[int, Any] = {}
        for index, row in rows:
            at = (section, index)
            if (same := self.same.get((section, index))) is not None:
                found[index] = same
                continue
            item = self.validated(row_type, adapter.validate_python, row, at, fallback)
            if item is None:
                item = self.left_of(row_type, row, at)
            if item is not None:
                found[index] = item
        return found

    def left_of(self, row_type: Any, row: Any, at: Loc) -> Any:
        """What is valid of a row that is not, for the rules between the parts."""
        part = partial(row_type, row)
        if part.item is None and at[0] == "registries" and isinstance(row, dict):
            self.item(_Named, row, at)  # on whichever platform it is, it needs a name
        self.indexes |= {(*at, *loc): indexes for loc, indexes in part.indexes.items()}
        found = [replace(fault, loc=(*at, *fault.loc)) for fault in part.faults]
        self.own_faults += (fault for fault in found if exists(self.root, fault.loc))  # else it is the defaults'
        return part.item

    def unique(self, section: str, rows: list[tuple[int, Any]], keys: tuple[str, ...]) -> None:
        first: dict[tuple[Any, ...], int] = {}
        for index, row in rows:
            identity = tuple(row.get(key) for key in keys) if isinstance(row, dict) else ()
            if not identity or not all(isinstance(part, str) for part in identity):
                continue
            if identity in first:
                here = locate(self.root, (section, index, "name"))
                there = locate(self.root, (section, first[identity], "name"))
                self.note(
                    problem_at(
                        here,
                        path_text((section, index, "name")),
                        f"'{identity[-1]}' is defined twice: here and at {place_of(there)}",
                    )
                )
            first.setdefault(identity, index)

    def places(self, parts: rules.Parts) -> dict[tuple[str, str], Place]:
        sections: tuple[tuple[_PlaceKind, str, Mapping[int, Any]], ...] = (
            ("registry", "registries", parts.registries),
            ("repository", "repositories", parts.repositories),
            ("grant", "grants", parts.grants),
            ("cluster", "clusters", parts.clusters),
        )
        found: dict[tuple[str, str], Place] = {}
        for kind, section, items in sections:
            node = next((value for key, value in self.root.value if key.value == section), None)
            if not isinstance(node, SequenceNode):
                continue
            for index, item in items.items():
                name = f"{item.registry}/{item.name}" if isinstance(item, Repository) else item.name
                mark = node.value[index].start_mark
                found[kind, name] = Place(kind, name, str(mark.name), mark.line + 1, mark.column + 1)
        return found


def _all_named(rows: Any, key: str) -> bool:
    """Whether every row of a section has a name, right or wrong."""
    return rows is None or (
        isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get(key), str) for row in rows)
    )


def _known() -> str:
    return f" (known: {', '.join(_KEYS)})"
