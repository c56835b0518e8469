"""What is installed: each extra carries what its platform needs and no other's, and who lacks one is told which."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.pages import elsewhere

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: libraries that one extra alone may bring
OF_AWS, OF_LOCAL = {"boto3", "botocore", "tenacity"}, {"aiohttp", "argon2", "itsdangerous", "uvloop"}
OF_GCP = {"google", "tenacity"}
LOCAL_SPEC = """\
version: 1
name: demo
registries: [{name: sandbox, platform: local, path: box}]
repositories: [{name: app-a, registry: sandbox}]
"""
AWS_SPEC = """\
version: 1
name: demo
registries: [{name: images, platform: aws, account_id: "123456789012", region: us-east-1}]
"""
GCP_SPEC = """\
version: 1
name: demo
registries: [{name: images, platform: gcp, project: acme-images, location: europe-west1}]
"""
AZURE_SPEC = """\
version: 1
name: demo
registries:
  - {name: images, platform: azure, subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: images,
     location: westeurope, registry_name: acmeimages}
"""
EXTERNAL_SPEC = """\
version: 1
name: demo
registries: [{name: onprem, platform: external, url: "https://127.0.0.1:1"}]
"""
CLUSTER_SPEC = """\
version: 1
name: demo
clusters: [{name: prod, context: prod}]
registries: [{name: images, platform: aws, account_id: "123456789012", region: us-east-1}]
repositories: [{name: app-a, registry: images}]
grants:
  - {name: pull, registry: images, to: {type: kubernetes, cluster: prod, namespaces: [default], service_accounts: [default]}}
"""


def needed(texts: Iterable[str], extras: Iterable[str] = ("",)) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The distributions that requirements ask for here, each with its own extras."""
    for text in texts:
        wanted = Requirement(text)
        if wanted.name == PROJECT["name"]:
            for extra in wanted.extras:
                yield from needed(EXTRAS[extra])
        elif wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            yield wanted.name, tuple(sorted(wanted.extras))


def closure(texts: Iterable[str]) -> Iterator[Distribution]:
    """What pip would install for these requirements, of what is here."""
    waiting, seen = list(needed(texts)), set()
    while waiting:
        name, extras = item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += needed(found.requires or (), extras or ("",))
        yield found


