"""Partners of the contract: the name in a base URL, whose it is, and where its host hears of payments.

Who has no name may call by the merchant's own id. The postback's password is derived from the key of the house and
never kept: whoever sets the address up is shown it, and so is whoever asks again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from api.contracts.koshelek_pay.errors import PartnerNameMalformed, PartnerTaken
from checkout import repository as till_rows
from ledger.database import Session, text
from pci.secret import Secret

NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_DOMAIN = b"kopeyka/koshelek-pay/postback/v1|"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as the contract knows it."""

    name: str
    merchant_id: str
    postback_url: str | None


async def set_partner(session: Session, partner: Partner, *, now: datetime) -> Partner:
    """Keep a partner; again with the same name and merchant changes where its host hears of payments.

    Raises: PartnerNameMalformed, MerchantNotFound, PartnerTaken.
    """
    if not NAME.fullmatch(partner.name):
        raise PartnerNameMalformed()
    await till_rows.load_merchant(session, partner.merchant_id)
    changed = await session.execute(
        text("""INSERT INTO koshelek_pay_partners AS p (name, merchant_id, postback_url, created_at, changed_at)
                SELECT :name, :merchant_id, :postback_url, CAST(:now AS timestamptz), CAST(:now AS timestamptz)
                 WHERE NOT EXISTS (SELECT FROM koshelek_pay_partners
                                    WHERE merchant_id = :merchant_id AND name <> :name)
                ON CONFLICT (name) DO UPDATE SET postback_url = excluded.postback_url, changed_at = excluded.changed_at
                 WHERE p.merchant_id = excluded.merchant_id"""),
        {
            "name": partner.name, "merchant_id": partner.merchant_id, "postback_url": partner.postback_url, "now": now,
        },
    )  # fmt: skip
    if changed.rowcount != 1:
        raise PartnerTaken(name=partner.name)
    return partner


async def merchant_of(session: Session, name: str) -> str | None:
    """Whose name this is: a partner's, or a merchant's own id; nothing if nobody's."""
    found: str | None = await session.scalar(
        text("""SELECT merchant_id FROM koshelek_pay_partners WHERE name = :name
                UNION ALL SELECT id FROM merchants WHERE id = :name LIMIT 1"""),
        {"name": name},
    )
    return found


async def partners_of(session: Session, merchant_ids: list[str]) -> dict[str, Partner]:
    """Partners among merchants, by merchant."""
    rows = await session.execute(
        text("""SELECT name, merchant_id, postback_url FROM koshelek_pay_partners
                 WHERE merchant_id = ANY(CAST(:ids AS text[]))"""),
        {"ids": merchant_ids},
    )
    return {row.merchant_id: Partner(row.name, row.merchant_id, row.postback_url) for row in rows}


def postback_password(key: Secret, name: str) -> Secret:
    """With what we log in at a partner's own host."""
    return Secret(hmac.new(key.expose().encode(), _DOMAIN + name.encode(), hashlib.sha256).hexdigest())
