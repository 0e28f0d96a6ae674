"""Tills' keys, what holds at a till, and when it was last seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.cashier_tips import CASHIER_TIPS
from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.terminals_key import terminals_key
from api.till_callers import till_actor
from api.wire import Body, Instant, Text, View
from checkout import premises_settings, proving, repository, rollout, store_places, terminal_keys
from checkout.errors import TerminalKeyRefused, TerminalNotFound
from checkout.merchants import Terminal
from checkout.premises import TerminalKey, TerminalSighting
from checkout.time_codes import STEP_SECONDS
from ledger.database import Session, transaction

router = door_router("/v1/terminals", "terminals")
registry_router = door_router("/v1/premises/terminals", "premises")

CanManage = Annotated[Call, needs("tills:manage")]
CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("orders:write")]


class TerminalKeyView(View):
    """A till's key, without its secret."""

    id: str
    terminal_id: str
    fingerprint: str
    created_at: Instant
    proved_at: Instant | None
    """When the till first proved itself by it."""
    expires_at: Instant | None

    @classmethod
    def of(cls, key: TerminalKey) -> TerminalKeyView:
        """The key as people see it."""
        return cls(
            id=key.id, terminal_id=key.terminal_id, fingerprint=key.fingerprint, created_at=key.created_at,
            proved_at=key.proved_at, expires_at=key.expires_at,
        )  # fmt: skip


class TerminalKeysView(View):
    """A till's keys, the latest first."""

    items: list[TerminalKeyView]


class TerminalSecretView(View):
    """What a till makes its one-time codes with."""

    key: TerminalKeyView
    secret: str
    """Base 32."""
    digits: int = 6
    step_seconds: int = STEP_SECONDS


class SightingView(View):
    """When a till was last heard."""

    seen_at: Instant
    software: str | None
    problem: str | None
    """The code of the last refusal that its cashier was shown."""
    problem_tip: str | None
    """What the cashier was told to do."""
    problem_at: Instant | None

    @classmethod
    def of(cls, seen: TerminalSighting) -> SightingView:
        """The sighting as it is shown."""
        return cls(
            seen_at=seen.seen_at, software=seen.software, problem=seen.problem,
            problem_tip=CASHIER_TIPS.get(seen.problem or ""), problem_at=seen.problem_at,
        )  # fmt: skip


class TerminalPremisesView(View):
    """What holds at a till now."""

    terminal_id: str
    store_id: str
    merchant_id: str
    store_number: str | None
    region: str | None
    settings: dict[str, int | str]
    rails: list[str]
    """The rails that are on, in the order in which they are offered."""
    now: Instant
    """By our clock: a till whose own differs by over half a minute makes codes that are refused."""
    last_seen: SightingView | None


class TerminalRecordView(View):
    """A till as the registry shows it: whether it is heard, by which program, how old its key is."""

    terminal_id: str
    store_id: str
    merchant_id: str
    name: str
    key_made_at: Instant | None
    """When the key was made that the till should prove itself by; nothing when it has none."""
    key_proved_at: Instant | None
    last_seen: SightingView | None


class SightingBody(Body):
    """A till proves itself and says which program it runs."""

    fingerprint: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{32}$")]
    code: Annotated[str, Field(strict=True, pattern=r"^[0-9]{6}$", examples=["287082"])]
    software: Annotated[Text, Field(max_length=64, examples=["SetRetail 10.4"])] | None = None
    problem: (
        Annotated[str, Field(strict=True, pattern=r"^[a-z_]{1,32}[.][a-z0-9_]{1,64}$", examples=["api.rate_limited"])]
        | None
    ) = None
    """The code of the last refusal that the till has shown to its cashier."""


@router.post("/{terminal_id}/keys", status_code=201, response_model=TerminalKeyView)
async def create_terminal_key(terminal_id: str, call: CanManage) -> Response:
    """Make a key for a till; the one before works for another day. Its secret is a call of its own."""
    house = terminals_key(call.door.settings)

    async def work(session: Session, claim: Claim) -> TerminalKeyView:
        key = await terminal_keys.issue_key(
            session, claim.resource_id, terminal_id, house, merchant_id=call.caller.merchant_id, by=till_actor(call),
            now=call.now,
        )  # fmt: skip
        return TerminalKeyView.of(key)

    return await once(call, work, prefix="tky")


