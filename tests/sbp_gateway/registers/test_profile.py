"""A profile says everything, or is refused when it is loaded, with the field that is wrong."""

from __future__ import annotations

import pytest
import yaml

from sbp_gateway.errors import RegisterProfileInvalid, RegisterProfileUnknown
from sbp_gateway.registers.profile import FOLDER, load_profile, parse_profile, profile_names

GOOD = (FOLDER / "raiffeisen_sbp.yaml").read_text("utf-8")
BROKEN = {
    "not YAML": ("columns: [", None),
    "not a mapping": ("- a", ""),
    "a word that is not known": (GOOD + "\ncolour: red\n", "colour"),
    "no columns": (GOOD.replace("columns:", "colums:", 1), "columns"),
    "a field that no line has": (GOOD.replace("field: merchant", "field: shop"), "columns.0.field"),
    "two columns for one field": (GOOD.replace("field: order_number", "field: merchant"), ""),
    "no amount": (GOOD.replace(", field: amount}", "}"), ""),
    "no time": (GOOD.replace(", field: happened_at}", "}"), ""),
    "no kinds": (GOOD.replace("kinds: {Payment: payment, Refund: refund, Payout: payout}", ""), ""),
    "no word for sbp": (GOOD.replace("Instant Payment QR: sbp, Instant Payment: sbp", "VISA: other"), ""),
    "a rounding that is not known": (GOOD.replace("rounding: down", "rounding: sideways"), "fee.rounding"),
    "an encoding that banks do not use": (GOOD.replace("encoding: cp1251", "encoding: ebcdic"), "encoding"),
    "a delimiter of two characters": (GOOD + '\ndelimiter: ";;"\n', "delimiter"),
    "labels without a header": (GOOD + "\nheader: false\ncolumns_by: label\n", ""),
    "an optional column in a fixed place": (GOOD.replace("Комментарий}", "Комментарий, optional: true}"), ""),
    "one label twice": (GOOD.replace("label: Комментарий", "label: Мерчант"), ""),
    "another name than its file": (GOOD.replace("name: raiffeisen_sbp", "name: sber"), "name"),
    "a form of time without a year": (GOOD.replace("%d.%m.%Y %H:%M", "%d.%m %H:%M"), ""),
    "nothing about empty days": (GOOD.replace("empty_day: no_file", ""), "empty_day"),
}  # fmt: skip


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads_and_says_where_it_is_from(name: str) -> None:
    profile = load_profile(name)

    assert profile.name == name
    assert len(profile.source) > 20


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_profile_is_a_clear_error(name: str) -> None:
    text, field = BROKEN[name]

    with pytest.raises(RegisterProfileInvalid) as refused:
        parse_profile("raiffeisen_sbp", text)

    assert refused.value.facts["profile"] == "raiffeisen_sbp"
    assert refused.value.facts.get("field") == field


def test_the_good_one_is_good() -> None:
    assert parse_profile("raiffeisen_sbp", GOOD) == load_profile("raiffeisen_sbp")
    assert yaml.safe_load(GOOD)["encoding"] == "cp1251"


def test_an_unknown_bank_is_refused_with_those_known() -> None:
    with pytest.raises(RegisterProfileUnknown) as refused:
        load_profile("../tbank")

    assert "tbank" in refused.value.facts["known"]
