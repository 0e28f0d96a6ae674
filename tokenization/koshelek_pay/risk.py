"""May this card be put on this device? Green, yellow with a code, or red: rules that each say why.

A rule is a function of what is known to a finding or to nothing, so that an installation can bring its own. The
darkest finding decides; all of them are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

DEVICES_OF_CARD_YELLOW = 3
DEVICES_OF_CARD_RED = 8
"""A family has some; a list of stolen cards is tried on many."""
DECLINES_A_DAY_RED = 3
WRONG_CODES_A_DAY_YELLOW = 3
SCORE_YELLOW = 2
"""Of 5: how well the wallet knows its user. Source: schemes' wallets give 1 to 5."""
NEW_CARD_MINUTES = 60


class Colour(StrEnum):
    """What the rules say."""

    GREEN = "green"
    YELLOW = "yellow"
    """With a code that the bank sends."""
    RED = "red"


_DARKNESS = {Colour.GREEN: 0, Colour.YELLOW: 1, Colour.RED: 2}


class DeviceVerdict(StrEnum):
    """What the device's maker or an integrity service says of it, if one does."""

    TRUSTED = "trusted"
    """The device's key lies where nobody reads it. Only whoever runs the installation may say so."""
    UNKNOWN = "unknown"
    """Nobody said anything: so it is for devices without such a service, and that alone is no fault."""
    COMPROMISED = "compromised"


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known when a card is to be put on a device."""

    verdict: DeviceVerdict
    is_device_lost: bool
    tokens_on_device: int
    tokens_max: int
    devices_of_card: int
    declines_today: int
    """Of this card or this device, in the last 24 hours."""
    wrong_codes_today: int
    """Codes that ran out, of this card."""
    card_minutes: int
    """Since the card was entered."""
    wallet_score: int | None
    """How well the wallet knows its user, 1 to 5."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule saw, and what it makes of it."""

    rule: str
    colour: Colour
    reason: str


RiskRule = Callable[[DeviceFacts], Finding | None]


def device_is_compromised(facts: DeviceFacts) -> Finding | None:
    """A device that its own maker does not trust keeps no secret."""
    if facts.verdict is DeviceVerdict.COMPROMISED:
        return Finding("device_is_compromised", Colour.RED, "Устройство не доверенное")
    return None


def device_is_lost(facts: DeviceFacts) -> Finding | None:
    """Whoever holds a device that was reported lost is not its owner."""
    if facts.is_device_lost:
        return Finding("device_is_lost", Colour.RED, "Об утере устройства заявлено")
    return None


def key_is_not_attested(facts: DeviceFacts) -> Finding | None:
    """Unless somebody who may say so trusts it, the device's key may lie anywhere.

    An attestation that nobody has verified is any text, and counts for nothing.
    """
    if facts.verdict is DeviceVerdict.UNKNOWN:
        return Finding("key_is_not_attested", Colour.YELLOW, "Ключ устройства не подтверждён")
    return None


def device_is_full(facts: DeviceFacts) -> Finding | None:
    """A device with as many cards as its wallet allows takes no more."""
    if facts.tokens_on_device >= facts.tokens_max:
        return Finding("device_is_full", Colour.RED, f"На устройстве уже {facts.tokens_on_device} карт")
    return None


def card_is_on_many_devices(facts: DeviceFacts) -> Finding | None:
    """One card on many devices is rarely one person's."""
    reason = f"Карта уже на {facts.devices_of_card} устройствах"
    if facts.devices_of_card >= DEVICES_OF_CARD_RED:
        return Finding("card_is_on_many_devices", Colour.RED, reason)
    if facts.devices_of_card >= DEVICES_OF_CARD_YELLOW:
        return Finding("card_is_on_many_devices", Colour.YELLOW, reason)
    return None


def was_declined_often(facts: DeviceFacts) -> Finding | None:
    """Trying again after a no is what lists of cards are tried with."""
    if facts.declines_today >= DECLINES_A_DAY_RED:
        return Finding("was_declined_often", Colour.RED, f"Отказов за сутки: {facts.declines_today}")
    return None


def codes_ran_out(facts: DeviceFacts) -> Finding | None:
    """Codes of this card were guessed at."""
    if facts.wrong_codes_today >= WRONG_CODES_A_DAY_YELLOW:
        return Finding("codes_ran_out", Colour.YELLOW, f"Кодов не введено за сутки: {facts.wrong_codes_today}")
    return None


def card_is_new_here(facts: DeviceFacts) -> Finding | None:
    """A card that was entered just now has no history that speaks for it."""
    if facts.card_minutes < NEW_CARD_MINUTES:
        return Finding("card_is_new_here", Colour.YELLOW, "Карта введена только что")
    return None


def wallet_hardly_knows_its_user(facts: DeviceFacts) -> Finding | None:
    """The wallet itself is not sure."""
    if facts.wallet_score is not None and facts.wallet_score <= SCORE_YELLOW:
        return Finding("wallet_hardly_knows_its_user", Colour.YELLOW, f"Оценка кошелька: {facts.wallet_score}")
    return None


RULES: tuple[RiskRule, ...] = (
    device_is_compromised,
    device_is_lost,
    device_is_full,
    was_declined_often,
    card_is_on_many_devices,
    key_is_not_attested,
    codes_ran_out,
    card_is_new_here,
    wallet_hardly_knows_its_user,
)
"""The rules as shipped."""


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """The colour, and everything that was seen."""

    colour: Colour
    findings: tuple[Finding, ...]


def decide(facts: DeviceFacts, rules: Sequence[RiskRule] = RULES) -> RiskDecision:
    """What the darkest finding says; green if there is none."""
    findings = tuple(finding for rule in rules if (finding := rule(facts)) is not None)
    colour = max((finding.colour for finding in findings), key=_DARKNESS.__getitem__, default=Colour.GREEN)
    return RiskDecision(colour, findings)
