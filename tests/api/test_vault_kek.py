"""Which keeper of the KEK a vault starts with, and which it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.data_dir import StartRefused
from api.serve_vault import opened
from api.vault_kek import BANNER, open_keeper
from pci.keys import key_file
from pci.keys.kek_openbao import TransitKek
from pci.keys.kek_pkcs11 import DeviceKek
from tests.vault_world import CHEAP, PASSPHRASE
from tokenization.settings import KeyKeeper, VaultSettings


def settings(path: Path | None = None, **other: Any) -> VaultSettings:
    return VaultSettings(kek_file=path, **other)


def key_file_at(path: Path, context: str = "kopeyka|test") -> Path:
    key_file.write(path, key_file.new_file(PASSPHRASE.expose().encode(), context=context, cost=CHEAP))
    return path


async def test_a_sandbox_opens_its_file_by_a_passphrase_and_says_that_this_is_not_for_production(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    path = key_file_at(tmp_path / "kek.json")

    kek = await open_keeper(settings(path, kek_passphrase=PASSPHRASE.expose()), said.append)

    assert (kek.seal_state.is_ready, said) == (True, [BANNER])


async def test_without_a_passphrase_it_starts_sealed(tmp_path: Path) -> None:
    kek = await open_keeper(settings(key_file_at(tmp_path / "kek.json", "kopeyka|live"), mode="production"), print)

    assert str(kek.seal_state) == "sealed"


REFUSALS: dict[str, dict[str, Any]] = {
    "a passphrase in production": {"mode": "production", "kek_passphrase": "x", "context": "kopeyka|live"},
    "a test key in production": {"mode": "production", "context": "kopeyka|test"},
    "a live key in a sandbox": {"context": "kopeyka|live"},
    "a wrong passphrase": {"kek_passphrase": "wrong"},
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_it_does_not_start(tmp_path: Path, name: str) -> None:
    given = dict(REFUSALS[name])
    path = key_file_at(tmp_path / "kek.json", given.pop("context", "kopeyka|test"))

    with pytest.raises(StartRefused) as refused:
        await open_keeper(settings(path, **given), lambda _: None)
    assert "wrong" not in str(refused.value)


async def test_a_file_among_the_databases_is_refused(tmp_path: Path) -> None:
    path = key_file_at(tmp_path / "kek.json")
    with pytest.raises(StartRefused, match="beside the database"):
        await open_keeper(settings(path), lambda _: None, apart_from=[tmp_path])


KEEPERS: dict[KeyKeeper, tuple[type, dict[str, str]]] = {
    KeyKeeper.PKCS11: (DeviceKek, {"pkcs11_module": "m.so", "pkcs11_token": "t", "pkcs11_pin": "1234"}),
    KeyKeeper.OPENBAO: (TransitKek, {"openbao_url": "https://bao.example", "openbao_token": "s.x"}),
}


@pytest.mark.parametrize("keeper", KEEPERS)
async def test_a_device_or_a_service_is_chosen_by_settings_and_missing_ones_are_named(keeper: KeyKeeper) -> None:
    kind, given = KEEPERS[keeper]

    assert isinstance(await open_keeper(settings(kek_provider=keeper, **given), print), kind)
    for name in given:
        with pytest.raises(StartRefused, match=f"KOPEYKA_VAULT_{name.upper()}"):
            await open_keeper(settings(kek_provider=keeper, **(given | {name: ""})), print)


async def test_openbao_over_a_network_in_the_clear_is_refused() -> None:
    chosen = settings(kek_provider=KeyKeeper.OPENBAO, openbao_url="http://bao.example", openbao_token="t")
    with pytest.raises(StartRefused, match="HTTPS"):
        await open_keeper(chosen, print)


@pytest.mark.parametrize("given", ["kek_apart_from", "files_dir"])
async def test_the_vault_does_not_start_on_a_key_among_copies_of_the_database(tmp_path: Path, given: str) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    folder: Any = copies if given == "files_dir" else str(copies)
    chosen = settings(key_file_at(copies / "kek.json", "kopeyka|test"), **{given: folder})

    with pytest.raises(StartRefused, match="beside the database"):
        async with opened(chosen):
            pass
