"""The control matrix of PCI DSS v4.0.1: every requirement that this product touches, with its proof or whose it is.

Source: PCI DSS v4.0.1 (June 2024), by its numbers; the words are ours. A QSA reads the matrix; it replaces none.
"""

from __future__ import annotations

from pci.evidence.control import Claim, Control, Look, Where
from pci.evidence.log_queries import ALTERED, CHANGEABLE, RIGHTS

STORED_DATA: tuple[Control, ...] = (
    Control(
        "3.2.1",
        "Данные карт хранятся не дольше нужного; раз в квартал подтверждается, что лишнего нет",
        "Сроки хранения по классам данных, ночная очистка, запись о каждой очистке со счётом оставшегося",
        test="tests/pci/evidence/test_retention.py::test_every_run_is_a_row_and_an_event",
        query="SELECT p.id, p.merchant_id, p.data_class, last.ran_at, last.rows_left FROM retention_policies p"
        " LEFT JOIN LATERAL (SELECT u.ran_at, u.rows_left FROM purges u WHERE u.policy_id = p.id"
        " AND u.ran_at < CAST(:until AS timestamptz) ORDER BY u.ran_at DESC, u.id DESC LIMIT 1) AS last ON true"
        " WHERE p.ended_at IS NULL AND p.set_at < CAST(:until AS timestamptz) - interval '2 days'"
        " AND (last.rows_left = 0 AND last.ran_at > CAST(:until AS timestamptz) - interval '92 days') IS NOT TRUE",
    ),
    Control(
        "3.2.1.a",
        "Сроки хранения названы и обоснованы",
        "Действующие сроки с основанием",
        query="SELECT merchant_id, data_class, days, legal_basis, justification, set_by, set_at FROM retention_policies"
        " WHERE ended_at IS NULL ORDER BY data_class, merchant_id",
        look=Look.LISTED,
        test="tests/pci/evidence/test_retention.py::test_a_new_policy_ends_the_one_before_and_is_in_the_log",
    ),
    Control(
        "3.2.1.b",
        "Удалённое нельзя восстановить",
        "Ключ продавца уничтожается: копии карт в резервных копиях не открываются",
        test="tests/tokenization/test_ending.py::test_a_shredded_merchants_cards_open_from_no_copy",
        query="SELECT number FROM keys WHERE state = 'destroyed' AND wrapped IS NOT NULL",
    ),
    Control(
        "3.3.1",
        "CVC, дорожки и PIN не хранятся после авторизации, даже зашифрованными",
        "CVC только в нежурналируемой таблице, не дольше часа, удаляется с исходом операции",
        test="tests/tokenization/test_card_entry.py::test_a_cvc_that_nobody_charged_is_swept_within_the_hour",
        query="SELECT token, expires_at FROM sad_volatile WHERE expires_at < now() - interval '5 minutes'",
    ),
    Control(
        "3.3.1.1–3",
        "Нет полей для дорожек, CVC и PIN",
        "В схеме базы нет столбцов с такими данными",
        test="tests/pci/test_leaks.py::test_no_column_is_made_for_what_must_not_be_kept",
        query="SELECT c.relname AS table_name, a.attname AS column_name FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid <> 'boolean'::regtype"
        " AND a.attname ~ '(^|_)(cvc2?|cvv2?|track[12]?|pin|pin_block)(_|$)'",
    ),
    Control(
        "3.3.2",
        "До авторизации критичные данные зашифрованы стойкой криптографией",
        "AES-256-GCM отдельным ключом, сменяемым каждый день",
        test="tests/tokenization/test_card_entry.py::test_a_typed_card_becomes_a_token_with_its_cvc_laid_aside",
        query="SELECT number, cryptoperiod_days FROM keys WHERE purpose = 'sad' AND cryptoperiod_days > 1",
    ),
    Control(
        "3.4.1",
        "Номер виден не более чем первыми шестью и последними четырьмя цифрами",
        "Тип Pan показывает только маску; полный номер — только раскрытием с причиной",
        test="tests/pci/test_pan.py::test_a_mask_never_shows_more_than_ten_digits",
        query="SELECT rule AS missing FROM unnest(ARRAY['cards_first6_is_digits', 'cards_last4_is_digits']) AS w(rule)"
        " WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid ="
        " 'cards'::regclass AND t.tgenabled = 'A' AND position('''' || rule || '''' IN p.prosrc) > 0)",
    ),
    Control(
        "3.4.1.a",
        "Названо, кому и зачем показывают полный номер",
        "Роли с правом раскрытия и число раскрытий за период",
        query="SELECT p.login, p.roles, count(r.id) AS reveals FROM people p LEFT JOIN reveals r ON r.person_id = p.id"
        " AND r.revealed_at >= :since AND r.revealed_at < :until WHERE 'support' = ANY (p.roles)"
        " GROUP BY p.login, p.roles ORDER BY 1",
        look=Look.LISTED,
        test="tests/tokenization/test_reveals.py::test_one_number_is_shown_with_a_reason_and_the_log_had_it_first",
    ),
    Control(
        "3.4.2",
        "Номера нельзя выгрузить при удалённом доступе",
        "Раскрытие по одному номеру, no-store; сверх дневной нормы — второй человек",
        test="tests/tokenization/test_reveals.py::test_beyond_the_days_share_a_second_person_approves_once",
        query="SELECT person_id, revealed_at::date AS day, count(*) AS reveals FROM reveals WHERE revealed_at >= :since"
        " AND revealed_at < :until AND request_id IS NULL GROUP BY 1, 2 HAVING count(*) > 1000",
    ),
    Control(
        "3.5.1",
        "Номер карты нечитаем везде, где хранится",
        "AES-256-GCM по полю; база хранилища просмотрена поиском номеров",
        test="tests/pci/test_leaks.py::test_a_run_with_known_cards_leaves_no_number_anywhere",
        probe="scan_vault",
    ),
    Control(
        "3.5.1.a",
        "Номеров карт нет вне хранилища",
        "Ядро не принимает и не отдаёт номеров; его база просмотрена поиском номеров",
        test="tests/api/test_card_number_wall.py::test_a_card_number_in_a_body_is_refused_before_anything_is_kept",
        probe="scan_books",
    ),
    Control(
        "3.5.1.1",
        "Отпечатки номеров — только с ключом, по всему номеру",
        "HMAC-SHA-256 с отдельным ключом на продавца",
        test="tests/tokenization/test_cards.py::test_other_merchants_and_other_scopes_have_other_tokens_and_fingerprints",
        query="SELECT number, algorithm FROM keys WHERE purpose = 'fingerprint' AND algorithm <> 'hmac-sha-256'",
    ),
    Control(
        "3.5.1.2",
        "Одного шифрования диска мало",
        "Шифруется каждое поле; смотри 3.5.1",
        test="tests/tokenization/test_cards.py::test_no_row_holds_a_number",
    ),
)

