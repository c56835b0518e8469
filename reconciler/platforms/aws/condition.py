"""One condition of an IAM policy, and how it is said. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from reconciler.words import any_of, quoted

_WORD = re.compile(r"[\w.:/*?$@=+-]+")
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html; no two values are said alike
_OPERATORS = {
    "StringEquals": "is",
    "StringLike": "is like",
    "StringNotEquals": "is not",
    "StringNotLike": "is not like",
    "ArnEquals": "is the ARN",
    "ArnLike": "is an ARN like",
    "ArnNotEquals": "is not the ARN",
    "ArnNotLike": "is not an ARN like",
    "IpAddress": "is in",
    "NotIpAddress": "is not in",
    "Bool": "is",
}


#: keys that a spec's `trusted_principals` ask for, by what it calls them
_KEYS = {"sts:externalid": "the external ID", "aws:principalorgid": "its organization"}
#: how an external ID that is asked for is said: whoever asks gives it
_EXTERNAL_IDS = {"StringEquals": "it gives the external ID", "StringLike": "it gives an external ID like"}
#: claims of a token: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
_CLAIM = re.compile(r"(?P<provider>[a-z0-9.-]+\.[a-z0-9./_-]+):(?P<claim>aud|sub)")
_CLAIMS = {"aud": "the audience", "sub": "the subject"}


def plain(text: str) -> str:
    """The text as it is, or in quotes where it could be read as a part of the sentence around it."""
    return text if _WORD.fullmatch(text) else quoted(text)


def _said_of(key: str) -> str:
    if claim := _CLAIM.fullmatch(key):
        return f"{_CLAIMS[claim['claim']]} from {claim['provider']}"
    return _KEYS.get(key.lower()) or plain(key)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """One condition: an operator, a key, and the values that are allowed, sorted. Keys are compared without case."""

    operator: str
    key: str
    values: tuple[str, ...]

    def _meaning(self) -> tuple[str, str, tuple[str, ...]]:
        return self.operator, self.key.lower(), self.values

    def __eq__(self, other: object) -> bool:
        return self._meaning() == other._meaning() if isinstance(other, Condition) else NotImplemented

    def __lt__(self, other: Condition) -> bool:
        return self._meaning() < other._meaning()

    def __hash__(self) -> int:
        return hash(self._meaning())

    def __str__(self) -> str:
        """In words: `aws:SourceVpc is vpc-1 or vpc-2`; with the operator's own name where there are none for it."""
        said = _OPERATORS.get(self.operator)
        if said is None or not self.values:
            return f"{plain(self.operator)} {plain(self.key)} {', '.join(map(plain, self.values))}"
        # a truth value is said as any other is, so a text that looks like one is in quotes
        texts = self.operator != "Bool" and {"true", "false"}.intersection(self.values)
        given = _EXTERNAL_IDS.get(self.operator) if self.key.lower() == "sts:externalid" else None
        return f"{given or f'{_said_of(self.key)} {said}'} {any_of([quoted(item) if texts else plain(item) for item in self.values])}"

    def as_v1(self) -> str:
        """As hashes of version v1 have it: a text."""
        return f"{self.operator} {self.key.lower()} {', '.join(self.values)}"
