"""The key file: where it may lie, who opens it, and what is said when they cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pci.keys import kek_file, key_file, shares
from pci.keys.errors import CustodianRepeated, KeyFileRefused, PassphraseWrong, SealBroken, Sealed, ShareRefused
from pci.keys.kek import SealState
from pci.keys.kek_file import SHARES_WAIT, VERSIONS_MAX, FileKek
from pci.keys.key_file import ShareHolder
from pci.keys.shares import SplitSecret
from pci.secret import Secret
from tests.vault_world import CHEAP, PASSPHRASE, ready_kek

ANNA, BORIS, VERA = ("cus_anna", "cus_boris", "cus_vera")
CONTEXT = "kopeyka|test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kek.json"


def replace(path: Path, text: str) -> None:
    """Put another file in its place, as readable as it must be."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o400)


def split_file(path: Path) -> tuple[FileKek, SplitSecret]:
    """A file that any two of three custodians open."""
    split = shares.split(2, 3)
    holders = [ShareHolder(who, index) for index, who in enumerate((ANNA, BORIS, VERA))]
    made = key_file.new_file(split.secret, context=CONTEXT, cost=CHEAP, threshold=2, holders=holders)
    key_file.write(path, made)
    return kek_file.load(path), split


async def test_a_passphrase_opens_it_and_a_wrong_one_does_not(path: Path) -> None:
    wrapped = await (await ready_kek(path)).wrap(b"k" * 32, b"aad")
    again = kek_file.load(path)

    assert (again.seal_state.is_ready, str(again.seal_state)) == (False, "sealed")
    with pytest.raises(Sealed):
        await again.unwrap(wrapped.blob, b"aad", wrapped.version)
    with pytest.raises(PassphraseWrong):
        await again.unseal_with_passphrase(Secret("wrong"))
    await again.unseal_with_passphrase(PASSPHRASE)
    assert await again.unwrap(wrapped.blob, b"aad", wrapped.version) == b"k" * 32


@pytest.mark.parametrize("pair", [(0, 1), (2, 0), (1, 2)])
async def test_any_two_of_three_custodians_open_it(path: Path, now: datetime, pair: tuple[int, int]) -> None:
    kek, split = split_file(path)
    names = (ANNA, BORIS, VERA)

    first = await kek.give_share(names[pair[0]], split.shares[pair[0]], now)
    second = await kek.give_share(names[pair[1]], split.shares[pair[1]], now)

    assert (str(first), str(second)) == ("unsealing 1 of 2", "ready")
    assert kek.given == {}
    assert (await kek.describe()).is_for_production
    assert (await kek.describe()).storage_form == "2 of 3 shares"


async def test_one_custodian_does_not_stand_for_two(path: Path, now: datetime) -> None:
    kek, split = split_file(path)
    await kek.give_share(ANNA, split.shares[0], now)

    with pytest.raises(CustodianRepeated):
        await kek.give_share(ANNA, split.shares[0], now)
    with pytest.raises(CustodianRepeated):
        await kek.give_share(ANNA, split.shares[1], now)
    assert kek.seal_state == SealState(2, 1)


async def test_nobody_gives_anothers_share(path: Path, now: datetime) -> None:
    kek, split = split_file(path)

    with pytest.raises(ShareRefused):
        await kek.give_share(ANNA, split.shares[1], now)
    with pytest.raises(ShareRefused):
        await kek.give_share("cus_stranger", split.shares[1], now)
    assert str(kek.seal_state) == "sealed"


