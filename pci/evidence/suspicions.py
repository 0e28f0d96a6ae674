"""What a review of the log finds worth a person's look: pure rules over events, one pass, no clock.

Every rule counts: it picks events and says about whom each one is; from so many on, that is a suspicion. Limits are
for one Moscow day.

Source: PCI DSS 10.4.1, 10.4.1.1: logs are reviewed at least daily, by automated mechanisms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from pci.audit_log.event import AuditOutcome

MOSCOW = ZoneInfo("Europe/Moscow")
NIGHT_BEGINS, NIGHT_ENDS = 22, 7
"""Off hours, in Moscow: people who may see numbers and move keys work by day."""
REVEALS_MANY = 10
"""The daily share of one person without a second one, by default."""
REFUSALS_MANY = 20
"""People mistype; nobody is refused this often in a day by mistake."""
FOREIGN_MANY = 20
SIGN_INS_REFUSED_MANY = 10
"""From one address: a lockout sees one login, this sees many logins tried once each."""
SUBJECTS_MAX = 10_000
"""Remembered for one rule; beyond it only those already seen are counted, and the rest as one."""
REST = "others"
NOBODY = "person:unknown"
ROUTINE = frozenset({"card.tokenized", "card.read", "cards.read"})
"""What services do all day and no rule looks at when it is done: most of a log, left where it is and only counted."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it is read from the log."""

    number: int
    action: str
    actor: str
    origin: str
    subject: str
    outcome: AuditOutcome
    merchant_id: str
    at: datetime

    @property
    def is_done(self) -> bool:
        """Whether it came to pass."""
        return self.outcome is AuditOutcome.DONE

    @property
    def is_refused(self) -> bool:
        """Whether the rules forbade it."""
        return self.outcome is AuditOutcome.REFUSED

    @property
    def address(self) -> str:
        """Where it came from, without the number of the request."""
        return f"origin:{self.origin.split(' ', 1)[0]}"

    @property
    def is_at_night(self) -> bool:
        """Whether it was in off hours."""
        return not NIGHT_ENDS <= self.at.astimezone(MOSCOW).hour < NIGHT_BEGINS


@dataclass(frozen=True, slots=True)
class SuspicionRule:
    """One thing a review looks for."""

    name: str
    about: Callable[[LoggedEvent], str]
    """Whom an event speaks against; nothing when it does not."""
    many: int = 1
    """From so many events on."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a rule found about somebody or something in one day."""

    rule: str
    about: str
    facts: Mapping[str, str | int]


def _reveal(event: LoggedEvent) -> str:
    return event.actor if event.action == "card.revealed" and event.is_done else ""


def _reveal_at_night(event: LoggedEvent) -> str:
    return _reveal(event) if event.is_at_night else ""


def _admin_at_night(event: LoggedEvent) -> str:
    """Source: PCI DSS 10.2.1.2: what is done with administrative rights."""
    is_admins = event.action.startswith(("key.", "kek.", "ceremony.", "retention.")) or event.action in RIGHTS
    is_persons = event.actor.startswith(("person:", "operator:"))
    return event.actor if is_admins and is_persons and event.is_done and event.is_at_night else ""


def _refused(event: LoggedEvent) -> str:
    """By a person or a caller; a service's refusals are its callers', whom their merchant names."""
    is_known = event.actor != NOBODY and not event.actor.startswith("service:")
    return event.actor if event.is_refused and is_known else ""


def _sign_in_refused(event: LoggedEvent) -> str:
    return event.address if event.action == "person.signed_in" and event.is_refused else ""


def _refused_to_strangers(event: LoggedEvent) -> str:
    is_strangers = event.actor == NOBODY and event.action != "person.signed_in"
    return event.address if event.is_refused and is_strangers else ""


def _foreign_token(event: LoggedEvent) -> str:
    is_ask = event.action.startswith(("card.", "charge.", "device_token.")) and event.is_refused
    return f"merchant:{event.merchant_id}" if is_ask and event.merchant_id else ""


def _guessed(event: LoggedEvent) -> str:
    return event.actor if event.action == "tokens.guessed" else ""


def _locked(event: LoggedEvent) -> str:
    return event.subject if event.action == "person.locked" else ""


