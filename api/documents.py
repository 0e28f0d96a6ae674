"""The API's own description: OpenAPI 3.1 with examples, and a page that shows it without any CDN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, Response

from api.bodies import API_VERSION
from api.document_links import add_links
from api.door import DoorRoute, open_router
from api.errors import FieldFault, IdempotencyInProgress, KeyUnknown, RateLimited, RequestInvalid, ScopeMissing
from api.event_schemas import EVENT, event_headers, event_webhooks
from api.problems import PROBLEM_JSON, STATUS, TOLD_BY_THE_VAULT, document
from ledger.errors import KopeykaError

router = open_router("", "documents")

STATIC = Path(__file__).parent / "static"
SCRIPT = "rapidoc-min.js"
"""RapiDoc 9.3.8, MIT: its licence lies beside it."""
PAGE = """<!doctype html>
<html lang="ru"><head><meta charset="utf-8"><title>Kopeyka API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><script type="module" src="/docs/rapidoc-min.js">
</script></head><body><rapi-doc spec-url="/openapi.json" render-style="read" load-fonts="false"
show-header="false" schema-style="table" allow-authentication="true" persist-auth="false"></rapi-doc></body></html>
"""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
REQUEST_ID = "req_01kahs9m00e6srk3cffkt0m0ax"
KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "16 to 255 printable characters of your own that name this operation. Repeat it after any doubt.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 255},
    "example": "order-1001-attempt-1",
}
REASON_HEADER = {
    "name": "Reason",
    "in": "header",
    "required": False,
    "description": "Why, for the record: its first 200 characters are kept.",
    "schema": {"type": "string"},
}
ERRORS: tuple[KopeykaError, ...] = (
    KeyUnknown(),
    ScopeMissing(scope="ledger:write"),
    RequestInvalid((FieldFault("/amount", "a whole number below 2^53, or one up to 2^63-1 as text"),)),
    RateLimited(retry_after_seconds=1),
)
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). Nothing that was sent is repeated.",
    "required": ["type", "title", "status", "detail", "code", "retryable", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(STATUS.keys() | TOLD_BY_THE_VAULT)},
        "retryable": {"type": "boolean", "description": "The same request may be repeated with the same key."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "facts": {"type": "object", "additionalProperties": True},
        "cashier_tip": {"type": "string", "description": "What the cashier should do, in Russian."},
    },
}


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def show_documents() -> HTMLResponse:
    """The description as a page."""
    return HTMLResponse(PAGE, headers={"content-security-policy": PAGE_POLICY})


@router.get("/docs/" + SCRIPT, include_in_schema=False)
async def give_script() -> Response:
    """The vendored script of the page."""
    headers = {"cache-control": "public, max-age=86400"}
    return Response((STATIC / SCRIPT).read_bytes(), media_type="text/javascript", headers=headers)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title="Kopeyka",
            version=API_VERSION,
            summary="The books, the till and the rails of a payments core.",
            routes=app.routes,
        )
        parts = found.setdefault("components", {})
        parts["schemas"] = {
            name: schema
            for name, schema in parts.get("schemas", {}).items()
            if name not in ("HTTPValidationError", "ValidationError")
        } | {"Problem": PROBLEM}
        parts["securitySchemes"] = {"ApiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "kp_test_…"}}
        for method, operation, route in _operations(app, found):
            _complete(operation, method, route, parts["schemas"])
        add_links(found)
        if any(path.startswith("/v1/webhooks") for path in found["paths"]):
            parts["schemas"]["Event"], parts["parameters"] = EVENT, event_headers()
            found["webhooks"] = event_webhooks()
        app.openapi_schema = found
    return app.openapi_schema


def _operations(app: FastAPI, found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    routes = {
        (route.path, method.lower()): route
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if hasattr(route, "path")
    }
    for path, item in found["paths"].items():
        for method, operation in item.items():
            yield method, operation, routes.get((path, method))


def _complete(operation: dict[str, Any], method: str, route: Any, schemas: Mapping[str, Any]) -> None:
    """Add to one operation what every operation has: headers, errors, security, examples."""
    responses = operation["responses"]
    for status in [status for status in responses if status == "422"]:
        del responses[status]
    errors: tuple[KopeykaError, ...] = ()
    if isinstance(route, DoorRoute):
        errors = ERRORS
        operation["security"] = [{"ApiKey": [scope for scope in route.scopes if scope]}]
        if method in ("post", "patch"):
            operation.setdefault("parameters", []).extend([KEY_HEADER, REASON_HEADER])
            errors = (*ERRORS, IdempotencyInProgress())
    for error in errors:
        responses[str(STATUS[error.code])] = _problem_response(error)
    responses["default"] = _problem_response(KopeykaError("Any other problem."))
    if "requestBody" in operation:
        _add_example(operation["requestBody"], schemas)
    for response in responses.values():
        _add_example(response, schemas)


def _problem_response(error: KopeykaError) -> dict[str, Any]:
    example = document(error, REQUEST_ID)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": example["title"],
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
    }


def _add_example(carrier: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    content = carrier.get("content", {}).get("application/json")
    if content is not None and "example" not in content and "schema" in content:
        content["example"] = example_of(content["schema"], schemas)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of a schema: its own example, or one made of the examples of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    for given in ("example", "default", "const"):
        if given in schema:
            return schema[given]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    for either in ("anyOf", "oneOf", "allOf"):
        if either in schema:
            return example_of(schema[either][0], schemas)
    return _example_of_type(schema, schemas)


def _example_of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return {name: example_of(part, schemas) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas)]
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    return {"date-time": "2026-11-22T09:00:00Z", "date": "2026-11-22"}.get(str(schema.get("format")), "text")
