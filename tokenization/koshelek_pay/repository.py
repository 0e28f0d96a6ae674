"""Rows of device tokens into values and back. Locks: a device, then its tokens by id; then what hangs on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text

from pci.database import Session
from tokenization.koshelek_pay.device_token import (
    Device,
    DeviceToken,
    Requestor,
    Suspension,
)
from tokenization.koshelek_pay.emv import EmvFamily
from tokenization.koshelek_pay.errors import DeviceNotFound, DeviceTokenNotFound, RequestorNotFound
from tokenization.koshelek_pay.risk import Colour, Finding
from tokenization.koshelek_pay.statuses import (
    Assurance,
    DeviceStatus,
    DeviceTokenStatus,
    PayChannel,
    Suspender,
)
from tokenization.koshelek_pay.token_ranges import TokenRange

Row = RowMapping
TOKENS_SHOWN_MAX = 100

_REQUESTOR = text(
    """SELECT trid, merchant_id, name, channels, amount_kopecks_max, tokens_max, public_jwk FROM token_requestors
        WHERE trid = :trid AND merchant_id = :merchant_id"""
)
_REQUESTORS = text(
    """SELECT trid, merchant_id, name, channels, amount_kopecks_max, tokens_max, public_jwk FROM token_requestors
        WHERE merchant_id = :merchant_id ORDER BY trid"""
)
_ADD_REQUESTOR = text(
    """INSERT INTO token_requestors
              (trid, merchant_id, name, channels, amount_kopecks_max, tokens_max, public_jwk, created_at)
       VALUES (:trid, :merchant_id, :name, CAST(:channels AS text[]), :amount_kopecks_max, :tokens_max,
               CAST(:public_jwk AS jsonb), :now)
       ON CONFLICT DO NOTHING RETURNING trid"""
)
_RANGE = text("SELECT id, scheme, first8, family FROM token_ranges WHERE scheme = :scheme AND is_open")
_DEVICE = text(
    """SELECT d.id, d.trid, d.installation_id, d.thumbprint, d.public_jwk, d.status
         FROM token_devices AS d JOIN token_requestors AS r ON r.trid = d.trid
        WHERE d.id = :id AND r.merchant_id = :merchant_id FOR UPDATE OF d"""
)
_DEVICE_BY_KEY = text(
    "SELECT id, trid, installation_id, thumbprint, public_jwk, status FROM token_devices WHERE thumbprint = :thumbprint"
)
_ADD_DEVICE = text(
    """INSERT INTO token_devices
              (id, trid, installation_id, thumbprint, public_jwk, attestation, created_at, changed_at)
       VALUES (:id, :trid, :installation_id, :thumbprint, CAST(:public_jwk AS jsonb), CAST(:attestation AS text[]),
               :now, :now)
       ON CONFLICT DO NOTHING RETURNING id"""
)
_MOVE_DEVICE = text("UPDATE token_devices SET status = :status, changed_at = :now WHERE id = :id")
_COLUMNS = """
    t.id, t.trid, t.device_id, t.range_id, g.family, t.merchant_id, t.card_token, t.fingerprint_id, t.par,
    t.token_number, t.sequence_number, t.expires, t.card_mask, t.card_expires, t.key_number, t.status, t.decision,
    t.findings, t.assurance, t.channels, t.mccs, t.amount_kopecks_max, t.wrong_cryptograms, t.created_at, t.changed_at,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(s.suspender, s.reason, s.suspended_at) ORDER BY s.number), '[]')
       FROM device_token_suspensions AS s WHERE s.device_token_id = t.id AND s.lifted_at IS NULL) AS suspensions"""
_TOKEN = f"SELECT {_COLUMNS} FROM device_tokens AS t JOIN token_ranges AS g ON g.id = t.range_id"  # noqa: S608
_LOCK = text("SELECT id FROM device_tokens WHERE id = :id AND merchant_id = :merchant_id FOR UPDATE")
_LOCK_OF_DEVICE = text("SELECT id FROM device_tokens WHERE device_id = :device_id ORDER BY id FOR UPDATE")
_LOCK_OF_CARD = text(
    """SELECT id FROM device_tokens WHERE merchant_id = :merchant_id AND card_token = :card_token
          AND status NOT IN ('declined', 'deleted') ORDER BY id FOR UPDATE"""
)
_BY_ID = text(f"{_TOKEN} WHERE t.id = :id AND t.merchant_id = :merchant_id")
_BY_NUMBER = text(f"{_TOKEN} WHERE t.token_number = :number AND t.merchant_id = :merchant_id")
_BY_IDS = text(f"{_TOKEN} WHERE t.id = ANY(:ids) ORDER BY t.id")
_BY_DEVICE = text(
    f"{_TOKEN} WHERE t.device_id = :device_id AND t.merchant_id = :merchant_id ORDER BY t.id LIMIT {TOKENS_SHOWN_MAX}"
)
_LIVING = text(
    f"""{_TOKEN} WHERE t.trid = :trid AND t.device_id = :device_id AND t.fingerprint_id = :fingerprint_id
        AND t.status NOT IN ('declined', 'deleted')"""
)
_ADD_TOKEN = text(
    """INSERT INTO device_tokens
              (id, trid, device_id, range_id, merchant_id, card_token, fingerprint_id, par, token_number, expires,
               card_mask, card_expires, key_number, status, decision, findings, assurance, channels, mccs,
               amount_kopecks_max, created_at, changed_at)
       VALUES (:id, :trid, :device_id, :range_id, :merchant_id, :card_token, :fingerprint_id, :par, :token_number,
               :expires, :card_mask, :card_expires, :key_number, :status, :decision, CAST(:findings AS jsonb),
               :assurance, CAST(:channels AS text[]), CAST(:mccs AS text[]), :amount_kopecks_max, :now, :now)
       ON CONFLICT DO NOTHING RETURNING id"""
)
_MOVE_TOKEN = text(
    """UPDATE device_tokens SET status = :status, assurance = :assurance, changed_at = :now, version = version + 1
        WHERE id = :id"""
)
_COUNT_WRONG = text("UPDATE device_tokens SET wrong_cryptograms = :wrong, changed_at = :now WHERE id = :id")
_PUT_CARD = text(
    """UPDATE device_tokens SET card_token = :card_token, fingerprint_id = :fingerprint_id, card_mask = :card_mask,
              card_expires = :card_expires, changed_at = :now, version = version + 1 WHERE id = :id"""
)
_SUSPEND = text(
    """INSERT INTO device_token_suspensions (device_token_id, number, suspender, reason, suspended_at)
       SELECT :id, coalesce(max(number), 0) + 1, :suspender, :reason, :now
         FROM device_token_suspensions WHERE device_token_id = :id
       ON CONFLICT DO NOTHING RETURNING number"""
)
_LIFT = text(
    """UPDATE device_token_suspensions SET lifted_at = greatest(CAST(:now AS timestamptz), suspended_at)
        WHERE device_token_id = :id AND suspender = :suspender AND lifted_at IS NULL RETURNING number"""
)
_BURN = text(
    """UPDATE device_keys SET status = 'burnt', changed_at = :now
        WHERE device_token_id = :id AND status = 'issued' RETURNING atc"""
)
_HISTORY = text(
    """SELECT (SELECT count(*) FROM device_tokens WHERE device_id = :device_id
                  AND status NOT IN ('declined', 'deleted')) AS tokens_on_device,
              (SELECT count(DISTINCT device_id) FROM device_tokens WHERE merchant_id = :merchant_id
                  AND fingerprint_id = :fingerprint_id AND device_id <> :device_id
                  AND status NOT IN ('declined', 'deleted')) AS devices_of_card,
              (SELECT count(*) FROM device_tokens WHERE merchant_id = :merchant_id AND status = 'declined'
                  AND (fingerprint_id = :fingerprint_id OR device_id = :device_id)
                  AND created_at > :since) AS declines,
              (SELECT count(*) FROM device_token_codes AS c JOIN device_tokens AS t ON t.id = c.device_token_id
                WHERE t.merchant_id = :merchant_id AND t.fingerprint_id = :fingerprint_id AND c.status = 'over'
                  AND c.made_at > :since) AS wrong_codes"""
)


async def load_requestor(session: Session, trid: str, merchant_id: str) -> Requestor:
    """A merchant's requestor. Raises: RequestorNotFound."""
    row = (await session.execute(_REQUESTOR, {"trid": trid, "merchant_id": merchant_id})).mappings().first()
    if row is None:
        raise RequestorNotFound()
    return _requestor(row)


