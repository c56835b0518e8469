"""Text from outside (an answer of a cloud, of a proxy, of a server of tokens) without the secrets that it repeats. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import parse_qsl

#: what stands in the place of a secret: one word that no rule below changes again
HIDDEN = "[hidden]"
#: characters of a page's title that are shown
_TITLE = 80

#: a page, up to its end if it has one; from then on nothing in it is for people who run this
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|title)\b.*?(?:</html\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TITLED = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
#: https://www.rfc-editor.org/rfc/rfc7468#section-10
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
#: with its scheme, or as libraries say it, from its path on
_URL = re.compile(r"(?:https?://|(?<![\w:/])/)[^\s\"'<>?]{1,2000}+\?[^\s\"'<>]+")
#: what signs a URL: whoever has that URL may do what it is for
_SIGNS = frozenset({"sig", "signature", "x-amz-signature", "x-goog-signature", "x-amz-security-token"})
#: those of Azure's operations (https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations)
_OF_OPERATIONS = frozenset({"s", "h"})
#: https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1
_USER = re.compile(r"(?<=://)[^\s/@\"'<>]{1,500}(?=@)")
#: a short word of prose, a call of ours, or a parameter of a challenge, which are no secret
_PROSE = r"(?-i:(?![a-z]{1,15}[.,:;)]{0,2}(?:\s|\Z))(?![a-z]{1,25}:[A-Za-z]{1,60}:\s)(?![a-z_]{1,30}=\"))"
#: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_BEARER = re.compile(rf"\b(bearer(?:\s+|%20|\+)){_PROSE}[^\s\"'<>]+", re.IGNORECASE)
_COLON = r"\\{0,3}[\"']?\s{0,3}:\s{0,3}\\{0,3}[\"']?"
_BASIC = re.compile(r"\b(basic\s+)([a-z0-9+/_-]{4,}={0,2})", re.IGNORECASE)
_HEADER = re.compile(
    rf"((?:authorization{_COLON}(?:(?:bearer|basic|digest|negotiate|token)\s+)?|(?:-token|x-api-key){_COLON}){_PROSE})"
    r"[^\s\"'<>]+",
    re.IGNORECASE,
)
#: https://www.rfc-editor.org/rfc/rfc6265#section-4
_COOKIE = re.compile(
    r"(cookie\s{0,9}:\s{0,9}(?=(?:[\w-]{1,50};\s{0,9})?[\w!#$%&'*+.^`|~-]{1,200}=))(?:(?!\\[rn])[^\r\n\"'<>])+",
    re.IGNORECASE,
)
#: where what looks like a header is the name of a repository: at the end of an address of a resource, or of an image's path
_ADDRESS = re.compile(r"(?:^|[\s\"'(])[a-z][a-z0-9-]{0,62}\.(?:repository|access)\.[\w./-]{0,255}\Z")
_IMAGE = re.compile(r"(?:^|[\s\"'(])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,6}(?::[0-9]{1,5})?/[a-z0-9._/-]{0,255}\Z")
#: what is said of a resource and is no secret: a code (https://grpc.io/docs/guides/status-codes/), how a sentence begins, a count
_CODE = (
    "CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|RESOURCE_EXHAUSTED"
    "|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED"
)
_FIRST = "Not|No|The|This|Permission|Request|Requested|Resource|Repository|Invalid|Error"
_SAID = re.compile(
    rf"(?i:-token|x-api-key): (?:(?:{_CODE}):\s|(?:{_FIRST})\s|[0-9]{{1,6}} (?:images?|resources?|members?)\b)"
)
#: a version or a day as the tag of an image
_TAG = re.compile(
    r"(?i:-token|x-api-key):(?:[vV][0-9]{1,3}(?:\.[0-9]{1,4}){0,2}|[0-9]{1,4}(?:[.-][0-9]{1,4}){1,2})(?![^\s\"')])"
)
#: how much before such a name can be of the address or the path that it ends
_BEFORE = 400
#: how often a text is looked at again: what is hidden may show where the next secret begins
_PASSES = 4
#: how the names of secrets end in forms, in JSON, in URLs and in variables of an environment
_NAME = r"(?:token|assertion|secret|passw(?:or)?d|pwd|signature|(?<![a-z])sig|(?:access|account|private|api|shared)[_-]?key)"
_IN_QUOTES = re.compile(
    rf"({_NAME}(?:\\{{0,3}}[\"']\s{{0,3}}:|\s{{0,3}}=)\s{{0,3}}(?P<quote>\\{{0,3}}[\"']))(?:(?!(?P=quote))(?:\\.|.))+",
    re.IGNORECASE | re.DOTALL,
)
_IN_FORM = re.compile(
    rf"({_NAME}(?:\s{{0,3}}=(?!=)\s{{0,3}}|%3D))(?:(?!%26|\\{{1,3}}[\"'])[^\s&\"'<>])+", re.IGNORECASE
)
#: where a word begins: behind a code such as %3D or \n, too
_START = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u00[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
#: what names of images, which are in small letters, don't have: https://distribution.github.io/distribution/spec/api/#overview
_CAPITAL = r"(?=[\w-]{0,99}[A-Z])"
_BASE64 = r"(?:[A-Za-z0-9/+]|\\/|%2[BFbf])"
#: a password of a registry or a token on Azure: https://github.com/microsoft/security-utilities, SEC101/176
_REGISTRY_KEY = rf"{_BASE64}{{32,42}}(?:\+|%2[Bb])ACR{_BASE64}{{4,6}}"
#: secrets that are known by how they begin. JSON Web Tokens: https://www.rfc-editor.org/rfc/rfc7519#section-3; the others:
#: https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
_SHAPES = re.compile(
    rf"eyJ{_CAPITAL}[\w.=-]{{4,}}|{_REGISTRY_KEY}|{_START}(?:"
    r"ya29\.[\w.-]+"
    r"|1//0[\w-]{16,}|GOCSPX-[\w-]{8,}|AIza[\w-]{30,}"
    # the names of images may have that form, in small letters alone
    r"|gh[pousr]_(?=\w{0,99}[A-Z0-9])\w{30,}|github_pat_\w{20,}"
    # https://docs.gitlab.com/security/tokens/#token-prefixes
    rf"|gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-{_CAPITAL}[\w.-]{{16,}}"
    r"|(?:IQoJ|FwoG|FQoG)[\w+/=%-]{40,}"
    r"|[01]\.A[\w.-]{60,}|[\w~.-]{3}[0-9]Q~[\w~.-]{30,}"
    r")"
)


#: a code such as %2F ends one word and begins the next; what is padded ends so: https://www.rfc-editor.org/rfc/rfc4648#section-4
_MADE = re.compile(
    r"(?:(?<![\w+%-])|(?<=%[0-9A-Fa-f]{2}))(?:"
    r"(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])(?=[\w+-]*[0-9])[\w+-]{16,}={0,2}"
    r"|(?=[a-zA-Z]*[0-9])(?=[0-9]*[a-zA-Z])[a-zA-Z0-9]{20,}={0,2}"
    r")(?![\w+-])"
)


def redacted(text: str) -> str:
    """The text with each secret that is known by its name or its form as `[hidden]`, and each web page as the title that it has.

    What is no secret stays as it is: asked twice, it changes nothing more.
    """
    return _settled(_hidden, text)


def _settled(hide: Callable[[str], str], text: str) -> str:
    """The text once hiding changes nothing more."""
    for _ in range(_PASSES):
        before, text = text, hide(text)
        if text == before:
            break
    return text


def _hidden(text: str) -> str:
    text = _PAGE.sub(_page, text)
    text = _KEY.sub(HIDDEN, text)
    text = _URL.sub(_signed, text)
    text = _USER.sub(HIDDEN, text)
    text = _HEADER.sub(_header, text)
    text = _COOKIE.sub(rf"\1{HIDDEN}", text)
    text = _BASIC.sub(_basic, text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _IN_QUOTES.sub(rf"\1{HIDDEN}", text)
    text = _IN_FORM.sub(rf"\1{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def unnamed_hidden(text: str) -> str:
    """The text as `redacted` leaves it, without what may be a secret that no name or form says: words such as programs make, of
    small and capital letters and digits, or long ones with digits. For what a server of tokens says, which may repeat what it was
    sent in any way."""
    return _settled(lambda found: _MADE.sub(HIDDEN, redacted(found)), text)


def _page(match: re.Match[str]) -> str:
    found = _TITLED.search(match[0])
    title = " ".join(found[1].split())[:_TITLE] if found else ""
    return f'a web page, "{title}"' if title else "a web page"


def _header(match: re.Match[str]) -> str:
    """The name with its value hidden, or what stands there if it is no header."""
    text, at = match.string, match.start()
    before = text[max(0, at - _BEFORE) : at]
    if (_SAID.match(text, at) and _ADDRESS.search(before)) or (_TAG.match(text, at) and _IMAGE.search(before)):
        return match[0]
    return f"{match[1]}{HIDDEN}"


def _signed(match: re.Match[str]) -> str:
    names = {name.lower() for name, _ in parse_qsl(match[0].partition("?")[2], keep_blank_values=True)}
    return "(a signed URL)" if names & _SIGNS or names >= _OF_OPERATIONS else match[0]


def _basic(match: re.Match[str]) -> str:
    """Basic is a word of prose too: a secret is what names a user and a password. https://www.rfc-editor.org/rfc/rfc7617#section-2"""
    coded = match[2].rstrip("=")
    try:
        decoded = b64decode(coded + "=" * (-len(coded) % 4), altchars=None if "/" in coded or "+" in coded else b"-_")
    except ValueError:
        return match[0]
    return f"{match[1]}{HIDDEN}" if b":" in decoded else match[0]