KEYS: tuple[Control, ...] = (
    Control(
        "3.6.1",
        "Ключи хранятся защищённо, ключи ключей отдельно и не слабее",
        "В базе только завёрнутые ключи; ключ ключей — вне PostgreSQL",
        test="tests/pci/keys/test_kek_file.py::test_a_file_beside_the_database_is_refused",
        query="SELECT number, purpose, storage_form FROM keys WHERE storage_form <> 'wrapped'"
        " OR (state <> 'destroyed' AND wrapped IS NULL)",
    ),
    Control(
        "3.6.1.1",
        "Криптографическая архитектура описана; ключи боя и испытаний разные",
        "Опись ключей: назначение, алгоритм, срок, хранитель, среда",
        query="SELECT env, purpose, algorithm, state, kek_provider, cryptoperiod_days, count(*) AS keys,"
        " min(activated_at) AS oldest FROM keys GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4",
        look=Look.LISTED,
        test="tests/pci/keys/test_ring.py::test_a_test_key_never_opens_in_production",
    ),
    Control(
        "3.6.1.2",
        "Ключ хранится под ключом ключей, в HSM или долями",
        "Доли SLIP-39 у хранителей, m из n; PKCS#11; OpenBao",
        test="tests/pci/keys/test_kek_file.py::test_any_two_of_three_custodians_open_it",
    ),
    Control(
        "3.7.4",
        "У каждого вида ключей есть криптопериод, по его концу ключ сменяется",
        "Срок и счётчик шифрований у ключа; преемник создаётся сам",
        test="tests/pci/keys/test_ring.py::test_a_key_past_its_period_only_opens_and_a_new_one_closes",
        query="SELECT number, purpose, scope, activated_at FROM keys WHERE state = 'active'"
        " AND purpose NOT IN ('sad') AND activated_at + make_interval(days => cryptoperiod_days + 7)"
        " < CAST(:until AS timestamptz)",
    ),
    Control(
        "3.7.5",
        "Отозванные и заменённые ключи больше не шифруют",
        "Состояния ключа — таблица переходов в коде и в базе",
        test="tests/pci/keys/test_envelope.py::test_a_retired_key_opens_and_does_not_close",
        query="SELECT number, purpose, state, retired_at, destroyed_at FROM keys"
        " WHERE state NOT IN ('pre_active', 'active') AND coalesce(destroyed_at, retired_at) >= :since ORDER BY 1",
        look=Look.LISTED,
    ),
    Control(
        "3.7.6",
        "Ручные действия с ключами — раздельное знание и двойной контроль",
        "Меньше двух хранителей файл не открывают; каждая церемония записана",
        test="tests/pci/keys/test_kek_file.py::test_one_custodian_does_not_stand_for_two",
        query="SELECT * FROM ceremonies ORDER BY 1",
        look=Look.LISTED,
    ),
    Control(
        "3.7.7",
        "Ключ нельзя подменить",
        "Ключ завёрнут вместе со своей строкой: переставленные строки не открываются",
        test="tests/pci/keys/test_ring.py::test_a_row_changed_by_sql_does_not_open",
    ),
    Control(
        "3.7.8",
        "Хранители письменно приняли обязанности",
        "Без подписанной формы хранитель не участвует",
        test="tests/pci/keys/test_custodians.py::test_who_has_not_signed_takes_no_part",
        query="SELECT c.id, c.name FROM custodians c WHERE c.deactivated_at IS NULL"
        " AND NOT EXISTS (SELECT FROM acknowledgements a WHERE a.custodian_id = c.id)",
    ),
    Control(
        "3.7.9", "Клиентам дают указания по общим ключам", "Описание обмена JWE — в README хранилища", Claim.OPERATOR
    ),
)

