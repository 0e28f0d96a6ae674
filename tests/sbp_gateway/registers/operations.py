"""Operations of ours laid straight into the tables, so that a day can be any day."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from sbp_gateway.registers.lines import LineKind, LineRail, RegisterLine

DAY = date(2026, 11, 22)
MERCHANT = f"mer_{'0' * 26}"
MEMBER = "100000000999"
NOON = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Paid:
    """One payment of ours, and what a right register says about it."""

    number: int
    amount: int
    fee: int
    paid_at: datetime = NOON
    is_late: bool = False

    @property
    def trx_id(self) -> str:
        return f"A632609{letters(f'trx{self.number}', 25)}"

    @property
    def qrc_id(self) -> str:
        return f"AD10{letters(f'qrc{self.number}', 28)}"

    @property
    def payment_id(self) -> str:
        return f"pay_{self.number:026}"

    def line(self, **other: Any) -> RegisterLine:
        line = RegisterLine(
            number=0, kind=LineKind.PAYMENT, rail=LineRail.SBP, trx_id=self.trx_id, qrc_id=self.qrc_id,
            order_number=f"A-{self.number}", refund_id=None, operation_id=None, merchant="MA0000000001",
            payer_mask="0079******12", amount_kopecks=self.amount, fee_kopecks=self.fee, happened_at=self.paid_at,
        )  # fmt: skip
        return line._replace(**other)


def letters(of: str, count: int) -> str:
    return hashlib.sha256(of.encode()).hexdigest().upper()[:count]


def paid(count: int, *, amount: int = 149_990, since: datetime = NOON, first: int = 1) -> list[Paid]:
    """Payments a second apart, each a kopeck more than the one before."""
    return [
        Paid(first + place, amount + place, (amount + place) * 40 // 10_000, since + timedelta(seconds=place))
        for place in range(count)
    ]


def later(payment: Paid, **by: float) -> Paid:
    return replace(payment, paid_at=payment.paid_at + timedelta(**by))


def lay(superuser_url: str, payments: Sequence[Paid], *, is_booked: bool = True) -> None:
    """Write payments with their codes and the first postings of their entries; what they hang on is left out."""
    with psycopg.connect(superuser_url) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            """INSERT INTO sbp_merchants (merchant_id, nspk_merchant_id, member_id, bank_account, created_at)
               VALUES (%s, 'MA0000000001', %s, '40702810000000000001', now()) ON CONFLICT DO NOTHING""",
            (MERCHANT, MEMBER),
        )
        cursor.executemany(
            """INSERT INTO orders (id, merchant_id, store_id, terminal_id, number, amount_kopecks, status, paid_at,
                                   placed_at, created_at)
               VALUES (%(order)s, %(merchant)s, 'sto', 'ter', %(number)s, %(amount)s, 'paid', %(at)s, %(at)s,
                       %(at)s)""",
            [_facts(payment) for payment in payments],
        )
        cursor.executemany(
            """INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, payment_id, created_at)
               VALUES (%(attempt)s, %(order)s, 'sbp', %(amount)s, 'paid', %(id)s, %(at)s)""",
            [_facts(payment) for payment in payments],
        )
        cursor.executemany(
            """INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, status, qrc_id, payload, purpose,
                                     requested_at, expires_at)
               VALUES (%(qr)s, %(attempt)s, %(merchant)s, %(amount)s, 'paid', %(qrc)s, 'p', 'p', %(at)s,
                       %(at)s + interval '1 hour')""",
            [_facts(payment) for payment in payments],
        )
        cursor.executemany(
            """INSERT INTO sbp_payments (id, qr_id, attempt_id, merchant_id, trx_id, amount_kopecks, fee_kopecks,
                                         is_late, entry_id, paid_at, recorded_at)
               VALUES (%(id)s, %(qr)s, %(attempt)s, %(merchant)s, %(trx)s, %(amount)s, %(fee)s, %(late)s,
                       %(entry)s, %(at)s, %(at)s)""",
            [_facts(payment) for payment in payments],
        )
    if is_booked:
        book(superuser_url, payments)


def book(
    superuser_url: str,
    payments: Sequence[Paid],
    *,
    more: int = 0,
    word: str = "sbp_payment:",
    number: int | None = None,
) -> None:
    """Write the first posting of each payment's entry: as it should be, or with something wrong."""
    with psycopg.connect(superuser_url) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.executemany(
            """INSERT INTO postings (entry_id, amount, debit_version, debit_balance, credit_version, credit_balance,
                                     happened_at, recorded_at, xid, debit, credit, book, number, commodity, body_hash,
                                     reference, kind)
               SELECT %(entry)s, %(amount)s + %(more)s, %(version)s, 0, %(version)s, 0, %(at)s, %(at)s,
                      pg_current_xact_id(), 1, 2, coalesce(%(book)s, number), 1, 'RUB', %(entry)s,
                      %(word)s || %(trx)s, 'sbp.payment'
                 FROM books WHERE name = 'main'""",
            [{**_facts(payment), "more": more, "word": word, "book": number} for payment in payments],
        )


def _facts(payment: Paid) -> dict[str, Any]:
    return {
        "id": payment.payment_id, "order": f"ord_{payment.number:026}", "attempt": f"att_{payment.number:026}",
        "qr": f"qr_{payment.number:026}", "merchant": MERCHANT, "number": f"A-{payment.number}",
        "amount": payment.amount, "fee": payment.fee, "late": payment.is_late, "at": payment.paid_at,
        "trx": payment.trx_id, "qrc": payment.qrc_id, "entry": UUID(int=payment.number), "version": payment.number,
    }  # fmt: skip
