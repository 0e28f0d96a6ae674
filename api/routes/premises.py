"""Premises (торговые точки и кассы): settings by level, rollout of rails, places of stores, what providers can do."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field, StrictInt, StrictStr
from starlette.responses import Response

from api.door import Call, door_router, needs, takes_body
from api.errors import FieldFault, RequestInvalid
from api.files import FILE_BODY, file_router
from api.idempotency import Claim, once
from api.till_callers import merchant_of, till_actor
from api.wire import Body, Day, Flag, Instant, View
from checkout import premises_settings, rollout, store_places
from checkout.capabilities import Capability, capabilities
from checkout.premises import Level, PremisesSetting, RailRollout, StorePlace
from checkout.store_lists import read_store_list
from checkout.store_places import StoreListOutcome
from ledger.clock import moscow_day
from ledger.database import Session, transaction

router = door_router("/v1/premises", "premises")
lists_router = file_router("/v1/premises/store-lists", "premises")
stores_router = door_router("/v1/stores", "stores")
rails_router = door_router("/v1/rails", "premises")

LIST_BYTES_MAX = 2 * 1024 * 1024
"""Five thousand stores with long addresses."""
CanManage = Annotated[Call, needs("tills:manage")]
CanRead = Annotated[Call, needs("orders:read")]
MerchantId = Annotated[str, Field(strict=True, max_length=40)]
PlaceName = Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_-]{0,39}$", examples=["msk"])]
WhoseQuery = Annotated[str | None, Query(max_length=40, description="Of one merchant; a merchant's key needs none.")]


class PremisesSettingBody(Body):
    """A setting to be said at a level, or taken back with null."""

    merchant_id: MerchantId | None = None
    level: Level
    place: PlaceName | None = None
    """The region's word, the store's or the terminal's id; none for the merchant."""
    name: Annotated[str, Field(strict=True, max_length=64, examples=["slip_columns"])]
    value: StrictInt | Annotated[StrictStr, Field(max_length=64)] | None


class PremisesSettingView(View):
    """A setting at one level."""

    merchant_id: str
    level: Level
    place: str
    name: str
    value: int | str | None
    changed_at: Instant
    version: int

    @classmethod
    def of(cls, said: PremisesSetting) -> PremisesSettingView:
        """The setting as it is shown."""
        return cls(
            merchant_id=said.merchant_id, level=said.level, place=said.place, name=said.name, value=said.value,
            changed_at=said.changed_at, version=said.version,
        )  # fmt: skip


class PremisesSettingsView(View):
    """All that a merchant says, and what holds where it says nothing."""

    items: list[PremisesSettingView]
    usual: dict[str, int | str]


class RolloutBody(Body):
    """A rail to be put on or off at a level, from a Moscow day on."""

    merchant_id: MerchantId | None = None
    rail: Annotated[str, Field(strict=True, max_length=32, examples=["sbp"])]
    level: Level
    place: PlaceName | None = None
    effective_on: Day | None = None
    """Today when not said."""
    is_on: Flag = True


class RolloutView(View):
    """From a Moscow day on, a rail is on or off at a level."""

    id: str
    merchant_id: str
    rail: str
    level: Level
    place: str
    effective_on: Day
    is_on: bool
    created_at: Instant

    @classmethod
    def of(cls, row: RailRollout) -> RolloutView:
        """The rollout as it is shown."""
        return cls(
            id=row.id, merchant_id=row.merchant_id, rail=row.rail, level=row.level, place=row.place,
            effective_on=row.effective_on, is_on=row.is_on, created_at=row.created_at,
        )  # fmt: skip


class RolloutsView(View):
    """A merchant's rollouts, in the order in which they were written."""

    items: list[RolloutView]


class StorePlaceBody(Body):
    """The merchant's own number of a store, and the region it lies in."""

    number: Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z._-]{1,36}$", examples=["0117"])]
    region: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["msk"])] | None = None


class StorePlaceView(View):
    """Where a store is."""

    store_id: str
    merchant_id: str
    number: str
    region: str | None
    changed_at: Instant

    @classmethod
    def of(cls, place: StorePlace) -> StorePlaceView:
        """The place as it is shown."""
        return cls(
            store_id=place.store_id, merchant_id=place.merchant_id, number=place.number, region=place.region,
            changed_at=place.changed_at,
        )  # fmt: skip


class StoreListView(View):
    """What a list of stores has brought."""

    opened: int
    changed: int
    unchanged: int
    terminals_added: int

    @classmethod
    def of(cls, outcome: StoreListOutcome) -> StoreListView:
        """The outcome as it is shown."""
        return cls(
            opened=outcome.opened, changed=outcome.changed, unchanged=outcome.unchanged,
            terminals_added=outcome.terminals_added,
        )  # fmt: skip


