"""Keys at the vault's door: a sealed start, custodians one by one, rotations, and nobody but the operator."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.database import Engine, transaction
from pci.access.passwords import PasswordCost, Passwords
from pci.keys import custodians, kek_file, key_file, shares
from pci.keys.envelope import number_in, seal, unseal
from pci.keys.errors import KeyWithdrawn, Sealed
from pci.keys.key import KeyPurpose
from pci.keys.key_file import ShareHolder
from pci.keys.register import KeyDoing
from pci.keys.ring import KeyRing
from pci.secret import Secret
from tests.vault_world import CHEAP
from tokenization.app import service_app
from tokenization.settings import VaultSettings
from tokenization.sweeping import SAD_KEYS_STAY, destroy_sad_keys, turn_kek_rotation
from tokenization.vault import Vault
from tokenization.wire import PEER

NAMES = ("Анна", "Борис", "Вера")
PASSPHRASE = "длинная фраза 42"
OPERATOR = {"operator": "ivan"}


@dataclass
class Sitting:
    """A vault that custodians must open, and what they hold."""

    vault: Vault
    shares: list[str]

    def as_peer(self, role: str) -> httpx.AsyncClient:
        app = as_peer(service_app(self.vault), role)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="https://vault.test"
        )

    def brought(self, who: int, **other: str) -> dict[str, str]:
        return OPERATOR | {"custodian": NAMES[who], "passphrase": PASSPHRASE, "share": self.shares[who]} | other

    async def give(self, who: int, **other: str) -> httpx.Response:
        async with self.as_peer("operator") as client:
            return await client.post("/keys/shares", json=self.brought(who, **other))

    async def post(self, path: str, body: dict[str, Any] | None = None, role: str = "operator") -> httpx.Response:
        async with self.as_peer(role) as client:
            return await client.post(f"/keys{path}", json=OPERATOR | (body or {}))

    async def show(self) -> dict[str, Any]:
        async with self.as_peer("api") as client:
            shown: dict[str, Any] = (await client.get("/keys")).json()
            return shown


def as_peer(app: ASGIApp, role: str) -> ASGIApp:
    """What the TLS listener does for a certificate of this role."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER] = role
        await app(scope, receive, send)

    return named


@pytest_asyncio.fixture
async def sitting(vault_engine: Engine, now: datetime, tmp_path: Path) -> Sitting:
    """A sealed vault that any two of three open."""
    transactions, doing = functools.partial(transaction, vault_engine), KeyDoing("operator:ivan", "test", now)
    passwords, split, holders = Passwords(PasswordCost(1, 8_192)), shares.split(2, 3), list[ShareHolder]()
    for index, name in enumerate(NAMES):
        custodian_id = f"cus_{index}" + "A" * 23
        verifier = await custodians.verifier_of(passwords, name, Secret(PASSPHRASE))
        async with transactions() as session:
            await custodians.enrol(session, custodian_id, name, verifier, doing)
            await custodians.acknowledge(session, custodian_id, doing)
        holders.append(ShareHolder(custodian_id, index))
    path = tmp_path / "kek.json"
    file = key_file.new_file(split.secret, context="kopeyka|test", cost=CHEAP, threshold=2, holders=holders)
    key_file.write(path, file)
    ring = KeyRing(transactions, kek_file.load(path), env="test")
    settings = VaultSettings(password_passes=2, password_memory_mib=19)
    return Sitting(Vault(transactions, lambda: now, ring, settings), [share.expose() for share in split.shares])


async def test_a_vault_starts_sealed_and_two_custodians_open_it(sitting: Sitting, now: datetime) -> None:
    with pytest.raises(Sealed):
        await sitting.vault.ring.ensure(KeyPurpose.CARD, "mer_1", now)
    assert (await sitting.show())["seal"] == {"status": "sealed", "shares_needed": 2, "shares_given": 0}

    first = await sitting.give(0)
    second = await sitting.give(2)

    assert (first.status_code, first.json()["status"]) == (200, "unsealing 1 of 2")
    assert (second.status_code, second.json()["status"]) == (200, "ready")
    assert (await sitting.vault.ring.ensure(KeyPurpose.CARD, "mer_1", now)).number
    assert (await sitting.show())["kek"]["storage_form"] == "2 of 3 shares"


async def test_a_sealed_vault_says_so_with_503(sitting: Sitting) -> None:
    refused = await sitting.post("/renew", {"purpose": "card", "scope": "mer_1", "reason": "a test"})

    assert (refused.status_code, refused.json()["code"]) == (503, "keys.sealed")
    assert refused.json()["facts"] == {"state": "sealed", "shares_needed": 2}


async def test_one_custodian_never_opens_it_alone(sitting: Sitting) -> None:
    await sitting.give(0)

    again = await sitting.give(0)
    anothers = await sitting.give(0, share=sitting.shares[1])
    stolen = await sitting.give(1, share=sitting.shares[0])

    assert (again.status_code, again.json()["code"]) == (409, "keys.custodian_repeated")
    assert (anothers.status_code, anothers.json()["code"]) == (409, "keys.custodian_repeated")
    assert (stolen.status_code, stolen.json()["code"]) == (422, "keys.share_refused")
    assert (await sitting.show())["seal"]["status"] == "unsealing 1 of 2"


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"passphrase": "wrong wrong 1"}, 403, "keys.custodian_refused"),
        ({"custodian": "Никто"}, 403, "keys.custodian_refused"),
        ({"share": "academic acid acne"}, 422, "keys.share_refused"),
    ],
    ids=["wrong passphrase", "a stranger", "a corrupted share"],
)
async def test_what_is_wrong_is_told_and_nothing_of_it_repeated(
    sitting: Sitting, wrong: dict[str, str], status: int, code: str
) -> None:
    refused = await sitting.give(0, **wrong)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert not any(value in refused.text for value in sitting.brought(0, **wrong).values() if len(value) > 8)
    assert (await sitting.show())["seal"]["status"] == "sealed"


