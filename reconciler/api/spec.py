"""Specs of this build's platforms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.platforms.catalog import Spec
from reconciler.spec import loader


def load_spec(path: str | Path, environ: Mapping[str, str] | None = None) -> Spec:
    """The spec in a YAML file (`-`: standard input), or in all YAML and JSON files of a folder and of the folders in it, merged.

    `environ`: what `${env:NAME}` is taken from (the process's environment if None). Raises SpecError with every problem of every
    file.
    """
    return loader.load_spec(path, environ, model=Spec)


def parse_spec(
    text: str | bytes, name: str = "registry.yaml", environ: Mapping[str, str] | None = None, base: str = "."
) -> Spec:
    """The spec in a text. `name`: the file name that errors give. `environ`: what `${env:NAME}` is taken from (nothing if None).
    `base`: the folder that relative paths start from. Raises SpecError with every problem.
    """
    return loader.parse_spec(text, name, environ, base, model=Spec)
