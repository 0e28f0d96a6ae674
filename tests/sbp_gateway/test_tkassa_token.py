"""T-Kassa's signature: its rule word by word, and the same as another's client makes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tbank.acquiring.signing import build_token

from pci.secret import Secret
from sbp_gateway.tkassa_links import is_tkassa_link, link_id, payment_id_of
from sbp_gateway.tkassa_token import is_signed, token_of

PASSWORD = Secret("пароль")
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


def test_the_rule_word_by_word() -> None:
    fields = {"TerminalKey": "T", "Amount": 100, "Recurrent": True, "Token": "old", "DATA": {"QR": "true"}, "L": [1]}

    assert token_of(fields, Secret("p")) == hashlib.sha256(b"100" + b"p" + b"true" + b"T").hexdigest()


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), scalars | st.lists(scalars) | st.dictionaries(st.text(), scalars))
)
def test_it_is_the_signature_of_a_client_written_by_others(fields: dict[str, Any]) -> None:
    assert token_of(fields, PASSWORD) == build_token(fields, PASSWORD.expose())


def test_a_changed_field_or_a_missing_token_is_noticed() -> None:
    fields: dict[str, Any] = {"Amount": 100, "OrderId": "1"}
    signed = fields | {"Token": token_of(fields, PASSWORD)}

    assert is_signed(signed, PASSWORD)
    assert not is_signed(signed | {"Amount": 1000}, PASSWORD)
    assert not is_signed(signed, Secret("another"))
    assert not is_signed(fields, PASSWORD)
    assert not is_signed(fields | {"Token": None}, PASSWORD)
    assert not is_signed(fields | {"Token": "ж"}, PASSWORD)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**20 - 1).map(str))
def test_a_payment_and_its_link_name_each_other(payment_id: str) -> None:
    assert is_tkassa_link(link_id(payment_id))
    assert payment_id_of(link_id(payment_id)) == payment_id
    assert len(link_id(payment_id)) == 32


@pytest.mark.parametrize("payment_id", ["", "0", "01", "-1", "1" * 21, "1a", "١", " 1"])
def test_what_is_no_payment_id_makes_no_link(payment_id: str) -> None:
    with pytest.raises(ValueError):
        link_id(payment_id)


@pytest.mark.parametrize("qrc_id", ["AD10000000000000000000000000TEST", "TKZ" + "0" * 28, "TKZ" + "A" * 29, ""])
def test_a_link_of_nspks_is_not_taken_for_one_of_tkassas(qrc_id: str) -> None:
    assert not is_tkassa_link(qrc_id)
