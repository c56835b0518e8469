"""Labels that a spec asked for, among those that others put on the same resource: which are whose, and what others had under the
keys of ours. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from reconciler.model.marks import PREFIX

Labels = dict[str, str]

#: what the key of another's label is kept under while a label of ours with its key stands in its place
WAS = f"{PREFIX}was-"


class SpecLabels:
    """How one platform tells them apart. `is_ours`: whether a key is of a label that we write beside those of a spec; `recorded`: the
    keys of a spec's labels, as they are recorded among all labels."""

    def __init__(
        self, is_ours: Callable[[str], bool], recorded: Callable[[Mapping[str, str]], Collection[str]]
    ) -> None:
        self._is_ours = is_ours
        self._recorded = recorded

    def own(self, labels: Mapping[str, str]) -> Labels:
        """The labels that a spec asked for: those that are recorded, and those in another's place, should the record be gone."""
        recorded = self._recorded(labels)
        displacing = {key.removeprefix(WAS) for key in labels if key.startswith(WAS)}
        return {
            key: value
            for key, value in labels.items()
            if not self._is_ours(key) and (key in displacing or key in recorded)
        }

    def foreign(self, labels: Mapping[str, str]) -> Labels:
        """The labels that no spec asked for, those among them whose place a label of ours has taken."""
        own = self.own(labels)
        others = {key: value for key, value in labels.items() if key not in own and not self._is_ours(key)}
        return {**others, **{key: labels[WAS + key] for key in own if WAS + key in labels}}


def displaced(others: Mapping[str, str], keys: Iterable[str]) -> Labels:
    """The labels that keep what others have under the keys of ours."""
    return {WAS + key: others[key] for key in keys if key in others}