TRANSPORT_AND_CODE: tuple[Control, ...] = (
    Control(
        "4.2.1",
        "Данные карт по сетям — только со стойкой криптографией",
        "Хранилище отвечает по взаимному TLS не ниже 1.2; номер внутри ещё и в JWE",
        test="tests/api/test_serve_vault.py::test_tls_older_than_1_2_is_not_spoken",
    ),
    Control("4.2.2", "Номера не шлют мессенджерами и почтой", "Исходящей почты у продукта нет", Claim.OPERATOR),
    Control(
        "6.2.4",
        "Классы атак исключены в коде",
        "Параметры запросов, строгие типы, права на каждый маршрут, сравнение за постоянное время",
        test="tests/tokenization/test_people_routes.py::test_every_route_for_every_role",
    ),
    Control(
        "6.3.2",
        "Опись своих и чужих компонентов",
        "CycloneDX из установленного; `kopeyka affected` отвечает, касается ли нас пакет",
        test="tests/pci/evidence/test_components.py::test_everything_our_sources_import_is_in_the_list",
        probe="sbom",
    ),
    Control("6.3.3", "Критичные исправления — за месяц", "Опись компонентов для сверки с уязвимостями", Claim.OPERATOR),
    Control(
        "6.4.3",
        "Скрипты платёжной страницы разрешены, целы и описаны",
        "Форма карты с адреса хранилища, без чужих скриптов, строгая CSP, хеши из описи",
        test="tests/tokenization/test_card_form.py::test_the_page_loads_only_what_is_in_the_inventory_with_its_hash",
    ),
    Control(
        "11.6.1",
        "Изменение страницы и заголовков замечается",
        "Страница сравнивается с утверждённым образцом; сама еженедельная проверка — у эксплуатации",
        test="tests/tokenization/test_card_form.py::test_a_changed_script_or_page_is_noticed",
    ),
)