DAMAGE: dict[str, Callable[[list[str]], list[str]]] = {
    "a word is wrong": lambda words: [*words[:20], "academic" if words[20] != "academic" else "acid", *words[21:]],
    "two words are swapped": lambda words: [*words[:-2], words[-1], words[-2]],
    "a word is missing": lambda words: words[:-1],
    "a word is not of the list": lambda words: [*words[:-1], "kopeyka"],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_share_is_noticed_at_once(path: Path, now: datetime, damage: str) -> None:
    kek, split = split_file(path)
    words = split.shares[0].expose().split()

    with pytest.raises(ShareRefused) as refused:
        await kek.give_share(ANNA, Secret(" ".join(DAMAGE[damage](words))), now)

    assert " ".join(words[:2]) not in f"{refused.value} {refused.value.facts}"
    await kek.give_share(ANNA, Secret("  ".join(words).upper()), now)
    assert str(kek.seal_state) == "unsealing 1 of 2"


async def test_shares_of_another_ceremony_do_not_open_it_and_all_are_forgotten(path: Path, now: datetime) -> None:
    kek, split = split_file(path)
    foreign = shares.split(2, 3)
    await kek.give_share(ANNA, split.shares[0], now)

    with pytest.raises(ShareRefused):
        await kek.give_share(BORIS, foreign.shares[1], now)
    assert (kek.given, str(kek.seal_state)) == ({}, "sealed")

    await kek.give_share(ANNA, foreign.shares[0], now)
    with pytest.raises(ShareRefused):
        await kek.give_share(BORIS, foreign.shares[1], now)
    assert str(kek.seal_state) == "sealed"


async def test_a_share_does_not_wait_for_ever(path: Path, now: datetime) -> None:
    kek, split = split_file(path)
    await kek.give_share(ANNA, split.shares[0], now)

    state = await kek.give_share(BORIS, split.shares[1], now + SHARES_WAIT)

    assert str(state) == "unsealing 1 of 2"


async def test_new_shares_open_what_the_old_ones_did_and_the_old_ones_nothing(path: Path, now: datetime) -> None:
    kek, split = split_file(path)
    for index, who in enumerate((ANNA, BORIS)):
        await kek.give_share(who, split.shares[index], now)
    wrapped = await kek.wrap(b"k" * 32, b"")
    new = shares.split(2, 2)

    holders = [ShareHolder(BORIS, 0), ShareHolder(VERA, 1)]
    made = key_file.new_file(new.secret, context=CONTEXT, cost=CHEAP, threshold=2, holders=holders, keks=kek.keks)
    key_file.write(path, made)

    again = kek_file.load(path)
    await again.give_share(BORIS, new.shares[0], now)
    await again.give_share(VERA, new.shares[1], now)
    assert await again.unwrap(wrapped.blob, b"", wrapped.version) == b"k" * 32
    old = kek_file.load(path)
    with pytest.raises(ShareRefused):
        await old.give_share(ANNA, split.shares[0], now)
    with pytest.raises(KeyFileRefused, match="new shares"):
        await kek.rotate()


async def test_each_way_of_opening_refuses_the_others_file(path: Path, now: datetime) -> None:
    kek, split = split_file(path)
    with pytest.raises(KeyFileRefused):
        await kek.unseal_with_passphrase(PASSPHRASE)
    kek = await ready_kek(path)
    with pytest.raises(KeyFileRefused):
        await kek.give_share(ANNA, split.shares[0], now)
    assert not (await kek.describe()).is_for_production


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (3, 2), (2, 17), (0, 0)])
def test_fewer_than_two_people_never_open_it(threshold: int, count: int) -> None:
    with pytest.raises(ShareRefused):
        shares.split(threshold, count)


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o404, 0o777])
async def test_a_file_others_could_read_or_we_could_spoil_is_refused(path: Path, mode: int) -> None:
    await ready_kek(path)
    os.chmod(path, mode)  # noqa: PTH101

    with pytest.raises(KeyFileRefused):
        kek_file.load(path)


async def test_a_file_beside_the_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "postgresql"
    database.mkdir()
    await ready_kek(database / "kek.json")
    (tmp_path / "elsewhere.json").symlink_to(database / "kek.json")

    for place in (database / "kek.json", tmp_path / "elsewhere.json", tmp_path / "x" / ".." / "postgresql/kek.json"):
        with pytest.raises(KeyFileRefused):
            kek_file.load(place, apart_from=[database])


