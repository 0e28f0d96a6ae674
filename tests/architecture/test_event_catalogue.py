"""The catalogue of events and the code that publishes them say the same."""

from __future__ import annotations

import json

import pytest

from api.event_catalogue import EVENT_TYPES, read_catalogue
from api.event_fields import FIELDS
from checkout.card_payments import CardRefundStatus
from installments.movements import MovementKind
from installments.plan import Standing
from sbp_gateway.registrations import RegistrationStatus
from tests.architecture.publishers import EXTRA, Place, places

CARD = ("authorised", "captured", "refused", "voided")
"""Statuses of a payment by card that are told."""
BECOMES: dict[str, tuple[str, ...]] = {
    "f'card_payment.{payment.status}'": tuple(f"card_payment.{status}" for status in CARD),
    "f'refund.{refund.status}'": tuple(
        f"refund.{status}" for status in CardRefundStatus if status in ("succeeded", "refused")
    ),
    "f'refund.{refund.status.value}'": ("refund.succeeded", "refund.refused", "refund.failed"),
    "f'plan.{standing.value}'": tuple(f"plan.{standing.value}" for standing in Standing),
    "f'plan.{movement.kind.value}'": tuple(f"plan.{kind.value}" for kind in MovementKind),
    "f'plan_charge.{charge.status}'": ("plan_charge.refused",),
    "f'buyer_payout.{payout.status}'": ("buyer_payout.sent", "buyer_payout.rejected"),
    "f'redemption.{redemption.status}'": (
        "redemption.confirmed",
        "redemption.released",
        "redemption.returned",
    ),
    "'rail.switched_on' if is_on else 'rail.switched_off'": ("rail.switched_on", "rail.switched_off"),
    "CANCELED": ("yookassa_payment.canceled",),
    "TESTED": ("webhook.tested",),
    "name": ("order.paid", "payment.late"),
}
"""What an expression in the place of a name may become."""
SPELT_OUT_ELSEWHERE = (
    *(f"registration.{status.value}" for status in RegistrationStatus),
    "registration.activated",
)
"""Published by ``sbp_gateway.onboarding._publish``, by the status of what it is given."""


def names_of(place: Place) -> tuple[str, ...]:
    return (place.name,) if place.is_literal else BECOMES.get(place.name, ())


def test_every_place_that_publishes_is_in_the_catalogue() -> None:
    lines = {
        name: f"{name}:\n    says: …\n    fields: {' '.join(sorted(place.fields))}"
        for place in places()
        for name in names_of(place)
        if name not in EVENT_TYPES
    }

    assert [str(place) for place in places() if not names_of(place)] == []
    assert "\n".join(lines.values()) == "", "these lines lack in api/event_catalogue.yaml"


def test_every_line_of_the_catalogue_is_published_somewhere() -> None:
    published = {name for place in places() for name in names_of(place)} | set(SPELT_OUT_ELSEWHERE)

    assert sorted(set(EVENT_TYPES) - published) == []


def test_what_is_published_has_the_fields_of_the_catalogue() -> None:
    faults = []
    for place in places():
        for name in names_of(place):
            event_type = EVENT_TYPES.get(name)
            if event_type is None:
                continue  # told of above
            required = set(event_type.fields) - event_type.optional
            unknown = place.fields - {EXTRA} - set(event_type.fields)
            missing = set() if EXTRA in place.fields else required - place.fields
            if unknown or missing:
                faults.append(f"{place} as {name}: unknown {sorted(unknown)}, missing {sorted(missing)}")

    assert faults == []


def test_every_field_is_used_and_its_example_is_one() -> None:
    used = {id(field) for event_type in EVENT_TYPES.values() for field in event_type.fields.values()}

    assert [name for name, field in FIELDS.items() if id(field) not in used] == []
    assert [name for name, field in FIELDS.items() if not field.takes(field.example)] == []


def test_every_event_says_something_in_russian_and_its_example_is_taken() -> None:
    for event_type in EVENT_TYPES.values():
        assert any("а" <= letter <= "я" for letter in event_type.summary.lower()), event_type.name
        assert event_type.faults_of(event_type.example) == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({}, "order_id: missing"),
        ({"order_id": None}, "order_id: null"),
        ({"order_id": 7}, "order_id: not string"),
        ({"order_id": "ord_1", "phone": "+7"}, "phone: not in the catalogue"),
        ({"order_id": "ord_1", "refunds": True}, "refunds: not integer"),
    ],
    ids=["missing", "null", "of another kind", "unknown", "a truth is no number"],
)
def test_data_that_is_not_as_the_catalogue_says_is_noticed(data: dict[str, object], fault: str) -> None:
    (event_type,) = read_catalogue(
        json.dumps({"shapes": {"s": "order_id"}, "events": {"a.b": {"says": "А", "fields": "$s refunds?"}}})
    ).values()

    assert event_type.faults_of(data) == [fault]
    assert event_type.faults_of({"order_id": "ord_1"}) == []
