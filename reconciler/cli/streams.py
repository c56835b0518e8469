"""Standard output and standard error whose failures decide nothing: a reader that goes away, a disk that is full, an encoding
that lacks a character, a stream that is closed. What is carried out is carried out, and the failure is reported at the end."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from typing import TextIO

_ESCAPES = "reconciler.escapes"


class Stream(io.TextIOBase):
    """A stream that writes to another one until that fails, and nowhere from then on. `failure`: why it failed."""

    def __init__(self, target: TextIO | None) -> None:
        self._target = target
        self.failure: OSError | ValueError | None = None
        if isinstance(target, io.TextIOWrapper):
            target.reconfigure(errors=_ESCAPES)

    def _try(self, work: Callable[[TextIO], object]) -> None:
        if self.failure is not None:
            return
        try:
            if self._target is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            work(self._target)
        except (OSError, ValueError) as error:  # a closed file raises ValueError
            self.failure = error
        except RuntimeError:  # a signal's handler writes while its thread is writing: its word is lost
            pass

    def write(self, text: str, /) -> int:
        """The text, or as much of it as goes; never raises."""
        self._try(lambda target: target.write(text))
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]  # this stream has text alone
        self._try(lambda target: target.writelines(lines))

    def flush(self) -> None:
        if self._target is not None:
            self._try(lambda target: target.flush())

    def isatty(self) -> bool:
        with suppress(ValueError):
            return self._target is not None and self._target.isatty()
        return False

    def fileno(self) -> int:
        if self._target is None:
            raise io.UnsupportedOperation("fileno")
        return self._target.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # as every text file's
        return getattr(self._target, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # as every text file's
        return _ESCAPES

    @property
    def reason(self) -> str:
        """Why it can't be written, in the operating system's words; "" if it can."""
        return getattr(self.failure, "strerror", None) or str(self.failure or "")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""What an encoding lacks, as JSON writes it (`\u2192`): so JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPES, _escaped)


@contextmanager
def standard_streams() -> Iterator[tuple[Stream, Stream]]:
    """Standard output and standard error are such streams inside."""
    before: Any = sys.stdout, sys.stderr
    found = Stream(before[0]), Stream(before[1])
    sys.stdout, sys.stderr = cast("tuple[TextIO, TextIO]", found)
    try:
        yield found
    finally:
        for stream in found:
            stream.flush()
        sys.stdout, sys.stderr = before


def failed() -> bool:
    """Whether standard output can no longer be written."""
    sys.stdout.flush()
    return isinstance(sys.stdout, Stream) and sys.stdout.failure is not None


def occupy() -> None:
    """Opens what the caller has closed of the three standard streams, so that no file or socket gets its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def settle() -> None:
    """Lets nothing fail when the interpreter writes out what is left at its end
    (https://docs.python.org/3/library/signal.html#note-on-sigpipe)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
