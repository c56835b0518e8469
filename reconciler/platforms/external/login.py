"""Where the login of a registry that somebody else runs comes from. It is read when it is first needed, and kept nowhere."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import PlatformError, os_sentence
from reconciler.platforms.distribution.auth import Login
from reconciler.platforms.http import HttpSession
from reconciler.platforms.kubernetes.connection import SECRETS
from reconciler.platforms.kubernetes.login_document import KEY, TYPE, pair_of
from reconciler.platforms.kubernetes.notes import Notes
from reconciler.platforms.paths import path_of

from .docker_config import entry_of, refused
from .hosts import HUB, host_of
from .spec import EnvCredentials, ExternalRegistry, SecretReference

#: a helper is a program that the search path has, never a path of a config.json that a spec brings along
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: what docker stores as the name of whoever logged in by a browser; then the secret is a refresh token of OAuth 2, which no registry
#: takes by Basic (https://github.com/docker/docker-credential-helpers#development)
_BY_BROWSER = "<token>"
#: what a helper says that has no login for a host, on its standard output
#: (https://github.com/docker/docker-credential-helpers, credentials/error.go)
_NONE = "credentials not found in native keychain"
#: helpers whose logins end after hours, and that may give the same one for a while: of Amazon ECR
#: (https://github.com/awslabs/amazon-ecr-credential-helper), Google (https://cloud.google.com/artifact-registry/docs/docker/authentication)
#: and Azure (https://github.com/chrismellard/docker-credential-acr-env)
_ENDING = frozenset({"ecr-login", "gcloud", "gcr", "acr-env"})
_PROGRAM = "docker-credential-"
#: what a password may hold within: the file of a Google service account's key is one, as it is downloaded
#: (https://cloud.google.com/artifact-registry/docs/docker/authentication#json-key)
_WITHIN = "\t\r\n"
#: seconds in which a credential helper must answer
_HELPER_TIMEOUT = 30.0


def login_of(session: HttpSession, registry: ExternalRegistry) -> Login | None:
    """The login; None where the spec gives none. Raises PlatformError."""
    source = registry.credentials
    if source is None:
        return None
    if source.env is not None:
        return _of_env(registry, source.env)
    if source.docker_config is not None:
        return _of_config(registry, path_of(source.docker_config, session.estate.base, "credentials.docker_config"))
    assert source.kubernetes_secret is not None
    return _of_secret(session, registry, source.kubernetes_secret)


def check_lasting(session: HttpSession, registry: ExternalRegistry, login: Login) -> None:
    """Raises PlatformError if the login, which was read before, comes from a helper that makes another one each time: then it ends,
    and nobody here knows when."""
    program = login.source
    if not program.startswith(_PROGRAM):
        return
    if program.removeprefix(_PROGRAM) in _ENDING or login_of(session, registry) != login:
        raise refused(
            registry,
            f"{program} gives logins that end, and not when they do: pods that are given one can't pull any more then",
            "name a login that lasts in `credentials`, such as a robot account's; for a registry of AWS, Azure or Google, use that"
            " platform, whose logins `reconciler refresh` renews",
        )


def _of_env(registry: ExternalRegistry, names: EnvCredentials) -> Login:
    found = {name: os.environ.get(name, "") for name in (names.username, names.password)}
    if missing := [name for name, value in found.items() if not value]:
        raise refused(
            registry,
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set, or empty",
            "set what credentials.env names in the environment",
        )
    return _checked(
        registry,
        found[names.username],
        found[names.password],
        f"the variables {names.username} and {names.password}",
    )


def _of_config(registry: ExternalRegistry, file: Path) -> Login:
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise refused(
            registry, f"{file} can't be read: {os_sentence(error)}", "check credentials.docker_config"
        ) from None
    except (ValueError, RecursionError):
        raise refused(registry, f"{file} is no JSON", "check credentials.docker_config") from None
    source = f"{file}"
    # as docker has it: a helper of the registry's own comes first, and an empty one is none
    # (https://docs.docker.com/reference/cli/docker/login/#credential-helpers)
    helpers = _mapping(document, "credHelpers")
    store = document.get("credsStore") if isinstance(document, dict) else None
    named = entry_of(registry, helpers, source)
    host, helper = named or (host_of(registry), store)
    if isinstance(helper, str) and helper:
        # a store has what docker has noted of it, without the login
        noted = None if named else entry_of(registry, _mapping(document, "auths"), source)
        return _of_helper(registry, helper, noted[0] if noted else host, source)
    to = "" if host == HUB else f" {host}"
    # by another name docker writes none: https://docs.docker.com/reference/cli/docker/#change-the-docker-directory
    folder = shlex.quote(str(file.parent))
    how = f"log in with `docker --config {folder} login{to}`" if file.name == "config.json" else "write one into it"
    return _of_auths(registry, document, source, how)


def _of_auths(registry: ExternalRegistry, document: Any, source: str, how: str) -> Login:
    """The login of a config.json for the registry. `how`: how it gets there."""
    host, entry = entry_of(registry, _mapping(document, "auths"), source) or (host_of(registry), None)
    if not isinstance(entry, dict):
        raise refused(registry, f"{source} has no login for {host}", how)
    if entry.get("identitytoken"):
        raise _by_browser(registry, f"{source}: the login for {host}")
    name, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        pair = pair_of(entry["auth"])
        if pair is None:
            raise refused(registry, f"{source}: `auth` of {host} can't be read", how)
        name, password = pair
    if not (isinstance(name, str) and isinstance(password, str) and name and password):
        raise refused(registry, f"{source}: the login for {host} has no user name and password", how)
    return _checked(registry, name, password, source)


def _of_helper(registry: ExternalRegistry, helper: str, host: str, source: str) -> Login:
    """https://github.com/docker/docker-credential-helpers: it is asked on standard input, and answers JSON."""
    program = f"{_PROGRAM}{helper}"
    said = f"{program}, which {source} names,"
    if _HELPER.fullmatch(helper) is None:
        raise refused(registry, f"{source} names {helper!r}, which is no credential helper", "name one without a path")
    try:
        ran = subprocess.run(  # noqa: S603 - what the user's own configuration names, as docker runs it
            [program, "get"], input=host, capture_output=True, text=True, timeout=_HELPER_TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise refused(registry, f"{said} is not installed", f"install {program}, or log in without it") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        why = "does not answer in time" if isinstance(error, subprocess.TimeoutExpired) else "can't be run"
        why = "answers no UTF-8" if isinstance(error, UnicodeDecodeError) else why
        raise refused(registry, f"{said} {why}", f"run `{program} get` by hand") from None
    try:
        found = json.loads(ran.stdout) if ran.returncode == 0 else {}
    except (ValueError, RecursionError):
        found = None
    # what it says else is not shown: it may hold anything
    if not isinstance(found, dict) or (ran.returncode != 0 and ran.stdout.strip() != _NONE):
        why = f"fails with exit code {ran.returncode}" if ran.returncode else "answers what is no login"
        raise refused(registry, f"{said} {why}", f"run `echo {host} | {program} get` by hand, which says why")
    name, password = found.get("Username"), found.get("Secret")
    if not (isinstance(name, str) and isinstance(password, str) and name and password):
        raise refused(registry, f"{said} has no login for {host}", f"log in with `docker login {host}`")
    if name == _BY_BROWSER:
        raise _by_browser(registry, f"what {program} has for {host}")
    return _checked(registry, name, password, program)


def _of_secret(session: HttpSession, registry: ExternalRegistry, at: SecretReference) -> Login:
    where = f"secret {at.namespace}/{at.name} of cluster {at.cluster}"
    found = session.ledger(Notes).clusters[at.cluster].read(SECRETS, at.namespace, at.name)
    if found is None:
        raise refused(registry, f"{where} is not there", "check credentials.kubernetes_secret")
    try:
        document = json.loads(base64.b64decode((found.get("data") or {}).get(KEY) or "", validate=True))
    except (ValueError, RecursionError):
        raise refused(registry, f"{where} holds no {TYPE}", "check credentials.kubernetes_secret") from None
    how = f"put one for {host_of(registry)} into it, or name another one in credentials.kubernetes_secret"
    return _of_auths(registry, document, where, how)


def _checked(registry: ExternalRegistry, name: str, password: str, source: str) -> Login:
    if ":" in name:  # https://www.rfc-editor.org/rfc/rfc7617#section-2
        raise refused(registry, "the user name holds a colon, which no login can", f"check {source}")
    try:
        f"{name}{password}".encode()
    except UnicodeEncodeError:  # bytes of another encoding in the environment, or half a character in JSON
        raise refused(registry, "the login is no UTF-8, which no registry takes", f"check {source}") from None
    within = password.translate(dict.fromkeys(map(ord, _WITHIN))) if password == password.strip(_WITHIN) else password
    if any(ord(character) < 32 or ord(character) == 127 for character in name + within):
        raise refused(
            registry,
            "the login holds a control character, such as a line break at an end of the password, or in the name",
            f"check {source}",
        )
    return Login(name, password, source)


def _by_browser(registry: ExternalRegistry, what: str) -> PlatformError:
    return refused(
        registry,
        f"{what} is a token of a login by a browser, which is no user name and password",
        "log in with a user name and a password, or an access token in its place",
    )


def _mapping(document: Any, key: str) -> Mapping[str, Any]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
