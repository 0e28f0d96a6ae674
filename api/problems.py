"""Problem documents (RFC 9457): one table from our codes to HTTP, and how an error is told.

Nothing that the client sent is repeated: only codes, our own words, and facts passed through redaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.errors import (
    DatabaseUnavailable,
    FieldFault,
    HttpRefused,
    JsonInvalid,
    MethodNotAllowed,
    RequestInvalid,
    RouteUnknown,
    VaultRefused,
)
from ledger.errors import LEDGER_REFUSALS, EntryRejected, KopeykaError, refusal_of
from pci.errors import PciError
from pci.redaction import redact, redact_text
from tokenization.problems import STATUS as VAULT_STATUS
from tokenization.problems import every_error as vault_errors

TOLD_BY_THE_VAULT = frozenset(VAULT_STATUS)
"""Codes that are passed on: the vault's table says their status."""
PROBLEM_JSON = "application/problem+json"
TYPE = "urn:kopeyka:problem:"
RETRY_AFTER_SECONDS = 1
FAULTS_MAX = 50
"""Wrong fields told of at once."""
INTERNAL = "api.internal"

STATUS: dict[str, int] = {
    # The door
    "api.refused": 400,
    "api.http_refused": 400,
    "api.body_timed_out": 408,
    "api.json_invalid": 400,
    "api.unknown_cursor": 400,
    "api.key_missing": 401,
    "api.key_unknown": 401,
    "api.key_expired": 401,
    "api.scope_missing": 403,
    "api.clock_fixed": 403,
    "api.sandbox_only": 403,
    "api.route_unknown": 404,
    "api.resource_unknown": 404,
    "api.method_not_allowed": 405,
    "api.body_too_large": 413,
    "api.media_type_unsupported": 415,
    "api.request_invalid": 422,
    "api.key_refused": 422,
    "api.card_number_refused": 422,
    "api.card_secret_refused": 422,
    "api.rate_limited": 429,
    "api.internal": 500,
    "api.card_number_stopped": 500,
    "api.database_unavailable": 503,
    "api.not_ready": 503,
    "vault.refused": 422,
    "vault.unavailable": 503,
    "vault.unknown": 503,
    "vault.not_named": 503,
    "checkout.card_payment_not_found": 404,
    "checkout.card_token_malformed": 422,
    "checkout.no_stored_consent": 422,
    "checkout.card_payment_not_authorised": 409,
    "checkout.card_capture_above_amount": 422,
    "checkout.card_capture_not_whole": 422,
    "checkout.card_payment_not_captured": 409,
    "checkout.card_refund_amount_not_positive": 422,
    "checkout.card_refund_above_rest": 422,
    "checkout.card_refund_not_covered": 422,
    "checkout.card_refund_not_found": 404,
    "checkout.card_payment_busy": 503,
    "idempotency.refused": 400,
    "idempotency.key_missing": 400,
    "idempotency.key_invalid": 400,
    "idempotency.key_unknown": 404,
    "idempotency.in_progress": 409,
    "idempotency.key_expired": 409,
    "idempotency.key_reused": 422,
    # The contract of YooKassa, which tells them in its own form
    "yookassa.rejected": 400,
    "yookassa.parameter_invalid": 400,
    "yookassa.payment_not_held": 400,
    "yookassa.url_refused": 400,
    "yookassa.payment_not_found": 404,
    "yookassa.refund_not_found": 404,
    "yookassa.webhook_not_found": 404,
    "yookassa.pos_link_not_found": 404,
    "yookassa.payment_processing": 503,
    # The contract of Долями, which tells them in its own form
    "dolyame.rejected": 400,
    "dolyame.correlation_missing": 400,
    "dolyame.correlation_malformed": 400,
    "dolyame.notification_url_refused": 400,
    "dolyame.certificate_foreign": 403,
    "dolyame.order_not_found": 404,
    "dolyame.correction_ambiguous": 422,
    "dolyame.shop_not_found": 422,
    "dolyame.login_taken": 422,
    "dolyame.login_malformed": 422,
    "dolyame.certificate_refused": 422,
    # Said at the command line, never over HTTP
    "api.start_refused": 500,
    "api.demo_failed": 500,
    # Families
    "kopeyka.error": 500,
    "kopeyka.invariant_broken": 500,
    "kopeyka.rejected": 422,
    "kopeyka.unavailable": 503,
    # The books
    "ledger.unknown_book": 404,
    "ledger.unknown_account": 404,
    "ledger.unknown_commodity": 404,
    "ledger.unknown_hold": 404,
    "ledger.unknown_entry": 404,
    "ledger.account_closed": 409,
    "ledger.account_differs": 409,
    "ledger.book_differs": 409,
    "ledger.commodity_differs": 409,
    "ledger.account_not_empty": 409,
    "ledger.period_closed": 409,
    "ledger.period_not_over": 409,
    "ledger.reference_reused": 409,
    "ledger.entry_id_reused": 409,
    "ledger.version_changed": 409,
    "ledger.hold_not_open": 409,
    "ledger.hold_expired": 409,
    "ledger.hold_not_expired": 409,
    "ledger.already_reversed": 409,
    "ledger.wrong_commodity": 422,
    "ledger.overdrawn": 422,
    "ledger.over_ceiling": 422,
    "ledger.available_too_low": 422,
    "ledger.amount_overflow": 422,
    "ledger.linked_entry_refused": 422,
    "ledger.linked_entry_known": 422,
    "ledger.hold_exceeded": 422,
    "ledger.invalid_entry": 422,
    "ledger.busy": 503,
    # The till
    "checkout.rejected": 422,
    "checkout.merchant_not_found": 404,
    "checkout.store_not_found": 404,
    "checkout.terminal_not_found": 404,
    "checkout.order_not_found": 404,
    "checkout.order_number_taken": 409,
    "checkout.order_not_open": 409,
    "checkout.order_not_paid": 409,
    "checkout.attempt_live": 409,
    "checkout.invalid_inn": 422,
    "checkout.invalid_ogrn": 422,
    "checkout.invalid_bank_account": 422,
    "checkout.invalid_order_number": 422,
    "checkout.amount_not_positive": 422,
    "checkout.amount_too_large": 422,
    "checkout.order_not_roubles": 422,
    # SBP
    "sbp_gateway.rejected": 422,
    "sbp_gateway.merchant_not_registered": 422,
    "sbp_gateway.registration_not_found": 404,
    "sbp_gateway.registration_incomplete": 422,
    "sbp_gateway.registration_fixed": 409,
    "sbp_gateway.registration_not_allowed": 409,
    "sbp_gateway.registration_open": 409,
    "sbp_gateway.nspk_merchant_taken": 409,
    "sbp_gateway.invalid_payload": 422,
    "sbp_gateway.invalid_bank_list": 422,
    "sbp_gateway.bank_not_found": 404,
    "sbp_gateway.qr_code_not_found": 404,
    "sbp_gateway.qr_code_not_ready": 409,
    "sbp_gateway.qr_code_over": 409,
    "sbp_gateway.link_kind_not_offered": 422,
    "sbp_gateway.ttl_out_of_range": 422,
    "sbp_gateway.cash_link_not_found": 404,
    "sbp_gateway.cash_link_not_registered": 409,
    "sbp_gateway.cash_link_elsewhere": 409,
    "sbp_gateway.qrc_id_taken": 409,
    "sbp_gateway.qrc_id_not_reserved": 422,
    "sbp_gateway.activation_live": 409,
    "sbp_gateway.activation_paying": 409,
    "sbp_gateway.activation_missing": 409,
    "sbp_gateway.binding_not_found": 404,
    "sbp_gateway.binding_not_bound": 409,
    "sbp_gateway.sticker_not_found": 404,
    "sbp_gateway.sticker_taken": 409,
    "sbp_gateway.unmatched_payment_not_found": 404,
    "sbp_gateway.unmatched_payment_matched": 409,
    "sbp_gateway.unmatched_payment_returned": 409,
    "sbp_gateway.unmatched_amount_differs": 422,
    "sbp_gateway.refused_by_nspk": 422,
    "sbp_gateway.nspk_address_refused": 422,
    "sbp_gateway.notification_unsigned": 403,
    "sbp_gateway.money_unreadable": 422,
    "sbp_gateway.payment_not_found": 404,
    "sbp_gateway.refund_not_found": 404,
    "sbp_gateway.payment_refunded": 409,
    "sbp_gateway.payment_late": 409,
    "sbp_gateway.refund_too_soon": 409,
    "sbp_gateway.refund_amount_not_positive": 422,
    "sbp_gateway.refund_above_rest": 422,
    "sbp_gateway.refund_not_covered": 422,
    "sbp_gateway.refund_not_roubles": 422,
    "sbp_gateway.register_rejected": 422,
    "sbp_gateway.register_profile_unknown": 422,
    "sbp_gateway.register_profile_invalid": 422,
    "sbp_gateway.register_encoding_wrong": 422,
    "sbp_gateway.register_packing_wrong": 422,
    "sbp_gateway.register_header_wrong": 422,
    "sbp_gateway.register_line_malformed": 422,
    "sbp_gateway.register_value_malformed": 422,
    "sbp_gateway.register_day_wrong": 422,
    "sbp_gateway.register_empty": 422,
    "sbp_gateway.register_absent": 422,
    "sbp_gateway.register_not_absent": 422,
    "sbp_gateway.register_too_large": 413,
    "sbp_gateway.register_taken": 409,
    "sbp_gateway.register_not_found": 404,
    "sbp_gateway.nspk_unknown": 503,
    "sbp_gateway.nspk_unavailable": 503,
    "sbp_gateway.buyer_payout_refused": 422,
    "sbp_gateway.invalid_phone": 422,
    "sbp_gateway.buyer_bank_unknown": 422,
    "sbp_gateway.buyer_payout_out_of_range": 422,
    "sbp_gateway.buyer_payout_not_covered": 422,
    "sbp_gateway.buyer_payout_not_found": 404,
    "sbp_gateway.payout_bank_unknown": 503,
    # Tariffs and payouts
    "reconciliation.rejected": 422,
    "reconciliation.no_tariff": 422,
    "reconciliation.bank_tariff_taken": 409,
    "reconciliation.payout_not_found": 404,
    "reconciliation.bank_unknown": 503,
    # Plans
    "installments.rejected": 422,
    "installments.schedule_rejected": 422,
    "installments.movement_rejected": 422,
    "installments.parts_mismatch": 422,
    "installments.price_too_small": 422,
    "installments.too_many_installments": 422,
    "installments.movement_before_plan": 422,
    "installments.undone_movement_unknown": 422,
    "installments.undone_movement_charged_back": 409,
    "installments.chargeback_above_rest": 422,
    "installments.snoozed_already": 409,
    "installments.snooze_not_possible": 422,
    "installments.re_age_not_possible": 422,
    "installments.movement_differs": 409,
    "installments.movement_in_future": 422,
    "installments.clock_went_back": 422,
    "installments.law_rejected": 422,
    "installments.term_above_law": 422,
    "installments.penalty_above_law": 422,
    "installments.bureau_report_required": 422,
    "installments.product_not_effective": 422,
    "installments.merchant_terms_missing": 422,
    "installments.licence_not_active": 422,
    "installments.offer_backdated": 422,
    "installments.product_taken": 409,
    "installments.merchant_terms_taken": 409,
    "installments.licence_taken": 409,
    "installments.not_consumer": 422,
    "installments.price_differs": 422,
    "installments.price_out_of_range": 422,
    "installments.basket_malformed": 422,
    "installments.basket_mismatch": 422,
    "installments.order_number_malformed": 422,
    "installments.order_number_taken": 409,
    "installments.plan_not_found": 404,
    "installments.plan_not_new": 409,
    "installments.plan_not_awaiting_commit": 409,
    "installments.plan_canceled": 409,
    "installments.plan_committed": 409,
    "installments.plan_not_committed": 409,
    "installments.plan_expired": 409,
    "installments.acceptance_differs": 409,
    "installments.first_payment_tries_spent": 409,
    "installments.bureau_not_told": 409,
    "installments.bureau_range_not_over": 409,
    "installments.portfolio_day_unknown": 404,
    "installments.register_not_over": 409,
    "installments.register_not_found": 404,
    "installments.plan_document_not_found": 404,
    "installments.plan_document_format_missing": 422,
    "installments.receipt_not_found": 404,
    "installments.receipt_not_fetched": 409,
    "installments.receipt_differs": 409,
    "installments.commit_above_approved": 422,
    "installments.commit_differs": 409,
    "installments.refund_amount_not_positive": 422,
    "installments.refund_above_rest": 422,
    "installments.refund_differs": 422,
    "installments.refund_items_mismatch": 422,
    "installments.correction_above_total": 422,
    "installments.first_payment_busy": 503,
    "installments.nothing_owed": 409,
    "installments.early_payment_out_of_range": 422,
    "installments.no_way_to_collect": 409,
    "installments.dispute_open_already": 409,
    "installments.no_open_dispute": 409,
    "installments.dispute_differs": 409,
    "installments.charge_under_way": 503,
    "installments.buyer_not_found": 404,
    "installments.phone_malformed": 422,
    "installments.details_malformed": 422,
    "installments.birth_date_fixed": 409,
    "installments.limit_out_of_range": 422,
    "installments.birth_date_missing": 422,
    "installments.phone_not_verified": 409,
    "installments.buyer_rejected": 422,
    "installments.under_age": 422,
    "installments.stop_listed": 422,
    "installments.buyer_frozen": 422,
    "installments.arrears_recent": 422,
    "installments.limit_exceeded": 422,
    "installments.debt_written_off": 422,
    "installments.too_many_plans": 422,
    "installments.first_plan_too_large": 422,
    "installments.limit_share_exceeded": 422,
    "installments.scoring_rejected": 422,
    "installments.code_rejected": 422,
    "installments.code_wrong": 422,
    "installments.code_expired": 409,
    "installments.code_tries_spent": 409,
    "installments.code_used": 409,
    "installments.code_not_sent": 409,
    "installments.codes_too_often": 429,
    "installments.consent_without_code": 422,
    "installments.consent_differs": 409,
    "installments.stop_list_line_not_found": 404,
    "installments.debt_open": 409,
    "installments.codes_not_configured": 503,
    "installments.messages_unavailable": 503,
}
"""Every code that we may answer with, and its HTTP status. A test proves that none is missing."""

