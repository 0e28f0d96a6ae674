"""The SQL that compares a register's lines with our operations: each a set, joined once.

A line is known by the strongest name it has: NSPK's id of the operation, else the link's, else the
merchant's order number. A weaker name never overrules a stronger one: another ``trxId`` under the
same link is another operation. Under a link that is used many times, for refunds, and by order
number, equal amounts are paired in the order of time.
"""

from __future__ import annotations

from collections.abc import Collection

from sbp_gateway.registers.lines import LineTrait
from sbp_gateway.registers.register import RegisterScope

CHEAP_PLANS = """
SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
       set_config('enable_sort', 'off', true), set_config('enable_mergejoin', 'off', true)"""
"""A register just taken in has no statistics: hash what is compared once, do not sort it, compile nothing."""

IS_SHARED = """
SELECT EXISTS (SELECT FROM cash_links) OR EXISTS (SELECT FROM sbp_stickers)
    OR EXISTS (SELECT FROM sbp_refunds WHERE ended_at >= :since AND ended_at < :until) AS is_shared"""
"""Whether several operations of ours may have one link: reused links, and refunds beside their payments."""

NAMES = (LineTrait.TRX_ID, LineTrait.QRC_ID, LineTrait.ORDER_NUMBER)
"""The strongest first."""
COMPARED = "l.register_number = :number AND l.rail = 'sbp' AND l.kind IN ('payment', 'refund')"

COUNT_NOT_COMPARED = f"""
SELECT count(*)::integer AS lines, coalesce(sum(amount_kopecks), 0)::bigint AS line_kopecks,
       coalesce(sum(fee_kopecks), 0)::bigint AS line_fee_kopecks
  FROM register_lines AS l WHERE l.register_number = :number AND NOT ({COMPARED})"""

_REUSED = "(SELECT qrc_id FROM cash_links WHERE qrc_id IS NOT NULL UNION SELECT qrc_id FROM sbp_stickers)"
_LINE = "l.number, l.kind, l.trx_id, l.qrc_id, l.amount_kopecks, l.fee_kopecks"
_NAMED = {
    LineTrait.TRX_ID: "l.trx_id IS NOT NULL",
    LineTrait.QRC_ID: "l.trx_id IS NULL AND l.qrc_id IS NOT NULL",
    LineTrait.ORDER_NUMBER: "l.trx_id IS NULL AND l.qrc_id IS NULL AND l.order_number IS NOT NULL",
    LineTrait.NOTHING: "l.trx_id IS NULL AND l.qrc_id IS NULL AND l.order_number IS NULL",
}


def _paired(name: str, happened: str) -> str:
    """A key for names that several operations share."""
    return (
        f"{name} || '/' || amount_kopecks || '/' || "
        f"row_number() OVER (PARTITION BY kind, {name}, amount_kopecks ORDER BY happened_at, {happened})"
    )


def lines_known_by(key: LineTrait, *, is_shared: bool) -> str:
    """The lines that are known by one kind of name, with it as ``key``."""
    where = f"FROM register_lines AS l WHERE {COMPARED} AND {_NAMED[key]}"
    if key is LineTrait.TRX_ID or (key is LineTrait.QRC_ID and not is_shared):
        return f"SELECT {_LINE}, l.{key.value} AS key {where}"
    if key is LineTrait.QRC_ID:
        is_reused = f"(l.kind = 'refund' OR l.qrc_id IN {_REUSED})"
        return (
            f"SELECT {_LINE}, l.qrc_id AS key {where} AND NOT {is_reused}"
            f" UNION ALL SELECT {_LINE}, {_paired('l.qrc_id', 'number')} {where} AND {is_reused}"
        )
    if key is LineTrait.ORDER_NUMBER:
        return f"SELECT {_LINE}, {_paired('l.order_number', 'number')} AS key {where}"
    return f"SELECT {_LINE}, NULL AS key {where}"


def operations_known_by(key: LineTrait, scope: RegisterScope, *, is_shared: bool) -> str:
    """Our operations of the day, with their name of one kind as ``key``."""
    where = f"WHERE {of_day(scope)}"
    if key is LineTrait.QRC_ID:
        named = "o.id, o.kind, o.trx_id, o.qrc_id, o.amount_kopecks, o.fee_kopecks"
        if not is_shared:
            return f"SELECT {named}, o.qrc_id AS key FROM sbp_operations AS o {where}"
        return (
            f"SELECT {named}, o.qrc_id AS key FROM sbp_operations AS o {where} AND NOT o.is_of_reused_link"
            f" UNION ALL SELECT {named}, {_paired('o.qrc_id', 'o.id')}"
            f" FROM sbp_operations AS o {where} AND o.is_of_reused_link"
        )
    named = "o.id, o.kind, o.trx_id, NULL AS qrc_id, o.amount_kopecks, o.fee_kopecks"
    if key is LineTrait.ORDER_NUMBER:
        found = (
            "(SELECT o.*, d.number AS order_number FROM sbp_operations AS o"
            f" LEFT JOIN attempts AS a ON a.id = o.attempt_id LEFT JOIN orders AS d ON d.id = a.order_id {where})"
        )
        return f"SELECT {named}, {_paired('o.order_number', 'o.id')} AS key FROM {found} AS o"
    return f"SELECT {named}, o.trx_id AS key FROM sbp_operations AS o {where}"


