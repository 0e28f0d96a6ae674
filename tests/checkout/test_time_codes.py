"""Time codes: the RFC's own vectors, and another's implementation of it."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.time_codes import Hash, step_of, step_that_shows, time_code

NOW = datetime(2026, 11, 22, 9, 0, 12, tzinfo=UTC)
SECRET = b"twelve kopecks and more of them!"
SEEDS: dict[str, bytes] = {
    "sha1": b"12345678901234567890",
    "sha256": b"12345678901234567890123456789012",
    "sha512": b"1234567890123456789012345678901234567890123456789012345678901234",
}


@pytest.mark.parametrize(
    ("seconds", "hash_name", "code"),
    [
        (59, "sha1", "94287082"),
        (59, "sha256", "46119246"),
        (59, "sha512", "90693936"),
        (1_111_111_109, "sha1", "07081804"),
        (1_111_111_111, "sha256", "67062674"),
        (1_234_567_890, "sha512", "93441116"),
        (20_000_000_000, "sha1", "65353130"),
        (20_000_000_000, "sha256", "77737706"),
        (20_000_000_000, "sha512", "47863826"),
    ],
)
def test_a_code_is_that_of_the_rfc(seconds: int, hash_name: Hash, code: str) -> None:
    """Source: RFC 6238, appendix B."""
    step = step_of(datetime.fromtimestamp(seconds, tz=UTC))

    assert time_code(SEEDS[hash_name], step, digits=8, hash_name=hash_name) == code


@settings(max_examples=40)
@given(
    secret=st.binary(min_size=16, max_size=64),
    at=st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, tz=UTC)),
    digits=st.sampled_from([6, 8]),
    hash_name=st.sampled_from(["sha1", "sha256", "sha512"]),
)
def test_a_code_is_that_of_another_implementation(secret: bytes, at: datetime, digits: int, hash_name: Any) -> None:
    theirs = pyotp.TOTP(b32encode(secret).decode(), digits=digits, digest=getattr(hashlib, hash_name))

    assert time_code(secret, step_of(at), digits=digits, hash_name=hash_name) == theirs.at(at)


@pytest.mark.parametrize(
    ("off", "is_known"),
    [(0, True), (-30, True), (30, True), (-60, False), (60, False)],
    ids=["now", "a step late", "a step early", "two late", "two early"],
)
def test_a_phones_clock_may_be_one_step_off(off: int, *, is_known: bool) -> None:
    shown_at = NOW + timedelta(seconds=off)
    code = time_code(SECRET, step_of(shown_at), digits=8)

    assert step_that_shows(SECRET, code, NOW) == (step_of(shown_at) if is_known else None)


def test_another_secret_shows_nothing() -> None:
    assert step_that_shows(SECRET[::-1], time_code(SECRET, step_of(NOW)), NOW) is None
