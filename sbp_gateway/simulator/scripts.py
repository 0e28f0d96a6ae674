"""Scripts: what goes wrong with one operation, said before it happens.

Rates (``faults``) make trouble by chance; a script makes exactly the trouble a test is about. It is given
to a link by its ``qrc_id``, or to the next links that will be registered, whose ids nobody knows yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from sbp_gateway.nspk import OperationStatus

AMOUNT_KOPECKS_MAX = 100_000_000
"""A million roubles. Source: Bank of Russia, largest amount of one operation of SBP."""
ANSWER_DELAY_SECONDS_MAX = 60.0
NOTIFICATION_DELAY_SECONDS_MAX = 3_600.0
STATUSES_MAX = 20
"""Untrue or outdated words before NSPK tells how it is."""
NEXT_MAX = 10_000
"""Scripts that wait for links."""
SAYABLE = (OperationStatus.NOT_STARTED, OperationStatus.RECEIVED, OperationStatus.REJECTED)
"""What may be said before the truth. NSPK never says that money moved when it did not."""


class ScriptMalformed(ValueError):
    """A script that nobody can follow; its text says what to write instead."""


class RegisterFault(StrEnum):
    """What becomes of the call that registers the link."""

    NONE = "none"
    LOST_REQUEST = "lost_request"
    """NSPK never hears it."""
    LOST_ANSWER = "lost_answer"
    """The link is made, nobody learns of it."""
    REFUSED = "refused"
    """NSPK says no."""


class PaymentFault(StrEnum):
    """What becomes of the payment when the buyer confirms."""

    NONE = "none"
    REJECTED = "rejected"
    """The buyer's bank says no. The link may be paid again."""
    REJECTED_THEN_ACCEPTED = "rejected_then_accepted"
    """No at first; the buyer tries again at once and it works."""
    LATE_SUCCESS = "late_success"
    """Nothing is heard until the link's time and everybody's patience are over; then the money moves."""