async def list_requestors(session: Session, merchant_id: str) -> list[Requestor]:
    """A merchant's requestors."""
    return [_requestor(row) for row in (await session.execute(_REQUESTORS, {"merchant_id": merchant_id})).mappings()]


async def add_requestor(session: Session, requestor: Requestor, now: datetime) -> bool:
    """Keep a requestor; false if its number or name is taken."""
    values = {
        "trid": requestor.trid,
        "merchant_id": requestor.merchant_id,
        "name": requestor.name,
        "channels": sorted(requestor.channels),
        "amount_kopecks_max": requestor.amount_kopecks_max,
        "tokens_max": requestor.tokens_max,
        "public_jwk": None if requestor.public_jwk is None else json.dumps(dict(requestor.public_jwk)),
        "now": now,
    }
    return (await session.execute(_ADD_REQUESTOR, values)).first() is not None


async def find_range(session: Session, scheme: str) -> TokenRange | None:
    """The range that tokens of this scheme's cards are drawn from."""
    row = (await session.execute(_RANGE, {"scheme": scheme})).mappings().first()
    return None if row is None else TokenRange(row["id"], row["scheme"], row["first8"], EmvFamily(row["family"]))


async def lock_device(session: Session, device_id: str, merchant_id: str) -> Device:
    """A device of one of a merchant's requestors. Raises: DeviceNotFound. Locks: the device."""
    row = (await session.execute(_DEVICE, {"id": device_id, "merchant_id": merchant_id})).mappings().first()
    if row is None:
        raise DeviceNotFound()
    return _device(row)


