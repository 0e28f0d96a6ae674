"""Where links are registered is settled at the start, and half a setting is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from api.nspk_address import nspk_tls, refuse_half_a_tkassa, tkassa_of
from api.settings import Mode, Settings
from sbp_gateway.errors import NspkAddressRefused
from sbp_gateway.payload import parse

SHOP: dict[str, Any] = {
    "tkassa_members": frozenset({"100000000004"}),
    "tkassa_url": "https://tkassa.test",
    "tkassa_terminal_key": "Shop",
    "tkassa_password": SecretStr("secret"),
}


def test_without_banks_of_its_own_there_is_no_tkassa() -> None:
    assert tkassa_of(Settings(**SHOP | {"tkassa_members": frozenset()}), parse) is None


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("url", ["https://tkassa.test", "http://127.0.0.1:8000"])
def test_tkassa_is_reached_plainly_only_on_the_sandboxs_own_machine(mode: Mode, url: str) -> None:
    settings = Settings(**SHOP | {"tkassa_url": url, "mode": mode})

    if url.startswith("http://") and mode is Mode.PRODUCTION:
        with pytest.raises(NspkAddressRefused, match="KOPEYKA_TKASSA_URL must be https://"):
            refuse_half_a_tkassa(settings)
    else:
        assert tkassa_of(settings, parse) is not None


@pytest.mark.parametrize(
    "missing", [{"tkassa_url": ""}, {"tkassa_terminal_key": ""}, {"tkassa_password": SecretStr("")}], ids=str
)
def test_half_a_tkassa_is_refused(missing: dict[str, Any]) -> None:
    with pytest.raises(NspkAddressRefused, match="KOPEYKA_TKASSA_") as refused:
        refuse_half_a_tkassa(Settings(**SHOP | missing, mode=Mode.PRODUCTION))
    assert "secret" not in str(refused.value)


def test_a_sandbox_without_an_address_waits_for_its_simulator() -> None:
    refuse_half_a_tkassa(Settings(tkassa_members=frozenset({"100000000004"})))
    assert nspk_tls(Settings()) is None


def test_members_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPEYKA_TKASSA_MEMBERS", '["100000000004"]')

    assert Settings().tkassa_members == {"100000000004"}
