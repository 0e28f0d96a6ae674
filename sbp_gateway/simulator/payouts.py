"""A bank that pays buyers through SBP, as routes of the simulator. The same id is never paid twice.

Source: Raiffeisenbank, payout API (ecom-API, ``payout.yaml``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.money import Kopecks
from sbp_gateway.errors import MoneyUnreadable
from sbp_gateway.money_units import MoneyUnit, from_json, read, to_json, write
from sbp_gateway.simulator.faults import Faults

PATH = "/payout/v1/payouts"
AMOUNT_KOPECKS_MIN, AMOUNT_KOPECKS_MAX = 100, 50_000_000
DECLINED_PHONES = ("99",)
"""Last digits of phones whose bank refuses at once."""
SLOW_PHONES = ("98",)
"""Last digits of phones that are paid only after two questions."""
SLOWLY_DECLINED_PHONES = ("97",)
QUESTIONS_OF_SLOW = 2
_PHONE = re.compile(r"79[0-9]{9}")
_MEMBER = re.compile(r"[0-9]{12}")


@dataclass(slots=True)
class BuyerPayoutBank:
    """The bank and what it was asked for."""

    remember: Callable[[Mapping[str, Any]], None]
    faults: Faults
    payouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """The bank's paths."""
        return [
            Route(PATH, self.faults.around(self.pay), methods=["POST"]),
            Route(PATH + "/{payout_id}", self.faults.around(self.find), methods=["GET"]),
        ]

    def summary(self) -> dict[str, int]:
        """What was paid in all."""
        paid = [payout["amount_kopecks"] for payout in self.payouts.values() if payout["word"] == "COMPLETED"]
        return {"buyer_payouts": len(paid), "buyer_payouts_kopecks": sum(paid)}

    async def pay(self, request: Request) -> Response:
        """Take a payout; an id that is known is refused, whatever else is asked."""
        asked = _read(await request.body())
        if isinstance(asked, str):
            return JSONResponse({"code": asked}, status_code=400)
        if asked["id"] in self.payouts:
            return JSONResponse({"code": "ERROR.PAYOUT_ALREADY_EXISTS"}, status_code=400)
        return _told(self.take(asked))

    def take(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a new payout and decide on it by the last digits of its phone."""
        digits = str(asked["phone"])[-2:]
        is_slow = digits in SLOW_PHONES + SLOWLY_DECLINED_PHONES
        word = "IN_PROGRESS" if is_slow else "DECLINED" if digits in DECLINED_PHONES else "COMPLETED"
        return self._keep({**asked, "word": word})

    async def find(self, request: Request) -> Response:
        """What became of a payout."""
        found = self.look(request.path_params["payout_id"])
        if found is None:
            return JSONResponse({"code": "ERROR.PAYOUT_NOT_FOUND"}, status_code=404)
        return _told(found)

    def look(self, payout_id: str) -> dict[str, Any] | None:
        """A payout; a slow one ends when it has been asked about often enough."""
        known = self.payouts.get(payout_id)
        if known is None or known["word"] != "IN_PROGRESS":
            return known
        self.questions[payout_id] = self.questions.get(payout_id, 0) + 1
        if self.questions[payout_id] < QUESTIONS_OF_SLOW:
            return known
        is_declined = str(known["phone"]).endswith(SLOWLY_DECLINED_PHONES)
        return self._keep({**known, "word": "DECLINED" if is_declined else "COMPLETED"})

    def _keep(self, payout: dict[str, Any]) -> dict[str, Any]:
        self.payouts[payout["id"]] = payout
        self.remember({"buyer_payout": payout})
        return payout

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "buyer_payout" in line:
            self.payouts[line["buyer_payout"]["id"]] = dict(line["buyer_payout"])


def _read(raw: bytes) -> dict[str, Any] | str:
    """What is asked for, or the bank's code of what is wrong with it."""
    try:
        body = from_json(raw)
        params = body["payoutParams"]
        payout_id, phone, bank = str(body["id"]), str(params["phone"]), str(params["bankAlias"])
        amount = read(body["amount"], MoneyUnit.ROUBLES_NUMBER)
    except (KeyError, TypeError, ValueError, MoneyUnreadable):
        return "ERROR.INVALID_PARAMS"
    if body.get("currency") != "RUB" or body.get("payoutMethod") != "SBP" or not 1 <= len(payout_id) <= 40:
        return "ERROR.INVALID_PARAMS"
    if not _PHONE.fullmatch(phone):
        return "ERROR.INVALID_PHONE"
    if not _MEMBER.fullmatch(bank):
        return "ERROR.UNKNOWN_BANK"
    if not AMOUNT_KOPECKS_MIN <= amount <= AMOUNT_KOPECKS_MAX:
        return "ERROR.INVALID_AMOUNT"
    purpose = str(body.get("paymentDetails", ""))
    return {"id": payout_id, "phone": phone, "bank": bank, "amount_kopecks": int(amount), "purpose": purpose}


def _told(payout: Mapping[str, Any]) -> Response:
    amount = write(Kopecks(payout["amount_kopecks"]), MoneyUnit.ROUBLES_NUMBER)
    told = {"id": payout["id"], "amount": amount, "currency": "RUB", "payoutMethod": "SBP"}
    declined = {"code": "ERROR.RECIPIENT_BANK_DECLINED"} if payout["word"] == "DECLINED" else {}
    body = to_json({**told, "status": {"value": payout["word"]}, **declined})
    return Response(body, media_type="application/json")
