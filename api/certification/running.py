"""A certification run: each scenario on a healed line, one after another, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from api.certification.bench import Bench
from api.certification.proxy import Exchange
from api.certification.scenario import (
    Certification,
    Outcome,
    ScenarioLeftOut,
    ScenarioStopped,
    Verdict,
)
from api.certification.scenarios import SCENARIOS, Scenario
from ledger.clock import machine_now, monotonic

Watch = Callable[[Verdict], None]


async def certify(
    bench: Bench, merchant_id: str, till: str, scenarios: Sequence[Scenario] = SCENARIOS, watch: Watch | None = None
) -> Certification:
    """Play scenarios in their order; ``watch`` sees each verdict as it is reached."""
    begun_at, verdicts = machine_now(), []
    for scenario in scenarios:
        verdict = await play(bench, scenario)
        verdicts.append(verdict)
        if watch is not None:
            watch(verdict)
    return Certification(bench.access.terminal_id, merchant_id, till, begun_at, machine_now(), tuple(verdicts))


async def play(bench: Bench, scenario: Scenario) -> Verdict:
    """One scenario."""
    bench.proxy.heal()
    bench.statements, bench.order_ids, heard = [], [], len(bench.proxy.exchanges)
    begun = monotonic()
    is_left_out = False
    try:
        await scenario.play(bench)
    except ScenarioStopped:
        pass  # the last statement says why
    except ScenarioLeftOut:
        is_left_out = True
    bench.proxy.heal()
    is_passed = bool(bench.statements) and all(each.is_true for each in bench.statements)
    outcome = Outcome.NOT_APPLICABLE if is_left_out else Outcome.PASSED if is_passed else Outcome.FAILED
    calls = tuple(line_of(each) for each in bench.proxy.exchanges[heard:])
    return Verdict(
        scenario.code, scenario.title, scenario.is_mandatory, outcome, tuple(bench.statements), calls,
        tuple(bench.order_ids), monotonic() - begun,
    )  # fmt: skip


def line_of(exchange: Exchange) -> str:
    """One call in one line: what was said, what happened on the way, what the till was answered."""
    body = exchange.body if isinstance(exchange.body, dict) else {}
    named = body.get("requestId") or body.get("orderId") or body.get("paymentTransactionId") or ""
    happened = "" if exchange.fault is None else f" [{exchange.fault.value}]"
    answered = "без ответа" if exchange.status is None else str(exchange.status)
    code = exchange.answer.get("code") if isinstance(exchange.answer, dict) else None
    return f"{exchange.call} {named}{happened}: {answered}{f' {code}' if code and exchange.status else ''}"
