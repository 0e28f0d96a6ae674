"""What a review of the log finds, and what it lets pass."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pci.audit_log.event import AuditOutcome
from pci.evidence import suspicions
from pci.evidence.suspicions import RULES, LoggedEvent, Suspicion, SuspicionTally
from tests.architecture.sources import sources

NOON = datetime(2026, 11, 21, 9, tzinfo=UTC)
ANNA = "person:per_anna"
DONE, REFUSED, FAILED = AuditOutcome.DONE, AuditOutcome.REFUSED, AuditOutcome.FAILED


def logged(
    action: str, actor: str = ANNA, subject: str = "card:tok_1", outcome: AuditOutcome = DONE, merchant_id: str = ""
) -> LoggedEvent:
    return LoggedEvent(1, action, actor, "192.0.2.7", subject, outcome, merchant_id, NOON)


def with_requests(events: list[LoggedEvent]) -> list[LoggedEvent]:
    return [replace(event, origin=f"192.0.2.7 req_{number}") for number, event in enumerate(events)]


def found(events: Iterable[LoggedEvent]) -> list[Suspicion]:
    tally = SuspicionTally()
    for event in events:
        tally.add(event)
    return tally.suspicions()


def told(events: Iterable[LoggedEvent]) -> list[tuple[str, str]]:
    return [(one.rule, one.about) for one in found(events)]


SUSPICIOUS = {
    "reveals_many": ([logged("card.revealed")] * 10, ANNA),
    "refusals_many": ([logged("person.added", outcome=REFUSED)] * 20, ANNA),
    "strangers_refused": ([logged("access.exported", "person:unknown", outcome=REFUSED)] * 20, "origin:192.0.2.7"),
    "sign_ins_refused": ([logged("person.signed_in", "person:unknown", outcome=REFUSED)] * 10, "origin:192.0.2.7"),
    "foreign_tokens": (
        [logged("card.looked_up", "service:api", "card:unknown", REFUSED, "mer_shop")] * 20, "merchant:mer_shop",
    ),
    "tokens_guessed": ([logged("tokens.guessed", "caller:key_1")], "caller:key_1"),
    "person_locked": ([logged("person.locked", "system:access", ANNA)], ANNA),
    "key_withdrawn": ([logged("key.compromised", subject="key:dek_7")], "key:dek_7"),
    "rights_changed": ([logged("person.roles_changed", subject="person:per_boris")], "person:per_boris"),
    "exported": ([logged("cards.exported", "service:api", "export:cex_1")], "service:api"),
    "row_not_opened": ([logged("card.read", "service:api", outcome=FAILED)], "card:tok_1"),
    "log_rolled_back": ([logged("audit_log.rolled_back", "system:sealer", "log:v", FAILED)], "log:v"),
    "log_stopped": ([logged("audit_log.sealing_stopped", "system:sealer", "log:v")], "log:v"),
}  # fmt: skip


@pytest.mark.parametrize("rule", SUSPICIOUS)
def test_what_a_rule_looks_for_is_found_and_one_event_less_is_not(rule: str) -> None:
    events, about = SUSPICIOUS[rule]

    assert told(with_requests(events)) == [(rule, about)]
    assert told(events[1:]) == []


def test_every_rule_has_a_name_of_its_own_and_a_test() -> None:
    names = [rule.name for rule in RULES]

    assert len(set(names)) == len(names)
    assert set(names) == SUSPICIOUS.keys() | {"reveals_at_night", "admin_at_night"}


@pytest.mark.parametrize(
    ("utc", "is_night"),
    [("03:59", True), ("04:00", False), ("18:59", False), ("19:00", True), ("21:30", True)],
    ids=["06:59 Moscow", "07:00", "21:59", "22:00", "00:30"],
)
@pytest.mark.parametrize(
    ("action", "rule"),
    [("card.revealed", "reveals_at_night"), ("key.retired", "admin_at_night"), ("retention.set", "admin_at_night")],
)
def test_off_hours_are_moscows(utc: str, is_night: bool, action: str, rule: str) -> None:
    at = datetime.fromisoformat(f"2026-11-21T{utc}+00:00")

    assert told([replace(logged(action), at=at)]) == ([(rule, ANNA)] if is_night else [])


@pytest.mark.parametrize(
    "events",
    [
        [logged("card.revealed", f"person:per_{number}") for number in range(30)],
        [logged("card.revealed", outcome=REFUSED)] * 15,
        [logged("card.read", "service:api", outcome=REFUSED)] * 50,
        [logged("key.destroyed", "system:sweeper", "key:dek_1")],
        [logged("person.disabled", "system:sweeper", ANNA)],
        [logged("person.roles_changed", outcome=REFUSED)],
        [replace(logged("key.activated", "system:sweeper"), at=NOON + timedelta(hours=12))],
        [logged("card.tokenized", "service:api")] * 500,
    ],
    ids=[
        "many people, one reveal each", "refused reveals below the limit", "a service's refusals of nobody's cards",
        "yesterday's keys of CVCs", "people who did not come", "a refused change", "what the vault does at night",
        "the day's work",
    ],
)  # fmt: skip
def test_what_is_nobodys_fault_is_let_pass(events: list[LoggedEvent]) -> None:
    assert told(events) == []


@settings(max_examples=50, deadline=None)
@given(st.permutations([(number, NOON + timedelta(minutes=number % 7)) for number in range(12)]))
def test_the_order_of_events_changes_nothing(order: list[tuple[int, datetime]]) -> None:
    suspicion = found(replace(logged("card.revealed"), number=number, at=at) for number, at in order)[0]

    assert suspicion.facts == {
        "events": 12,
        "first_event": 0, "first_at": "2026-11-21T09:00:00+00:00",
        "last_event": 6, "last_at": "2026-11-21T09:06:00+00:00",
    }  # fmt: skip


@pytest.mark.parametrize("action", sorted(suspicions.ROUTINE))
@pytest.mark.parametrize("at", [NOON, NOON + timedelta(hours=12)], ids=["by day", "at night"])
def test_no_rule_looks_at_what_a_review_leaves_unread(action: str, at: datetime) -> None:
    routine = replace(logged(action, "service:api", merchant_id="mer_shop"), at=at)

    assert [rule.name for rule in RULES if rule.about(routine)] == []


def test_every_action_that_a_rule_names_is_told_by_somebody() -> None:
    """A rule whose event was renamed would never speak again, and nobody would miss it."""
    named = {
        node.value
        for node in ast.walk(ast.parse(Path(suspicions.__file__).read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w+\.\w+", node.value)
    }
    texts = [source.text for source in sources() if source.path != "pci/evidence/suspicions.py"]

    def is_told(action: str) -> bool:
        words = (f'"{action}"', f'note("{action.removeprefix("audit_log.")}"', f'"{action.removeprefix("audit_log.")}"')
        return any(word in text for text in texts for word in words)

    assert len(named) > 15
    assert [action for action in sorted(named) if not is_told(action)] == []


def test_a_flood_of_names_is_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicions, "SUBJECTS_MAX", 2)

    flood = [logged("tokens.guessed", f"caller:key_{number}") for number in range(5)]

    assert [(one.about, one.facts["events"]) for one in found(flood)] == [
        ("caller:key_0", 1), ("caller:key_1", 1), ("others", 3),
    ]  # fmt: skip
