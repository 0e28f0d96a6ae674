"""ISO 8583 as we speak it with the acquirer: which fields there are, and what each message carries.

A message holds the card number and may hold its verification code, so it prints nothing of itself. Two bytes
of length come before each on the wire.

Source: ISO 8583:1987 with ASCII fields and a binary DE55; private fields 48 and 60 to 63 are defined below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import iso8583

from pci.errors import InvariantBroken
from tokenization.charges.errors import AcquirerSilent
from tokenization.charges.states import Charge, ChargeAttempt, Operation

RUB = "643"
"""Source: ISO 4217."""
LENGTH_BYTES = 2
MESSAGE_BYTES_MAX = 4096
"""Ours have a few hundred; whoever sends more does not speak our language."""
MOSCOW = timezone(timedelta(hours=3))

E_COMMERCE = "810"
"""Field 22: the number comes from a card on file or a page, not from the card itself."""
CONTACTLESS = "071"
"""Field 22: a device was held to the till and gave a cryptogram."""

SIGN_ON, ECHO = "001", "301"
"""Field 70 of network messages."""


def _fixed(digits: int, name: str) -> dict[str, Any]:
    return {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": digits, "desc": name}


def _variable(length: int, digits_max: int, name: str, data: str = "ascii") -> dict[str, Any]:
    return {"data_enc": data, "len_enc": "ascii", "len_type": length, "max_len": digits_max, "desc": name}


SPEC: Mapping[str, dict[str, Any]] = {
    "h": _fixed(0, "header"),
    "t": _fixed(4, "message type"),
    "p": {**_fixed(8, "bitmap"), "data_enc": "b"},
    "1": {**_fixed(8, "second bitmap"), "data_enc": "b"},
    "2": _variable(2, 19, "card number"),
    "3": _fixed(6, "processing code"),
    "4": _fixed(12, "amount, kopecks"),
    "7": _fixed(10, "transmission date and time, UTC"),
    "11": _fixed(6, "systems trace audit number"),
    "12": _fixed(6, "local time"),
    "13": _fixed(4, "local date"),
    "14": _fixed(4, "expiration date, YYMM"),
    "18": _fixed(4, "merchant category"),
    "22": _fixed(3, "entry mode"),
    "25": _fixed(2, "condition"),
    "32": _variable(2, 11, "acquirer"),
    "37": _fixed(12, "retrieval reference number"),
    "38": _fixed(6, "approval code"),
    "39": _fixed(2, "response code"),
    "41": _fixed(8, "terminal"),
    "42": _fixed(15, "card acceptor"),
    "43": _fixed(40, "acceptor's name and place"),
    "48": _variable(3, 255, "private: tag, length, value"),
    "49": _fixed(3, "currency"),
    "55": _variable(3, 255, "chip data of a device", "b"),
    "60": _variable(3, 20, "private: software"),
    "61": _variable(3, 20, "private: who is there"),
    "62": _variable(3, 60, "private: our id"),
    "63": _variable(3, 40, "private: the scheme's reference"),
    "70": _fixed(3, "network management"),
    "90": _fixed(42, "original"),
    "95": _fixed(42, "replacement amounts"),
}

CVC_TAG = "92"
CREDENTIAL_TAG = "SC"
"""F: stored from here on; R: the merchant charges what was stored at the reference in field 63."""
SUB_MERCHANT_TAG = "SM"


class Correlation(NamedTuple):
    """By what an answer is known: the numbers are ours, and unique together."""

    terminal_id: str
    stan: str
    transmitted: str


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One message; nothing of it is ever printed."""

    fields: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Message({self.kind}, {self.fields.get('11', '')})"

    @property
    def kind(self) -> str:
        """The four digits of its type."""
        return self.fields["t"]

    @property
    def correlation(self) -> Correlation:
        """Whose answer it is, or whose it waits for."""
        return Correlation(self.fields.get("41", "").strip(), self.fields.get("11", ""), self.fields.get("7", ""))

    @property
    def response_code(self) -> str:
        """Field 39."""
        return self.fields.get("39", "")


def encode(message: Message) -> bytes:
    """The bytes on the wire, length first."""
    try:
        body, _ = iso8583.encode(dict(message.fields), SPEC)
    except iso8583.EncodeError as error:  # its text may quote a field
        raise InvariantBroken("a message does not fit its own form", kind=message.kind, field=error.field) from None
    return len(body).to_bytes(LENGTH_BYTES, "big") + bytes(body)


def decode(body: bytes) -> Message:
    """The message in these bytes. Raises: AcquirerSilent if they are none."""
    try:
        fields, _ = iso8583.decode(body, SPEC)
    except iso8583.DecodeError:  # its text may quote a field
        raise AcquirerSilent("What came is no message") from None
    return Message({number: value for number, value in fields.items() if number not in ("h", "p", "1")})


def answer_kind(kind: str) -> str:
    """The type of the answer to a message: 0100 is answered by 0110, 0421 by 0430."""
    return f"{kind[:2]}{int(kind[2]) + 1}0"


