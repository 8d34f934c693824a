"""The fast decoders, the exact rules and the pydantic models accept and reject the same inputs alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.codecs import EventError, decode_activities, decode_metrics
from models.codecs.edge import parse_activity_event
from models.codecs.json_text import read_items
from models.codecs.records import EVENTS_PER_RECORD_MAX
from models.codecs.rules import ACTIVITY_FIELDS, METRIC_FIELDS, check_activity, check_metric
from models.events import ActivityEvent, MetricEvent
from tests.support.awkward import ANYTHING, NUMBERS, changed, normal, normal_rows, reference_metrics, scalars, texts
from tests.support.builders import NOW_MS, activity, columns_record, metric, record

METRIC_NAMES = [name for name, _, _ in METRIC_FIELDS]
ACTIVITY_NAMES = [name for name, _, _ in ACTIVITY_FIELDS]
metric_documents = changed(metric(), METRIC_NAMES)
activity_documents = changed(activity(), ACTIVITY_NAMES)


def decoded(body: bytes, content_type: str | None = None) -> tuple[list[tuple[int, tuple[Any, ...]]], list[Any]]:
    """(idx, event in normal form) of each accepted event, and the errors."""
    chunk = decode_metrics([record(body, content_type=content_type)])
    return normal_rows(chunk), chunk.errors


def judge_metric(document: Any) -> bool:
    """Asserts that all three agree; returns whether they accept."""
    expected = reference_metrics(document)
    rows, errors = decoded(json.dumps(document).encode())
    if expected is None:
        assert (rows, [error.idx for error in errors]) == ([], [0]), document
        with pytest.raises(EventError):
            check_metric(document)
        return False
    assert errors == [], document
    assert [row for _, row in rows] == [normal(event) for event in expected]
    assert [idx for idx, _ in rows] == [EVENTS_PER_RECORD_MAX * leaf for leaf in range(len(expected))]
    assert len(check_metric(document)) == len(expected)
    return True


def judge_activity(document: Any) -> bool:
    """The same for an activity."""
    chunk = decode_activities([record(json.dumps(document).encode())])
    try:
        expected = parse_activity_event(document)
    except ValidationError:
        assert (chunk.activities, [error.idx for error in chunk.errors]) == ([], [0]), document
        with pytest.raises(EventError):
            check_activity(document)
        return False
    assert chunk.errors == [], document
    ((_, idx, found),) = chunk.activities
    assert idx == 0
    assert {name: getattr(found, name) for name in ActivityEvent.model_fields} == expected.model_dump()
    assert check_activity(document) == expected.model_dump()
    return True


def test_the_rules_know_exactly_the_fields_of_the_models() -> None:
    assert set(METRIC_NAMES) == set(MetricEvent.model_fields)
    assert set(ACTIVITY_NAMES) == set(ActivityEvent.model_fields)


@pytest.mark.parametrize("field", METRIC_NAMES)
def test_every_field_of_a_metric_with_every_awkward_value_is_judged_alike(field: str) -> None:
    verdicts = {judge_metric(metric(**{field: awkward})) for awkward in ANYTHING}
    assert verdicts == {True, False}  # the pool reaches both sides of the field's rule
    judge_metric({key: item for key, item in metric().items() if key != field})


@pytest.mark.parametrize("field", ACTIVITY_NAMES)
def test_every_field_of_an_activity_with_every_awkward_value_is_judged_alike(field: str) -> None:
    # With a cost, so that a provenance of the cost can be accepted as well.
    verdicts = {judge_activity(activity(**({"cost_usd": 1.0} | {field: awkward}))) for awkward in ANYTHING}
    assert verdicts == {True, False}
    judge_activity({key: item for key, item in activity().items() if key != field})


@settings(max_examples=500)
@given(metric_documents)
@example(metric(v=2, swarm_id=None))
@example(metric(extra={"a": [1, "\ud800"]}))
def test_any_metric_event_is_judged_alike(document: dict[str, Any]) -> None:
    judge_metric(document)


@settings(max_examples=500)
@given(activity_documents)
@example(activity(ended_at=NOW_MS - 1))
@example(activity(cost_provenance="estimated"))
@example(activity(cost_provenance="estimated", cost_usd=0))
def test_any_activity_is_judged_alike(document: dict[str, Any]) -> None:
    judge_activity(document)


@settings(max_examples=300)
@given(
    st.lists(st.one_of(metric_documents, st.just(metric()), scalars), min_size=1, max_size=6),
    st.sampled_from(["array", "lines"]),
)
def test_a_batch_is_the_sum_of_its_events_whatever_its_form(documents: list[Any], form: str) -> None:
    if form == "array":
        rows, errors = decoded(json.dumps(documents).encode())
    else:
        rows, errors = decoded(b"\n".join(json.dumps(d).encode() for d in documents), "application/x-ndjson")
    expected_rows, expected_bad = [], []
    for position, document in enumerate(documents):
        events = reference_metrics(document)
        if events is None:
            expected_bad.append(position)
        for leaf, event in enumerate(events or []):
            expected_rows.append((position + EVENTS_PER_RECORD_MAX * leaf, normal(event)))
    assert rows == expected_rows
    assert [error.idx for error in errors] == expected_bad


def is_unicode(text: str) -> bool:
    """msgpack carries UTF-8, so half a surrogate pair cannot even be written."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


