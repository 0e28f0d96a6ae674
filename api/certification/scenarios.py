"""The scenarios: what every till must do, and what its line does to it («Сценарии связи»)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from api.certification.access import SaleStatus
from api.certification.bench import ONE_LOAF, TOTAL, Bench
from api.certification.proxy import Exchange, Fault
from api.certification.scenario import ScenarioLeftOut

Play = Callable[[Bench], Awaitable[None]]
ALL_GOODS = {"bread": 2, "cheese": 1125}
CANCELS_LOST = 4
"""More than a till should leave unanswered before it gives up."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the list."""

    code: str
    title: str
    is_mandatory: bool
    play: Play


async def sale(bench: Bench) -> None:
    """Checkout, QR, money, slip."""
    order_id = await bench.sell()
    await bench.pays(order_id)
    known = await bench.ends(order_id, SaleStatus.PAID, "PAID")
    bench.state("сумма платежа верна", known.get("totalAmount") == TOTAL)
    checkouts = bench.proxy.calls("checkout", order_id)
    bench.state("касса подписывает checkout заголовком token", all(len(each.token) == 8 for each in checkouts))


async def cancel(bench: Bench) -> None:
    """The cashier cancels before the slip."""
    order_id = await bench.sell()
    await _shown(bench, order_id)
    await bench.tell_cashier(f"/sales/{order_id}/cancel", {})
    await bench.ends(order_id, SaleStatus.CANCELED, "CANCELED")


async def decline(bench: Bench) -> None:
    """The buyer's bank says no."""
    order_id = await bench.sell()
    await bench.pays(order_id, outcome="rejected")
    await bench.ends(order_id, SaleStatus.DECLINED, "DECLINED")


async def whole_refund(bench: Bench) -> None:
    """All goods come back."""
    order_id = await _paid(bench)
    await bench.give_back(order_id, TOTAL, ALL_GOODS)
    await bench.gives_back_whole(order_id, TOTAL)


async def partial_refund(bench: Bench) -> None:
    """One piece of two comes back."""
    order_id = await _paid(bench)
    await bench.give_back(order_id, ONE_LOAF, {"bread": 1})
    await bench.gives_back_whole(order_id, ONE_LOAF)


async def lost_request(bench: Bench) -> None:
    """We never heard the first checkout."""
    bench.proxy.order("checkout", Fault.LOSE_REQUEST)
    order_id = await bench.sell()
    await bench.pays(order_id)
    await bench.ends(order_id, SaleStatus.PAID, "PAID")
    _repeated(bench, bench.proxy.calls("checkout", order_id), "checkout")


async def lost_answer(bench: Bench) -> None:
    """The first checkout was carried out and its answer lost."""
    bench.proxy.order("checkout", Fault.LOSE_ANSWER)
    order_id = await bench.sell()
    await bench.pays(order_id)
    await bench.ends(order_id, SaleStatus.PAID, "PAID")
    calls = bench.proxy.calls("checkout", order_id)
    _repeated(bench, calls, "checkout")
    bench.state("повтор дал тот же платёж", len({_transaction(each) for each in calls}) == 1)


async def duplicate(bench: Bench) -> None:
    """Every checkout and refund comes to us twice."""
    bench.proxy.order("checkout", Fault.DUPLICATE)
    bench.proxy.order("refund", Fault.DUPLICATE)
    order_id = await _paid(bench)
    await bench.give_back(order_id, TOTAL, ALL_GOODS)
    known = await bench.gives_back_whole(order_id, TOTAL)
    bench.state("возврат один", len(known.get("refunds", ())) == 1)


async def late_success(bench: Bench) -> None:
    """The buyer has paid, no status comes through, and the till gives up: its cancel comes too late."""
    order_id = await bench.sell()
    payload = await _shown(bench, order_id)
    bench.proxy.order("status", Fault.LOSE_ANSWER, times=10_000)
    await bench.pays_code(payload)
    await bench.until(lambda: bench.here(order_id), lambda found: found.get("status") == "PAID")
    canceled = await bench.until(lambda: _said(bench, "cancel", order_id), lambda said: bool(said))
    bench.proxy.heal()
    bench.state("касса без ответа отменяет сама", bool(canceled))
    await _taken_or_given_back(bench, order_id)


