"""Specs of this build's platforms."""

from __future__ import annotations

from functools import partial, update_wrapper

from reconciler.platforms.catalog import Spec
from reconciler.spec import loader

load_spec = partial(loader.load_spec, model=Spec)
parse_spec = partial(loader.parse_spec, model=Spec)

for bound in (load_spec, parse_spec):
    update_wrapper(bound, bound.func)  # so that help() shows what each does
