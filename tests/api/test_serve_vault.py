"""The vault as it runs: who is let in, what it has, and how it starts sealed, dies and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.errors import VaultNotNamed, VaultRefused, VaultUnavailable, VaultUnknown
from api.sandbox_certificates import LIFE, RENEW_BEFORE, signed, write_pair
from api.vault_certificates import ROLE_NAME, LinkCertificates, VaultCertificates, make_vault_certificates
from api.vault_client import VaultClient
from api.vault_tls import client_context
from ledger.clock import machine_now
from tests.api.vault_process import WAIT_SECONDS_MAX, VaultProcess, vault_process

pytestmark = pytest.mark.faults

MERCHANT = "mer_01kaqz5vq8fpn9m9q4e6xw2v5c"


@pytest.fixture
def vault(vault_database: Any, tmp_path: Path) -> Iterator[VaultProcess]:
    with vault_process(vault_database.vault_url, tmp_path) as running:
        running.until_alive()
        yield running


def made_by(vault: VaultProcess, name: str, *names: str, now: Any = None) -> LinkCertificates:
    """A certificate that the vault's own authority vouches for, with other names or another time."""
    folder = vault.certificates.folder
    authority = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    authority_key: Any = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = signed(
        name, key, authority, authority_key, now or machine_now(),
        names=[x509.UniformResourceIdentifier(one) for one in names], uses=[ExtendedKeyUsageOID.CLIENT_AUTH],
    )  # fmt: skip
    write_pair(folder, name, certificate, key)
    return VaultCertificates(folder).of(name)


def test_the_api_and_the_worker_are_answered_and_nobody_else(vault: VaultProcess, tmp_path: Path) -> None:
    for role in ("api", "worker"):
        with vault.client(vault.link(role)) as ours:
            assert ours.get("/readyz").json() == {"status": "ready"}

    foreign = make_vault_certificates(tmp_path / "foreign", now=machine_now())
    believing = LinkCertificates(vault.link().ca, foreign.of("api").certificate, foreign.of("api").key)
    expired = made_by(vault, "expired", ROLE_NAME + "api", now=machine_now() - LIFE - timedelta(days=1))
    without = ssl.create_default_context(cafile=str(vault.link().ca))
    for stranger in (client_context(believing), client_context(expired), without):
        with pytest.raises((httpx.TransportError, ssl.SSLError)), vault.client(context=stranger) as client:
            client.get("/readyz")


@pytest.mark.parametrize(
    "names",
    [(ROLE_NAME + "vault",), (ROLE_NAME + "api2",), ("urn:other:role:api",), (ROLE_NAME + "api", ROLE_NAME + "worker")],
)
def test_a_certificate_of_ours_with_another_role_gets_nothing(vault: VaultProcess, names: tuple[str, ...]) -> None:
    with vault.client(made_by(vault, "other", *names)) as client:
        refused = client.get("/readyz")

    assert (refused.status_code, refused.json()["code"]) == (403, "vault.peer_unknown")


def test_tls_older_than_1_2_is_not_spoken(vault: VaultProcess) -> None:
    old = client_context(vault.link())
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((httpx.TransportError, ssl.SSLError)), vault.client(context=old) as client:
        client.get("/readyz")


def test_the_service_listener_has_no_form_and_the_origin_has_no_service(vault: VaultProcess) -> None:
    with vault.client() as ours:
        assert ours.get("/card-forms/x").status_code == 404
    assert httpx.get(f"{vault.origin}/card-keys", timeout=60).status_code == 404
    assert httpx.get(f"{vault.origin}/merchants/{MERCHANT}/cards", timeout=60).status_code == 404


def test_the_vault_keeps_no_memory_dump_and_has_no_way_into_the_books(vault: VaultProcess) -> None:
    assert vault.process is not None
    limits = Path(f"/proc/{vault.process.pid}/limits").read_text()

    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    if os.geteuid() == 0:  # its memory and environment are closed to everybody else
        assert "KOPEYKA_DATABASE_URL" not in psutil.Process(vault.process.pid).environ()


def test_certificates_are_kept_and_renewed_in_time_and_keys_are_ours_alone(tmp_path: Path) -> None:
    now = machine_now()
    made = make_vault_certificates(tmp_path / "c", now=now)
    before = made.of("api").certificate.read_bytes()

    make_vault_certificates(tmp_path / "c", now=now)
    assert made.of("api").certificate.read_bytes() == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "c").glob("*.key")} == {0o400}
    assert set(made.ends()) == {"authority", "vault", "api", "worker", "operator"}
    make_vault_certificates(tmp_path / "c", now=now + LIFE - RENEW_BEFORE + timedelta(seconds=1))
    assert made.of("api").certificate.read_bytes() != before


