from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pci.luhn import check_digit
from pci.pan import Pan, PanMalformed, SchemeUnknown, wipe
from pci.redaction import redact
from pci.schemes import Scheme

MIR = "2200111753579001"
MASK = "220011******9001"


def test_a_card_number_shows_its_mask_and_nothing_else() -> None:
    pan = Pan(MIR)

    assert (str(pan), repr(pan), f"{pan:>40}", f"{pan!s}") == (MASK, f"Pan({MASK})", MASK, MASK)
    assert (pan.first6, pan.last4, pan.mask, pan.scheme) == ("220011", "9001", MASK, Scheme.MIR)
    assert pan.expose() == MIR
    assert redact({"it": pan, "many": [pan]}) == {"it": MASK, "many": [MASK]}
    assert json.dumps({"it": pan}, default=str) == json.dumps({"it": MASK})


def test_numbers_are_equal_by_their_digits() -> None:
    assert Pan(MIR) == Pan("2200 1117 5357 9001")
    assert Pan(MIR) != Pan("4242424242424242")
    assert Pan(MIR) != MIR
    assert len({Pan(MIR), Pan(MIR)}) == 1


@dataclass(frozen=True)
class Holder:
    pan: Pan


@pytest.mark.parametrize(
    "leak",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, lambda pan: asdict(Holder(pan)), vars, lambda pan: pan[0]],
    ids=["pickle", "copy", "deepcopy", "json", "asdict", "vars", "index"],
)
def test_nothing_takes_the_digits_by_chance(leak: object) -> None:
    with pytest.raises(TypeError) as refused:
        leak(Pan(MIR))  # type: ignore[operator]

    assert MIR not in "".join(traceback.format_exception(refused.value))


def test_a_card_number_is_no_field_of_a_model() -> None:
    with pytest.raises(TypeError, match="not a field"):

        class Body(pydantic.BaseModel):
            pan: Pan


def test_the_opened_digits_are_wiped_when_the_block_ends_however_it_ends() -> None:
    pan = Pan(MIR)
    with pan.open() as digits:
        assert digits == MIR.encode()
    assert digits == bytes(16)

    with pytest.raises(ZeroDivisionError), pan.open() as digits:
        raise ZeroDivisionError
    assert digits == bytes(16)
    assert pan.expose() == MIR


def test_a_number_that_dies_is_wiped() -> None:
    pan = Pan(MIR)
    buffer = pan._digits
    del pan

    assert buffer == bytes(16)


def test_wiping_leaves_the_length() -> None:
    buffer = bytearray(b"123")
    wipe(buffer)

    assert buffer == b"\0\0\0"


REFUSED = {
    "empty": ("", PanMalformed),
    "letters": ("2200111753579O01", PanMalformed),
    "other digits": ("٢٢٠٠111753579001", PanMalformed),
    "a wrong check digit": ("2200111753579002", PanMalformed),
    "too short": ("220011175357", PanMalformed),
    "too long": ("22001117535790010000", PanMalformed),
    "zeros": ("0000000000000000", PanMalformed),
    "a thousand digits": ("4" * 1000, PanMalformed),
    "a wrong length for Visa": ("42424242424246", PanMalformed),
    "nobody's": ("9999999999999995", SchemeUnknown),
    "not taken: Diners Club": ("30569309025904", SchemeUnknown),
    "not taken: Discover": ("6011111111111117", SchemeUnknown),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_card_number_of_ours_is_refused_without_an_echo(name: str) -> None:
    text, error = REFUSED[name]

    with pytest.raises(error) as refused:
        Pan(text)

    said = str(refused.value) + repr(refused.value.facts)
    assert not text or text not in said


def test_the_refusals_have_codes_of_their_own() -> None:
    assert (PanMalformed.code, SchemeUnknown.code) == ("vault.pan_malformed", "vault.scheme_unknown")


@given(body=st.text("0123456789", min_size=11, max_size=11), prefix=st.sampled_from(["2200", "2204", "4242", "5105"]))
def test_a_mask_never_shows_more_than_ten_digits(body: str, prefix: str) -> None:
    pan = Pan(prefix + body + check_digit(prefix + body))

    assert sum(character.isdigit() for character in pan.mask) == 10
    assert len(pan.mask) == 16
