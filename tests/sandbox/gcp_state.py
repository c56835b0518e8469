"""What the stand-in for Google holds, told and changed without our code, and unseen by what watches the calls to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.emulators.gcp import Server
from tests.emulators.gcp.cloud import find
from tests.emulators.gcp.policies import current
from tests.emulators.gcp.service_accounts import shown
from tests.emulators.gcp.wire import asked

from .base import Document

#: what is new in an account that is made anew, and is no setting
_IDS = ("etag", "oauth2ClientId", "uniqueId", "name", "projectId", "email")


class Estate:
    """All that is there. Calls are the API's own, but none is among the stand-in's calls, and no behaviour sees one.

    Things are called by their full names, as `projects/P/serviceAccounts/E`.
    """

    def __init__(self, stand_in: Server) -> None:
        self._cloud = stand_in.cloud

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Document:
        """What a call to `/v1/PATH` answers. Raises AssertionError if it is refused."""
        target = f"/v1/{path}?{urlencode(query)}"
        found = find(asked(method, target, {}, b"" if body is None else json.dumps(body).encode()))
        assert found is not None, target
        status, answer = self._cloud.answer(found)
        assert status == 200, answer
        return answer

    # -- what is there

    def state(self) -> Document:
        """Everything, without ids, times and etags; in any order of members and bindings it is the same."""
        with self._cloud.lock:
            return {
                "accounts": {name: {**self.account(name), **self._access(name)} for name in self.accounts()},
                "repositories": {name: {**self.settings(name), **self._access(name)} for name in self.repositories()},
            }

    def accounts(self) -> list[str]:
        """The names of all service accounts."""
        with self._cloud.lock:
            return sorted(account.name for account in self._cloud.state.accounts.values())

    def account(self, name: str) -> Document:
        """An account's settings."""
        with self._cloud.lock:
            found = shown(self._cloud.state.accounts[name.rpartition("/")[2]])
        return {key: value for key, value in found.items() if key not in _IDS}

    def repositories(self) -> list[str]:
        """The names of all repositories, in any place."""
        with self._cloud.lock:
            return sorted(name for name, found in self._cloud.state.repositories.items() if found.visible)

    def settings(self, name: str) -> Document:
        """A repository's settings; one that nothing was written of, as it is unset."""
        with self._cloud.lock:
            found: Document = json.loads(json.dumps(self._cloud.state.repositories[name].settings))
        found.setdefault("labels", {})
        if found.get("vulnerabilityScanningConfig") == {"enablementConfig": "INHERITED"}:
            # https://cloud.google.com/artifact-registry/docs/analysis: unset is as INHERITED
            del found["vulnerabilityScanningConfig"]
        return found

    def policy(self, name: str) -> Document:
        """The allow policy of a thing, with conditions."""
        with self._cloud.lock:
            return current(self._cloud.state, name)

    def _access(self, name: str) -> Document:
        bindings = [
            {**binding, "members": sorted(re.sub(r"\?uid=\d+", "", member) for member in binding["members"])}
            for binding in self.policy(name).get("bindings", [])
        ]
        return {"access": sorted(bindings, key=json.dumps)} if bindings else {}

    # -- changes

    def make(self, name: str, settings: Document) -> None:
        """Makes a repository."""
        parent, _, identifier = name.partition("/repositories/")
        self._wait(self.call("POST", f"{parent}/repositories", settings, repositoryId=identifier))

    def make_account(self, name: str, settings: Document) -> None:
        """Makes an account."""
        parent, _, email = name.partition("/serviceAccounts/")
        body = {"accountId": email.partition("@")[0], "serviceAccount": settings}
        self.call("POST", f"{parent}/serviceAccounts", body)

    def remove(self, name: str) -> None:
        """Deletes a repository or an account."""
        self._wait(self.call("DELETE", name))

    def change(self, name: str, field: str, change: Callable[[Any], Any]) -> None:
        """Patches a field of a repository or an account; None takes it away."""
        is_account = "/serviceAccounts/" in name
        value = change((self.account(name) if is_account else self.settings(name)).get(field))
        sent = {} if value is None else {field: value}
        if is_account:
            self.call("PATCH", name, {"serviceAccount": sent, "updateMask": field})
        else:
            self.call("PATCH", name, sent, updateMask=field)

    def change_policy(self, name: str, change: Callable[[list[Document]], Any]) -> None:
        """Changes the bindings of a thing's policy in place; a binding that is left without members goes."""
        found = json.loads(json.dumps(self.policy(name)))
        bindings: list[Document] = found.get("bindings", [])
        change(bindings)
        kept = [binding for binding in bindings if binding["members"]]
        policy = {"etag": found["etag"], "version": 3, "bindings": kept}
        self.call("POST", f"{name}:setIamPolicy", {"policy": policy})

    def _wait(self, operation: Document) -> None:
        """Waits until an operation is done, which each call brings on; a call that is none answers no operation."""
        name = operation.get("name", "")
        while "/operations/" in name and not self.call("GET", name).get("done"):
            pass
