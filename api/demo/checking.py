"""What the run left behind, read back through the API, against what the file alone says it must be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from api.demo.caller import Caller
from api.demo.purchases import Purchase, turnover
from api.demo.sellers import Till, till_for
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from ledger.proofs import PROOFS, broken_proofs

PAGE = 200
NUMBER_PREFIX = "cdnow-"
SETTLEMENT = "asset:sbp_settlement:"
PAYABLE = "liability:merchant_payable:"
FEES = "income:fee:sbp"
PUBLISHED_RATES = {"standard": (70, 150_000), "everyday": (40, 150_000), "government": (0, 0)}
"""Basis points and the most in kopecks, cut to the kopeck.
Source: Bank of Russia, maximum fees of SBP since 1 May 2023."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison."""

    what: str
    expected: int
    """Computed without our system, or said by the other side."""
    found: int
    is_money: bool = False

    @property
    def holds(self) -> bool:
        """Whether both are the same."""
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Expected:
    """What the input file says the end must be."""

    orders: int
    refused: int
    turnover: Kopecks
    fees: Kopecks

    @property
    def payable(self) -> Kopecks:
        """What merchants are to be sent."""
        return self.turnover - self.fees


@dataclass(frozen=True, slots=True)
class Found:
    """What the installation says at the end."""

    orders: int
    distinct_orders: int
    paid_orders: int
    payments: int
    open_attempts: int
    turnover: int
    """Of paid orders."""
    entries: int
    """Payments in the books."""
    booked: int
    fees: int
    paid_out: int
    """Debits of what merchants are owed, without the fees."""
    owed: int
    """What merchants are still owed."""
    debits: int
    credits: int
    lines: list[dict[str, Any]]
    """The trial balance."""
    broken_proofs: list[dict[str, Any]]
    proofs: int
    sent_payouts: int
    payouts: int
    sent_kopecks: int


def expect(purchases: Sequence[Purchase], tills: list[Till]) -> Expected:
    """Turnover and fees by the file, its spread over the tills, and the published rates."""
    orders = [purchase for purchase in purchases if purchase.amount > 0]
    fees = sum(fee_of(int(order.amount), till_for(order, tills).tariff_group) for order in orders)
    return Expected(len(orders), len(purchases) - len(orders), turnover(orders), Kopecks(fees))


def fee_of(amount: int, tariff_group: str) -> int:
    """The fee, worked out here once more and not by the module under test."""
    basis_points, cap = PUBLISHED_RATES[tariff_group]
    return min(amount * basis_points // 10_000, cap)


async def find(caller: Caller, engine: Engine, payouts: Sequence[dict[str, Any]]) -> Found:
    """Read everything back: every order, every entry of a payment, the trial balance.

    The proofs are those of ``kopeyka verify``: they read every posting, longer than a request may take.
    """
    orders = [order async for order in read_all(caller, "/v1/orders")]
    attempts = [attempt for order in orders for attempt in order["attempts"]]
    paid = [order for order in orders if order["status"] == "paid"]
    entries = [entry async for entry in read_all(caller, "/v1/ledger/entries?kind=sbp.payment")]
    lines = (await caller.get("/v1/ledger/trial-balance"))["lines"]
    async with transaction(engine) as session:
        broken = await broken_proofs(session)
    fees = _turned(lines, FEES, "credits")
    sent = [payout for payout in payouts if payout["status"] == "sent"]
    return Found(
        orders=len(orders),
        distinct_orders=len({order["number"] for order in orders if order["number"].startswith(NUMBER_PREFIX)}),
        paid_orders=len(paid),
        payments=len({attempt["payment_id"] for attempt in attempts if attempt["payment_id"]}),
        open_attempts=sum(attempt["status"] in ("requested", "waiting", "unknown") for attempt in attempts),
        turnover=sum(order["amount_kopecks"] for order in paid),
        entries=len({entry["reference"] for entry in entries}),
        booked=_turned(lines, SETTLEMENT, "debits"),
        fees=fees,
        paid_out=_turned(lines, PAYABLE, "debits") - fees,
        owed=_turned(lines, PAYABLE, "balance"),
        debits=_turned(lines, "", "debits"),
        credits=_turned(lines, "", "credits"),
        lines=lines,
        broken_proofs=[asdict(place) for place in broken],
        proofs=len(PROOFS),
        sent_payouts=len(sent),
        payouts=len(payouts),
        sent_kopecks=sum(payout["amount_kopecks"] for payout in sent),
    )


def _turned(lines: Sequence[dict[str, Any]], prefix: str, side: str) -> int:
    return sum(int(line[side]) for line in lines if line["code"].startswith(prefix))


async def read_all(caller: Caller, path: str) -> AsyncIterator[dict[str, Any]]:
    """Every item of a list, page by page."""
    after, mark = "", "&" if "?" in path else "?"
    while True:
        page = await caller.get(f"{path}{mark}limit={PAGE}" + (f"&after={quote(after)}" if after else ""))
        for item in page["items"]:
            yield item
        if not page["has_more"]:
            return
        after = page["next"]


def compare(expected: Expected, found: Found, simulator: dict[str, Any], refused: int) -> list[Check]:
    """Every comparison; the demo fails if one does not hold."""
    types = simulator["events"]["types"]
    return [
        Check("orders in the API, by the file's rows of more than zero", expected.orders, found.orders),
        Check("of them with different numbers", expected.orders, found.distinct_orders),
        Check("rows of zero refused", expected.refused, refused),
        Check("orders paid", expected.orders, found.paid_orders),
        Check("payments", expected.orders, found.payments),
        Check("attempts left open or unknown", 0, found.open_attempts),
        Check("links that payers paid at the simulator", found.payments, simulator["paid"]),
        Check("entries of payments in the books", found.payments, found.entries),
        Check("turnover of paid orders, by the file", expected.turnover, found.turnover, is_money=True),
        Check("turnover in the books, by the file", expected.turnover, found.booked, is_money=True),
        Check("turnover in the books, by the simulator", simulator["paid_kopecks"], found.booked, is_money=True),
        Check("fees, by the tariffs and the file", expected.fees, found.fees, is_money=True),
        Check("paid out, by the file less fees", expected.payable, found.paid_out, is_money=True),
        Check("paid out, by the bank", simulator["payouts_kopecks"], found.sent_kopecks, is_money=True),
        Check("payouts sent", found.payouts, found.sent_payouts),
        Check("payouts that the bank made", simulator["payouts"], found.sent_payouts),
        Check("still owed to merchants", 0, found.owed, is_money=True),
        Check("trial balance: debits against credits", found.debits, found.credits, is_money=True),
        Check("proofs broken", 0, len(found.broken_proofs)),
        Check("events order.paid delivered", expected.orders, types.get("order.paid", 0)),
        Check("events payout.sent delivered", found.payouts, types.get("payout.sent", 0)),
        Check("events delivered out of order", 0, simulator["events"]["out_of_order"]),
    ]


def duplicates(expected: Expected, found: Found, simulator: dict[str, Any], told_twice: int) -> int:
    """What was made twice, wherever: orders, payments, entries, payouts, announcements."""
    pairs = (
        (found.orders, expected.orders),
        (found.payments, found.paid_orders),
        (found.entries, found.payments),
        (int(simulator["paid"]), found.paid_orders),
        (int(simulator["payouts"]), found.payouts),
    )
    return told_twice + sum(max(0, made - wanted) for made, wanted in pairs)


def as_rows(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """For JSON."""
    return [{**asdict(check), "holds": check.holds} for check in checks]
