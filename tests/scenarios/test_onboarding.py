"""A merchant comes to SBP through its bank and sells: through real processes, with the bank played by the simulator."""

from __future__ import annotations

from typing import Any

from tests.scenarios.conftest import ACCOUNT, Installation

OGRN = "1027700132195"
PAPERS = {
    "ogrn": OGRN, "mcc": "5411", "contact_name": "Анна", "contact_phone": "+79001234567", "contact_email": "a@b.ru",
    "settlement_mode": "direct",
}  # fmt: skip


async def registered_by_the_bank(installation: Installation, mcc: str, **more: Any) -> str:
    body = {"ogrn": OGRN, "bic": ACCOUNT.bik, "brand_name": "Пятница", "mcc": mcc, **more}
    made = await installation.world.post("/simulator/merchants", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["merchant_id"])


async def terminal_of(installation: Installation, merchant_id: str) -> Any:
    store = await installation.made("/v1/stores", {"merchant_id": merchant_id, "name": "s", "address": "a"})
    return await installation.made("/v1/terminals", {"store_id": store["id"], "name": "t"})


async def test_a_merchant_is_found_in_the_directory_and_sells_directly(installation: Installation) -> None:
    merchant = await installation.made(
        "/v1/merchants",
        {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "ogrn": OGRN,
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number}, "tariff_group": "everyday",
            "is_registered_by_hand": True,
        },
    )  # fmt: skip
    begun = await installation.made(
        "/v1/sbp/registrations", {"merchant_id": merchant["id"], "bik": ACCOUNT.bik, **PAPERS}
    )
    path = f"/v1/sbp/registrations/{begun['id']}"
    assert (begun["status"], begun["bank_account"]) == ("ready", ACCOUNT.number)
    await installation.made(f"{path}/submit", None)

    looked = await installation.made(f"{path}/look-up", None)
    assert (looked["status"], looked["candidates"]) == ("sent_to_bank", [])
    pharmacies = {await registered_by_the_bank(installation, mcc="5912") for _ in range(2)}
    looked = await installation.made(f"{path}/look-up", None)
    assert looked["status"] == "sent_to_bank"
    assert {each["nspk_merchant_id"] for each in looked["candidates"]} == pharmacies
    ours = await registered_by_the_bank(installation, mcc="5411")
    found = await installation.until(path, lambda found: found["status"] == "registered")
    assert (found["nspk_merchant_id"], found["learnt_by"], found["is_in_use"]) == (ours, "looked_up", True)

    terminal = await terminal_of(installation, merchant["id"])
    order = await installation.order(terminal, "A-1", 149_990)
    attempt = await installation.made(f"/v1/orders/{order['id']}/attempts", {"rail": "sbp"})
    assert (await installation.pays(attempt["qr"]["qrc_id"])).status_code == 200
    await installation.until(f"/v1/orders/{order['id']}", lambda found: found["status"] == "paid")
    receivable = await installation.get(f"/v1/ledger/accounts/asset:fee_receivable:{merchant['id']}")
    direct = await installation.get(f"/v1/ledger/accounts/memo:sbp_direct:{merchant['id']}")
    assert (receivable["balance"], direct["balance"]) == (599, 149_990)
    run = await installation.made("/v1/payout-runs", {})
    assert run["payouts"] == 0
