"""No payout is asked for over a way that somebody can listen on."""

from __future__ import annotations

import pytest

from api.bank_address import bank_address, payout_bank_address
from api.data_dir import StartRefused
from api.settings import Mode, Settings
from api.wiring import payout_bank_of, wire
from ledger.clock import Clock
from ledger.database import Engine

NEAR, FAR, SAFE = "http://127.0.0.1:8000", "http://bank.test", "https://bank.test"


@pytest.mark.parametrize(
    ("mode", "url", "is_refused"),
    [
        pytest.param(Mode.PRODUCTION, SAFE, False, id="production over TLS"),
        pytest.param(Mode.PRODUCTION, FAR, True, id="production in the open"),
        pytest.param(Mode.PRODUCTION, NEAR, True, id="production in the open, on its own machine"),
        pytest.param(Mode.PRODUCTION, "bank.test", True, id="no address at all"),
        pytest.param(Mode.PRODUCTION, "", False, id="nothing is paid out"),
        pytest.param(Mode.SANDBOX, NEAR, False, id="a sandbox and its simulator"),
        pytest.param(Mode.SANDBOX, SAFE, False, id="a sandbox over TLS"),
        pytest.param(Mode.SANDBOX, FAR, True, id="a sandbox in the open"),
    ],
)
def test_a_bank_is_reached_plainly_only_on_the_sandboxs_own_machine(mode: Mode, url: str, is_refused: bool) -> None:
    if not is_refused:
        assert bank_address(Settings(mode=mode, bank_url=url)) == url
        assert payout_bank_address(Settings(mode=mode, bank_url=url)) == url
        assert payout_bank_address(Settings(mode=mode, payout_bank_url=url)) == url
        return
    with pytest.raises(StartRefused, match="KOPEYKA_BANK_URL must be https://"):
        bank_address(Settings(mode=mode, bank_url=url))
    with pytest.raises(StartRefused, match="KOPEYKA_PAYOUT_BANK_URL must be https://"):
        payout_bank_of(Settings(mode=mode, bank_url=SAFE, payout_bank_url=url))


async def test_no_process_is_wired_to_a_bank_in_the_open(engine: Engine) -> None:
    with pytest.raises(StartRefused, match="KOPEYKA_BANK_URL must be https://"):
        wire(Settings(bank_url=FAR), engine, Clock())
