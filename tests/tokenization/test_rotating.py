"""Keys are renewed while cards come in and go out: nothing is lost, nothing twice, and all of it ends under the new."""

from __future__ import annotations

import pytest

from ledger.database import transaction
from pci.keys import rotation as rotations
from pci.keys.errors import RotationRefused
from pci.keys.key import KeyPurpose
from pci.keys.register import KeyDoing
from pci.keys.rotation import Rotation, RotationKind
from pci.luhn import passes_luhn
from pci.pan import Pan
from tests.card_world import MIR, NEIGHBOUR, SHOP, VISA, World
from tokenization import rotating


def numbers(count: int) -> list[str]:
    bodies = (f"22001100000{place:04}" for place in range(count))
    return [next(body + check for check in "0123456789" if passes_luhn(body + check)) for body in bodies]


def doing(world: World) -> KeyDoing:
    return KeyDoing("person:per_1", "req_1", world.now, "the period is over")


async def begin(world: World, kind: RotationKind = RotationKind.CARD) -> Rotation:
    return await rotating.begin(world.transactions, world.ring, kind, SHOP, doing(world))


async def turn(world: World, rotation: Rotation, limit: int = 3) -> Rotation:
    return await rotating.turn(world.transactions, world.ring, rotation.id, now=world.now, origin="vault", limit=limit)


async def finish(world: World, rotation: Rotation) -> Rotation:
    for _ in range(20):
        rotation = await turn(world, rotation)
        if rotation.status != "running":
            return rotation
    raise AssertionError("it does not end")


def key_numbers(world: World, column: str = "key_number", merchant_id: str = SHOP) -> set[int]:
    return {row[0] for row in world.sql(f"SELECT {column} FROM cards WHERE merchant_id = %s", (merchant_id,))}


async def test_all_cards_end_under_the_new_key_in_batches_with_their_progress(world: World) -> None:
    kept = {number: (await world.tokenize(number, holder="IVAN PETROV")).card.token for number in numbers(7)}
    foreign = await world.tokenize(MIR, merchant_id=NEIGHBOUR)
    before = key_numbers(world, merchant_id=NEIGHBOUR)

    rotation = await begin(world)
    first = await turn(world, rotation)
    done = await finish(world, rotation)

    assert (rotation.rows_total, first.rows_done, first.percent, done.rows_done) == (7, 3, 42, 7)
    newest = world.ring.primary(KeyPurpose.CARD, SHOP)
    assert newest is not None
    assert key_numbers(world) == {newest.number}
    assert key_numbers(world, merchant_id=NEIGHBOUR) == before
    for number, token in kept.items():
        opened = await world.read(token)
        assert (opened.pan, opened.holder_name) == (Pan(number), "IVAN PETROV")
    assert (await world.read(foreign.card.token, NEIGHBOUR)).pan == Pan(MIR)
    assert [event["facts"]["rows_done"] for event in world.events("rotation.finished")] == [7]


async def test_cards_come_in_and_are_read_meanwhile(world: World) -> None:
    tokens = [(await world.tokenize(number)).card.token for number in numbers(6)]

    rotation = await begin(world)
    for token in tokens:
        await turn(world, rotation, limit=1)
        assert await world.read(token)
        assert not (await world.tokenize(numbers(6)[0])).is_new
    late = await world.tokenize(VISA)
    done = await finish(world, rotation)

    assert done.rows_done == 6
    assert (await world.read(late.card.token)).pan == Pan(VISA)


async def test_a_pause_holds_the_turn_and_a_resume_goes_on_where_it_stopped(world: World) -> None:
    for number in numbers(5):
        await world.tokenize(number)
    rotation = await begin(world)
    await turn(world, rotation)

    async with transaction(world.engine) as session:
        await rotations.pause(session, rotation.id, doing(world))
    with pytest.raises(RotationRefused):
        await turn(world, rotation)
    assert len(key_numbers(world)) == 2
    async with transaction(world.engine) as session:
        await rotations.resume(session, rotation.id, doing(world))

    assert (await finish(world, rotation)).rows_done == 5


