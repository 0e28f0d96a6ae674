"""What the replay of till baskets left behind, against what the file alone says; and the days of the till."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from api.demo.caller import Caller
from api.demo.checking import Check, as_rows, read_all
from api.demo.till_baskets import TillBasket, turnover
from api.demo.till_replay import Replay
from api.demo.till_returns import GoodsBack
from api.demo.till_sale import TillSale
from api.demo.till_shop import EARN_BASIS_POINTS, POINT_KOPECKS, PROGRAMME
from ledger.database import Engine, text, transaction
from ledger.proofs import broken_proofs

ZERO = ("checkout.amount_not_positive", "checkout.basket_empty")
"""How baskets that come to nothing are refused: with lines, and without any."""
RAILS = ("sbp", "plate", "card", "device", "plan")


@dataclass(slots=True)
class TillDay:
    """One day of all tills, in kopecks."""

    baskets: int = 0
    gross: int = 0
    discount: int = 0
    promo: int = 0
    points: int = 0
    by_rail: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RAILS, 0))
    back: int = 0
    """What went back for goods that came back, by the rails that had brought it."""

    def add(self, sale: TillSale) -> None:
        """Count one sale."""
        tenders = sale.tenders
        self.baskets += 1
        self.gross += tenders["gross_kopecks"]
        self.discount += tenders["discount_kopecks"]
        self.promo += tenders["promo_kopecks"]
        self.points += tenders["points_kopecks"]
        self.by_rail[sale.rail] += tenders["amount_kopecks"]


@dataclass(frozen=True, slots=True)
class TillOutcome:
    """The end of a replay."""

    checks: list[Check]
    days: Mapping[date, TillDay]
    baskets: int
    scanned_twice: int
    shifts: int
    """Closed, each by a numbered Z."""
    returns: int
    """Buyers who brought something back."""
    seconds: float
    """From the first scan to the last Z."""

    @property
    def fits(self) -> bool:
        """Whether everything is as the file says."""
        return all(check.holds for check in self.checks)

    @property
    def orders_a_second(self) -> float:
        """Baskets through scan, order, rail and books."""
        return round(self.baskets / max(self.seconds, 0.001), 1)

    @property
    def line(self) -> str:
        """The figures for people, in one line."""
        sold = sum(day.baskets for day in self.days.values())
        when = f"{len(self.days)} days, {self.shifts} shifts"
        return (
            f"{sold:,} of {self.baskets:,} sold in {when}, {self.returns} brought back; {self.orders_a_second} a second"
        )

    def as_json(self) -> dict[str, Any]:
        """For machines. Amounts in kopecks."""
        return {
            "baskets": self.baskets,
            "scanned_twice": self.scanned_twice,
            "returns": self.returns,
            "shifts": self.shifts,
            "orders_a_second": self.orders_a_second,
            "seconds": round(self.seconds, 2),
            "days": [
                {"on": on.isoformat(), "baskets": day.baskets, "gross": day.gross, "discount": day.discount}
                | {"promo": day.promo, "points": day.points, "back": day.back, **day.by_rail}
                for on, day in self.days.items()
            ],
            "checks": as_rows(self.checks),
        }


async def till_outcome(
    caller: Caller, engine: Engine, replay: Replay, baskets: Sequence[TillBasket], seconds: float
) -> TillOutcome:
    """Read everything back and compare."""
    chain = replay.chain
    orders = {order["id"]: order async for order in read_all(caller, f"/v1/orders?merchant_id={chain.merchant_id}")}
    lines = {line["code"]: line for line in (await caller.get("/v1/ledger/trial-balance"))["lines"]}
    (programme,) = [each for each in await caller.get("/v1/points-programmes") if each["code"] == PROGRAMME]
    async with transaction(engine) as session:
        broken = len(await broken_proofs(session))
        owed = int(await session.scalar(text("SELECT coalesce(sum(owed_points), 0) FROM points_purses")) or 0)
    days: dict[date, TillDay] = {}
    for sale in sorted(replay.sales, key=lambda sale: sale.basket.at):
        days.setdefault(sale.basket.on, TillDay()).add(sale)
    for goods in replay.returns.made:
        days[goods.on].back += goods.amount
    programme |= {"points_owed": owed}
    checks = _checks(replay, list(orders.values()), lines, programme, baskets, broken)
    checks += _checks_of_returns(replay.returns.made, list(orders.values()), replay.z_reports)
    made = replay.returns.made
    return TillOutcome(checks, days, len(baskets), replay.scanned_twice, len(replay.z_reports), len(made), seconds)


def _checks(
    replay: Replay, orders: Sequence[dict[str, Any]], lines: Mapping[str, dict[str, Any]], programme: dict[str, Any],
    baskets: Sequence[TillBasket], broken: int,
) -> list[Check]:  # fmt: skip
    selling = [basket for basket in baskets if basket.value > 0]
    tenders = [order["tenders"] for order in orders if order["status"] == "paid"]
    rail = _sum(tenders, "amount_kopecks")
    open_attempts = [
        attempt
        for order in orders
        for attempt in order["attempts"]
        if attempt["status"] in ("requested", "waiting", "unknown")
    ]
    zero = sum(replay.refused.get(code, 0) for code in ZERO)
    points = _points(tenders) + sum(each.points - each.earned_back for each in replay.returns.made)
    points += programme["points_owed"]
    merchant_id = replay.chain.merchant_id
    booked = sum(
        int(lines.get(f"liability:{account}:{merchant_id}", {"credits": 0})["credits"])
        for account in ("merchant_payable", "card_payable")
    )
    by_plans = sum(
        order["amount_kopecks"]
        for order in orders
        if any(each["status"] == "paid" and each["rail"] == "dolyame" for each in order["attempts"])
    )
    paid_by = _sum(tenders, "promo_kopecks") + _sum(tenders, "points_kopecks") + rail
    return [
        Check("till: orders, by the file's baskets of more than zero", len(selling), len(orders)),
        Check("till: orders paid", len(selling), len(tenders)),
        Check("till: baskets of zero refused", len(baskets) - len(selling), zero),
        Check("till: refused for other reasons", 0, sum(replay.refused.values()) - zero),
        Check("till: cards scanned", len(baskets), replay.presented),
        Check(
            "till: shelf prices, by the file",
            sum(int(basket.value + basket.discount) for basket in selling),
            _sum(tenders, "gross_kopecks"), is_money=True,
        ),
        Check(
            "till: discounts, by the file", sum(int(basket.discount) for basket in selling),
            _sum(tenders, "discount_kopecks"), is_money=True,
        ),
        Check(
            "till: paid by promo codes, by the file's coupons", sum(int(basket.coupon) for basket in selling),
            _sum(tenders, "promo_kopecks"), is_money=True,
        ),
        Check("till: promo codes, points and rails, by the file", int(turnover(selling)), paid_by, is_money=True),
        Check("till: what SBP and cards brought, in the books", rail - by_plans, booked, is_money=True),
        Check(
            "till: what rails brought, by the Z reports", rail,
            sum(each["sales_kopecks"] for each in replay.z_reports), is_money=True,
        ),
        Check("till: Z reports without a gap in their numbers", len(replay.z_reports), _numbered(replay.z_reports)),
        Check("till: points that are out, worked out order by order", points, programme["points_issued"]),
        Check(
            "till: their worth in roubles, in the books", points * POINT_KOPECKS,
            programme["liability_kopecks"], is_money=True,
        ),
        Check("till: orders told to be paid more than once", 0, len(replay.hearing.twice)),
        Check("till: attempts left open or unknown", 0, len(open_attempts)),
        Check("till: proofs broken", 0, broken),
    ]  # fmt: skip


def _checks_of_returns(
    made: Sequence[GoodsBack], orders: Sequence[dict[str, Any]], z_reports: Sequence[dict[str, Any]]
) -> list[Check]:
    """What came back, apart from what was sold."""
    whole = [each for each in made if each.is_whole]
    by_code = sum(each.sale.tenders["promo_kopecks"] for each in whole)
    by_buyer = sum(each.answer["amount_kopecks"] + each.answer["points_back"] * POINT_KOPECKS for each in whole)
    back = sum(each.amount for each in made)
    return [
        Check("till: refunds that succeeded", len(made), sum(_is_done(each) for each in made)),
        Check(
            "till: baskets that came back whole, by the file", int(turnover([each.sale.basket for each in whole])),
            by_buyer + by_code, is_money=True,
        ),
        Check(
            "till: refunded by rails, worked out line by line", back,
            sum(order["amount_refunded_kopecks"] for order in orders), is_money=True,
        ),
        Check(
            "till: refunded, by the Z reports", back, sum(each["refunds_kopecks"] for each in z_reports), is_money=True
        ),
        Check(
            "till: points given back", sum(each.points for each in made),
            sum(order["tenders"]["points_back"] for order in orders),
        ),
    ]  # fmt: skip


def _is_done(back: GoodsBack) -> bool:
    return bool(back.answer["status"] == "succeeded")


def _sum(tenders: Sequence[Mapping[str, int]], name: str) -> int:
    return sum(each[name] for each in tenders)


def _numbered(reports: Sequence[dict[str, Any]]) -> int:
    """How many reports stand under numbers from 1 on, till by till."""
    tills: dict[str, set[int]] = {}
    for report in reports:
        tills.setdefault(report["shift"]["terminal_id"], set()).add(report["shift"]["number"])
    return sum(len(numbers & set(range(1, len(numbers) + 1))) for numbers in tills.values())


def _points(tenders: Sequence[Mapping[str, int]]) -> int:
    """What all orders earned, less what they spent, worked out here once more."""
    return sum(
        each["amount_kopecks"] * EARN_BASIS_POINTS // 10_000 // POINT_KOPECKS - each["points"] for each in tenders
    )
