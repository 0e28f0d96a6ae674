"""Why a plan did not come about, in words for its buyer. Lists and scores are not told of."""

from __future__ import annotations

from api.plan_form.texts import LANGS, Lang

LIMIT = ("Сумма больше доступного вам лимита рассрочки.", "The sum is above your available limit.")
OTHERWISE = (
    "По внутренним правилам мы не можем предложить рассрочку на этот заказ.",
    "By our own rules we cannot offer a plan for this order.",
)
REASONS: dict[str, tuple[str, str]] = {
    "installments.under_age": ("Оформить может тот, кому есть 18 лет.", "Only for those aged 18 and over."),
    "installments.arrears_recent": (
        "Есть или недавно была просрочка по другой рассрочке.", "Another plan is, or was recently, overdue.",
    ),
    "installments.debt_written_off": (
        "Есть долг по прежней рассрочке.", "There is a debt of an earlier plan.",
    ),
    "installments.limit_exceeded": LIMIT,
    "installments.limit_share_exceeded": LIMIT,
    "installments.first_plan_too_large": (
        "Для первой покупки частями сумма слишком велика.", "The sum is too large for a first plan.",
    ),
    "installments.too_many_plans": (
        "Открыто слишком много рассрочек. Закройте одну из них.", "Too many open plans. Pay one off first.",
    ),
    "first_payment_refused": (
        "Первый платёж не прошёл ни с одной карты.", "The first payment was refused for every card.",
    ),
}  # fmt: skip
"""By the code of the refusal."""


def reasons_told(lang: Lang, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons in words, each once."""
    told = [REASONS.get(code, OTHERWISE)[LANGS.index(lang)] for code in codes]
    return tuple(dict.fromkeys(told))
