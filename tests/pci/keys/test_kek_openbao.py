"""The service: reached over HTTPS, asked again when it is busy, refused when its key could be read out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pci.keys.errors import KekRefused, ProviderUnavailable, SealBroken
from pci.keys.kek_openbao import TransitKek, TransitKekTerms, version_of
from pci.secret import Secret
from tests.pci.keys.keepers import BaoServer


@pytest_asyncio.fixture
async def kek(bao_server: BaoServer) -> AsyncIterator[TransitKek]:
    name = f"test-{secrets.token_hex(4)}"
    made = TransitKek(TransitKekTerms(bao_server.url, Secret(bao_server.token), name))
    await made.create()
    yield made
    await made.close()


async def test_an_exportable_key_is_refused(kek: TransitKek, bao_server: BaoServer) -> None:
    bao_server.call(f"transit/keys/{kek.terms.key}/config", {"exportable": True})

    with pytest.raises(KekRefused):
        await kek.describe()


async def test_a_key_of_another_kind_is_refused(bao_server: BaoServer) -> None:
    bao_server.call("transit/keys/rsa", {"type": "rsa-2048"})
    kek = TransitKek(TransitKekTerms(bao_server.url, Secret(bao_server.token), "rsa"))

    with pytest.raises(KekRefused):
        await kek.describe()
    await kek.close()


@pytest.mark.parametrize("url", ["http://bao.example:8200", "ftp://127.0.0.1", "bao.example"])
async def test_nothing_is_sent_in_the_clear_over_a_network(url: str) -> None:
    with pytest.raises(KekRefused):
        TransitKek(TransitKekTerms(url, Secret("t")))


async def test_another_token_is_refused_without_a_word_of_it(kek: TransitKek) -> None:
    stranger = TransitKek(TransitKekTerms(kek.terms.url, Secret("s.notours"), kek.terms.key))

    with pytest.raises(ProviderUnavailable) as refused:
        await stranger.wrap(b"k" * 32, b"")
    assert refused.value.facts["status"] == 403
    assert "notours" not in f"{refused.value} {refused.value.facts} {stranger!r}"
    await stranger.close()


async def test_one_that_asks_for_patience_gets_it(kek: TransitKek, bao_server: BaoServer) -> None:
    quota = f"sys/quotas/rate-limit/{kek.terms.key}"
    bao_server.call(quota, {"rate": 3, "interval": "1s", "path": f"transit/encrypt/{kek.terms.key}"})

    wrapped = [await kek.wrap(b"k" * 32, b"") for _ in range(8)]

    assert len({one.blob for one in wrapped}) == 8


async def test_patience_ends(kek: TransitKek, bao_server: BaoServer) -> None:
    quota = f"sys/quotas/rate-limit/{kek.terms.key}"
    bao_server.call(quota, {"rate": 0.001, "interval": "1h", "path": f"transit/encrypt/{kek.terms.key}"})

    await kek.wrap(b"k" * 32, b"")

    with pytest.raises(ProviderUnavailable) as refused:
        await kek.wrap(b"k" * 32, b"")
    assert refused.value.facts["status"] == 429


async def test_the_kek_that_wraps_is_not_destroyed(kek: TransitKek) -> None:
    with pytest.raises(KekRefused):
        await kek.forget("1")


async def test_the_engines_own_rewrap_would_lose_what_is_bound(kek: TransitKek, bao_server: BaoServer) -> None:
    """Why rotation decrypts and encrypts. When this fails, the engine has learnt and so may we."""
    wrapped = await kek.wrap(b"k" * 32, b"aad")
    await kek.rotate()

    with pytest.raises(OSError, match="400"):
        bao_server.call(f"transit/rewrap/{kek.terms.key}", {"ciphertext": wrapped.blob.decode()})


@pytest.mark.parametrize("text", ["", "vault:v1", "vault:vx:AA", "bao:v1:AA", "vault:1:AA"])
def test_what_is_no_ciphertext_of_the_engine_has_no_version(text: str) -> None:
    with pytest.raises(SealBroken):
        version_of(text)