class NotificationFault(StrEnum):
    """What becomes of the notifications."""

    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    """It waits until another notification has overtaken it, or five seconds."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Script:
    """What goes wrong with one operation; as it stands here, nothing does."""

    register: RegisterFault = RegisterFault.NONE
    answer_delay_seconds: float = 0.0
    """How long NSPK takes to answer the registration. Over five seconds the agent has hung up."""
    pay: PaymentFault = PaymentFault.NONE
    notification: tuple[NotificationFault, ...] = ()
    delay_seconds: float = 0.0
    """How late notifications start."""
    wrong_amount: int | None = None
    """Kopecks that the notification tells instead of the amount."""
    status: tuple[OperationStatus, ...] = ()
    """What the status call says before the truth, one word a question."""

    def told(self) -> dict[str, Any]:
        """The script as it is written."""
        return {entry.name: _plain(getattr(self, entry.name)) for entry in fields(self)}


NO_SCRIPT = Script()


def read_script(said: object, *, is_registered: bool = False) -> Script:
    """A script from what somebody wrote. Raises: ScriptMalformed, naming the field and what may stand there."""
    if not isinstance(said, Mapping):
        raise ScriptMalformed('a script is an object, such as {"register": "lost_answer"}')
    if unknown := [name for name in said if name not in READERS]:
        raise ScriptMalformed(f"{str(unknown[0])[:40]!r} is not a part of a script; these are: {', '.join(READERS)}")
    script = Script(**{name: READERS[name](name, value) for name, value in said.items()})
    if is_registered and (script.register is not RegisterFault.NONE or script.answer_delay_seconds):
        raise ScriptMalformed("register: this link is registered already; order it for the next one")
    if NotificationFault.LOST in script.notification and len(script.notification) > 1:
        raise ScriptMalformed("notification: a lost one is neither duplicate nor reordered")
    return script


def _one_of(words: type[StrEnum], allowed: Sequence[str] = ()) -> Callable[[str, object], Any]:
    choice = tuple(allowed) or tuple(words)

    def read(name: str, value: object) -> Any:
        if value not in choice:
            raise ScriptMalformed(f"{name}: write one of {', '.join(choice)}")
        return words(str(value))

    return read


def _several(read: Callable[[str, object], Any], count_max: int, *, is_set: bool) -> Callable[[str, object], Any]:
    def read_all(name: str, value: object) -> Any:
        if not isinstance(value, list) or len(value) > count_max:
            raise ScriptMalformed(f"{name}: write a list of up to {count_max} words")
        found = tuple(read(name, word) for word in value)
        if is_set and len(set(found)) < len(found):
            raise ScriptMalformed(f"{name}: write each word once")
        return found

    return read_all


def _seconds(seconds_max: float) -> Callable[[str, object], Any]:
    def read(name: str, value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= seconds_max:
            raise ScriptMalformed(f"{name}: write seconds from 0 to {seconds_max:.0f}")
        return float(value)

    return read


def _kopecks(name: str, value: object) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= AMOUNT_KOPECKS_MAX:
        raise ScriptMalformed(f"{name}: write whole kopecks from 1 to {AMOUNT_KOPECKS_MAX}")
    return value


READERS: dict[str, Callable[[str, object], Any]] = {
    "register": _one_of(RegisterFault),
    "answer_delay_seconds": _seconds(ANSWER_DELAY_SECONDS_MAX),
    "pay": _one_of(PaymentFault),
    "notification": _several(_one_of(NotificationFault), len(NotificationFault), is_set=True),
    "delay_seconds": _seconds(NOTIFICATION_DELAY_SECONDS_MAX),
    "wrong_amount": _kopecks,
    "status": _several(_one_of(OperationStatus, SAYABLE), STATUSES_MAX, is_set=False),
}
"""How each part of a script is read."""


def delay_of(body: Mapping[str, object]) -> float:
    """The ``delay_seconds`` of a request; none when it has none. Raises: ScriptMalformed."""
    return float(READERS["delay_seconds"]("delay_seconds", body.get("delay_seconds", 0)))


def amount_of(body: Mapping[str, object]) -> int | None:
    """The ``amount`` of a request, in whole kopecks, if it has one. Raises: ScriptMalformed."""
    amount: int | None = _kopecks("amount", body.get("amount"))
    return amount


@dataclass(slots=True)
class Scripts:
    """Every script of one simulator: those of links, and those that wait for links."""

    remember: Callable[[Mapping[str, Any]], None]
    by_id: dict[str, Script] = field(default_factory=dict)
    next: deque[Script] = field(default_factory=deque)

    def give(self, qrc_id: str, script: Script) -> None:
        """Give a link its script, instead of any it had."""
        self.by_id[qrc_id] = script
        self.remember({"script": qrc_id, "says": script.told()})

    def order(self, script: Script, count: int) -> None:
        """Let the next ``count`` registrations follow a script. Raises: ScriptMalformed if too many wait."""
        if not 1 <= count <= NEXT_MAX - len(self.next):
            raise ScriptMalformed(f"count: write a number from 1 to {NEXT_MAX}; {len(self.next)} wait already")
        self.next.extend([script] * count)
        self.remember({"scripts_ordered": count, "says": script.told()})

    def take(self) -> Script:
        """The script of a registration that comes now."""
        if not self.next:
            return NO_SCRIPT
        self.remember({"scripts_taken": 1})
        return self.next.popleft()

    def of(self, qrc_id: str) -> Script:
        """The script of a link."""
        return self.by_id.get(qrc_id, NO_SCRIPT)

    def spend_payment(self, qrc_id: str) -> PaymentFault:
        """What to do to this payment; the next one of the same link goes well."""
        script = self.of(qrc_id)
        if script.pay is not PaymentFault.NONE:
            self.give(qrc_id, replace(script, pay=PaymentFault.NONE))
        return script.pay

    def spend_status(self, qrc_id: str) -> OperationStatus | None:
        """What to say of a link before the truth; nothing when the truth's turn has come."""
        script = self.of(qrc_id)
        if not script.status:
            return None
        self.give(qrc_id, replace(script, status=script.status[1:]))
        return script.status[0]

    def clear(self) -> None:
        """Forget every script."""
        self.by_id.clear()
        self.next.clear()
        self.remember({"scripts_cleared": True})

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "script" in line:
            self.by_id[line["script"]] = read_script(line["says"])
        elif "scripts_ordered" in line:
            self.next.extend([read_script(line["says"])] * line["scripts_ordered"])
        elif "scripts_taken" in line:
            self.next.popleft()
        elif "scripts_cleared" in line:
            self.by_id.clear()
            self.next.clear()


def _plain(value: Any) -> Any:
    return [str(word) for word in value] if isinstance(value, tuple) else value
