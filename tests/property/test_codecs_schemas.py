"""The published JSON Schemas are current, and they refuse nothing that the decoders accept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from models.codecs.edge import parse_activity_event
from models.codecs.rules import ACTIVITY_FIELDS, METRIC_FIELDS, EventError, check_activity, check_metric
from models.codecs.schemas import published
from models.events import ActivityEvent, MetricEvent
from tests.support.awkward import ANYTHING, changed, reference_metrics
from tests.support.builders import activity, metric

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
SCHEMAS = {name.split(".")[0]: json.loads(text) for name, text in published().items()}
METRIC = Draft202012Validator(SCHEMAS["metric-event"])
ACTIVITY = Draft202012Validator(SCHEMAS["activity-event"])


def test_the_files_hold_what_the_models_say() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == published(), (
        "run: python -m models.codecs.schemas NAME > docs/schemas/NAME.v1.schema.json"
    )


def test_the_schemas_are_valid_schemas_that_name_every_field() -> None:
    for schema, model in ((SCHEMAS["metric-event"], MetricEvent), (SCHEMAS["activity-event"], ActivityEvent)):
        Draft202012Validator.check_schema(schema)
        assert set(schema["properties"]) == set(model.model_fields)
        assert METRIC.is_valid(metric())
        assert ACTIVITY.is_valid(activity())


def accepted(check: Any, document: Any) -> bool:
    try:
        check(document)
    except EventError:
        return False
    return True


# JSON Schema counts 1.0 as an integer, and has no word for a name that is half a surrogate pair.
def sayable(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and not value.is_integer()
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, dict):
        return all(sayable(k) and sayable(v) for k, v in value.items())
    return not isinstance(value, list) or all(map(sayable, value))


@pytest.mark.parametrize("field", [name for name, _, _ in METRIC_FIELDS])
def test_schema_and_rules_agree_on_every_awkward_value_of_a_metric_field(field: str) -> None:
    for value in filter(sayable, ANYTHING):
        if field == "value" and isinstance(value, dict):
            continue  # counts, depth and distinct names of leaves are beyond a schema; the next test covers one side
        if field == "metric" and isinstance(value, str) and not value.isascii():
            continue  # the Kelvin sign is lower-cased to k
        document = metric(**{field: value})
        assert METRIC.is_valid(document) == accepted(check_metric, document), (field, value)


@pytest.mark.parametrize("field", [name for name, _, _ in ACTIVITY_FIELDS])
def test_schema_and_rules_agree_on_every_awkward_value_of_an_activity_field(field: str) -> None:
    for value in filter(sayable, ANYTHING):
        document = activity(**({"cost_usd": 0.5, "ended_at": None} | {field: value}))
        if field in {"ended_at", "cost_usd"}:
            document["started_at"] = 946_684_800_000
            document["cost_provenance"] = ""
        assert ACTIVITY.is_valid(document) == accepted(check_activity, document), (field, value)


@settings(max_examples=200)
@given(changed(metric(), [name for name, _, _ in METRIC_FIELDS if name != "metric"]))
def test_what_the_decoder_accepts_is_valid_by_the_schema(document: dict[str, Any]) -> None:
    if reference_metrics(document) is not None:
        METRIC.validate(document)


def test_the_examples_of_the_wire_format_page_are_accepted() -> None:
    page = (FOLDER.parent / "wire-format.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```json\n")[1:]]
    assert len(blocks) >= 3
    for block in blocks:
        document = json.loads(block)
        for event in document if isinstance(document, list) else [document]:
            if "kind" in event:
                parse_activity_event(event)
            else:
                assert reference_metrics(event), event
