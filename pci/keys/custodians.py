"""Custodians: the people who hold shares of the KEK, what they have signed, and the meetings they came to.

They are recognised by a passphrase of their own and not as the vault's people are: a sealed vault cannot open anybody's
second factor. The share is the second thing they must have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text

from pci.access.passwords import Passwords, check_password
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys.errors import CustodianRefused
from pci.keys.key_file import ShareHolder
from pci.keys.register import KeyDoing
from pci.secret import Secret

TRIES_MAX = 10
"""Source: PCI DSS 8.3.4."""
ACKNOWLEDGEMENT_VERSION = 1
ACKNOWLEDGEMENT = """\
Я, хранитель доли ключа, понимаю и принимаю обязанности хранителя:
1. Доля записана мной от руки на бумаге и лежит в запертом месте, к которому есть доступ только у меня.
2. Я не показываю долю никому, в том числе другим хранителям, не фотографирую её и не храню на устройствах.
3. Я ввожу долю только сам и только на рабочем месте вскрытия хранилища.
4. О потере доли, подозрении на её раскрытие и о своём уходе я сообщаю немедленно, чтобы доли были сделаны заново.
"""
"""What a custodian signs. Another text gets another version. Source: PCI DSS 3.7.8."""


@dataclass(frozen=True, slots=True)
class Custodian:
    """Somebody who holds, or held, a share."""

    id: str
    name: str
    verifier: str = field(repr=False)
    failed_tries: int
    created_at: datetime
    deactivated_at: datetime | None
    acknowledged_version: int
    """The last text they signed; 0 for none."""

    def refusal(self) -> str:
        """Why they may not take part; empty if they may."""
        if self.deactivated_at is not None:
            return "deactivated"
        if self.failed_tries >= TRIES_MAX:
            return "locked after too many wrong passphrases"
        return "" if self.acknowledged_version == ACKNOWLEDGEMENT_VERSION else "has not acknowledged the duties"


class CeremonyKind(StrEnum):
    SPLIT = "split"
    """Shares were made, and each custodian took one."""
    UNSEAL = "unseal"
    """Enough custodians gave their shares, and the vault opened."""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A meeting of custodians, over or not in one room."""

    id: str
    kind: CeremonyKind
    threshold: int
    shares: int
    holders: Sequence[ShareHolder]


COLUMNS = (
    "id, name, verifier, failed_tries, created_at, deactivated_at,"
    " coalesce((SELECT max(text_version) FROM acknowledgements WHERE custodian_id = custodians.id), 0)"
    " AS acknowledged_version"
)


async def enrol(session: Session, custodian_id: str, name: str, verifier: str, doing: KeyDoing) -> None:
    """Take somebody in, with the hash of their passphrase. A name that is known gets the new one, and is let in again.

    Whoever calls has seen the person: this is done at a ceremony.
    """
    await session.execute(
        text(
            "INSERT INTO custodians (id, name, verifier, created_at) VALUES (:id, :name, :verifier, :at)"
            " ON CONFLICT (name) DO UPDATE SET verifier = excluded.verifier, failed_tries = 0, deactivated_at = NULL"
        ),
        {"id": custodian_id, "name": name, "verifier": verifier, "at": doing.at},
    )
    custodian = await find(session, name)
    await stage(session, [event("custodian.enrolled", custodian.id, doing)])


async def acknowledge(session: Session, custodian_id: str, doing: KeyDoing) -> None:
    """Keep that a custodian has signed today's text, and which text it was."""
    digest = hashlib.sha256(ACKNOWLEDGEMENT.encode()).digest()
    await session.execute(
        text(
            "INSERT INTO acknowledgements (custodian_id, text_version, text_digest, acknowledged_at)"
            " VALUES (:id, :version, :digest, :at) ON CONFLICT DO NOTHING"
        ),
        {"id": custodian_id, "version": ACKNOWLEDGEMENT_VERSION, "digest": digest, "at": doing.at},
    )
    await stage(session, [event("custodian.acknowledged", custodian_id, doing, text_version=ACKNOWLEDGEMENT_VERSION)])


async def deactivate(session: Session, custodian_id: str, doing: KeyDoing) -> None:
    """Let somebody go. Shares must then be made anew: ``must_be_split_again`` says so until they are.

    Raises: CustodianRefused if there is no such active custodian.
    """
    done = await session.execute(
        text("UPDATE custodians SET deactivated_at = :at WHERE id = :id AND deactivated_at IS NULL"),
        {"id": custodian_id, "at": doing.at},
    )
    if done.rowcount != 1:
        raise CustodianRefused("there is no such active custodian")
    await stage(session, [event("custodian.deactivated", custodian_id, doing)])


