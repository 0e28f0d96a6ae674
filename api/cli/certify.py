"""``kopeyka certify``: a till's integration is tried on a line with faults, and gets a protocol."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.certification.opening import PATIENCE_SECONDS, House, TillUnderTest, open_bench
from api.certification.pdf import json_bytes, render_pdf
from api.certification.running import certify as run_all
from api.certification.scenario import Certification, Outcome, Verdict
from api.certification.scenarios import SCENARIOS, Scenario
from api.cli.options import DataDirOption, JsonOption
from api.contracts.koshelek_pay.entrance import BASE
from api.data_dir import StartRefused, default_path
from api.installation import RUNTIME_FILE
from api.settings import Settings
from pci.secret import Secret

EMULATOR = "наш эмулятор кассы"
MARKS = {Outcome.PASSED: "[green]пройден[/]", Outcome.FAILED: "[red]НЕ ПРОЙДЕН[/]",
         Outcome.NOT_APPLICABLE: "[yellow]не применим[/]"}  # fmt: skip


def certify(
    terminal: Annotated[str, typer.Option(help="The terminal (ter_…) of a running sandbox.")],
    till: Annotated[
        str, typer.Option(help="Where your till takes its cashier's orders; without it our emulator is tried.")
    ] = "",
    listen: Annotated[
        str, typer.Option(help="With --till: host:port of the line, which your till has as the contract's address.")
    ] = "127.0.0.1:8090",
    postback_password: Annotated[
        str, typer.Option(help="With --till: by what its host lets postbacks in; without it that row is left out.")
    ] = "",
    only: Annotated[list[str] | None, typer.Option(help="Only these scenarios, by code.")] = None,
    patience: Annotated[float, typer.Option(min=1, help="Seconds that a till may take for one step.")] = (
        PATIENCE_SECONDS
    ),
    out: Annotated[Path, typer.Option(help="Where the protocol goes, as JSON and PDF.", file_okay=False)] = Path(),
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play the mandatory and the nasty scenarios against a till; code 1 when one of them fails."""
    house, scenarios = house_of(data_dir), chosen(only)
    tried = None if not till else TillUnderTest(till.rstrip("/"), line_of(listen), secret_of(postback_password))
    screen = Console(stderr=as_json, highlight=False)

    async def run() -> Certification:
        async with open_bench(house, terminal, tried, patience) as (bench, merchant_id):
            if tried is not None:
                screen.print(f"Адрес договора для кассы: {bench.proxy.url}{BASE}/{merchant_id}")
            return await run_all(bench, merchant_id, till or EMULATOR, scenarios, lambda each: show(screen, each))

    found = asyncio.run(run())
    files = write(found, out)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"files": files}, ensure_ascii=False))
    screen.print(f"Аттестация {'пройдена' if found.is_passed else 'НЕ ПРОЙДЕНА'}: {', '.join(files)}")
    raise typer.Exit(0 if found.is_passed else 1)


def house_of(data_dir: Path | None) -> House:
    """The sandbox that runs on this data directory. Raises: StartRefused if none does."""
    place = data_dir or Settings().data_dir or default_path()
    try:
        told: dict[str, Any] = json.loads((place / RUNTIME_FILE).read_text())
    except FileNotFoundError:
        raise StartRefused(f"Nothing runs on {place}: start `kopeyka up` first") from None
    if "simulators" not in told["urls"] or not told.get("sandbox_key"):
        raise StartRefused("Tills are certified in a sandbox: this is none")
    return House(told["urls"]["api"], told["urls"]["simulators"], Secret(told["sandbox_key"]))


def chosen(only: list[str] | None) -> list[Scenario]:
    """The scenarios that are to be played. Raises: StartRefused if one is unknown."""
    known = {each.code: each for each in SCENARIOS}
    if unknown := sorted(set(only or ()) - set(known)):
        raise StartRefused(f"There is no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    return [each for each in SCENARIOS if not only or each.code in only]


def line_of(listen: str) -> tuple[str, int]:
    """Host and port. Raises: StartRefused."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
        raise StartRefused("--listen is host:port")
    return host.strip("[]"), int(port)


def secret_of(password: str) -> Secret | None:
    """The password of the till's host, if it has one."""
    return Secret(password) if password else None


def show(screen: Console, verdict: Verdict) -> None:
    """One verdict, and what was not so."""
    screen.print(f"{MARKS[verdict.outcome]}  {verdict.title}  ({verdict.seconds:.1f} с)")
    for each in verdict.statements:
        if not each.is_true:
            screen.print(f"    не так: {each.text}", markup=False)


def write(found: Certification, out: Path) -> list[str]:
    """The protocol's files: JSON always, PDF where the extra is installed."""
    out.mkdir(parents=True, exist_ok=True)
    base = out / f"certification-{found.terminal_id}"
    files = [base.with_suffix(".json")]
    files[0].write_bytes(json_bytes(found))
    try:
        pages = render_pdf(found)
    except StartRefused as refused:
        Console(stderr=True).print(str(refused), markup=False)  # it names an extra in brackets
    else:
        files.append(base.with_suffix(".pdf"))
        files[1].write_bytes(pages)
    return [str(file) for file in files]
