"""Pictures of links: a QR as SVG or PNG, of a size fit for where it is shown.

Error correction M and a quiet zone of four modules, as QR's standard asks for. Modules are whole dots of the
screen or printer: a module of five and a half dots would be printed as five here and six there.
Source: ISO/IEC 18004 (quiet zone, levels); receipt printers print 8 dots a millimetre, 48 mm of a 58 mm slip and
72 mm of an 80 mm one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

import segno

QUIET_ZONE_MODULES = 4
ERROR_CORRECTION = "m"
"""15 % of the picture may be lost."""


class QrSize(StrEnum):
    """Where a QR code is shown."""

    SCREEN = "screen"
    """A till's or buyer's display."""
    SLIP_58 = "slip_58"
    """A slip of 58 mm paper."""
    SLIP_80 = "slip_80"
    """A slip of 80 mm paper."""
    STICKER = "sticker"
    """A label or table tent, 60 mm."""


class QrFormat(StrEnum):
    """How a picture is written."""

    SVG = "svg"
    PNG = "png"

    @property
    def media_type(self) -> str:
        """As HTTP names it."""
        return "image/svg+xml" if self is QrFormat.SVG else "image/png"


@dataclass(frozen=True, slots=True)
class QrMedium:
    """What a picture is shown on."""

    width_dots: int
    """The picture is at most so wide."""
    dots_per_mm: int | None = None
    """Of a printer; a screen has no millimetres."""


MEDIA: Mapping[QrSize, QrMedium] = {
    QrSize.SCREEN: QrMedium(400),
    QrSize.SLIP_58: QrMedium(320, 8),
    QrSize.SLIP_80: QrMedium(400, 8),
    QrSize.STICKER: QrMedium(960, 16),
}
"""Slips: 40 and 50 mm, which leaves the paper its margins."""


def draw(payload: str, image_format: QrFormat, size: QrSize) -> bytes:
    """The picture of a link."""
    return qr_svg(payload, size) if image_format is QrFormat.SVG else qr_png(payload, size)


def qr_svg(payload: str, size: QrSize = QrSize.SCREEN) -> bytes:
    """A link's QR as SVG, in pixels for a screen and in millimetres for paper."""
    code, medium = _code(payload), MEDIA[size]
    dots = _dots_a_module(code, medium)
    scale = dots if medium.dots_per_mm is None else dots / medium.dots_per_mm
    unit = None if medium.dots_per_mm is None else "mm"
    file = BytesIO()
    code.save(file, kind="svg", scale=scale, unit=unit, border=QUIET_ZONE_MODULES, light="white", xmldecl=False)
    return file.getvalue()


def qr_png(payload: str, size: QrSize = QrSize.SCREEN) -> bytes:
    """A link's QR as PNG in black and white; one for paper says how many dots there are to the inch."""
    code, medium = _code(payload), MEDIA[size]
    dpi = None if medium.dots_per_mm is None else medium.dots_per_mm * 254 // 10
    file = BytesIO()
    code.save(file, kind="png", scale=_dots_a_module(code, medium), dpi=dpi, border=QUIET_ZONE_MODULES)
    return file.getvalue()


def _code(payload: str) -> segno.QRCode:
    return segno.make_qr(payload, error=ERROR_CORRECTION, boost_error=False)


def _dots_a_module(code: segno.QRCode, medium: QrMedium) -> int:
    """The largest whole number of dots at which the picture fits."""
    return medium.width_dots // int(code.symbol_size(border=QUIET_ZONE_MODULES)[0])
