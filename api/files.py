"""Files at the door: a body that is not JSON but a file as it is, for instance a bank's register."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi.routing import APIRouter
from starlette.types import Receive, Scope

from api.bodies import read_body
from api.door import HEADERS, DoorRoute
from api.errors import MediaTypeUnsupported

MEDIA_TYPES = (
    "application/octet-stream",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "text/csv",
)


class FileRoute(DoorRoute):
    """A route that takes a file. A repeat is known by the file's SHA-256."""

    async def read(self, scope: Scope, receive: Receive) -> tuple[bytes, Any]:
        headers: Mapping[bytes, bytes] = scope[HEADERS]
        raw = await read_body(receive, headers, self.body_bytes_max)
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        if (raw and kind not in MEDIA_TYPES) or headers.get(b"content-encoding", b"identity") != b"identity":
            raise MediaTypeUnsupported(f"Send the file as {', '.join(MEDIA_TYPES)}.")
        return raw, {"sha256": hashlib.sha256(raw).hexdigest()}


def file_router(prefix: str, tag: str) -> APIRouter:
    """A router whose writes take files; they need an API key."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=FileRoute)


FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    }
}
"""What the documents say about the body of such a route."""
