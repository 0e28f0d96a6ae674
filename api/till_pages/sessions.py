"""Sessions of the till's pages: what a page shows is kept in one row, so that any process and any device shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ledger.database import Session, text

MESSAGES_SHOWN_MAX = 40
SAID_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class TillState:
    """What is on the till's screen."""

    goods: Mapping[str, int] = field(default_factory=dict)
    """How many of each article."""
    presentment: Mapping[str, Any] | None = None
    points: int = 0
    """What the card has, as the till was told at the scan."""
    order: Mapping[str, Any] | None = None
    """As the API said last, with its tenders and attempts."""
    refund: Mapping[str, Any] | None = None
    slip: Mapping[str, Any] | None = None
    """What is printed of a paid order: its text, and the first bytes for the printer."""
    notice: Mapping[str, str] | None = None
    """What went wrong last: a code and the cashier's tip."""
    rail: str = ""
    """What the buyer's phone prefers."""
    entry: Mapping[str, Any] | None = None
    """The card's form, or the device, that the till waits for."""
    card_token: str | None = None
    """The card that was typed last: the buyer's phone may put it into its wallet."""
    sales: int = 0


@dataclass(frozen=True, slots=True)
class TillSession:
    """One till, one card and the phone that shows it."""

    link_code: str
    merchant_id: str
    store_id: str
    terminal_id: str
    loyalty_card_id: str
    showing_id: str
    state: TillState
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SaidMessage:
    """One call between two of the four, for the diagram."""

    source: str
    target: str
    said: str
    status: int | None = None
    milliseconds: int | None = None
    told: str | None = None
    """A stable code, or what came of it."""
    number: int = 0


async def add_session(session: Session, made: TillSession) -> None:
    """Keep a new session."""
    await session.execute(
        text("""INSERT INTO till_sessions (link_code, merchant_id, store_id, terminal_id, loyalty_card_id, showing_id,
                                           state, created_at)
                VALUES (:code, :merchant, :store, :terminal, :card, :showing, CAST(:state AS jsonb), :now)"""),
        {
            "code": made.link_code, "merchant": made.merchant_id, "store": made.store_id,
            "terminal": made.terminal_id, "card": made.loyalty_card_id, "showing": made.showing_id,
            "state": _written(made.state), "now": made.created_at,
        },
    )  # fmt: skip


async def find_session(session: Session, link_code: str) -> TillSession | None:
    """The session behind a link."""
    return _session(
        (
            await session.execute(text("SELECT * FROM till_sessions WHERE link_code = :code"), {"code": link_code})
        ).first()
    )


async def last_session(session: Session) -> TillSession | None:
    """The newest session: its merchant and store serve the next one."""
    return _session(
        (await session.execute(text("SELECT * FROM till_sessions ORDER BY created_at DESC LIMIT 1"))).first()
    )


async def save_state(session: Session, kept: TillSession, state: TillState) -> TillSession | None:
    """Keep what the till shows now; nothing if another page was faster."""
    done = await session.execute(
        text("""UPDATE till_sessions SET state = CAST(:state AS jsonb), version = version + 1
                 WHERE link_code = :code AND version = :version"""),
        {"code": kept.link_code, "version": kept.version, "state": _written(state)},
    )
    return replace(kept, state=state, version=kept.version + 1) if done.rowcount == 1 else None


async def save_changes(session: Session, kept: TillSession, state: TillState) -> TillSession:
    """Keep what a touch changed, whatever another page has kept meanwhile. Locks: the session."""
    await session.execute(
        text("SELECT FROM till_sessions WHERE link_code = :code FOR NO KEY UPDATE"), {"code": kept.link_code}
    )
    now_kept = await find_session(session, kept.link_code)
    assert now_kept is not None, "sessions are never removed"
    changed = {
        name: getattr(state, name)
        for name in TillState.__slots__
        if getattr(state, name) != getattr(kept.state, name)
    }  # fmt: skip
    saved = await save_state(session, now_kept, replace(now_kept.state, **changed)) if changed else now_kept
    assert saved is not None, "the row is locked"
    return saved


async def add_message(session: Session, link_code: str, message: SaidMessage, *, now: datetime) -> None:
    """Keep one call for the diagram."""
    await session.execute(
        text("""INSERT INTO till_session_messages (link_code, source, target, said, status, milliseconds, told,
                                                   happened_at)
                VALUES (:code, :source, :target, :said, :status, :milliseconds, :told, :now)"""),
        {
            "code": link_code, "source": message.source, "target": message.target,
            "said": message.said[:SAID_CHARACTERS_MAX], "status": message.status,
            "milliseconds": message.milliseconds, "told": message.told, "now": now,
        },
    )  # fmt: skip


async def messages_of(session: Session, link_code: str) -> list[SaidMessage]:
    """The last calls, oldest first."""
    rows = await session.execute(
        text("""SELECT source, target, said, status, milliseconds, told, number FROM till_session_messages
                 WHERE link_code = :code ORDER BY number DESC LIMIT :limit"""),
        {"code": link_code, "limit": MESSAGES_SHOWN_MAX},
    )
    return [SaidMessage(**row._mapping) for row in rows][::-1]


def _written(state: TillState) -> str:
    return json.dumps({name: getattr(state, name) for name in TillState.__slots__}, ensure_ascii=False)


def _session(row: Any) -> TillSession | None:
    return None if row is None else TillSession(**{**row._mapping, "state": TillState(**row.state)})