async def find_device_by_key(session: Session, thumbprint: str) -> Device | None:
    """The device that has this key, whoever's it is."""
    row = (await session.execute(_DEVICE_BY_KEY, {"thumbprint": thumbprint})).mappings().first()
    return None if row is None else _device(row)


async def add_device(session: Session, device: Device, attestation: Sequence[str], now: datetime) -> bool:
    """Keep a device; false if its key or its installation is known already."""
    values = {
        "id": device.id,
        "trid": device.trid,
        "installation_id": device.installation_id,
        "thumbprint": device.thumbprint,
        "public_jwk": json.dumps(dict(device.public_jwk)),
        "attestation": list(attestation),
        "now": now,
    }
    return (await session.execute(_ADD_DEVICE, values)).first() is not None


async def move_device(session: Session, device_id: str, status: DeviceStatus, now: datetime) -> None:
    """Give a device its next status."""
    await session.execute(_MOVE_DEVICE, {"id": device_id, "status": status, "now": now})


async def find_token(session: Session, device_token_id: str, merchant_id: str) -> DeviceToken:
    """A merchant's token. Raises: DeviceTokenNotFound."""
    return _found(await session.execute(_BY_ID, {"id": device_token_id, "merchant_id": merchant_id}))


async def find_token_by_number(session: Session, number: str, merchant_id: str) -> DeviceToken:
    """A merchant's token by what the terminal saw. Raises: DeviceTokenNotFound."""
    return _found(await session.execute(_BY_NUMBER, {"number": number, "merchant_id": merchant_id}))


async def lock_token(session: Session, device_token_id: str, merchant_id: str) -> DeviceToken:
    """A merchant's token, to be changed. Raises: DeviceTokenNotFound. Locks: the token."""
    await session.execute(_LOCK, {"id": device_token_id, "merchant_id": merchant_id})
    return await find_token(session, device_token_id, merchant_id)


async def lock_tokens_of_device(session: Session, device_id: str) -> list[DeviceToken]:
    """Every token of a device. Locks: the tokens, by id."""
    return await _by_ids(session, await session.execute(_LOCK_OF_DEVICE, {"device_id": device_id}))


async def lock_tokens_of_card(session: Session, card_token: str, merchant_id: str) -> list[DeviceToken]:
    """Every living token of a card. Locks: the tokens, by id."""
    values = {"card_token": card_token, "merchant_id": merchant_id}
    return await _by_ids(session, await session.execute(_LOCK_OF_CARD, values))


async def tokens_of_device(session: Session, device_id: str, merchant_id: str) -> list[DeviceToken]:
    """The tokens of a device, as many as are shown at once."""
    rows = await session.execute(_BY_DEVICE, {"device_id": device_id, "merchant_id": merchant_id})
    return [_token(row) for row in rows.mappings()]


async def find_living(session: Session, trid: str, device_id: str, fingerprint_id: str) -> DeviceToken | None:
    """The token that this card has on this device already."""
    values = {"trid": trid, "device_id": device_id, "fingerprint_id": fingerprint_id}
    row = (await session.execute(_LIVING, values)).mappings().first()
    return None if row is None else _token(row)


async def add_token(session: Session, token: DeviceToken) -> bool:
    """Keep a token; false if its number is taken, or the card has a token on the device."""
    values = {
        name: getattr(token, name)
        for name in (
            "id", "trid", "device_id", "range_id", "merchant_id", "card_token", "fingerprint_id", "par", "expires",
            "card_mask", "card_expires", "key_number", "status", "decision", "assurance", "amount_kopecks_max",
        )
    }  # fmt: skip
    values |= {
        "token_number": token.number,
        "findings": json.dumps([[found.rule, found.colour, found.reason] for found in token.findings]),
        "channels": sorted(token.channels),
        "mccs": None if token.mccs is None else sorted(token.mccs),
        "now": token.created_at,
    }
    return (await session.execute(_ADD_TOKEN, values)).first() is not None


