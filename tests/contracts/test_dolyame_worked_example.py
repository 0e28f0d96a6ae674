"""The worked example of README.md: 10 000.56 in four parts, two of them paid, 3 000.00 returned. The clock is moved."""

from __future__ import annotations

import pytest
from tbank.dolyame import models
from tbank.dolyame.enums import OrderStatus, RefundStatus, ScheduleStatus

from tests.contracts.conftest import until
from tests.contracts.dolyame_world import RUG, DolyameWorld, ShopAccess

DAYS = 15
PART = 2500_14


@pytest.fixture
def shop(dolyame_world: DolyameWorld) -> ShopAccess:
    return dolyame_world.another_shop()


def kopecks(amount: object) -> int:
    return int(amount * 100)  # type: ignore[operator]  # a Decimal


def test_two_parts_paid_and_a_third_of_the_goods_back(dolyame_world: DolyameWorld, shop: ShopAccess) -> None:
    order_id = dolyame_world.completed(shop)
    before = shop.client().get_order(order_id)
    assert [kopecks(part.amount) for part in before.payment_schedule] == [PART] * 4

    dolyame_world.made("/v1/clock/advance", {"seconds": DAYS * 86_400})
    paid = until(
        lambda: [part.status for part in shop.client().get_order(order_id).payment_schedule],
        lambda told: told[:2] == [ScheduleStatus.PAID] * 2,
    )  # fmt: skip
    refund = shop.client().refund(order_id, models.RefundRequest(amount=RUG.price, returned_items=[RUG]))
    after = until(
        lambda: shop.client().get_order(order_id),
        lambda found: found.refund_info.items[0].status is RefundStatus.PROCESSED,
    )  # fmt: skip

    assert paid[2:] == [ScheduleStatus.SCHEDULED] * 2
    assert kopecks(refund.amount) == 7000_56
    assert (after.status, kopecks(after.amount), kopecks(after.residual_amount)) == (
        OrderStatus.COMPLETED, 7000_56, 3500_28,
    )  # fmt: skip
    assert [kopecks(part.amount) for part in after.payment_schedule] == [1750_14] * 4
    ((returned,),) = dolyame_world.sql(
        """SELECT sum(c.amount_kopecks) FROM plan_credit_refunds AS c JOIN installment_plans AS p ON p.id = c.plan_id
            WHERE p.order_number = %s""", order_id,
    )  # fmt: skip
    assert returned == 2 * (PART - 1750_14) == 1500_00
