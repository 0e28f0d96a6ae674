"""Documents issued: numbered and dated, kept as the bytes that were shown, and shown again byte for byte.

    issued = await issue_terms(session, plan, PlanDocumentKind.PACK, now=now)     # before the buyer agrees
    issued = await issue_schedule(session, plan.id, now=now)                      # the next number when it changed
    issued = await issue_statement(session, plan.id, on, now=now)
    file = await show_document(session, issued.id, DocumentFormat.PDF, now=now)

Issuing what was issued before, with nothing changed, gives the same document. A consent keeps ``sha256`` of the HTML
that was shown. No document names a person: a buyer is an id, so erasing a buyer never breaks what was signed.

Locks: none; two who issue the same at once get the same document.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from installments.documents.document import (
    DocumentFormat,
    DocumentLanguage,
    PlanDocument,
    PlanDocumentKind,
    document_of,
)
from installments.documents.html import render_html
from installments.documents.pdf import render_pdf
from installments.documents.writing import PlanParties, schedule_document, statement_document, terms_document
from installments.errors import PlanDocumentNotFound, PlanNotCommitted
from installments.movement_rows import load_installments, load_movements
from installments.plan import Plan, PlanStatus
from installments.replay import replay
from installments.repository import licence_on, load_plan, load_product
from installments.schedule import build_schedule
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.errors import InvariantBroken
from ledger.ids import new_id

MEDIA_TYPES = {
    DocumentFormat.HTML: "text/html; charset=utf-8",
    DocumentFormat.PDF: "application/pdf",
    DocumentFormat.JSON: "application/json",
}
TRIES_MAX = 3
"""Two who issue at once: the second finds what the first kept."""


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """One issue of a document in one language."""

    id: str
    """``doc_…``"""
    plan_id: str
    kind: PlanDocumentKind
    language: DocumentLanguage
    number: int
    issued_on: date
    issued_at: datetime
    text_version: int
    sha256: str
    """Of its HTML, as a buyer is shown it."""


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """The bytes of a document in one format, as they are shown each time."""

    name: str
    media_type: str
    sha256: str
    content: bytes


async def issue_terms(
    session: Session, plan: Plan, kind: PlanDocumentKind, *, language: DocumentLanguage = DocumentLanguage.RU,
    now: datetime,
) -> IssuedDocument:  # fmt: skip
    """The pre-contract pack of a plan, or its agreement. Before the contract, the schedule is that of today."""
    assert kind in (PlanDocumentKind.PACK, PlanDocumentKind.AGREEMENT)
    contract_on = plan.contract_on or moscow_day(now)
    product = await load_product(session, plan.product_code, plan.product_version)
    schedule = build_schedule(plan.price, product, first_due_on=contract_on)
    parties = await _parties(session, plan, contract_on)
    document = terms_document(plan, product, parties, schedule, kind, language)
    return await _issue(session, document, now)


async def issue_schedule(
    session: Session, plan_id: str, *, merchant_id: str | None = None,
    language: DocumentLanguage = DocumentLanguage.RU, now: datetime,
) -> IssuedDocument:  # fmt: skip
    """The schedule as it stands: the last issue, or the next one if anything changed since.

    Raises: PlanNotFound, PlanNotCommitted.
    """
    plan = await _committed(session, plan_id, merchant_id)
    assert plan.contract_on is not None
    state = (await load_installments(session, [plan.id]))[plan.id]
    parties = await _parties(session, plan, plan.contract_on)
    return await _issue(session, schedule_document(plan, parties, state, language), now)


async def issue_statement(
    session: Session, plan_id: str, on: date, *, merchant_id: str | None = None,
    language: DocumentLanguage = DocumentLanguage.RU, now: datetime,
) -> IssuedDocument:  # fmt: skip
    """The buyer's statement as of the end of a day, with all that is known of it now.

    Raises: PlanNotFound, PlanNotCommitted.
    """
    plan = await _committed(session, plan_id, merchant_id)
    assert plan.contract_on is not None
    product = await load_product(session, plan.product_code, plan.product_version)
    movements = (await load_movements(session, [plan.id])).get(plan.id, ())
    schedule = build_schedule(plan.price, product, first_due_on=plan.contract_on)
    state = replay(schedule, movements, product, on=max(on, plan.contract_on), contract_on=plan.contract_on)
    parties = await _parties(session, plan, plan.contract_on)
    return await _issue(session, statement_document(plan, parties, movements, state, language), now)


async def show_document(
    session: Session, document_id: str, format_: DocumentFormat, *, plan_id: str | None = None, now: datetime
) -> DocumentFile:
    """The bytes of a document. A format asked for the first time is made, and kept for all later times.

    Raises: PlanDocumentNotFound, also when it is another plan's; PlanDocumentFormatMissing.
    """
    found = await _find(session, "d.id = :id AND (CAST(:plan_id AS text) IS NULL OR d.plan_id = :plan_id)", {
        "id": document_id, "plan_id": plan_id,
    })  # fmt: skip
    if not found:
        raise PlanDocumentNotFound(document_id=document_id)
    issued, content = found[0]
    await _keep_file(session, issued, document_of(issued.plan_id, content), format_, now)
    row = (
        await session.execute(
            text("SELECT sha256, bytes FROM plan_document_files WHERE document_id = :id AND format = :format"),
            {"id": document_id, "format": format_.value},
        )
    ).one()
    name = f"{issued.kind}-{issued.number}-{issued.plan_id}.{format_}"
    return DocumentFile(name, MEDIA_TYPES[format_], row.sha256, bytes(row.bytes))


async def list_documents(session: Session, plan_id: str) -> list[IssuedDocument]:
    """The documents of a plan in the order they were issued."""
    return [issued for issued, _ in await _find(session, "d.plan_id = :plan_id", {"plan_id": plan_id})]


async def find_by_hash(session: Session, sha256: str) -> IssuedDocument | None:
    """The document whose bytes have this SHA-256, in whatever format: what a consent was given to."""
    found = await _find(
        session,
        "d.id = (SELECT document_id FROM plan_document_files WHERE sha256 = :sha256 LIMIT 1)",
        {"sha256": sha256},
    )
    return found[0][0] if found else None


async def _committed(session: Session, plan_id: str, merchant_id: str | None) -> Plan:
    plan = await load_plan(session, plan_id, merchant_id=merchant_id)
    if plan.status not in (PlanStatus.COMMITTED, PlanStatus.COMPLETED, PlanStatus.REFUNDED):
        raise PlanNotCommitted(plan_id=plan_id)
    return plan


async def _parties(session: Session, plan: Plan, contract_on: date) -> PlanParties:
    row = (
        await session.execute(
            text("""SELECT m.legal_name, m.inn, o.legal_name AS operator, o.inn AS operator_inn
                      FROM merchants AS m LEFT JOIN plan_operator AS p ON true
                      LEFT JOIN merchants AS o ON o.id = p.merchant_id WHERE m.id = :id"""),
            {"id": plan.merchant_id},
        )
    ).one()
    licence = await licence_on(session, contract_on)
    return PlanParties(
        row.operator or "—", row.operator_inn or "—", None if licence is None else licence.register_number,
        row.legal_name, row.inn,
    )  # fmt: skip


async def _issue(session: Session, document: PlanDocument, now: datetime) -> IssuedDocument:
    """The last issue if it says the same, else the next."""
    kept = json.dumps(document.content(), ensure_ascii=False)
    for _ in range(TRIES_MAX):
        last = await _last(session, document)
        if last is not None and last[1] == json.loads(kept):
            return await _shown(session, last[0], document, now)
        await session.execute(
            text("""INSERT INTO plan_documents (id, plan_id, kind, number, language, text_version, issued_on, issued_at,
                                                content)
                    VALUES (:id, :plan_id, :kind, :number, :language, :text_version, :issued_on, :now,
                            CAST(:content AS jsonb)) ON CONFLICT DO NOTHING"""),
            {
                "id": new_id("doc", now), "plan_id": document.plan_id, "kind": document.kind.value,
                "number": 1 if last is None else last[0].number + 1, "language": document.language.value,
                "text_version": document.text_version, "issued_on": moscow_day(now), "now": now, "content": kept,
            },
        )  # fmt: skip
    raise InvariantBroken(f"a document of {document.plan_id} changes each time it is issued")


async def _shown(session: Session, issued: IssuedDocument, document: PlanDocument, now: datetime) -> IssuedDocument:
    """The issue with its HTML kept: what is hashed is what is shown."""
    if issued.sha256:
        return issued
    await _keep_file(session, issued, document, DocumentFormat.HTML, now)
    (found,) = await _find(session, "d.id = :id", {"id": issued.id})
    return found[0]


async def _last(session: Session, document: PlanDocument) -> tuple[IssuedDocument, Any] | None:
    found = await _find(
        session,
        "d.plan_id = :plan_id AND d.kind = :kind AND d.language = :language",
        {"plan_id": document.plan_id, "kind": document.kind.value, "language": document.language.value},
        "d.number DESC LIMIT 1",
    )
    return found[0] if found else None


async def _keep_file(
    session: Session, issued: IssuedDocument, document: PlanDocument, format_: DocumentFormat, now: datetime
) -> None:
    """Make the bytes once."""
    known = {"id": issued.id, "format": format_.value}
    is_kept = text("SELECT 1 FROM plan_document_files WHERE document_id = :id AND format = :format")
    if await session.scalar(is_kept, known):
        return
    content = _render(document, issued, format_)
    await session.execute(
        text("""INSERT INTO plan_document_files (document_id, format, sha256, bytes, made_at)
                VALUES (:id, :format, :sha256, :bytes, :now) ON CONFLICT DO NOTHING"""),
        known | {"sha256": hashlib.sha256(content).hexdigest(), "bytes": content, "now": now},
    )


def _render(document: PlanDocument, issued: IssuedDocument, format_: DocumentFormat) -> bytes:
    if format_ is DocumentFormat.PDF:
        return render_pdf(document, issued.number, issued.issued_on)
    if format_ is DocumentFormat.HTML:
        return render_html(document, issued.number, issued.issued_on)
    head = {"document_id": issued.id, "number": issued.number, "issued_on": issued.issued_on.isoformat()}
    said = head | document.content()
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


async def _find(
    session: Session, condition: str, arguments: dict[str, Any], order: str = "d.issued_at, d.id"
) -> list[tuple[IssuedDocument, Any]]:
    rows = await session.execute(
        text(f"""SELECT d.*, f.sha256 FROM plan_documents AS d
                   LEFT JOIN plan_document_files AS f ON f.document_id = d.id AND f.format = 'html'
                  WHERE {condition} ORDER BY {order}"""),  # noqa: S608  # our own conditions
        arguments,
    )
    return [
        (
            IssuedDocument(
                row.id, row.plan_id, PlanDocumentKind(row.kind), DocumentLanguage(row.language), row.number,
                row.issued_on, row.issued_at, row.text_version, row.sha256 or "",
            ),
            row.content,
        )
        for row in rows
    ]  # fmt: skip
