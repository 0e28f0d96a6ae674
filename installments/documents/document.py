"""A document as a value: what it says, before it becomes HTML, PDF or JSON. It names no person: a buyer is an id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class PlanDocumentKind(StrEnum):
    """What it is."""

    PACK = "pack"
    """The pre-contract pack: the whole text, the schedule, the formula of the penalty with an example."""
    AGREEMENT = "agreement"
    SCHEDULE = "schedule"
    """Issued anew, with the next number, after whatever changes it."""
    STATEMENT = "statement"


class DocumentLanguage(StrEnum):
    """Russian binds; English is a translation for whoever needs it."""

    RU = "ru"
    EN = "en"


class DocumentFormat(StrEnum):
    """As what it is shown."""

    HTML = "html"
    PDF = "pdf"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """Rows under headings. The first column is text, dates and sums stand to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DocumentSection:
    """A heading, what is said under it, and perhaps a table."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: DocumentTable | None = None


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """What one document says, without its number and date: those it gets when it is issued."""

    plan_id: str
    kind: PlanDocumentKind
    language: DocumentLanguage
    text_version: int
    title: str
    facts: tuple[tuple[str, str], ...]
    """What stands at its head: parties, sums, days."""
    sections: tuple[DocumentSection, ...]
    data: Mapping[str, Any]
    """The same for machines: sums in kopecks, days as ISO dates."""

    def content(self) -> dict[str, Any]:
        """As it is kept, and as JSON."""
        return {
            "kind": self.kind.value,
            "language": self.language.value,
            "text_version": self.text_version,
            "title": self.title,
            "facts": [list(fact) for fact in self.facts],
            "sections": [
                {
                    "title": section.title,
                    "paragraphs": list(section.paragraphs),
                    "table": None if section.table is None else {
                        "columns": list(section.table.columns),
                        "rows": [list(row) for row in section.table.rows],
                        "total": None if section.table.total is None else list(section.table.total),
                    },
                }
                for section in self.sections
            ],
            "data": dict(self.data),
        }  # fmt: skip


def document_of(plan_id: str, content: Mapping[str, Any]) -> PlanDocument:
    """A document as it was kept."""
    return PlanDocument(
        plan_id, PlanDocumentKind(content["kind"]), DocumentLanguage(content["language"]), content["text_version"],
        content["title"], tuple((name, value) for name, value in content["facts"]),
        tuple(_section(section) for section in content["sections"]), content["data"],
    )  # fmt: skip


def _section(said: Mapping[str, Any]) -> DocumentSection:
    table = said["table"]
    if table is not None:
        total = table["total"]
        table = DocumentTable(
            tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]), None if total is None else tuple(total)
        )
    return DocumentSection(said["title"], tuple(said["paragraphs"]), table)
