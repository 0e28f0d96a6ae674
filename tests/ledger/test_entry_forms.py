"""What breaks a rule of form is refused by code before the books see it, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger import holds, journal
from ledger.accounts import AccountTerms, open_account
from ledger.database import Engine, transaction
from ledger.entry import Condition, Entry, Posting, Refused, check
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.money import AMOUNT_MAX

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CASH, SALES = "asset:cash:till", "income:sales:shop"
GOOD = Entry("order 1", "till.sale", NOW, (Posting(CASH, SALES, 5),))


def with_amount(amount: Any) -> dict[str, Any]:
    return {"postings": (Posting(CASH, SALES, amount),)}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        pytest.param("reference", {"reference": ""}, id="no reference"),
        pytest.param("reference", {"reference": "r" * 129}, id="a long reference"),
        pytest.param("reference", {"reference": "order\n"}, id="a reference with a line end"),
        pytest.param("reference", {"reference": "заказ"}, id="a Russian reference"),
        pytest.param("kind", {"kind": "Sale"}, id="a kind with a capital"),
        pytest.param("happened_at", {"happened_at": NOW.replace(tzinfo=None)}, id="no offset"),
        pytest.param("happened_at", {"happened_at": datetime(9999, 12, 31, 23, tzinfo=UTC)}, id="a far date"),
        pytest.param("happened_at", {"happened_at": datetime(1969, 12, 31, tzinfo=UTC)}, id="an old date"),
        pytest.param("postings", {"postings": ()}, id="no postings"),
        pytest.param("postings", {"postings": GOOD.postings * 65}, id="65 postings"),
        pytest.param("postings/0", {"postings": (Posting(CASH, CASH, 5),)}, id="one account on both sides"),
        pytest.param("postings/0", {"postings": (Posting("asset:\x00", SALES, 5),)}, id="an account with a zero"),
        pytest.param("postings/0/amount", with_amount(0), id="nothing"),
        pytest.param("postings/0/amount", with_amount(-5), id="a negative amount"),
        pytest.param("postings/0/amount", with_amount(AMOUNT_MAX + 1), id="beyond 63 bits"),
        pytest.param("postings/0/amount", with_amount(1.5), id="a part of a kopeck"),
        pytest.param("postings/0/amount", with_amount(True), id="a truth for an amount"),
        pytest.param("conditions", {"conditions": (Condition(CASH, 0),) * 17}, id="17 conditions"),
        pytest.param("conditions", {"conditions": (Condition(CASH, 2**63),)}, id="a version of 64 bits"),
        pytest.param("conditions", {"conditions": (Condition(CASH, None, -(2**64)),)}, id="an amount of 65 bits"),
        pytest.param("metadata", {"metadata": {"a": "x" * 4_096}}, id="long metadata"),
        pytest.param("metadata", {"metadata": {"a": "\x00"}}, id="metadata with a zero"),
        pytest.param("metadata", {"metadata": {"a": "\ud800"}}, id="metadata with half a character"),
        pytest.param("metadata", {"metadata": {"a": float("nan")}}, id="metadata with no number"),
    ],
)
def test_a_broken_form_is_named(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(EntryRejected) as refusal:
        check(replace(GOOD, **change))

    assert refusal.value.code == "ledger.invalid_entry"
    assert refusal.value.facts["field"] == field


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(AccountTerms("cash"), id="no path"),
        pytest.param(AccountTerms("asset:cash\n"), id="a line end"),
        pytest.param(AccountTerms(CASH, available_min=1), id="more than the nothing it opens with"),
        pytest.param(AccountTerms(CASH, available_min=-(2**63)), id="below 63 bits"),
        pytest.param(AccountTerms(CASH, balance_max=-1), id="a ceiling under the floor"),
        pytest.param(AccountTerms(CASH, metadata={"a": "\x00"}), id="metadata with a zero"),
    ],
)
async def test_an_account_with_impossible_terms_is_not_opened(engine: Engine, terms: AccountTerms) -> None:
    with pytest.raises(EntryRejected) as refusal:
        async with transaction(engine) as session:
            await open_account(session, terms, now=NOW)

    assert refusal.value.code == "ledger.invalid_entry"


async def test_a_chain_with_one_reference_twice_is_refused_and_the_rest_is_booked(engine: Engine) -> None:
    async with transaction(engine) as session:
        for code in (CASH, SALES):
            await open_account(session, AccountTerms(code), now=NOW)
        verdicts = await journal.post_batch(
            session, [replace(GOOD, is_linked=True), GOOD, replace(GOOD, reference="order 2")], now=NOW
        )

    assert [verdict.code if isinstance(verdict, Refused) else "booked" for verdict in verdicts] == [
        "ledger.reference_reused",
        "ledger.linked_entry_refused",
        "booked",
    ]


async def test_a_hold_is_not_posted_under_the_reference_of_an_entry(engine: Engine) -> None:
    async with transaction(engine) as session:
        for code in (CASH, SALES):
            await open_account(session, AccountTerms(code), now=NOW)
        await journal.post(session, GOOD, now=NOW)
        hold = await holds.place(session, HoldRequest("hold 1", "till.hold", CASH, SALES, 5, NOW), now=NOW)

    with pytest.raises(EntryRejected) as refusal:
        async with transaction(engine) as session:
            await holds.post_part(session, hold.id, reference="order 1", happened_at=NOW, now=NOW)

    assert refusal.value.code == "ledger.reference_reused"


async def test_holds_that_no_balance_could_carry_are_refused(engine: Engine) -> None:
    request = HoldRequest("hold 1", "till.hold", CASH, SALES, AMOUNT_MAX, NOW)
    async with transaction(engine) as session:
        for code in (CASH, SALES):
            await open_account(session, AccountTerms(code), now=NOW)
        await holds.place(session, request, now=NOW)

    with pytest.raises(EntryRejected) as refusal:
        async with transaction(engine) as session:
            await holds.place(session, replace(request, reference="hold 2"), now=NOW)

    assert refusal.value.code == "ledger.amount_overflow"
