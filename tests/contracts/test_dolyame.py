"""The public Python client of Долями, unmodified, drives all seven calls over mutual TLS."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from tbank.core.errors import TBankAPIError
from tbank.dolyame import DolyameClient as AsyncDolyameClient
from tbank.dolyame import models
from tbank.dolyame.enums import OrderStatus, RefundStatus, ScheduleStatus

from ledger.clock import machine_now, moscow_day
from tests.contracts.dolyame_world import LAMP, RUG, DolyameWorld, ShopAccess, new_order, order_id_of, total

TEN_THOUSAND = Decimal("10000.56")
PART = Decimal("2500.14")
HOLD, SCHEDULED, PAID = ScheduleStatus.HOLD, ScheduleStatus.SCHEDULED, ScheduleStatus.PAID


@pytest.fixture(scope="module")
def shop(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.shop


def parts(order: models.OrderInfo) -> list[tuple[Decimal, ScheduleStatus]]:
    return [(part.amount, part.status) for part in order.payment_schedule]


def test_an_order_is_registered_with_its_link_and_four_days(shop: ShopAccess) -> None:
    order = models.Order(id=order_id_of(), amount=TEN_THOUSAND, items=[LAMP, RUG])

    made = shop.client().create_order(models.CreateOrderRequest(order=order))

    assert (made.status, made.amount, made.residual_amount) == (OrderStatus.NEW, TEN_THOUSAND, TEN_THOUSAND)
    assert parts(made) == [(PART, SCHEDULED)] * 4
    today = moscow_day(machine_now())
    assert [part.payment_date for part in made.payment_schedule] == [today + timedelta(days=14 * n) for n in range(4)]
    assert "/plans/" in made.link
    assert (made.items, made.refund_info) == (None, None)
    found = shop.client().get_order(order.id)
    assert found.items is not None
    assert [(item.name, item.price, item.quantity, item.sku) for item in found.items] == [
        ("Лампа", Decimal("7000.56"), 1, "lamp"), ("Коврик", Decimal("3000.00"), 1, "rug"),
    ]  # fmt: skip


def test_what_the_buyer_took_is_held_committed_and_paid(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.held(shop)

    held = shop.client().get_order(order_id)
    committed = shop.client().commit(order_id, models.CommitRequest(amount=TEN_THOUSAND, items=[LAMP, RUG]))
    dolyame_world.until_status(shop, order_id, "completed")
    paid = shop.client().get_order(order_id)

    assert (held.status, held.residual_amount) == (OrderStatus.WAIT_FOR_COMMIT, TEN_THOUSAND - PART)
    assert parts(held) == [(PART, HOLD)] + [(PART, SCHEDULED)] * 3
    assert committed.status in (OrderStatus.COMMITTED, OrderStatus.COMPLETED)
    assert committed.residual_amount == TEN_THOUSAND - PART
    assert (paid.status, paid.amount, paid.residual_amount) == (
        OrderStatus.COMPLETED, TEN_THOUSAND, TEN_THOUSAND - PART,
    )  # fmt: skip
    assert parts(paid) == [(PART, PAID)] + [(PART, SCHEDULED)] * 3


def test_a_commit_for_less_cuts_the_smaller_price(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.held(shop)

    shop.client().commit(order_id, models.CommitRequest(amount=LAMP.price, items=[LAMP]))
    dolyame_world.until_status(shop, order_id, "completed")

    found = shop.client().get_order(order_id)
    assert (found.amount, found.residual_amount) == (Decimal("7000.56"), Decimal("5250.42"))
    assert parts(found) == [(Decimal("1750.14"), PAID)] + [(Decimal("1750.14"), SCHEDULED)] * 3


def test_a_second_commit_under_a_new_id_captures_nothing(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)
    request = models.CommitRequest(amount=TEN_THOUSAND, items=[LAMP, RUG])

    again = shop.client().commit(order_id, request)

    assert (again.status, again.residual_amount) == (OrderStatus.COMPLETED, TEN_THOUSAND - PART)
    captured = dolyame_world.sql(
        """SELECT count(*), sum(c.captured_kopecks) FROM card_payments AS c
             JOIN plan_first_payments AS f ON f.payment_id = c.id JOIN installment_plans AS p ON p.id = f.plan_id
            WHERE p.order_number = %s""", order_id,
    )  # fmt: skip
    assert captured == [(1, 2500_14)]


def test_a_commit_for_another_amount_than_was_committed_is_refused(
    dolyame_world: DolyameWorld, shop: ShopAccess
) -> None:
    order_id = dolyame_world.completed(shop)

    with pytest.raises(TBankAPIError) as refused:
        shop.client().commit(order_id, models.CommitRequest(amount=LAMP.price, items=[LAMP]))

    assert (refused.value.http_status, refused.value.code, refused.value.details) == (409, "CONFLICT", "COMMIT_DIFFERS")


def test_what_is_cancelled_before_the_commit_lets_the_card_go(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.held(shop)

    ended = shop.client().cancel(order_id)

    assert (ended.status, ended.residual_amount, ended.payment_schedule) == (OrderStatus.CANCELED, 0, [])
    assert shop.client().cancel(order_id).status is OrderStatus.CANCELED
    with pytest.raises(TBankAPIError) as refused:
        shop.client().commit(order_id, models.CommitRequest(amount=TEN_THOUSAND, items=[LAMP, RUG]))
    assert (refused.value.http_status, refused.value.details) == (409, "PLAN_CANCELED")


def test_what_is_committed_is_refunded_and_not_cancelled(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)

    with pytest.raises(TBankAPIError) as refused:
        shop.client().cancel(order_id)

    assert (refused.value.http_status, refused.value.details) == (409, "PLAN_COMMITTED")


def test_goods_that_come_back_lower_the_total_and_every_part(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)

    refund = shop.client().refund(order_id, models.RefundRequest(amount=RUG.price, returned_items=[RUG]))

    found = shop.client().get_order(order_id)
    assert refund.amount == Decimal("7000.56")  # what the buyer pays in all, not what came back
    assert (found.amount, found.residual_amount) == (Decimal("7000.56"), Decimal("5250.42"))
    assert parts(found) == [(Decimal("1750.14"), PAID)] + [(Decimal("1750.14"), SCHEDULED)] * 3
    assert found.refund_info is not None
    assert found.refund_info.total_refunded_amount == Decimal("3000.00")
    assert [(item.refund_id, item.refunded_amount) for item in found.refund_info.items] == [
        (refund.refund_id, Decimal("3000.00"))
    ]
    assert found.items is not None
    assert [item.sku for item in found.items] == ["lamp"]


def test_a_correction_is_a_refund_of_the_difference(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    by_total, by_difference = dolyame_world.completed(shop), dolyame_world.completed(shop)

    first = shop.client().correction(by_total, models.CorrectionRequest(amount=LAMP.price, new_items=[LAMP]))
    second = shop.client().correction(by_difference, models.CorrectionRequest(amount=RUG.price, new_items=[LAMP]))

    assert (first.amount, second.amount) == (LAMP.price, LAMP.price)
    assert shop.client().get_order(by_difference).amount == LAMP.price


def test_a_delivery_of_all_changes_nothing_and_of_less_is_a_correction(
    dolyame_world: DolyameWorld, shop: ShopAccess
) -> None:
    order_id = dolyame_world.completed(shop)

    whole = shop.client().complete_delivery(order_id, models.CompleteDeliveryRequest())
    less = models.DeliveryOrder(amount=LAMP.price, items=[LAMP])
    part = shop.client().complete_delivery(order_id, models.CompleteDeliveryRequest(order=less))

    assert (whole.status, whole.amount) == (OrderStatus.COMPLETED, TEN_THOUSAND)
    assert (part.status, part.amount) == (OrderStatus.COMPLETED, LAMP.price)


def test_all_goods_back_is_told_to_a_strict_client_as_completed_with_nothing_due(
    dolyame_world: DolyameWorld, shop: ShopAccess
) -> None:
    order_id = dolyame_world.completed(shop)

    refund = shop.client().refund(order_id, models.RefundRequest(amount=TEN_THOUSAND, returned_items=[LAMP, RUG]))

    found = shop.client().get_order(order_id)
    assert (refund.amount, found.status, found.amount, found.residual_amount) == (0, OrderStatus.COMPLETED, 0, 0)
    assert dolyame_world.status(shop, order_id) == "refunded"


def test_a_refund_above_the_rest_is_refused_with_the_rest(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)
    back = models.RefundRequest(amount=RUG.price, returned_items=[RUG])
    shop.client().refund(order_id, back)

    with pytest.raises(TBankAPIError) as refused:
        shop.client().refund(order_id, back)

    assert (refused.value.http_status, refused.value.code) == (422, "UNPROCESSABLE_ENTITY")


def test_what_is_paid_by_points_is_beside_the_price(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order = models.Order(
        id=order_id_of(), amount=Decimal("9000.56"), prepaid_amount=Decimal("1000.00"), items=[LAMP, RUG]
    )
    shop.client().create_order(models.CreateOrderRequest(order=order))
    dolyame_world.buyer_takes(shop, order.id)
    dolyame_world.until_status(shop, order.id, "wait_for_commit")
    commit = models.CommitRequest(
        amount=Decimal("9000.56"), items=[LAMP, RUG], prepaid_amount=Decimal("1000.00")
    )  # fmt: skip
    shop.client().commit(order.id, commit)
    dolyame_world.until_status(shop, order.id, "completed")

    back = models.RefundRequest(
        amount=Decimal("2000.00"), refunded_prepaid_amount=Decimal("1000.00"), returned_items=[RUG]
    )  # fmt: skip
    refund = shop.client().refund(order.id, back)

    found = shop.client().get_order(order.id)
    assert refund.amount == found.amount == Decimal("7000.56")
    assert found.refund_info is not None
    assert found.refund_info.total_refunded_prepaid_amount == Decimal("1000.00")
    assert found.refund_info.items[0].status in (RefundStatus.PENDING, RefundStatus.PROCESSED)


@pytest.mark.filterwarnings("ignore:.cert=:DeprecationWarning")  # the client's own way to its certificate
def test_the_asynchronous_client_works_as_well(shop: ShopAccess) -> None:
    order_id = new_order(shop)

    async def read() -> models.OrderInfo:
        client = AsyncDolyameClient(
            shop.login, shop.password, base_url=shop.base_url, cert=(shop.certificate, shop.key), verify=shop.context
        )
        async with client:
            return await client.get_order(order_id)

    found = asyncio.run(read())

    assert (found.status, found.amount) == (OrderStatus.NEW, total((LAMP, RUG)))
    assert found.payment_schedule[0].payment_date <= date(2200, 1, 1)
