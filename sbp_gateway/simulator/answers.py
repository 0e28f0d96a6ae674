"""The form of every answer of NSPK's."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


def envelope(code: str, message: str, data: Any = None, *, status: int = 200) -> JSONResponse:
    """NSPK's form of every answer."""
    return JSONResponse({"code": code, "message": message, "data": data}, status_code=status)