async def test_what_somebody_holds_is_taken_in_another_pass(world: World) -> None:
    held, *_ = [(await world.tokenize(number)).card.token for number in numbers(4)]
    rotation = await begin(world)

    async with transaction(world.engine) as other:
        await other.exec_driver_sql("SELECT * FROM cards WHERE token = %s FOR UPDATE", (held,))
        passed = [await turn(world, rotation, limit=10) for _ in range(3)]

    assert [(step.status, step.rows_done) for step in passed] == [("running", 3)] * 3
    assert (await finish(world, rotation)).rows_done == 4
    assert len(key_numbers(world)) == 1


async def test_a_row_that_does_not_open_is_told_and_stops_the_end_but_not_the_others(world: World) -> None:
    tokens = [(await world.tokenize(number)).card.token for number in numbers(4)]
    swap = "UPDATE cards SET pan_sealed = (SELECT pan_sealed FROM cards WHERE token = %s) WHERE token = %s"
    world.sql(swap, (tokens[1], tokens[0]))

    paused = await finish(world, await begin(world))

    assert (paused.status, paused.rows_done) == ("paused", 3)
    told = world.events("card.not_rotated")
    assert {event["subject"] for event in told} == {f"card:{tokens[0]}"}
    assert {event["outcome"] for event in told} == {"failed"}
    assert all([await world.read(token) for token in tokens[1:]])


async def test_one_rotation_of_a_merchant_at_a_time(world: World) -> None:
    await world.tokenize()
    await begin(world)

    with pytest.raises(RotationRefused):
        await begin(world)


async def test_while_the_fingerprint_key_changes_a_known_card_keeps_its_token(world: World) -> None:
    known = {number: await world.tokenize(number) for number in numbers(6)}
    rotation = await begin(world, RotationKind.FINGERPRINT)

    met = await world.tokenize(numbers(6)[5])
    await turn(world, rotation)
    again = [await world.tokenize(number) for number in numbers(6)]
    new = await world.tokenize(VISA)
    done = await finish(world, rotation)

    assert not met.is_new
    assert [tokenized.card.token for tokenized in again] == [tokenized.card.token for tokenized in known.values()]
    assert new.is_new
    assert done.status == "done"
    newest = world.ring.primary(KeyPurpose.FINGERPRINT, SHOP)
    assert newest is not None
    assert key_numbers(world, "fingerprint_key") == {newest.number}
    after = [await world.tokenize(number) for number in numbers(6)]
    assert [tokenized.card.fingerprint_id for tokenized in after] == [t.card.fingerprint_id for t in known.values()]


async def test_twins_of_a_race_at_the_start_are_found_and_told(world: World) -> None:
    await world.tokenize(MIR)
    await world.ring.renew(KeyPurpose.FINGERPRINT, SHOP, world.now)  # without a rotation nobody looks both up
    twin = await world.tokenize(MIR)
    assert twin.is_new

    await finish(world, await begin(world, RotationKind.FINGERPRINT))

    assert len(world.events("card.twin_found")) == 1
    assert world.sql("SELECT count(*) FROM cards WHERE fingerprint IS NULL AND status = 'active'") == [(1,)]
    assert not (await world.tokenize(MIR)).is_new


async def test_the_vault_goes_on_with_rotations_by_itself(world: World) -> None:
    await world.tokenize()
    rotation = await begin(world)

    turns = [await rotating.turn_all(world.transactions, world.ring, now=world.now, origin="vault") for _ in range(4)]

    assert sorted(turns, reverse=True) == turns
    assert turns[0] == 1
    assert turns[-1] == 0
    async with transaction(world.engine) as session:
        assert (await rotations.find(session, rotation.id)).status == "done"
