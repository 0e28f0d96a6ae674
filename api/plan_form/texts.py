"""What buyers read on the plan's form: Russian first, English beside it. Markets' words, short, no blame."""

from __future__ import annotations

from datetime import date
from typing import Literal

from ledger.money import Kopecks, roubles

Lang = Literal["ru", "en"]
LANGS: tuple[Lang, ...] = ("ru", "en")
MONTHS = {
    "ru": (
        "января", "февраля", "марта", "апреля", "мая", "июня",
        "июля", "августа", "сентября", "октября", "ноября", "декабря",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
}  # fmt: skip
SPACE = "\N{NO-BREAK SPACE}"

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Оплата частями", "Pay in parts"),
    "brand": ("Оплата частями", "Pay in parts"),
    "languages": ("Язык", "Language"),
    "sandbox": ("Учебный стенд: деньги не настоящие", "Sandbox: no real money"),
    "foot": (
        "Без процентов и доплат. Досрочно — бесплатно в любой день.",
        "No interest, no fees. Pay early at any time for free.",
    ),
    "order": ("Заказ", "Order"),
    "steps": ("Шаги", "Steps"),
    "step_1": ("Данные", "You"),
    "step_2": ("Условия", "Terms"),
    "step_3": ("Код", "Code"),
    "step_4": ("Карта", "Card"),
    "order_number": ("Заказ № {number}", "Order {number}"),
    "prepaid": ("Ещё {amount} оплачено бонусами", "Another {amount} is paid by points"),
    "in_all": ("Всего, без переплаты", "In all, nothing on top"),
    "basket": ("Состав заказа: {count}", "Basket: {count}"),
    "today": ("сегодня", "today"),
    "held": ("отложено", "held"),
    "paid": ("оплачено", "paid"),
    "late": ("просрочено", "overdue"),
    "partly": ("осталось {amount}", "{amount} left"),
    # 1
    "details_title": ("Кто оформляет", "Who is paying"),
    "details_lead": (
        "Данные нужны, чтобы заключить договор. На этот телефон придёт код.",
        "We need this for the agreement. A code comes to this phone.",
    ),
    "phone": ("Мобильный телефон", "Mobile phone"),
    "phone_example": ("+7 900 000-00-00", "+7 900 000-00-00"),
    "last_name": ("Фамилия", "Last name"),
    "last_name_example": ("Иванова", "Ivanova"),
    "first_name": ("Имя", "First name"),
    "first_name_example": ("Мария", "Maria"),
    "middle_name": ("Отчество, если есть", "Middle name, if any"),
    "middle_name_example": ("Сергеевна", ""),
    "born_on": ("Дата рождения", "Date of birth"),
    "born_on_example": ("ДД.ММ.ГГГГ", "DD.MM.YYYY"),
    "personal_data": (
        "Согласен на обработку этих данных для заключения и исполнения договора (152-ФЗ)",
        "I agree that this data is used to conclude and perform the agreement (152-FZ)",
    ),
    "get_code": ("Получить код", "Get a code"),
    "to_terms": ("Продолжить", "Continue"),
    "fault_phone": ("Российский мобильный номер: +7 и десять цифр.", "A Russian mobile: +7 and ten digits."),
    "fault_name": ("Как в паспорте: буквы, пробел или дефис.", "As in the passport: letters, spaces, hyphens."),
    "fault_born_on": ("День, месяц и год: 31.01.1990.", "Day, month and year: 31.01.1990."),
    "fault_under_age": ("Оформить может тот, кому есть 18 лет.", "Only for those aged 18 and over."),
    "fault_personal_data": ("Без согласия оформить нельзя.", "We cannot go on without it."),
    # 2
    "code_title": ("Код из сообщения", "Code from the message"),
    "code_lead": (
        "Отправили на {phone}. Ввод кода — ваша подпись под договором.",
        "Sent to {phone}. Entering it is your signature.",
    ),
    "code_lead_known": ("Отправили на {phone}. Никому его не говорите.", "Sent to {phone}. Tell it to nobody."),
    "code": ("Код", "Code"),
    "check_code": ("Подписать", "Sign"),
    "check_code_known": ("Продолжить", "Continue"),
    "code_again": ("Отправить ещё раз", "Send again"),
    "change_phone": ("Изменить данные", "Change details"),
    "code_wrong": ("Код не подошёл. Осталось попыток: {left}.", "Wrong code. Tries left: {left}."),
    "code_expired": ("Срок кода истёк. Запросите новый.", "The code is over. Ask for a new one."),
    "code_form": ("В коде шесть цифр.", "Six digits."),
    "code_spent": ("Попытки кончились. Запросите новый код.", "No tries left. Ask for a new code."),
    "code_wait": ("Новый код можно запросить через {wait}.", "You can ask for a new code in {wait}."),
    "seconds": ("{count} с", "{count} s"),
    "minutes": ("{count} мин", "{count} min"),
    "code_not_sent": (
        "Не получилось отправить сообщение. Проверьте номер или попробуйте через минуту.",
        "The message could not be sent. Check the number, or try again in a minute.",
    ),
    "fault_born_on_known": (
        "Раньше с этим телефоном указали другую дату рождения. Напишите в поддержку.",
        "Another birth date was given with this phone before. Ask support.",
    ),
    "known_title": ("Ваша рассрочка", "Your plan"),
    "known_lead": (
        "Чтобы показать платежи и документы, пришлём код на {phone}.",
        "To show payments and documents we send a code to {phone}.",
    ),
    # 3
    "terms_title": ("Условия", "Terms"),
    "terms_lead": (
        "Прочтите до согласия. Договор вступит в силу, когда вы согласитесь и внесёте первый платёж.",
        "Read before you agree. The agreement begins with your consent and the first payment.",
    ),
    "fact_price": ("Сумма", "Sum"),
    "fact_parts": ("Платежей", "Payments"),
    "fact_first": ("Сегодня", "Today"),
    "fact_last": ("Последний", "Last"),
    "fact_fee": ("Проценты и комиссии", "Interest and fees"),
    "fact_penalty": ("Неустойка, если опоздать", "If you are late"),
    "penalty": ("{percent} % годовых с просроченной суммы", "{percent} % a year of what is late"),
    "pack": ("Договор и график", "Agreement and schedule"),
    "pack_hash": ("Контрольная сумма (SHA-256):", "Checksum (SHA-256):"),
    "open_whole": ("открыть целиком", "open whole"),
    "optional": ("(не обязательно)", "(optional)"),
    "consent_agreement": (
        "Согласен с договором рассрочки и графиком платежей",
        "I agree to the agreement and to the schedule of payments",
    ),
    "consent_card": (
        "Согласен на списание платежей в дни графика с карты, которую введу",
        "I agree that payments are charged on their days to the card I enter",
    ),
    "accept": ("Согласиться и получить код", "Agree and get a code"),
    "refuse": ("Отказаться от рассрочки", "Give up"),
    "fault_consents": (
        "Отметьте то, без чего договор не заключить.",
        "Tick what the agreement cannot be made without.",
    ),
    "fault_pack": ("Условия обновились. Прочтите их снова.", "The terms have changed. Read them again."),
    # 4
    "card_title": ("Первый платёж: {amount}", "First payment: {amount}"),
    "card_lead": (
        "С этой карты спишутся и остальные платежи, в дни графика. Напомним заранее.",
        "The other payments are charged to this card on their days. We remind you before.",
    ),
    "card_form": ("Данные карты", "Card details"),
    "card_entered": ("Продолжить", "Continue"),
    "no_script": ("Чтобы ввести карту, включите JavaScript.", "Turn JavaScript on to enter the card."),
    "fault_no_card": ("Карта ещё не введена.", "No card was entered yet."),
    # Outcomes
    "checking": ("Проверяем платёж", "Checking the payment"),
    "checking_lead": (
        "Банк отвечает обычно за несколько секунд. Страница обновится сама; второй раз деньги не спишутся.",
        "Banks usually answer within seconds. The page renews itself; nothing is charged twice.",
    ),
    "deciding": ("Принимаем решение", "Deciding"),
    "done": ("Готово, заказ оформлен", "Done, your order is placed"),
    "done_lead": (
        "{amount} отложено на карте. Магазин подтвердит заказ, и остальное спишется по графику.",
        "{amount} is held on the card. The shop confirms the order; the rest follows on schedule.",
    ),
    "paid_lead": (
        "Первый платёж {amount} внесён. Остальное спишется по графику.",
        "The first payment of {amount} is made. The rest follows on schedule.",
    ),
    "to_shop": ("Вернуться в магазин", "Back to the shop"),
    "see_plan": ("Посмотреть платежи и документы", "See payments and documents"),
    "rejected": ("Оформить не получится", "This did not work out"),
    "rejected_lead": (
        "Заказ в магазине можно оплатить другим способом. Это решение не попадает в кредитную историю.",
        "You can pay the shop another way. This decision is not told to a credit bureau.",
    ),
    "card_refused": ("Карта не подошла", "The card was refused"),
    "card_refused_lead": ("{why} Деньги не списаны.", "{why} Nothing was charged."),
    "why_unknown": ("Банк отказал.", "The bank refused."),
    "other_card": ("Ввести другую карту", "Try another card"),
    "expired": ("Время на оформление вышло", "The time is over"),
    "expired_lead": ("Вернитесь в магазин и оформите заказ снова.", "Go back to the shop and order again."),
    "canceled": ("Рассрочка отменена", "The plan was cancelled"),
    "canceled_lead": (
        "Если деньги были отложены на карте, банк их вернёт: обычно сразу, иногда за несколько дней.",
        "If money was held on the card, the bank lets it go: usually at once, sometimes within days.",
    ),
    "refunded": ("Заказ возвращён", "The order was returned"),
    "refunded_lead": (
        "Платить больше ничего не нужно. Уплаченное вернётся на карту.",
        "Nothing more is owed. What was paid goes back to the card.",
    ),
    "elsewhere": ("Рассрочку оформляет другой человек", "Someone else is using this plan"),
    "elsewhere_lead": (
        "По этой ссылке уже ввели другой телефон. Вернитесь в магазин и оформите заказ снова.",
        "Another phone was entered on this link. Go back to the shop and order again.",
    ),
    "unknown": ("Ссылка не найдена", "No such link"),
    "unknown_lead": (
        "Проверьте адрес или вернитесь в магазин и оформите заказ снова.",
        "Check the address, or go back to the shop and order again.",
    ),
    "slow_down": ("Слишком часто", "Too often"),
    "slow_down_lead": ("Подождите минуту и обновите страницу.", "Wait a minute and reload."),
    "foreign": ("Страница устарела", "The page is out of date"),
    "foreign_lead": ("Откройте ссылку из магазина снова.", "Open the link from the shop again."),
    "trouble": ("Сейчас не получается", "This does not work now"),
    "trouble_lead": (
        "Деньги не списаны. Обновите страницу через минуту.",
        "Nothing was charged. Reload in a minute.",
    ),
    "closed": ("Рассрочка сейчас не оформляется", "No new plans at the moment"),
    "renew": ("Обновить", "Reload"),
    "codes_spent": ("Слишком много попыток", "Too many tries"),
    "codes_spent_lead": (
        "Чтобы защитить вас, вход закрыт на время. Попробуйте позже.",
        "To protect you this is closed for a while. Try again later.",
    ),
    # The plan
    "plan_current": ("Всё по графику", "On schedule"),
    "plan_next": ("Следующий платёж {amount} — {day}. Спишется сам.", "Next: {amount} on {day}, charged by itself."),
    "plan_overdue": ("Платёж просрочен", "A payment is overdue"),
    "plan_overdue_lead": (
        "Внесите {amount}, чтобы неустойка не росла.",
        "Pay {amount} to stop the penalty from growing.",
    ),
    "plan_repaid": ("Всё оплачено", "All paid"),
    "plan_repaid_lead": ("Платить больше ничего не нужно. Спасибо!", "Nothing more is owed. Thank you!"),
    "plan_written_off": ("Рассрочка закрыта", "The plan is closed"),
    "plan_paused": ("Платежи приостановлены: разбираем спор.", "Payments are paused: a dispute is being looked into."),
    "fact_left": ("Осталось", "Left"),
    "fact_paid": ("Внесено", "Paid"),
    "fact_refunded": ("Возвращено товаров", "Goods returned"),
    "fact_penalty_due": ("Неустойка", "Penalty"),
    "fact_overpaid": ("Вернём на карту", "Goes back to the card"),
    "pay_title": ("Заплатить сейчас", "Pay now"),
    "pay_lead": ("С карты {card}, бесплатно.", "From the card {card}, for free."),
    "pay_due": ("Просроченное: {amount}", "What is overdue: {amount}"),
    "pay_next": ("Следующий платёж: {amount}", "The next payment: {amount}"),
    "pay_whole": ("Всё сразу: {amount}", "All at once: {amount}"),
    "pay_other": ("Другая сумма", "Another amount"),
    "amount": ("Сумма, ₽", "Amount, RUB"),
    "pay_amount": ("Заплатить", "Pay"),
    "fault_amount": ("От 1 ₽ до {amount}.", "From 1 RUB to {amount}."),
    "pay_done": ("Платёж принят", "Payment received"),
    "pay_done_lead": ("Внесено {amount}. График пересчитан.", "{amount} received. The schedule is renewed."),
    "pay_refused": ("Платёж не прошёл", "The payment was refused"),
    "new_card": ("Платить другой картой", "Use another card"),
    "new_card_title": ("Другая карта", "Another card"),
    "new_card_lead": (
        "Проверим карту одним рублём и сразу вернём его. Я согласен: остальные платежи по графику списываются с неё.",
        "We check the card by one rouble and let it go at once. I agree that the other payments are charged to it.",
    ),
    "new_card_done": ("Карта заменена", "The card was replaced"),
    "new_card_done_lead": ("Дальше платежи списываются с неё.", "The next payments are charged to it."),
    "new_card_refused_lead": ("{why} Платежи списываются с прежней карты.", "{why} The old card stays."),
    "documents": ("Документы", "Documents"),
    "paper_pack": ("Условия до договора", "Terms before the agreement"),
    "paper_agreement": ("Договор", "Agreement"),
    "paper_schedule": ("График платежей", "Schedule"),
    "paper_statement": ("Выписка на сегодня", "Statement as of today"),
    "movements": ("Что было", "What happened"),
    "leave": ("Выйти", "Sign out"),
}
"""Text by name: Russian, English. Amounts, days and names are filled in by ``{…}``."""

