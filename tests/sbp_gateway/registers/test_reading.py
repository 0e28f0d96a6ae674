"""Banks' files are read to the kopeck, and every way a file can be wrong has its code and line."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from sbp_gateway import errors
from sbp_gateway.registers.lines import LineKind, LineRail, LineTrait, RegisterLine
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.reading import FooterVerdict, RegisterReading
from sbp_gateway.registers.writing import write_register
from tests.sbp_gateway.registers.operations import DAY, Paid

SAMPLE = (Path(__file__).parent / "samples" / "sbp_registry_cp1251.csv").read_bytes()
SAMPLE_DAY = date(2020, 12, 10)
COMBINED = "\n".join([
    "Acquiring Transactions report from 01/12/2020 to 11/12/2020;;;;;;;;;;;;;;",
    ";;;;;;;;;;;;;;",
    ("Мерчант;Дата операции МСК;Тип;id заказа;id возврата;Комментарий;Способ оплаты;Данные оплаты;id клиента;Сумма;"
    "Комиссия;Дополнительные поля;;;"),
    ("1784123401;09.12.2020 0:23;Payment;123594;;;Instant Payment QR;AD10006CNPC123VU91QOFVNA560V6G37;0079******12;"
    "3806.00;15.22;;;;"),
    "1784123401;09.12.2020 16:49;Payment;25329;;;MASTERCARD;7MZ7MD|034411234590;555123******165;14884.00;401.87;;;;",
    "ИТОГО;;;;;;;;;18 690.00;896.09;;;;",
    "",
])  # fmt: skip


def read(profile: str, file: bytes, day: date = SAMPLE_DAY) -> tuple[list[RegisterLine], RegisterReading]:
    reading = RegisterReading(load_profile(profile), day)
    lines = [line for batch in reading.batches(io.BytesIO(file)) for line in batch.lines()]
    return lines, reading


def sample(old: str = "", new: str = "") -> bytes:
    return SAMPLE.decode("cp1251").replace(old, new).encode("cp1251")


def test_the_banks_own_sample_is_read_to_the_kopeck() -> None:
    lines, reading = read("raiffeisen_sbp", SAMPLE)

    assert lines[0] == RegisterLine(
        number=4, kind=LineKind.PAYMENT, rail=LineRail.SBP, trx_id=None, qrc_id="AD10006CNPC123VU91QOFVNA560V6G37",
        order_number="123594", refund_id=None, operation_id=None, merchant="MA0000001234", payer_mask="0079******12",
        amount_kopecks=380_600, fee_kopecks=1_522, happened_at=datetime(2020, 12, 9, 21, 23, tzinfo=UTC),
    )  # fmt: skip
    assert (reading.totals.lines, reading.totals.payments, reading.totals.fees) == (2, 772_900, 3_091)
    assert (reading.footer, reading.footer_amount, reading.footer_fee) == (FooterVerdict.AGREES, 772_900, 3_091)
    assert reading.totals.traits == {LineTrait.QRC_ID}


def test_a_wrong_footer_is_reported_and_not_trusted() -> None:
    _, reading = read("raiffeisen_combined", COMBINED.encode("cp1251"))

    assert (reading.footer, reading.footer_fee) == (FooterVerdict.DIFFERS, 89_609)
    assert (reading.totals.payments, reading.totals.fees) == (1_869_000, 41_709)


def test_cards_beside_sbp_are_told_apart() -> None:
    lines, _ = read("raiffeisen_combined", COMBINED.encode("cp1251"))

    assert [line.rail for line in lines] == [LineRail.SBP, LineRail.OTHER]


def test_a_file_cut_before_its_footer_is_told() -> None:
    _, reading = read("raiffeisen_sbp", SAMPLE.rsplit("ИТОГО".encode("cp1251"))[0])

    assert (reading.footer, reading.totals.lines) == (FooterVerdict.MISSING, 2)


def test_whole_roubles_and_unpadded_hours_are_read() -> None:
    (line, *_), _ = read("raiffeisen_sbp", sample("3806.00;15.22", "3806;15.2"))

    assert (line.amount_kopecks, line.fee_kopecks) == (380_600, 1_520)


def test_a_phone_that_the_bank_did_not_mask_is_masked() -> None:
    (line, *_), _ = read("raiffeisen_sbp", sample("0079******12", "0079066312345"))

    assert line.payer_mask == "0079*******45"


def test_quoted_fields_and_lines_in_them_keep_the_numbering() -> None:
    (first, second), _ = read("raiffeisen_sbp", sample("123594;;;", '123594;;"один\nдва";'))

    assert (first.number, second.number) == (4, 6)


FAULTS: dict[str, tuple[bytes, type[errors.RegisterRejected], dict[str, Any]]] = {
    "utf-8 for cp1251": (SAMPLE.decode("cp1251").encode(), errors.RegisterEncodingWrong, {"found": "utf-8"}),
    "utf-16": (SAMPLE.decode("cp1251").encode("utf-16"), errors.RegisterEncodingWrong, {}),
    "no header": (b"\r\n".join(SAMPLE.splitlines()[3:]), errors.RegisterHeaderWrong, {}),
    "another header": (sample("Комиссия;", "Удержано;"), errors.RegisterHeaderWrong, {}),
    "a short line": (sample(";3923.00;15.69;", ";3923.00"), errors.RegisterLineMalformed, {"line": 5}),
    "a long line": (sample(";15.69;", ";15.69;;лишнее"), errors.RegisterLineMalformed, {"line": 5}),
    "a word for a number": (sample("3923.00", "много"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "three decimals": (sample("3923.00", "3923.001"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "a comma": (sample("3923.00", "3923,00"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "spaces inside": (sample("3923.00", "3 923.00"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "nothing for an amount": (sample("3923.00", ""), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "zero": (sample("3923.00", "0.00"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "below zero": (sample("3923.00", "-3923.00"), errors.RegisterValueMalformed, {"line": 5, "column": "amount"}),
    "more than banks have": (sample("3923.00", "9" * 20), errors.RegisterValueMalformed, {"line": 5}),
    "a fee below zero": (sample("15.69", "-15.69"), errors.RegisterValueMalformed, {"line": 5, "column": "fee"}),
    "no such day": (sample("10.12.2020 10:58", "32.12.2020 10:58"), errors.RegisterValueMalformed, {"line": 5}),
    "no such kind": (sample("10:58;Payment", "10:58;Gift"), errors.RegisterValueMalformed, {"column": "kind"}),
    "a control character": (sample("123781", "12\t781"), errors.RegisterValueMalformed, {"line": 5}),
    "another day": (sample("10/12/2020", "11/12/2020"), errors.RegisterDayWrong, {"expected": "10/12/2020"}),
    "a footer that is no number": (sample("7729.00", "семь"), errors.RegisterValueMalformed, {"line": 6}),
    "no lines": (b"\r\n".join(SAMPLE.splitlines()[:3]), errors.RegisterEmpty, {}),
    "nothing at all": (b"", errors.RegisterEmpty, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_with_a_file_is_told_with_its_line(name: str) -> None:
    file, error, facts = FAULTS[name]

    with pytest.raises(error) as refused:
        read("raiffeisen_sbp", file)

    assert type(refused.value) is error
    assert facts.items() <= refused.value.facts.items()


def test_no_fault_repeats_what_the_file_says() -> None:
    with pytest.raises(errors.RegisterValueMalformed) as refused:
        read("raiffeisen_sbp", sample("3923.00", "4276123412341234"))

    assert "4276" not in f"{refused.value} {refused.value.facts}"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return file.getvalue()


@pytest.mark.parametrize("file", [zipped(a=b""), zipped(a=b"\xef\xbb\xbf")], ids=["nothing", "a mark of UTF-8"])
def test_an_empty_file_is_a_register_where_the_bank_sends_one(file: bytes) -> None:
    lines, reading = read("tochka", file)

    assert (lines, reading.totals.lines) == ([], 0)


@pytest.mark.parametrize(
    ("profile", "file"),
    [
        ("tochka", SAMPLE),
        ("tochka", zipped()),
        ("tochka", zipped(a=b"", b=b"")),
        ("tochka", zipped(a=b"x" * 500)[:-30]),
        ("yookassa_xlsx", SAMPLE),
        ("yookassa_xlsx", zipped(a=b"")),
    ],
    ids=["no archive", "empty archive", "two files", "a cut archive", "no workbook", "an archive of another kind"],
)
def test_another_packing_is_refused(profile: str, file: bytes) -> None:
    with pytest.raises(errors.RegisterPackingWrong):
        read(profile, file)


def damaged(file: bytes) -> bytes:
    """The same file with some bytes in its middle turned over."""
    middle = len(file) // 2
    return file[:middle] + bytes(byte ^ 0xFF for byte in file[middle : middle + 60]) + file[middle + 60 :]


def packed(method: int, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.csv", content)
    return file.getvalue()


NOISE = bytes(random.Random(1).choices(b"abcdef;,\n", k=60_000))


@pytest.mark.parametrize(
    "file",
    [
        damaged(packed(zipfile.ZIP_DEFLATED, NOISE)),
        damaged(packed(zipfile.ZIP_STORED, b"")),
        packed(zipfile.ZIP_LZMA, NOISE),
        packed(zipfile.ZIP_BZIP2, NOISE),
    ],
    ids=["deflated and damaged", "its directory damaged", "lzma", "bzip2"],
)
def test_an_archive_that_cannot_be_unpacked_is_refused(file: bytes) -> None:
    with pytest.raises(errors.RegisterPackingWrong):
        read("tochka", file)


def test_a_damaged_workbook_is_refused_wherever_it_shows() -> None:
    book = openpyxl.Workbook()
    for row in range(2_000):
        book.active.append([str(random.Random(row).random()) for _ in range(5)])  # type: ignore[union-attr]
    file = io.BytesIO()
    book.save(file)

    with pytest.raises(errors.RegisterPackingWrong):
        read("yookassa_xlsx", damaged(file.getvalue()))
    cut = file.getvalue()
    sheet = cut.index(b"xl/worksheets/sheet1.xml") + 200
    with pytest.raises(errors.RegisterPackingWrong):
        read("yookassa_xlsx", cut[:sheet] + b"\xff" * 40 + cut[sheet + 40 :])


@pytest.mark.parametrize(("method", "is_locked"), [(8, True), (12, False), (14, False), (99, False)])
def test_a_workbook_that_is_locked_or_packed_in_another_way_is_refused(method: int, is_locked: bool) -> None:
    file = io.BytesIO()
    openpyxl.Workbook().save(file)
    told = bytearray(file.getvalue())
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = told.find(head)
        while place >= 0:
            told[place + flags] |= is_locked
            told[place + flags + 2] = method
            place = told.find(head, place + 4)

    with pytest.raises(errors.RegisterPackingWrong):
        read("yookassa_xlsx", bytes(told))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbp_gateway.registers.packing.FILE_BYTES_MAX", 1_000_000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 2_000_000)

    with pytest.raises(errors.RegisterTooLarge):
        read("tochka", file.getvalue())
    with pytest.raises(errors.RegisterTooLarge):
        read("yookassa_xlsx", file.getvalue())
    with pytest.raises(errors.RegisterTooLarge):
        read("raiffeisen_sbp", SAMPLE + b";" * 2_000_000)


def test_columns_may_be_chosen_and_their_order_too() -> None:
    text = (
        "Время платежа;Лишнее;Тип платежа;Сумма за вычетом комиссии;Сумма платежа;Идентификатор платежа\r\n"
        "22.11.2026 12:00:01;x;CP;1489.40;1499.90;2f3b588d-000f-5000-8000-1d6e87c7fbde\r\n"
    )

    (line,), _ = read("yookassa_csv", text.encode())

    assert (line.amount_kopecks, line.fee_kopecks, line.order_number) == (149_990, 1_050, None)
    with pytest.raises(errors.RegisterHeaderWrong) as refused:
        read("yookassa_csv", text.replace("Сумма платежа", "Итого").encode())
    assert refused.value.facts["missing"] == "Сумма платежа"
    with pytest.raises(errors.RegisterValueMalformed):
        read("yookassa_csv", text.replace("1499.90", "1499.9").encode())


def test_numbers_of_a_workbook_are_exact() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(
        ["Идентификатор платежа", "Сумма платежа", "Сумма за вычетом комиссии", "Время платежа", "Тип платежа"]
    )
    sheet.append(["a", 1499.9, 1489, datetime(2026, 11, 22, 12, 0, 1), "CP"])  # noqa: DTZ001  # cells have no zone
    sheet.append(["b", 0.07, 0.07, "22.11.2026 12:00:02", "CP"])
    book.save(file)

    (first, second), _ = read("yookassa_xlsx", file.getvalue())

    assert (first.amount_kopecks, first.fee_kopecks, first.happened_at.second) == (149_990, 1_090, 1)
    assert (second.amount_kopecks, second.fee_kopecks) == (7, 0)


def test_a_large_file_is_read_in_little_memory() -> None:
    def many() -> Iterator[RegisterLine]:
        for number in range(50_000):
            yield Paid(number, 100 + number, 1).line()

    file = io.BytesIO()
    write_register(load_profile("raiffeisen_sbp"), many(), file, day_on=DAY)
    size = file.tell()
    file.seek(0)
    reading = RegisterReading(load_profile("raiffeisen_sbp"), DAY)

    tracemalloc.start()
    count = sum(map(len, reading.batches(file)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 50_000
    assert peak < size, "a file three times as large would take no more"
