"""PostgreSQL holds every truth of device tokens by itself: each constraint, trigger and grant says no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege
from psycopg.types.json import Jsonb

from api.postgres import Server
from api.vault_migrations.sql_files import FOLDER
from tests.conftest import drop_database
from tokenization.koshelek_pay.statuses import KEY_ALLOWED, TOKEN_ALLOWED, DeviceKeyStatus, DeviceTokenStatus

NOW, LATER, EARLIER = "2026-11-22T09:00:00Z", "2026-11-29T09:00:00Z", "2026-11-21T09:00:00Z"
TRID, DEVICE, TOKEN, PAYMENT = "64300000001", "dvc_" + "A" * 25, "dtk_" + "A" * 25, "att_" + "A" * 20
JWK = Jsonb({"kty": "EC", "crv": "P-256", "x": "A", "y": "B"})
PRIVATE = Jsonb({"kty": "EC", "d": "A"})
ROWS: dict[str, dict[str, Any]] = {
    "token_requestors": {
        "trid": TRID, "merchant_id": "mer_1", "name": "Кошелёк", "channels": ["ecom"], "amount_kopecks_max": 100,
        "tokens_max": 5, "public_jwk": JWK, "created_at": NOW,
    },
    "token_devices": {
        "id": DEVICE, "trid": TRID, "installation_id": "phone-1", "thumbprint": "A" * 43, "public_jwk": JWK,
        "attestation": ["AA=="], "created_at": NOW, "changed_at": NOW,
    },
    "device_tokens": {
        "id": TOKEN, "trid": TRID, "device_id": DEVICE, "range_id": "mir_test", "merchant_id": "mer_1",
        "card_token": "tok_1", "fingerprint_id": "fpr_1", "par": "QKOP" + "A" * 25,
        "token_number": "9643000100000000", "expires": "2029-11", "card_mask": "220011******9001",
        "card_expires": "2030-12", "key_number": 1, "status": "active", "decision": "green", "findings": Jsonb([]),
        "assurance": "risk", "channels": ["ecom"], "mccs": ["5411"], "amount_kopecks_max": 100, "created_at": NOW,
        "changed_at": NOW,
    },
    "device_token_suspensions": {
        "device_token_id": TOKEN, "number": 1, "suspender": "buyer", "reason": "потерян", "suspended_at": NOW,
    },
    "device_token_codes": {
        "device_token_id": TOKEN, "number": 1, "digest": b"x" * 32, "phone_mask": "+7******4567", "made_at": NOW,
        "expires_at": LATER,
    },
    "device_key_batches": {
        "device_token_id": TOKEN, "number": 1, "request_id": "r" * 16, "first_atc": 1, "last_atc": 10,
        "issued_at": NOW, "expires_at": LATER,
    },
    "device_keys": {"device_token_id": TOKEN, "atc": 1, "batch_number": 1, "changed_at": NOW},
    "device_authorisations": {
        "id": PAYMENT, "device_token_id": TOKEN, "atc": 1, "merchant_id": "mer_1", "amount_kopecks": 100,
        "channel": "ecom", "mcc": "5411", "digest": b"x" * 32, "cryptogram": b"x" * 8, "chip": b"x", "accepted_at": NOW,
    },
    "device_payment_denials": {"payment_id": PAYMENT, "merchant_id": "mer_1", "denied_at": NOW},
    "token_ranges": {
        "id": "jcb_test", "scheme": "jcb", "first8": "96430009", "family": "aes", "is_test": True,
    },
}  # fmt: skip
"""One good row of each table, in an order that their references allow."""

REQUESTOR = {"trid": "64300000002", "name": "Другой"}
OTHER_DEVICE = {"id": "dvc_" + "B" * 25, "thumbprint": "B" * 43, "installation_id": "phone-2"}
OTHER_TOKEN = {"id": "dtk_" + "B" * 25, "token_number": "9643000100000018", "fingerprint_id": "fpr_2"}
DECLINED = {"status": "declined", "decision": "red", "token_number": None, "key_number": None}
SUSPENSION = {"number": 2, "suspender": "risk"}
CODE = {"number": 2, "status": "over"}
BATCH = {"number": 2, "request_id": "s" * 16}
KEY = {"atc": 2}
ENDED = {"status": "approved", "response_code": "00", "issuer_answer": b"x" * 8, "ended_at": NOW}
OTHER_PAYMENT = {"id": "att_" + "B" * 20, "atc": 3}
RANGE = {"id": "humo_test", "scheme": "humo", "first8": "96430010"}
NOBODY = "dtk_" + "Z" * 25

VIOLATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("token_ranges_pkey", "token_ranges", RANGE | {"id": "mir_test"}),
    ("token_ranges_first8_key", "token_ranges", RANGE | {"first8": "96430001"}),
    ("token_ranges_one_open", "token_ranges", RANGE | {"scheme": "mir"}),
    ("token_ranges_id_form", "token_ranges", RANGE | {"id": "A B"}),
    ("token_ranges_scheme_form", "token_ranges", RANGE | {"scheme": "Mir"}),
    ("token_ranges_first8_is_private", "token_ranges", RANGE | {"first8": "22000001"}),
    ("token_ranges_digits_are_sixteen", "token_ranges", RANGE | {"digits": 19}),
    ("token_ranges_family_is_known", "token_ranges", RANGE | {"family": "gost"}),
    ("token_ranges_is_test", "token_ranges", RANGE | {"is_test": False}),
    ("token_requestors_pkey", "token_requestors", REQUESTOR | {"trid": TRID}),
    ("token_requestors_name_key", "token_requestors", REQUESTOR | {"name": "Кошелёк"}),
    ("token_requestors_trid_form", "token_requestors", REQUESTOR | {"trid": "12300000002"}),
    ("token_requestors_merchant_form", "token_requestors", REQUESTOR | {"merchant_id": "shop"}),
    ("token_requestors_name_length", "token_requestors", REQUESTOR | {"name": ""}),
    ("token_requestors_channels_are_known", "token_requestors", REQUESTOR | {"channels": ["nfc"]}),
    ("token_requestors_channels_are_known", "token_requestors", REQUESTOR | {"channels": []}),
    ("token_requestors_amount_in_range", "token_requestors", REQUESTOR | {"amount_kopecks_max": 0}),
    ("token_requestors_tokens_in_range", "token_requestors", REQUESTOR | {"tokens_max": 101}),
    ("token_requestors_key_is_public", "token_requestors", REQUESTOR | {"public_jwk": PRIVATE}),
    ("token_devices_pkey", "token_devices", OTHER_DEVICE | {"id": DEVICE}),
    ("token_devices_trid_fkey", "token_devices", OTHER_DEVICE | {"trid": "64300000009"}),
    ("token_devices_thumbprint_key", "token_devices", OTHER_DEVICE | {"thumbprint": "A" * 43}),
    ("token_devices_one_of_installation", "token_devices", OTHER_DEVICE | {"installation_id": "phone-1"}),
    ("token_devices_id_form", "token_devices", OTHER_DEVICE | {"id": "dvc_1"}),
    ("token_devices_installation_is_printable", "token_devices", OTHER_DEVICE | {"installation_id": "мой"}),
    ("token_devices_thumbprint_form", "token_devices", OTHER_DEVICE | {"thumbprint": "B"}),
    ("token_devices_key_is_public", "token_devices", OTHER_DEVICE | {"public_jwk": PRIVATE}),
    ("token_devices_attestation_is_short", "token_devices", OTHER_DEVICE | {"attestation": ["A"] * 9}),
    ("token_devices_status_is_known", "token_devices", OTHER_DEVICE | {"status": "sold"}),
    ("device_tokens_pkey", "device_tokens", OTHER_TOKEN | {"id": TOKEN}),
    ("device_tokens_trid_fkey", "device_tokens", OTHER_TOKEN | {"trid": "64300000009"}),
    ("device_tokens_device_fkey", "device_tokens", OTHER_TOKEN | {"device_id": "dvc_" + "Z" * 25}),
    ("device_tokens_range_fkey", "device_tokens", OTHER_TOKEN | {"range_id": "none"}),
    ("device_tokens_key_fkey", "device_tokens", OTHER_TOKEN | {"key_number": 99}),
    ("device_tokens_number_key", "device_tokens", OTHER_TOKEN | {"token_number": "9643000100000000"}),
    ("device_tokens_one_of_card", "device_tokens", OTHER_TOKEN | {"fingerprint_id": "fpr_1"}),
    ("device_tokens_id_form", "device_tokens", OTHER_TOKEN | {"id": "dtk_1"}),
    ("device_tokens_number_is_private", "device_tokens", OTHER_TOKEN | {"token_number": "2200111753579001"}),
    ("device_tokens_declined_has_no_number", "device_tokens", OTHER_TOKEN | DECLINED | {"key_number": 1}),
    ("device_tokens_declined_has_no_number", "device_tokens", OTHER_TOKEN | {"token_number": None}),
    ("device_tokens_par_form", "device_tokens", OTHER_TOKEN | {"par": "QKOP"}),
    ("device_tokens_sequence_form", "device_tokens", OTHER_TOKEN | {"sequence_number": "1"}),
    ("device_tokens_expires_are_months", "device_tokens", OTHER_TOKEN | {"expires": "2029-13"}),
    ("device_tokens_expires_are_months", "device_tokens", OTHER_TOKEN | {"card_expires": "1230"}),
    ("device_tokens_mask_hides", "device_tokens", OTHER_TOKEN | {"card_mask": "2200111753579001"}),
    ("device_tokens_status_is_known", "device_tokens", OTHER_TOKEN | {"status": "suspended"}),
    ("device_tokens_decision_is_known", "device_tokens", OTHER_TOKEN | {"decision": "blue"}),
    ("device_tokens_red_is_declined", "device_tokens", OTHER_TOKEN | {"decision": "red"}),
    ("device_tokens_green_awaits_nothing", "device_tokens", OTHER_TOKEN | {"status": "awaiting_code"}),
    ("device_tokens_findings_are_a_list", "device_tokens", OTHER_TOKEN | {"findings": Jsonb({})}),
    ("device_tokens_assurance_is_known", "device_tokens", OTHER_TOKEN | {"assurance": "much"}),
    ("device_tokens_channels_are_known", "device_tokens", OTHER_TOKEN | {"channels": []}),
    ("device_tokens_mccs_are_some", "device_tokens", OTHER_TOKEN | {"mccs": ["5411"] * 51}),
    ("device_tokens_amount_in_range", "device_tokens", OTHER_TOKEN | {"amount_kopecks_max": 0}),
    ("device_tokens_wrong_not_negative", "device_tokens", OTHER_TOKEN | {"wrong_cryptograms": -1}),
    ("device_tokens_version_positive", "device_tokens", OTHER_TOKEN | {"version": 0}),
    ("device_token_suspensions_pkey", "device_token_suspensions", SUSPENSION | {"number": 1}),
    ("device_token_suspensions_token_fkey", "device_token_suspensions", SUSPENSION | {"device_token_id": NOBODY}),
    ("device_token_suspensions_one_a_party", "device_token_suspensions", SUSPENSION | {"suspender": "buyer"}),
    ("device_token_suspensions_number_positive", "device_token_suspensions", SUSPENSION | {"number": 0}),
    ("device_token_suspensions_suspender_is_known", "device_token_suspensions", SUSPENSION | {"suspender": "me"}),
    ("device_token_suspensions_reason_length", "device_token_suspensions", SUSPENSION | {"reason": ""}),
    ("device_token_suspensions_lifted_after", "device_token_suspensions", SUSPENSION | {"lifted_at": EARLIER}),
    ("device_token_codes_pkey", "device_token_codes", CODE | {"number": 1}),
    ("device_token_codes_token_fkey", "device_token_codes", CODE | {"device_token_id": NOBODY}),
    ("device_token_codes_one_open", "device_token_codes", CODE | {"status": "open"}),
    ("device_token_codes_number_in_range", "device_token_codes", CODE | {"number": 6}),
    ("device_token_codes_digest_length", "device_token_codes", CODE | {"digest": b"123456"}),
    ("device_token_codes_phone_is_masked", "device_token_codes", CODE | {"phone_mask": "+79161234567"}),
    ("device_token_codes_tries_in_range", "device_token_codes", CODE | {"tries": 4}),
    ("device_token_codes_status_is_known", "device_token_codes", CODE | {"status": "lost"}),
    ("device_token_codes_open_has_tries", "device_token_codes", CODE | {"status": "open", "tries": 3}),
    ("device_token_codes_end_after", "device_token_codes", CODE | {"expires_at": NOW}),
    ("device_key_batches_pkey", "device_key_batches", BATCH | {"number": 1}),
    ("device_key_batches_token_fkey", "device_key_batches", BATCH | {"device_token_id": NOBODY}),
    ("device_key_batches_request_key", "device_key_batches", BATCH | {"request_id": "r" * 16}),
    ("device_key_batches_request_form", "device_key_batches", BATCH | {"request_id": "short"}),
    ("device_key_batches_number_positive", "device_key_batches", BATCH | {"number": 0}),
    ("device_key_batches_counters_in_range", "device_key_batches", BATCH | {"last_atc": 11}),
    ("device_key_batches_counters_in_range", "device_key_batches", BATCH | {"first_atc": 65536, "last_atc": 65536}),
    ("device_key_batches_end_after", "device_key_batches", BATCH | {"expires_at": NOW}),
    ("device_keys_pkey", "device_keys", {}),
    ("device_keys_batch_fkey", "device_keys", KEY | {"batch_number": 9}),
    ("device_keys_atc_in_range", "device_keys", KEY | {"atc": 0}),
    ("device_keys_status_is_known", "device_keys", KEY | {"status": "lent"}),
    ("device_authorisations_pkey", "device_authorisations", {"atc": 3}),
    ("device_authorisations_key_fkey", "device_authorisations", OTHER_PAYMENT | {"atc": 9}),
    ("device_authorisations_atc_key", "device_authorisations", OTHER_PAYMENT | {"atc": 1}),
    ("device_authorisations_id_form", "device_authorisations", OTHER_PAYMENT | {"id": "1"}),
    ("device_authorisations_amount_in_range", "device_authorisations", OTHER_PAYMENT | {"amount_kopecks": 0}),
    ("device_authorisations_channel_is_known", "device_authorisations", OTHER_PAYMENT | {"channel": "nfc"}),
    ("device_authorisations_mcc_form", "device_authorisations", OTHER_PAYMENT | {"mcc": "541"}),
    ("device_authorisations_digest_length", "device_authorisations", OTHER_PAYMENT | {"digest": b"x"}),
    ("device_authorisations_cryptogram_length", "device_authorisations", OTHER_PAYMENT | {"cryptogram": b"x"}),
    ("device_authorisations_chip_length", "device_authorisations", OTHER_PAYMENT | {"chip": b""}),
    ("device_authorisations_chip_length", "device_authorisations", OTHER_PAYMENT | {"chip": b"x" * 256}),
    ("device_authorisations_status_is_known", "device_authorisations", OTHER_PAYMENT | {"status": "lost"}),
    ("device_authorisations_answered_when_decided", "device_authorisations", OTHER_PAYMENT | {"status": "approved"}),
    ("device_authorisations_answered_when_decided", "device_authorisations", OTHER_PAYMENT | {"ended_at": NOW}),
    ("device_authorisations_response_form", "device_authorisations", OTHER_PAYMENT | ENDED | {"response_code": "0"}),
    ("device_authorisations_answer_length", "device_authorisations", OTHER_PAYMENT | ENDED | {"issuer_answer": b"x"}),
    ("device_payment_denials_pkey", "device_payment_denials", {}),
    ("device_payment_denials_payment_form", "device_payment_denials", {"payment_id": "1"}),
    ("device_payment_denials_merchant_form", "device_payment_denials", {"merchant_id": "shop"}),
]


@pytest.fixture(scope="module")
def filled(server: Server, vault_template: str) -> Iterator[str]:
    """A database with one row of everything."""
    name = "kopeyka_vault_device_constraints"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER kopeyka_owner TEMPLATE {vault_template}")
    with psycopg.connect(server.url("postgres", name), autocommit=True) as connection:
        connection.execute(
            """INSERT INTO keys (number, purpose, scope, version, state, algorithm, wrapped, kek_provider, kek_version,
                                 env, cryptoperiod_days, created_at, activated_at)
               VALUES (1, 'device_master', 'mir_test', 1, 'active', 'master-256', decode(repeat('ab', 60), 'hex'),
                       'file', '1', 'test', 365, now(), now())"""
        )
        for table, row in ROWS.items():
            insert(connection, table, row)
        insert(connection, "device_keys", ROWS["device_keys"] | {"atc": 3})
    yield name
    drop_database(server, name)


@pytest.fixture
def connection(server: Server, filled: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser in a transaction that is undone."""
    with psycopg.connect(server.url("postgres", filled)) as opened:
        yield opened
        opened.rollback()


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    columns, values = map(sql.Identifier, row), map(sql.Placeholder, row)
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table), sql.SQL(", ").join(columns), sql.SQL(", ").join(values)
    )
    connection.execute(statement, row)


