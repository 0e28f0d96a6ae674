"""``kopeyka partners``: whose tills speak the wallet's Pay contract by name, and where their hosts hear of payments."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import SecretStr

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.contracts.koshelek_pay.entrance import BASE
from api.contracts.koshelek_pay.partners import Partner, postback_password, set_partner
from api.public_addresses import check_url
from api.settings import Settings
from api.terminals_key import terminals_key
from ledger.clock import machine_now
from ledger.database import Engine, transaction

app = typer.Typer(help="Partners of the tills' contract: names and hosts.", no_args_is_help=True)


@app.callback()
def partners() -> None:
    """Partners of the tills' contract."""


@app.command("set")
def set_one(
    merchant: Annotated[str, typer.Argument(help="The merchant (mer_…).")],
    name: Annotated[str, typer.Option(help="The partner's name in the base URL.")],
    postback_url: Annotated[str | None, typer.Option(help="Where its host hears of payments; none: it asks.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a partner, or change where its host hears of payments. The postback's login and password are shown."""
    settings = Settings()
    if postback_url is not None:
        check_url(postback_url, settings.mode, ports=None)
    partner = Partner(name, merchant, postback_url)

    async def work(engine: Engine) -> dict[str, str]:
        async with transaction(engine) as session:
            await set_partner(session, partner, now=machine_now())
        url = engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg", "postgresql", 1)
        house = terminals_key(settings.model_copy(update={"database_url": SecretStr(url)}))
        password = "" if postback_url is None else postback_password(house, name).expose()
        return {
            "partner": name, "base_path": f"{BASE}/{name}", "postback_url": postback_url or "",
            "postback_login": name, "postback_password": password,
        }  # fmt: skip

    told = with_engine(data_dir, work)
    typer.echo(json.dumps(told) if as_json else "\n".join(f"{key}: {value}" for key, value in told.items()))