async def move_token(
    session: Session, token: DeviceToken, status: DeviceTokenStatus, assurance: Assurance, now: datetime
) -> None:
    """Give a token its next status."""
    await session.execute(_MOVE_TOKEN, {"id": token.id, "status": status, "assurance": assurance, "now": now})


async def count_wrong(session: Session, device_token_id: str, wrong: int, now: datetime) -> None:
    """Wrong cryptograms in a row."""
    await session.execute(_COUNT_WRONG, {"id": device_token_id, "wrong": wrong, "now": now})


async def put_card(
    session: Session,
    device_token_id: str,
    *,
    card_token: str,
    fingerprint_id: str,
    mask: str,
    expires: str,
    now: datetime,
) -> None:
    """Let a token stand for a card that was issued again."""
    values = {"id": device_token_id, "card_token": card_token, "fingerprint_id": fingerprint_id, "now": now}
    await session.execute(_PUT_CARD, values | {"card_mask": mask, "card_expires": expires})


async def add_suspension(
    session: Session, device_token_id: str, suspender: Suspender, reason: str, now: datetime
) -> bool:
    """Hold a token back; false if this party does already. The token must be locked."""
    values = {"id": device_token_id, "suspender": suspender, "reason": reason, "now": now}
    return (await session.execute(_SUSPEND, values)).first() is not None


async def lift_suspension(session: Session, device_token_id: str, suspender: Suspender, now: datetime) -> bool:
    """Let go; false if this party held nothing back."""
    values = {"id": device_token_id, "suspender": suspender, "now": now}
    return (await session.execute(_LIFT, values)).first() is not None


async def burn_issued(session: Session, device_token_id: str, now: datetime) -> int:
    """Take back every key that the device has. How many."""
    return len((await session.execute(_BURN, {"id": device_token_id, "now": now})).all())


async def history(session: Session, *, device_id: str, merchant_id: str, fingerprint_id: str, since: datetime) -> Row:
    """What the rules ask of the past."""
    values = {"device_id": device_id, "merchant_id": merchant_id, "fingerprint_id": fingerprint_id, "since": since}
    return (await session.execute(_HISTORY, values)).mappings().one()


async def _by_ids(session: Session, ids: Any) -> list[DeviceToken]:
    rows = await session.execute(_BY_IDS, {"ids": [row.id for row in ids]})
    return [_token(row) for row in rows.mappings()]


def _found(result: Any) -> DeviceToken:
    row = result.mappings().first()
    if row is None:
        raise DeviceTokenNotFound()
    return _token(row)


def _requestor(row: Row) -> Requestor:
    return Requestor(
        trid=row["trid"],
        merchant_id=row["merchant_id"],
        name=row["name"],
        channels=frozenset(map(PayChannel, row["channels"])),
        amount_kopecks_max=row["amount_kopecks_max"],
        tokens_max=row["tokens_max"],
        public_jwk=row["public_jwk"],
    )


def _device(row: Row) -> Device:
    return Device(
        id=row["id"],
        trid=row["trid"],
        installation_id=row["installation_id"],
        thumbprint=row["thumbprint"],
        public_jwk=row["public_jwk"],
        status=DeviceStatus(row["status"]),
    )


def _token(row: Row) -> DeviceToken:
    same = (
        "id", "trid", "device_id", "range_id", "merchant_id", "card_token", "fingerprint_id", "par", "sequence_number",
        "expires", "card_mask", "card_expires", "key_number", "amount_kopecks_max", "wrong_cryptograms", "created_at",
        "changed_at",
    )  # fmt: skip
    return DeviceToken(
        **{name: row[name] for name in same},
        number=row["token_number"],
        family=EmvFamily(row["family"]),
        status=DeviceTokenStatus(row["status"]),
        decision=Colour(row["decision"]),
        findings=tuple(Finding(rule, Colour(colour), reason) for rule, colour, reason in row["findings"]),
        assurance=Assurance(row["assurance"]),
        channels=frozenset(map(PayChannel, row["channels"])),
        mccs=None if row["mccs"] is None else frozenset(row["mccs"]),
        suspensions=tuple(
            Suspension(Suspender(who), why, datetime.fromisoformat(at)) for who, why, at in row["suspensions"]
        ),
    )
