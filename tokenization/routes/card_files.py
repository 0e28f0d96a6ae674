"""Files of cards, for whoever runs the vault: taken in, given out; and a merchant's cards shredded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokenization import ending, exporting, import_rows, importing
from tokenization.card import CardTerms
from tokenization.card_errors import FileNotThere
from tokenization.ending import CardDoing
from tokenization.errors import PeerUnknown
from tokenization.exporting import CardExport
from tokenization.import_rows import CardImport
from tokenization.importing import ImportJob
from tokenization.routes.keys import OPERATOR, OperatorBody, Reason
from tokenization.vault import Vault
from tokenization.wire import View, answer, peer_of, read

log = structlog.get_logger("vault")

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")]
"""A name in the vault's own folder: no way leads out of it."""
_LINE = re.compile(r"[0-9]{1,9}")


class CardFileBody(OperatorBody):
    """Which file is taken in, and into which scope."""

    file: FileName
    scope: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,32}$")] = ""
    wants_digits: bool = False


class CardExportBody(OperatorBody):
    """To whose key the cards go, and why."""

    recipient_key: dict[str, Any]
    reason: Reason


class CardShredBody(OperatorBody):
    """Why the cards are destroyed."""

    reason: Reason


class CardImportView(View):
    """A file, and how far it was taken in."""

    id: str
    merchant_id: str
    status: str
    is_running: bool
    lines_done: int
    cards_new: int
    cards_known: int
    refused: int
    refused_by_code: dict[str, int]
    started_at: datetime
    finished_at: datetime | None


class RefusedLineView(View):
    """A line that was not taken: its number, why, at most a mask."""

    line: int
    code: str
    mask: str | None


class RefusedLinesView(View):
    """A page of them."""

    items: list[RefusedLineView]


class CardExportView(View):
    """Cards on their way out."""

    id: str
    merchant_id: str
    status: str
    is_running: bool
    requested_by: str
    approved_by: str | None
    batches_done: int
    cards_done: int
    skipped: int
    finished_at: datetime | None


class CardShredView(View):
    """How many rows were emptied."""

    cards: int


class FilesAtWork:
    """Files that this process is working on, once each. Killed with it, the work goes on when asked again."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    def go_on(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Begin, unless it is being done."""
        if not self.is_running(name):
            self._running[name] = asyncio.create_task(_told(name, work))

    def is_running(self, name: str) -> bool:
        """Whether it is being done just now."""
        return name in self._running and not self._running[name].done()


MERCHANT = "/merchants/{merchant_id}"


def routes(vault: Vault) -> list[BaseRoute]:
    """For the operator alone."""
    at_work = FilesAtWork()
    return [*import_routes(vault, at_work), *export_routes(vault, at_work)]


def import_routes(vault: Vault, at_work: FilesAtWork) -> list[BaseRoute]:
    """Files that come in."""

    async def take_in(request: Request) -> Response:
        doing, body = await _asked(request, vault, CardFileBody)
        path = _there(vault, body.file)
        terms = CardTerms(doing.merchant_id, body.scope, body.wants_digits)
        job = ImportJob(path, terms, doing, path.with_name(f"{path.name}{_terms_in(body)}.mapping.csv"))
        known = await importing.begin(vault.transactions, job)
        if known.status != "finished":
            at_work.go_on(known.id, lambda: importing.take_in(vault.transactions, vault.ring, job))
        return await show(known, is_running=at_work.is_running(known.id), status=202)

    async def look(request: Request) -> Response:
        _refuse_others(request)
        is_running = at_work.is_running(
            request.path_params["id"]
        )  # asked first: what ends meanwhile is looked at once more
        async with vault.transactions() as session:
            known = await import_rows.find(session, request.path_params["id"])
        return await show(known, is_running=is_running)

    async def show(known: CardImport, *, is_running: bool, status: int = 200) -> Response:
        async with vault.transactions() as session:
            codes = await import_rows.refusals_by_code(session, known.id)
        return answer(import_view(known, is_running=is_running, codes=codes), status)

    async def list_refused(request: Request) -> Response:
        _refuse_others(request)
        after = request.query_params.get("after", "0")
        async with vault.transactions() as session:
            lines = await import_rows.refused_lines(
                session, request.path_params["id"], after=int(after) if _LINE.fullmatch(after) else 0
            )
        return answer(RefusedLinesView(items=[RefusedLineView(line=r.number, code=r.code, mask=r.mask) for r in lines]))

    return [
        Route(f"{MERCHANT}/card-imports", take_in, methods=["POST"]),
        Route(f"{MERCHANT}/card-imports/{{id}}", look),
        Route(f"{MERCHANT}/card-imports/{{id}}/refused", list_refused),
    ]


