"""Apply, with the catalog of this build's platforms handed in."""

from __future__ import annotations

from functools import partial, update_wrapper

from reconciler.engine.apply import apply as _apply
from reconciler.platforms.catalog import CATALOG

apply = partial(_apply, platforms=CATALOG)
update_wrapper(apply, _apply)  # so that help() shows what it does