async def late_money(bench: Bench) -> None:
    """The sale is canceled, and the buyer pays the code all the same."""
    order_id = await bench.sell()
    payload = await _shown(bench, order_id)
    await bench.tell_cashier(f"/sales/{order_id}/cancel", {})
    await bench.ends(order_id, SaleStatus.CANCELED, "CANCELED")
    await bench.pays_code(payload)
    await bench.ends(order_id, SaleStatus.CANCELED, "CANCELED")
    bench.state("касса не возвращает чужими руками: деньги вернутся сами", not bench.proxy.calls("refund", order_id))


async def cancel_race(bench: Bench) -> None:
    """The cashier cancels while the buyer pays, and the payment is first."""
    order_id = await bench.sell()
    payload = await _shown(bench, order_id)
    bench.proxy.order("cancel", Fault.HOLD)
    await bench.tell_cashier(f"/sales/{order_id}/cancel", {})
    held = await bench.until(lambda: _held(bench), lambda said: bool(said))
    bench.require("касса отменяет", bool(held))
    await bench.pays_code(payload)
    await bench.until(lambda: bench.here(order_id), lambda found: found.get("status") == "PAID")
    bench.proxy.heal()
    await _taken_or_given_back(bench, order_id)


async def repeated_refund(bench: Bench) -> None:
    """A refund was carried out and its answer lost: the till asks again, and the money goes back once."""
    order_id = await _paid(bench)
    bench.proxy.order("refund", Fault.LOSE_ANSWER)
    await bench.give_back(order_id, TOTAL, ALL_GOODS)
    known = await bench.gives_back_whole(order_id, TOTAL)
    bench.state("возврат один", len(known.get("refunds", ())) == 1)
    calls = [each for each in bench.proxy.exchanges if each.call == "refund" and _of(each, known)]
    _repeated(bench, calls, "refund")
    bench.state("повтор под тем же requestId", len({each.body.get("requestId") for each in calls}) == 1)


async def postbacks_out_of_order(bench: Bench) -> None:
    """The refund is told before the payment, and the payment twice. Raises: ScenarioLeftOut."""
    if not bench.has_host:
        raise ScenarioLeftOut
    order_id = await _paid(bench)
    request_id = await bench.give_back(order_id, ONE_LOAF, {"bread": 1})
    known = await bench.gives_back_whole(order_id, ONE_LOAF)
    refund = next(each for each in known["refunds"] if each["requestId"] == request_id)
    payment = {name: value for name, value in known.items() if name != "refunds"}
    for note in (refund, payment, payment, refund):
        bench.state("касса принимает уведомление", await _post_back(bench, note, is_right=True) == 200)
    bench.state("уведомление с чужим паролем не принято", await _post_back(bench, refund, is_right=False) == 401)
    seen = await bench.at_till(order_id)
    bench.state("продажа осталась оплаченной", seen.get("status") == SaleStatus.PAID)
    bench.state("возврат посчитан один раз", seen.get("refundedAmount") == ONE_LOAF)


async def clock_skew(bench: Bench) -> None:
    """The till's clock is off, so its code is refused; it sets the clock, or tells its cashier, and sells again."""
    bench.proxy.order("checkout", Fault.WRONG_CODE)
    order_id = await bench.sell()
    await bench.pays(order_id)
    await bench.ends(order_id, SaleStatus.PAID, "PAID")
    first = bench.proxy.calls("checkout", order_id)[0]
    bench.state("касса с неверным кодом получила отказ", first.status == 422)
    bench.state("отказ назван WRONG_TOKEN", isinstance(first.answer, dict) and first.answer["code"] == "WRONG_TOKEN")


