"""What the command line reads where a spec or a plan is meant, and the files that it writes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan
    from reconciler.platforms.catalog import Spec


def spec_or_plan(path: Path) -> Spec | Plan:
    """The spec, or the saved plan, at a path; `-` and pipes are read once. Raises ReconcilerError."""
    from reconciler.api.plan_file import is_plan, loads
    from reconciler.api.spec import load_spec, parse_spec
    from reconciler.spec.source import bytes_of, folder_of, is_stream, name_of, real_folder_of

    try:
        data = None if path.is_dir() else bytes_of(path)
    except (OSError, ValueError):
        data = None  # the loader says why, as for any spec
    if data is not None and is_plan(data):
        return loads(data, name_of(path), folder=real_folder_of(path))
    if data is not None and is_stream(path):
        return parse_spec(data, name_of(path), os.environ, str(folder_of(path)))
    return load_spec(path)


def open_private(path: Path, mode: str) -> TextIO:
    """Opens a file for text that only its owner may read (mode 0600), also where it was there with a wider mode.

    `mode`: `w` or `a`. Raises ReconcilerError if that can't be done.
    """

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags & ~os.O_TRUNC, 0o600)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a terminal keeps what it has
                os.fchmod(descriptor, 0o600)
                if flags & os.O_TRUNC:
                    os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    try:
        return open(path, mode, encoding="utf-8", opener=opener)  # type: ignore[return-value]  # `w` and `a` are text
    except (OSError, ValueError) as error:
        raise ReconcilerError(f"{path} can't be written: {getattr(error, 'strerror', None) or error}") from None
