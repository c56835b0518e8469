"""The command of credentials that get their token from one (executable-sourced): why it gave none, in words, and what to do. Neither
its arguments nor what it printed are repeated, since either may be a secret. Pure.

https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers#executable-sourced-credentials
"""

from __future__ import annotations

import re
import subprocess
from traceback import walk_tb

import google.auth.exceptions as auth_errors

from reconciler.words import one_line

#: the module of Google's library that runs the command and reads what it answers, and does nothing else
_MODULE = "google.auth.pluggable"
#: seconds: https://google.aip.dev/auth/4117 ("timeout_millis")
_LONGEST = 120
_BY_HAND = "run the command that stands in the file of credentials by hand, as who and where reconciler runs"
_ANSWERS = f"{_BY_HAND}, and check that it answers as https://google.aip.dev/auth/4117 says"
_CODE = re.compile(r"Executable exited with non-zero return code (-?\d+)")
#: the function of that module that reads the answer, and says of these with nothing of what stands there why it takes none
_READS = "_parse_subject_token"
_OWN_WORDS = ("The token returned by the executable is expired", "Executable returned unsupported token type")
#: an answer that says, as it may, that there is no token: with a code and a message of the command's own
_UNSUCCESSFUL = re.compile(r"Executable returned unsuccessful response(?:: code: ([0-9]{1,3}),)?")
#: what the library says of an answer's form, without anything of it
_FORM = re.compile(
    r"The executable response is missing the \w+ field|Error code and message fields are required in the response"
)


class CommandFailed(auth_errors.GoogleAuthError):
    """The command gave no token. `said`: why; `hint`: what to do."""

    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)  # type: ignore[no-untyped-call]
        self.said, self.hint = said, hint


def failure_of(error: BaseException) -> CommandFailed | None:
    """What an error says of the command, if it came up in running it or in reading what it answered; None of any other, and of one
    that Google's library says in words of its own."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    modules = {frame.f_globals.get("__name__") for frame in frames}
    if _MODULE not in modules:
        return None
    if isinstance(error, subprocess.TimeoutExpired):
        longer = f"let it take longer: `timeout_millis` beside it, at most {_LONGEST * 1000}"
        return CommandFailed(f"their command was not done after {error.timeout:g} seconds", f"{_BY_HAND}, or {longer}")
    if isinstance(error, OSError) and not isinstance(error, auth_errors.GoogleAuthError):
        what = (
            "their command can't be run"
            if "subprocess" in modules
            else "the file that their command writes can't be read"
        )
        named = f" ({one_line(str(error.filename))})" if error.filename else ""
        return CommandFailed(f"{what}: {error.strerror or type(error).__name__}{named}", _BY_HAND)
    if isinstance(error, auth_errors.GoogleAuthError):
        text = str(error.args[0]) if error.args else ""
        if code := _CODE.match(text):
            return CommandFailed(
                f"their command ended with exit code {code[1]}; what it printed is not repeated", _BY_HAND
            )
        if form := _FORM.match(text):
            return CommandFailed(f"their command did not answer as it must: {form[0]}", _ANSWERS)
        if refused := _UNSUCCESSFUL.match(text):
            which = f" (code {refused[1]})" if refused[1] else ""
            return CommandFailed(
                f"their command answered that it has no token{which}; what else it said is not repeated", _BY_HAND
            )
        if text.startswith(_OWN_WORDS) or _READS not in {frame.f_code.co_name for frame in frames}:
            return None
    return CommandFailed("their command did not answer as it must, which is not repeated", _ANSWERS)
