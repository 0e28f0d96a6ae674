"""Cards given out: to one key only, by two people, every batch told, and killed it goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from ledger.database import transaction
from pci.database import Session
from pci.keys.register import KeyDoing
from pci.keys.rotation import RotationKind
from pci.luhn import passes_luhn
from tests.card_world import MIR, NEIGHBOUR, SHOP, World
from tokenization import exporting, refusals, repository, rotating
from tokenization.card_errors import ExportKeyRefused, ExportNeedsAnother, ExportNotFound, ExportNotRunning
from tokenization.ending import CardDoing
from tokenization.exporting import CardExport

KEY = ECKey.generate_key("P-256")
PUBLIC = KEY.as_dict(private=False)


def numbers(count: int) -> list[str]:
    bodies = (f"22002200000{place:04}" for place in range(count))
    return [next(body + check for check in "0123456789" if passes_luhn(body + check)) for body in bodies]


def by(world: World, person: str) -> CardDoing:
    return CardDoing(SHOP, f"person:per_{person}", "req_1", world.now, "the merchant moves to another vault")


async def agreed(world: World) -> CardExport:
    async with transaction(world.engine) as session:
        asked = await exporting.request(session, PUBLIC, by(world, "anna"))
        return await exporting.approve(session, asked.id, by(world, "boris"))


async def give_out(world: World, export: CardExport, path: Path) -> CardExport:
    return await exporting.give_out(world.transactions, world.ring, export.id, path, by(world, "anna"))


def received(path: Path) -> list[dict[str, Any]]:
    algorithms = [exporting.KEY_ENCRYPTION, exporting.CONTENT_ENCRYPTION]
    opened = [
        jwe.decrypt_compact(line, KEY, algorithms=algorithms).plaintext for line in path.read_bytes().splitlines()
    ]
    return [card for plain in opened if plain is not None for card in json.loads(plain)["cards"]]


async def test_the_recipient_reads_every_card_and_nobody_else_any(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CARDS_A_LINE", 3)
    kept = {(await world.tokenize(number, holder="IVAN PETROV")).card.token: number for number in numbers(7)}
    await world.tokenize(MIR, merchant_id=NEIGHBOUR)
    path = tmp_path / "cards.jwe"

    done = await give_out(world, await agreed(world), path)

    assert (done.status, done.batches_done, done.cards_done, done.skipped) == ("finished", 3, 7, 0)
    assert {card["token"]: card["pan"] for card in received(path)} == kept
    assert {card["holder_name"] for card in received(path)} == {"IVAN PETROV"}
    assert not [number for number in kept.values() if number.encode() in path.read_bytes()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [event["facts"]["cards"] for event in world.events("cards.exported")] == [3, 3, 1]


async def test_who_asked_does_not_agree_and_the_attempt_is_told(world: World) -> None:
    async with transaction(world.engine) as session:
        asked = await exporting.request(session, PUBLIC, by(world, "anna"))

    with pytest.raises(ExportNeedsAnother):
        async with refusals.kept(world.transactions) as session:
            await exporting.approve(session, asked.id, by(world, "anna"))

    assert [event["outcome"] for event in world.events("cards.export_approved")] == ["refused"]


async def test_nothing_is_given_out_before_somebody_agreed_or_twice(world: World, tmp_path: Path) -> None:
    await world.tokenize()
    async with transaction(world.engine) as session:
        asked = await exporting.request(session, PUBLIC, by(world, "anna"))
    with pytest.raises(ExportNotRunning):
        await give_out(world, asked, tmp_path / "cards.jwe")

    done = await give_out(world, await agreed(world), tmp_path / "cards.jwe")
    with pytest.raises(ExportNotRunning):
        await give_out(world, done, tmp_path / "cards.jwe")


async def test_an_export_that_is_not_there_is_not_found(world: World) -> None:
    async with transaction(world.engine) as session:
        with pytest.raises(ExportNotFound):
            await exporting.find(session, "exp_" + "0" * 25, SHOP)


async def test_another_merchants_export_is_not_found_by_anybody(world: World, tmp_path: Path) -> None:
    export, doing = await agreed(world), replace(by(world, "anna"), merchant_id=NEIGHBOUR)

    with pytest.raises(ExportNotFound):
        await exporting.give_out(world.transactions, world.ring, export.id, tmp_path / "cards.jwe", doing)

    assert world.events("cards.exported") == []


async def test_a_batch_that_cannot_be_told_is_not_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.tokenize()
    export, path = await agreed(world), tmp_path / "cards.jwe"

    async def no_log(*_: object) -> None:
        raise OSError("the log is full")

    monkeypatch.setattr(exporting, "stage", no_log)
    with pytest.raises(OSError, match="full"):
        await give_out(world, export, path)

    assert path.read_bytes() == b""


async def test_killed_between_disk_and_commit_it_writes_no_card_twice(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CARDS_A_LINE", 2)
    for number in numbers(6):
        await world.tokenize(number)
    export, path = await agreed(world), tmp_path / "cards.jwe"
    append = exporting._append

    def written_and_killed(file: Path, line: bytes) -> None:
        append(file, line)
        if len(file.read_bytes().splitlines()) == 2:
            raise OSError("killed")

    monkeypatch.setattr(exporting, "_append", written_and_killed)
    with pytest.raises(OSError, match="killed"):
        await give_out(world, export, path)
    assert len(path.read_bytes().splitlines()) == 2

    monkeypatch.setattr(exporting, "_append", append)
    done = await give_out(world, export, path)

    assert done.cards_done == 6
    assert [card["pan"] for card in received(path)] == numbers(6)


async def test_a_card_key_changed_on_the_way_loses_no_card(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CARDS_A_LINE", 3)
    kept = {(await world.tokenize(number, holder="IVAN PETROV")).card.token: number for number in numbers(9)}
    export, path = await agreed(world), tmp_path / "cards.jwe"
    sealed_after, begun = repository.sealed_after, []

    async def after(session: Session, merchant_id: str, place: int, limit: int) -> Any:
        if place and not begun:
            begun.append(await rotate(world))
        return await sealed_after(session, merchant_id, place, limit)

    monkeypatch.setattr(repository, "sealed_after", after)
    done = await give_out(world, export, path)

    assert (done.status, done.cards_done, done.skipped) == ("finished", 9, 0)
    assert {card["token"]: card["pan"] for card in received(path)} == kept
    assert len(world.sql("SELECT DISTINCT key_number FROM cards")) == 1
    assert world.events("card.read") == []


async def rotate(world: World) -> str:
    """Seal every card of the shop anew, to the end."""
    doing = KeyDoing("operator:anna", "req_2", world.now, "its year is over")
    begun = await rotating.begin(world.transactions, world.ring, RotationKind.CARD, SHOP, doing)
    for _ in range(4):
        await rotating.turn(world.transactions, world.ring, begun.id, now=world.now, origin="test")
    return begun.id


async def test_a_row_that_does_not_open_is_skipped_and_told(world: World, tmp_path: Path) -> None:
    good, bad = [await world.tokenize(number) for number in numbers(2)]
    swap = "UPDATE cards SET pan_sealed = (SELECT pan_sealed FROM cards WHERE token = %s) WHERE token = %s"
    world.sql(swap, (good.card.token, bad.card.token))

    done = await give_out(world, await agreed(world), tmp_path / "cards.jwe")

    assert (done.cards_done, done.skipped) == (1, 1)
    assert [event["subject"] for event in world.events("card.read")] == [f"card:{bad.card.token}"]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(KEY.as_dict(private=True), id="a private key"),
        pytest.param(ECKey.generate_key("P-384").as_dict(private=False), id="another curve"),
        pytest.param(RSAKey.generate_key(2048).as_dict(private=False), id="another kind"),
        pytest.param({"kty": "EC"}, id="half a key"),
    ],
)
async def test_only_a_public_p256_key_receives_cards(world: World, key: dict[str, Any]) -> None:
    async with transaction(world.engine) as session:
        with pytest.raises(ExportKeyRefused):
            await exporting.request(session, key, by(world, "anna"))