NOT_ALLOWED = ("Банк не разрешает платить этой картой.", "The bank does not allow this card.")
AWAY = ("Банк сейчас недоступен, попробуйте через минуту.", "The bank is away, try again in a minute.")
CARD_REASONS: dict[str, tuple[str, str]] = {
    "not_enough_money": ("На карте не хватает денег.", "Not enough money on the card."),
    "card_expired": ("Срок действия карты истёк.", "The card has expired."),
    "cvc_wrong": ("Код с оборота карты не подошёл.", "The code on the back is wrong."),
    "limit_reached": ("Достигнут лимит карты.", "The card's limit is reached."),
    "card_unknown": ("Банк не знает этой карты.", "The bank does not know this card."),
    "card_stolen": NOT_ALLOWED,
    "card_restricted": NOT_ALLOWED,
    "consent_withdrawn": NOT_ALLOWED,
    "too_many_tries": ("Слишком много попыток по этой карте.", "Too many tries with this card."),
    "issuer_away": AWAY,
    "acquirer_failed": AWAY,
    "answer_lost": AWAY,
    "not_sent": AWAY,
}
"""Why a bank refused, as far as a buyer should know it. Other reasons stay the bank's."""


def say(lang: Lang, name: str, **facts: object) -> str:
    """A text in a language."""
    return TEXTS[name][LANGS.index(lang)].format(**facts)


def card_reason(lang: Lang, reason: str | None) -> str:
    """Why the card was refused."""
    return CARD_REASONS.get(reason or "", TEXTS["why_unknown"])[LANGS.index(lang)]


def money(amount: int) -> str:
    """An amount as buyers read it: ``2 500,14 ₽``, and no kopecks where there are none."""
    whole, _, rest = roubles(Kopecks(amount)).replace(" ", "").partition(".")
    sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    grouped = f"{int(digits):,}".replace(",", SPACE)
    return f"{sign}{grouped}{f',{rest}' if rest.strip('0') else ''}{SPACE}₽"


def day(lang: Lang, on: date, *, with_year: bool = False) -> str:
    """A day as buyers read it: ``6 декабря``."""
    said = f"{on.day}{SPACE}{MONTHS[lang][on.month - 1]}"
    return f"{said} {on.year}" if with_year else said
