"""``plans-report.html``: one file with its style and plots inside, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from api.demo.plan_outcome import PlanOutcome, late_of
from api.demo.plots import Bar, bars
from api.demo.report import TEMPLATE as SALES_TEMPLATE
from installments.arrears import PAST_DUE, Bucket
from installments.portfolio import REPAID, WRITTEN_OFF, RollRate, Vintage
from ledger.money import roubles

REPORT = "plans-report.html"
TEMPLATE = Path(__file__).with_name("plan_report.html")
KOPECKS_A_ROUBLE = 100
NAMES = {
    Bucket.NOT_DUE: "not due", Bucket.DUE: "due today", Bucket.DPD_1_3: "1–3 days", Bucket.DPD_4_14: "4–14",
    Bucket.DPD_15_30: "15–30", Bucket.DPD_31_60: "31–60", Bucket.DPD_61_90: "61–90", Bucket.DPD_90_PLUS: "90+",
    REPAID: "repaid", WRITTEN_OFF: "written off",
}  # fmt: skip


def render(outcome: PlanOutcome) -> str:
    """The page."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=_style(),
        verdict_class="good" if outcome.fits else "bad",
        verdict="The books are the plans, to the kopeck" if outcome.fits else escape(outcome.complaint),
        plans=f"{outcome.asked:,}",
        days=f"{outcome.days:,}",
        proofs=f"{outcome.proofs:,}",
        figures=_rows(outcome.lines()),
        owed_plot=bars(_by_day(outcome, late_only=False), title="Owed by plans, by day, roubles"),
        late_plot=bars(_by_day(outcome, late_only=True), title="Late, by day, roubles", colour="var(--ink-amber)"),
        buckets_plot=bars(_by_bucket(outcome), title="Late at the end, roubles", colour="var(--ink-amber)"),
        rolls=_rolls(outcome.rolls),
        vintages=_vintages(outcome.vintages),
    )


def _style() -> str:
    """The style of the other report."""
    page = SALES_TEMPLATE.read_text(encoding="utf-8")
    return page[page.index("<style>") : page.index("</style>") + len("</style>")]


def _rows(lines: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in lines)


def _by_day(outcome: PlanOutcome, *, late_only: bool) -> list[Bar]:
    found = []
    for end in outcome.ends:
        kopecks = late_of(end) if late_only else int(end.report.total[1])
        found.append(Bar(f"{end.on:%d.%m}", kopecks // KOPECKS_A_ROUBLE, f"{end.on:%d.%m.%Y}: {roubles(kopecks)}"))
    return found


def _by_bucket(outcome: PlanOutcome) -> list[Bar]:
    lines = outcome.ends[-1].report.lines if outcome.ends else ()
    return [
        Bar(NAMES[line.bucket], int(line.outstanding) // KOPECKS_A_ROUBLE, f"{line.plans} plans, {line.outstanding}")
        for line in lines
        if line.bucket in PAST_DUE
    ]


def _rolls(rolls: Sequence[RollRate]) -> str:
    """Of the money that stood in a bucket, what share stood where a snapshot later."""
    of: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in rolls:
        of[one.of][one.to] += int(one.amount)
    targets = list(NAMES)
    head = "".join(f"<th class=n>{NAMES[to]}</th>" for to in targets)
    body = "".join(_roll_row(bucket, of[bucket], targets) for bucket in Bucket if bucket in of)
    return f"<thead><tr><th>stood in</th>{head}<th class=n>roubles</th></tr></thead><tbody>{body}</tbody>"


def _roll_row(bucket: Bucket, to: dict[str, int], targets: Sequence[str]) -> str:
    total = sum(to.values())
    cells = "".join(
        f"<td class=n>{to[each] * 1000 // total / 10:.1f} %</td>" if to.get(each) else "<td class=n>·</td>"
        for each in targets
    )
    return f"<tr><th>{NAMES[bucket]}</th>{cells}<td class=n>{roubles(total)}</td></tr>"


def _vintages(vintages: Sequence[Vintage]) -> str:
    head = "<th>sold in</th>" + "".join(
        f"<th class=n>{name}</th>" for name in ("plans", "sold", "still owed", "late over 30 days", "written off")
    )
    body = "".join(
        f"<tr><th>{one.month_on:%m.%Y}</th><td class=n>{one.plans:,}</td><td class=n>{one.sold}</td>"
        f"<td class=n>{one.outstanding}</td><td class=n>{one.late}</td><td class=n>{one.written_off}</td></tr>"
        for one in vintages
    )
    return f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
