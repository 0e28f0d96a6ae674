"""Shops of the contract and what they call with: a login, a password, and the certificate the password goes with.

The password is 160 random bits, shown once; its SHA-256 is kept. The certificate is known by the SHA-256 of its DER.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hmac import compare_digest
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from sqlalchemy import Row

from api.contracts.dolyame.errors import LoginMalformed, LoginTaken, ShopUnknown
from ledger.database import Session, text
from ledger.ids import new_id, new_secret
from pci.secret import Secret

PREFIX = "/v1"
"""What follows the address in a client's base URL."""
PEER_FINGERPRINT = "kopeyka.peer_fingerprint"
"""In the ASGI scope: the SHA-256 of the certificate at the other end."""
LOGIN = re.compile(r"[A-Za-z0-9_.@-]{3,64}")
PRODUCT = "dolyame"
"""The product that a shop sells by, when nothing else is said."""


class Profile(StrEnum):
    """What a shop's client can bear to read."""

    STRICT = "strict"
    """Documented values only: a refunded order reads ``completed``, an overdue installment ``scheduled``."""
    PRODUCTION = "production"
    """Also what was seen in production only: ``refunded``, and ``overdue`` in schedules."""


@dataclass(frozen=True, slots=True)
class DolyameShop:
    """A shop as the contract knows it."""

    login: str
    merchant_id: str
    product_code: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class ShopCredentials:
    """What one shop may call with, without the password."""

    id: str
    login: str
    certificate_fingerprint: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """Live credentials found by login and password, and whose they are."""

    credentials: ShopCredentials
    shop: DolyameShop


def check_login(login: str) -> str:
    """The login, if it is one. Raises: LoginMalformed."""
    if not LOGIN.fullmatch(login):
        raise LoginMalformed()
    return login


def fingerprint_of(certificate: x509.Certificate) -> bytes:
    """What a certificate is known by."""
    return certificate.fingerprint(hashes.SHA256())


async def add_shop(session: Session, shop: DolyameShop, *, now: datetime) -> DolyameShop:
    """Keep a shop; again with the same login changes its product and profile.

    Raises: LoginMalformed; LoginTaken if the login is of another merchant.
    """
    check_login(shop.login)
    changed = await session.execute(
        text("""INSERT INTO dolyame_shops AS s (login, merchant_id, product_code, profile, created_at)
                VALUES (:login, :merchant_id, :product_code, :profile, :now)
                ON CONFLICT (login) DO UPDATE SET product_code = excluded.product_code, profile = excluded.profile
                 WHERE s.merchant_id = excluded.merchant_id"""),
        {
            "login": shop.login, "merchant_id": shop.merchant_id, "product_code": shop.product_code,
            "profile": shop.profile.value, "now": now,
        },
    )  # fmt: skip
    if changed.rowcount != 1:
        raise LoginTaken(login=shop.login)
    return shop


async def find_shop(session: Session, login: str) -> DolyameShop | None:
    """The shop with this login."""
    row = (await session.execute(text(f"{_SHOP} WHERE login = :login"), {"login": login})).first()
    return None if row is None else _shop(row)


async def shops_by_login(session: Session, logins: list[str]) -> dict[str, DolyameShop]:
    """Shops by their logins."""
    rows = await session.execute(text(f"{_SHOP} WHERE login = ANY(CAST(:logins AS text[]))"), {"logins": logins})
    return {row.login: _shop(row) for row in rows}


async def issue_credentials(
    session: Session, login: str, certificate_fingerprint: bytes, *, now: datetime, overlap: timedelta = timedelta()
) -> tuple[ShopCredentials, Secret]:
    """A new password that goes with a certificate; what worked so far works for ``overlap`` more.

    Raises: ShopUnknown.
    """
    if await find_shop(session, login) is None:
        raise ShopUnknown(login=login)
    await session.execute(
        text("""UPDATE dolyame_credentials SET expires_at = least(expires_at, CAST(:until AS timestamptz))
                 WHERE login = :login AND revoked_at IS NULL"""),
        {"login": login, "until": now + overlap},
    )
    password = new_secret("")
    row = await session.execute(
        text(f"""INSERT INTO dolyame_credentials (id, login, password_hash, certificate_fingerprint, created_at)
                 VALUES (:id, :login, :hash, :fingerprint, :now) RETURNING {_CREDENTIALS}"""),  # noqa: S608
        {
            "id": new_id("dlc", now), "login": login, "hash": _hash(password.encode()),
            "fingerprint": certificate_fingerprint, "now": now,
        },
    )  # fmt: skip
    return ShopCredentials(**row.one()._mapping), Secret(password)


async def revoke_credentials(session: Session, credentials_id: str, *, now: datetime) -> ShopCredentials:
    """End credentials at once. Again changes nothing. Raises: ShopUnknown."""
    row = (
        await session.execute(
            text(f"""UPDATE dolyame_credentials SET revoked_at = coalesce(revoked_at, :now)
                      WHERE id = :id RETURNING {_CREDENTIALS}"""),  # noqa: S608  # our own column list
            {"id": credentials_id, "now": now},
        )
    ).first()
    if row is None:
        raise ShopUnknown(id=credentials_id)
    return ShopCredentials(**row._mapping)


async def list_credentials(session: Session) -> list[tuple[DolyameShop, ShopCredentials]]:
    """All that were ever issued, the latest first."""
    rows = await session.execute(
        text("""SELECT s.login, s.merchant_id, s.product_code, s.profile, c.id, c.certificate_fingerprint, c.created_at,
                       c.expires_at, c.revoked_at
                  FROM dolyame_credentials AS c JOIN dolyame_shops AS s ON s.login = c.login ORDER BY c.id DESC""")
    )
    return [(_shop(row), _credentials(row)) for row in rows]


async def find_known(session: Session, login: str, password: bytes, *, now: datetime) -> Known | None:
    """Whose login and password these are, if they work today."""
    rows = await session.execute(
        text("""SELECT s.login, s.merchant_id, s.product_code, s.profile, c.id, c.password_hash,
                       c.certificate_fingerprint, c.created_at, c.expires_at, c.revoked_at
                  FROM dolyame_credentials AS c JOIN dolyame_shops AS s ON s.login = c.login
                 WHERE c.login = :login AND c.revoked_at IS NULL AND coalesce(c.expires_at > :now, true)"""),
        {"login": login, "now": now},
    )
    digest = _hash(password)
    found = [row for row in rows if compare_digest(bytes(row.password_hash), digest)]
    return Known(_credentials(found[0]), _shop(found[0])) if found else None


_SHOP = "SELECT login, merchant_id, product_code, profile FROM dolyame_shops"
_CREDENTIALS = "id, login, certificate_fingerprint, created_at, expires_at, revoked_at"


def _hash(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()


def _shop(row: Row[Any]) -> DolyameShop:
    return DolyameShop(row.login, row.merchant_id, row.product_code, Profile(row.profile))


def _credentials(row: Row[Any]) -> ShopCredentials:
    return ShopCredentials(
        row.id, row.login, bytes(row.certificate_fingerprint), row.created_at, row.expires_at, row.revoked_at
    )
