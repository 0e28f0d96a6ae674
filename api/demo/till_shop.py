"""The chain that the baskets were sold by: one merchant, its stores with two tills each, a programme of points, cards.

The first till of a store shows dynamic codes and charges cards; the second has a plate, which takes one sum at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from api.demo.caller import Caller
from api.demo.checking import read_all
from api.demo.errors import DemoFailed
from api.demo.till_baskets import TillBasket
from api.demo.wire import Connection
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import machine_now, monotonic, moscow_day
from pci.pan import Pan

PROGRAMME = "shagi"
POINT_KOPECKS = 100
EARN_BASIS_POINTS = 500
THRESHOLDS = (600,)
TARIFF_GROUP = "everyday"
SHOP = "https://shop.example"
CARD = Pan("2200 1117 5357 9001")
"""Source: a Mir number of Tochka's public test cards."""
TYPED = {"expires_on": "2030-12", "cvc": "123"}
OPERATOR = "Оператор рассрочки"
"""As a sandbox names the operator of plans that it makes."""
PLAN_FEE_BASIS_POINTS = 690
CARDS = 3
"""Stored payment cards that buyers share: the demo has no wish to type four hundred."""
PLATE_SECONDS_MAX = 150.0
"""An answer that NSPK lost is asked for after a minute at the latest."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class TillStore:
    """A store that is open."""

    name: str
    terminals: tuple[str, str]
    """Codes and cards at the first, the plate at the second."""
    cash_link_id: str
    cashier_id: str
    """Who stands at both of them."""


@dataclass(slots=True)
class Chain:
    """What is open when selling begins."""

    merchant_id: str
    stores: dict[str, TillStore] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)
    """Loyalty cards by household."""
    codes: dict[int, str] = field(default_factory=dict)
    """Promo codes by what they pay."""
    tokens: list[str] = field(default_factory=list)
    """Payment cards, as the chain keeps them."""
    plan_token: str = ""
    """The card that plans are paid by, as the operator of plans keeps it."""


async def open_chain(caller: Caller, baskets: Sequence[TillBasket], card_form: str) -> Chain:
    """Take the chain in and open everything. Raises: DemoFailed."""
    account = account_with_key(BankAccount("044525225", "40702810038000000606"))
    body = {
        "name": "Десять шагов", "legal_name": "ООО «Десять шагов»", "inn": "7707083893", "tariff_group": TARIFF_GROUP,
        "bank_account": {"bik": account.bik, "number": account.number},
    }  # fmt: skip
    chain = Chain((await created(caller, "/v1/merchants", body, "chain"))["id"])
    for store in sorted({basket.store for basket in baskets}):
        chain.stores[store] = await _open_store(caller, chain.merchant_id, store)
    programme = {
        "merchant_id": chain.merchant_id, "code": PROGRAMME, "name": "Шаги", "point_kopecks": POINT_KOPECKS,
        "thresholds": list(THRESHOLDS), "rule": {"earn_basis_points": EARN_BASIS_POINTS},
    }  # fmt: skip
    await created(caller, "/v1/points-programmes", programme, "chain-programme")
    await _issue_cards(caller, chain, {basket.household for basket in baskets})
    await _make_codes(caller, chain, {int(basket.coupon) for basket in baskets if basket.coupon})
    chain.tokens = [await _enter_card(caller, chain.merchant_id, card_form, number) for number in range(CARDS)]
    chain.plan_token = await _sell_by_plans(caller, chain, card_form)
    return chain


async def _sell_by_plans(caller: Caller, chain: Chain, card_form: str) -> str:
    """The chain agrees to the terms of Долями; a buyer's card is entered at the operator."""
    terms = {
        "merchant_id": chain.merchant_id, "product_code": "dolyame", "fee_basis_points": PLAN_FEE_BASIS_POINTS,
        "effective_on": moscow_day(machine_now()).isoformat(),
    }  # fmt: skip
    await created(caller, "/v1/installments/merchant-terms", terms, "chain-plan-terms")
    merchants = [each async for each in read_all(caller, "/v1/merchants")]
    operator_id = next(each["id"] for each in merchants if each["name"] == OPERATOR)
    return await _enter_card(caller, operator_id, card_form, CARDS)


async def _open_store(caller: Caller, merchant_id: str, store: str) -> TillStore:
    place = {"merchant_id": merchant_id, "name": f"Магазин {store}", "address": f"Город, дом {store}"}
    store_id = (await created(caller, "/v1/stores", place, f"chain-{store}"))["id"]
    first, second = [
        (await created(caller, "/v1/terminals", named | {"store_id": store_id}, f"chain-{store}-till-{number}"))["id"]
        for number, named in enumerate(({"name": "Касса 1"}, {"name": "Касса 2"}), 1)
    ]
    plate = await _register_plate(caller, store, second)
    named = {"merchant_id": merchant_id, "number": store, "name": f"Кассир магазина {store}"}
    cashier = await created(caller, "/v1/cashiers", named, f"chain-{store}-cashier")
    return TillStore(store, (first, second), plate, cashier["id"])


async def _register_plate(caller: Caller, store: str, terminal_id: str) -> str:
    """A plate that may be armed: while NSPK's answer is lost the worker asks for it."""
    plate = await created(caller, "/v1/sbp/cash-links", {"terminal_id": terminal_id}, f"chain-{store}-plate")
    deadline = monotonic() + PLATE_SECONDS_MAX
    while plate["status"] == "requested":
        if monotonic() > deadline:
            raise DemoFailed(f"NSPK did not register the plate of store {store} in {PLATE_SECONDS_MAX:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
        plate = await caller.get(f"/v1/sbp/cash-links/{plate['id']}")
    return str(plate["id"])


async def _issue_cards(caller: Caller, chain: Chain, households: Iterable[str]) -> None:
    for household in sorted(households):
        wish = {"merchant_id": chain.merchant_id, "programme": PROGRAMME}
        chain.cards[household] = (await created(caller, "/v1/loyalty-cards", wish, f"card-{household}"))["id"]


async def _make_codes(caller: Caller, chain: Chain, sums: Iterable[int]) -> None:
    for kopecks in sorted(sums):
        code = f"KUPON-{kopecks}"
        body = {"merchant_id": chain.merchant_id, "code": code, "kind": "discount", "discount_kopecks": kopecks}
        await created(caller, "/v1/promo-codes", body, f"code-{kopecks}")
        chain.codes[kopecks] = code


async def _enter_card(caller: Caller, merchant_id: str, origin: str, number: int) -> str:
    """A buyer types a card into the vault's own page; the shop hears its token."""
    session = {"merchant_id": merchant_id, "origin": SHOP, "buyer_id": f"till-buyer-{number}"}
    form = await created(caller, "/v1/card-sessions", session, f"card-session-{number}")
    place = urlsplit(form["form_url"])
    browser = Connection(f"{place.scheme}://{place.netloc}", {"origin": origin})
    entered = await browser.ask("POST", f"{place.path}/card", TYPED | {"pan": CARD.expose()})
    if entered.status != 201:
        raise DemoFailed(f"the entered card was answered with {entered.status}")
    browser.hang_up()
    return str(entered.json()["token"])


async def created(caller: Caller, path: str, body: Any, what: str) -> Any:
    """What was made. Raises: DemoFailed if it was not."""
    answer = await caller.post(path, body, what)
    if answer.status not in (200, 201):
        raise DemoFailed(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
    return answer.json()
