"""The container clients that the pages use, and what they find.

- Docker Hub is a registry on loopback: the configuration of containers-registries.conf(5) leads there whoever asks for docker.io.
- `docker` is podman, as in Debian's package podman-docker, since it needs no daemon. It has what Docker has by default: the images of
  Docker Hub under their short names, HTTP for 127.0.0.1, and logins of its own.
- Images and logins are kept in a folder of the test.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.command_line import Reconciler, serving
from tests.images import Image

#: a command of the pages: the Debian package and program that runs it
PROGRAMS = {"skopeo": "skopeo", "jq": "jq", "podman": "podman", "docker": "podman"}
#: where a user has them, from the home folder: Debian's skopeo heeds no variable for it
REGISTRIES = ".config/containers/registries.conf"
_HUB = """\
version: 1
name: docker-hub
guards: {allow_public: true}
registries: [{name: hub, platform: local, path: box}]
repositories: [{name: library/alpine, registry: hub}]
grants: [{name: all, registry: hub, to: {type: local, users: ["*"]}}]
"""


@contextmanager
def docker_hub(folder: Path) -> Iterator[str]:
    """Serves what stands in for Docker Hub, with an image alpine:3 for linux/amd64; where: `127.0.0.1:PORT`."""
    folder.mkdir()
    (folder / "registry.yaml").write_text(_HUB)
    reconciler = Reconciler(folder)
    reconciler("apply", "--yes")
    login = json.loads(reconciler("credentials", "hub/library/alpine", "--push", "--format", "json"))
    with serving(reconciler, "hub") as url:
        place = url.partition("//")[2]
        source, target = Image(3).write(folder / "image", "3"), f"docker://{place}/library/alpine:3"
        creds = f"--dest-creds={login['username']}:{login['password']}"
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", creds, source, target], check=True)
        yield place


def configured(folder: Path, hub: str) -> dict[str, str]:
    """Writes the clients' configuration into the folder; the environment in which they use it. `hub`: where Docker Hub is."""
    there = f'[[registry]]\nprefix = "docker.io"\nlocation = "{hub}"\ninsecure = true\n' if hub else ""
    (folder / REGISTRIES).parent.mkdir(parents=True)
    (folder / REGISTRIES).write_text(there)
    # vfs: the driver that needs no rights beyond root's in a container, see containers-storage.conf(5)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
    )
    (folder / "containers.conf").write_text(
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        f'tmp_dir = "{folder}/tmp"\nstatic_dir = "{folder}/static"\nvolume_path = "{folder}/volumes"\n'
    )
    return {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
    }


def write_docker(folder: Path, registry: str) -> None:
    """Writes the program `docker` into the folder. `registry`: where it may speak HTTP, `127.0.0.1:PORT`."""
    defaults = folder / "docker.conf"
    defaults.write_text(
        'unqualified-search-registries = ["docker.io"]\n'
        f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n{(folder / REGISTRIES).read_text()}'
    )
    program = folder / "docker"
    program.write_text(
        f"#!/bin/sh\nexport CONTAINERS_REGISTRIES_CONF='{defaults}' REGISTRY_AUTH_FILE='{folder}/docker.json'\n"
        'exec podman "$@"\n'
    )
    program.chmod(0o755)