@router.get("/{terminal_id}/keys")
async def list_terminal_keys(terminal_id: str, call: CanRead) -> TerminalKeysView:
    """A till's keys, without their secrets."""
    async with transaction(call.engine) as session:
        terminal = await _seen(session, call, terminal_id)
        found = await terminal_keys.list_keys(session, terminal.id)
    return TerminalKeysView(items=[TerminalKeyView.of(key) for key in found])


@router.get("/{terminal_id}/keys/{key_id}/secret")
async def read_terminal_secret(terminal_id: str, key_id: str, call: CanManage) -> TerminalSecretView:
    """A key's secret, until the till has proved itself by it. Each look is in the log."""
    house = terminals_key(call.door.settings)
    async with transaction(call.engine) as session:
        terminal = await _seen(session, call, terminal_id)
        key, secret = await terminal_keys.show_secret(
            session, key_id, house, merchant_id=terminal.merchant_id, by=till_actor(call), now=call.now
        )
    return TerminalSecretView(key=TerminalKeyView.of(key), secret=secret.expose())


@router.post("/sightings", status_code=200, response_model=TerminalPremisesView)
async def note_sighting(body: SightingBody, call: CanWrite) -> Response:
    """A till proves itself by its one-time code, and learns what holds for it: settings, rails, our time."""
    house, guesses = terminals_key(call.door.settings), call.door.guesses
    async with transaction(call.engine) as session:
        terminal_id = await terminal_keys.terminal_of(session, body.fingerprint, merchant_id=call.caller.merchant_id)
    guesses.refuse_more(terminal_id or "")

    async def work(session: Session, _claim: Claim) -> TerminalPremisesView:
        if terminal_id is None:
            raise TerminalKeyRefused(fingerprint=body.fingerprint[:8])
        try:
            await proving.prove(
                session, body.fingerprint, body.code, house, software=body.software, problem=body.problem,
                now=call.now,
            )  # fmt: skip
        except TerminalKeyRefused:
            guesses.count(terminal_id)
            raise
        return await _premises(session, call, await _seen(session, call, terminal_id))

    return await once(call, work, status=200)


@router.get("/{terminal_id}/premises")
async def read_premises(terminal_id: str, call: CanRead) -> TerminalPremisesView:
    """What holds at a till now, and when it was last heard."""
    async with transaction(call.engine) as session:
        return await _premises(session, call, await _seen(session, call, terminal_id))


@registry_router.get("")
async def list_records(
    call: CanRead,
    merchant_id: str | None = None,
    store_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[TerminalRecordView]:
    """The registry of tills, oldest first."""
    start = read_cursor("terminals", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_terminals(
            session, merchant_id=call.caller.merchant_id or merchant_id, store_id=store_id, after=start, limit=limit
        )
        ids = [terminal.id for terminal in found]
        seen = await terminal_keys.sightings_of(session, ids)
        keys = await terminal_keys.lasting_keys(session, ids)
    views = [_record(terminal, keys.get(terminal.id), seen.get(terminal.id)) for terminal in found]
    return page_of("terminals", views, has_more, views[-1].terminal_id if views else None, after)


def _record(terminal: Terminal, key: TerminalKey | None, seen: TerminalSighting | None) -> TerminalRecordView:
    return TerminalRecordView(
        terminal_id=terminal.id, store_id=terminal.store_id, merchant_id=terminal.merchant_id, name=terminal.name,
        key_made_at=None if key is None else key.created_at, key_proved_at=None if key is None else key.proved_at,
        last_seen=None if seen is None else SightingView.of(seen),
    )  # fmt: skip


async def _seen(session: Session, call: Call, terminal_id: str) -> Terminal:
    terminal = await repository.load_terminal(session, terminal_id)
    if not call.caller.sees(terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    return terminal


async def _premises(session: Session, call: Call, terminal: Terminal) -> TerminalPremisesView:
    place = await store_places.place_of(session, terminal.store_id)
    seen = (await terminal_keys.sightings_of(session, [terminal.id])).get(terminal.id)
    return TerminalPremisesView(
        terminal_id=terminal.id,
        store_id=terminal.store_id,
        merchant_id=terminal.merchant_id,
        store_number=None if place is None else place.number,
        region=None if place is None else place.region,
        settings=await premises_settings.settings_of(session, terminal.id),
        rails=list(await rollout.rails_on(session, terminal.id, now=call.now)),
        now=call.now,
        last_seen=None if seen is None else SightingView.of(seen),
    )
