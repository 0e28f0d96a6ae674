"""Rules of the tills' contract that need no house: words, sums, keys, names."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.contracts.koshelek_pay import partners
from api.contracts.koshelek_pay.bodies import (
    InvoiceBody,
    ItemBody,
    RefundItemBody,
    basket_of,
    lines_back,
    read_quantity,
    worth_of,
)
from api.contracts.koshelek_pay.entrance import key_in, partner_in, read_credentials
from api.contracts.koshelek_pay.error_objects import CODES, PUBLISHED, error_answer, internal_error
from api.contracts.koshelek_pay.errors import (
    ParameterInvalid,
    PartnerNameMalformed,
    PartnerTaken,
    PaymentDeclined,
    ProviderUnavailable,
)
from api.contracts.koshelek_pay.partners import Partner, postback_password, set_partner
from api.contracts.koshelek_pay.routes.payments import refusal_of
from api.contracts.outer_ids import inner_id, outer_id
from api.errors import KeyMissing
from api.problems import STATUS, every_error
from checkout.errors import MerchantNotFound
from checkout.item_refund_rows import Returned
from checkout.rail import Start, StartStatus
from ledger.database import Engine, transaction
from ledger.errors import KopeykaError
from ledger.ids import new_id
from pci.secret import Secret
from tests.api.test_rail_constraints import MERCHANT, ROWS, insert, shown
from tests.conftest import Database

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
RUSSIAN = re.compile("[а-я]{3}")
BREAD = ItemBody(name="Хлеб", article="bread", price=5_000, quantity=2)


def bare_errors() -> Iterator[KopeykaError]:
    """Every error of ours that is made without arguments: nearly all."""
    for error in sorted(every_error(), key=lambda error: error.__qualname__):
        with suppress(TypeError):
            yield error()


def test_every_error_of_ours_has_a_word_a_tip_and_a_hint_in_the_contract() -> None:
    made = list(bare_errors())

    assert len(made) > 100
    for error in made:
        answer = error_answer(error, "req_1")
        said = json.loads(answer.body)
        assert answer.status in (401, 404, 422, 429, 500), error.code
        assert re.fullmatch("[A-Z][A-Z0-9_]+", said["code"]), error.code
        assert RUSSIAN.search(said["details"]), error.code
        assert said["hint"], error.code


def test_every_code_that_is_named_is_a_code_of_ours() -> None:
    assert set(CODES) - set(STATUS) == set()


@pytest.mark.parametrize("code", PUBLISHED)
def test_every_published_code_has_a_tip_for_the_cashier(code: str) -> None:
    assert RUSSIAN.search(PUBLISHED[code])
    assert len(PUBLISHED[code]) <= 100


def test_a_bug_is_told_without_its_text() -> None:
    answer = internal_error()

    assert (answer.status, json.loads(answer.body)["code"]) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [("sbp_gateway.nspk_unavailable", ProviderUnavailable), ("RQ05001", PaymentDeclined), (None, PaymentDeclined)],
)
def test_a_rails_no_is_an_absence_or_a_refusal(reason: str | None, refusal: type[KopeykaError]) -> None:
    assert type(refusal_of(Start(StartStatus.REFUSED, reason=reason))) is refusal


@pytest.mark.parametrize(
    ("quantity", "read"), [(2, 2), (Decimal("2.0"), 2), (Decimal("1125.000"), 1125), (Decimal("1E+3"), 1000)]
)
def test_a_quantity_is_a_whole_number(quantity: Any, read: int) -> None:
    assert read_quantity(quantity) == read


@pytest.mark.parametrize("quantity", [True, "2", None, Decimal("1.125"), Decimal("NaN"), Decimal("1E+400"), [2]])
def test_a_quantity_that_is_none_is_refused(quantity: Any) -> None:
    with pytest.raises(ValueError):
        read_quantity(quantity)


@given(
    lines=st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 5_000), st.booleans()), min_size=1, max_size=8),
    share=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_an_invoices_discount_is_spread_to_the_kopeck_and_comes_back_line_by_line(
    lines: list[tuple[int, int, bool]], share: int
) -> None:
    items = [
        ItemBody(
            name="т", article=f"a{number}", price=price, quantity=quantity, measure="PIECE" if is_piece else "GRAM"
        )
        for number, (price, quantity, is_piece) in enumerate(lines)
    ]
    gross = sum(
        price * quantity if is_piece else (price * quantity * 2 + 1000) // 2000 for price, quantity, is_piece in lines
    )
    discount = gross * share // 100
    invoice = InvoiceBody(
        orderId="1", totalAmount=gross - discount, currency="RUB", discountAmount=discount, items=items
    )

    basket = basket_of(invoice)

    assert (int(basket.gross), int(basket.discount)) == (gross, discount)
    gone: dict[int, int] = {}
    back = 0
    for number, line in enumerate(basket.lines, 1):
        for taken in (line.quantity // 2, line.quantity - line.quantity // 2):
            if taken:
                back += worth_of([Returned(number, taken)], basket, gone)
                gone[number] = gone.get(number, 0) + taken
    assert back == invoice.totalAmount


def test_an_article_in_two_lines_comes_back_from_the_first_that_has_it() -> None:
    invoice = InvoiceBody(orderId="1", totalAmount=20_000, currency="RUB", items=[BREAD, BREAD])
    basket = basket_of(invoice)

    assert lines_back([RefundItemBody(article="bread", quantity=3)], basket, {}) == [Returned(1, 2), Returned(2, 1)]
    assert lines_back([RefundItemBody(article="bread", quantity=1)], basket, {1: 2, 2: 1}) == [Returned(2, 1)]
    twice = [RefundItemBody(article="bread", quantity=1)] * 2
    for wanted, gone in (([RefundItemBody(article="bread", quantity=2)], {1: 2, 2: 1}), (twice, {})):
        with pytest.raises(ParameterInvalid):
            lines_back(wanted, basket, gone)


def test_a_request_id_is_the_key_of_its_own_call() -> None:
    assert key_in("refund", {"requestId": "r-1"}) == "refund:r-1"
    assert key_in("checkout", {"a": 1, "b": 2}) == key_in("checkout", {"b": 2, "a": 1})
    assert key_in("checkout", {"a": 1}) != key_in("checkout", {"a": 2})
    assert key_in("cancel", {"a": 1}) is None
    assert key_in("checkout", [1]) is None


@pytest.mark.parametrize(
    "header", [None, b"", b"Basic", b"Basic " + b"x" * 600, b"Basic OjE=", b"Basic MTo=", b"Basic \xff"]
)
def test_credentials_that_are_none_are_refused(header: bytes | None) -> None:
    with pytest.raises(KeyMissing):
        read_credentials(header)


def test_credentials_are_a_name_and_a_key() -> None:
    assert read_credentials(b"Basic " + b64encode(b"lenta:kp_test_1:2")) == ("lenta", b"kp_test_1:2")
    assert partner_in("/pos/v1/lenta/api/v1/merchant/status/task") == "lenta"


def test_an_id_comes_back_as_it_went() -> None:
    ours = new_id("ord", NOW)

    assert inner_id("ord", outer_id(ours)) == ours
    assert len(outer_id(ours)) == 36
    assert inner_id("ord", ours) is None


def test_a_postbacks_password_is_of_the_house_and_of_the_partner() -> None:
    house = Secret("h" * 64)

    made = {postback_password(house, "lenta").expose(), postback_password(house, "okey").expose(),
            postback_password(Secret("g" * 64), "lenta").expose()}  # fmt: skip

    assert len(made) == 3
    assert postback_password(house, "lenta").expose() in made


async def test_a_partner_has_one_name_and_a_name_one_partner(engine: Engine, database: Database) -> None:
    other = shown("mer", 2)
    with psycopg.connect(database.superuser_url) as connection:
        insert(connection, "merchants", ROWS["merchants"])
        insert(connection, "merchants", ROWS["merchants"] | {"id": other})

    async with transaction(engine) as session:
        await set_partner(session, Partner("lenta", MERCHANT, None), now=NOW)
        changed = await set_partner(session, Partner("lenta", MERCHANT, "https://till.example/"), now=NOW)
        for refused, error in (
            (Partner("lenta", other, None), PartnerTaken),
            (Partner("okey", MERCHANT, None), PartnerTaken),
            (Partner("Lenta", MERCHANT, None), PartnerNameMalformed),
            (Partner("nobody", shown("mer", 9), None), MerchantNotFound),
        ):
            with pytest.raises(error):
                await set_partner(session, refused, now=NOW)
        assert await partners.partners_of(session, [MERCHANT, other]) == {MERCHANT: changed}
        assert await partners.merchant_of(session, "lenta") == MERCHANT
        assert await partners.merchant_of(session, other) == other
        assert await partners.merchant_of(session, "nobody") is None
