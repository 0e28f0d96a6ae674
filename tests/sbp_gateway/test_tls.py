"""What reaches NSPK without mutual TLS is refused, in words that say what to set."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from sbp_gateway.errors import NspkAddressRefused
from sbp_gateway.tls import Certificates, context_for

NONE = Certificates()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://[::1]:1", "http://localhost:1"])
def test_a_sandbox_may_talk_plainly_on_its_own_machine(url: str) -> None:
    assert context_for(url, NONE, is_sandbox=True) is None


@pytest.mark.parametrize(
    ("url", "is_sandbox", "said"),
    [
        ("http://127.0.0.1:8000", False, "https://"),
        ("http://nspk.test", True, "https://"),
        ("http://127.0.0.1.nspk.test", True, "https://"),
        ("http://0.0.0.0:1", True, "https://"),
        ("ftp://127.0.0.1", True, "https://"),
        ("nspk.test", True, "https://"),
        ("https://nspk.test", False, "KOPEYKA_NSPK_CA_FILE, KOPEYKA_NSPK_CERT_FILE and KOPEYKA_NSPK_KEY_FILE"),
    ],
)
def test_other_ways_are_refused(url: str, is_sandbox: bool, said: str) -> None:
    with pytest.raises(NspkAddressRefused, match=said):
        context_for(url, NONE, is_sandbox=is_sandbox)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NspkAddressRefused, match="set both"):
        context_for("https://nspk.test", Certificates(certificate=tmp_path / "c.pem"), is_sandbox=True)


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_files_that_are_no_certificates_are_refused_without_their_content(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(NspkAddressRefused, match="cannot be used") as refused:
        context_for("https://nspk.test", Certificates(path, path, path), is_sandbox=False)
    assert "AAAA" not in str(refused.value)


def test_servers_are_always_checked_and_old_tls_is_never_spoken() -> None:
    context = context_for("https://nspk.test", NONE, is_sandbox=True)

    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
