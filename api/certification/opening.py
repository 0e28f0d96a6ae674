"""A bench put together: what the till calls with, its line, our emulator where no till is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from api.certification.access import TillAccess
from api.certification.bench import Bench
from api.certification.emulator import TillEmulator, open_emulator
from api.certification.proxy import open_proxy
from api.contracts.koshelek_pay.entrance import BASE
from api.data_dir import StartRefused
from ledger.ids import new_secret
from pci.secret import Secret

PATIENCE_SECONDS = 15.0
"""How long a till may take for one step, when nobody says otherwise."""
CALL_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class House:
    """Our sandbox, as a run reaches it."""

    api_url: str
    simulators_url: str
    api_key: Secret


@dataclass(frozen=True, slots=True)
class TillUnderTest:
    """Whose program is tried."""

    url: str
    """Where its cashier is told what to do."""
    line: tuple[str, int]
    """Where its line begins: what it has as the contract's address."""
    postback_password: Secret | None
    """What its host lets postbacks in by; none if it has no host."""


@asynccontextmanager
async def open_bench(
    house: House, terminal_id: str, till: TillUnderTest | None, patience_seconds: float = PATIENCE_SECONDS,
    kind: type[TillEmulator] = TillEmulator,
) -> AsyncIterator[tuple[Bench, str]]:  # fmt: skip
    """The bench while the block runs, and the merchant whose till it is. Without ``till`` our emulator stands on it.

    Raises: StartRefused if the sandbox does not know the terminal.
    """
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        host, port = ("127.0.0.1", 0) if till is None else till.line
        proxy = await stack.enter_async_context(open_proxy(house.api_url, host, port))
        access, merchant_id = await access_of(http, house, terminal_id, is_issued=till is None)
        access = replace(access, base_url=f"{proxy.url}{BASE}/{merchant_id}")
        if till is None:
            url, has_host = await stack.enter_async_context(open_emulator(access, kind)), True
        else:
            url, has_host = till.url, till.postback_password is not None
            access = replace(access, postback_password=till.postback_password or access.postback_password)
        yield Bench(
            access, proxy, http, url, house.api_url, house.simulators_url, patience_seconds, has_host
        ), merchant_id  # fmt: skip


async def access_of(
    http: aiohttp.ClientSession, house: House, terminal_id: str, *, is_issued: bool
) -> tuple[TillAccess, str]:
    """What a till calls with, and whose it is; the emulator gets a new key of the till. Raises: StartRefused."""
    premises = await ask(http, house, "GET", f"/v1/terminals/{terminal_id}/premises")
    fingerprint, secret = "", ""
    if is_issued:
        key = await ask(http, house, "POST", f"/v1/terminals/{terminal_id}/keys")
        shown = await ask(http, house, "GET", f"/v1/terminals/{terminal_id}/keys/{key['id']}/secret")
        fingerprint, secret = key["fingerprint"], shown["secret"]
    access = TillAccess(
        "", premises["merchant_id"], house.api_key, premises["store_id"], terminal_id, fingerprint, Secret(secret),
        Secret(new_secret("")),
    )  # fmt: skip
    return access, premises["merchant_id"]


async def ask(http: aiohttp.ClientSession, house: House, method: str, path: str) -> Any:
    """One call of our own API. Raises: StartRefused with what it says."""
    headers = {"authorization": f"Bearer {house.api_key.expose()}", "idempotency-key": new_secret("certify-")}
    body: dict[str, Any] | None = {} if method == "POST" else None
    async with http.request(method, house.api_url + path, json=body, headers=headers) as answer:
        told = await answer.json(content_type=None)
        if answer.status not in (200, 201):
            raise StartRefused(f"{path}: {told.get('detail') or told.get('title') or answer.status}")
        return told
