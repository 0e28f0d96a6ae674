"""A real ``kopeyka up`` with its own shop of Долями: door, api, worker, vault, acquirer, and a buyer who says yes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import psycopg
import pytest
from tbank.dolyame import models
from tbank.dolyame.sync import DolyameClient

from api.contracts.dolyame import shops
from api.contracts.dolyame.shops import DolyameShop, Profile, fingerprint_of
from api.dolyame_certificates import DolyameCertificates, read_certificate, shop_file, vouch_for_shop
from checkout.bank_details import BankAccount, account_with_key
from installments.repository import operator_merchant
from ledger.clock import machine_now
from ledger.database import Engine, Session, create_engine, in_transaction
from tests.tokenization.entry_world import MIR, seal

if TYPE_CHECKING:
    from tests.contracts.conftest import Receiver

READY_SECONDS_MAX = 180
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
STATUS_SECONDS_MAX = 180
REFUSED_CARD = "2200111753579019"
T = TypeVar("T")
numbers = itertools.count(1)
OPEN_CLIENTS: list[DolyameClient] = []
LAMP = models.Item(name="Лампа", quantity=1, price=Decimal("7000.56"), sku="lamp")
RUG = models.Item(name="Коврик", quantity=1, price=Decimal("3000.00"), sku="rug")


@dataclass(frozen=True)
class ShopAccess:
    """What one shop calls with."""

    merchant_id: str
    login: str
    password: str
    certificate: str
    key: str
    ca: str
    base_url: str

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    def client(self, **options: Any) -> DolyameClient:
        """The public Python client, unmodified."""
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # how it gives its certificate
            made = DolyameClient(
                self.login, self.password, base_url=self.base_url, cert=(self.certificate, self.key),
                verify=self.context, **options,
            )  # fmt: skip
        OPEN_CLIENTS.append(made)
        return made

    def raw(self, method: str, path: str, body: bytes | None = None, **how: Any) -> Raw:
        """A request built by hand, made again when it is one too many in its second."""
        while (answer := self.raw_once(method, path, body, **how)).status == 429:
            time.sleep(int(answer.headers["X-Retry-After"]))
        return answer

    def raw_once(
        self, method: str, path: str, body: bytes | None = None, *, basic: str | None = None,
        correlation: str | None = "", shown: tuple[str, str] | None = ("", ""), headers: dict[str, str] | None = None,
    ) -> Raw:  # fmt: skip
        """The answer with its headers as they came."""
        connection = self.connection(shown)
        try:
            return self.asked(connection, method, path, body, basic=basic, correlation=correlation, headers=headers)
        finally:
            connection.close()

    def connection(self, shown: tuple[str, str] | None = ("", "")) -> HTTPSConnection:
        """To the door, with a certificate if any is shown."""
        context = self.context
        if shown is not None:
            context.load_cert_chain(*(shown if shown[0] else (self.certificate, self.key)))
        host, port = self.base_url.removeprefix("https://").removesuffix("/v1").split(":")
        return HTTPSConnection(host, int(port), context=context, timeout=60)

    def asked(
        self, connection: HTTPSConnection, method: str, path: str, body: bytes | None = None, *,
        basic: str | None = None, correlation: str | None = "", headers: dict[str, str] | None = None,
    ) -> Raw:  # fmt: skip
        """The same on a connection that may be open already."""
        given = {"Authorization": basic or unpadded(self.login, self.password), **(headers or {})}
        if correlation is not None:
            given["X-Correlation-ID"] = correlation or str(uuid.uuid4())
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        connection.request(method, "/v1" + path, body, given)
        answer = connection.getresponse()
        read = answer.read()
        return Raw(answer.status, dict(answer.getheaders()), read)


@dataclass(frozen=True)
class Raw:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


def unpadded(login: str, password: str) -> str:
    """Basic credentials as some clients write them: Base64 without its padding."""
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode().rstrip("=")


@dataclass
class DolyameWorld:
    """The processes, and what a test does as shop, buyer and bank."""

    told: dict[str, Any]
    api: httpx.Client
    shop: ShopAccess

    def log(self) -> str:
        """The last that the processes said."""
        return (Path(self.told["data_dir"]).parent / "log").read_text()[-3000:]

    @property
    def database_url(self) -> str:
        return str(self.told["database_urls"]["app"])

    def sql(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute(statement, arguments)  # type: ignore[arg-type]  # tests write their own SQL
            return found.fetchall() if found.description else []

    def within(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do something in one transaction."""

        async def run() -> T:
            engine: Engine = create_engine(self.database_url, size=1)
            try:
                return await in_transaction(engine, work)
            finally:
                await engine.dispose()

        return asyncio.run(run())

    def made(self, path: str, body: Any) -> Any:
        answer = self.api.post(path, json=body, headers={"idempotency-key": f"dolyame-test-{next(numbers):08}"})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def another_shop(self, profile: Profile = Profile.STRICT) -> ShopAccess:
        """A new merchant with terms, a login, a password and a certificate of its own."""
        merchant = self.made("/v1/merchants", {
            "name": "Сосед", "legal_name": "ООО «Сосед»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        })  # fmt: skip
        login, now = f"shop-{next(numbers)}", machine_now()
        made = DolyameCertificates(Path(self.shop.ca).parent)
        shown = vouch_for_shop(made, login, now=now)

        async def let_in(session: Session) -> str:
            await shops.add_shop(session, DolyameShop(login, merchant["id"], shops.PRODUCT, profile), now=now)
            _, password = await shops.issue_credentials(session, login, fingerprint_of(shown), now=now)
            return password.expose()

        self.sql(
            "INSERT INTO installment_merchant_terms (merchant_id, product_code, effective_on, fee_basis_points)"
            " VALUES (%s, 'dolyame', %s, 690)", merchant["id"], date(2026, 4, 1),
        )  # fmt: skip
        files = made.certificate(shop_file(login)), made.key(shop_file(login))
        assert read_certificate(files[0]) == shown
        return ShopAccess(
            merchant["id"], login, self.within(let_in), *map(str, files), self.shop.ca, self.shop.base_url
        )

    def buyer_takes(self, shop: ShopAccess, order_id: str, pan: str = MIR) -> None:
        """A buyer says yes: decided about for real, the card kept in the real vault and held at the acquirer."""

        async def operator(session: Session) -> str:
            found = await operator_merchant(session)
            assert found is not None
            return found

        operator_id = self.within(operator)
        keys = self.api.get("/v1/card-keys").json()
        sealed = seal(keys, machine_now(), pan=pan, merchant_id=operator_id)
        card = self.made("/v1/cards", {"merchant_id": operator_id, "sealed_card": sealed})

        (plan_id,) = self.sql(
            "SELECT id FROM installment_plans WHERE merchant_id = %s AND order_number = %s", shop.merchant_id, order_id
        )[0]
        buyer = {
            "phone": f"+7916{next(numbers):07}", "born_on": "1990-05-17", "first_name": "Мария", "last_name": "Иванова",
        }  # fmt: skip
        path = f"/v1/installments/plans/{plan_id}/acceptance"
        self.made(path, {"buyer": buyer, "card_token": card["token"]})

    def status(self, shop: ShopAccess, order_id: str) -> str:
        found = self.sql(
            "SELECT status FROM installment_plans WHERE merchant_id = %s AND order_number = %s",
            shop.merchant_id, order_id,
        )  # fmt: skip
        return str(found[0][0])

    def until_status(self, shop: ShopAccess, order_id: str, status: str) -> None:
        deadline = time.monotonic() + STATUS_SECONDS_MAX
        while (found := self.status(shop, order_id)) != status:
            assert time.monotonic() < deadline, (found, self.log())
            time.sleep(0.1)

    def held(self, shop: ShopAccess, items: Any = (LAMP, RUG), **more: Any) -> str:
        """An order whose first installment is held on the buyer's card."""
        order_id = new_order(shop, items, **more)
        self.buyer_takes(shop, order_id)
        self.until_status(shop, order_id, "wait_for_commit")
        return order_id

    def completed(self, shop: ShopAccess, items: Any = (LAMP, RUG), **more: Any) -> str:
        """An order that its shop has committed and whose first installment is paid."""
        order_id = self.held(shop, items, **more)
        shop.client().commit(order_id, models.CommitRequest(amount=total(items), items=list(items)))
        self.until_status(shop, order_id, "completed")
        return order_id


def total(items: Any) -> Decimal:
    return sum((item.price * item.quantity for item in items), Decimal())


def order_id_of() -> str:
    return f"shop_{uuid.uuid4().hex[:12]}"


def new_order(shop: ShopAccess, items: Any = (LAMP, RUG), receiver: Receiver | None = None, **more: Any) -> str:
    """An order whose buyer has not come yet."""
    order_id = order_id_of()
    order = models.Order(id=order_id, amount=total(items), items=list(items))
    url = None if receiver is None else receiver.url
    shop.client().create_order(models.CreateOrderRequest(order=order, notification_url=url, **more))
    return order_id


@pytest.fixture(scope="session")
def dolyame_world() -> Iterator[DolyameWorld]:
    """Everything, started as anybody would start it."""
    root = Path(tempfile.mkdtemp(prefix="kopeyka-tests-"))
    root.chmod(0o711)  # PostgreSQL's user must get through
    file = root / "runtime.json"
    with (root / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "up", "--data-dir", root / "data", "--runtime-file", file],
            stdout=log, stderr=log,
            env=os.environ | {"KOPEYKA_WORKERS": "1", "KOPEYKA_DOLYAME_REQUESTS_PER_SECOND": "10"},
        )  # fmt: skip
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            process.wait()
            pytest.fail((root / "log").read_text()[-3000:])
        time.sleep(0.1)
    told = json.loads(file.read_text())
    try:
        with httpx.Client(
            base_url=told["urls"]["api"], timeout=60, headers={"authorization": f"Bearer {told['sandbox_key']}"}
        ) as api:
            yield DolyameWorld(told, api, ShopAccess(**told["dolyame"]))
    finally:
        for client in OPEN_CLIENTS:
            client.close()
        process.terminate()
        process.wait(30)
        shutil.rmtree(root, ignore_errors=True)
