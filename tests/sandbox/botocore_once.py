"""botocore with a memory: what it finds out anew for each session, client or event, always with the same result, is found out once.

That was a third of the time of the tests on AWS, which make some ten thousand clients. Nothing is kept that depends on who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from botocore import client, compat, hooks, loaders, model


def remember(patch: pytest.MonkeyPatch) -> None:
    """Has botocore remember, for as long as the patch is there."""
    patch.setattr("botocore.session.create_loader", cache(loaders.create_loader))
    patch.setattr(hooks, "accepts_kwargs", _by_function(compat.accepts_kwargs))
    aliaser = vars(hooks)["EventAliaser"]  # the stubs don't have it
    patch.setattr(aliaser, "_alias_event_name", _by_argument(vars(aliaser)["_alias_event_name"]))
    patch.setattr(client, "ServiceModel", _by_service(model.ServiceModel))
    creator = client.ClientCreator
    patch.setattr(creator, "_create_methods", _copy_of(_by_argument(vars(creator)["_create_methods"])))


def _by_function(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of functions, and of methods by their function: a method would keep its object."""
    known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def remembered(function: Any) -> Any:
        of = getattr(function, "__func__", function)
        if of not in known:
            known[of] = ask(function)
        return known[of]

    return remembered


def _by_argument(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Of a method whose result depends on its argument alone."""
    known: dict[Any, Any] = {}

    def remembered(self: Any, argument: Any) -> Any:
        if argument not in known:
            known[argument] = method(self, argument)
        return known[argument]

    return remembered


def _by_service(make: Callable[..., Any]) -> Callable[..., Any]:
    """Of the models of services, of which there is one version."""
    known: dict[str, Any] = {}

    def remembered(description: Any, service_name: str) -> Any:
        if service_name not in known:
            known[service_name] = make(description, service_name=service_name)
        return known[service_name]

    return remembered


def _copy_of(method: Callable[[Any, Any], dict[str, Any]]) -> Callable[[Any, Any], dict[str, Any]]:
    """Of a method whose caller adds to what it returns."""
    return lambda self, argument: dict(method(self, argument))
