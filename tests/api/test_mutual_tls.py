"""NSPK's simulator over real mutual TLS, in a process of its own."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from api.sandbox_certificates import LIFE, RENEW_BEFORE, SandboxCertificates, make_certificates
from api.serve import LISTEN_FD, listening_socket
from api.simulators_tls import CERTIFICATES, TLS_LISTEN_FD
from ledger.clock import machine_now
from ledger.money import Kopecks
from sbp_gateway.errors import NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import OperationStatus, Registration
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.tls import Certificates, context_for
from tests.processes import start

GRACE_SECONDS = 3
"""That each server gives to calls under way."""
WANTED = Registration("MA0000000001", "100000000999", "4" * 20, Kopecks(149_990), 15, "Order 1")


@dataclass(frozen=True)
class Simulator:
    """Where it is reached, and by which certificates."""

    plain: str
    tls: str
    certificates: SandboxCertificates

    def adapter(self, certificates: Certificates) -> NspkHttp:
        tls = context_for(self.tls, certificates, is_sandbox=True)
        assert tls is not None
        return NspkHttp(NspkTransport(self.tls, tls), "A00000000001")

    def links(self) -> int:
        return int(httpx.get(f"{self.plain}/simulator/summary", timeout=60).json()["links"])

    def pay(self, qrc_id: str) -> None:
        httpx.post(f"{self.plain}/simulator/payers/pay", json={"qrc_id": qrc_id}, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder = tmp_path_factory.mktemp("tls") / "certificates"
    with listening_socket("127.0.0.1", 0) as plain, listening_socket("0.0.0.0", 0) as tls:
        made = {LISTEN_FD: str(plain.fileno()), TLS_LISTEN_FD: str(tls.fileno()), CERTIFICATES: str(folder)}
        process = start("api.simulators", environment=os.environ | made, pass_fds=[plain.fileno(), tls.fileno()])
        ports = plain.getsockname()[1], tls.getsockname()[1]
        found = Simulator(f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}", SandboxCertificates(folder))
        assert found.links() == 0
        yield found
        process.terminate()
        began = time.monotonic()
        process.wait(60)
        assert time.monotonic() - began < 2 * GRACE_SECONDS, "both servers end together"


@pytest.fixture
def foreign(tmp_path: Path) -> SandboxCertificates:
    return make_certificates(tmp_path / "foreign", now=machine_now())


async def test_a_link_is_registered_paid_and_seen_paid(simulator: Simulator) -> None:
    adapter = simulator.adapter(simulator.certificates.agent)

    link = await adapter.register(WANTED)
    assert [found.status for found in await adapter.statuses([link.qrc_id])] == [OperationStatus.NOT_STARTED]
    simulator.pay(link.qrc_id)
    assert [found.status for found in await adapter.statuses([link.qrc_id])] == [OperationStatus.ACCEPTED]
    await adapter.close()


async def test_a_client_that_shows_nothing_is_not_served(simulator: Simulator) -> None:
    adapter = simulator.adapter(Certificates(ca=simulator.certificates.agent.ca))

    with pytest.raises((NspkUnknown, NspkUnavailable)):
        await adapter.register(WANTED)
    await adapter.close()


async def test_a_client_of_another_authority_is_not_served(simulator: Simulator, foreign: SandboxCertificates) -> None:
    adapter = simulator.adapter(replace(foreign.agent, ca=simulator.certificates.agent.ca))

    with pytest.raises((NspkUnknown, NspkUnavailable)):
        await adapter.register(WANTED)
    await adapter.close()


async def test_a_server_that_cannot_prove_itself_is_told_nothing(
    simulator: Simulator, foreign: SandboxCertificates
) -> None:
    links = simulator.links()
    adapter = simulator.adapter(replace(simulator.certificates.agent, ca=foreign.agent.ca))

    with pytest.raises(NspkUnavailable):  # nothing was sent
        await adapter.register(WANTED)
    await adapter.close()
    assert simulator.links() == links


async def test_a_server_under_another_name_is_told_nothing(simulator: Simulator) -> None:
    elsewhere = replace(simulator, tls=simulator.tls.replace("127.0.0.1", "127.0.0.2"))
    adapter = elsewhere.adapter(simulator.certificates.agent)

    with pytest.raises(NspkUnavailable, match="cannot be reached") as refused:
        await adapter.register(WANTED)
    assert refused.value.facts == {"reason": "ClientConnectorCertificateError"}
    await adapter.close()


def test_keys_are_private_and_kept_until_they_are_nearly_over(tmp_path: Path) -> None:
    now, folder = machine_now(), tmp_path / "certificates"
    make_certificates(folder, now=now)
    before = (folder / "agent.key").read_bytes()

    make_certificates(folder, now=now)
    assert (folder / "agent.key").read_bytes() == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")} == {0o600}

    make_certificates(folder, now=now + LIFE - RENEW_BEFORE + timedelta(seconds=1))
    assert (folder / "agent.key").read_bytes() != before
