"""A merchant of T-Kassa gets no plate of NSPK's, whichever contract asks for one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from api.callers import create_key
from ledger.database import Engine, transaction
from tests.api.conftest import Client
from tests.api.test_cash_links import terminal

MEMBER = "100000000004"


async def test_the_contract_of_yookassa_sets_up_no_plate_at_a_bank_of_tkassa(client: Client, engine: Engine) -> None:
    door = client.app.state.door
    client.app.state.door = replace(
        door, settings=door.settings.model_copy(update={"tkassa_members": frozenset({MEMBER})})
    )
    till = await terminal(client, sbp={"nspk_merchant_id": "MA0000000777", "member_id": MEMBER})
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=["orders:write"], mode="test", merchant_id=till["merchant_id"],
            now=datetime.now(UTC),
        )  # fmt: skip

    answer = await client.http.post(
        "/contracts/yookassa/v3/pos_links",
        json={"recipient": {"gateway_id": "till-7"}},
        auth=(till["merchant_id"], secret.expose()),
        headers={"Idempotence-Key": "plate-1"},
    )

    assert answer.status_code == 400, answer.text
    assert (await client.get("/v1/sbp/cash-links")).json()["items"] == []
