"""The plan file: a plan as versioned JSON, the same bytes for the same inputs.

What a plan says in words is computed from what will be written, again on load (`plan_again.py`): a file that says something else is
refused. Values from the environment are not in the file, and paths in it start from its own folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from json import JSONDecodeError
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from pydantic import JsonValue, ValidationError

from reconciler.errors import PlatformError, ReconcilerError
from reconciler.model.access import ForeignAccess
from reconciler.model.canonical import plain, text
from reconciler.model.change import Action, Cause, Change, FieldChange
from reconciler.model.platform import Platforms
from reconciler.model.resource import Live
from reconciler.spec.messages import first_sentence
from reconciler.spec.source import bytes_of, name_of, real_folder_of
from reconciler.spec.variables import NAME, REFERENCE, hidden, proof, revealed
from reconciler.words import DISTRIBUTION
from reconciler.words import value as in_words

from .order import going_with
from .plan import Plan
from .plan_again import again
from .plan_document import FORMAT, PlanDocument
from .plan_parts import Loading

#: what can't be anybody's secret, since it stands in every plan file: it is never replaced by a reference
_WORDS = frozenset({*Action, *Cause, "spec", "runtime", "registry", "repository", "grant"})


_SAVES = "`reconciler plan --out FILE` saves one"
_DEEP = "it is nested hundreds of levels deep"


def tool_version() -> str:
    """This package's version."""
    return version(DISTRIBUTION)


def dumps(plan: Plan, folder: str | Path = ".") -> str:
    """The plan file's text: JSON, ending in a newline. `folder`: where the file will be saved."""
    document = _document(plan, folder)
    words = {*_WORDS, *(item.platform for item in plan.registries), *(change.kind for change in plan.changes)}
    head = {name: document.pop(name) for name in ("format", "tool", "spec_hash", "variables")}
    if plan.variables or REFERENCE in text(document):
        document = hidden(document, plan.variables, words)
    parts = head | document
    return (
        json.dumps(
            {name: parts[name] for name in _ORDER if name in parts}, indent=1, ensure_ascii=False, sort_keys=False
        )
        + "\n"
    )


_ORDER = tuple(PlanDocument.model_fields)


def _document(plan: Plan, folder: str | Path) -> dict[str, Any]:
    """The document with all values as they are."""
    basis, here = plan.basis, os.path.realpath(folder)
    base = os.path.realpath(plan.base or ".")
    going = going_with(plan.changes)
    return {
        "format": FORMAT,
        "tool": tool_version(),
        "owner": plan.owner,
        "spec_hash": plan.spec_hash,
        "base": os.path.relpath(base, here),
        "variables": {name: proof(name, value, plan.spec_hash) for name, value in sorted(plan.variables.items())},
        "registries": [
            registry.model_dump(mode="json", by_alias=True, exclude_defaults=True) for registry in plan.registries
        ],
        **(
            {"clusters": [item.model_dump(mode="json", exclude_defaults=True) for item in plan.clusters]}
            if plan.clusters
            else {}
        ),
        "where": {
            **{item.name: " ".join((item.platform, *item.place(base, here))) for item in plan.registries},
            **{f"cluster {item.name}": " ".join(item.place(base, here)) for item in plan.clusters},
        },
        **({"examples": {name: list(found) for name, found in sorted(plan.examples.items())}} if plan.examples else {}),
        **({"places": {name: dict(known) for name, known in sorted(plan.places.items())}} if plan.places else {}),
        "changes": [_change(change, going) for change in plan.changes],
        "graph": plain(plan.graph),
        "basis": {
            "rules": basis.rules.model_dump(mode="json", exclude_defaults=True),
            "owned": basis.owned,
            "destroy": basis.destroy,
            "allow_delete": list(basis.allow_delete),
            **({"allow": list(basis.allow)} if basis.allow else {}),
            "granted": [{"address": address, "access": plain(access)} for address, access in basis.granted],
            "required": plain(basis.required),
            "beside": list(map(_addressed, basis.beside)),
            "reaching": list(map(_addressed, basis.reaching)),
            "pushers": [{"address": address, "who": list(who)} for address, who in basis.pushers],
            **({"sharing": list(map(_addressed, basis.sharing))} if basis.sharing else {}),
        },
        "guards": plain(plan.verdicts),
        "problems": plain(plan.problems),
        "foreign": plain(_without_advice(plan.foreign)),
        "unowned": dict(plan.unowned),
        "nobodys": {name: list(found) for name, found in plan.nobodys.items()},
        "runtime": list(plan.runtime),
        "unchanged": plan.unchanged,
        "left_out": plan.left_out,
        "warnings": list(plan.warnings),
        "unclear": dict(plan.unclear),
    }