@pytest.mark.parametrize(("constraint", "table", "change"), VIOLATIONS)
def test_each_constraint_says_no(
    connection: psycopg.Connection[Any], constraint: str, table: str, change: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        insert(connection, table, ROWS[table] | change)

    assert refused.value.diag.constraint_name == constraint


def test_no_constraint_was_forgotten(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute(
        "SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE relname = ANY(%s)"
        " AND contype <> 'n' UNION SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class"
        " ON pg_class.oid = indrelid WHERE indisunique AND relname = ANY(%s)",
        (list(ROWS), list(ROWS)),
    ).fetchall()

    assert {name for (name,) in found} == {constraint for constraint, _, _ in VIOLATIONS}


@pytest.mark.parametrize(("status", "to"), list(product(DeviceTokenStatus, DeviceTokenStatus)))
def test_the_database_walks_the_same_square_of_tokens(
    connection: psycopg.Connection[Any], status: DeviceTokenStatus, to: DeviceTokenStatus
) -> None:
    connection.execute("ALTER TABLE device_tokens DISABLE TRIGGER device_tokens_move_as_allowed")
    connection.execute("ALTER TABLE device_tokens DROP CONSTRAINT device_tokens_red_is_declined")
    connection.execute("ALTER TABLE device_tokens DROP CONSTRAINT device_tokens_declined_has_no_number")
    connection.execute("ALTER TABLE device_tokens DROP CONSTRAINT device_tokens_green_awaits_nothing")
    connection.execute("UPDATE device_tokens SET status = %s", (status,))
    connection.execute("ALTER TABLE device_tokens ENABLE TRIGGER device_tokens_move_as_allowed")

    if to in TOKEN_ALLOWED[status] or to is status:
        connection.execute("UPDATE device_tokens SET status = %s", (to,))
        return
    with pytest.raises(CheckViolation) as refused:
        connection.execute("UPDATE device_tokens SET status = %s", (to,))
    assert refused.value.diag.constraint_name == "device_tokens_move_as_allowed"


@pytest.mark.parametrize(("status", "to"), list(product(DeviceKeyStatus, DeviceKeyStatus)))
def test_the_database_walks_the_same_square_of_keys(
    connection: psycopg.Connection[Any], status: DeviceKeyStatus, to: DeviceKeyStatus
) -> None:
    connection.execute("ALTER TABLE device_keys DISABLE TRIGGER device_keys_move_as_allowed")
    connection.execute("UPDATE device_keys SET status = %s", (status,))
    connection.execute("ALTER TABLE device_keys ENABLE TRIGGER device_keys_move_as_allowed")

    if to in KEY_ALLOWED[status]:
        connection.execute("UPDATE device_keys SET status = %s", (to,))
        return
    with pytest.raises(CheckViolation) as refused:
        connection.execute("UPDATE device_keys SET status = %s", (to,))
    assert refused.value.diag.constraint_name == "device_keys_move_as_allowed"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("device_tokens", "token_number = '9643000100000018'"),
        ("device_tokens", "par = 'QKOP' || repeat('B', 25)"),
        ("device_tokens", "merchant_id = 'mer_2'"),
        ("device_tokens", "decision = 'yellow'"),
        ("device_keys", "atc = 2"),
    ],
)
def test_what_a_token_and_a_key_are_does_not_change(
    connection: psycopg.Connection[Any], table: str, change: str
) -> None:
    with pytest.raises(CheckViolation):
        connection.execute(f"UPDATE {table} SET {change}")


