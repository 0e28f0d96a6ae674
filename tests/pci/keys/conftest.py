"""Keepers that live as long as the run of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pci.keys.kek_pkcs11 import DeviceTerms
from tests.pci.keys.keepers import BaoServer, new_token, start_bao


@pytest.fixture(scope="session")
def bao_server() -> Iterator[BaoServer]:
    """One OpenBao server; each test has a key of its own in it."""
    server = start_bao()
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> DeviceTerms:
    """One SoftHSM token, because a process sees only those of its first call; each test has a key of its own in it."""
    return new_token(tmp_path_factory.mktemp("softhsm"), "kopeyka-tests")
