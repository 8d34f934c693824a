"""The published JSON Schemas of one metric event and one activity event.

In: the pydantic models. Out: JSON Schema (2020-12) text; `python -m models.codecs.schemas metric-event` prints one.
Never: edited by hand; docs/schemas holds this output, and a test compares them.

What a schema cannot say stands in docs/wire-format.md: ended_at >= started_at, cost_provenance only with cost_usd,
distinct leaf names of an object value.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from models.events import METRIC_LENGTH_MAX, SCHEMA_VERSION, VALUE_ABS_MAX, ActivityEvent, MetricEvent

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NO_NUL: Final = "^[^\\u0000]*$"
_METRIC_PATTERN: Final = f"^[A-Za-z][A-Za-z0-9_.]{{0,{METRIC_LENGTH_MAX - 1}}}$"
# pydantic names the bounds of a union after its own arguments; JSON Schema knows them by these.
_BOUNDS: Final[dict[str, str]] = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def published() -> dict[str, str]:
    """File name in docs/schemas -> its text."""
    metric = _clean(MetricEvent.model_json_schema())
    properties = metric["properties"]
    properties["metric"]["pattern"] = _METRIC_PATTERN
    properties["metric"]["description"] = "Upper case is accepted and stored as lower case."
    number = {"type": "number", "minimum": -VALUE_ABS_MAX, "maximum": VALUE_ABS_MAX}
    leaf = {"anyOf": [number, {"$ref": "#/$defs/leaves"}]}
    properties["value"] = {
        "description": "A number, or an object whose numeric leaves become one event each (`metric.leaf`).",
        "anyOf": [number, {"$ref": "#/$defs/leaves", "minProperties": 1}],
    }
    metric["$defs"] = {
        "leaves": {
            "type": "object",
            "propertyNames": {"pattern": f"^[A-Za-z0-9_.]{{1,{METRIC_LENGTH_MAX - 2}}}$"},
            "additionalProperties": leaf,
        }
    }
    return {
        f"{name}.v{SCHEMA_VERSION}.schema.json": json.dumps(schema, indent=2, ensure_ascii=True) + "\n"
        for name, schema in (
            ("metric-event", _headed("Metric event", metric)),
            ("activity-event", _headed("Activity event", _clean(ActivityEvent.model_json_schema()))),
        )
    }


def _headed(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    required = set(schema["required"])
    properties = {name: one if name in required else _or_null(one) for name, one in schema["properties"].items()}
    return {"$schema": _DIALECT, **schema, "properties": properties, "title": title}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional field may be null: not given."""
    null = {"type": "null"}
    if null in schema.get("anyOf", ()):
        return schema
    apart: dict[str, Any] = {key: schema[key] for key in ("default", "description") if key in schema}
    return {"anyOf": [{k: v for k, v in schema.items() if k not in apart}, null], **apart}


def _clean(node: Any, *, is_properties: bool = False) -> Any:
    """JSON Schema's own bounds, no generated titles, and the rule that no string holds NUL."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned: dict[str, Any] = {}
    for key, item in node.items():
        if not is_properties and key == "title":
            continue
        name = key if is_properties or key not in _BOUNDS else _BOUNDS[key]
        cleaned[name] = _clean(item, is_properties=key == "properties" and not is_properties)
    if cleaned.get("type") == "string" and "enum" not in cleaned and "const" not in cleaned and not is_properties:
        cleaned["pattern"] = _NO_NUL
    if "propertyNames" in cleaned and not is_properties:
        cleaned["propertyNames"] = {**cleaned["propertyNames"], "pattern": _NO_NUL}
    return cleaned


def main(arguments: list[str]) -> int:
    """Prints the schema whose file name starts with the first argument."""
    schemas = published()
    for name, text in schemas.items():
        if len(arguments) == 1 and name.startswith(arguments[0]):
            sys.stdout.write(text)
            return 0
    sys.stderr.write(f"usage: python -m models.codecs.schemas {{{','.join(n.split('.')[0] for n in schemas)}}}\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
