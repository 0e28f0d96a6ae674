"""Pages of a pack, for people: no script, nothing from elsewhere, good on paper too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from pci.evidence.results import ControlResult, ControlStatus

WORDS = {
    ControlStatus.MET: "Выполняется",
    ControlStatus.FAILING: "Нарушено",
    ControlStatus.NOT_CHECKED: "Не проверено",
    ControlStatus.NOT_MET: "Не сделано",
    ControlStatus.OPERATOR: "За эксплуатацией",
}
"""Statuses as people say them."""

PROOFS = {
    "query": "запросом к базе, при сборке пакета",
    "probe": "пробой, при сборке пакета",
    "test": "испытанием при выпуске версии",
    "": "—",
}
"""By what something is proved, as people say it."""

STYLE = """
:root { --ink: #16202b; --quiet: #5d6b7a; --line: #e2e7ec; --paper: #ffffff; --ground: #f4f6f8; --link: #1d5fa8 }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 15px/1.5 "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em }
p.lead { margin: 0 0 24px; color: var(--quiet) }
p.note { margin: 24px 0; padding: 14px 18px; background: #fff8e6; border-left: 4px solid #e0a100; border-radius: 4px }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
.counts { display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px; margin: 24px 0 }
.count { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px }
.count b { display: block; font-size: 26px; line-height: 1.1 } .count span { color: var(--quiet); font-size: 13px }
.bar { display: flex; height: 8px; border-radius: 4px; overflow: hidden; background: var(--line) }
table { width: 100%; border-collapse: collapse; background: var(--paper); border: 1px solid var(--line) }
th { text-align: left; font-size: 12px; color: var(--quiet); font-weight: 600; background: #fafbfc }
th, td { padding: 10px 12px; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td.number { font-weight: 600; white-space: nowrap } td.does { color: var(--quiet) }
.pill { display: inline-block; padding: 2px 10px; border-radius: 999px; font-size: 12px; font-weight: 600;
        white-space: nowrap }
.met { background: #e2f4e8; color: #14643a } .failing { background: #fde4e1; color: #a32114 }
.not_checked { background: #fff1cc; color: #7a5600 } .not_met { background: #f6dcf0; color: #7d1d63 }
.operator { background: #e5eaf0; color: #44525f }
.bar .met { background: #2c9a5b } .bar .failing { background: #d6402f }
.bar .not_checked { background: #e0a100 }
.bar .not_met { background: #b0418f } .bar .operator { background: #9aa8b6 }
pre { background: #101820; color: #d7e2ee; padding: 14px 16px; border-radius: 8px; white-space: pre-wrap;
      font-size: 13px }
dl { display: grid; grid-template-columns: 170px 1fr; gap: 10px 18px; background: var(--paper); margin: 0 0 20px;
     border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px } dt { color: var(--quiet) } dd { margin: 0 }
code { font: 13px/1.4 "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
@media (max-width: 760px) { .counts { grid-template-columns: 1fr 1fr } td.does, th.does { display: none } }
@media print { body { background: #fff } main { padding: 0; max-width: none } tr { break-inside: avoid } }
"""


def index_page(
    results: Sequence[ControlResult], since: datetime, until: datetime, made_at: datetime, version: str, note: str
) -> str:
    """Every requirement on one page."""
    counts = Counter(result.status for result in results)
    rows = "".join(_row(result) for result in results)
    period = f"Период: {_day(since)} — {_day(until)} · собрано {_at(made_at)}"
    head = f"<h1>Подтверждения PCI DSS v4.0.1</h1><p class=lead>{period}"
    return _page(
        "Подтверждения PCI DSS",
        f"{head} · версия <code>{escape(version)}</code></p>{_counts(counts)}<p class=note>{escape(note)}</p>"
        "<table><thead><tr><th>Пункт<th>Что требуется<th class=does>Что делает программа<th>Состояние</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        "<p class=lead><a href='sbom.json'>Опись компонентов (CycloneDX)</a> · "
        "<a href='manifest.json'>Хеши файлов и подпись</a></p>",
    )


def requirement_page(result: ControlResult, version: str, made_at: datetime) -> str:
    """One requirement with its proof."""
    control = result.control
    facts = {
        "Что требуется": escape(control.asks),
        "Что делает программа": escape(control.does),
        "Состояние": _pill(result.status) + (f" {escape(result.why)}" if result.why else ""),
        "Доказано": PROOFS[result.proof],
        "Испытание": f"<code>{escape(control.test)}</code>" if control.test else "—",
        "Версия": f"<code>{escape(version)}</code>",
        "Проверено": _at(made_at),
    }
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    query = f"<h2>Запрос</h2><pre>{escape(control.query)}</pre>" if control.query else ""
    return _page(
        f"PCI DSS {control.requirement}",
        f"<p class=lead><a href='../index.html'>← Все пункты</a></p><h1>Пункт {escape(control.requirement)}</h1>"
        f"<dl>{told}</dl>{query}{_rows(result)}",
    )


def _rows(result: ControlResult) -> str:
    if not (result.control.query or result.control.probe) or result.status is ControlStatus.NOT_CHECKED:
        return ""
    if not result.rows:
        return "<h2>Ответ</h2><p>Ни одной строки.</p>"
    names = list(result.rows[0])
    head = "".join(f"<th>{escape(name)}" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}" for name in names) + "</tr>" for row in result.rows)
    rest = result.rows_total - len(result.rows)
    more = f"<p class=lead>и ещё {rest}</p>" if rest > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h2>Ответ: строк {result.rows_total}</h2>{table}{more}"


def _cell(value: Any) -> str:
    if value is None:
        return "—"
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _row(result: ControlResult) -> str:
    control = result.control
    link = f"requirements/{escape(control.requirement.replace('–', '-'))}.html"
    return (
        f"<tr><td class=number><a href='{link}'>{escape(control.requirement)}</a><td>{escape(control.asks)}"
        f"<td class=does>{escape(control.does)}<td>{_pill(result.status)}</tr>"
    )


def _counts(counts: Mapping[ControlStatus, int]) -> str:
    cards = "".join(
        f"<div class=count><b>{counts.get(one, 0)}</b><span>{WORDS[one]}</span></div>" for one in ControlStatus
    )
    bar = "".join(f"<i class={one.value} style='flex:{counts[one]}'></i>" for one in ControlStatus if counts.get(one))
    return f"<div class=bar>{bar}</div><div class=counts>{cards}</div>"


def _pill(status: ControlStatus) -> str:
    return f"<span class='pill {status.value}'>{WORDS[status]}</span>"


def _page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=ru><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style><main>{body}</main></html>\n"
    )


def _day(at: datetime) -> str:
    return f"{at:%d.%m.%Y}"


def _at(at: datetime) -> str:
    return f"{at:%d.%m.%Y %H:%M} UTC"
