"""One contract for every keeper of a KEK: a key file, a device, a service."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pci.errors import Unavailable
from pci.keys.errors import ProviderUnavailable, SealBroken
from pci.keys.kek_openbao import TransitKek, TransitKekTerms
from pci.keys.kek_pkcs11 import DeviceKek
from pci.secret import Secret
from tests.pci.keys.keepers import PATIENCE_SECONDS, BaoKeeper, DeviceKeeper, Keeper, file_keeper

KEY = bytes(range(32))
AAD = b"key|1|card|mer_1|1|test"


@pytest_asyncio.fixture(params=["file", "pkcs11", "openbao"])
async def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Keeper]:
    """A keeper with one KEK in it."""
    made = await make(request, tmp_path)
    yield made
    await made.close()


async def make(request: pytest.FixtureRequest, tmp_path: Path) -> Keeper:
    if request.param == "file":
        return await file_keeper(tmp_path)
    name = f"test-{secrets.token_hex(4)}"
    if request.param == "pkcs11":
        device = DeviceKek(dataclasses.replace(request.getfixturevalue("token"), key=name))
        await device.rotate()
        return DeviceKeeper(device)
    server = request.getfixturevalue("bao_server")
    bao = TransitKek(TransitKekTerms(server.url, Secret(server.token), name, timeout_seconds=PATIENCE_SECONDS))
    await bao.create()
    return BaoKeeper(server, bao)


async def test_what_is_wrapped_opens(keeper: Keeper) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)

    assert KEY not in wrapped.blob
    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == KEY
    assert (await keeper.kek.wrap(KEY, AAD)).blob != wrapped.blob


async def test_a_long_key_is_wrapped_too(keeper: Keeper) -> None:
    key = secrets.token_bytes(1_024)
    wrapped = await keeper.kek.wrap(key, AAD)

    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == key


async def test_it_is_ready_and_says_what_it_is(keeper: Keeper) -> None:
    said = await keeper.kek.describe()

    assert (said.provider, said.algorithm, said.version, said.versions) == (keeper.kek.name, "aes-256-gcm", "1", ("1",))
    assert keeper.kek.seal_state.is_ready
    assert said.is_for_production is (keeper.kek.name != "file")


async def test_another_row_does_not_open_it(keeper: Keeper) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)

    with pytest.raises(SealBroken):
        await keeper.kek.unwrap(wrapped.blob, AAD.replace(b"mer_1", b"mer_2"), wrapped.version)
    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == KEY


@pytest.mark.parametrize("place", [0, 15, -1])
async def test_a_changed_byte_is_noticed(keeper: Keeper, place: int) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)
    changed = bytearray(wrapped.blob)
    changed[place] ^= 1

    with pytest.raises(SealBroken):
        await keeper.kek.unwrap(bytes(changed), AAD, wrapped.version)


@pytest.mark.parametrize("blob", [b"", b"x", b"vault:v1:", b"x" * 60])
async def test_rubbish_does_not_open(keeper: Keeper, blob: bytes) -> None:
    with pytest.raises(SealBroken):
        await keeper.kek.unwrap(blob, AAD, "1")


async def test_an_old_version_opens_after_a_rotation_and_the_new_one_wraps(keeper: Keeper) -> None:
    old = await keeper.kek.wrap(KEY, AAD)

    version = await keeper.kek.rotate()
    new = await keeper.kek.wrap(KEY, AAD)

    assert (old.version, version, new.version) == ("1", "2", "2")
    assert await keeper.kek.unwrap(old.blob, AAD, "1") == await keeper.kek.unwrap(new.blob, AAD, "2") == KEY
    assert (await keeper.kek.describe()).versions == ("1", "2")


async def test_the_wrong_version_does_not_open(keeper: Keeper) -> None:
    old = await keeper.kek.wrap(KEY, AAD)
    await keeper.kek.rotate()

    for version in ("2", "9"):
        with pytest.raises(SealBroken):
            await keeper.kek.unwrap(old.blob, AAD, version)


async def test_a_version_that_was_destroyed_opens_nothing(keeper: Keeper) -> None:
    old = await keeper.kek.wrap(KEY, AAD)
    await keeper.kek.rotate()
    new = await keeper.kek.wrap(KEY, AAD)

    await keeper.forget("1")

    with pytest.raises(SealBroken):
        await keeper.kek.unwrap(old.blob, AAD, "1")
    assert await keeper.kek.unwrap(new.blob, AAD, "2") == KEY
    assert (await keeper.kek.describe()).versions == ("2",)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # python-pkcs11's own, in a lost session
async def test_one_that_went_away_is_unavailable_and_comes_back(keeper: Keeper) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)
    await keeper.stop()

    with pytest.raises(Unavailable):
        await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version)

    await keeper.restart()
    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == KEY


async def test_one_that_never_answers_is_unavailable_in_seconds(keeper: Keeper) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)
    await keeper.slow()

    with pytest.raises(ProviderUnavailable):
        await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version)

    await keeper.restart()
    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == KEY


async def test_keys_survive_a_restart(keeper: Keeper) -> None:
    wrapped = await keeper.kek.wrap(KEY, AAD)
    await keeper.kek.rotate()

    await keeper.restart()

    assert await keeper.kek.unwrap(wrapped.blob, AAD, wrapped.version) == KEY
    assert (await keeper.kek.wrap(KEY, AAD)).version == "2"