def _change(change: Change, going: Collection[str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "action": change.action.value,
        "address": change.address,
        "kind": change.kind,
        "cause": change.cause.value,
        "fingerprint": change.fingerprint,
        "fields": [_field(item) for item in change.fields],
    }
    if change.desired is not None:
        wanted = change.desired
        document["desired"] = {
            "settings": plain(wanted.settings),
            "needs": list(wanted.needs),
            "parent": wanted.parent,
            "source": plain(wanted.source),
        }
        # of what it takes the place of, what goes: the order hangs on it
        if there := sorted(at for at in wanted.instead_of if at in going):
            document["desired"]["instead_of"] = there
    if change.live is not None:
        document["live"] = _live(change.live)
    for name in ("needs", "along", "images", "force", "gains", "losses", "foreign", "notes", "native_name", "expiring"):
        value = _without_advice(change.foreign) if name == "foreign" else getattr(change, name)
        if value is not None and value is not False and value != ():  # 0 images is something to know
            document[name] = plain(value)
    return document


def _without_advice(found: Iterable[ForeignAccess]) -> tuple[ForeignAccess, ...]:
    """Without the commands that remove it: nothing says of a file's whether they are ours. What is taken over is not there."""
    return tuple(replace(item, removal="", place=None) for item in found)


def _field(item: FieldChange) -> dict[str, Any]:
    document = {"path": item.path, "old": item.old, "new": item.new}
    return document | {name: value for name in ("theirs", "said") if (value := getattr(item, name))}


def _addressed(live: Live) -> dict[str, Any]:
    return {"address": live.address, "kind": live.kind, **_live(live)}


def _live(live: Live) -> dict[str, Any]:
    return {
        "settings": plain(live.settings),
        "native": live.native,
        **plain(live.marks),
        "needs": list(live.needs),
        "parent": live.parent,
        "rest": live.rest,
        "vacant": live.vacant,
        **({"owed": True} if live.owed else {}),
        "notes": list(live.notes),
        **({"stands_at": live.stands_at} if live.stands_at is not None else {}),
        **({"version": live.version} if live.version else {}),
    }


def is_plan(data: bytes) -> bool:
    """Whether the bytes are a plan file's rather than a spec's (which may be JSON too): it has a format and changes."""
    if not data.lstrip().startswith(b"{"):
        return False
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return b'"format"' in data[:100]  # as `dumps` begins: cut off, or too deep
    return isinstance(document, dict) and document.keys() >= {"format", "changes"}


def read(path: Path, *, platforms: Platforms, environ: Mapping[str, str] | None = None) -> Plan:
    """The plan in a file, or on standard input (`-`). Raises ReconcilerError if it can't be read, as `loads` does."""
    try:
        data = bytes_of(path)
    except OSError as error:
        raise ReconcilerError(f"{name_of(path)} can't be read: {error.strerror}") from None
    return loads(data, name_of(path), platforms=platforms, folder=real_folder_of(path), environ=environ)


def loads(
    data: str | bytes,
    name: str = "the plan",
    *,
    platforms: Platforms,
    folder: str | Path = ".",
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """The plan in a plan file's text. `platforms`: the catalog, which knows registries and kinds. `folder`: where the file stands.
    `environ`: what the spec's `${env:NAME}` are taken from again (the process's environment if None).

    Raises ReconcilerError if it is not a plan file, has another format or a platform that this build does not have; if a
    variable is not set or has changed; or if it says something else than it would write.
    """
    found = _parsed(data, name)
    try:
        variables = _variables(found, name, os.environ if environ is None else environ)
        if REFERENCE in (data if isinstance(data, str) else data.decode()):  # no walk through a large plan for nothing
            found = revealed(found, variables)
        loading = Loading(PlanDocument[dict[str, JsonValue]].model_validate(found), platforms, folder, variables)
        said = loading.plan()
    except ValidationError as error:
        _damaged(name, first_sentence(error))
    except ValueError as error:
        _damaged(name, str(error))
    except RecursionError:  # fewer levels than the parser takes
        _damaged(name, _DEEP)
    except PlatformError as error:
        raise ReconcilerError(f"{name}: {error}") from None
    try:
        plan = again(said, loading.kinds)
        wrong = _contradiction(found, _document(plan, folder))
    except ValueError as error:
        _damaged(name, str(error))
    except Exception as error:  # the settings are none that a kind would have made, so any of its functions may fail
        _damaged(name, f"it can't be recomputed ({type(error).__name__})")
    if wrong and found["tool"] != tool_version():
        raise ReconcilerError(
            f"{name} was made by version {found['tool']!r:.40}, and this is {tool_version()}, which computes it differently"
            f" ({wrong}); make a new plan"
        )
    if wrong:
        _damaged(name, wrong)
    return plan


def _parsed(data: str | bytes, name: str) -> dict[str, Any]:
    """The JSON object. Raises ReconcilerError."""
    try:
        found = json.loads(data, parse_constant=_no_number, parse_float=_number, object_pairs_hook=_object)
        text(found).encode()
    except RecursionError:
        _damaged(name, _DEEP)
    except ValueError as error:
        if str(data[:1]) not in ("{", "b'{'"):
            raise ReconcilerError(f"{name} is not a plan file, which is JSON; {_SAVES}") from None
        at = f"not JSON at line {error.lineno}, column {error.colno}" if isinstance(error, JSONDecodeError) else error
        raise ReconcilerError(f"{name} is not a plan file: {at}") from None
    if not isinstance(found, dict) or "format" not in found:
        raise ReconcilerError(f"{name} is not a plan file: it does not say its `format`; {_SAVES}")
    kind = found["format"]
    if type(kind) is not int or kind != FORMAT:
        raise ReconcilerError(
            f"{name} is not a plan file of format {FORMAT} (its format is {in_words(kind):.40}); make a new plan"
        )
    return found


def _number(literal: str) -> float:
    value = float(literal)
    return value if isfinite(value) else _no_number(literal)


def _no_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal:.40} is not a valid number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _variables(found: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables that the spec took values from. Raises ReconcilerError if any is not what it was."""
    proofs, salt = found.get("variables", {}), found.get("spec_hash")
    if not (
        isinstance(proofs, dict)
        and all(map(NAME.fullmatch, proofs))
        and isinstance(salt, str)
        and all(isinstance(item, str) for item in proofs.values())
    ):
        raise ValueError("variables: must map names to hashes")
    missing = sorted(item for item in proofs if item not in environ)
    changed = sorted(item for item in proofs if item in environ and proof(item, environ[item], salt) != proofs[item])
    wrong = [f"the environment variable {item} is not set, and the spec uses it" for item in missing]
    wrong += [
        f"the environment variable {item} has changed since the plan was made: make a new plan, or set it back"
        for item in changed
    ]
    if wrong:
        raise ReconcilerError("\n".join(f"{name}: {line}" for line in wrong))
    return {item: environ[item] for item in proofs}


def _damaged(name: str, reason: str) -> NoReturn:
    # what the file says may be anything: it must not look like lines of ours
    told = "".join(letter if letter.isprintable() else "\ufffd" for letter in reason)
    raise ReconcilerError(f"{name} is damaged: {told:.500}; make a new plan") from None


def _contradiction(found: Mapping[str, Any], computed: Mapping[str, Any]) -> str:
    """How a document differs from what is computed of it, in words; "" if it does not."""
    for name, value in computed.items():
        if name == "tool" or name not in found or text(found[name]) == text(value):
            continue
        if name != "changes":
            return f"'{name}' does not follow from the rest of it"
        for said, meant in zip(found[name], value, strict=True):
            for part in sorted(said.keys() | meant.keys()):
                if text(said.get(part)) != text(meant.get(part)):
                    return f"{meant['address']}: '{part}' does not follow from what would be written"
    return ""