def _key_withdrawn(event: LoggedEvent) -> str:
    """Not the sweeper's: it destroys yesterday's keys of CVCs every day."""
    is_end = event.action in ("key.compromised", "key.destroyed", "cards.shredded")
    return event.subject if is_end and event.is_done and event.actor != "system:sweeper" else ""


RIGHTS = frozenset(
    {
        "person.added", "person.confirmed", "person.roles_changed", "person.totp_reset_approved", "person.unlocked",
        "person.password_reset", "person.disabled",
    }
)  # fmt: skip
"""Acts after which somebody may do more, or comes in by another way."""


def _rights_changed(event: LoggedEvent) -> str:
    is_by_itself = event.actor.startswith("system:sweeper")
    return event.subject if event.action in RIGHTS and event.is_done and not is_by_itself else ""


def _exported(event: LoggedEvent) -> str:
    return event.actor if event.action in ("cards.exported", "cards.export_approved", "audit_log.dumped") else ""


def _not_opened(event: LoggedEvent) -> str:
    """A row of the database that does not open was put there by somebody."""
    return event.subject if event.action == "card.read" and event.outcome is AuditOutcome.FAILED else ""


def _rolled_back(event: LoggedEvent) -> str:
    return event.subject if event.action in ("audit_log.rolled_back", "audit_log.rollback_accepted") else ""


def _stopped(event: LoggedEvent) -> str:
    """Source: PCI DSS 10.2.1.6: the log is stopped or paused."""
    is_stop = event.action in ("audit_log.sealing_stopped", "audit_log.export_failed", "control.was_silent")
    return event.subject if is_stop else ""


RULES: tuple[SuspicionRule, ...] = (
    SuspicionRule("reveals_many", _reveal, REVEALS_MANY),
    SuspicionRule("reveals_at_night", _reveal_at_night),
    SuspicionRule("admin_at_night", _admin_at_night),
    SuspicionRule("refusals_many", _refused, REFUSALS_MANY),
    SuspicionRule("strangers_refused", _refused_to_strangers, REFUSALS_MANY),
    SuspicionRule("sign_ins_refused", _sign_in_refused, SIGN_INS_REFUSED_MANY),
    SuspicionRule("foreign_tokens", _foreign_token, FOREIGN_MANY),
    SuspicionRule("tokens_guessed", _guessed),
    SuspicionRule("person_locked", _locked),
    SuspicionRule("key_withdrawn", _key_withdrawn),
    SuspicionRule("rights_changed", _rights_changed),
    SuspicionRule("exported", _exported),
    SuspicionRule("row_not_opened", _not_opened),
    SuspicionRule("log_rolled_back", _rolled_back),
    SuspicionRule("log_stopped", _stopped),
)


@dataclass(slots=True)
class _Count:
    events: int
    first: LoggedEvent
    last: LoggedEvent


@dataclass(slots=True)
class SuspicionTally:
    """What the rules have counted so far; memory is bounded however many events a day has."""

    _counts: dict[str, dict[str, _Count]] = field(default_factory=dict)

    def add(self, event: LoggedEvent) -> None:
        """Show one event to every rule."""
        for rule in RULES:
            if about := rule.about(event):
                self._add(self._counts.setdefault(rule.name, {}), about, event)

    @staticmethod
    def _add(counts: dict[str, _Count], about: str, event: LoggedEvent) -> None:
        if about not in counts and len(counts) >= SUBJECTS_MAX:
            about = REST
        known = counts.get(about)
        if known is None:
            counts[about] = _Count(1, event, event)
            return
        known.events += 1
        known.first = min(known.first, event, key=lambda one: (one.at, one.number))
        known.last = max(known.last, event, key=lambda one: (one.at, one.number))

    def suspicions(self) -> list[Suspicion]:
        """What came to so many or more, in the order of the rules and then of names."""
        return [
            Suspicion(rule.name, about, _facts(count))
            for rule in RULES
            for about, count in sorted(self._counts.get(rule.name, {}).items())
            if count.events >= rule.many
        ]


def _facts(count: _Count) -> dict[str, str | int]:
    """How many there were, and where in the log a person finds the first and the last."""
    return {
        "events": count.events,
        "first_event": count.first.number, "first_at": count.first.at.isoformat(),
        "last_event": count.last.number, "last_at": count.last.at.isoformat(),
    }  # fmt: skip