UNFIT = [
    pytest.param({"KOPEYKA_VAULT_DATABASE_URL": ""}, "KOPEYKA_VAULT_DATABASE_URL", id="no database"),
    pytest.param({"KOPEYKA_DATABASE_URL": "postgresql://x/y"}, "must not reach the books", id="a way into the books"),
    pytest.param({"KOPEYKA_VAULT_CA_FILE": ""}, "mutual TLS only", id="nobody to vouch for callers"),
    pytest.param({"KOPEYKA_VAULT_KEK_FILE": ""}, "KOPEYKA_VAULT_KEK_FILE", id="no key file"),
    pytest.param({"KOPEYKA_VAULT_HOST": "0.0.0.0"}, "plain HTTP on this machine only", id="plain HTTP for the world"),
    pytest.param(
        {"KOPEYKA_MODE": "production", "KOPEYKA_VAULT_PUBLIC_URL": "https://v.example"},
        "unset KOPEYKA_VAULT_KEK_PASSPHRASE", id="a passphrase in production",
    ),
    pytest.param({"KOPEYKA_MODE": "production"}, "https://", id="no TLS for buyers in production"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "said"), UNFIT)
def test_an_unfit_vault_does_not_start_and_says_why(
    vault_database: Any, tmp_path: Path, extra: dict[str, str], said: str
) -> None:
    with vault_process(vault_database.vault_url, tmp_path, **extra) as vault:
        assert vault.process is not None
        assert vault.process.wait(WAIT_SECONDS_MAX) == 1
        assert said in vault.log()
        assert "Traceback" not in vault.log()


async def test_a_sealed_vault_answers_503_and_never_hangs(vault_database: Any, tmp_path: Path) -> None:
    with vault_process(vault_database.vault_url, tmp_path) as first:
        first.until_alive()
    with vault_process(vault_database.vault_url, tmp_path, KOPEYKA_VAULT_KEK_PASSPHRASE="") as sealed:
        sealed.until_alive()
        client = VaultClient(sealed.url, sealed.link())
        with pytest.raises(VaultUnavailable) as refused:
            await client.call("GET", "/card-keys")
        assert refused.value.code == "keys.sealed"
        with pytest.raises(VaultRefused):  # masks are still told of: there is none
            await client.call("GET", f"/merchants/{MERCHANT}/cards/tok_{'a' * 25}")
        await client.close()


async def test_a_vault_that_is_killed_under_requests_comes_back(vault: VaultProcess) -> None:
    client = VaultClient(vault.url, vault.link(), seconds_max=3)
    stop = asyncio.Event()
    seen: list[str] = []

    async def ask(number: int) -> None:
        while not stop.is_set():
            try:
                wanted = {"merchant_id": MERCHANT, "origin": "https://shop.example"}
                await client.call("POST", "/card-sessions", wanted, idempotency_key=f"order-{number}")
                seen.append("answered")
            except (VaultUnavailable, VaultUnknown) as lost:
                seen.append(lost.code)
                await asyncio.sleep(0.05)

    asking = [asyncio.create_task(ask(number)) for number in range(4)]
    await asyncio.sleep(0.5)
    vault.kill()
    seen.clear()
    await asyncio.sleep(0.3)
    vault.start()
    await asyncio.to_thread(vault.until_alive)
    answered = len(seen)
    for _ in range(600):
        if "answered" in seen[answered:]:
            break
        await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*asking)
    await client.close()

    assert "answered" in seen[answered:]
    assert set(seen) <= {"answered", "vault.unavailable", "vault.unknown"}


async def test_a_vault_that_is_not_there_or_not_named_is_said_so_at_once(tmp_path: Path) -> None:
    made = make_vault_certificates(tmp_path / "c", now=machine_now())

    away = VaultClient("https://127.0.0.1:9", made.of("api"))
    with pytest.raises(VaultUnavailable):
        await away.call("POST", "/card-sessions", {})
    await away.close()
    with pytest.raises(VaultNotNamed):
        await VaultClient("", None).call("GET", "/card-keys")


async def test_a_server_that_is_not_our_vault_is_told_nothing(vault: VaultProcess, tmp_path: Path) -> None:
    other = make_vault_certificates(tmp_path / "other", now=machine_now()).of("api")

    client = VaultClient(vault.url, LinkCertificates(other.ca, vault.link().certificate, vault.link().key))

    with pytest.raises(VaultUnavailable):
        await client.call("POST", "/card-sessions", {})
    await client.close()


def test_the_vault_runs_alone_under_its_supervisor(vault_database: Any, tmp_path: Path) -> None:
    file = tmp_path / "runtime.json"
    command = [sys.executable, "-m", "api.cli.main", "up", "--role", "vault", "--runtime-file", str(file)]
    given = os.environ | {"KOPEYKA_VAULT_DATABASE_URL": vault_database.vault_url, "TMPDIR": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=given, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not file.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        told = json.loads(file.read_text())
        assert set(told["pids"]) == {"supervisor", "vault"}
        assert set(told["urls"]) == {"vault", "card_form"}
        assert httpx.get(told["urls"]["card_form"] + "/livez", timeout=60).status_code == 200
        environment = psutil.Process(told["pids"]["vault"][0]).environ() if os.geteuid() == 0 else {}
        assert not [name for name in environment if name.endswith("DATABASE_URL") and "_VAULT_DATABASE" not in name]
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS_MAX)


def test_the_role_vault_needs_its_database() -> None:
    command = [sys.executable, "-m", "api.cli.main", "up", "--role", "vault"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS_MAX)

    assert (refused.returncode, "KOPEYKA_VAULT_DATABASE_URL" in refused.stderr) == (1, True)