CASHIER_TIPS: dict[str, str] = {
    "api.database_unavailable": "Связь с банком прервалась. Подождите несколько секунд и повторите.",
    "api.rate_limited": "Слишком много запросов. Подождите немного и повторите.",
    "idempotency.in_progress": "Операция ещё выполняется. Подождите и повторите, деньги не спишутся дважды.",
    "sbp_gateway.merchant_not_registered": "Продавец не принимает СБП. Предложите другой способ оплаты.",
    "sbp_gateway.nspk_unknown": "СБП не ответила. Подождите: результат станет известен сам. Второй код не показывайте.",
    "sbp_gateway.nspk_unavailable": "СБП сейчас недоступна, деньги не списаны. Повторите через минуту.",
    "checkout.amount_not_positive": "Сумма чека должна быть больше нуля.",
    "checkout.amount_too_large": "Сумма чека слишком велика. Разделите покупку на несколько чеков.",
    "checkout.order_number_taken": "Чек с этим номером уже есть. Проверьте его или задайте новый номер.",
    "checkout.order_not_open": "Чек уже оплачен или отменён.",
    "checkout.attempt_live": "Покупатель уже платит по этому чеку. Дождитесь результата или отмените чек.",
    "checkout.card_token_malformed": "Попросите покупателя ввести карту в форме: номер карты кассе не нужен.",
    "checkout.no_stored_consent": "Покупатель не разрешал списаний без него. Попросите его оплатить самому.",
    "checkout.card_payment_not_authorised": "По этой оплате деньги уже списаны или отпущены.",
    "checkout.card_capture_not_whole": "Оплату чека списывают целиком. Отмените её или спишите всю сумму.",
    "checkout.card_capture_above_amount": "Нельзя списать больше, чем задержано на карте.",
    "checkout.card_payment_not_captured": "По этой карте ничего не списано, возвращать нечего.",
    "checkout.card_refund_above_rest": "Сумма возврата больше остатка оплаты. Остаток указан в ответе.",
    "checkout.card_refund_not_covered": "Денег магазина не хватает для возврата. Дождитесь новых продаж и повторите.",
    "checkout.card_payment_not_found": "Такой оплаты картой нет. Проверьте её номер.",
    "checkout.card_refund_not_found": "Такого возврата на карту нет. Проверьте его номер.",
    "checkout.card_refund_amount_not_positive": "Сумма возврата должна быть больше нуля.",
    "checkout.card_payment_busy": "Банк ещё отвечает по этой оплате. Подождите несколько секунд и повторите.",
    "checkout.order_not_paid": "Чек не оплачен, возвращать нечего.",
    "sbp_gateway.payment_not_found": "Оплата не найдена. Проверьте номер операции на чеке.",
    "sbp_gateway.refund_not_found": "Возврат не найден. Проверьте номер.",
    "sbp_gateway.refund_amount_not_positive": "Сумма возврата должна быть больше нуля.",
    "sbp_gateway.refund_above_rest": "Сумма возврата больше остатка оплаты. Остаток указан в ответе.",
    "sbp_gateway.payment_refunded": "Оплата уже возвращена полностью или возврат выполняется.",
    "sbp_gateway.payment_late": "Эта оплата пришла поздно, деньги вернутся покупателю сами.",
    "sbp_gateway.refund_too_soon": "По одной оплате СБП принимает один возврат в час и пять в сутки. Повторите позже.",
    "sbp_gateway.refund_not_covered": "Денег магазина не хватает для возврата. Дождитесь новых продаж и повторите.",
    "sbp_gateway.refund_not_roubles": "Возврат по СБП возможен только в рублях.",
    "checkout.order_not_found": "Чек не найден. Проверьте номер.",
    "sbp_gateway.link_kind_not_offered": "Для этого магазина таблички недоступны. Примите оплату по QR-коду на экране.",
    "sbp_gateway.ttl_out_of_range": "Недопустимый срок оплаты. Укажите другой срок.",
    "sbp_gateway.cash_link_not_found": "Платёжная табличка не найдена. Обратитесь в поддержку.",
    "sbp_gateway.cash_link_not_registered": "Табличка ещё не подключена. Примите оплату по QR-коду на экране.",
    "sbp_gateway.cash_link_elsewhere": "Эта табличка от другой кассы. Возьмите табличку своей кассы.",
    "sbp_gateway.activation_live": "По табличке ждут другую оплату. Завершите или отмените её и повторите.",
    "sbp_gateway.activation_paying": "Покупатель уже платит. Дождитесь результата, отменить оплату сейчас нельзя.",
    "sbp_gateway.activation_missing": "Оплата по табличке не запущена, отменять нечего.",
    "sbp_gateway.binding_not_found": "Привязка счёта не найдена. Примите оплату по QR-коду.",
    "sbp_gateway.binding_not_bound": "Счёт покупателя не привязан. Примите оплату по QR-коду.",
    "sbp_gateway.unmatched_payment_matched": "Этот платёж уже отнесён к чеку.",
    "sbp_gateway.unmatched_payment_returned": "Этот платёж уже возвращается покупателю.",
    "sbp_gateway.unmatched_amount_differs": "Сумма платежа не равна сумме чека. Проверьте чек.",
    "sbp_gateway.invalid_phone": "Проверьте номер телефона: нужен мобильный номер, 11 цифр, начинается с +7 9.",
    "sbp_gateway.buyer_bank_unknown": "Банк покупателя не найден. Выберите банк из списка СБП.",
    "sbp_gateway.buyer_payout_out_of_range": "Такую сумму одной выплатой отправить нельзя. Проверьте сумму.",
    "sbp_gateway.buyer_payout_not_covered": "На счёте магазина не хватает денег для выплаты. Обратитесь в бухгалтерию.",
    "checkout.terminal_not_found": "Касса не найдена. Обратитесь в поддержку.",
    "sbp_gateway.invalid_payload": "Это не платёжная ссылка СБП или она прочитана с ошибкой. Отсканируйте ещё раз.",
    "sbp_gateway.bank_not_found": "Такого банка нет в списке СБП. Выберите банк из списка.",
    "sbp_gateway.qr_code_not_found": "QR-код не найден. Создайте новый.",
    "sbp_gateway.qr_code_not_ready": "QR-код ещё готовится. Подождите несколько секунд и повторите.",
    "sbp_gateway.qr_code_over": "QR-код больше не действует. Проверьте, оплачен ли чек, и при нужде создайте новый.",
    "checkout.rejected": "Касса не приняла запрос. Проверьте чек и повторите.",
    "checkout.order_not_roubles": "Оплата возможна только в рублях.",
    "checkout.invalid_order_number": "Проверьте номер чека: до 64 латинских букв, цифр и знаков.",
    "checkout.merchant_not_found": "Продавец не найден. Обратитесь в поддержку.",
    "checkout.store_not_found": "Магазин не найден. Обратитесь в поддержку.",
    "checkout.invalid_inn": "Проверьте ИНН: 10 или 12 цифр без ошибок.",
    "checkout.invalid_ogrn": "Проверьте ОГРН или ОГРНИП: 13 или 15 цифр без ошибок.",
    "checkout.invalid_bank_account": "Проверьте БИК и номер счёта: они не подходят друг к другу.",
    "sbp_gateway.rejected": "СБП не приняла запрос. Предложите другой способ оплаты.",
    "sbp_gateway.refused_by_nspk": "СБП отказала, деньги не списаны. Предложите другой способ оплаты.",
    "sbp_gateway.qrc_id_taken": "Табличка с этим номером уже подключена. Возьмите другую.",
    "sbp_gateway.qrc_id_not_reserved": "Номер таблички не зарезервирован. Проверьте его или возьмите другую.",
    "sbp_gateway.sticker_not_found": "Стикер не найден. Примите оплату по QR-коду на экране.",
    "sbp_gateway.sticker_taken": "У этой кассы уже есть стикер. Используйте его.",
    "sbp_gateway.unmatched_payment_not_found": "Платёж не найден. Проверьте номер.",
    "sbp_gateway.buyer_payout_refused": "Выплата не принята. Проверьте телефон, банк и сумму.",
    "sbp_gateway.buyer_payout_not_found": "Выплата не найдена. Проверьте номер.",
    "sbp_gateway.invalid_bank_list": "Это не список банков СБП. Загрузите файл НСПК.",
    "sbp_gateway.money_unreadable": "Банк прислал сумму в непонятном виде. Обратитесь в поддержку.",
    "sbp_gateway.nspk_address_refused": "Связь с СБП настроена неверно. Обратитесь в поддержку.",
    "sbp_gateway.notification_unsigned": "Уведомление без подписи не принято. Обратитесь в поддержку.",
    "sbp_gateway.registration_not_found": "Регистрация в СБП не найдена. Проверьте номер.",
    "sbp_gateway.registration_incomplete": "Для регистрации в СБП не хватает данных: они названы в ответе.",
    "sbp_gateway.registration_fixed": "Данные уже у банка, изменить их нельзя. Закройте регистрацию и создайте новую.",
    "sbp_gateway.registration_not_allowed": "Сейчас с этой регистрацией так поступить нельзя. Проверьте её состояние.",
    "sbp_gateway.registration_open": "В этом банке уже есть открытая регистрация. Продолжите её или закройте.",
    "sbp_gateway.nspk_merchant_taken": "Этот номер НСПК занят другой регистрацией. Проверьте номер.",
    "sbp_gateway.register_rejected": "Реестр не принят. Проверьте файл.",
    "sbp_gateway.register_profile_unknown": "Такого формата реестра нет. Выберите банк из списка.",
    "sbp_gateway.register_profile_invalid": "Описание формата реестра испорчено. Обратитесь в поддержку.",
    "sbp_gateway.register_encoding_wrong": "Файл не в той кодировке. Загрузите его таким, каким прислал банк.",
    "sbp_gateway.register_packing_wrong": "Это не тот архив и не та таблица. Загрузите файл таким, каким прислал банк.",
    "sbp_gateway.register_header_wrong": "Столбцы файла не те. Проверьте, тот ли банк выбран.",
    "sbp_gateway.register_line_malformed": "В строке файла не столько полей. Номер строки указан в ответе.",
    "sbp_gateway.register_value_malformed": "В строке файла неверное значение. Строка и столбец указаны в ответе.",
    "sbp_gateway.register_day_wrong": "Это реестр за другой день. Проверьте дату.",
    "sbp_gateway.register_empty": "Файл пуст, а этот банк пустых не присылает. Запросите файл заново.",
    "sbp_gateway.register_absent": "Этот банк присылает файл каждый день. Дождитесь файла или запросите его.",
    "sbp_gateway.register_not_absent": "Сказано, что файла нет, а он приложен. Уберите что-то одно.",
    "sbp_gateway.register_too_large": "Файл слишком большой. Загрузите его командой kopeyka sbp registers import.",
    "sbp_gateway.register_taken": "Этот файл уже загружен.",
    "sbp_gateway.register_not_found": "Реестр не найден. Проверьте номер.",
    "dolyame.rejected": "Запрос не принят. Проверьте его и повторите.",
    "dolyame.correlation_missing": "Нет заголовка X-Correlation-ID: нужен UUID.",
    "dolyame.correlation_malformed": "Заголовок X-Correlation-ID должен быть UUID.",
    "dolyame.notification_url_refused": "Проверьте notification_url: уведомления идут по https на открытый адрес.",
    "dolyame.certificate_foreign": "Сертификат не от этого логина. Проверьте, какой сертификат показан.",
    "dolyame.order_not_found": "Заказа с этим номером нет. Проверьте номер.",
    "dolyame.correction_ambiguous": "Укажите new_items: по одной сумме не понять, новый это итог или разница.",
    "dolyame.shop_not_found": "Магазина с этим логином нет. Проверьте логин.",
    "dolyame.login_taken": "Этот логин занят другим продавцом. Выберите другой.",
    "dolyame.login_malformed": "Логин: от 3 до 64 латинских букв, цифр и знаков . _ @ -",
    "dolyame.certificate_refused": "Это не сертификат магазина, подписанный нашим центром. Проверьте файл.",
    "installments.rejected": "Рассрочка недоступна. Предложите другой способ оплаты.",
    "installments.schedule_rejected": "Эту сумму нельзя разделить на платежи. Проверьте сумму.",
    "installments.movement_rejected": "Такой операции по рассрочке быть не могло. Обратитесь в поддержку.",
    "installments.parts_mismatch": "Платежи не складываются в сумму заказа. Проверьте суммы и даты.",
    "installments.price_too_small": "Сумма слишком мала для такого числа платежей.",
    "installments.too_many_installments": "Платежей может быть от 1 до 24.",
    "installments.movement_before_plan": "Дата раньше договора рассрочки. Проверьте дату.",
    "installments.undone_movement_unknown": "Такой операции по рассрочке нет, или её нельзя отменить.",
    "installments.undone_movement_charged_back": "Этот платёж оспорен в банке, отменить его нельзя.",
    "installments.chargeback_above_rest": "Банк не может вернуть больше, чем осталось от платежа.",
    "installments.snoozed_already": "Платёж уже переносили. Перенести можно один раз.",
    "installments.snooze_not_possible": "Перенести можно только неоплаченный платёж и только на более поздний день.",
    "installments.re_age_not_possible": "Остаток делится на 1–24 платежа, начиная с сегодняшнего дня или позже.",
    "installments.movement_differs": "Под этим номером уже записано другое движение. Возьмите новый номер.",
    "installments.movement_in_future": "Этот день ещё не наступил. Проверьте часы.",
    "installments.clock_went_back": "Этот день уже обработан. Проверьте часы.",
    "installments.law_rejected": "Закон о рассрочке этого не допускает.",
    "installments.term_above_law": "Последний платёж позже срока по закону. Выберите рассрочку короче.",
    "installments.penalty_above_law": "Пени выше предела по закону.",
    "installments.bureau_report_required": "Долг покупателя выше порога: без бюро кредитных историй оформить нельзя.",
    "installments.product_not_effective": "Эта рассрочка сегодня не предлагается. Предложите другой способ оплаты.",
    "installments.merchant_terms_missing": "Магазин не подключён к рассрочке. Предложите другой способ оплаты.",
    "installments.licence_not_active": "Рассрочка сейчас не оформляется. Предложите другой способ оплаты.",
    "installments.offer_backdated": "Условия начинаются с сегодняшнего дня или позже.",
    "installments.product_taken": "У этого продукта уже есть версия с этого дня или позже.",
    "installments.merchant_terms_taken": "Условия магазина с этого дня уже записаны. Выберите другой день.",
    "installments.licence_taken": "Запись реестра с этого дня уже внесена. Выберите другой день.",
    "installments.not_consumer": "Рассрочка только для личных покупок, не для бизнеса.",
    "installments.price_differs": "Цена в рассрочку не может быть выше обычной. Проверьте сумму.",
    "installments.price_out_of_range": "Такую сумму в рассрочку оформить нельзя. Допустимые суммы указаны в ответе.",
    "installments.basket_malformed": "Проверьте товары: у каждого нужны название, количество и цена.",
    "installments.basket_mismatch": "Товары не сходятся с суммой заказа. Проверьте цены, количество и бонусы.",
    "installments.order_number_malformed": "Проверьте номер заказа: до 44 латинских букв, цифр и знаков.",
    "installments.order_number_taken": "Заказ с этим номером уже есть. Проверьте его или задайте новый номер.",
    "installments.plan_not_found": "Рассрочка не найдена. Проверьте номер заказа.",
    "installments.plan_not_new": "Покупатель уже прошёл этот шаг. Проверьте состояние рассрочки.",
    "installments.plan_not_awaiting_commit": "Первый платёж ещё не внесён. Дождитесь покупателя.",
    "installments.plan_canceled": "Рассрочка отменена или отклонена. Оформите новый заказ.",
    "installments.plan_committed": "Рассрочка уже подтверждена. Оформите возврат.",
    "installments.plan_not_committed": "Рассрочка ещё не подтверждена. Отмените её вместо возврата.",
    "installments.plan_expired": "Время на оформление вышло. Оформите новый заказ.",
    "installments.acceptance_differs": "Эту рассрочку оформляет другой покупатель.",
    "installments.first_payment_tries_spent": "Слишком много отказов по картам. Оформите новый заказ.",
    "installments.bureau_not_told": "Бюро кредитных историй ещё не подтвердило договор. Повторите через минуту.",
    "installments.bureau_range_not_over": "События для бюро выгружают за закончившиеся дни.",
    "installments.portfolio_day_unknown": "Портфель за этот день не сохранён.",
    "installments.register_not_found": "Такого реестра нет: реестры начинаются с первой продажи в рассрочку.",
    "installments.register_not_over": "Реестр составляют за закончившийся день или месяц.",
    "installments.plan_document_not_found": "Такого документа по рассрочке нет.",
    "installments.plan_document_format_missing": "Документ в таком формате здесь не делают. Возьмите HTML.",
    "installments.receipt_not_found": "Такого чека нет.",
    "installments.receipt_not_fetched": "Сначала получите данные чека, потом сообщайте о его выпуске.",
    "installments.receipt_differs": "Чек уже выпущен с другими фискальными признаками.",
    "installments.commit_above_approved": "Подтвердить больше одобренной суммы нельзя.",
    "installments.commit_differs": "Заказ уже подтверждён с другой суммой или товарами.",
    "installments.refund_amount_not_positive": "Сумма возврата должна быть больше нуля.",
    "installments.refund_above_rest": "Сумма возврата больше стоимости оставшихся товаров. Остаток указан в ответе.",
    "installments.refund_differs": "Возврат с этим номером уже есть, с другой суммой. Задайте новый номер.",
    "installments.refund_items_mismatch": "Возвращаемые товары не сходятся с суммой или с заказом. Проверьте их.",
    "installments.correction_above_total": "Новый состав заказа не может стоить больше прежнего.",
    "installments.first_payment_busy": "Банк ещё отвечает о первом платеже. Подождите несколько секунд и повторите.",
    "installments.nothing_owed": "По этой рассрочке платить нечего.",
    "installments.early_payment_out_of_range": "Внесите сумму от копейки до остатка долга. Остаток указан в ответе.",
    "installments.no_way_to_collect": "К рассрочке не привязана карта или счёт. Укажите их и повторите.",
    "installments.dispute_open_already": "По этой рассрочке уже открыт спор.",
    "installments.no_open_dispute": "По этой рассрочке нет открытого спора.",
    "installments.dispute_differs": "Спор уже закрыт в пользу другой стороны.",
    "installments.charge_under_way": "По рассрочке сейчас идёт другое списание. Подождите минуту и повторите.",
    "installments.buyer_not_found": "Покупатель не найден. Проверьте телефон.",
    "installments.phone_malformed": "Проверьте номер телефона: с кодом страны, например +7 916 123-45-67.",
    "installments.details_malformed": "Проверьте имя, почту и дату рождения.",
    "installments.birth_date_fixed": "Раньше была указана другая дата рождения. Обратитесь в поддержку.",
    "installments.limit_out_of_range": "Лимит бывает от нуля до миллиона рублей.",
    "installments.birth_date_missing": "Укажите дату рождения.",
    "installments.phone_not_verified": "Подтвердите телефон кодом из СМС.",
    "installments.buyer_rejected": "В рассрочке отказано. Предложите другой способ оплаты.",
    "installments.under_age": "Рассрочка доступна с 18 лет. Предложите другой способ оплаты.",
    "installments.stop_listed": "В рассрочке отказано. Предложите другой способ оплаты.",
    "installments.buyer_frozen": "Новые рассрочки приостановлены. Обратитесь в поддержку.",
    "installments.arrears_recent": "Есть или недавно была просрочка. Погасите её и попробуйте позже.",
    "installments.limit_exceeded": "Не хватает лимита рассрочки. Свободная сумма указана в ответе.",
    "installments.debt_written_off": "По прежней рассрочке остался долг. Обратитесь в поддержку.",
    "installments.too_many_plans": "Открытых рассрочек слишком много. Погасите одну из них.",
    "installments.first_plan_too_large": "Первая рассрочка возможна на меньшую сумму.",
    "installments.limit_share_exceeded": "После просрочки доступна часть лимита. Выберите меньшую сумму.",
    "installments.scoring_rejected": "В рассрочке отказано. Предложите другой способ оплаты.",
    "installments.code_rejected": "Код не подошёл. Запросите новый.",
    "installments.code_wrong": "Код неверный. Проверьте и введите ещё раз.",
    "installments.code_expired": "Время кода вышло. Запросите новый.",
    "installments.code_tries_spent": "Слишком много ошибок. Запросите новый код.",
    "installments.code_used": "Этот код уже использован. Запросите новый.",
    "installments.code_not_sent": "Код ещё не запрошен. Запросите его.",
    "installments.codes_too_often": "Коды запрашивают слишком часто. Подождите немного.",
    "installments.consent_without_code": "Подтвердите условия кодом из СМС.",
    "installments.consent_differs": "Условия уже приняты с другим текстом. Обновите страницу.",
    "installments.stop_list_line_not_found": "Такой строки стоп-листа нет. Проверьте номер.",
    "installments.debt_open": "У покупателя есть незакрытые рассрочки, данные ещё нужны.",
    "installments.codes_not_configured": "Коды сейчас не отправляются. Обратитесь в поддержку.",
    "installments.messages_unavailable": "СМС не отправилась. Подождите минуту и запросите код ещё раз.",
}
"""What a cashier, or whoever sees the error, should do, in Russian."""


