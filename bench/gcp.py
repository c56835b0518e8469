"""A plan on Google Cloud: calls, CPU and memory, beside a thin client that makes the same calls over google-auth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.aws import RECONCILER
from bench.process import run

NUMBER = 1_000
#: repositories listed and policies read, one after the other on as many threads as a plan has
THIN = """\
import sys
from concurrent.futures import ThreadPoolExecutor
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
base, threads = sys.argv[1], 32
http = AuthorizedSession(AnonymousCredentials())
http.mount("http://", HTTPAdapter(pool_maxsize=threads))
home = base + "v1/projects/acme-images/locations/europe-west1/repositories"
names, token = [], ""
while True:
    page = http.get(home, params={"pageSize": 1000, "pageToken": token}, timeout=60).json()
    names += [item["name"] for item in page.get("repositories", ())]
    token = page.get("nextPageToken", "")
    if not token:
        break
def policy(name):
    options = {"options.requestedPolicyVersion": 3}
    return http.get(f"{base}v1/{name}:getIamPolicy", params=options, timeout=60).json()
with ThreadPoolExecutor(threads) as pool:
    found = list(pool.map(policy, names))
assert len(found) == 1000 and all(item["bindings"] for item in found)
"""


@contextmanager
def stand_in() -> Iterator[str]:
    """The stand-in as a process; yields its URL."""
    command = [sys.executable, "-m", "tests.emulators.gcp", "--port", "0", "--steady"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("ready ").strip()
        finally:
            process.terminate()


def spec(number: int) -> str:
    """A spec of so many repositories with a grant to all."""
    rows = "".join(
        f"  - {{name: app-{index:04}, registry: images, retention: {{keep_last: 50}}}}\n" for index in range(number)
    )
    return (
        "version: 1\nname: bench\nregistries:\n"
        "  - {name: images, platform: gcp, project: acme-images, location: europe-west1}\n"
        f"repositories:\n{rows}"
        "grants:\n  - {name: run, registry: images, to: {type: gcp, project_numbers: ['123456789012'],"
        " allowed_service_types: [worker]}}\n"
    )


def gcp() -> None:
    """Prints the plan without changes of 1,000 repositories, and the thin client."""
    print(f"\nGoogle Cloud: a plan without changes of {NUMBER} repositories; the best of 3")
    print(f"{'':<28} {'calls':>7} {'cpu s':>8} {'wall s':>8} {'MiB':>7}   (target: at most 3 s of CPU)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stand_in() as url:
            base = f"{url}/"
            environ = {
                **os.environ,
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY": base,
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM": base,
            }
            (folder / "registry.yaml").write_text(spec(NUMBER))
            run([*RECONCILER, "apply", "--yes"], folder, environ, folder / "no.log")
            before = _calls(url)
            plans = [
                run([*RECONCILER, "plan", "--detailed-exitcode"], folder, environ, folder / "no.log") for _ in range(3)
            ]
            made = (_calls(url) - before) // 3
            thin = [run([sys.executable, "-c", THIN, base], folder, environ, folder / "no.log") for _ in range(3)]
            for what, calls, figures in (("reconciler plan", made, plans), ("thin client", NUMBER + 1, thin)):
                best = min(figures, key=lambda item: item.cpu)
                print(f"{what:<28} {calls:>7} {best.cpu:>8.2f} {best.wall:>8.2f} {best.peak:>7.0f}")


def _calls(url: str) -> int:
    """How many calls the stand-in has had."""
    request = urllib.request.Request(f"{url}/_stand-in/calls", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return len(json.loads(answer.read())["calls"])
