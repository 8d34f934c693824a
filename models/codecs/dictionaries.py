"""The dictionaries of a partition's decoder: distinct series and labels, each checked and normalised once.

In: keys as they were sent. Out: the index of the normalised series or label, or INVALID when it breaks a rule.
Never: repeats work for a key it has seen; a lookup of a known key runs in C (`dict.__getitem__`). Never part of any
state: an index means something only together with the list it points into.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from models.codecs import rules
from models.codecs.records import EventError
from models.codecs.structs import Label, Tags

INVALID: Final = -1
DIMENSION_PREFIX: Final = "dim."

Series = tuple[str, str, str]  # swarm_id, agent_id, metric
TextLabelKey = tuple[tuple[str, str, str, str, str, str], bytes, bytes]  # label fields, tags and dimensions as JSON

# Keys remembered before the dictionaries start over. Series: more than a partition has active, so that they are kept
# from chunk to chunk (about 0.4 KB each). Labels: tags may be different in every event and must not fill the memory.
SERIES_KEYS_MAX: Final = 262_144
LABEL_KEYS_MAX: Final = 65_536

_TAGS: Final = msgspec.json.Decoder(Tags)
_RULES: Final = {name: rule for name, rule, _ in rules.METRIC_FIELDS}
PLAIN_LABEL: Final = Label("", "", "agent", "medium", "", "measured", ())  # of an event with no field of a label
_LABEL_FIELDS: Final = ("run_id", "unit", "source", "priority", "category", "provenance")


def make_label(fields: tuple[str, str, str, str, str, str], tags: dict[str, str], dimensions: dict[str, str]) -> Label:
    """Dimensions become tags named `dim.<name>`; where a tag already has that name, the dimension wins."""
    if dimensions:
        tags = tags | {f"{DIMENSION_PREFIX}{key}": text for key, text in dimensions.items()}
    return Label(*fields, tuple(sorted(tags.items())))


class SeriesIndex(dict[Series, int]):
    """(swarm_id, agent_id, metric as sent) -> index into `entries`, which hold normalised names."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Series] = []
        self._index: dict[Series, int] = {}
        self._texts: dict[str, str] = {}  # each name once, however many series it is part of

    def __missing__(self, key: Series) -> int:
        one = self._texts.setdefault
        key = (one(key[0], key[0]), one(key[1], key[1]), one(key[2], key[2]))
        try:
            entry = (_RULES["swarm_id"](key[0]), _RULES["agent_id"](key[1]), _RULES["metric"](key[2]))
        except EventError:
            self[key] = INVALID
            return INVALID
        index = self._index.setdefault(entry, len(self.entries))
        if index == len(self.entries):
            self.entries.append(entry)
        self[key] = index
        return index


class LabelIndex(dict[TextLabelKey, int]):
    """Label fields with their tags as JSON text, or as pairs (`of_pairs`) -> index into `entries`."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Label] = []
        self._index: dict[Label, int] = {}
        self._pairs: dict[Any, int] = {}

    @property
    def keys_known(self) -> int:
        """How many keys of both kinds are remembered."""
        return len(self) + len(self._pairs)

    def __missing__(self, key: TextLabelKey) -> int:
        """The fields themselves were checked by the struct they come from; the texts are read here."""
        fields, tags, dimensions = key
        try:
            label = make_label(fields, _TAGS.decode(tags), _TAGS.decode(dimensions))
        except (msgspec.DecodeError, RecursionError):
            self[key] = INVALID
            return INVALID
        self[key] = index = self.add(label)
        return index

    def of_pairs(self, key: tuple[Any, ...]) -> int:
        """(run_id, unit, source, priority, category, provenance, ((tag, text), ...)) -> index or INVALID."""
        found = self._pairs.get(key)
        if found is not None:
            return found
        tags = dict(key[6])
        try:
            for name, text in zip(_LABEL_FIELDS, key, strict=False):
                _RULES[name](text)
            _RULES["tags"](tags)
            index = self.add(make_label(key[:6], tags, {}))
        except EventError:
            index = INVALID
        self._pairs[key] = index
        return index

    def add(self, label: Label) -> int:
        """The index of a label that is known to be valid."""
        index = self._index.setdefault(label, len(self.entries))
        if index == len(self.entries):
            self.entries.append(label)
        return index


class UnitLabels(dict[str, int]):
    """The unit of an event that says nothing else of itself -> index of its label."""

    def __init__(self, labels: LabelIndex) -> None:
        super().__init__()
        self._labels = labels

    def __missing__(self, unit: str) -> int:
        self[unit] = index = self._labels.add(PLAIN_LABEL._replace(unit=unit))
        return index


class Dictionaries:
    """Series and labels of the chunks decoded one after another."""

    __slots__ = ("labels", "series", "unit_labels")

    def __init__(self) -> None:
        self.series = SeriesIndex()
        self._forget_labels()

    def _forget_labels(self) -> None:
        self.labels = LabelIndex()
        self.unit_labels = UnitLabels(self.labels)

    def trim(self, series_keys_max: int = SERIES_KEYS_MAX) -> None:
        """Between two chunks: starts over when too much is remembered. Lists handed out before stay as they are."""
        if len(self.series) > series_keys_max:
            self.series = SeriesIndex()
        if self.labels.keys_known + len(self.unit_labels) > LABEL_KEYS_MAX:
            self._forget_labels()
