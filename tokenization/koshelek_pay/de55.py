"""Chip data of a payment (field 55 of the message): reading, writing, and what of it the cryptogram covers.

Strict on purpose: what is read here decides about money, so a field twice, of another length, or of no use to us
is refused and not skipped.
Source: EMV Book 3, annexes A (data elements) and B (BER-TLV).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from tokenization.koshelek_pay.emv import CRYPTOGRAM_BYTES
from tokenization.koshelek_pay.errors import De55Malformed

DE55_BYTES_MAX = 255
"""Source: ISO 8583:1987, field 55 as the schemes use it."""
LENGTHS = {
    "82": (2, 2),
    "95": (5, 5),
    "9A": (3, 3),
    "9C": (1, 1),
    "5F2A": (2, 2),
    "9F02": (6, 6),
    "9F03": (6, 6),
    "9F10": (1, 32),
    "9F1A": (2, 2),
    "9F26": (CRYPTOGRAM_BYTES, CRYPTOGRAM_BYTES),
    "9F27": (1, 1),
    "9F36": (2, 2),
    "9F37": (4, 4),
}
"""The fields that are read, each of them needed once, and how many bytes they have. Source: EMV Book 3, annex A."""
COVERED = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10")
"""What the cryptogram covers, in its order. Source: EMV Book 2, 8.1.1, table 26, and issuer application data."""
ARQC = 0x80
"""A cryptogram that asks the issuer. Source: EMV Book 3, tag 9F27, bits 8 and 7."""
_DECIMAL = ("9A", "9C", "9F02", "9F03", "5F2A", "9F1A")


@dataclass(frozen=True, slots=True, repr=False)
class ChipData:
    """One payment as the device signed it."""

    fields: Mapping[str, bytes]
    """Every field of ``LENGTHS`` by its tag."""

    @property
    def cryptogram(self) -> bytes:
        """What the device claims to have proved it with."""
        return self.fields["9F26"]

    @property
    def covered(self) -> bytes:
        """What the cryptogram covers."""
        return b"".join(self.fields[tag] for tag in COVERED)

    @property
    def raw(self) -> bytes:
        """All of it as bytes of field 55."""
        return bytes.fromhex(write_de55(self.fields))

    @property
    def atc(self) -> int:
        """The application transaction counter: which key it is."""
        return int.from_bytes(self.fields["9F36"], "big")

    @property
    def amount(self) -> int:
        """Kopecks that the device agreed to."""
        return int(self.fields["9F02"].hex())

    @property
    def other_amount(self) -> int:
        """Cash beside the purchase."""
        return int(self.fields["9F03"].hex())

    @property
    def currency(self) -> str:
        """ISO 4217 digits: ``643`` is the rouble."""
        return self.fields["5F2A"].hex()[1:]

    @property
    def signed_on(self) -> date:
        """The day on the device or terminal. Raises: De55Malformed if there is no such day."""
        text = self.fields["9A"].hex()
        try:
            return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:]))
        except ValueError:
            raise De55Malformed(reason="no such day", field="9A") from None

    @property
    def asks_the_issuer(self) -> bool:
        """Whether this is an ARQC, and neither a refusal nor an offline approval."""
        return self.fields["9F27"][0] & 0xC0 == ARQC

    @property
    def is_purchase(self) -> bool:
        """Whether goods or services are paid for. Source: ISO 8583, processing code 00."""
        return self.fields["9C"] == b"\x00"

    def __repr__(self) -> str:
        return f"ChipData(atc={self.atc})"


def read_de55(text: str) -> ChipData:
    """Chip data of their hexadecimal text.

    Raises: De55Malformed if a field is missing, there twice, of another length, or not one of ours.
    """
    raw = _bytes_of(text)
    fields: dict[str, bytes] = {}
    place = 0
    while place < len(raw):
        tag, value, place = _next_field(raw, place)
        if tag in fields:
            raise De55Malformed(reason="twice", field=tag)
        if tag not in LENGTHS:
            raise De55Malformed(reason="not taken", field=tag)
        _check(tag, value)
        fields[tag] = value
    if missing := sorted(LENGTHS.keys() - fields.keys()):
        raise De55Malformed(reason="missing", field=missing[0])
    return ChipData(fields)


def write_de55(fields: Mapping[str, bytes]) -> str:
    """The hexadecimal text of chip data."""
    parts = []
    for tag, value in fields.items():
        _check(tag, value)
        parts.append(bytes.fromhex(tag) + bytes([len(value)]) + value)
    return b"".join(parts).hex().upper()


def _bytes_of(text: str) -> bytes:
    if not text.isascii() or not text.isalnum() or not 0 < len(text) <= 2 * DE55_BYTES_MAX:
        raise De55Malformed(reason="hexadecimal digits, at most 255 bytes")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise De55Malformed(reason="hexadecimal digits, at most 255 bytes") from None


def _next_field(raw: bytes, place: int) -> tuple[str, bytes, int]:
    """The tag and value that begin at ``place``, and where the next begin. No field of ours has over 127 bytes."""
    size = 2 if raw[place] & 0x1F == 0x1F else 1
    tag, length_at = raw[place : place + size].hex().upper(), place + size
    if length_at >= len(raw):
        raise De55Malformed(reason="cut off")
    length = raw[length_at]
    end = length_at + 1 + length
    if length > 127 or end > len(raw):
        raise De55Malformed(reason="cut off")
    return tag, raw[length_at + 1 : end], end


def _check(tag: str, value: bytes) -> None:
    if tag not in LENGTHS:
        raise De55Malformed(reason="not taken", field=tag)
    low, high = LENGTHS[tag]
    if not low <= len(value) <= high:
        raise De55Malformed(reason="length", field=tag)
    if tag in _DECIMAL and not value.hex().isdecimal():
        raise De55Malformed(reason="decimal digits", field=tag)
