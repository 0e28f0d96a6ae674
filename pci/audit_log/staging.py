"""Into the log: an event is staged in the transaction of what it tells of, so neither is ever without the other.

    await stage(session, [AuditEvent("card.tokenized", actor="service:api", …)])

One statement for any number of events. A function of the database that does its effect and its events in one
statement takes what ``lines_of`` makes. PostgreSQL hashes each line into its leaf by itself.
"""

from __future__ import annotations

import json.encoder
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import text

from pci.audit_log.errors import EventMalformed
from pci.audit_log.event import AuditEvent
from pci.database import Session
from pci.redaction import is_plain, redact_text

SCHEMA_VERSION = 1
"""Says how the bytes are to be read; it changes when the form does, and old lines keep theirs."""
EVENT_BYTES_MAX = 8_192
STAGE_MAX = 10_000
"""Events in one statement: an import stages its batch at once."""

_STAGE = text("INSERT INTO audit_events (event) SELECT line FROM unnest(CAST(:lines AS bytea[])) AS line")


async def stage(session: Session, events: Sequence[AuditEvent]) -> None:
    """Stage events; they are sealed later, in the order they were committed in. If this fails, so must the work.

    Raises: EventMalformed.
    """
    if events:
        await session.execute(_STAGE, {"lines": lines_of(events)})


def lines_of(events: Sequence[AuditEvent]) -> list[bytes]:
    """Events as the only bytes they are ever written in: sorted names, whole numbers, texts, truths, UTC milliseconds.

    Whatever looks like a card number or a key in a text is starred: the log is read by people.
    Source: the form follows RFC 8785, which these three kinds of values make simple.
    Raises: EventMalformed.
    """
    assert len(events) <= STAGE_MAX
    for event in events:
        _refuse_malformed(event)
    shown = _quoted if _are_plain(events) else _starred
    return [_line(event, shown) for event in events]


def _line(event: AuditEvent, shown: Callable[[str], str]) -> bytes:
    line = (
        f'{{"action":{_quoted(event.action)},"actor":{shown(event.actor)},"at":"{_milliseconds(event.happened_at)}",'
        f'"facts":{_facts(event.facts, shown)},"merchant_id":{shown(event.merchant_id)},'
        f'"origin":{shown(event.origin)},"outcome":{_quoted(event.outcome)},"subject":{shown(event.subject)},'
        f'"v":{SCHEMA_VERSION}}}'
    ).encode()
    if len(line) > EVENT_BYTES_MAX:
        raise EventMalformed(action=event.action, bytes=len(line))
    return line


def _refuse_malformed(event: AuditEvent) -> None:
    if not (event.action and event.actor and event.origin and event.subject):
        raise EventMalformed(action=event.action, flaw="who, what, from where and on what are all to be said")
    if event.happened_at.tzinfo is None:
        raise EventMalformed(action=event.action, flaw="a time without its zone")
    for name, value in event.facts.items():
        if not isinstance(value, (str, int)):
            raise EventMalformed(fact=name, flaw="whole numbers, texts and truths only")


def _are_plain(events: Sequence[AuditEvent]) -> bool:
    """Whether no text of the events needs ``_starred``: one look at all of them, each once, as nearly none does."""
    texts = {text for event in events for text in (event.actor, event.merchant_id, event.origin, event.subject)}
    texts.update(value for event in events for value in event.facts.values() if isinstance(value, str))
    joined = "\n".join(texts)
    return "\x00" not in joined and is_plain(joined)


def _starred(value: str) -> str:
    """A text without what looks secret, and without the two things that PostgreSQL's JSON cannot hold, in quotes."""
    return _quoted(redact_text(value).replace("\x00", "\ufffd").encode("utf-8", "replace").decode())


def _facts(facts: Mapping[str, str | int | bool], shown: Callable[[str], str]) -> str:
    return "{" + ",".join([f"{_quoted(name)}:{_fact(facts[name], shown)}" for name in sorted(facts)]) + "}"


def _fact(value: str | int | bool, shown: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return int.__repr__(value)


@lru_cache(maxsize=8)
def _milliseconds(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_quoted = json.encoder.encode_basestring
"""A line is written by hand around this: an encoder made for any shape takes twice as long."""
