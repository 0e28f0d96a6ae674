"""Files of cards over the operator's routes: in, out, shredded; and nobody else gets there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from ledger.database import Engine
from tests.card_world import MIR, NEIGHBOUR, SHOP, VISA, World
from tests.tokenization.people_world import make_desk
from tests.vault_calls import service_client
from tokenization.settings import VaultSettings
from tokenization.vault import Vault

BASE = f"/merchants/{SHOP}"
REASON = "the contract has ended"


def vault_of(world: World, files: Path) -> Vault:
    return Vault(world.transactions, lambda: world.now, world.ring, VaultSettings(files_dir=files))


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(f"{BASE}/{path}", json={"operator": "anna", **body})


async def wait(client: httpx.AsyncClient, path: str, told: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while told["is_running"]:
            await asyncio.sleep(0.05)
            told = (await client.get(f"{BASE}/{path}/{told['id']}")).json()
    return told


async def test_a_file_is_taken_in_and_its_refusals_are_listed_without_numbers(world: World, tmp_path: Path) -> None:
    (tmp_path / "cards.csv").write_text(
        f"pan,expires_on,reference\n{MIR},2028-12,a\n{VISA},2020-01,b\n4111,2028-12,c\n"
    )

    async with service_client(vault_of(world, tmp_path), "operator") as client:
        started = await post(client, "card-imports", file="cards.csv")
        done = await wait(client, "card-imports", started.json())
        refused = await client.get(f"{BASE}/card-imports/{done['id']}/refused")
        again = await post(client, "card-imports", file="cards.csv")

    assert started.status_code == 202
    assert (done["status"], done["cards_new"], done["refused"]) == ("finished", 1, 2)
    assert done["refused_by_code"] == {"vault.card_expired": 1, "vault.pan_malformed": 1}
    assert refused.json()["items"][0] == {"line": 2, "code": "vault.card_expired", "mask": "424242******4242"}
    assert (again.json()["id"], again.json()["cards_new"]) == (done["id"], 1)
    assert (tmp_path / "cards.csv.mapping.csv").read_text().count("tok_") == 1
    assert len(world.events("cards.import_started")) == 1


async def test_an_operator_asks_a_signed_in_officer_agrees_and_the_cards_go_out(
    world: World, vault_engine: Engine, tmp_path: Path
) -> None:
    await world.tokenize(MIR)
    public = ECKey.generate_key("P-256")
    desk = await make_desk(vault_engine, world.now)
    officer = await desk.sign_in("vera", ["security_officer"])

    async with service_client(vault_of(world, tmp_path), "operator") as client:
        body = {"recipient_key": public.as_dict(private=False), "reason": "they move"}
        asked = (await post(client, "card-exports", **body)).json()
        shown = (await officer.get("/vault/v1/card-exports")).json()["exports"]
        agreed = await officer.post(f"/vault/v1/card-exports/{asked['id']}/approvals")
        twice = await officer.post(f"/vault/v1/card-exports/{asked['id']}/approvals")
        done = await wait(client, "card-exports", (await post(client, f"card-exports/{asked['id']}/run")).json())

    assert [(one["id"], one["recipient"], one["reason"]) for one in shown] == [
        (asked["id"], public.thumbprint(), "they move")
    ]
    assert (agreed.status_code, twice.status_code) == (200, 409)
    assert (done["status"], done["cards_done"]) == ("finished", 1)
    assert done["approved_by"] == f"person:{desk.people['vera']}"
    assert MIR.encode() not in (tmp_path / f"{asked['id']}.jwe").read_bytes()


async def test_no_certificate_agrees_whatever_name_it_gives(world: World, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256").as_dict(private=False)

    async with service_client(vault_of(world, tmp_path), "operator") as client:
        asked = (await post(client, "card-exports", recipient_key=key, reason="they move")).json()
        for path in (f"{BASE}/card-exports/{asked['id']}/approve", f"/vault/v1/card-exports/{asked['id']}/approvals"):
            assert (await client.post(path, json={"operator": "boris"})).status_code == 404
        still = (await client.get(f"{BASE}/card-exports/{asked['id']}")).json()
        foreign = await client.get(f"/merchants/{NEIGHBOUR}/card-exports/{asked['id']}")

    assert (still["status"], foreign.status_code) == ("requested", 404)


async def test_a_merchant_is_shredded(world: World, tmp_path: Path) -> None:
    await world.tokenize(MIR)

    async with service_client(vault_of(world, tmp_path), "operator") as client:
        done = await post(client, "cards/shred", reason=REASON)

    assert done.json() == {"cards": 1}
    assert world.events("cards.shredded")[0]["actor"] == "operator:anna"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", ".hidden", "a/b.csv", ""])
async def test_no_name_leads_out_of_the_folder(world: World, tmp_path: Path, name: str) -> None:
    async with service_client(vault_of(world, tmp_path), "operator") as client:
        answer = await post(client, "card-imports", file=name)

    assert (answer.status_code, answer.json()["code"]) == (422, "vault.request_invalid")


async def test_a_link_or_a_missing_file_is_not_there(world: World, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("/etc/hostname")

    async with service_client(vault_of(world, tmp_path), "operator") as client:
        answers = [await post(client, "card-imports", file=name) for name in ("link.csv", "none.csv")]

    assert [answer.json()["code"] for answer in answers] == ["vault.file_not_there"] * 2


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_neither_the_api_nor_the_worker_touches_files_of_cards(world: World, tmp_path: Path, role: str) -> None:
    async with service_client(vault_of(world, tmp_path), role) as client:
        answers = [
            await post(client, "card-imports", file="cards.csv"),
            await post(client, "card-exports", recipient_key={}, reason=REASON),
            await post(client, "cards/shred", reason=REASON),
            await client.get(f"{BASE}/card-imports/imp_1"),
        ]

    assert {answer.status_code for answer in answers} == {403}
