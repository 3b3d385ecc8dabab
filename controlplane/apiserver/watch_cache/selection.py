"""Which objects a list or a watch is about, and what a change means to it. Pure."""

from dataclasses import dataclass

from podling.controlplane.apiserver.storage.encoded import Encoded
from podling.kube import field_selectors, label_selectors, watch_frames
from podling.kube.field_selectors import FieldSelector
from podling.kube.kinds import Kind
from podling.kube.label_selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Selection:
    """Objects of one kind: a range of keys, narrowed by labels and fields."""

    prefix: bytes
    """Keys begin with this: all of the kind, or those of one namespace."""
    labels: LabelSelector = label_selectors.EVERYTHING
    fields: FieldSelector = field_selectors.EVERYTHING

    @property
    def is_whole(self) -> bool:
        """Every object of the range is selected."""
        return self.labels.matches_everything and not self.fields.requirements

    def matches(self, entry: Encoded) -> bool:
        return (
            entry.key.startswith(self.prefix)
            and self.labels.matches(entry.labels)
            and self.fields.matches(entry.fields)
        )

    def change(self, before: Encoded | None, after: Encoded | None) -> str | None:
        """How a change looks from inside the selection; None if it cannot be seen.

        An object that begins to match is ADDED, one that ceases to is DELETED.
        """
        was = before is not None and self.matches(before)
        if after is not None and self.matches(after):
            return watch_frames.MODIFIED if was else watch_frames.ADDED
        return watch_frames.DELETED if was else None


def select(kind: Kind, namespace: str, labels: str = "", fields: str = "") -> Selection:
    """From the query parameters. Raises label_selectors.SelectorError for what they get wrong."""
    return Selection(
        kind.storage_range(namespace),
        label_selectors.parse(labels),
        field_selectors.parse_for(kind, fields),
    )
