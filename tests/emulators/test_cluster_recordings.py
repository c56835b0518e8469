"""The cluster that tests run against, and recorded exchanges with a newer one: ../shared/evidence/kubernetes, every request in order,
answers field by field."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster import Cluster, await_that, require, running
from tests.command_line import ROOT

EVIDENCE = ROOT.parent / "shared" / "evidence" / "kubernetes"
MISSING = f"NOT RUN: {EVIDENCE} is not here; the cluster of the tests is not compared with recorded exchanges"
#: in the order in which they were recorded, on one server. kubectl's and the Python client's are left out: they show clients
RECORDED = (
    "version-and-namespaces",
    "secret-crud",
    "secret-patch",
    "secret-invalid",
    "secret-immutable",
    "serviceaccount-pull-secrets",
    "serviceaccount-apply",
    "secret-apply",
    "dry-run",
    "rbac",
    "list-paging",
    "pod-admission",
)
#: what is the server's own or of its time
MOVING = ("managedFields", "creationTimestamp", "deletionTimestamp")
#: the fields whose values are names of the recorded run
NAMES = ("uid", "resourceVersion", "continue")
#: where requests and messages have a version
_VERSION = r'(?<="resourceVersion": ")\d+|(?<=ResourceVersion in record \()\d+'

#: the fields of an answer that the older server gives otherwise. Its words for the same
_WORDS = frozenset({".body.message"})
_CAUSES = _WORDS | {".body.details.causes[0].message"}
#: the newer one labels namespaces: https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name
_LABEL = frozenset({".body.metadata.labels"})
#: the newer one counts the generations of pods: https://www.kubernetes.dev/resources/keps/5067/
_GENERATION = frozenset({".body.metadata.generation"})
#: a list of metadata alone does not count what remains
_REMAINS = frozenset({".body.metadata.remainingItemCount"})
_BUILD = ("buildDate", "gitCommit", "gitTreeState", "gitVersion", "goVersion", "minor")
_SINCE = ("emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor")
OTHERWISE: Mapping[str, Set[str]] = {
    "version-and-namespaces: version": {f".body.{key}" for key in (*_BUILD, *_SINCE)},
    "version-and-namespaces: namespace": _LABEL,
    "version-and-namespaces: get it": _LABEL,
    "version-and-namespaces: delete a namespace (its finalizer keeps it Terminating)": _LABEL,
    "secret-invalid: data that isn't base64": _WORDS,
    "secret-invalid: over 1 MiB": _CAUSES,
    # the recording has cut its data off, which is a second cause
    "secret-invalid: annotations over 256 KiB": {".body.message", ".body.details.causes"},
    # fieldValidation came with 1.23, so that the older one makes the secret: kubernetes/enhancements#2885
    "secret-invalid: an unknown field, strict": {
        ".HTTP",
        *(f".body.{key}" for key in ("code", "data", "kind", "message", "reason", "status", "type")),
        *(f".body.metadata.{key}" for key in ("name", "namespace", "resourceVersion", "uid")),
    },
    "dry-run: another value": _CAUSES,
    "list-paging: the first three of seven": _REMAINS,
    "list-paging: the next three": _REMAINS,
    "list-paging: a selector that isn't one": _WORDS,
    "list-paging: a continue that isn't one": _WORDS,
    "pod-admission: a pod without pull secrets gets them": _GENERATION,
    "pod-admission: a pod with one of its own gets none of them": _GENERATION,
    "pod-admission: the running pod keeps what it was made with": _GENERATION,
    "pod-admission: and can't be changed": _CAUSES,
}


@dataclass
class Exchange:
    """A recorded request, and the answer to it. `note`: the recorder's."""

    note: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer: Any


def read(path: Path) -> Iterator[Exchange]:
    """The exchanges of a file."""
    for part in path.read_text().split("\n---\n"):
        notes = re.findall(r"^# (.*)$", part, re.MULTILINE)
        yield exchange(notes[-1], part)