DENIED = {
    "the vault's role forgets no token": "DELETE FROM device_tokens",
    "nor a payment": "DELETE FROM device_authorisations",
    "nor a key that was used": "DELETE FROM device_keys",
    "nor who held a token back": "DELETE FROM device_token_suspensions",
    "nor changes why": "UPDATE device_token_suspensions SET reason = 'x'",
    "nor gives a token another number": "UPDATE device_tokens SET token_number = '9643000100000018'",
    "nor a payment another sum": "UPDATE device_authorisations SET amount_kopecks = 1",
    "nor a requestor other limits": "UPDATE token_requestors SET amount_kopecks_max = 2",
    "nor a code another digest": "UPDATE device_token_codes SET digest = digest",
    "nor a device another key": "UPDATE token_devices SET public_jwk = public_jwk",
    "nor makes a range": "INSERT INTO token_ranges VALUES ('a', 'b', 'c', 16, 'aes', true)",
    "nor keys that live longer": "UPDATE device_key_batches SET expires_at = now()",
}


@pytest.mark.parametrize("name", DENIED)
def test_the_vaults_role_may_do_no_more_than_it_needs(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute("SET LOCAL ROLE kopeyka_vault")

    with pytest.raises(InsufficientPrivilege):
        connection.execute(DENIED[name])


@pytest.mark.parametrize("table", ROWS)
def test_the_logs_sealer_sees_nothing_of_them(connection: psycopg.Connection[Any], table: str) -> None:
    connection.execute("SET LOCAL ROLE kopeyka_vault_sequencer")

    with pytest.raises(InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {table}")


def test_the_migration_names_what_is_tested_here() -> None:
    text = (Path(FOLDER) / "v007_koshelek_pay.sql").read_text("utf-8")

    assert set(re.findall(r"CREATE TABLE (\w+)", text)) == set(ROWS)