def of_day(scope: RegisterScope) -> str:
    """Which operations of ours the register should have."""
    found = ["o.happened_at >= :since AND o.happened_at < :until"]
    found += ["o.merchant_id = :merchant_id"] if scope.merchant_id is not None else []
    found += ["o.member_id = :member_id"] if scope.member_id is not None else []
    return " AND ".join(found)


def both_sides(keys: Collection[LineTrait], scope: RegisterScope, *, is_shared: bool) -> tuple[str, str]:
    """Lines and operations under keys of one kind. A register that mixes names is told ours by ``trxId``.

    ``is_shared`` says that several operations may have one link.
    """
    named = [key for key in NAMES if key in keys]
    main = named[0] if len(named) == 1 else LineTrait.TRX_ID
    lines = [lines_known_by(main, is_shared=is_shared)] if main in keys else []
    for key in named:
        if key is not main:
            lines.append(
                f"SELECT l.number, l.kind, l.trx_id, l.qrc_id, l.amount_kopecks, l.fee_kopecks, o.trx_id AS key"
                f" FROM ({lines_known_by(key, is_shared=is_shared)}) AS l"
                f" LEFT JOIN ({operations_known_by(key, scope, is_shared=is_shared)}) AS o"
                " ON o.kind = l.kind AND o.key = l.key"
            )
    if LineTrait.NOTHING in keys or not lines:
        lines.append(lines_known_by(LineTrait.NOTHING, is_shared=is_shared))
    return " UNION ALL ".join(lines), operations_known_by(main, scope, is_shared=is_shared)


def find_duplicates(lines: str) -> str:
    """Keep as differences all lines of one operation but the first."""
    return f"""
INSERT INTO register_differences (register_number, check_number, verdict, kind, line_number, trx_id, qrc_id,
                                  line_kopecks, line_fee_kopecks)
SELECT :number, :check_number, 'duplicate', l.kind, l.number, l.trx_id, l.qrc_id, l.amount_kopecks, l.fee_kopecks
  FROM ({lines}) AS l
  JOIN (SELECT kind, key, min(number) AS first FROM ({lines}) AS every
         WHERE key IS NOT NULL GROUP BY kind, key HAVING count(*) > 1) AS d ON d.kind = l.kind AND d.key = l.key
 WHERE l.number > d.first"""


def compare(lines: str, operations: str, *, has_duplicates: bool, is_shared: bool) -> str:
    """Join the sides and keep what differs. What matches is not even counted: it is all the rest."""
    same = "o.kind = l.kind AND o.key = l.key" if is_shared else "o.key = l.key"
    without_duplicates = """
        WHERE NOT EXISTS (SELECT FROM register_differences AS d
                           WHERE d.register_number = :number AND d.check_number = :check_number
                             AND d.line_number = every.number)"""
    return f"""
INSERT INTO register_differences (register_number, check_number, verdict, kind, line_number, operation_id, trx_id,
       qrc_id, line_kopecks, line_fee_kopecks, operation_kopecks, operation_fee_kopecks)
SELECT :number, :check_number,
       CASE WHEN l.number IS NULL THEN 'only_with_us' WHEN o.id IS NULL THEN 'only_in_register'
            WHEN l.amount_kopecks <> o.amount_kopecks THEN 'amount_differs' ELSE 'fee_differs' END,
       coalesce(l.kind, o.kind), l.number, o.id, coalesce(l.trx_id, o.trx_id), coalesce(l.qrc_id, o.qrc_id),
       l.amount_kopecks, l.fee_kopecks, o.amount_kopecks, o.fee_kopecks
  FROM (SELECT * FROM ({lines}) AS every {without_duplicates if has_duplicates else ""}) AS l
  FULL JOIN ({operations}) AS o ON {same}
 WHERE l.number IS NULL OR o.id IS NULL OR l.amount_kopecks <> o.amount_kopecks
    OR abs(l.fee_kopecks - o.fee_kopecks) > :tolerance
 ORDER BY l.number, o.id"""