async def find(session: Session, name: str) -> Custodian:
    """A custodian by name.

    Raises: CustodianRefused if there is none.
    """
    found = await session.execute(
        text(f"SELECT {COLUMNS} FROM custodians WHERE name = :name"),  # noqa: S608 -- our own columns
        {"name": name},
    )
    if (row := found.mappings().one_or_none()) is None:
        raise CustodianRefused
    return Custodian(**row)


async def list_custodians(session: Session) -> list[Custodian]:
    """Everybody who holds or held a share, by name."""
    found = await session.execute(text(f"SELECT {COLUMNS} FROM custodians ORDER BY name"))  # noqa: S608
    return [Custodian(**row) for row in found.mappings()]


async def recognise(
    transactions: Transactions, passwords: Passwords, name: str, passphrase: Secret, doing: KeyDoing
) -> Custodian:
    """The custodian whose name and passphrase these are. Every try that fails is counted and in the log.

    Raises: CustodianRefused, in the same words whatever was wrong; SignInBusy.
    """
    async with transactions() as session:
        known = {custodian.name: custodian for custodian in await list_custodians(session)}.get(name)
    is_theirs = await passwords.matches(passphrase, known.verifier if known else None)
    refusal = known.refusal() if known else "unknown"
    if known is not None and is_theirs and not refusal:
        async with transactions() as session:
            await session.execute(text("UPDATE custodians SET failed_tries = 0 WHERE id = :id"), {"id": known.id})
        return known
    async with transactions() as session:
        await _count_failure(session, known, doing, refusal or "wrong passphrase")
    raise CustodianRefused


async def _count_failure(session: Session, known: Custodian | None, doing: KeyDoing, why: str) -> None:
    if known is not None:
        await session.execute(
            text("UPDATE custodians SET failed_tries = least(failed_tries + 1, :most) WHERE id = :id"),
            {"id": known.id, "most": TRIES_MAX},
        )
    told = event("custodian.refused", known.id if known else "unknown", doing, why=why)
    await stage(session, [replace(told, outcome=AuditOutcome.REFUSED)])


async def record(session: Session, ceremony: Ceremony, doing: KeyDoing) -> None:
    """Keep who was at a ceremony; the log has it too."""
    await session.execute(
        text(
            "INSERT INTO ceremonies (id, kind, kek_provider, threshold, shares, held_at, held_by)"
            " VALUES (:id, :kind, 'file', :threshold, :shares, :at, :by)"
        ),
        {
            "id": ceremony.id, "kind": str(ceremony.kind), "threshold": ceremony.threshold, "shares": ceremony.shares,
            "at": doing.at, "by": doing.actor,
        },
    )  # fmt: skip
    await session.execute(
        text(
            "INSERT INTO ceremony_custodians (ceremony_id, custodian_id, share_index, confirmed_at)"
            " VALUES (:ceremony, :custodian, :index, :at)"
        ),
        [
            {"ceremony": ceremony.id, "custodian": holder.custodian, "index": holder.index, "at": doing.at}
            for holder in ceremony.holders
        ],
    )
    facts: dict[str, str | int] = {
        "kind": str(ceremony.kind),
        "threshold": ceremony.threshold,
        "shares": ceremony.shares,
    }
    told = [event("ceremony.held", ceremony.id, doing, subject="ceremony", **facts)]
    told += [event("ceremony.attended", holder.custodian, doing, ceremony=ceremony.id) for holder in ceremony.holders]
    await stage(session, told)


def must_be_split_again(holders: Sequence[ShareHolder], everybody: Sequence[Custodian]) -> list[str]:
    """Holders of today's shares who are not custodians any more. Source: PCI DSS 3.7.5."""
    names = {custodian.id: custodian for custodian in everybody}
    gone = [holder.custodian for holder in holders if holder.custodian not in names]
    return gone + [
        names[holder.custodian].name
        for holder in holders
        if holder.custodian in names and names[holder.custodian].deactivated_at is not None
    ]


def event(
    action: str, number: str, doing: KeyDoing, *, subject: str = "custodian", **facts: str | int | bool
) -> AuditEvent:
    """A line of the log about a custodian or a ceremony."""
    return AuditEvent(action, doing.actor, doing.origin, f"{subject}:{number}", doing.at, facts=facts)


async def verifier_of(passwords: Passwords, name: str, passphrase: Secret) -> str:
    """The hash to keep of a new passphrase.

    Raises: PasswordWeak; SignInBusy.
    """
    check_password(passphrase, name.lower())
    return await passwords.hash(passphrase)
