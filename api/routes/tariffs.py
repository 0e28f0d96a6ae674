"""Tariffs (тарифы): what merchants pay us, what banks charge, and which codes of trade are in which group."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.wire import Body, Day, Flag, Text, View
from ledger.database import Session, transaction
from ledger.money import Kopecks, Rounding
from reconciliation import repository
from reconciliation.errors import BankTariffTaken
from reconciliation.tariffs import BankTariff, MccGroup, Tariff

router = door_router("/v1", "tariffs")

RAIL = "sbp"
CAP_KOPECKS_MAX = 100_000_000
"""The largest payment of SBP: a cap above it never works."""
CanRead = Annotated[Call, needs("orders:read")]
Group = Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["everyday"])]


class TariffView(View):
    """What a group of merchants pays us, from a day on."""

    tariff_group: str
    rail: str
    valid_from_on: Day
    basis_points: int
    cap_kopecks: int | None
    rounding: Rounding
    is_confirmed: bool
    source: str

    @classmethod
    def of(cls, tariff: Tariff) -> TariffView:
        """The tariff as it is shown."""
        return cls(
            tariff_group=tariff.tariff_group, rail=tariff.rail, valid_from_on=tariff.valid_from_on,
            basis_points=tariff.basis_points, cap_kopecks=tariff.cap, rounding=tariff.rounding,
            is_confirmed=tariff.is_confirmed, source=tariff.source,
        )  # fmt: skip


class BankTariffBody(Body):
    """What a bank charges for payments of a group, from a day on. Rules are never rewritten."""

    member_id: Annotated[str, Field(strict=True, pattern=r"^[0-9]{12}$", examples=["100000000007"])]
    tariff_group: Group
    valid_from_on: Day
    basis_points: Annotated[int, Field(strict=True, ge=0, le=10_000, examples=[40])]
    cap_kopecks: Annotated[int, Field(strict=True, ge=0, le=CAP_KOPECKS_MAX, examples=[150_000])] | None = None
    rounding: Rounding = Rounding.DOWN
    is_withheld: Flag = True
    """The bank keeps the fee back when it credits the money; otherwise it sends a bill."""
    is_confirmed: Flag = False
    source: Annotated[Text, Field(max_length=300, examples=["Договор 17 от 01.11.2026, приложение 2"])]


class BankTariffView(View):
    """What a bank charges, from a day on."""

    member_id: str
    tariff_group: str
    rail: str
    valid_from_on: Day
    basis_points: int
    cap_kopecks: int | None
    rounding: Rounding
    is_withheld: bool
    is_confirmed: bool
    source: str

    @classmethod
    def of(cls, tariff: BankTariff) -> BankTariffView:
        """The tariff as it is shown."""
        return cls(
            member_id=tariff.member_id, tariff_group=tariff.tariff_group, rail=tariff.rail,
            valid_from_on=tariff.valid_from_on, basis_points=tariff.basis_points, cap_kopecks=tariff.cap,
            rounding=tariff.rounding, is_withheld=tariff.is_withheld, is_confirmed=tariff.is_confirmed,
            source=tariff.source,
        )  # fmt: skip


class MccGroupView(View):
    """Codes of trade that are in a tariff group, from a day on. The narrowest range that holds a code counts."""

    first_mcc: str
    last_mcc: str
    valid_from_on: Day
    tariff_group: str
    is_confirmed: bool
    source: str

    @classmethod
    def of(cls, group: MccGroup) -> MccGroupView:
        """The range as it is shown."""
        return cls(
            first_mcc=group.first_mcc, last_mcc=group.last_mcc, valid_from_on=group.valid_from_on,
            tariff_group=group.tariff_group, is_confirmed=group.is_confirmed, source=group.source,
        )  # fmt: skip


@router.get("/tariffs")
async def list_tariffs(call: CanRead) -> list[TariffView]:
    """What merchants pay us."""
    async with transaction(call.engine) as session:
        return [TariffView.of(tariff) for tariff in await repository.load_tariffs(session, RAIL)]


@router.get("/bank-tariffs")
async def list_bank_tariffs(call: Annotated[Call, needs("admin")]) -> list[BankTariffView]:
    """What banks charge."""
    async with transaction(call.engine) as session:
        return [BankTariffView.of(tariff) for tariff in await repository.load_bank_tariffs(session, RAIL)]


@router.post("/bank-tariffs", status_code=201, response_model=BankTariffView)
async def create_bank_tariff(body: BankTariffBody, call: Annotated[Call, needs("admin")]) -> Response:
    """Write down what a bank charges from a day on; payments of earlier days stay as they were booked."""

    async def work(session: Session, _claim: Claim) -> BankTariffView:
        cap = None if body.cap_kopecks is None else Kopecks(body.cap_kopecks)
        tariff = BankTariff(
            body.member_id, body.tariff_group, RAIL, body.valid_from_on, body.basis_points, cap, body.rounding,
            body.is_withheld, body.is_confirmed, body.source,
        )  # fmt: skip
        if not await repository.add_bank_tariff(session, tariff, now=call.now):
            raise BankTariffTaken(
                member_id=body.member_id, tariff_group=body.tariff_group, on=body.valid_from_on.isoformat()
            )
        return BankTariffView.of(tariff)

    return await once(call, work, prefix="obj")


@router.get("/mcc-groups")
async def list_mcc_groups(call: CanRead) -> list[MccGroupView]:
    """Which codes of trade are in which tariff group."""
    async with transaction(call.engine) as session:
        return [MccGroupView.of(group) for group in await repository.load_mcc_groups(session)]