def every_error(family: type[KopeykaError] = KopeykaError) -> Iterator[type[KopeykaError]]:
    """The class and every class below it."""
    yield family
    for child in family.__subclasses__():
        yield from every_error(child)


@cache
def titles() -> dict[str, str]:
    """What each code says: the refusals of the books, and the first line of each class."""
    errors: list[type[KopeykaError] | type[PciError]] = [*vault_errors(), *every_error()]
    found = {error.code: (error.__doc__ or "").strip().splitlines()[0] for error in errors}
    return {**found, **LEDGER_REFUSALS, INTERNAL: "Something broke on our side; the request may be repeated."}


def status_of(error: KopeykaError) -> int:
    """The HTTP status of an error. A code that the table does not know is our bug."""
    return STATUS.get(error.code) or VAULT_STATUS.get(error.code, 500)


def as_ours(error: BaseException) -> KopeykaError | None:
    """Any exception as an error of ours; nothing if it is a bug."""
    if isinstance(error, KopeykaError):
        return error
    if isinstance(error, RequestValidationError):
        return RequestInvalid(faults_of(error.errors()))
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, DBAPIError) and (refusal := refusal_of(error)) is not None:
        return refusal
    if is_database_away(error):
        return DatabaseUnavailable()
    return None


def is_database_away(error: BaseException) -> bool:
    """Whether PostgreSQL or our share of its connections is what failed, and not the request."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, OperationalError)
    return isinstance(error, (PoolTimeoutError, OperationalError, InterfaceError, ConnectionError))


def faults_of(errors: Any) -> tuple[FieldFault, ...]:
    """FastAPI's findings without what the client sent."""
    return tuple(
        FieldFault(pointer_of(error["loc"], error["type"]), redact_text(str(error["msg"])))
        for error in list(errors)[:FAULTS_MAX]
    )