def installed(texts: Iterable[str], folder: Path) -> Path:
    """A folder of packages with what pip would install for these requirements, and nothing else: links to what is here."""
    folder.mkdir()
    for found in closure(texts):
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each way to install it brings."""
    at = tmp_path_factory.mktemp("packages")
    plain = PROJECT["dependencies"]
    return {
        "": installed(plain, at / "plain"),
        **{extra: installed([*plain, *EXTRAS[extra]], at / extra) for extra in ("aws", "gcp", "local", "all")},
    }


def run(packages: Path, folder: Path, *arguments: str, spec: str = LOCAL_SPEC, code: int = 0) -> str:
    """Runs a command with these packages alone; returns all that it printed."""
    (folder / "registry.yaml").write_text(spec)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "reconciler", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{packages}:{ROOT}", "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_extra_brings_its_own_platforms_libraries_and_no_others(packages: dict[str, Path]) -> None:
    found = {
        extra: {path.name for path in folder.iterdir()} & (OF_AWS | OF_GCP | OF_LOCAL)
        for extra, folder in packages.items()
    }
    assert found == {"": set(), "aws": OF_AWS, "gcp": OF_GCP, "local": OF_LOCAL, "all": OF_AWS | OF_GCP | OF_LOCAL}


@pytest.mark.slow  # many processes
def test_without_extras_a_registry_in_a_folder_is_planned_and_applied(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    assert "1 to create" in run(packages[""], tmp_path, "plan")
    run(packages[""], tmp_path, "apply", "--yes")
    assert "No changes" in run(packages[""], tmp_path, "plan")
    run(packages[""], tmp_path, "gc", "--dry-run")
    assert "valid" in run(packages[""], tmp_path, "validate", spec=AWS_SPEC)


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(
    ("arguments", "spec", "said"),
    [
        (("plan",), AWS_SPEC, "images: AWS needs botocore"),
        (("drift",), AWS_SPEC, "images: AWS needs botocore"),
        (("plan",), GCP_SPEC, "images: Google Cloud needs google"),
        (("plan",), AZURE_SPEC, "images: Azure needs requests"),
        *(
            ((command,), EXTERNAL_SPEC, "onprem: an external registry needs httpx")
            for command in ("plan", "drift", "destroy")
        ),
        (("serve", "--port", "0"), LOCAL_SPEC, "sandbox: the server needs aiohttp"),
        (("credentials", "sandbox/app-a"), LOCAL_SPEC, "sandbox: issuing credentials needs argon2"),
    ],
)
def test_who_lacks_an_extra_is_told_which(
    packages: dict[str, Path], tmp_path: Path, arguments: tuple[str, ...], spec: str, said: str
) -> None:
    run(packages[""], tmp_path, "apply", "--yes")
    extra = {AWS_SPEC: "aws", GCP_SPEC: "gcp", AZURE_SPEC: "azure", EXTERNAL_SPEC: "external"}.get(spec, "local")
    assert run(packages[""], tmp_path, *arguments, spec=spec, code=1) == (
        f"Error:\n{said}, which is not installed\n"
        f"  install registry-reconciler[{extra}]: pip install 'registry-reconciler[{extra}]'\n"
    )


@pytest.mark.slow  # a process each
def test_a_grant_to_a_cluster_says_which_extra_it_needs(packages: dict[str, Path], tmp_path: Path) -> None:
    said = run(packages["aws"], tmp_path, "refresh", spec=CLUSTER_SPEC, code=1)
    assert "a grant to a cluster needs kubernetes, which is not installed" in said
    assert "install registry-reconciler[kubernetes]" in said


@pytest.mark.slow  # many processes
def test_with_its_extra_each_platform_works(packages: dict[str, Path], tmp_path: Path) -> None:
    run(packages["local"], tmp_path, "apply", "--yes")
    assert "password:" in run(packages["local"], tmp_path, "credentials", "sandbox/app-a")
    assert "credentials" in run(packages["aws"], tmp_path, "plan", spec=AWS_SPEC, code=1)  # AWS's: there are none here
    assert "no Google credentials" in run(packages["gcp"], tmp_path, "plan", spec=GCP_SPEC, code=1)


def test_development_needs_all_platforms() -> None:
    assert {"argon2", "botocore", *(name for name, _ in needed(EXTRAS["dev"]))} >= OF_AWS | OF_LOCAL


def recorded(folder: Path, log: Path) -> Path:
    """A virtual environment whose Python only writes down what it was asked."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{log}\n')
    python.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("given", "asked"), [((), ".[dev]"), (("dev",), ".[dev]"), (("",), "."), (("aws",), ".[aws]"), (("all",), ".[all]")]
)
def test_bootstrap_installs_what_it_is_asked_for(tmp_path: Path, given: tuple[str, ...], asked: str) -> None:
    copytree(ROOT / "script", tmp_path / "script")
    (tmp_path / "pyproject.toml").touch()
    recorded(tmp_path / ".venv", tmp_path / "log")
    subprocess.run(
        [tmp_path / "script" / "bootstrap", *given], check=True, env={**os.environ, "PYTHON": sys.executable}
    )
    assert (tmp_path / "log").read_text().split("--editable ")[1].strip() == asked


@pytest.mark.slow  # many processes
def test_the_demo_says_where_the_command_is_and_installs_no_tools_of_development(tmp_path: Path) -> None:
    copytree(ROOT / "script", tmp_path / "script")
    for name in ("pyproject.toml", "registry.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    command = recorded(tmp_path / ".venv", tmp_path / "log") / "bin" / "reconciler"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m reconciler "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "script" / "demo"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable},
    )
    assert "--editable .[all]" in (tmp_path / "log").read_text()
    assert "No changes" in done.stdout
    assert "The command is .venv/bin/reconciler." in done.stdout
    assert "source .venv/bin/activate" in done.stdout


