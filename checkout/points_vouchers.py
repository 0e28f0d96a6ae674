"""Vouchers of points: what the books say when points are given, set aside, spent, given back, and when they expire.

Two commodities tell one story. In ``PTS:<programme>`` each card has what it may spend and what is set aside, against
all points that are out. In roubles the programme's worth stands off the balance sheet: the promise is the merchant's,
who gives the goods away, and we owe nobody for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from checkout.points_rules import Programme
from ledger import accounts, chart, journal
from ledger.accounts import AccountTerms
from ledger.database import Session
from ledger.entry import Booked, Entry, Posting, Refused


@dataclass(frozen=True, slots=True)
class PointsMove:
    """So many points of one card, and what they are worth."""

    card_id: str
    programme: Programme
    points: int

    @property
    def card(self) -> str:
        """The account of what the card may spend."""
        return chart.points(self.programme.code, self.card_id)

    @property
    def reserved(self) -> str:
        """The account of what is set aside."""
        return chart.points_reserved(self.programme.code, self.card_id)

    @property
    def issued(self) -> str:
        """The account of all points that are out."""
        return chart.points_issued(self.programme.code)


def given(move: PointsMove) -> list[Posting]:
    """Points come into being.

    Дт memo:points_issued:<programme>            Кт liability:points:<programme>:<card>    points
    Дт memo:points_worth:<programme>             Кт memo:points_promised:<programme>       their roubles
    """
    return [_points(move, move.issued, move.card), _worth(move, is_more=True)]


def taken(move: PointsMove) -> list[Posting]:
    """Points that nobody spent go: they expire, or their purchase was given back.

    Дт liability:points:<programme>:<card>       Кт memo:points_issued:<programme>         points
    Дт memo:points_promised:<programme>          Кт memo:points_worth:<programme>          their roubles
    """
    return [_points(move, move.card, move.issued), _worth(move, is_more=False)]


def set_aside(move: PointsMove) -> list[Posting]:
    """An order is placed: Дт liability:points:<programme>:<card>  Кт liability:points_reserved:<programme>:<card>."""
    return [_points(move, move.card, move.reserved)]


def let_go(move: PointsMove) -> list[Posting]:
    """It will not be paid: Дт liability:points_reserved:<programme>:<card>  Кт liability:points:<programme>:<card>."""
    return [_points(move, move.reserved, move.card)]


def spent(move: PointsMove) -> list[Posting]:
    """It is paid.

    Дт liability:points_reserved:<programme>:<card>  Кт memo:points_issued:<programme>     points
    Дт memo:points_promised:<programme>              Кт memo:points_worth:<programme>      their roubles
    """
    return [_points(move, move.reserved, move.issued), _worth(move, is_more=False)]


def entry_of(reference: str, kind: str, postings: Iterable[Posting], *, now: datetime, **metadata: str) -> Entry:
    """One entry under its reference, which books it once."""
    return Entry(reference, kind, now, tuple(postings), metadata)


async def book(session: Session, entries: list[Entry], *, now: datetime) -> list[Booked]:
    """Book all of them or nothing. Raises: EntryRejected. Locks: the accounts, in their one order."""
    booked: list[Booked] = []
    for start in range(0, len(entries), BATCH_MAX):
        for verdict in await journal.post_batch(session, entries[start : start + BATCH_MAX], now=now):
            if isinstance(verdict, Refused):
                raise verdict.error()
            booked.append(verdict)
    return booked


BATCH_MAX = 1_000


async def open_programme_accounts(session: Session, programme: Programme, *, now: datetime) -> None:
    """The commodity, all points that are out, and their worth in roubles."""
    await accounts.open_commodity(session, programme.commodity, 0, now=now)
    code = programme.code
    for terms in (
        AccountTerms(chart.points_issued(code), programme.commodity, available_min=0),
        AccountTerms(chart.points_worth(code), available_min=0),
        AccountTerms(chart.points_promised(code), normal_side="credit", available_min=0),
    ):
        await accounts.open_account(session, terms, now=now)


async def open_card_accounts(session: Session, card_id: str, programme: Programme, *, now: datetime) -> None:
    """What the card may spend and what is set aside. Neither may be overdrawn."""
    for code in (chart.points(programme.code, card_id), chart.points_reserved(programme.code, card_id)):
        await accounts.open_account(session, AccountTerms(code, programme.commodity, available_min=0), now=now)


def _points(move: PointsMove, debit: str, credit: str) -> Posting:
    return Posting(debit, credit, move.points, move.programme.commodity)


def _worth(move: PointsMove, *, is_more: bool) -> Posting:
    worth, promised = chart.points_worth(move.programme.code), chart.points_promised(move.programme.code)
    debit, credit = (worth, promised) if is_more else (promised, worth)
    return Posting(debit, credit, move.points * move.programme.point_kopecks)
