"""Documents of plans: what is shown is kept byte for byte, numbered anew when it changes, and says what is needed."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from installments.documents.document import DocumentFormat, DocumentLanguage, PlanDocumentKind, document_of
from installments.documents.html import render_html
from installments.documents.issuing import (
    DocumentFile,
    IssuedDocument,
    find_by_hash,
    issue_schedule,
    issue_statement,
    issue_terms,
    list_documents,
    show_document,
)
from installments.documents.pdf import render_pdf
from installments.documents.texts import text_on
from installments.documents.wording import money
from installments.documents.writing import PlanParties, penalty_example, terms_document
from installments.errors import PlanDocumentNotFound, PlanNotCommitted
from installments.plan import Item, Plan
from installments.repository import load_product
from installments.schedule import build_schedule
from ledger.clock import moscow_day
from ledger.database import Engine, transaction
from ledger.money import Kopecks
from tests.installments.life_world import LifeWorld, life_world

RU, EN = DocumentLanguage.RU, DocumentLanguage.EN
PARTIES = PlanParties("ООО «Оператор»", "7707083893", "0001", "ООО «Лавка»", "7707083893")


@pytest.fixture
async def world(engine: Engine) -> LifeWorld:
    return await life_world(engine)


async def schedule(world: LifeWorld, plan: Plan) -> IssuedDocument:
    async with transaction(world.engine) as session:
        return await issue_schedule(session, plan.id, now=world.now)


async def shown(world: LifeWorld, issued: IssuedDocument, as_: DocumentFormat = DocumentFormat.HTML) -> DocumentFile:
    async with transaction(world.engine) as session:
        return await show_document(session, issued.id, as_, now=world.now)


async def pack(world: LifeWorld, plan: Plan, language: DocumentLanguage = RU) -> IssuedDocument:
    async with transaction(world.engine) as session:
        return await issue_terms(session, plan, PlanDocumentKind.PACK, language=language, now=world.now)


def text_of(page: bytes) -> str:
    """What a page says, without its tags."""
    bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(bare))


async def test_the_pack_shows_the_law_s_facts_and_its_hash_is_of_the_bytes_shown(world: LifeWorld) -> None:
    plan = await world.opened()

    issued = await pack(world, plan)
    page = await shown(world, issued)

    assert issued.sha256 == page.sha256 == hashlib.sha256(page.content).hexdigest()
    said = text_of(page.content)
    for fact in (
        "10 000,56 ₽", "2 500,14 ₽", "22.11.2026", "06.12.2026", "20.12.2026", "03.01.2027", "20 % годовых",
        "просрочено 1 000,00 ₽ на 10 дней", "неустойка 5,47 ₽", "в любой день. За это ничего не берётся",
        "уступить право требования", "SHA-256", "№ 1 от 22.11.2026",
    ):  # fmt: skip
        assert fact in said


async def test_the_pack_of_another_day_is_another_document_and_of_the_same_day_the_same(world: LifeWorld) -> None:
    plan = await world.opened()
    first, again = await pack(world, plan), await pack(world, plan)
    world.pass_by(hours=24)

    tomorrow = await pack(world, plan)

    assert first == again
    assert (first.number, tomorrow.number) == (1, 2)
    assert tomorrow.sha256 != first.sha256
    assert await shown(world, first) == await shown(world, first)
    async with transaction(world.engine) as session:
        assert await find_by_hash(session, first.sha256) == first
        assert await find_by_hash(session, "0" * 64) is None


async def test_a_refund_gives_the_schedule_the_next_number_and_date_and_the_old_one_stays(world: LifeWorld) -> None:
    plan = await world.committed()
    first = await schedule(world, plan)
    old = await shown(world, first)
    world.pass_by(days=1)
    assert await schedule(world, plan) == first

    await world.refund(plan, 300_000)
    second = await schedule(world, plan)

    assert (first.number, first.issued_on) == (1, date(2026, 11, 22))
    assert (second.number, second.issued_on) == (2, date(2026, 11, 23))
    new = text_of((await shown(world, second)).content)
    assert "7 000,56 ₽" in new
    assert "1 750,14 ₽" in new
    assert await shown(world, first) == old
    async with transaction(world.engine) as session:
        assert [one.id for one in await list_documents(session, plan.id)] == [first.id, second.id]


async def test_the_statement_in_three_formats_says_what_the_plan_says(world: LifeWorld) -> None:
    plan = await world.committed()
    await world.refund(plan, 300_000)
    plan = await world.load(plan)
    async with transaction(world.engine) as session:
        issued = await issue_statement(session, plan.id, moscow_day(world.now), now=world.now)

    files = {as_: await shown(world, issued, as_) for as_ in DocumentFormat}

    data = json.loads(files[DocumentFormat.JSON].content)["data"]
    assert (data["outstanding_kopecks"], data["overpaid_kopecks"]) == (plan.outstanding, plan.overpaid)
    assert [one["kind"] for one in data["movements"]] == ["down_payment", "merchant_refund"]
    assert sum(part["amount_kopecks"] - part["paid_kopecks"] for part in data["schedule"]) == plan.outstanding
    assert files[DocumentFormat.PDF].content.startswith(b"%PDF-")
    page = text_of(files[DocumentFormat.HTML].content)
    assert money(plan.outstanding, RU).replace("\u00a0", " ") in page
    assert "Возврат товара" in page
    for file in files.values():
        assert file.sha256 == hashlib.sha256(file.content).hexdigest()


async def test_no_document_says_who_the_buyer_is(world: LifeWorld) -> None:
    plan = await world.committed()
    async with transaction(world.engine) as session:
        issued = [
            await issue_terms(session, plan, PlanDocumentKind.AGREEMENT, now=world.now),
            await issue_statement(session, plan.id, moscow_day(world.now), now=world.now),
        ]

    for document in issued:
        page = (await shown(world, document)).content.decode()
        assert plan.buyer_id is not None
        assert plan.buyer_id in page
        for personal in ("Анна", "Петрова", "7916", "17.05.1990"):
            assert personal not in page


async def test_documents_of_what_is_not_there_are_refused(world: LifeWorld) -> None:
    plan, other = await world.opened(), await world.committed()
    issued = await schedule(world, other)
    async with transaction(world.engine) as session:
        with pytest.raises(PlanNotCommitted):
            await issue_schedule(session, plan.id, now=world.now)
        with pytest.raises(PlanDocumentNotFound):
            await show_document(session, issued.id, DocumentFormat.HTML, plan_id=plan.id, now=world.now)
        with pytest.raises(PlanDocumentNotFound):
            await show_document(session, "doc_" + "0" * 26, DocumentFormat.HTML, now=world.now)


async def test_what_a_shop_writes_into_its_basket_is_text_and_never_a_tag(world: LifeWorld) -> None:
    name = "<script>alert(1)</script> & «Ёлка» <b>"
    plan = await world.opened(items=(Item(name, "1", Kopecks(1_000_056)),))
    issued = await pack(world, plan)

    page = (await shown(world, issued)).content.decode()

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; «Ёлка» &lt;b&gt;" in page
    assert (await shown(world, issued, DocumentFormat.PDF)).content.startswith(b"%PDF-")


@pytest.fixture
async def terms(world: LifeWorld) -> tuple[Plan, dict[DocumentLanguage, bytes]]:
    """The pages of a pack with fixed ids, in both languages."""
    plan = replace(await world.opened(), id="pln_" + "0" * 26, merchant_id="mer_" + "0" * 26)
    async with transaction(world.engine) as session:
        product = await load_product(session, plan.product_code, plan.product_version)
    parts = build_schedule(plan.price, product, first_due_on=date(2026, 11, 22))
    return plan, {
        language: render_html(
            terms_document(plan, product, PARTIES, parts, PlanDocumentKind.PACK, language), 1, date(2026, 11, 22)
        )
        for language in DocumentLanguage
    }


async def test_the_bytes_of_a_page_stay_what_they_were(terms: tuple[Plan, dict[DocumentLanguage, bytes]]) -> None:
    _, pages = terms

    assert {language.value: hashlib.sha256(page).hexdigest() for language, page in pages.items()} == EXPECTED


EXPECTED = {
    "ru": "a52acfbd56d337ce02c8a85f5796bc9be94e11e455ecfed7e016bf543c7adc17",
    "en": "bb744eff6dabe9a23d517bea1875d58c3b7cf375a7266a7063703285a7db31b3",
}
"""A change of template or words changes what buyers are shown: it is meant, and then these are renewed."""


def words_of(file: Path) -> str:
    return subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, check=True).stdout.decode()


async def test_the_pages_of_a_pdf_can_be_read_as_text(world: LifeWorld, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not here (Debian: apt install poppler-utils)")
    file = tmp_path / "pack.pdf"
    file.write_bytes((await shown(world, await pack(world, await world.opened()), DocumentFormat.PDF)).content)

    said = re.sub(r"\s+", " ", await asyncio.to_thread(words_of, file))

    for fact in ("Преддоговорная информация", "2 500,14 ₽", "Неустойка 20 % годовых", "неустойка 5,47 ₽", "стр. 1 / 2"):
        assert fact in said


async def test_a_pdf_made_twice_is_the_same_bytes(world: LifeWorld) -> None:
    await pack(world, await world.opened())
    ((content,),) = await world.sql("SELECT content FROM plan_documents")
    document = document_of("pln_1", content)

    assert document.content() == content
    assert render_pdf(document, 1, date(2026, 11, 22)) == render_pdf(document, 1, date(2026, 11, 22))


def test_the_worked_example_is_what_the_meter_would_charge() -> None:
    assert penalty_example(2_000) == 547
    assert penalty_example(0) == 0


@pytest.mark.parametrize("language", DocumentLanguage)
@pytest.mark.parametrize("kind", PlanDocumentKind)
def test_each_kind_has_a_text_for_every_day(kind: PlanDocumentKind, language: DocumentLanguage) -> None:
    assert text_on(kind, language, date(2026, 4, 1)).version == 1
    assert text_on(kind, language, date(2020, 1, 1)).version == 1
    assert text_on(kind, language, date(2030, 1, 1)).version == 1


@pytest.mark.parametrize(
    ("kopecks", "ru", "en"),
    [
        (0, "0,00 ₽", "0.00 ₽"),
        (99, "0,99 ₽", "0.99 ₽"),
        (123_456_789, "1 234 567,89 ₽", "1,234,567.89 ₽"),
        (-500, "−5,00 ₽", "−5.00 ₽"),
    ],
)
def test_sums_are_said_as_each_language_says_them(kopecks: int, ru: str, en: str) -> None:
    assert money(kopecks, RU).replace("\u00a0", " ") == ru
    assert money(kopecks, EN).replace("\u00a0", " ") == en
