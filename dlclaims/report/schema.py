"""The JSON schema of ``report.json``, read from the model's types."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from dlclaims.report import model

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    types.NoneType: {"type": "null"},
    object: {},
}


def schema() -> dict[str, Any]:
    """Return the schema; its title carries the version that the reports carry."""
    known: dict[str, Any] = {}
    _of(model.Report, known)
    whole = known.pop("Report")
    return {
        "$schema": DIALECT,
        **whole,
        "title": f"report.json of dlclaims, schema {model.SCHEMA}",
        "properties": {"schema": {"const": model.SCHEMA}, **whole["properties"]},
        "required": ["schema", *whole["required"]],
        "$defs": dict(sorted(known.items())),
    }


def _of(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; those of dataclasses are put into `known`."""
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if is_dataclass(kind):
        assert isinstance(kind, type)
        if kind.__name__ not in known:
            known[kind.__name__] = {}  # a class that contains itself ends here
            known[kind.__name__] = _of_class(kind, known)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of(part, known) for part in parts]}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of(parts[1], known)}
    if origin is tuple and parts[1:] == (...,):
        return {"type": "array", "items": _of(parts[0], known)}
    if origin is tuple:
        number = len(parts)
        return {
            "type": "array",
            "prefixItems": [_of(part, known) for part in parts],
            "minItems": number,
            "maxItems": number,
        }
    raise TypeError(f"no JSON schema for {kind!r}")


def _of_class(kind: type, known: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, localns=vars(model))
    names = [field.name for field in fields(kind)]
    words = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return {
        "description": words,
        "type": "object",
        "properties": {name: _of(hints[name], known) for name in names},
        "required": names,
        "additionalProperties": False,
    }