def find_on_other_days(name: str, scope: RegisterScope) -> str:
    """Tie lines that we do not have on the day to operations of ours of the days around it."""
    weaker = "" if name == "trx_id" else "AND d.trx_id IS NULL AND NOT o.is_of_reused_link"
    within = of_day(scope).replace(":since", ":earliest").replace(":until", ":latest")
    return f"""
UPDATE register_differences AS d
   SET is_other_day = true, operation_id = o.id, operation_kopecks = o.amount_kopecks,
       operation_fee_kopecks = o.fee_kopecks,
       verdict = CASE WHEN d.line_kopecks <> o.amount_kopecks THEN 'amount_differs'
                      WHEN abs(d.line_fee_kopecks - o.fee_kopecks) > :tolerance THEN 'fee_differs'
                      ELSE 'matched_other_day' END
  FROM sbp_operations AS o
 WHERE d.register_number = :number AND d.check_number = :check_number AND d.verdict = 'only_in_register'
   AND o.kind = d.kind AND o.{name} = d.{name} {weaker}
   AND {within} AND NOT (o.happened_at >= :since AND o.happened_at < :until)"""


def find_in_other_registers(name: str) -> str:
    """Find operations that only we have in the same bank's registers of the days around."""
    return f"""
UPDATE register_differences AS d SET verdict = 'in_other_register'
  FROM register_lines AS l JOIN registers AS r ON r.number = l.register_number
 WHERE d.register_number = :number AND d.check_number = :check_number AND d.verdict = 'only_with_us'
   AND r.profile = :profile AND r.day_on <> :day_on AND r.day_on BETWEEN :first_on AND :last_on
   AND l.kind = d.kind AND l.{name} = d.{name} AND l.amount_kopecks = d.operation_kopecks"""


TOTAL_DIFFERENCES = """
INSERT INTO register_check_totals
SELECT register_number, check_number, verdict, count(line_number), coalesce(sum(line_kopecks), 0),
       coalesce(sum(line_fee_kopecks), 0), count(operation_id), coalesce(sum(operation_kopecks), 0),
       coalesce(sum(operation_fee_kopecks), 0)
  FROM register_differences WHERE register_number = :number AND check_number = :check_number
 GROUP BY register_number, check_number, verdict"""

COUNT_OPERATIONS = """
SELECT count(*) AS operations, coalesce(sum(o.amount_kopecks), 0)::bigint AS operation_kopecks,
       coalesce(sum(o.fee_kopecks), 0)::bigint AS operation_fee_kopecks
  FROM sbp_operations AS o WHERE {of_day}"""

COUNT_KEPT = """
SELECT count(line_number) AS lines, coalesce(sum(line_kopecks), 0)::bigint AS line_kopecks,
       coalesce(sum(line_fee_kopecks), 0)::bigint AS line_fee_kopecks,
       count(operation_id) FILTER (WHERE NOT is_other_day) AS operations,
       coalesce(sum(operation_kopecks) FILTER (WHERE NOT is_other_day), 0)::bigint AS operation_kopecks,
       coalesce(sum(operation_fee_kopecks) FILTER (WHERE NOT is_other_day), 0)::bigint AS operation_fee_kopecks,
       count(*) FILTER (WHERE verdict = 'only_in_register') AS strange
  FROM register_differences WHERE register_number = :number AND check_number = :check_number"""


def compare_books(scope: RegisterScope) -> str:
    """Join our operations of the day with their entries: keep what differs, and what each side adds up to."""
    return f"""
WITH ours AS MATERIALIZED (
    SELECT o.kind, o.id, o.trx_id, o.qrc_id, o.amount_kopecks, o.fee_kopecks, b.book_kopecks
      FROM sbp_operations AS o
      LEFT JOIN (SELECT kind, id, sum(book_kopecks)::bigint AS book_kopecks FROM sbp_booked_operations
                  WHERE happened_at >= :since AND happened_at < :until GROUP BY kind, id) AS b
        ON b.kind = o.kind AND b.id = o.id
     WHERE {of_day(scope)}
), differing AS (
    INSERT INTO register_differences (register_number, check_number, verdict, kind, operation_id, trx_id, qrc_id,
                                      operation_kopecks, operation_fee_kopecks, book_kopecks)
    SELECT :number, :check_number, 'differs_from_books', kind, id, trx_id, qrc_id, amount_kopecks, fee_kopecks,
           book_kopecks
      FROM ours WHERE book_kopecks IS DISTINCT FROM amount_kopecks ORDER BY id
)
INSERT INTO register_book_totals
SELECT :number, :check_number, kind, coalesce(l.kopecks, 0), coalesce(o.kopecks, 0), coalesce(o.book_kopecks, 0),
       coalesce(o.operations, 0), coalesce(o.differing, 0)
  FROM (SELECT l.kind, sum(l.amount_kopecks)::bigint AS kopecks FROM register_lines AS l WHERE {COMPARED}
         GROUP BY l.kind) AS l
  FULL JOIN (SELECT kind, count(*) AS operations, sum(amount_kopecks)::bigint AS kopecks,
                    sum(book_kopecks)::bigint AS book_kopecks,
                    count(*) FILTER (WHERE book_kopecks IS DISTINCT FROM amount_kopecks) AS differing
               FROM ours GROUP BY kind) AS o USING (kind)"""