ACCESS: tuple[Control, ...] = (
    Control(
        "7.2.1",
        "Доступ по необходимости; по умолчанию запрещён",
        "Роли и права — таблица; чего в ней нет, то отказано",
        test="tests/pci/access/test_people.py::test_every_role_has_its_line_and_what_has_none_is_refused",
        query="SELECT login, status, roles, last_signed_in_at FROM people ORDER BY login",
        look=Look.LISTED,
    ),
    Control(
        "7.2.4",
        "Права пересматриваются раз в полгода",
        "Выгрузка прав и подпись под ней",
        test="tests/pci/access/test_people.py::test_a_sign_off_is_of_what_stands_now",
        query="SELECT login, created_at FROM people WHERE status = 'active'"
        " AND created_at < CAST(:until AS timestamptz) - interval '184 days' AND NOT EXISTS (SELECT FROM access_reviews"
        " WHERE reviewed_at > CAST(:until AS timestamptz) - interval '184 days')",
    ),
    Control(
        "7.2.6",
        "К данным карт нет пути мимо приложения",
        "Роль ядра не входит в базу хранилища; у чужих ролей нет прав на таблицы",
        test="tests/api/test_segment_test.py::test_the_apis_role_reaches_nothing_of_the_vault",
        query="SELECT * FROM " + RIGHTS + " WHERE grantee <> ALL"
        " (ARRAY['kopeyka_owner', 'kopeyka_vault', 'kopeyka_vault_sequencer']) ORDER BY 1, 2, 3",
    ),
    Control(
        "8.2.6",
        "Кто не входил 90 дней, отключён",
        "Отключает сам, при входе и обходом",
        test="tests/pci/access/test_signing_in.py::test_ninety_days_away_disable_at_the_next_sign_in",
        query="SELECT login, idle_since FROM people WHERE status <> 'disabled'"
        " AND idle_since < CAST(:until AS timestamptz) - interval '91 days'",
    ),
    Control(
        "8.2.8",
        "15 минут без дела — вход заново",
        "Сеанс кончается сам",
        test="tests/pci/access/test_signing_in.py::test_fifteen_idle_minutes_end_a_sign_in_and_use_keeps_it",
    ),
    Control(
        "8.3.2",
        "Секреты входа нечитаемы",
        "Argon2id; второй фактор зашифрован",
        test="tests/pci/access/test_signing_in.py::test_nothing_secret_is_printed",
        query="SELECT login FROM people WHERE password_hash NOT LIKE '$argon2id$%'",
    ),
    Control(
        "8.3.4",
        "10 неудач — блокировка на полчаса",
        "Счётчик в базе",
        test="tests/pci/access/test_signing_in.py::test_ten_failures_lock_for_half_an_hour_even_for_the_right_factors",
    ),
    Control(
        "8.3.6",
        "Пароль не короче 12 знаков, буквы и цифры",
        "Проверка при установке",
        test="tests/pci/access/test_enrolments.py::test_weak_passwords_are_refused",
    ),
    Control(
        "8.3.7",
        "Последние четыре пароля не повторяются",
        "Прежние хеши сверяются",
        test="tests/pci/access/test_enrolments.py::test_the_last_four_passwords_do_not_come_back",
    ),
    Control(
        "8.4.2",
        "В среду карт — с двумя факторами",
        "Без второго фактора человек не действует",
        test="tests/pci/access/test_signing_in.py::test_both_factors_open_a_sign_in_and_the_log_tells",
        query="SELECT login FROM people WHERE status = 'active' AND totp_secret IS NULL",
    ),
    Control(
        "8.5.1",
        "Код второго фактора действует один раз",
        "Шаг кода запоминается",
        test="tests/pci/access/test_signing_in.py::test_a_code_counts_once",
    ),
    Control(
        "8.6",
        "Служебные учётные записи: секреты меняются по анализу рисков",
        "Пароли ролей — у установки",
        Claim.OPERATOR,
    ),
)