async def lost_line(bench: Bench) -> None:
    """The line is gone in the middle of a sale: nothing is sold, and the cancel comes when the line does."""
    bench.proxy.order("checkout", Fault.LOSE_ANSWER, times=10_000)
    bench.proxy.order("cancel", Fault.LOSE_REQUEST, times=CANCELS_LOST)
    order_id = await bench.sell()
    await bench.until(lambda: bench.here(order_id), lambda found: bool(found))
    await bench.ends(order_id, SaleStatus.CANCELED, "CANCELED")
    bench.state("касса повторяла отмену, пока её не услышали",
                len(bench.proxy.calls("cancel", order_id)) > CANCELS_LOST)  # fmt: skip


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("sale", "Оплата: checkout, QR, статус", True, sale),
    Scenario("cancel", "Отмена кассиром до чека", True, cancel),
    Scenario("decline", "Банк отказал покупателю", True, decline),
    Scenario("whole_refund", "Возврат всех товаров", True, whole_refund),
    Scenario("partial_refund", "Возврат части товаров", True, partial_refund),
    Scenario("lost_request", "Запрос потерян", True, lost_request),
    Scenario("lost_answer", "Ответ потерян", True, lost_answer),
    Scenario("duplicate", "Запросы приходят дважды", True, duplicate),
    Scenario("late_success", "Поздний успех: отмена после оплаты", True, late_success),
    Scenario("late_money", "Деньги пришли после отмены", True, late_money),
    Scenario("cancel_race", "Отмена и оплата одновременно", True, cancel_race),
    Scenario("repeated_refund", "Повтор возврата с тем же requestId", True, repeated_refund),
    Scenario("postbacks_out_of_order", "Уведомления не по порядку", False, postbacks_out_of_order),
    Scenario("clock_skew", "Часы кассы сбились", True, clock_skew),
    Scenario("lost_line", "Связь пропала посреди продажи", True, lost_line),
)
"""What is mandatory comes first; a till without a host of its own may leave postbacks out."""


async def _shown(bench: Bench, order_id: str) -> str:
    seen = await bench.until(lambda: bench.at_till(order_id), lambda sale: bool(sale.get("qrPayload")))
    bench.require("касса показала QR-код", bool(seen.get("qrPayload")))
    return str(seen["qrPayload"])


async def _paid(bench: Bench) -> str:
    order_id = await bench.sell()
    await bench.pays(order_id)
    await bench.ends(order_id, SaleStatus.PAID, "PAID")
    return order_id


async def _held(bench: Bench) -> dict[str, Any]:
    return {"held": True} if bench.proxy.has_held.is_set() else {}


async def _said(bench: Bench, call: str, order_id: str) -> dict[str, Any]:
    return {"calls": len(bench.proxy.calls(call, order_id))} if bench.proxy.calls(call, order_id) else {}


async def _taken_or_given_back(bench: Bench, order_id: str) -> None:
    """Money that the bank has taken is a sale, or goes back whole: never neither."""
    seen = await bench.until(lambda: bench.at_till(order_id), lambda sale: sale.get("status") == SaleStatus.PAID)
    known = await bench.here(order_id)
    is_taken = seen.get("status") == SaleStatus.PAID and not known.get("refunds")
    is_given_back = sum(bench.refunded(known)) == TOTAL
    bench.state("у нас платёж «PAID»", known.get("status") == "PAID")
    bench.state("касса приняла оплату или вернула её целиком", is_taken or is_given_back)


def _repeated(bench: Bench, calls: list[Exchange], name: str) -> None:
    bodies = {str(sorted(each.body.items(), key=str)) for each in calls}
    bench.state(f"касса повторила {name}", len(calls) > 1)
    bench.state(f"каждый повтор {name} слово в слово тот же", len(bodies) == 1)


def _transaction(exchange: Exchange) -> str:
    return str(exchange.answer.get("paymentTransactionId")) if isinstance(exchange.answer, dict) else ""


def _of(exchange: Exchange, known: dict[str, Any]) -> bool:
    return bool(exchange.body.get("paymentTransactionId") == known.get("paymentTransactionId"))


async def _post_back(bench: Bench, note: dict[str, Any], *, is_right: bool) -> int:
    return await bench.post_back(note, bench.access.postback_password.expose() if is_right else "wrong")
