"""Events in the description of the API: each as a webhook that we call, with its schema and an example.

Source: OpenAPI 3.1, "webhooks"; Standard Webhooks, "Webhook headers".
"""

from __future__ import annotations

from typing import Any

from api.event_catalogue import EVENT_TYPES, EventType

EVENT: dict[str, Any] = {
    "type": "object",
    "title": "Event",
    "description": "Something that happened to an object, as it is sent to webhooks.",
    "required": ["type", "timestamp", "id", "object_id", "sequence", "data"],
    "properties": {
        "type": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "id": {"type": "string", "description": "The same at every try and replay: what was seen is known by it."},
        "object_id": {"type": "string"},
        "sequence": {"type": "integer", "description": "1, 2, 3 for each object: a gap shows that one was missed."},
        "data": {"type": "object"},
    },
}
"""The envelope that all events have."""
HEADERS = {
    "webhook-id": "The event's id.",
    "webhook-timestamp": "When this try was sent: seconds since 1970. Refuse what is older than five minutes.",
    "webhook-signature": "`v1,` and HMAC-SHA256 in base64 of `id.timestamp.body`, one for each secret, with spaces.",
}


def event_headers() -> dict[str, Any]:
    """The headers that every event comes with, as parameters that all events share."""
    return {
        name: {"name": name, "in": "header", "required": True, "description": says, "schema": {"type": "string"}}
        for name, says in HEADERS.items()
    }


def event_webhooks() -> dict[str, Any]:
    """The part ``webhooks`` of the description."""
    return {name: {"post": _operation(event_type)} for name, event_type in EVENT_TYPES.items()}


def _operation(event_type: EventType) -> dict[str, Any]:
    data = {
        "type": "object",
        "required": [name for name in event_type.fields if name not in event_type.optional],
        "properties": {name: _schema(event_type, name) for name in event_type.fields},
    }
    its_own = {"properties": {"type": {"const": event_type.name}, "data": data}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Event"}, its_own]}
    return {
        "summary": event_type.summary,
        "tags": ["events"],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "Taken. Anything else is tried again; 410 suspends the webhook."}},
    }


def _schema(event_type: EventType, name: str) -> dict[str, Any]:
    field = event_type.fields[name]
    if field.kind == "any":
        return {"examples": [field.example]}
    kind: str | list[str] = [field.kind, "null"] if name in event_type.optional else field.kind
    return {"type": kind, "examples": [field.example]}
