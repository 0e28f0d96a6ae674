"""The code on the back: it leaves with the buyer's charge once, and is gone with the answer, whatever that was."""

from __future__ import annotations

import pytest

from pci.keys.key import KeyPurpose
from tests.tokenization.charges.charge_world import ChargeWorld
from tokenization import sad
from tokenization.acquirer_simulator import host as acquirer
from tokenization.charges.messages import Message, private_fields
from tokenization.charges.states import ChargeStatus, Initiator

CVC = "731"


async def keep(world: ChargeWorld) -> None:
    vault = world.desk.vault
    await vault.ring.ensure(KeyPurpose.SAD, sad.SCOPE, vault.now())
    async with vault.transactions() as session:
        await sad.keep(session, vault.ring, world.token, sad.read_cvc(CVC), vault.now())


async def kept(world: ChargeWorld) -> bool:
    vault = world.desk.vault
    async with vault.transactions() as session:
        return await sad.read(session, vault.ring, world.token, now=vault.now()) is not None


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the acquirer reads of field 48."""
    found: list[dict[str, str]] = []

    def listen(message: Message) -> dict[str, str]:
        found.append(private_fields(message))
        return found[-1]

    monkeypatch.setattr(acquirer, "private_fields", listen)
    return found


@pytest.mark.parametrize(
    ("amount", "fault"), [(100, None), (990_005, None), (100, "lost_answer"), (100, "lost_request")],
    ids=["captured", "refused", "unknown", "unheard"],
)  # fmt: skip
async def test_the_code_is_forgotten_with_the_outcome(
    world: ChargeWorld, heard: list[dict[str, str]], amount: int, fault: str | None
) -> None:
    await keep(world)
    if fault is not None:
        world.script(fault)

    await world.charge(amount)

    assert not await kept(world)
    assert [fields.get("92") for fields in heard] == ([] if fault == "lost_request" else [CVC])


async def test_the_code_waits_for_the_next_try_when_nothing_was_sent(
    world: ChargeWorld, heard: list[dict[str, str]]
) -> None:
    await keep(world)
    port, world.desk.link.port = world.desk.link.port, 1
    assert (await world.charge()).reason == "not_sent"
    assert await kept(world)

    world.desk.link.port = port
    assert (await world.charge()).status is ChargeStatus.CAPTURED
    assert [fields.get("92") for fields in heard] == [CVC]


async def test_a_charge_without_the_buyer_carries_no_code(world: ChargeWorld, heard: list[dict[str, str]]) -> None:
    first = await world.charge(is_credential_kept=True)
    await keep(world)

    await world.charge(initiator=Initiator.MERCHANT, first_charge_id=first.id)

    assert [(fields.get("SC"), fields.get("92")) for fields in heard] == [("F", None), ("R", None)]


async def test_a_charge_whose_vault_died_forgets_the_code_when_it_is_given_up(world: ChargeWorld) -> None:
    await keep(world)
    world.acquirer.host.scripts.set_faults({"lost_answer": 1.0, "seed": 1})
    await world.charge()
    world.acquirer.host.scripts.set_faults({})
    await world.settle()

    assert not await kept(world)