def export_routes(vault: Vault, at_work: FilesAtWork) -> list[BaseRoute]:
    """Files that go out, and what is destroyed."""

    async def request_export(request: Request) -> Response:
        doing, body = await _asked(request, vault, CardExportBody, reason=lambda body: body.reason)
        async with vault.transactions() as session:
            export = await exporting.request(session, body.recipient_key, doing)
        return answer(export_view(export, is_running=False), 201)

    async def write_export(request: Request) -> Response:
        doing, _ = await _asked(request, vault, OperatorBody)
        async with vault.transactions() as session:
            export = await exporting.find(session, request.path_params["id"], request.path_params["merchant_id"])
        path = _folder(vault) / f"{export.id}.jwe"
        if export.status == "running":
            at_work.go_on(export.id, lambda: exporting.give_out(vault.transactions, vault.ring, export.id, path, doing))
        return answer(export_view(export, is_running=at_work.is_running(export.id)), 202)

    async def look_at_export(request: Request) -> Response:
        _refuse_others(request)
        is_running = at_work.is_running(request.path_params["id"])
        async with vault.transactions() as session:
            export = await exporting.find(session, request.path_params["id"], request.path_params["merchant_id"])
        return answer(export_view(export, is_running=is_running))

    async def shred(request: Request) -> Response:
        doing, _ = await _asked(request, vault, CardShredBody, reason=lambda body: body.reason)
        return answer(CardShredView(cards=await ending.shred(vault.transactions, vault.ring, doing)))

    return [
        Route(f"{MERCHANT}/card-exports", request_export, methods=["POST"]),
        Route(f"{MERCHANT}/card-exports/{{id}}", look_at_export),
        Route(f"{MERCHANT}/card-exports/{{id}}/run", write_export, methods=["POST"]),
        Route(f"{MERCHANT}/cards/shred", shred, methods=["POST"]),
    ]


async def _told(name: str, work: Callable[[], Awaitable[Any]]) -> None:
    try:
        await work()
    except Exception as error:
        log.warning("card_file_stopped", id=name, error=type(error).__name__, code=getattr(error, "code", ""))


async def _asked(
    request: Request, vault: Vault, body_type: type[Any], *, reason: Callable[[Any], str] = lambda _: ""
) -> tuple[CardDoing, Any]:
    """Who asks what about whose cards. Raises: PeerUnknown, RequestInvalid."""
    _refuse_others(request)
    body = await read(request, body_type)
    merchant_id = request.path_params["merchant_id"]
    actor, origin = f"operator:{body.operator}", peer_of(request).origin
    return CardDoing(merchant_id, actor, origin, vault.now(), reason(body)), body


def _refuse_others(request: Request) -> None:
    if peer_of(request).role != OPERATOR:
        raise PeerUnknown


def _terms_in(body: CardFileBody) -> str:
    """So that the mapping of one scope does not overwrite another's."""
    parts = (body.scope, "with-digits" if body.wants_digits else "")
    return "".join(f".{part}" for part in parts if part)


def _folder(vault: Vault) -> Path:
    if vault.settings.files_dir is None:
        raise FileNotThere
    return vault.settings.files_dir


def _there(vault: Vault, name: str) -> Path:
    path = _folder(vault) / name
    if not path.is_file() or path.is_symlink():
        raise FileNotThere
    return path


def import_view(known: CardImport, *, is_running: bool, codes: dict[str, int]) -> CardImportView:
    """An import as it is shown."""
    return CardImportView(
        id=known.id, merchant_id=known.merchant_id, status=known.status, is_running=is_running,
        lines_done=known.lines_done, cards_new=known.cards_new, cards_known=known.cards_known, refused=known.refused,
        refused_by_code=codes, started_at=known.started_at, finished_at=known.finished_at,
    )  # fmt: skip


def export_view(export: CardExport, *, is_running: bool) -> CardExportView:
    """An export as it is shown."""
    return CardExportView(
        id=export.id, merchant_id=export.merchant_id, status=export.status, is_running=is_running,
        requested_by=export.requested_by, approved_by=export.approved_by, batches_done=export.batches_done,
        cards_done=export.cards_done, skipped=export.skipped, finished_at=export.finished_at,
    )  # fmt: skip