async def test_a_file_in_any_folder_of_postgresqls_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    await ready_kek(tmp_path / "base" / "kek.json")
    (tmp_path / "PG_VERSION").write_text("18")

    with pytest.raises(KeyFileRefused):
        kek_file.load(tmp_path / "base" / "kek.json")


async def test_a_link_and_a_missing_file_are_refused(path: Path, tmp_path: Path) -> None:
    await ready_kek(path)
    (tmp_path / "link.json").symlink_to(path)

    for place in (tmp_path / "link.json", tmp_path / "nothing.json", tmp_path):
        with pytest.raises(KeyFileRefused):
            kek_file.load(place)


BREAKS: dict[str, Callable[[dict[str, object]], object]] = {
    "not an object": lambda _: [],
    "another version": lambda file: file | {"version": 2},
    "no box": lambda file: {name: value for name, value in file.items() if name != "box"},
    "a box that is no base64": lambda file: file | {"box": "%%%"},
    "a salt too short": lambda file: file | {"kdf": dict(file["kdf"]) | {"salt": "AAAA"}},  # type: ignore[call-overload]
    "a cost that would take all memory": lambda file: file | {"kdf": dict(file["kdf"]) | {"memory_bytes": 2**50}},  # type: ignore[call-overload]
    "another function": lambda file: file | {"kdf": dict(file["kdf"]) | {"name": "md5"}},  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_damaged_file_is_refused(path: Path, name: str) -> None:
    await ready_kek(path)
    broken = BREAKS[name](key_file.as_json(key_file.read(path)))
    replace(path, json.dumps(broken))

    with pytest.raises(KeyFileRefused):
        kek_file.load(path)


async def test_a_box_of_another_installation_is_noticed(path: Path, tmp_path: Path) -> None:
    other = key_file.new_file(PASSPHRASE.expose().encode(), context="kopeyka|live", cost=CHEAP)
    written = key_file.as_json(other) | {"context": CONTEXT}
    replace(path, json.dumps(written))

    with pytest.raises(KeyFileRefused):
        await kek_file.load(path).unseal_with_passphrase(PASSPHRASE)


async def test_a_changed_byte_of_the_box_is_a_wrong_passphrase(path: Path) -> None:
    await ready_kek(path)
    file = key_file.read(path)
    box = bytes([file.box[0] ^ 1]) + file.box[1:]
    key_file.write(path, key_file.KeyFile(file.context, file.cost, file.salt, 0, (), box))

    with pytest.raises(PassphraseWrong):
        await kek_file.load(path).unseal_with_passphrase(PASSPHRASE)


async def test_neither_the_file_nor_the_provider_shows_a_key(path: Path) -> None:
    kek = await ready_kek(path)
    assert kek.keks is not None
    secret = kek.keks.keys["1"].expose()

    shown = f"{kek!r} {kek} {kek.file!r} {key_file.as_json(kek.file)}"
    assert secret.hex() not in shown
    assert repr(secret) not in shown
    assert PASSPHRASE.expose() not in shown


async def test_a_second_process_sees_the_firsts_new_kek(path: Path) -> None:
    first = await ready_kek(path)
    second = kek_file.load(path)
    await second.unseal_with_passphrase(PASSPHRASE)

    await first.rotate()
    wrapped = await first.wrap(b"k" * 32, b"")

    assert await second.unwrap(wrapped.blob, b"", "2") == b"k" * 32
    assert await second.rotate() == "3"
    with pytest.raises(SealBroken):
        await first.unwrap(wrapped.blob, b"", "9")
    assert (await first.describe()).versions == ("1", "2", "3")


async def test_a_file_holds_so_many_keks_and_no_more(path: Path) -> None:
    kek = await ready_kek(path)
    for _ in range(VERSIONS_MAX - 1):
        await kek.rotate()

    with pytest.raises(KeyFileRefused):
        await kek.rotate()


def test_the_default_cost_is_not_cheap() -> None:
    assert key_file.KeyFileCost() == key_file.KeyFileCost(4, 256 * 1024 * 1024)
    assert timedelta(hours=1) > SHARES_WAIT