async def test_only_the_operator_touches_keys(sitting: Sitting) -> None:
    for role in ("api", "worker"):
        refused = await sitting.post("/rotations", {"kind": "kek"}, role=role)
        assert (refused.status_code, refused.json()["code"]) == (403, "vault.peer_unknown")
        async with sitting.as_peer(role) as client:
            assert (await client.post("/keys/shares", json=sitting.brought(0))).status_code == 403


async def test_a_kek_is_rotated_under_a_working_vault_with_pause_and_progress(sitting: Sitting, now: datetime) -> None:
    await sitting.give(0)
    await sitting.give(1)
    dek = await sitting.vault.ring.ensure(KeyPurpose.CARD, "mer_1", now)
    blob = seal(dek, b"4242", b"")

    begun = (await sitting.post("/rotations", {"kind": "kek"})).json()
    paused = (await sitting.post(f"/rotations/{begun['id']}/pause")).json()
    await turn_kek_rotation(sitting.vault)
    assert (begun["percent"], paused["status"]) == (0, "paused")
    assert (await sitting.show())["keys"][0]["kek_version"] == "1"
    assert f"Rotation {begun['id']} (kek of all) is paused: 0 %" in (await sitting.show())["architecture"]

    await sitting.post(f"/rotations/{begun['id']}/resume")
    while await turn_kek_rotation(sitting.vault):
        pass

    shown = await sitting.show()
    assert (shown["keys"][0]["kek_version"], shown["rotations"][0]["percent"]) == ("2", 100)
    assert unseal(await sitting.vault.ring.by_number(dek.number), blob, b"") == b"4242"
    gone = await sitting.post("/kek/forget", {"version": "1", "reason": "nothing is under it"})
    refusals = [await sitting.post("/kek/forget", {"version": v, "reason": "trying"}) for v in ("1", "2")]
    assert gone.json()["kek"]["versions"] == ["2"]
    assert [refused.json()["code"] for refused in refusals] == ["keys.rotation_refused"] * 2
    again = await sitting.post(f"/rotations/{begun['id']}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "keys.rotation_refused")


async def test_a_key_is_renewed_and_withdrawn_with_a_reason(sitting: Sitting, now: datetime) -> None:
    await sitting.give(0)
    await sitting.give(1)
    old = await sitting.vault.ring.ensure(KeyPurpose.TOTP, "all", now)

    new = (await sitting.post("/renew", {"purpose": "totp", "scope": "all", "reason": "a custodian left"})).json()
    moved = await sitting.post(f"/{old.number}/move", {"to": "destroyed", "reason": "nothing is under it"})
    back = await sitting.post(f"/{old.number}/move", {"to": "active", "reason": "we changed our mind"})
    missing = await sitting.post("/404/move", {"to": "destroyed", "reason": "no such key"})

    assert (new["version"], new["state"], moved.json()["state"]) == (2, "active", "destroyed")
    assert (back.status_code, back.json()["code"]) == (409, "keys.move_refused")
    assert (missing.status_code, missing.json()["code"]) == (404, "keys.not_found")


async def test_yesterdays_keys_of_cvcs_are_destroyed_and_todays_are_not(sitting: Sitting, now: datetime) -> None:
    await sitting.give(0)
    await sitting.give(1)
    ring = sitting.vault.ring
    old = await ring.ensure(KeyPurpose.SAD, "all", now - timedelta(days=2))
    blob = seal(old, b"123", b"")
    await ring.ensure(KeyPurpose.SAD, "all", now - SAD_KEYS_STAY - timedelta(seconds=1))

    assert (await destroy_sad_keys(sitting.vault), await destroy_sad_keys(sitting.vault)) == (1, 0)

    with pytest.raises(KeyWithdrawn):
        await ring.by_number(number_in(blob))
    assert [key["state"] for key in (await sitting.show())["keys"]] == ["destroyed", "active"]


async def test_when_a_custodian_leaves_new_shares_are_asked_for(sitting: Sitting) -> None:
    shown = (await sitting.post("/custodians/deactivate", {"name": "Вера"})).json()

    assert shown["must_be_split_again"] == ["Вера"]
    assert "Вера is no custodian any more: make new shares." in shown["architecture"]
    refused = await sitting.give(2)
    assert (refused.status_code, refused.json()["code"]) == (403, "keys.custodian_refused")


async def test_the_register_shows_no_byte_of_a_key(sitting: Sitting, now: datetime) -> None:
    await sitting.give(0)
    await sitting.give(1)
    deks = [await sitting.vault.ring.ensure(purpose, "all", now) for purpose in KeyPurpose]

    shown = str(await sitting.show())

    assert not any(dek.key.expose().hex() in shown for dek in deks)
    assert "wrapped" in shown
    for purpose in KeyPurpose:
        assert f"| {purpose} |" in shown
