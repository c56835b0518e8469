"""Pull secrets in a real cluster: calls, CPU and memory of apply, plan and refresh, beside a thin client that reads the same."""

from __future__ import annotations

import ssl
import sys
import tempfile
from pathlib import Path

import yaml

from bench.process import Figures, run
from tests import cluster as clusters
from tests.emulators import distribution
from tests.emulators.kubernetes import KubernetesWire
from tests.emulators.proxy import Proxy
from tests.emulators.serving import served

NAMESPACES = 100
ACCOUNTS = ("default", "builder")
RECONCILER = [sys.executable, "-m", "reconciler"]
LOGIN = {"REG_USER": "alice", "REG_PASSWORD": "pass:word"}
#: what a plan has to read: the secrets and the service accounts that are to have them, by the official client
THIN = """\
import sys
from kubernetes import client, config
config.load_kube_config(sys.argv[1])
api = client.CoreV1Api()
for line in open(sys.argv[2]):
    namespace, secret, *accounts = line.split()
    api.read_namespaced_secret(secret, namespace)
    for account in accounts:
        api.read_namespaced_service_account(account, namespace)
"""


def kubernetes() -> None:
    """Prints apply, a plan without changes and refresh of a secret in each of 100 namespaces, for two service accounts each."""
    if why := clusters.available() or distribution.available():
        print(f"\nClusters: {why}")
        return
    number = NAMESPACES * (1 + len(ACCOUNTS))
    print(f"\nA cluster: {NAMESPACES} pull secrets and {NAMESPACES * len(ACCOUNTS)} links; the best of 3 but for apply")
    print(f"{'':<28} {'calls':>7} {'cpu s':>8} {'wall s':>8} {'MiB':>7}   ({number} resources)")
    with (
        tempfile.TemporaryDirectory() as name,
        clusters.running(Path(name) / "cluster") as cluster,
        distribution.docker_registry(Path(name), users={LOGIN["REG_USER"]: LOGIN["REG_PASSWORD"]}) as registry,
    ):
        folder = Path(name)
        proxy = Proxy(cluster.url, KubernetesWire(cluster.tokens), ssl.create_default_context(cafile=str(cluster.ca)))
        proxy.tls, proxy.host = cluster.authority.context(), "localhost"
        with served(proxy):
            namespaces = [cluster.namespace(*ACCOUNTS) for _ in range(NAMESPACES)]
            kubeconfig = cluster.kubeconfig(clusters.ADMIN, url=proxy.url)
            (folder / "registry.yaml").write_text(_spec(registry, kubeconfig, namespaces))
            lines = (f"{namespace} bench-prod {' '.join(ACCOUNTS)}\n" for namespace in namespaces)
            (folder / "secrets.txt").write_text("".join(lines))
            _row("reconciler apply", [_run([*RECONCILER, "apply", "--yes"], folder, proxy)])
            thin = [sys.executable, "-c", THIN, str(kubeconfig), "secrets.txt"]
            for what, command in (
                ("reconciler plan", [*RECONCILER, "plan", "--detailed-exitcode"]),
                ("reconciler refresh", [*RECONCILER, "refresh"]),
                ("thin client", thin),
            ):
                _row(what, [_run(command, folder, proxy) for _ in range(3)])


def _spec(registry: distribution.Distribution, kubeconfig: Path, namespaces: list[str]) -> str:
    to = {"type": "kubernetes", "cluster": "prod", "namespaces": namespaces, "service_accounts": list(ACCOUNTS)}
    return yaml.safe_dump(
        {
            "version": 1,
            "name": "bench",
            "clusters": [{"name": "prod", "kubeconfig": str(kubeconfig)}],
            "registries": [
                {
                    "name": "onprem",
                    "platform": "external",
                    "url": registry.url,
                    "ca_file": str(registry.authority.file),
                    "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
                }
            ],
            "repositories": [{"name": "team/app", "registry": "onprem"}],
            "grants": [{"name": "prod", "registry": "onprem", "to": to}],
        }
    )


def _run(command: list[str], folder: Path, proxy: Proxy) -> tuple[int, Figures]:
    """A command as a whole process, and the calls that it made to the cluster."""
    before = len(proxy.calls)
    figures = run(command, folder, LOGIN, folder / "no.log")
    return len(proxy.calls) - before, figures


def _row(what: str, runs: list[tuple[int, Figures]]) -> None:
    calls, best = min(runs, key=lambda item: item[1].cpu)
    print(f"{what:<28} {calls:>7} {best.cpu:>8.2f} {best.wall:>8.2f} {best.peak:>7.0f}")