@dataclass(frozen=True, slots=True)
class Acceptor:
    """As whom we stand before the acquirer: one contract for all merchants, each named as a sub-merchant."""

    acquirer_id: str = "10000000001"
    terminal_id: str = "KPK00001"
    acceptor_id: str = "KOPEYKA00000001"
    name: str = "KOPEYKA"
    place: str = "MOSCOW"
    merchant_category: str = "5311"


@dataclass(frozen=True, slots=True, repr=False)
class CardFields:
    """What of the card goes into a request: it lives as long as the call."""

    pan: str
    expires: str
    """``YYMM``."""
    cvc: str | None = None
    chip: bytes | None = None
    """DE55 of a device token."""


_KIND = {
    Operation.AUTHORISATION: ("0100", "0100"),
    Operation.PURCHASE: ("0200", "0200"),
    Operation.CAPTURE: ("0220", "0221"),
    Operation.REFUND: ("0220", "0221"),
}
_PROCESSING = {Operation.REFUND: "200000"}


def kind_of(operation: Operation, tries: int) -> str:
    """The message type of a try: an advice says that it repeats itself, a reversal becomes an advice at once."""
    if operation is Operation.REVERSAL:
        return ("0400", "0420", "0421")[min(tries, 3) - 1]
    first, again = _KIND[operation]
    return first if tries == 1 else again


def request_of(charge: Charge, attempt: ChargeAttempt, card: CardFields, acceptor: Acceptor,
               network_reference: str | None = None) -> Message:  # fmt: skip
    """0100 or 0200: may we take this amount of this card. ``network_reference``: where the buyer agreed."""
    private = [(SUB_MERCHANT_TAG, charge.merchant_id[-26:])]
    if card.cvc is not None:
        private.append((CVC_TAG, card.cvc))
    if charge.is_credential_kept or charge.first_charge_id is not None:
        private.append((CREDENTIAL_TAG, "F" if charge.is_credential_kept else "R"))
    fields = _envelope(charge, attempt, acceptor) | {
        "2": card.pan,
        "14": card.expires,
        "22": E_COMMERCE if card.chip is None else CONTACTLESS,
        "48": "".join(f"{tag}{len(value):03}{value}" for tag, value in private),
        "61": charge.initiator.value,
    }
    if card.chip is not None:
        fields["55"] = card.chip.hex().upper()
    if network_reference is not None:
        fields["63"] = network_reference
    return Message(fields)


def advice_of(charge: Charge, attempt: ChargeAttempt, original: ChargeAttempt, acceptor: Acceptor) -> Message:
    """0220, 0400, 0420: what has been decided about an earlier message. The card number is not repeated."""
    fields = _envelope(charge, attempt, acceptor) | {"90": _original(original, acceptor)}
    if charge.rrn is not None:
        fields["37"] = charge.rrn
    if charge.approval_code is not None:
        fields["38"] = charge.approval_code
    if attempt.operation is Operation.REFUND:
        fields["62"] = attempt.refund_id or ""
    return Message(fields)


def network_message(code: str, acceptor: Acceptor, stan: int, now: datetime) -> Message:
    """0800: sign-on or echo."""
    return Message({
        "t": "0800", "7": transmitted(now), "11": f"{stan:06}", "41": acceptor.terminal_id, "70": code,
    })  # fmt: skip


def private_fields(message: Message) -> dict[str, str]:
    """What field 48 holds, by its tags."""
    found, text = {}, message.fields.get("48", "")
    while len(text) >= 5 and text[2:5].isdigit():
        length = int(text[2:5])
        found[text[:2]], text = text[5 : 5 + length], text[5 + length :]
    return found


def transmitted(at: datetime) -> str:
    """Field 7: month, day and time of day, in UTC."""
    return at.astimezone(UTC).strftime("%m%d%H%M%S")


def _original(original: ChargeAttempt, acceptor: Acceptor) -> str:
    """Field 90: which message of ours is meant."""
    kind = kind_of(original.operation, 1)
    return f"{kind}{original.stan:06}{transmitted(original.transmitted_at)}{acceptor.acquirer_id:0>11}{0:011}"


def _envelope(charge: Charge, attempt: ChargeAttempt, acceptor: Acceptor) -> dict[str, str]:
    local = attempt.transmitted_at.astimezone(MOSCOW)
    return {
        "t": kind_of(attempt.operation, attempt.tries),
        "3": _PROCESSING.get(attempt.operation, "000000"),
        "4": f"{attempt.amount_kopecks:012}",
        "7": transmitted(attempt.transmitted_at),
        "11": f"{attempt.stan:06}",
        "12": local.strftime("%H%M%S"),
        "13": local.strftime("%m%d"),
        "18": acceptor.merchant_category,
        "25": "59",
        "32": acceptor.acquirer_id,
        "41": acceptor.terminal_id,
        "42": acceptor.acceptor_id,
        "43": f"{acceptor.name:<22.22} {acceptor.place:<13.13} RU ",
        "49": RUB,
        "60": "KOPEYKA",
        "62": charge.id,
    }
