"""Paths that a spec names."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import PlatformError


def path_of(given: str, base: str, field: str, whose: str = "") -> Path:
    """A path of a spec, from `base` if it is relative; `~` is the home directory. `field`: where the spec names it. `whose`: how the
    error begins, where nobody says of which registry it is.

    Raises PlatformError if it begins with the name of a user who has no home directory.
    """
    try:
        return Path(base, Path(given).expanduser())
    except RuntimeError:
        said = f"{given} names a user who has no home directory here"
        raise PlatformError(whose + said, hint=f"change {field}") from None
