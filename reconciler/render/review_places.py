"""A review with its places as a code host shows them: relative to the top of the repository, wherever it was made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from reconciler.places import Spot
from reconciler.review.model import Review


def placed(review: Review, top: str) -> Review:
    """The review with the places of files in the folder `top` relative to it."""
    return replace(
        review,
        spot=_at(review.spot, top),
        findings=tuple(
            replace(
                finding,
                spot=finding.spot and _at(finding.spot, top),
                # the base's file may be another than the one that a link leads to here
                base=finding.base and _at(finding.base, top, follow=False),
            )
            for finding in review.findings
        ),
    )


def _at(spot: Spot, top: str, *, follow: bool = True) -> Spot:
    return replace(spot, file=in_folder(spot.file, top, follow=follow))


def in_folder(file: str, top: str, *, follow: bool = True) -> str:
    """The file's path relative to a folder, with `/`; of a link, that of the file that it leads to. As it is if it is elsewhere."""
    return file if (found := _inside(file, top, follow=follow)) is None else found


def _inside(file: str, top: str, *, follow: bool = True) -> str | None:
    real = os.path.realpath(top)
    parent, name = os.path.split(os.path.abspath(file))
    itself = os.path.join(os.path.realpath(parent), name)
    for path in (os.path.realpath(file), itself) if follow else (itself,):
        if os.path.commonpath((real, path)) == real:
            return os.path.relpath(path, real).replace(os.sep, "/")
    return None


def top_of(root: str, spec: str, environ: Mapping[str, str]) -> str:
    """The folder that places are relative to: the top of the clone, else the one that the host's runner works in, if the spec is in
    it; "" if there is none. `root`: the clone's top, as git says it; "" where git does not.

    https://docs.github.com/en/actions/reference/workflows-and-actions/variables,
    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    given = (root, environ.get("GITHUB_WORKSPACE", ""), environ.get("CI_PROJECT_DIR", ""))
    return next((top for top in given if top and _inside(spec, top) is not None), "")
