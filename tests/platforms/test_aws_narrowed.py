"""What is said where somebody loses a part of what they had: what of it stays."""

from __future__ import annotations

from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.platforms.aws.replication import ReplicationKind, ReplicationSettings
from reconciler.platforms.aws.replication_spec import ALL
from reconciler.render.sentences import lost
from tests.sandbox.aws import ACCOUNT

OTHER = "222222222222"


# -- replication


def no_longer_copied(before: str, after: str) -> list[str]:
    """What another account no longer receives, by the prefixes before and after."""
    places = ("us-east-1", f"us-east-1/{OTHER}")
    then, now = (Given(ReplicationSettings(places, prefix=prefix)) for prefix in (before, after))
    found = ReplicationKind().gains_and_losses(Address("images.replication.rule"), then, now, Home(ACCOUNT))
    assert found[0] == []
    start = f"account {OTHER} in us-east-1 can no longer receive copies of "
    texts = [item.text for item in lost(found[1])]
    assert all(text.startswith(start) for text in texts)
    return [text.removeprefix(start) for text in texts]


def test_a_narrower_replication_rule_says_what_an_account_still_receives() -> None:
    assert no_longer_copied(ALL, "") == ["any repository, except images-*"]
    assert no_longer_copied(ALL, "app- web-") == ["any repository, except app-* and web-*"]
    assert no_longer_copied("im", "") == ["im*, except images-*"]
    assert no_longer_copied(f"{ALL} web-", "web-") == ["any repository, except web-*"]
    assert no_longer_copied("app- images-", "images-") == ["app-*"]