def exchange(note: str, part: str) -> Exchange:
    """One exchange."""
    found = re.search(
        r"^(?P<method>[A-Z]+) (?P<path>/\S*)\n(?P<headers>(?:[\w-]+: [^\n]*\n)*)\n?(?P<body>.*?)\n*"
        r"^(?P<status>\d{3}) [A-Z][\w ]*\n(?P<answered>(?:[\w-]+: [^\n]*\n?)*)\n*(?P<answer>.*)\Z",
        part.strip(),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, part
    headers = dict(line.split(": ", 1) for line in found["headers"].splitlines())
    answer = json.loads(found["answer"]) if found["answer"].strip() else None
    return Exchange(note, found["method"], found["path"], headers, whole(found["body"]), int(found["status"]), answer)


def whole(body: str) -> str:
    """A body that was too long to be recorded, of its size."""
    cut = re.fullmatch(r"(?P<kept>.*)\n\.\.\. \((?P<size>\d+) bytes in all\)", body.strip(), re.DOTALL)
    if cut is None:
        return body
    kept = cut["kept"]
    head, quote, data = kept.rpartition('"')
    # base64, whose last group of four goes on and on; what it ends with closes the JSON in it
    data = data[: len(data) // 4 * 4]
    data += data[-4:] * ((int(cut["size"]) - len(head) - len(data)) // 4) + base64.b64encode(b'"}}}').decode()
    return head + quote + data + '"' + "}" * (kept.count("{") - kept.count("}"))


@dataclass
class Replay:
    """Sends recorded requests, with the names of this run in the place of those of then: uids, versions, where a list goes on."""

    cluster: Cluster
    http: httpx.Client
    names: dict[str, str] = field(default_factory=dict)

    def send(self, recorded: Exchange) -> httpx.Response:
        """What the server answers."""
        headers = {key: value for key, value in recorded.headers.items() if key != "Authorization"}
        if who := re.fullmatch(r"Bearer \$\{(\w+)\}", recorded.headers.get("Authorization", "")):
            headers["Authorization"] = f"Bearer {self.cluster.tokens.get(who[1], who[1])}"
        return self.http.request(
            recorded.method, self._now(recorded.path), headers=headers, content=self._now(recorded.body).encode()
        )

    def _now(self, text: str) -> str:
        text = re.sub(_VERSION, lambda found: self.names.get(f"resourceVersion {found[0]}", found[0]), text)
        for name, now in self.names.items():
            kind, _, then = name.partition(" ")
            text = text if kind == "resourceVersion" else text.replace(then, now)
        return text

    def differences(self, then: Any, now: Any, at: str = "") -> Iterator[tuple[str, str]]:
        """Where an answer differs from what it was, and how, but for names, which are learnt."""
        if isinstance(then, dict) and isinstance(now, dict):
            for key in sorted({*then, *now} - set(MOVING)):
                if key in NAMES and isinstance(then.get(key), str) and isinstance(now.get(key), str):
                    known = self.names.setdefault(f"{key} {then[key]}", now[key]) if then[key] else ""
                    if known != now[key]:
                        yield f"{at}.{key}", f"{known!r} in the place of {then[key]!r} until now, and here {now[key]!r}"
                else:
                    yield from self.differences(then.get(key), now.get(key), f"{at}.{key}")
        elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
            for number, (one, other) in enumerate(zip(then, now, strict=True)):
                yield from self.differences(one, other, f"{at}[{number}]")
        elif (self._now(then) if isinstance(then, str) else then) != now:
            yield at, f"{str(then)[:300]!r} was, {str(now)[:300]!r} is"


@pytest.mark.slow
def test_a_recorded_exchange_is_answered_as_then(tmp_path: Path) -> None:
    if not EVIDENCE.exists():
        pytest.skip(MISSING)
    require()
    found: dict[str, dict[str, str]] = {}
    with running(tmp_path / "cluster") as cluster, cluster.http("") as http:
        http.headers["User-Agent"] = "recorder"
        prepare(cluster)
        replay = Replay(cluster, http)
        for name in RECORDED:
            for recorded in read(EVIDENCE / f"{name}.http.log"):
                answer = replay.send(recorded)
                then = {"HTTP": recorded.status, "body": without_version(recorded.answer)}
                now = {"HTTP": answer.status_code, "body": without_version(answer.json() if answer.text else None)}
                if differs := dict(replay.differences(then, now)):
                    found[f"{name}: {recorded.note}"] = differs
                settle(cluster, recorded)
    unexplained = {note: differs for note, differs in found.items() if set(differs) - OTHERWISE.get(note, set())}
    assert unexplained == {}
    assert {note: set(differs) for note, differs in found.items()} == OTHERWISE


def without_version(body: Any) -> Any:
    """An answer without the version of a list, which is that of whatever was written last, anywhere."""
    if not isinstance(body, dict) or not str(body.get("kind")).endswith("List"):
        return body
    return {**body, "metadata": {key: item for key, item in body["metadata"].items() if key != "resourceVersion"}}


def settle(cluster: Cluster, recorded: Exchange) -> None:
    """Waits until the server decides by what it has just taken: it does so by copies, which follow."""
    if recorded.method == "POST" and recorded.path.endswith("/rolebindings"):
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["prod-namespace"]}
        cluster.await_access("reconciler", "prod", rule)
    if recorded.method == "DELETE" and recorded.path.partition("?")[0] == "/api/v1/namespaces/closing":
        secret = {"metadata": {"name": "tried"}}
        with cluster.http() as http:
            tried = "/api/v1/namespaces/closing/secrets?dryRun=All"
            await_that(lambda: http.post(tried, json=secret).status_code == 403)


def prepare(cluster: Cluster) -> None:
    """What was there before the recorded part begins."""
    for name in ("prod", "stage", "closing"):
        cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    cluster.service_account("closing", "default")
    (create,) = [item for item in read(EVIDENCE / "secret-crud.http.log") if item.note == "create"]
    for number in range(7):
        owner = "other" if number % 2 else "images-prod"
        labels = {"app.kubernetes.io/managed-by": "reconciler", "reconciler/owner": owner}
        body = {**json.loads(create.body), "metadata": {"name": f"s{number}", "labels": labels}}
        cluster.request("POST", "/api/v1/namespaces/stage/secrets", body)
