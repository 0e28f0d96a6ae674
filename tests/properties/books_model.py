"""The books as a child would keep them: dictionaries and lists, one entry after another.

Where several things are wrong at once the real books may name any of them, so the model answers
with the set of true reasons; an empty set means that the entry must be booked.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ledger.clock import moscow_day
from ledger.entry import Entry, Posting, body_hash


@dataclass
class ModelAccount:
    code: str
    commodity: str
    sign: int
    available_min: int | None
    balance_max: int | None
    debits: int = 0
    credits: int = 0
    debits_held: int = 0
    credits_held: int = 0
    is_closed: bool = False
    legs: list[ModelLeg] = field(default_factory=list)

    @property
    def balance(self) -> int:
        return self.sign * (self.debits - self.credits)

    @property
    def held_out(self) -> int:
        return self.credits_held if self.sign > 0 else self.debits_held

    @property
    def held_in(self) -> int:
        return self.debits_held if self.sign > 0 else self.credits_held

    def limits_broken(self) -> set[str]:
        broken = set()
        if self.available_min is not None and self.balance - self.held_out < self.available_min:
            broken.add("ledger.overdrawn")
        if self.balance_max is not None and self.balance + self.held_in > self.balance_max:
            broken.add("ledger.over_ceiling")
        return broken


@dataclass(frozen=True)
class ModelLeg:
    debit: int
    credit: int
    balance: int
    happened_at: datetime


@dataclass
class ModelHold:
    posting: Posting
    expires_at: datetime | None
    left: int
    state: str = "open"


@dataclass
class Answer:
    """What the books must say: booked, replayed, or refused for one of the reasons."""

    verdict: str
    reasons: set[str] = field(default_factory=set)
    states: list[tuple[int, int, int, int]] = field(default_factory=list)


@dataclass
class Books:
    accounts: dict[str, ModelAccount] = field(default_factory=dict)
    booked: dict[str, tuple[Any, Answer]] = field(default_factory=dict)
    refused: dict[str, tuple[Any, Answer]] = field(default_factory=dict)
    reversed_ids: set[str] = field(default_factory=set)
    holds: dict[Any, ModelHold] = field(default_factory=dict)
    hold_steps: dict[str, Any] = field(default_factory=dict)
    closed_through_on: date | None = None

    def post_batch(self, entries: Sequence[Entry]) -> list[Answer]:
        answers: list[Answer] = []
        chain: list[Entry] = []
        for entry in entries:
            chain.append(entry)
            if not entry.is_linked:
                answers += self._post_chain(chain)
                chain = []
        return answers + (self._post_chain(chain) if chain else [])

    def post(self, entry: Entry) -> Answer:
        """One entry by the call that raises: the transaction is rolled back, so the refusal is forgotten."""
        before = copy.deepcopy(self)
        (answer,) = self.post_batch([entry])
        if answer.verdict == "refused":
            self.__dict__ = before.__dict__
        return answer

    def dry_run(self, entries: Sequence[Entry]) -> list[Answer]:
        return copy.deepcopy(self).post_batch(entries)

    def _post_chain(self, chain: Sequence[Entry]) -> list[Answer]:
        if len({entry.reference for entry in chain}) < len(chain):
            return self._refuse(chain, {"ledger.reference_reused", "ledger.linked_entry_refused"})
        known = [self._known(entry) for entry in chain]
        if all(known):
            return [answer for answer in known if answer]
        if any(known):
            return self._refuse(chain, {"ledger.linked_entry_known", "ledger.linked_entry_refused"})
        before = copy.deepcopy(self)
        answers = []
        for entry in chain:
            reasons = self._reasons(entry)
            states = [self._move(posting, entry.happened_at) for posting in entry.postings] if not reasons else []
            reasons |= self._limits(entry)
            reasons |= self._conditions_after(entry)
            if reasons:
                self.__dict__ = before.__dict__
                linked = {"ledger.linked_entry_refused"} if len(chain) > 1 else set()
                return self._refuse(chain, reasons | linked)
            answer = Answer("booked", set(), states)
            self.booked[entry.reference] = (body_hash(entry), answer)
            if entry.kind == "reversal":
                self.reversed_ids.add(entry.metadata["reverses"])
            answers.append(answer)
        return answers

    def _known(self, entry: Entry) -> Answer | None:
        for memory, verdict in ((self.booked, "replayed"), (self.refused, "refused")):
            if entry.reference in memory:
                digest, answer = memory[entry.reference]
                if digest != body_hash(entry):
                    return Answer("refused", {"ledger.reference_reused"})
                return Answer(verdict, answer.reasons, answer.states)
        return None

    def _refuse(self, chain: Sequence[Entry], reasons: set[str]) -> list[Answer]:
        answer = Answer("refused", reasons)
        for entry in chain:
            if entry.reference not in self.booked:
                self.refused.setdefault(entry.reference, (body_hash(entry), answer))
        return [answer for _ in chain]

    def _reasons(self, entry: Entry) -> set[str]:
        """Everything that speaks against the entry before its amounts are looked at."""
        reasons = {reason for posting in entry.postings for reason in self._account_reasons(posting)}
        for condition in entry.conditions:
            account = self.accounts.get(condition.account)
            if condition.if_version is not None and (account is None or len(account.legs) != condition.if_version):
                reasons.add("ledger.version_changed")
            if condition.min_available_after is not None and account is None:
                reasons.add("ledger.available_too_low")
        if self._is_closed(entry.happened_at):
            reasons.add("ledger.period_closed")
        if entry.kind == "reversal" and entry.metadata["reverses"] in self.reversed_ids:
            reasons.add("ledger.already_reversed")
        return reasons

    def _account_reasons(self, posting: Posting) -> set[str]:
        reasons = set()
        for code in (posting.debit, posting.credit):
            account = self.accounts.get(code)
            if account is None:
                reasons.add("ledger.unknown_account")
            elif account.is_closed:
                reasons.add("ledger.account_closed")
            elif account.commodity != posting.commodity:
                reasons.add("ledger.wrong_commodity")
        return reasons

    def _limits(self, entry: Entry) -> set[str]:
        """Limits broken once the entry is in, whether or not it was allowed in."""
        copied = copy.deepcopy(self)
        if entry.reference not in self.booked and self._reasons(entry):
            for posting in entry.postings:
                for code, amount in ((posting.debit, posting.amount), (posting.credit, -posting.amount)):
                    if code in copied.accounts:
                        copied.accounts[code].debits += amount
            return set().union(*(account.limits_broken() for account in copied.accounts.values()))
        return set().union(*(account.limits_broken() for account in self.accounts.values()))

    def _conditions_after(self, entry: Entry) -> set[str]:
        for condition in entry.conditions:
            account = self.accounts.get(condition.account)
            if (
                account is not None
                and condition.min_available_after is not None
                and account.balance - account.held_out < condition.min_available_after
            ):
                return {"ledger.available_too_low"}
        return set()

    def _move(self, posting: Posting, happened_at: datetime) -> tuple[int, int, int, int]:
        debit, credit = self.accounts[posting.debit], self.accounts[posting.credit]
        debit.debits += posting.amount
        credit.credits += posting.amount
        debit.legs.append(ModelLeg(posting.amount, 0, debit.balance, happened_at))
        credit.legs.append(ModelLeg(0, posting.amount, credit.balance, happened_at))
        return len(debit.legs), debit.balance, len(credit.legs), credit.balance

    def _is_closed(self, happened_at: datetime) -> bool:
        return self.closed_through_on is not None and moscow_day(happened_at) <= self.closed_through_on

    # Holds

    def place(self, reference: str, body: Any, posting: Posting) -> set[str]:
        """Why the hold cannot be placed. ``open_hold`` keeps it when it can."""
        if reference in self.hold_steps:
            return set() if self.hold_steps[reference] == body else {"ledger.reference_reused"}
        if reasons := self._account_reasons(posting):
            return reasons
        copied = copy.deepcopy(self)
        copied._hold(posting, posting.amount)
        return set().union(*(account.limits_broken() for account in copied.accounts.values()))

    def open_hold(self, hold_id: Any, reference: str, body: Any, posting: Posting, expires_at: datetime | None) -> None:
        if reference not in self.hold_steps:
            self.hold_steps[reference] = body
            self._hold(posting, posting.amount)
            self.holds[hold_id] = ModelHold(posting, expires_at, posting.amount)

    def post_part(
        self, hold_id: Any, reference: str, body: Any, amount: int | None, keep_rest: bool, happened_at: datetime
    ) -> set[str]:
        hold = self.holds[hold_id]
        if reference in self.hold_steps:
            return set() if self.hold_steps[reference] == body else {"ledger.reference_reused"}
        reasons = {"ledger.reference_reused"} if reference in self.booked else set()
        wanted = hold.left if amount is None else amount
        reasons |= self._hold_reasons(hold, happened_at)
        if wanted > hold.left:
            reasons.add("ledger.hold_exceeded")
        if self._is_closed(happened_at):
            reasons.add("ledger.period_closed")
        if reasons:
            return reasons
        self._hold(hold.posting, -(wanted if keep_rest else hold.left))
        hold.left = hold.left - wanted if keep_rest else 0
        hold.state = "open" if hold.left else "posted"
        self._move(Posting(hold.posting.debit, hold.posting.credit, wanted), happened_at)
        self.hold_steps[reference] = body
        self.booked[reference] = (("a hold", body), Answer("booked"))
        return set()

    def release(self, hold_id: Any, reference: str, body: Any, happened_at: datetime) -> set[str]:
        hold = self.holds[hold_id]
        if reference in self.hold_steps:
            return set() if self.hold_steps[reference] == body else {"ledger.reference_reused"}
        if reasons := self._hold_reasons(hold, happened_at):
            return reasons
        self.hold_steps[reference] = body
        self._give_back(hold, "released")
        return set()

    def expire_due(self, now: datetime) -> int:
        due = [
            hold
            for hold in self.holds.values()
            if hold.state == "open" and hold.expires_at is not None and hold.expires_at <= now
        ]
        for hold in due:
            self._give_back(hold, "expired")
        return len(due)

    def _hold_reasons(self, hold: ModelHold, happened_at: datetime) -> set[str]:
        if hold.state != "open":
            return {"ledger.hold_not_open"}
        is_late = hold.expires_at is not None and hold.expires_at <= happened_at
        return {"ledger.hold_expired"} if is_late else set()

    def _give_back(self, hold: ModelHold, state: str) -> None:
        self._hold(hold.posting, -hold.left)
        hold.left = 0
        hold.state = state

    def _hold(self, posting: Posting, amount: int) -> None:
        self.accounts[posting.debit].debits_held += amount
        self.accounts[posting.credit].credits_held += amount
