"""The rules of the contract that need no process: amounts, masks, statuses, errors, certificates, settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.bodies import read_json
from api.contracts.dolyame.amounts import read_amount, read_quantity, write_json
from api.contracts.dolyame.bodies import BuyerInfoBody, NewOrderBody
from api.contracts.dolyame.entrance import read_credentials
from api.contracts.dolyame.error_objects import CODES, Cased, error_answer, status_of
from api.contracts.dolyame.errors import CertificateRefused, DolyameRejected, LoginMalformed
from api.contracts.dolyame.masking import masked
from api.contracts.dolyame.orders import OrderPicture, order_object
from api.contracts.dolyame.shops import Profile, check_login, fingerprint_of
from api.data_dir import StartRefused
from api.dolyame_certificates import (
    DOOR,
    SHOP,
    check_vouched,
    make_dolyame_certificates,
    read_certificate,
    shop_file,
    vouch_for_shop,
)
from api.errors import KeyMissing
from api.problems import CASHIER_TIPS, every_error
from api.rate_limit import Buckets
from api.serve_dolyame import refuse_without_certificates, server_context
from api.settings import Mode, Settings
from installments.errors import InstallmentsRejected
from installments.plan import Plan, PlanStatus, Standing
from installments.state import InstallmentState
from ledger.money import Kopecks, roubles
from tests.installments.buyer_world import NOW, TODAY

GOOD = {"id": "1", "amount": 1, "items": [{"name": "A", "quantity": 1, "price": 1}]}


@pytest.mark.parametrize(
    ("given_amount", "kopecks"),
    [(6700, 670_000), ("6700.00", 670_000), (Decimal("6700.5"), 670_050), ("0", 0), (" 12.30 ", 1230),
     (Decimal("2500.1399999999999"), 250_014), (Decimal("0.30000000000000004"), 30), (Decimal("1E+3"), 100_000)],
)  # fmt: skip
def test_an_amount_is_a_number_or_a_numeric_text(given_amount: Any, kopecks: int) -> None:
    assert read_amount(given_amount) == kopecks


@pytest.mark.parametrize(
    "given_amount",
    [None, True, "", "1,50", "1e3", "-1", -1, Decimal("0.001"), "0.005", Decimal("NaN"), Decimal("1E+999999"),
     10**30, [], {}, "٣", 1.5],
)  # fmt: skip
def test_nothing_else_is_an_amount(given_amount: Any) -> None:
    with pytest.raises(ValueError):
        read_amount(given_amount)


@given(st.integers(0, 10**11))
def test_an_amount_comes_back_as_it_went_out(kopecks: int) -> None:
    written = write_json({"amount": Kopecks(kopecks)})

    assert read_amount(read_json(written, is_exact=True)["amount"]) == kopecks
    assert read_amount(roubles(kopecks)) == kopecks
    assert float(roubles(kopecks)) * 100 == pytest.approx(kopecks)


@given(st.integers(1, 10**7))
def test_a_float_of_a_client_is_its_kopeck(kopecks: int) -> None:
    spelled = f"{kopecks / 100:.17g}"  # as PHP writes floats with all their digits

    assert read_amount(Decimal(spelled)) == kopecks


def test_a_quantity_is_a_number_of_pieces_or_a_measure() -> None:
    assert [read_quantity(each) for each in (1, "2", "0.345", Decimal("1.0"))] == [1, 2, Decimal("0.345"), 1]
    for wrong in (0, "-1", "0.1234567", True, 10**7, None):
        with pytest.raises(ValueError):
            read_quantity(wrong)


def test_people_are_masked_and_birthdays_are_not_kept() -> None:
    whole = BuyerInfoBody(
        first_name="Анна", last_name="Ковалёва", middle_name="Ивановна", birthdate="1990-01-01",
        phone="8 (916) 123-45-67", email="anna.k@mail.example.ru",
    )  # fmt: skip

    assert masked(whole) == {
        "first_name": "Анна", "last_name": "К.", "middle_name": "И.", "phone": "+8******4567", "email": "a**@m*.ru",
    }  # fmt: skip
    assert masked(BuyerInfoBody(phone="123", email="nobody", last_name=" ")) == {}


@pytest.mark.parametrize(
    "change",
    [{"id": ""}, {"id": " 1"}, {"id": "1\n"}, {"id": True}, {"amount": 0}, {"items": None},
     {"items": [{"quantity": 1, "price": 1}]}, {"items": [{"name": "A", "quantity": 1, "price": 1, "receipt": [1]}]},
     {"items": [{"name": "A" * 257, "quantity": 1, "price": 1}]}, {"fiscalization_settings": {"type": "perhaps"}},
     {"client_info": {"first_name": 5}}],
)  # fmt: skip
def test_an_order_has_its_form(change: dict[str, Any]) -> None:
    NewOrderBody.model_validate({"order": GOOD})

    with pytest.raises(ValidationError):
        NewOrderBody.model_validate({"order": GOOD | change})


def plan(status: PlanStatus, **changes: Any) -> Plan:
    none = Kopecks(0)
    made = Plan(
        id="pln_1", merchant_id="mer_1", order_number="A-1", product_code="dolyame", product_version=1,
        price=Kopecks(400_00), prepaid=none, items=(), status=status, standing=Standing.NONE, link_code="code",
        buyer_id=None, contract_on=TODAY, collector=None, card_token=None, first_payment_id=None, binding_id=None,
        fee_basis_points=None, fee=none, refunded=none, outstanding=none, overpaid=none, penalty=none,
        next_due_on=None, is_paused=False, reason=None, created_at=NOW, expires_at=None, committed_at=None,
        ended_at=None, version=1,
    )  # fmt: skip
    return replace(made, **changes)


def picture(status: PlanStatus, *paid: int, **changes: Any) -> OrderPicture:
    paid = paid or (0, 0, 0, 0)
    parts = tuple(
        InstallmentState(number, TODAY + timedelta(days=14 * (number - 1)), Kopecks(100_00), Kopecks(amount))
        for number, amount in enumerate(paid, 1)
    )
    return OrderPicture(plan(status, **changes), parts, (), TODAY + timedelta(days=20))


COMMITTED = {"committed_at": datetime(2026, 11, 22, tzinfo=UTC)}
CASES: list[tuple[str, OrderPicture, Profile, tuple[str, str, list[str]]]] = [
    ("new", picture(PlanStatus.NEW), Profile.STRICT, ("new", "400.00", ["scheduled"] * 4)),
    ("approved", picture(PlanStatus.APPROVED), Profile.STRICT, ("approved", "300.00", ["hold"] + ["scheduled"] * 3)),
    ("held", picture(PlanStatus.WAIT_FOR_COMMIT), Profile.PRODUCTION,
     ("wait_for_commit", "300.00", ["hold"] + ["scheduled"] * 3)),
    ("committed_not_captured", picture(PlanStatus.COMMITTED, **COMMITTED), Profile.STRICT,
     ("committed", "300.00", ["hold"] + ["scheduled"] * 3)),
    ("paid", picture(PlanStatus.COMPLETED, 100_00, 0, 0, 0, **COMMITTED), Profile.STRICT,
     ("completed", "300.00", ["paid"] + ["scheduled"] * 3)),
    ("late_strict", picture(PlanStatus.COMPLETED, 100_00, 40_00, 0, 0, **COMMITTED), Profile.STRICT,
     ("completed", "260.00", ["paid"] + ["scheduled"] * 3)),
    ("late_production", picture(PlanStatus.COMPLETED, 100_00, 40_00, 0, 0, **COMMITTED), Profile.PRODUCTION,
     ("completed", "260.00", ["paid", "overdue", "scheduled", "scheduled"])),
    ("refunded_strict", picture(PlanStatus.REFUNDED, 100_00, 100_00, 100_00, 100_00, **COMMITTED), Profile.STRICT,
     ("completed", "0.00", ["paid"] * 4)),
    ("refunded_production", picture(PlanStatus.REFUNDED, 100_00, 100_00, 100_00, 100_00, **COMMITTED),
     Profile.PRODUCTION, ("refunded", "0.00", ["paid"] * 4)),
    ("rejected", picture(PlanStatus.REJECTED), Profile.STRICT, ("rejected", "0.00", [])),
    ("canceled", picture(PlanStatus.CANCELED), Profile.STRICT, ("canceled", "0.00", [])),
]  # fmt: skip


@pytest.mark.parametrize(("shown", "profile", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_how_an_order_stands_is_told_by_the_profile(
    shown: OrderPicture, profile: Profile, told: tuple[str, str, list[str]]
) -> None:
    said = order_object(shown, profile, "https://kopeyka.example")

    assert (said["status"], str(said["residual_amount"]), [p["status"] for p in said["payment_schedule"]]) == told
    assert said["link"] == "https://kopeyka.example/plans/code"
    assert said["payment_schedule"][:1] == [] or said["payment_schedule"][0]["payment_date"] == date(2026, 11, 22)


@pytest.mark.parametrize("family", [DolyameRejected, InstallmentsRejected])
def test_every_refusal_has_a_status_that_clients_know_and_words_for_the_shop(family: Any) -> None:
    for error in every_error(family):
        assert status_of(error()) in set(CODES) - {500}, error.code
        assert error.code in CASHIER_TIPS
        assert b'"message":"' in error_answer(error(), "id").body


def test_a_header_keeps_its_case() -> None:
    name = Cased(b"X-Retry-After")

    assert name.lower() is name
    assert name == b"X-Retry-After"


@pytest.mark.parametrize("given_header", [None, b"", b"Basic", b"Basic  ", b"Basic " + b"a" * 501, b"Basic Og=="])
def test_credentials_have_a_login_and_a_password(given_header: bytes | None) -> None:
    with pytest.raises(KeyMissing):
        read_credentials(given_header)


def test_a_bucket_of_one_second_gives_no_more_than_that() -> None:
    buckets = Buckets(10, burst_seconds=1)

    granted = [buckets.take("shop", "writes").is_granted for _ in range(30)]

    assert sum(granted) in (10, 11)  # one more may come in meanwhile


def test_a_shop_is_vouched_for_and_a_stranger_is_not(tmp_path: Path) -> None:
    ours, foreign = (make_dolyame_certificates(tmp_path / name, now=NOW) for name in ("ours", "foreign"))
    shown = vouch_for_shop(ours, "shop@example", now=NOW)

    check_vouched(shown, ours.ca)
    assert read_certificate(ours.certificate(shop_file("shop@example"))) == shown
    assert len(fingerprint_of(shown)) == 32
    assert make_dolyame_certificates(tmp_path / "ours", now=NOW) == ours  # not made anew
    assert read_certificate(ours.certificate(SHOP)) != shown
    with pytest.raises(CertificateRefused):
        check_vouched(shown, foreign.ca)
    with pytest.raises(CertificateRefused):
        read_certificate(tmp_path / "nothing.pem")
    with pytest.raises(CertificateRefused):
        vouch_for_shop(replace(ours, folder=tmp_path / "nowhere"), "shop", now=NOW)


@pytest.mark.parametrize("login", ["", "ab", "../door", "a b", "x" * 65, "магазин"])
def test_a_login_names_no_other_file(login: str) -> None:
    with pytest.raises(LoginMalformed):
        check_login(login)


def test_a_door_that_could_check_nobody_is_not_opened(tmp_path: Path) -> None:
    made = make_dolyame_certificates(tmp_path / "made", now=NOW)
    files = {
        "dolyame_cert_file": made.certificate(DOOR), "dolyame_key_file": made.key(DOOR), "dolyame_ca_file": made.ca,
    }  # fmt: skip

    refuse_without_certificates(Settings(mode=Mode.PRODUCTION))
    refuse_without_certificates(Settings(mode=Mode.PRODUCTION, dolyame_port=0, **files))
    server_context(Settings(**files))
    with pytest.raises(StartRefused, match="KOPEYKA_DOLYAME_CA_FILE"):
        refuse_without_certificates(Settings(mode=Mode.PRODUCTION, dolyame_port=0))
    with pytest.raises(StartRefused, match="belong together"):
        refuse_without_certificates(Settings(dolyame_cert_file=made.ca))
    with pytest.raises(StartRefused, match="needs"):
        server_context(Settings())
    with pytest.raises(StartRefused, match="cannot be used"):
        server_context(Settings(**{**files, "dolyame_ca_file": tmp_path / "nothing"}))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example", "https://", "https:///x", "shop.example/ok", "data:text/html,x"]
)
def test_a_form_leads_back_to_a_page_and_nowhere_else(url: str) -> None:
    for name in ("success_url", "fail_url"):
        NewOrderBody.model_validate({"order": GOOD, name: "https://магазин.рф/ok?a=1"})
        NewOrderBody.model_validate({"order": GOOD, name: ""})
        with pytest.raises(ValidationError):
            NewOrderBody.model_validate({"order": GOOD, name: url})


def test_names_of_receipt_fields_are_as_short_as_their_texts() -> None:
    for name in ("k" * 65, "a\tb"):
        line = {"name": "A", "quantity": 1, "price": 1, "receipt": {name: "v"}}
        with pytest.raises(ValidationError):
            NewOrderBody.model_validate({"order": GOOD | {"items": [line]}})