def packed(found: Distribution, folder: Path) -> None:
    """Writes a wheel with what is installed here. https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    tags = re.findall(r"^Tag: (\w+)-(\w+)-(\w+)$", found.read_text("WHEEL") or "", re.MULTILINE)
    # the tags of the name: each part has all that WHEEL names
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
    name = f"{re.sub('[-_.]+', '_', found.name)}-{found.version}-{tag}.whl"
    kept = [
        file
        for file in found.files or ()
        if ".." not in file.parts and file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED", "RECORD")
    ]
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for file in kept:
            wheel.write(str(found.locate_file(file)), file.as_posix())
        info = next(file.parent for file in kept if file.name == "METADATA")
        wheel.writestr(f"{info}/RECORD", "".join(f"{file.as_posix()},,\n" for file in kept) + f"{info}/RECORD,,\n")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for PyPI: a folder with wheels of what is installed here, so that nothing is fetched."""
    folder = tmp_path_factory.mktemp("index")
    for found in closure([*PROJECT["dependencies"], *EXTRAS["all"], "hatchling", "editables", "pip"]):
        packed(found, folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of this repository."""
    hidden = ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "site")
    return copytree(ROOT, tmp_path / "checkout", ignore=hidden)


def readers(home: Path, index: Path) -> dict[str, str]:
    """The environment of somebody with pip, pipx, uv and Python, who has installed nothing yet."""
    home.mkdir()
    tools = home / "tools"
    tools.mkdir()
    for name in ("pipx", "uv"):
        path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert path, f"{name} is not installed; script/bootstrap does it"
        (tools / name).symlink_to(path)
    kept = {key: value for key, value in os.environ.items() if not re.match("(PIP|PIPX|UV|PYTHON|VIRTUAL_ENV)", key)}
    return kept | {
        "HOME": str(home),
        "PATH": f"{home}/.local/bin:{home}/python/bin:{tools}:/usr/bin:/bin",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_COMPILE": "0",  # most modules are never imported; PIP_NO_COMPILE=1 would compile them
        "PYTHON": sys.executable,  # script/bootstrap's
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(index),
        "UV_PYTHON": sys.executable,
    }


@pytest.mark.slow  # installs
@pytest.mark.parametrize("number", range(3))
def test_each_line_of_the_readme_installs_the_command(checkout: Path, index: Path, tmp_path: Path, number: int) -> None:
    block = next(block for block in elsewhere("tests/test_packaging.py") if "install '" in block.text)
    lines = block.text.splitlines()
    assert len(lines) == 3, "as many as the numbers above"
    environ = readers(tmp_path / "home", index)
    if lines[number].startswith("pip "):
        subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "home" / "python")], check=True)
    done = subprocess.run(lines[number], shell=True, cwd=checkout, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for command in ("reconciler --version", "reconciler plan", "reconciler help spec"):
        done = subprocess.run(command.split(), cwd=checkout, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert Path(str(shutil.which("reconciler", path=environ["PATH"]))).is_relative_to(tmp_path / "home")


@pytest.mark.slow  # installs
def test_the_demo_of_the_readme_does_what_it_says(checkout: Path, index: Path, tmp_path: Path) -> None:
    (block,) = (block for block in elsewhere("tests/test_packaging.py") if "script/demo" in block.text)
    environ = readers(tmp_path / "home", index)
    done = subprocess.run(["bash", "-eu", "-c", block.text], cwd=checkout, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r"^\$ (.*)", done.stdout, re.MULTILINE)
    assert shown == ["reconciler plan", "reconciler apply --yes", "reconciler plan"]
    assert "No changes" in done.stdout.rpartition("$ reconciler plan")[2]
    assert (checkout / ".venv" / "bin" / "reconciler").is_file()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel."""
    at = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(at)], cwd=ROOT, check=True)
    return at


@pytest.mark.slow  # builds
def test_the_source_distribution_has_all_that_its_pages_speak_of(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    there = names | {parent.as_posix() for name in names for parent in Path(name).parents}
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        spoken = {*re.findall(r"\]\(([^)#:]+)\)", text), *re.findall(r"\bscript/[a-z]+", text)}
        assert spoken
        assert {name.rstrip("/") for name in spoken} - there == set(), page


@pytest.mark.slow  # builds
def test_the_wheel_has_the_pages_that_help_prints_and_no_tests(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        names = set(archive.namelist())
    assert {f"reconciler/docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"reconciler", "registry_reconciler"}


def test_the_readme_installs_by_extras_that_there_are() -> None:
    lines = re.findall(r"^(?:pipx|uv tool|pip) install .*", (ROOT / "README.md").read_text(), re.MULTILINE)
    asked = {extra for line in lines for extra in re.findall(r"\[([a-z,]+)\]", line)}
    assert len(lines) >= 3
    assert "all" in asked
    assert asked <= EXTRAS.keys()


def test_the_project_s_addresses_are_those_of_this_package() -> None:
    assert {"Homepage", "Release history"} <= PROJECT["urls"].keys()
    for address in PROJECT["urls"].values():
        assert address.startswith(f"https://pypi.org/project/{PROJECT['name']}/")
