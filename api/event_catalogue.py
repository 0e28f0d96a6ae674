"""The catalogue of events: every name that is ever published, in words, with its fields and an example of each.

The code that publishes is the source: a test reads every place of it and compares names and fields with the
catalogue's lines, and each test run compares what was really published. The OpenAPI document shows it as webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from api.event_fields import FIELDS, EventField

OPTIONAL = "?"
"""After the name of a field that may be null or absent."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event: what happened to an object, as all its events say it."""

    name: str
    summary: str
    """In Russian, for people."""
    fields: Mapping[str, EventField]
    optional: frozenset[str]
    """Fields that may be null or absent."""

    def faults_of(self, data: Mapping[str, Any]) -> list[str]:
        """What in an event's data is not as the catalogue says."""
        unknown = [f"{name}: not in the catalogue" for name in data if name not in self.fields]
        missing = [f"{name}: missing" for name in self.fields if name not in data and name not in self.optional]
        wrong = [
            f"{name}: not {field.kind}"
            for name, field in self.fields.items()
            if data.get(name) is not None and not field.takes(data[name])
        ]
        empty = [
            f"{name}: null" for name in self.fields if name in data and data[name] is None and name not in self.optional
        ]
        return unknown + missing + wrong + empty

    @property
    def example(self) -> dict[str, Any]:
        """Data as such an event carries it."""
        return {name: field.example for name, field in self.fields.items()}


FILE = Path(__file__).with_name("event_catalogue.yaml")
SHAPE = "$"
"""Before the name of a shape: fields that several events share."""


def read_catalogue(written: str) -> Mapping[str, EventType]:
    """The catalogue as its file says it. A field that nobody knows is our bug."""
    told = yaml.load(written, Loader=yaml.CSafeLoader)
    shapes: Mapping[str, str] = told["shapes"]
    return {name: _event_type(name, line["says"], line["fields"], shapes) for name, line in told["events"].items()}


def _event_type(name: str, summary: str, fields: str, shapes: Mapping[str, str]) -> EventType:
    words = _words(fields, shapes)
    told = [word.removesuffix(OPTIONAL).partition("=") for word in words]
    known = {field: FIELDS[meaning or field] for field, _, meaning in told}
    optional = frozenset(field for (field, _, _), word in zip(told, words, strict=True) if word.endswith(OPTIONAL))
    return EventType(name, summary, known, optional)


def _words(fields: str, shapes: Mapping[str, str]) -> list[str]:
    return [
        each
        for word in fields.split()
        for each in (_words(shapes[word.removeprefix(SHAPE)], shapes) if word.startswith(SHAPE) else [word])
    ]


EVENT_TYPES: Mapping[str, EventType] = read_catalogue(FILE.read_text(encoding="utf-8"))
EVENT_NAMES: tuple[str, ...] = tuple(EVENT_TYPES)