class CapabilityView(View):
    """What one provider can do, and where that was read."""

    provider: str
    rail: str
    is_two_stage: bool
    is_partial_refund: bool
    is_buyer_present: bool
    amount_min_kopecks: int
    amount_max_kopecks: int
    ttl_minutes_min: int | None
    ttl_minutes_usual: int | None
    ttl_minutes_max: int | None
    hold_days_max: int | None
    source: str
    grade: str

    @classmethod
    def of(cls, can: Capability) -> CapabilityView:
        """The line as it is shown."""
        return cls(
            provider=can.provider, rail=can.rail, is_two_stage=can.is_two_stage,
            is_partial_refund=can.is_partial_refund, is_buyer_present=can.is_buyer_present,
            amount_min_kopecks=can.amount_min_kopecks, amount_max_kopecks=can.amount_max_kopecks,
            ttl_minutes_min=can.ttl_minutes_min, ttl_minutes_usual=can.ttl_minutes_usual,
            ttl_minutes_max=can.ttl_minutes_max, hold_days_max=can.hold_days_max, source=can.source, grade=can.grade,
        )  # fmt: skip


class CapabilitiesView(View):
    """The whole matrix."""

    items: list[CapabilityView]


@router.post("/settings", status_code=201, response_model=PremisesSettingView)
async def set_setting(body: PremisesSettingBody, call: CanManage) -> Response:
    """Say a setting at a level; the level nearest to a till counts there."""
    merchant_id = merchant_of(call, body.merchant_id)
    place = _place_of(body.level, body.place, merchant_id)

    async def work(session: Session, _claim: Claim) -> PremisesSettingView:
        said = await premises_settings.set_setting(
            session, merchant_id=merchant_id, level=body.level, place=place, name=body.name, value=body.value,
            by=till_actor(call), now=call.now,
        )  # fmt: skip
        return PremisesSettingView.of(said)

    return await once(call, work, prefix="set")


@router.get("/settings")
async def list_settings(call: CanRead, merchant_id: WhoseQuery = None) -> PremisesSettingsView:
    """What a merchant says at its levels, and what holds where nobody says anything."""
    whose = merchant_of(call, merchant_id, "merchant_id")
    async with transaction(call.engine) as session:
        found = await premises_settings.list_settings(session, whose)
    usual = {name: rule.usual for name, rule in premises_settings.SETTINGS.items()}
    return PremisesSettingsView(items=[PremisesSettingView.of(said) for said in found], usual=usual)


@router.post("/rollouts", status_code=201, response_model=RolloutView)
async def create_rollout(body: RolloutBody, call: CanManage) -> Response:
    """Put a rail on or off at a level from a day on. A rail's first row begins its rollout: elsewhere it is off."""
    merchant_id = merchant_of(call, body.merchant_id)
    place = _place_of(body.level, body.place, merchant_id)

    async def work(session: Session, claim: Claim) -> RolloutView:
        row = await rollout.roll_out(
            session, claim.resource_id, merchant_id=merchant_id, rail=body.rail, level=body.level, place=place,
            effective_on=body.effective_on or moscow_day(call.now), is_on=body.is_on, by=till_actor(call),
            now=call.now,
        )  # fmt: skip
        return RolloutView.of(row)

    return await once(call, work, prefix="rol")


@router.get("/rollouts")
async def list_rollouts(call: CanRead, merchant_id: WhoseQuery = None) -> RolloutsView:
    """A merchant's rollouts."""
    whose = merchant_of(call, merchant_id, "merchant_id")
    async with transaction(call.engine) as session:
        found = await rollout.list_rollouts(session, whose)
    return RolloutsView(items=[RolloutView.of(row) for row in found])


@lists_router.post("", status_code=201, response_model=StoreListView, openapi_extra=FILE_BODY)
@takes_body(bytes_max=LIST_BYTES_MAX)
async def take_store_list(call: CanManage, merchant_id: WhoseQuery = None) -> Response:
    """Take a CSV of stores in, whole or not at all: number, name, address, and perhaps region and tills."""
    whose = merchant_of(call, merchant_id, "merchant_id")

    async def work(session: Session, _claim: Claim) -> StoreListView:
        listed = read_store_list(call.raw)
        outcome = await store_places.take_store_list(session, whose, listed, by=till_actor(call), now=call.now)
        return StoreListView.of(outcome)

    return await once(call, work, prefix="lst")


@stores_router.post("/{store_id}/place", status_code=200, response_model=StorePlaceView)
async def set_store_place(store_id: str, body: StorePlaceBody, call: CanManage) -> Response:
    """Say which number a store has with its merchant, and in which region it lies."""

    async def work(session: Session, _claim: Claim) -> StorePlaceView:
        place = await store_places.place_store(
            session, store_id, number=body.number, region=body.region, merchant_id=call.caller.merchant_id,
            by=till_actor(call), now=call.now,
        )  # fmt: skip
        return StorePlaceView.of(place)

    return await once(call, work, status=200)


@rails_router.get("/capabilities")
async def list_capabilities(call: CanRead) -> CapabilitiesView:  # noqa: ARG001  # the door has looked at the caller
    """What each provider of a rail can do: holds, partial refunds, limits, how long a buyer may pay."""
    return CapabilitiesView(items=[CapabilityView.of(can) for can in capabilities()])


def _place_of(level: Level, named: str | None, merchant_id: str) -> str:
    if level is Level.MERCHANT:
        if named not in (None, merchant_id):
            raise RequestInvalid((FieldFault("/place", "the merchant's level needs no place"),))
        return merchant_id
    if named is None:
        raise RequestInvalid((FieldFault("/place", f"say which {level.value}"),))
    return named