unicode_texts = texts.filter(is_unicode)
doubles = st.one_of(st.sampled_from([float(n) for n in NUMBERS if not abs(n) > 1e308]), st.floats())


@settings(max_examples=300)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"value": doubles, "weight": st.one_of(st.just(1.0), doubles), "id": st.text("a\x00", max_size=3)},
            optional={
                "metric": unicode_texts,
                "swarm_id": unicode_texts,
                "unit": unicode_texts,
                "source": unicode_texts,
                "tags": st.dictionaries(unicode_texts, unicode_texts, max_size=2),
            },
        ),
        max_size=5,
    )
)
@example([{"value": 1e101, "weight": 1.0, "id": ""}, {"value": 1.0, "weight": 1.0, "id": "a"}])
def test_a_columnar_row_is_judged_like_the_same_event_in_json(changes: list[dict[str, Any]]) -> None:
    documents = [metric(**change) for change in changes]
    chunk = decode_metrics([columns_record(documents)])
    expected_rows, expected_bad = [], []
    for position, document in enumerate(documents):
        if document.get("source") == "":
            del document["source"]  # '' stands for an absent field in columns
        events = reference_metrics(document)
        if events is None:
            expected_bad.append(position)
        else:
            expected_rows.append((position, normal(events[0])))
    assert normal_rows(chunk) == expected_rows
    assert [error.idx for error in chunk.errors] == expected_bad


# Text that is not always JSON: mutations of a valid event, so that most of them come close.
fragments = st.one_of(
    st.sampled_from(["{", "}", "[", "]", ",", ":", '"', "\\", "-", "01", ".5", "1.", " ", "\t", "\n", "\x00", "\x1f"]),
    st.sampled_from(["\\u0000", "\\ud800", "\\udc00", "\\x", "NaN", "1e999", "null", "true", "\x7f", "é"]),
    st.sampled_from(['"value":1,', '"value":"x",', '"tags":{"a":"b"},', '"new":[[{"a":1e5}]],', '"new":"a",']),
)


@settings(max_examples=700)
@given(st.lists(st.tuples(st.integers(0, 130), fragments, st.booleans()), min_size=1, max_size=3))
def test_the_fast_reader_never_accepts_text_that_the_exact_reader_reads_otherwise(edits: list[Any]) -> None:
    text = json.dumps(metric(tags={"host": "h1"}), separators=(",", ":"))
    for at, fragment, replace in edits:
        text = text[:at] + fragment + text[at + (1 if replace else 0) :]
    body = text.encode()
    rows, errors = decoded(body)
    try:
        items = read_items(body, "")
    except EventError as error:
        items = None
        code = error.code
    if items is None:
        assert rows == []
        assert [(e.idx, e.code) for e in errors] == [(-1, code)]
        return
    expected = []
    for position, item in enumerate(items):
        events = None if item.error is not None else reference_metrics(item.value)
        for leaf, event in enumerate(events or []):
            expected.append((position + EVENTS_PER_RECORD_MAX * leaf, normal(event)))
    assert rows == expected


@settings(max_examples=300)
@given(st.text(alphabet='[]{}":,1a \\', max_size=40))
def test_arbitrary_text_never_raises_and_gives_an_error_or_events(text: str) -> None:
    chunk = decode_metrics([record(text.encode())])
    if text:
        assert chunk.n == 0
        assert chunk.errors or text.strip(" \t\r\n").replace(" ", "") == "[]"


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([None, "application/vnd.murmur.columns+msgpack"]))
def test_arbitrary_bytes_never_raise(body: bytes, content_type: str | None) -> None:
    for decode in (decode_metrics, decode_activities):
        chunk = decode([record(body, content_type=content_type)])
        assert len(chunk.producers) == 1
