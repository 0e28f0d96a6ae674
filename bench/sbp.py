"""``kopeyka bench sbp``: links, pictures, codes, polls and registers, each against what it cannot be faster than.

Rounds of a row and of its baseline alternate; medians are compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from statistics import median
from urllib.parse import parse_qs, urlsplit

import segno
import uvloop

from bench import registers, sbp_codes, sbp_polls
from bench.rows import Row, faster, show
from ledger.clock import monotonic
from ledger.money import Kopecks
from sbp_gateway.payload import build_binding, build_dynamic, build_static, parse
from sbp_gateway.qr_images import ERROR_CORRECTION, QUIET_ZONE_MODULES, QrSize, qr_svg

ROUNDS = 15
LINKS = 6_000
"""Different ones: ``urlsplit`` remembers what it split before."""
PICTURES = 15
SCREEN_DOTS_A_MODULE = 8
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"


def run(*, as_json: bool) -> None:
    """Measure and print every row."""
    show(rows(), as_json=as_json)


def rows() -> list[Row]:
    """Every row, the quick ones first."""
    links = made_links(LINKS)
    return [
        payload_parse(links),
        qr_svg_row(links[:PICTURES]),
        *uvloop.run(sbp_codes.rows()),
        *sbp_polls.rows(),
        *registers.rows(),
    ]


def payload_parse(links: Sequence[str]) -> Row:
    """Reading a link with every check, against splitting it."""
    ours, theirs = alternate(lambda: each(parse, links), lambda: each(split, links))
    against = "urllib.parse alone: urlsplit and parse_qs on the same links, no check at all"
    return faster("payload_parse", ours, theirs, 0.4, "links/s", against)


def qr_svg_row(links: Sequence[str]) -> Row:
    """Drawing a link for a screen, against bare segno."""
    ours, theirs = alternate(lambda: each(lambda link: qr_svg(link, QrSize.SCREEN), links), lambda: each(bare, links))
    against = "segno alone with the same level, quiet zone and scale"
    return faster("qr_svg", ours, theirs, 0.8, "pictures/s", against)


def split(link: str) -> dict[str, list[str]]:
    """What the standard library makes of a link."""
    return parse_qs(urlsplit(link).query)


def bare(link: str) -> bytes:
    """What segno alone draws."""
    file = BytesIO()
    code = segno.make_qr(link, error=ERROR_CORRECTION, boost_error=False)
    code.save(file, kind="svg", scale=SCREEN_DOTS_A_MODULE, border=QUIET_ZONE_MODULES, light="white", xmldecl=False)
    return file.getvalue()


def each(work: Callable[[str], object], links: Iterable[str]) -> float:
    """Links a second."""
    start, count = monotonic(), 0
    for link in links:
        work(link)
        count += 1
    return count / (monotonic() - start)


def alternate(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """Medians of short rounds in turns, so that a busy neighbour meets both."""
    seen = [(ours(), theirs()) for _ in range(ROUNDS)]
    return median(pair[0] for pair in seen), median(pair[1] for pair in seen)


def made_links(count: int) -> list[str]:
    """Links of every kind, most of them for one payment."""
    chance = random.Random(1)
    builders: tuple[Callable[[str, str, Kopecks], str], ...] = (
        lambda rest, bank, amount: build_dynamic(f"AD{rest}", bank, amount),
        lambda rest, bank, amount: build_dynamic(f"BD{rest}", bank, amount),
        lambda rest, bank, amount: build_static(f"AS{rest}", bank, amount),
        lambda rest, bank, _: build_static(f"AS{rest}", bank),
        lambda rest, bank, _: build_binding(f"AB{rest}", bank),
    )
    return [
        builders[number % len(builders)](
            "".join(chance.choices(LETTERS, k=30)), f"1{chance.randrange(300):011}", Kopecks(chance.randrange(1, 10**8))
        )
        for number in range(count)
    ]
