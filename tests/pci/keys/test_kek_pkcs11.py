"""The device: its KEK cannot leave, and many threads do not end the process."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pkcs11
import pytest
from pkcs11.exceptions import AttributeSensitive

from pci.keys.errors import KekRefused, ProviderUnavailable
from pci.keys.kek_pkcs11 import DeviceKek, DeviceTerms
from pci.secret import Secret

ROOT = Path(__file__).parents[3]
EIGHT_THREADS = """
import asyncio, concurrent.futures, sys
from pci.keys.kek_pkcs11 import DeviceKek, DeviceTerms
from pci.secret import Secret

async def main(module, token, pin, key):
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(8))
    kek = DeviceKek(DeviceTerms(module, token, Secret(pin), key))
    async def pairs(number):
        for turn in range(50):
            plain, aad = bytes([number]) * 32, str(turn).encode()
            wrapped = await kek.wrap(plain, aad)
            assert await kek.unwrap(wrapped.blob, aad, wrapped.version) == plain
        return 50
    print(sum(await asyncio.gather(*map(pairs, range(8)))), "pairs")

asyncio.run(main(*sys.argv[1:]))
"""


async def ready(token: DeviceTerms) -> DeviceKek:
    device = DeviceKek(dataclasses.replace(token, key=f"test-{secrets.token_hex(4)}"))
    await device.rotate()
    return device


async def test_eight_threads_on_one_device_do_not_end_the_process(token: DeviceTerms) -> None:
    """Session per thread on SoftHSM 2.6 is a segmentation fault; a fault here would be one of ours."""
    device = await ready(token)
    await device.close()

    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", EIGHT_THREADS, token.module, token.token, token.pin.expose(), device.terms.key],
        capture_output=True, text=True, timeout=100, cwd=ROOT, env=dict(os.environ), check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (0, "400 pairs\n"), ran.stderr


async def test_the_kek_cannot_be_read_out(token: DeviceTerms) -> None:
    device = await ready(token)
    key = device._find("1")

    with pytest.raises(AttributeSensitive):
        key[pkcs11.Attribute.VALUE]
    await device.close()


async def test_a_kek_that_could_leave_its_device_is_refused(token: DeviceTerms) -> None:
    device = await ready(token)
    device.session.generate_key(
        pkcs11.KeyType.AES, 256, label=f"{device.terms.key}-2", store=True,
        template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
    )  # fmt: skip

    with pytest.raises(KekRefused):
        await device.wrap(b"k" * 32, b"")
    await device.close()


REFUSALS = {
    "another pin": {"pin": Secret("0000")},
    "no such token": {"token": "nowhere"},
    "no such library": {"module": "/usr/lib/nothing.so"},
}


@pytest.mark.parametrize("change", REFUSALS)
async def test_a_device_that_cannot_be_opened_is_unavailable(token: DeviceTerms, change: str) -> None:
    device = DeviceKek(dataclasses.replace(token, **REFUSALS[change]))

    with pytest.raises(ProviderUnavailable):
        await device.describe()


async def test_a_device_without_a_kek_says_so(token: DeviceTerms) -> None:
    device = DeviceKek(dataclasses.replace(token, key="nothing"))

    with pytest.raises(KekRefused):
        await device.wrap(b"k" * 32, b"")
    await device.close()


async def test_the_kek_that_wraps_is_not_destroyed(token: DeviceTerms) -> None:
    device = await ready(token)

    with pytest.raises(KekRefused):
        await device.forget("1")
    await device.close()
