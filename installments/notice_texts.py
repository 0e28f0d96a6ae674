"""What buyers read, as data: one text for each template and language, with the facts in braces.

Short enough for two text messages; no goods and no shop's secret, because a text is read on a locked screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum


class Template(StrEnum):
    """What is told."""

    REMINDER = "reminder"
    """Before a charge."""
    CHARGE_DONE = "charge_done"
    CHARGE_FAILED = "charge_failed"
    """It is tried again."""
    CHARGE_GIVEN_UP = "charge_given_up"
    """It is not tried again by itself: another card is needed, or the rest is merged into the next installment."""
    OVERDUE_SOFT = "overdue_soft"
    OVERDUE_FIRM = "overdue_firm"
    OVERDUE_LAST = "overdue_last"
    REPAID = "repaid"
    REFUND = "refund"
    RELIEF = "relief"
    """Days of payment were moved."""
    NEWS = "news"
    """To many at once; waits behind all others."""


class Language(StrEnum):
    """In which language a buyer is told."""

    RU = "ru"
    EN = "en"


TEXTS: dict[tuple[Template, Language], str] = {
    (Template.REMINDER, Language.RU): "{on} спишем {amount} по рассрочке. Проверьте деньги на карте.",
    (Template.REMINDER, Language.EN): "We will charge {amount} for your plan on {on}. Please check your card.",
    (Template.CHARGE_DONE, Language.RU): "Платёж по рассрочке {amount} получен. Спасибо!",
    (Template.CHARGE_DONE, Language.EN): "We have received {amount} for your plan. Thank you!",
    (Template.CHARGE_FAILED, Language.RU): "Не удалось списать {amount} по рассрочке. Повторим {on}.",
    (Template.CHARGE_FAILED, Language.EN): "We could not charge {amount} for your plan. We will try again on {on}.",
    (Template.CHARGE_GIVEN_UP, Language.RU): (
        "Не удалось списать {amount} по рассрочке. Оплатите сами или укажите другую карту."
    ),
    (Template.CHARGE_GIVEN_UP, Language.EN): (
        "We could not charge {amount} for your plan. Please pay it yourself or give another card."
    ),
    (Template.OVERDUE_SOFT, Language.RU): "Платёж {amount} по рассрочке просрочен на {days} дн. Оплатите его сегодня.",
    (Template.OVERDUE_SOFT, Language.EN): "Your payment of {amount} is {days} days late. Please pay it today.",
    (Template.OVERDUE_FIRM, Language.RU): (
        "Просрочка {days} дн., долг {amount}. Начисляется неустойка; новые покупки в рассрочку закрыты."
    ),
    (Template.OVERDUE_FIRM, Language.EN): (
        "You are {days} days late with {amount}. A penalty is being charged and new plans are closed to you."
    ),
    (Template.OVERDUE_LAST, Language.RU): (
        "Просрочка {days} дн., долг {amount}. Свяжитесь с нами: договоримся, как его погасить."
    ),
    (Template.OVERDUE_LAST, Language.EN): (
        "You are {days} days late with {amount}. Please contact us to agree how to repay it."
    ),
    (Template.REPAID, Language.RU): "Рассрочка выплачена полностью. Спасибо!",
    (Template.REPAID, Language.EN): "Your plan is repaid in full. Thank you!",
    (Template.REFUND, Language.RU): "Товар возвращён на {amount}. Что осталось платить — в вашей рассрочке.",
    (Template.REFUND, Language.EN): "Goods for {amount} came back. Your plan shows what is left to pay.",
    (Template.RELIEF, Language.RU): "Мы перенесли платежи по рассрочке. Следующий платёж: {on}.",
    (Template.RELIEF, Language.EN): "We have moved the payments of your plan. The next one is on {on}.",
    (Template.NEWS, Language.RU): "{text}",
    (Template.NEWS, Language.EN): "{text}",
}


def text_of(template: Template, language: Language, facts: Mapping[str, int | str]) -> str:
    """The text of a notice. Amounts: kopecks in ``facts``, roubles in the text."""
    return TEXTS[template, language].format(**{name: _shown(name, fact) for name, fact in facts.items()})


def _shown(name: str, fact: int | str) -> str:
    if name == "amount":
        kopecks = int(fact)
        return f"{kopecks // 100},{kopecks % 100:02d} ₽"
    if name == "on":
        return date.fromisoformat(str(fact)).strftime("%d.%m.%Y")
    return str(fact)
