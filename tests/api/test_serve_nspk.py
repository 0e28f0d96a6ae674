"""NSPK's own door: a certificate of its authority, or nothing."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.data_dir import StartRefused
from api.sandbox_certificates import SandboxCertificates, make_certificates
from api.serve import LISTEN_FD, listening_socket
from api.serve_nspk import config_of
from api.settings import Settings
from ledger.clock import machine_now
from sbp_gateway.tls import Certificates, client_context
from tests.processes import start

NOTIFICATION = "/nspk/payment/v2/qrc/notification"
SAID = {"qrcId": "A" * 32, "trxId": "B" * 32, "status": "ACWP", "amount": 1, "timestamp": "2026-11-22T09:00:00Z"}


@dataclass(frozen=True)
class NspkDoor:
    """Where it is, and the certificates of its world."""

    url: str
    certificates: SandboxCertificates

    def post(self, path: str, certificates: Certificates) -> httpx.Response:
        with httpx.Client(base_url=self.url, verify=client_context(certificates), timeout=60) as client:
            return client.post(path, json=SAID)


@pytest.fixture
def door(database: Any, tmp_path: Path) -> Iterator[NspkDoor]:
    made = make_certificates(tmp_path / "certificates", now=machine_now())
    with listening_socket("127.0.0.1", 0) as listener:
        told = {
            LISTEN_FD: str(listener.fileno()),
            "KOPEYKA_DATABASE_URL": database.app_url,
            "KOPEYKA_NSPK_URL": "http://127.0.0.1:9",
            "KOPEYKA_NSPK_CA_FILE": str(made.agent.ca),
            "KOPEYKA_NSPK_NOTIFICATIONS_CERT_FILE": str(made.agent.certificate),
            "KOPEYKA_NSPK_NOTIFICATIONS_KEY_FILE": str(made.agent.key),
            "KOPEYKA_NSPK_NOTIFICATIONS_PORT": "0",
            "KOPEYKA_LOG_LEVEL": "error",
        }
        process = start("api.serve_nspk", environment=os.environ | told, pass_fds=[listener.fileno()])
        yield NspkDoor(f"https://127.0.0.1:{listener.getsockname()[1]}", made)
        process.terminate()
        process.wait(60)


def test_nspk_is_heard_and_nobody_else(door: NspkDoor, tmp_path: Path) -> None:
    heard = door.post(NOTIFICATION, door.certificates.nspk)
    assert (heard.status_code, heard.json()["code"]) == (503, "sbp_gateway.nspk_unavailable")  # it asked NSPK back
    assert door.post("/v1/orders", door.certificates.nspk).status_code == 404

    foreign = make_certificates(tmp_path / "foreign", now=machine_now()).agent
    for stranger in (
        Certificates(ca=door.certificates.agent.ca),
        Certificates(door.certificates.agent.ca, foreign.certificate, foreign.key),
    ):
        with pytest.raises((httpx.TransportError, ssl.SSLError)) as refused:
            door.post(NOTIFICATION, stranger)
        assert not isinstance(refused.value, httpx.TimeoutException), "a stranger was left waiting"


async def test_the_open_door_then_takes_no_notifications(database: Any) -> None:
    settings = Settings(database_url=SecretStr(database.app_url), nspk_notifications_port=0, log_level="error")
    transport = httpx.ASGITransport(create_app(settings), raise_app_exceptions=False)

    async with httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as client:
        assert (await client.post(NOTIFICATION, json=SAID)).status_code == 404
        assert (await client.get("/livez")).status_code == 200


def test_a_door_that_could_check_nobody_is_not_opened() -> None:
    with pytest.raises(StartRefused, match="KOPEYKA_NSPK_CA_FILE"):
        config_of(Settings(nspk_notifications_port=0))
