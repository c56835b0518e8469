"""`python -m bench.core N`: the pure core on N repositories; prints resources, CPU seconds and bytes per resource."""

from __future__ import annotations

import gc
import resource
import sys
import time

from reconciler.cli import collect_seldom
from reconciler.engine.diff import diff
from reconciler.engine.expand import estate_of, expand
from reconciler.engine.order import edges_of, ordered
from reconciler.engine.picture import picture
from reconciler.model.canonical import applied
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.aws.target import AwsTarget
from reconciler.platforms.catalog import CATALOG, Grant, Spec
from reconciler.spec.repository import Repository, Retention


def spec(number: int) -> Spec:
    """N repositories with a lifecycle policy and a grant each."""
    target = AwsTarget(type="aws", account_ids=("987654321098",))
    return Spec(
        version=1,
        name="bench",
        registries=(AwsRegistry(name="images", platform="aws", account_id="123456789012", region="us-east-1"),),
        repositories=tuple(
            Repository(name=f"app-{index}", registry="images", retention=Retention(keep_last=50, untagged_days=7))
            for index in range(number)
        ),
        grants=tuple(
            Grant(name=f"g-{index}", registry="images", repositories=(f"app-{index}",), to=target)
            for index in range(number)
        ),
    )


def main(number: int) -> None:
    """Runs once and prints."""
    collect_seldom()
    wanted = spec(number)
    assert estate_of(wanted).owner == "bench"
    gc.collect()
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    kinds, desired = expand(wanted, CATALOG)
    seconds = time.process_time() - started
    # the live side is what an observation would have yielded; making it is the platform's work, not the core's
    found = {address: applied(item, "bench") for address, item in desired["images"].items()}
    started = time.process_time()
    difference = diff(picture(kinds, desired, {"images": found}), "bench")
    order = ordered(difference.changes, edges_of(difference.changes))
    seconds += time.process_time() - started
    assert (order, difference.unchanged) == ([], len(desired["images"]))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(difference.unchanged, seconds, grown / difference.unchanged)


if __name__ == "__main__":
    main(int(sys.argv[1]))
