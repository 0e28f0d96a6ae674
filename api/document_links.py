"""What follows what in the description of the API: links from an answer to the calls that its object takes.

``POST /v1/orders`` answers an ``id``; every address under ``/v1/orders/{order_id}`` takes it. So do those under
which the first object of a list stands.
Source: OpenAPI 3.1, "Link Object" and "Runtime Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PARAMETER = re.compile(r"{(\w+)}")
SOURCES = {"post": "$response.body#/{name}", "get": "$response.body#/items/0/{name}"}
"""Where in an answer the object's name is: of what was made, and of the first of a list."""


def add_links(found: dict[str, Any]) -> None:
    """Add to every operation that makes or lists objects the calls that take one of them."""
    schemas: Mapping[str, Any] = found["components"]["schemas"]
    for path, item in found["paths"].items():
        for method in SOURCES.keys() & item.keys():
            for status, response in item[method]["responses"].items():
                links = dict(_links(found, path, method, response, schemas)) if status.startswith("2") else {}
                if links:
                    response["links"] = links


def _links(
    found: Mapping[str, Any], path: str, method: str, response: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    below = re.compile(re.escape(path) + r"/{(\w+)}(/[a-z-]+)*([.][a-z]+)?")
    fields = _fields(response, method, schemas)
    for target, item in found["paths"].items():
        match = below.fullmatch(target)
        if match is None or len(_PARAMETER.findall(target)) != len(_PARAMETER.findall(path)) + 1:
            continue
        name = match[1] if match[1] in fields else "id"
        if name in fields and "{" not in path:
            source = SOURCES[method].format(name=name)
            for operation in item.values():
                yield operation["operationId"], {
                    "operationId": operation["operationId"], "parameters": {match[1]: source},
                }  # fmt: skip


def _fields(response: Mapping[str, Any], method: str, schemas: Mapping[str, Any]) -> frozenset[str]:
    """The fields of the object that an answer holds, or of the objects in its list."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    whole = _resolved(schema, schemas).get("properties", {})
    if method == "get":
        whole = _resolved(whole.get("items", {}).get("items", {}), schemas).get("properties", {})
    return frozenset(whole)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    return schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
