"""What a platform needs beyond the package's own dependencies: an extra of the platform's name, which may not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import PlatformError
from reconciler.words import DISTRIBUTION


@contextmanager
def needing(extra: str, registry: str, to: str) -> Iterator[None]:
    """For the imports that need an extra. `to`: what they are for, as the end of a sentence.

    Raises PlatformError, which says what to install, where a library of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", __name__.partition(".")[0]):
            raise
        raise PlatformError(
            f"{to} needs {library}, which is not installed",
            address=registry,
            hint=f"install {DISTRIBUTION}[{extra}]: pip install '{DISTRIBUTION}[{extra}]'",
        ) from None
