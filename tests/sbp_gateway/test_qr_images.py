"""Pictures of links: the modules are the standard's, the sizes those of screens and paper."""

from __future__ import annotations

import re
import struct
import zlib

import pytest
import segno

from sbp_gateway.qr_images import MEDIA, QUIET_ZONE_MODULES, QrFormat, QrSize, draw, qr_png, qr_svg

PAYLOAD = "https://qr.nspk.ru/AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17"
MODULES = 41 + 2 * QUIET_ZONE_MODULES
"""Version 6 holds a dynamic link at level M."""


def pixels(png: bytes) -> list[list[int]]:
    """Rows of 0 (dark) and 1 of a picture in black and white."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth = struct.unpack(">IIB", png[16:25])
    assert depth == 1
    raw = zlib.decompress(b"".join(data for kind, data in chunks(png) if kind == b"IDAT"))
    line = 1 + (width + 7) // 8
    rows: list[bytes] = []
    for at in range(0, line * height, line):
        row = raw[at + 1 : at + line]
        if raw[at] == 2:  # PNG's filter "up": what differs from the row above
            row = bytes(byte + above & 255 for byte, above in zip(row, rows[-1], strict=True))
        rows.append(row)
    return [[row[place // 8] >> (7 - place % 8) & 1 for place in range(width)] for row in rows]


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


@pytest.mark.parametrize("size", QrSize)
def test_a_png_shows_the_code_in_whole_dots(size: QrSize) -> None:
    picture = pixels(qr_png(PAYLOAD, size))
    dots, rest = divmod(len(picture), MODULES)
    code = segno.make_qr(PAYLOAD, error="m", boost_error=False)

    assert rest == 0
    assert MEDIA[size].width_dots * 3 // 4 < len(picture) <= MEDIA[size].width_dots
    middle = dots // 2
    shown = [[1 - row[x * dots + middle] for x in range(MODULES)] for row in picture[middle::dots]]
    assert shown == [list(row) for row in code.matrix_iter(border=QUIET_ZONE_MODULES)]


@pytest.mark.parametrize(
    ("size", "width"),
    [(QrSize.SCREEN, "392"), (QrSize.SLIP_58, "36.75mm"), (QrSize.SLIP_80, "49.0mm"), (QrSize.STICKER, "58.1875mm")],
)
def test_an_svg_has_the_size_of_its_medium(size: QrSize, width: str) -> None:
    picture = qr_svg(PAYLOAD, size).decode()

    assert re.search('<svg [^>]*width="([^"]+)"', picture)[1] == width  # type: ignore[index]
    assert 'fill="#fff"' in picture


def test_a_slip_is_printed_at_eight_dots_a_millimetre() -> None:
    (dots_a_metre,) = [data for kind, data in chunks(qr_png(PAYLOAD, QrSize.SLIP_58)) if kind == b"pHYs"]

    assert struct.unpack(">IIB", dots_a_metre) == (7992, 7992, 1)


def test_a_picture_is_drawn_in_the_format_asked_for() -> None:
    assert draw(PAYLOAD, QrFormat.SVG, QrSize.SCREEN) == qr_svg(PAYLOAD)
    assert draw(PAYLOAD, QrFormat.PNG, QrSize.SCREEN) == qr_png(PAYLOAD)
    assert [kind.media_type for kind in QrFormat] == ["image/svg+xml", "image/png"]
