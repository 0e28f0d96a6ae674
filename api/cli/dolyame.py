"""``kopeyka dolyame``: who may call the contract of Долями, and with what."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from rich.console import Console
from rich.table import Table

from api import data_dir as places
from api.cli.options import DataDirOption, JsonOption, with_engine
from api.contracts.dolyame import shops
from api.contracts.dolyame.errors import CertificateRefused
from api.contracts.dolyame.shops import DolyameShop, Profile, ShopCredentials, check_login, fingerprint_of
from api.dolyame_certificates import (
    DolyameCertificates,
    check_vouched,
    make_dolyame_certificates,
    read_certificate,
    shop_file,
    vouch_for_shop,
)
from api.roles import DOLYAME_FOLDER
from api.settings import Mode, Settings
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from pci.secret import Secret

OVERLAP_HOURS_MAX = 30 * 24
"""Long enough for every site to be changed, short enough for a leaked password to end."""

app = typer.Typer(help="Долями: shops' logins, passwords and certificates.", no_args_is_help=True)


@app.command()
def issue(
    merchant: Annotated[str, typer.Argument(help="The merchant (mer_…).")],
    login: Annotated[str | None, typer.Option(help="The shop's login; the merchant's id by default.")] = None,
    profile: Annotated[Profile, typer.Option(help="strict: documented values only.")] = Profile.STRICT,
    product: Annotated[str, typer.Option(help="The installment product it sells by.")] = shops.PRODUCT,
    certificate: Annotated[
        Path | None, typer.Option(help="The shop's certificate (PEM); a sandbox makes one by itself.")
    ] = None,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=OVERLAP_HOURS_MAX, help="How long what worked so far works on.")
    ] = 24,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a shop call, or change what it calls with. The password is shown once: only its hash is kept."""
    shop = DolyameShop(check_login(login or merchant), merchant, product, profile)
    shown, files = certificate_of(shop.login, certificate, data_dir, machine_now())

    async def work(engine: Engine) -> tuple[ShopCredentials, Secret]:
        now = machine_now()
        async with transaction(engine) as session:
            await shops.add_shop(session, shop, now=now)
            overlap = timedelta(hours=overlap_hours)
            return await shops.issue_credentials(session, shop.login, fingerprint_of(shown), now=now, overlap=overlap)

    made, password = with_engine(data_dir, work)
    told = {"id": made.id, "login": shop.login, "password": password.expose(), **files}
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in told.items()))
        typer.echo("Keep it: the password cannot be shown again.")


def certificate_of(
    login: str, given: Path | None, data_dir: Path | None, now: datetime
) -> tuple[x509.Certificate, dict[str, str]]:  # fmt: skip
    """The shop's certificate: the one it gave, or in a sandbox a new one, and where its files are.

    Raises: CertificateRefused.
    """
    settings = Settings()
    if given is not None:
        certificate = read_certificate(given)
        if settings.dolyame_ca_file is not None:
            check_vouched(certificate, settings.dolyame_ca_file)
        return certificate, {"certificate": str(given)}
    if settings.mode is Mode.PRODUCTION:
        raise CertificateRefused("Name the shop's certificate by --certificate: production makes no keys for others.")
    folder = places.prepare(data_dir or settings.data_dir).path / DOLYAME_FOLDER
    made: DolyameCertificates = make_dolyame_certificates(folder, now=now)
    certificate, name = vouch_for_shop(made, login, now=now), shop_file(login)
    return certificate, {
        "certificate": str(made.certificate(name)), "key": str(made.key(name)), "ca": str(made.ca),
    }  # fmt: skip


@app.command("list")
def list_shops(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """What was ever issued, the latest first."""

    async def work(engine: Engine) -> list[tuple[DolyameShop, ShopCredentials]]:
        async with transaction(engine) as session:
            return await shops.list_credentials(session)

    found = with_engine(data_dir, work)
    if as_json:
        told = [
            {"id": each.id, "login": shop.login, "merchant_id": shop.merchant_id, "profile": shop.profile.value,
             "certificate_fingerprint": each.certificate_fingerprint.hex(), "status": status(each)}
            for shop, each in found
        ]  # fmt: skip
        typer.echo(json.dumps(told))
        return
    table = Table("id", "login", "merchant", "product", "profile", "certificate", "status")
    for shop, each in found:
        begins = each.certificate_fingerprint.hex()[:16]
        table.add_row(each.id, shop.login, shop.merchant_id, shop.product_code, shop.profile, begins, status(each))
    Console().print(table)


@app.command()
def revoke(
    credentials: Annotated[str, typer.Argument(help="The credentials' id (dlc_…).")], data_dir: DataDirOption = None
) -> None:
    """End a password and its certificate at once."""

    async def work(engine: Engine) -> ShopCredentials:
        async with transaction(engine) as session:
            return await shops.revoke_credentials(session, credentials, now=machine_now())

    typer.echo(f"{with_engine(data_dir, work).id} is revoked.")


def status(credentials: ShopCredentials) -> str:
    """Whether they work today."""
    if credentials.revoked_at is not None:
        return "revoked"
    if credentials.expires_at is not None and credentials.expires_at <= machine_now():
        return "expired"
    return "works"
