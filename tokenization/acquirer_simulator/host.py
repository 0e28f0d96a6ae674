"""The acquirer's books in a sandbox: what was approved, taken, let go and given back, and each message answered once.

Nothing is kept of a card but its mask. Every change is one line of a file before it is answered, so that the
process can be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tokenization.acquirer_simulator.scripts import Scripts
from tokenization.charges.messages import Message, answer_kind, private_fields

APPROVED, NO_ORIGINAL, WRONG_AMOUNT, NOT_POSSIBLE, NO_MONEY, ABOVE_LIMIT = "00", "25", "13", "12", "51", "61"
Remember = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class SimulatedCharge:
    """One authorisation or purchase, as the acquirer knows it."""

    key: str
    charge_id: str
    merchant_id: str
    mask: str
    amount: int
    code: str
    rrn: str
    approval: str
    is_purchase: bool
    captured: int = 0
    refunded: int = 0
    is_reversed: bool = False

    @property
    def net(self) -> int:
        """What the buyer has paid of it in the end."""
        return 0 if self.is_reversed else self.captured - self.refunded


@dataclass(slots=True)
class AcquirerHost:
    """Carries out messages."""

    scripts: Scripts
    remember: Remember = lambda _line: None
    charges: dict[str, SimulatedCharge] = field(default_factory=dict)
    advices: dict[str, str] = field(default_factory=dict)
    """Response codes of advices already carried out, by their numbers."""
    refunds: int = 0
    reversals: int = 0
    spent: dict[str, int] = field(default_factory=dict)
    """Kopecks taken or held, by a card's last four digits."""

    def carry_out(self, message: Message) -> Message:
        """The answer to a message; a repeated one gets the same answer and changes nothing."""
        kind = message.kind
        if kind == "0800":
            return _answer(message, APPROVED)
        if kind in ("0100", "0200"):
            charge = self.charges.get(_key(message)) or self._new_charge(message)
            return _answer(message, charge.code, charge.rrn, charge.approval if charge.code == APPROVED else None)
        code = self.advices.get(_key(message))
        if code is None:
            code = self._advise(message)
            if code != NO_ORIGINAL:  # what it knew nothing of may come yet
                self._keep_advice(message, code)
        return _answer(message, code, message.fields.get("37"))

    def _new_charge(self, message: Message) -> SimulatedCharge:
        fields, number = message.fields, len(self.charges) + 1
        charge = SimulatedCharge(
            _key(message), fields.get("62", ""), private_fields(message).get("SM", ""),
            f"{fields['2'][:6]}******{fields['2'][-4:]}", int(fields["4"]), "", f"{number:012}", f"{number:06}",
            message.kind == "0200",
        )  # fmt: skip
        charge.code = self.scripts.code_for(charge.amount, charge.mask[-4:], self.spent.get(charge.mask[-4:], 0))
        if charge.code == APPROVED and charge.is_purchase:
            charge.captured = charge.amount
        self.remember({"charge": asdict(charge)})
        self._take_in(charge)
        return charge

    def _take_in(self, charge: SimulatedCharge) -> None:
        self.charges[charge.key] = charge
        if charge.code == APPROVED:
            self._spend(charge, charge.amount)

    def _spend(self, charge: SimulatedCharge, amount: int) -> None:
        card = charge.mask[-4:]
        self.spent[card] = self.spent.get(card, 0) + amount

    def _advise(self, message: Message) -> str:
        """Decide an advice about an earlier message; ``_keep_advice`` carries it out."""
        charge = self._original(message)
        if charge is None or charge.code != APPROVED:
            return NO_ORIGINAL
        amount = int(message.fields["4"])
        if message.kind.startswith("04"):
            return self.scripts.reversal_code or (NOT_POSSIBLE if charge.refunded else APPROVED)
        if charge.is_reversed:
            return NOT_POSSIBLE
        if message.fields["3"].startswith("20"):
            return self.scripts.refund_code or (ABOVE_LIMIT if amount > charge.captured - charge.refunded else APPROVED)
        if charge.captured or amount > charge.amount:
            return NOT_POSSIBLE if charge.captured else WRONG_AMOUNT
        return self.scripts.capture_code or APPROVED

    def _original(self, message: Message) -> SimulatedCharge | None:
        """The charge that field 90 names."""
        original = message.fields.get("90", "")
        return self.charges.get(f"{message.correlation.terminal_id}/{original[4:10]}/{original[10:20]}")

    def _keep_advice(self, message: Message, code: str) -> None:
        charge = self._original(message)
        assert charge is not None
        line = {
            "key": _key(message), "code": code, "charge": charge.key, "amount": int(message.fields["4"]),
            "kind": "reversal" if message.kind.startswith("04")
            else "refund" if message.fields["3"].startswith("20") else "capture",
        }  # fmt: skip
        self.remember({"advice": line})
        self._take_in_advice(line)

    def _take_in_advice(self, line: Mapping[str, Any]) -> None:
        self.advices[line["key"]] = line["code"]
        if line["code"] != APPROVED:
            return
        charge, amount = self.charges[line["charge"]], line["amount"]
        if line["kind"] == "reversal" and not charge.is_reversed:
            charge.is_reversed = True
            self.reversals += 1
            self._spend(charge, -charge.amount)
        elif line["kind"] == "refund":
            charge.refunded += amount
            self.refunds += 1
            self._spend(charge, -amount)
        elif line["kind"] == "capture":
            charge.captured = amount
            self._spend(charge, amount - charge.amount)

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the file back in."""
        if "charge" in line:
            self._take_in(SimulatedCharge(**line["charge"]))
        elif "advice" in line:
            self._take_in_advice(line["advice"])
        elif "scripts" in line:
            self.scripts.set(line["scripts"])

    def summary(self) -> dict[str, int]:
        """What the acquirer will settle, to compare the books with."""
        live = [each for each in self.charges.values() if each.code == APPROVED and not each.is_reversed]
        paid = [each.charge_id for each in live]
        return {
            "requests": len(self.charges),
            "declined": sum(each.code != APPROVED for each in self.charges.values()),
            "reversals": self.reversals,
            "held_kopecks": sum(each.amount for each in live if not each.captured),
            "captured": sum(each.captured > 0 for each in live),
            "captured_kopecks": sum(each.captured for each in live),
            "refunds": self.refunds,
            "refunds_kopecks": sum(each.refunded for each in live),
            "net_kopecks": sum(each.net for each in live),
            "doubles": len(paid) - len(set(paid)),
        }


def _key(message: Message) -> str:
    return "/".join(message.correlation)


def _answer(message: Message, code: str, rrn: str | None = None, approval: str | None = None) -> Message:
    kept = ("3", "4", "7", "11", "12", "13", "32", "41", "42", "49", "62", "70")
    fields = {name: message.fields[name] for name in kept if name in message.fields}
    fields |= {"t": answer_kind(message.kind), "39": code}
    if rrn is not None:
        fields["37"] = rrn
    if approval is not None:
        fields |= {"38": approval, "63": f"NET{rrn}"}
    return Message(fields)
