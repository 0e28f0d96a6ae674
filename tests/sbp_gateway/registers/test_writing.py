"""What our writer prints by a bank's profile, our reader reads back as the same lines."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_gateway.registers.lines import LineKind, LineRail, RegisterLine
from sbp_gateway.registers.profile import ColumnField, Container, Profile, load_profile, profile_names
from sbp_gateway.registers.reading import FooterVerdict, RegisterReading
from sbp_gateway.registers.writing import write_register
from tests.sbp_gateway.registers.operations import DAY, Paid, paid

SINCE = datetime(2015, 1, 1, tzinfo=UTC)
words = st.text("ABCDEFGHIJKLMNOP0123456789-_/;\"\\'АБВгд", min_size=1, max_size=40)
ids = st.none() | words.map(str.strip).filter(bool)
lines = st.builds(
    RegisterLine,
    number=st.just(0),
    kind=st.sampled_from(LineKind),
    rail=st.sampled_from(LineRail),
    trx_id=ids, qrc_id=ids, order_number=ids, refund_id=ids, operation_id=ids, merchant=ids,
    payer_mask=st.none() | st.sampled_from(["0079******12", "427123******987"]),
    amount_kopecks=st.integers(1, 10**13),
    fee_kopecks=st.none() | st.integers(0, 10**10),
    happened_at=st.integers(0, 40_000_000).map(lambda minutes: SINCE + timedelta(minutes=minutes)),
)  # fmt: skip


def as_kept_by(profile: Profile, line: RegisterLine) -> RegisterLine:
    """The line as far as the bank's register can tell it."""
    texts = ("trx_id", "qrc_id", "order_number", "refund_id", "operation_id", "merchant", "payer_mask")
    kept = line._replace(**{name: None for name in texts if not profile.has(ColumnField(name))})
    if profile.kind is not None:
        kept = kept._replace(kind=profile.kind)
    elif kept.kind not in profile.kinds.values():
        kept = kept._replace(kind=LineKind.PAYMENT)
    if kept.rail not in profile.rails.values():
        kept = kept._replace(rail=LineRail.SBP)
    if not profile.has(ColumnField.FEE):
        kept = kept._replace(fee_kopecks=min(kept.fee_kopecks or 0, kept.amount_kopecks))
    return kept


def read_back(profile: Profile, file: io.BytesIO) -> tuple[list[RegisterLine], RegisterReading]:
    file.seek(0)
    reading = RegisterReading(profile, DAY)
    return [line._replace(number=0) for batch in reading.batches(file) for line in batch.lines()], reading


@pytest.mark.parametrize("name", profile_names())
@settings(max_examples=25, deadline=None)
@given(given_lines=st.lists(lines, min_size=1, max_size=8))
def test_reading_what_was_written_gives_the_same_lines(name: str, given_lines: list[RegisterLine]) -> None:
    profile, file = load_profile(name), io.BytesIO()
    kept = [as_kept_by(profile, line) for line in given_lines]

    write_register(profile, kept, file, day_on=DAY)
    found, reading = read_back(profile, file)

    assert found == kept
    assert reading.footer is (FooterVerdict.NONE if profile.footer is None else FooterVerdict.AGREES)


@pytest.mark.parametrize("name", profile_names())
def test_many_batches_are_one_register(name: str) -> None:
    profile, file = load_profile(name), io.BytesIO()
    start = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
    kept = [as_kept_by(profile, line.line()) for line in paid(2_500, since=start)]
    kept = [line._replace(happened_at=line.happened_at.replace(second=0)) for line in kept]

    write_register(profile, kept, file, day_on=DAY)
    found, reading = read_back(profile, file)

    assert found == kept
    assert reading.totals.payments == sum(line.amount_kopecks for line in kept)


def test_the_file_looks_as_the_bank_prints_it() -> None:
    file = io.BytesIO()
    at = datetime(2026, 11, 21, 21, 5, tzinfo=UTC)

    write_register(load_profile("raiffeisen_sbp"), [Paid(1, 149_990_00, 59_996, at).line()], file, day_on=DAY)

    title, blank, header, line, footer = file.getvalue().decode("cp1251").split("\r\n")[:5]
    assert title.startswith("Instant Payments C2B Transactions report for 22/11/2026 / Отчет")
    assert (blank, header[:8]) == (";" * 11, "Мерчант;")
    assert line.split(";")[1] == "22.11.2026 0:05"
    assert footer == "ИТОГО;;;;;;;;;149 990.00;599.96;"


def test_the_same_lines_make_the_same_archive() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for file in (first, second):
        write_register(load_profile("tochka"), [Paid(1, 100, 0).line()], file, day_on=DAY)

    assert load_profile("tochka").container is Container.ZIP
    assert first.getvalue() == second.getvalue()


def test_a_refund_is_below_zero_where_the_bank_prints_it_so() -> None:
    file = io.BytesIO()
    refund = Paid(1, 100, 0).line(kind=LineKind.REFUND, fee_kopecks=None)

    write_register(load_profile("tbank"), [refund], file, day_on=DAY)

    assert file.getvalue().split(b";")[11:15] == [b"-1.00", b"", b"-1.00", b"Credit"]


def test_a_kind_that_the_bank_has_no_word_for_is_not_written() -> None:
    with pytest.raises(ValueError, match="no word"):
        write_register(load_profile("tochka"), [Paid(1, 100, 0).line(kind=LineKind.PAYOUT)], io.BytesIO(), day_on=DAY)


def test_a_footer_can_be_made_wrong_for_those_who_test_readers() -> None:
    profile, file = load_profile("raiffeisen_sbp"), io.BytesIO()
    line = Paid(1, 100, 0, datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(minutes=1)).line()

    write_register(profile, [line], file, day_on=DAY, footer_off_by=1)

    assert read_back(profile, file)[1].footer is FooterVerdict.DIFFERS
