"""Saved plans, read with this build's platforms."""

from __future__ import annotations

from functools import partial, update_wrapper

from reconciler.engine import plan_file
from reconciler.platforms.catalog import CATALOG

dumps = plan_file.dumps
is_plan = plan_file.is_plan
loads = partial(plan_file.loads, platforms=CATALOG)
read_plan = partial(plan_file.read, platforms=CATALOG)

for bound in (loads, read_plan):
    update_wrapper(bound, bound.func)  # so that help() shows what each does