LOG: tuple[Control, ...] = (
    Control(
        "10.2.1",
        "Записывается каждый доступ к данным карт, действия с ключами и людьми, отказы",
        "События за период по видам и исходам",
        query="SELECT e.event ->> 'action' AS action, e.event ->> 'outcome' AS outcome, count(*) AS events"
        " FROM (SELECT convert_from(event, 'UTF8')::jsonb AS event FROM audit_events"
        " WHERE staged_at >= :since AND staged_at < :until) AS e GROUP BY 1, 2 ORDER BY 1, 2",
        look=Look.EXPECTED,
        test="tests/tokenization/test_cards.py::test_every_act_is_told_without_a_number",
    ),
    Control(
        "10.2.2",
        "В записи: кто, что, когда, исход, откуда, над чем",
        "Без любого из полей база записи не примет",
        test="tests/pci/audit_log/test_log_database.py::test_an_event_without_one_of_its_fields_is_refused",
        query="SELECT 'audit_events_are_whole' AS missing"
        " WHERE NOT EXISTS (SELECT FROM pg_attribute JOIN pg_constraint ON contypid = atttypid"
        " WHERE attrelid = 'audit_events'::regclass AND conname = 'audit_events_are_whole')",
    ),
    Control(
        "10.3.2",
        "Журнал нельзя изменить",
        "Ни у одной роли нет UPDATE и DELETE на журнале; то же держат триггеры",
        test="tests/pci/audit_log/test_log_database.py::test_no_role_changes_the_log",
        query=CHANGEABLE,
    ),
    Control(
        "10.3.3",
        "Журнал быстро копируется туда, где его не изменить",
        "Каждая контрольная точка — не меньше чем в двух местах",
        test="tests/pci/audit_log/test_sinks.py::test_every_checkpoint_reaches_a_sink_once_and_in_order",
        query="SELECT c.size, c.signed_at FROM audit_checkpoints c WHERE c.signed_at >= :since AND c.signed_at < :until"
        " AND c.signed_at < now() - interval '10 minutes'"
        " AND (SELECT count(*) FROM audit_exports e WHERE e.size = c.size) < 2",
    ),
    Control(
        "10.3.4",
        "Изменение журнала замечается",
        "Дерево RFC 6962 и подписанные точки; kopeyka-verify называет изменённую строку",
        test="tests/pci/audit_log/test_kopeyka_verify.py::test_tampering_with_the_database_is_named_to_the_line",
        query=ALTERED,
    ),
    Control(
        "10.4.1",
        "Журнал просматривается каждый день",
        "Каждые московские сутки проходят через правила; непросмотренные сутки названы",
        test="tests/pci/evidence/test_log_reviews.py::test_a_day_that_nobody_reviewed_fails_its_control",
        query="SELECT d.day::date AS day FROM (SELECT greatest(min(staged_at), CAST(:since AS timestamptz)) AS first"
        " FROM audit_events HAVING count(*) > 0) AS log CROSS JOIN LATERAL generate_series("
        "(log.first AT TIME ZONE 'Europe/Moscow')::date::timestamp,"
        " (least(now(), CAST(:until AS timestamptz)) - interval '2 days') AT TIME ZONE 'Europe/Moscow',"
        " interval '1 day') AS d(day) WHERE NOT EXISTS (SELECT FROM log_reviews r WHERE r.day = d.day::date"
        " AND r.reviewed_until = (d.day + interval '1 day') AT TIME ZONE 'Europe/Moscow') ORDER BY 1",
    ),
    Control(
        "10.4.1.1",
        "Просмотр журнала автоматический",
        "Просмотры за период: событий, подозрений, заведённых разбирательств, и через сколько часов после конца суток",
        query="SELECT day, reviewed_until, ran_by, events, suspicions, cases_opened,"
        " round(extract(epoch FROM ran_at - reviewed_until) / 3600)::integer AS hours_after FROM log_reviews"
        " WHERE ran_at >= :since AND ran_at < :until ORDER BY id",
        look=Look.LISTED,
        test="tests/api/test_sealer.py::test_days_that_are_over_are_reviewed_one_after_another_and_a_case_is_an_alarm",
    ),
    Control(
        "10.4.3",
        "Найденное просмотром разбирается",
        "Разбирательство закрывает человек, не тот, о ком оно; открытые дольше недели названы",
        test="tests/pci/evidence/test_log_reviews.py::test_a_case_that_nobody_closes_fails_its_control",
        query="SELECT id, day, rule, about, opened_at FROM cases WHERE closed_at IS NULL"
        " AND opened_at < least(now(), CAST(:until AS timestamptz)) - interval '7 days' ORDER BY id",
    ),
    Control(
        "10.4.3.a",
        "Видно, кто и чем закончил разбор",
        "Разбирательства за период",
        query="SELECT id, day, rule, about, opened_at, closed_at, closed_by, note FROM cases"
        " WHERE opened_at >= :since AND opened_at < :until ORDER BY id",
        look=Look.LISTED,
        test="tests/pci/evidence/test_log_reviews.py::test_another_person_closes_a_case_once_with_what_they_found",
    ),
    Control(
        "10.5.1",
        "Журнал хранится год, три месяца под рукой",
        "Месячные части; раньше года не отдаёт и база",
        query="SELECT min(staged_at) AS oldest, max(staged_at) AS newest, count(*) AS events FROM audit_events",
        look=Look.LISTED,
        test="tests/pci/audit_log/test_log_database.py::test_retention_drops_a_month_and_keeps_its_hashes",
    ),
    Control("10.6", "Время согласовано", "Всё время в UTC; источник времени — у эксплуатации", Claim.OPERATOR),
    Control(
        "10.7.2",
        "Отказ критичной меры замечается",
        "Признаки жизни обоих журналов и хранилища; молчащие и небывшие названы",
        test="tests/pci/evidence/test_retention.py::test_a_control_that_was_silent_too_long_is_an_outage",
        query="SELECT coalesce(w.control, h.control) AS control, h.beat_at"
        " FROM unnest(ARRAY['books_log', 'vault', 'vault_log']) AS w(control)"
        " FULL JOIN heartbeats h ON h.control = w.control WHERE h.beat_at IS NULL"
        " OR now() > h.beat_at + make_interval(secs => 3 * h.period_seconds) ORDER BY 1",
    ),
    Control(
        "10.7.3",
        "Перерывы мер записаны: длительность и причина",
        "Перерывы за период",
        query="SELECT control, began_at, ended_at, cause FROM outages WHERE ended_at >= :since AND began_at < :until",
        look=Look.LISTED,
        test="tests/pci/evidence/test_retention.py::test_a_control_that_was_silent_too_long_is_an_outage",
    ),
)

