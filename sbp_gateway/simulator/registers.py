"""The bank's register of a day, from what the simulator saw paid, with breaks planted on order.

``GET /simulator/registers/2026-11-22?profile=tbank&breaks=missing,doubled:2,footer&seed=7`` answers the file,
and in the header ``Planted-Breaks`` what is wrong with it. The same seed breaks the same lines.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.clock import moscow_day
from ledger.money import Kopecks, share_of
from sbp_gateway.errors import RegisterRejected
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.registers.lines import LineKind, LineRail, RegisterLine
from sbp_gateway.registers.profile import Profile, load_profile
from sbp_gateway.registers.writing import write_register
from sbp_gateway.simulator.cash_links import CashLinks
from sbp_gateway.simulator.links import Links, letters
from sbp_gateway.simulator.refunds import Refunds

KINDS = ("missing", "doubled", "amount", "fee", "foreign", "footer")
FEE_BASIS_POINTS = 40
"""What the simulated bank takes, unless the request says otherwise: the maximum for everyday goods."""
BREAKS_MAX = 1_000
PAYER_MASK = "0079******12"


@dataclass(frozen=True, slots=True)
class PlantedBreak:
    """One thing that is wrong with a register on purpose."""

    kind: str
    trx_id: str | None
    qrc_id: str | None


@dataclass(frozen=True, slots=True)
class BankRegisters:
    """What the simulated bank knows of each day."""

    links: Links
    cash_links: CashLinks
    refunds: Refunds

    def routes(self) -> list[Route]:
        """Where registers are fetched."""
        return [Route("/simulator/registers/{day}", self.give, methods=["GET"])]

    async def give(self, request: Request) -> Response:
        """The register of a Moscow day."""
        asked = request.query_params
        try:
            day = date.fromisoformat(request.path_params["day"])
            profile = load_profile(asked.get("profile", "raiffeisen_sbp"))
            wanted = read_breaks(asked.get("breaks", ""))
            lines = list(self.lines_of(day, profile, int(asked.get("fee_basis_points", FEE_BASIS_POINTS))))
            lines, planted = plant(lines, wanted, seed=int(asked.get("seed", 0)))
            file = io.BytesIO()
            write_register(profile, lines, file, day_on=day, footer_off_by=wanted.get("footer", 0) and 100)
        except (ValueError, RegisterRejected) as fault:
            return JSONResponse({"reason": str(fault)}, status_code=422)
        told = json.dumps([{"kind": one.kind, "trx_id": one.trx_id, "qrc_id": one.qrc_id} for one in planted])
        return Response(file.getvalue(), headers={"planted-breaks": told}, media_type="application/octet-stream")

    def lines_of(self, day: date, profile: Profile, basis_points: int) -> Iterator[RegisterLine]:
        """Every operation of a Moscow day in the order of time, without breaks."""
        found = sorted(self._operations(), key=lambda line: line.happened_at)
        for line in found:
            if moscow_day(line.happened_at) == day:
                is_payment = line.kind is LineKind.PAYMENT
                fee = share_of(Kopecks(line.amount_kopecks), basis_points, profile.fee.rounding) if is_payment else 0
                yield line._replace(fee_kopecks=int(fee))

    def _operations(self) -> Iterator[RegisterLine]:
        for link in self.links.by_id.values():
            if link.status is OperationStatus.ACCEPTED and link.trx_id and link.paid_at:
                yield _line(LineKind.PAYMENT, link.trx_id, link.qrc_id, link.merchant_id, link.amount, link.paid_at)
        for cash_link in self.cash_links.by_id.values():
            for sale in cash_link.sales.values():
                if sale.status is OperationStatus.ACCEPTED and sale.trx_id and sale.paid_at:
                    yield _line(LineKind.PAYMENT, sale.trx_id, cash_link.qrc_id, "", sale.amount, sale.paid_at)
        now = self.refunds.clock.now()
        for refund in self.refunds.by_agent_id.values():
            if refund.trx_status(now) == "ACWP":
                yield _line(LineKind.REFUND, refund.trx_id, refund.qrc_id, "", refund.amount, refund.asked_at)


def _line(kind: LineKind, trx_id: str, qrc_id: str, merchant: str, amount: int, at: datetime) -> RegisterLine:
    return RegisterLine(
        0, kind, LineRail.SBP, trx_id, qrc_id, None, None, None, merchant or None, PAYER_MASK, amount, None, at
    )  # fmt: skip


def read_breaks(text: str) -> dict[str, int]:
    """``missing,doubled:2`` as how many of each. Raises: ValueError."""
    wanted: dict[str, int] = {}
    for word in filter(None, text.split(",")):
        kind, _, count = word.partition(":")
        if kind not in KINDS or not (count or "1").isdecimal() or not 1 <= int(count or 1) <= BREAKS_MAX:
            raise ValueError(f"breaks: {', '.join(KINDS)}, each with how many: missing:2")
        wanted[kind] = int(count or 1)
    return wanted


def plant(
    lines: list[RegisterLine], wanted: Mapping[str, int], *, seed: int
) -> tuple[list[RegisterLine], list[PlantedBreak]]:
    """Break some payments, each in one way, and say which.

    Raises: ValueError if there are not enough payments to break.
    """
    chance = random.Random(seed)  # noqa: S311  # must be repeatable
    kinds = [kind for kind in KINDS[:4] for _ in range(wanted.get(kind, 0))]
    places = [place for place, line in enumerate(lines) if line.kind is LineKind.PAYMENT]
    if len(kinds) > len(places):
        raise ValueError(f"breaks: {len(kinds)} of {len(places)} payments")
    chosen = dict(zip(chance.sample(places, len(kinds)), kinds, strict=True))
    broken = [line for place, kept in enumerate(lines) for line in _broken(kept, chosen.get(place))]
    planted = [PlantedBreak(kind, lines[place].trx_id, lines[place].qrc_id) for place, kind in sorted(chosen.items())]
    for number in range(wanted.get("foreign", 0)):
        line = _foreign(lines, f"{seed}/{number}")
        broken.append(line)
        planted.append(PlantedBreak("foreign", line.trx_id, line.qrc_id))
    return broken, planted + [PlantedBreak("footer", None, None)] * (wanted.get("footer", 0) > 0)


def _broken(line: RegisterLine, kind: str | None) -> list[RegisterLine]:
    match kind:
        case "missing":
            return []
        case "doubled":
            return [line, line]
        case "amount":
            return [line._replace(amount_kopecks=line.amount_kopecks + 100)]
        case "fee":
            return [line._replace(fee_kopecks=(line.fee_kopecks or 0) + 10)]
        case _:
            return [line]


def _foreign(lines: list[RegisterLine], of: str) -> RegisterLine:
    """An operation that is nobody's here. Raises: ValueError if the day has no other."""
    if not lines:
        raise ValueError("breaks: a day without operations has no time for a foreign one")
    trx_id, qrc_id = f"A{letters(f'{of}/trx', 31)}", f"AD10{letters(f'{of}/link', 28)}"
    return _line(LineKind.PAYMENT, trx_id, qrc_id, "", 12_345, lines[-1].happened_at)._replace(fee_kopecks=49)
