"""Pictures of links as answers: what a caller may choose, and for how long a picture may be kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from sbp_gateway.qr_images import QrFormat, QrSize, draw

KEPT_SECONDS = 86_400
"""A sticker's or plate's picture never changes; a day is long enough to print it."""

ImageFormat = Annotated[QrFormat, Query(alias="format", description="How the picture is written.")]
ImageSize = Annotated[QrSize, Query(alias="size", description="Where it is shown: chooses width and dots.")]
IMAGE_RESPONSES: dict[int | str, dict[str, object]] = {200: {"content": {"image/svg+xml": {}, "image/png": {}}}}


def picture(payload: str, image_format: QrFormat, size: QrSize, *, kept_seconds: int = KEPT_SECONDS) -> Response:
    """The picture of a link; only the caller may keep it, because a link tells whose till it is."""
    return Response(
        draw(payload, image_format, size),
        media_type=image_format.media_type,
        headers={"cache-control": f"private, max-age={kept_seconds}, immutable"},
    )