def pointer_of(location: tuple[Any, ...], kind: str) -> str:
    """Where a fault is: a JSON pointer into the body, or ``query/name``. An unknown name is not repeated."""
    head, *rest = location or ("body",)
    names = rest[:-1] if kind == "extra_forbidden" and rest else rest
    path = "/".join(redact_text(str(name))[:64].replace("~", "~0").replace("/", "~1") for name in names)
    if head == "body":
        return f"/{path}" if path else ""
    return f"{head}/{path}"


def document(error: KopeykaError, request_id: str, status: int | None = None) -> dict[str, Any]:
    """The problem document of an error."""
    code = error.code
    found: dict[str, Any] = {
        "type": TYPE + code,
        "title": titles().get(code, "Something broke on our side."),
        "status": status or status_of(error),
        "detail": redact_text(str(error)),
        "code": code,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if faults := _faults(error):
        found["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
    if facts := {name: value for name, value in redact(error.facts).items() if value is not None}:
        found["facts"] = facts
    if tip := CASHIER_TIPS.get(code):
        found["cashier_tip"] = tip
    return found


def problem_bytes(error: KopeykaError, request_id: str, status: int | None = None) -> bytes:
    """The problem document as it goes out."""
    return to_bytes(document(error, request_id, status))


def to_bytes(found: dict[str, Any]) -> bytes:
    """JSON as compact as we send it."""
    return _ENCODER.encode(found).encode()


def internal_bytes(request_id: str) -> bytes:
    """The problem document of a bug: nothing about it but where to find it."""
    title = titles()[INTERNAL]
    return to_bytes(
        {
            "type": TYPE + INTERNAL, "title": title, "status": 500, "detail": title, "code": INTERNAL,
            "retryable": True, "request_id": request_id,
        }
    )  # fmt: skip


def retry_after(error: KopeykaError, status: int) -> int | None:
    """Seconds for ``Retry-After``, on what is worth repeating."""
    if status == 429:
        return int(error.facts.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    return RETRY_AFTER_SECONDS if status == 503 or error.retryable else None


def _faults(error: KopeykaError) -> tuple[FieldFault, ...]:
    if isinstance(error, (RequestInvalid, VaultRefused)):
        return error.faults
    if isinstance(error, EntryRejected) and "field" in error.facts:
        return (FieldFault(f"/{error.facts['field']}", str(error.facts.get("expected", ""))),)
    return ()


def _of_http(error: HTTPException) -> KopeykaError:
    if error.status_code == 404:
        return RouteUnknown()
    if error.status_code == 405:
        return MethodNotAllowed()
    return JsonInvalid() if error.status_code == 400 else HttpRefused()


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
