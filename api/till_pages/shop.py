"""The sandbox's café, opened through the API like any merchant: its tills, programme, code, offer and installments.

Each object is asked for under a key of its own, so that the café is one however often it is opened.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.errors import NotReady
from api.till_pages.asking import Asking
from api.till_pages.sessions import TillSession, TillState, add_session, last_session
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import moscow_day
from ledger.database import transaction
from ledger.ids import new_secret

ACCOUNT = account_with_key(BankAccount("044525225", "40702810938000000777"))
PROGRAMME = "kopeyka-cafe"
PROMO_CODE = "KOFE-10"
POINTS_AT_FIRST = 300


async def open_session(asking: Asking, *, now: datetime) -> TillSession:
    """A till and a card of their own in the one café. Raises: NotReady."""
    async with transaction(asking.door.engine) as session:
        last = await last_session(session)
    if last is None:
        merchant_id, store_id = await _open_shop(asking, now)
    else:
        merchant_id, store_id = last.merchant_id, last.store_id
    terminal = await _made(asking, "/v1/terminals", {"store_id": store_id, "name": "Касса"})
    card = await _made(asking, "/v1/loyalty-cards", {"merchant_id": merchant_id, "programme": PROGRAMME})
    path = f"/v1/loyalty-cards/{card['id']}"
    await _made(asking, f"{path}/points", {"points": POINTS_AT_FIRST, "reason": "Приветственные"})
    showing = await _made(asking, f"{path}/showings")
    link_code = new_secret("_").lstrip("_")
    made = TillSession(
        link_code, merchant_id, store_id, terminal["id"], card["id"], showing["id"], TillState(), 1, now
    )  # fmt: skip
    async with transaction(asking.door.engine) as session:
        await add_session(session, made)
    return made


async def _open_shop(asking: Asking, now: datetime) -> tuple[str, str]:
    merchant = await _made(
        asking, "/v1/merchants", {
            "name": "Кофейня «Копейка»", "legal_name": "ООО «Кофейня Копейка»", "inn": "7707083893",
            "tariff_group": "standard", "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        }, key="till-pages-merchant-1",
    )  # fmt: skip
    whose = {"merchant_id": merchant["id"]}
    store = await _made(
        asking, "/v1/stores", {**whose, "name": "На углу", "address": "Москва, Тверская, 1"}, key="till-pages-store-1"
    )
    await _made(
        asking, "/v1/points-programmes", {
            **whose, "code": PROGRAMME, "name": "Зёрна", "point_kopecks": 100, "thresholds": [600],
            "rule": {"earn_basis_points": 500},
        }, key="till-pages-programme-1",
    )  # fmt: skip
    await _made(
        asking, "/v1/promo-codes",
        {**whose, "code": PROMO_CODE, "kind": "discount", "discount_basis_points": 1_000}, key="till-pages-promo-1",
    )  # fmt: skip
    await _made(
        asking, "/v1/rail-offers",
        {**whose, "rail": "sbp", "basis_points": 200, "note": "По СБП дешевле на 2 %"}, key="till-pages-offer-1",
    )  # fmt: skip
    await asking.ask(
        "till", "POST", "/v1/installments/merchant-terms", {
            **whose, "product_code": "dolyame", "effective_on": moscow_day(now).isoformat(), "fee_basis_points": 400,
        }, key="till-pages-terms-1",
    )  # fmt: skip
    return merchant["id"], store["id"]


async def _made(asking: Asking, path: str, body: Any = None, *, key: str | None = None) -> Any:
    said = await asking.ask("till", "POST", path, body, key=key)
    if not said.is_done:
        raise NotReady(path=path, refused_as=said.notice["code"])
    return said.body