SCOPE: tuple[Control, ...] = (
    Control(
        "11.4.5",
        "Сегментация проверена: до хранилища не дойти",
        "Каждый путь испробован ролью ядра на деле, отказ назван",
        test="tests/api/test_segment_test.py::test_a_door_left_open_is_noticed",
        probe="segtest",
    ),
    Control(
        "11.5.2",
        "Изменение критичных файлов замечается",
        "Хеши пакетов — в описи; сверка у эксплуатации",
        Claim.OPERATOR,
    ),
    Control(
        "12.5.2",
        "Область и потоки данных описаны",
        "Столбцы, где лежит зашифрованное",
        query="SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (column_name ~ 'sealed' OR column_name IN ('fingerprint', 'wrapped', 'totp_secret')) ORDER BY 1, 2",
        look=Look.LISTED,
        test="tests/tokenization/test_cards.py::test_no_row_holds_a_number",
    ),
    Control(
        "12.10.7",
        "Номер карты там, где его не ждут, — происшествие",
        "Отказы на входе и остановленные ответы ядра за период",
        where=Where.BOOKS,
        query="SELECT e.event ->> 'action' AS action, e.event ->> 'subject' AS route, count(*) AS events"
        " FROM (SELECT convert_from(event, 'UTF8')::jsonb AS event FROM audit_events"
        " WHERE staged_at >= :since AND staged_at < :until) AS e"
        " WHERE e.event ->> 'action' LIKE 'card_number.%' GROUP BY 1, 2 ORDER BY 1, 2",
        look=Look.LISTED,
        test="tests/api/test_card_number_wall.py::test_a_stopped_answer_is_a_500_with_a_code_for_the_caller",
    ),
    Control(
        "12.10.7.a",
        "Находки номеров разбираются",
        "Найденное командой scan --report: место и маска, без номера",
        query="SELECT id, day, about, facts, closed_at, closed_by, note FROM cases WHERE rule = 'card_number_found'"
        " AND opened_at >= :since AND opened_at < :until ORDER BY id",
        look=Look.LISTED,
        test="tests/api/cli/test_cases.py::test_a_scans_findings_are_cases_by_place_without_a_number",
    ),
    Control(
        "A1.1",
        "Данные разных клиентов разделены",
        "Ключ и отпечаток у каждого продавца свои; чужой токен не найден и не открывается",
        test="tests/tokenization/test_cards.py::test_a_row_put_under_another_token_or_another_merchant_does_not_open",
    ),
    Control("1", "Сетевые экраны", "Сеть — у эксплуатации", Claim.OPERATOR),
    Control(
        "2", "Настройка систем", "Пароли установки создаются, умолчаний нет; остальное у эксплуатации", Claim.OPERATOR
    ),
    Control("5", "Защита от вредоносных программ", "У эксплуатации", Claim.OPERATOR),
    Control("9", "Физическая защита", "У эксплуатации", Claim.OPERATOR),
    Control("12", "Политики, обучение, поставщики, план реагирования", "У эксплуатации", Claim.OPERATOR),
)

CONTROLS: tuple[Control, ...] = (*STORED_DATA, *KEYS, *TRANSPORT_AND_CODE, *ACCESS, *LOG, *SCOPE)
