"""``demo-report.html``: one file with its style and plots inside, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from html import escape
from itertools import takewhile
from pathlib import Path
from string import Template

from api.demo.checking import FEES, PAYABLE, SETTLEMENT
from api.demo.outcome import Outcome, shown
from api.demo.plots import HALF, Bar, bars, histogram
from api.demo.purchases import Purchase
from api.demo.sellers import Till
from api.demo.till_report import till_section
from api.demo.timeline import Timeline
from ledger.money import Kopecks

TEMPLATE = Path(__file__).with_name("report.html")
DAILY_BARS_MAX = 120
"""With more days a bar is a week."""
TAIL_ENTRIES = 8
ASSERTION = "balance assertion"


def render(
    outcome: Outcome, purchases: Sequence[Purchase], tills: Sequence[Till], booked: Sequence[float],
    created: Sequence[float], sample: Timeline | None, journal: Path,
) -> str:  # fmt: skip
    """The page."""
    names = {till.merchant_id: till.merchant_name for till in tills}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        verdict_class="good" if outcome.fits else "bad",
        verdict="Everything fits, to the kopeck" if outcome.fits else escape(outcome.complaint),
        rows=f"{outcome.rows:,}",
        days=_span(purchases),
        cards=_cards(outcome),
        figures=_rows(outcome.lines()),
        checks=_checks(outcome),
        days_plot=bars(days_of(purchases), title="Orders by day"),
        created_plot=bars(
            histogram(created), title="Seconds to create an order", width=HALF, colour="var(--ink-green)"
        ),
        booked_plot=bars(histogram(booked), title="Seconds from payer to books", width=HALF, colour="var(--ink-amber)"),
        create=escape(str(outcome.create)),
        booking=escape(str(outcome.booking)),
        tills=till_section(outcome.till),
        timeline=_timeline(sample, names),
        trial=_trial(outcome, names),
        journal=escape(tail_of(journal)),
        journal_name=escape(journal.name),
    )


def _span(purchases: Sequence[Purchase]) -> str:
    return f"{purchases[0].bought_on:%d.%m.%Y} to {purchases[-1].bought_on:%d.%m.%Y}"


def _cards(outcome: Outcome) -> str:
    found = outcome.found
    cards = [
        ("orders paid", shown(found.paid_orders, False)),
        ("turnover, roubles", shown(found.booked, True)),
        ("duplicates", shown(outcome.duplicates, False)),
        ("proofs broken", f"{len(found.broken_proofs)} of {found.proofs}"),
        ("orders a second", f"{outcome.orders_a_second:.0f}"),
    ]
    return "".join(f"<div class=card><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in cards)


def _rows(lines: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in lines)


def _checks(outcome: Outcome) -> str:
    return "".join(
        f"<tr class={'good' if check.holds else 'bad'}><th>{escape(check.what)}</th>"
        f"<td class=n>{shown(check.expected, check.is_money)}</td><td class=n>{shown(check.found, check.is_money)}</td>"
        f"<td class=mark>{'✓' if check.holds else '✗'}</td></tr>"
        for check in outcome.all_checks
    )


def days_of(purchases: Sequence[Purchase]) -> list[Bar]:
    """Orders and turnover by day, or by week when there are many days."""
    is_weekly = (purchases[-1].bought_on - purchases[0].bought_on).days >= DAILY_BARS_MAX

    def start_of(day: date) -> date:
        return day - timedelta(days=day.weekday()) if is_weekly else day

    counts: Counter[date] = Counter()
    sums: dict[date, Kopecks] = {}
    for purchase in purchases:
        start = start_of(purchase.bought_on)
        counts[start] += 1
        sums[start] = sums.get(start, Kopecks(0)) + purchase.amount
    first, last, step = min(counts), max(counts), timedelta(days=7 if is_weekly else 1)
    starts = [first + step * number for number in range((last - first) // step + 1)]
    of = "week of " if is_weekly else ""
    return [
        Bar(
            f"{day:%d.%m.%y}" if is_weekly else f"{day:%d.%m}",
            counts[day],
            f"{of}{day:%d.%m.%Y}: {counts[day]} rows, {shown(sums.get(day, Kopecks(0)), True)} roubles",
        )
        for day in starts
    ]


def _timeline(sample: Timeline | None, names: dict[str, str]) -> str:
    if sample is None:
        return "<p>No order had trouble in this run.</p>"
    moments = "".join(
        f"<li class={'trouble' if moment.is_trouble else 'step'}><time>{moment.time}</time>{escape(moment.what)}</li>"
        for moment in sample.moments
    )
    postings = "".join(
        f"<tr><td>{_account(posting['debit'], names)}</td><td>{_account(posting['credit'], names)}</td>"
        f"<td class=n>{shown(int(posting['amount']), True)}</td></tr>"
        for posting in sample.entry["postings"]
    )
    head = "<tr><th>Дт</th><th>Кт</th><th class=n>roubles</th></tr>"
    return (
        f"<ol class=timeline>{moments}</ol><table class=postings><caption>Entry {escape(sample.entry['id'])}, "
        f"{escape(sample.entry['reference'])}</caption>{head}{postings}</table>"
    )


def _trial(outcome: Outcome, names: dict[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{_account(line['code'], names)}</td><td class=n>{shown(int(line['debits']), True)}</td>"
        f"<td class=n>{shown(int(line['credits']), True)}</td><td class=n>{shown(int(line['balance']), True)}</td></tr>"
        for line in outcome.found.lines
    )
    total = f"<td class=n>{shown(outcome.found.debits, True)}</td><td class=n>{shown(outcome.found.credits, True)}</td>"
    return f"{rows}<tr class=total><td>in all</td>{total}<td></td></tr>"


def _account(code: str, names: dict[str, str]) -> str:
    """A code, and what it means in the words of the demo."""
    meanings = {SETTLEMENT: "money at the merchants' bank", FEES: "our fees", PAYABLE: "owed to "}
    meaning = next((words for prefix, words in meanings.items() if code.startswith(prefix)), "")
    if code.startswith(PAYABLE):
        meaning += names.get(code.removeprefix(PAYABLE), "a merchant")
    return f"<code>{escape(code)}</code><small>{escape(meaning)}</small>"


def tail_of(journal: Path) -> str:
    """The last entries of an hledger journal, without the assertions that end it."""
    with journal.open(encoding="utf-8") as file:
        before = takewhile(lambda line: not line.rstrip().endswith(ASSERTION), file)
        tail: deque[str] = deque(maxlen=TAIL_ENTRIES)
        for line in before:
            if line[:1].isdigit():
                tail.append(line)
            elif tail and line.strip():
                tail[-1] += line
    return "\n".join(tail)
