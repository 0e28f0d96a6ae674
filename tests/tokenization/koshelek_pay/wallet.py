"""What tests of Кошелёк Pay stand on: a wallet with a card, phones, a bank that answers as told, and an SMS sink."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import text

from ledger.database import Engine, transaction
from pci.keys.ring import KeyRing
from pci.pan import Pan
from pci.secret import Secret
from tests.vault_world import ready_ring
from tokenization import cards
from tokenization.card import Card, CardDetails, CardTerms
from tokenization.charges.errors import AcquirerUnreachable
from tokenization.ids import new_id
from tokenization.koshelek_pay import calls, requestors
from tokenization.koshelek_pay.authorising import Presentment
from tokenization.koshelek_pay.calls import DeviceCharge, DeviceChargeOutcome, DeviceDesk
from tokenization.koshelek_pay.codes import SmsUnavailable
from tokenization.koshelek_pay.de55 import read_de55
from tokenization.koshelek_pay.device_token import DeviceDoing, DeviceToken, Requestor
from tokenization.koshelek_pay.key_records import DevicePayment
from tokenization.koshelek_pay.phone import Phone
from tokenization.koshelek_pay.provisioning import DeviceIn, Provisioned, ProvisioningRequest
from tokenization.koshelek_pay.risk import DeviceVerdict
from tokenization.koshelek_pay.statuses import PayChannel

MIR = "2200111753579001"
OTHER_MIR = "2200117996077364"
MERCHANT = "mer_wallet"
PHONE = Secret("+79161234567")
BOTH = frozenset(PayChannel)


@dataclass
class SmsSink:
    """Where codes arrive."""

    texts: list[str] = field(default_factory=list)
    is_down: bool = False

    async def send(self, phone: Secret, message: Secret) -> None:
        if self.is_down:
            raise SmsUnavailable()
        assert phone == PHONE
        self.texts.append(message.expose())

    @property
    def code(self) -> Secret:
        found = re.search(r"[0-9]{6}", self.texts[-1])
        assert found
        return Secret(found.group())


@dataclass
class Bank:
    """The acquirer's side of the port: answers as told, once for each id."""

    answers: list[DeviceChargeOutcome] = field(default_factory=list)
    asked: list[DeviceCharge] = field(default_factory=list)
    is_away: bool = False

    async def charge(self, wanted: DeviceCharge, doing: DeviceDoing) -> DeviceChargeOutcome:
        assert doing.actor
        if self.is_away:
            raise AcquirerUnreachable()
        self.asked.append(wanted)
        return self.answers.pop(0) if self.answers else DeviceChargeOutcome(True, "00")


@dataclass
class Wallet:
    """A requestor with one card, and everything around it."""

    engine: Engine
    superuser_url: str
    ring: KeyRing
    now: datetime
    requestor: Requestor
    card: Card
    sms: SmsSink = field(default_factory=SmsSink)
    bank: Bank = field(default_factory=Bank)

    def doing(self, later: timedelta = timedelta()) -> DeviceDoing:
        return DeviceDoing("service:api", "req_test", self.now + later)

    @property
    def transactions(self) -> Any:
        return functools.partial(transaction, self.engine)

    @property
    def desk(self) -> DeviceDesk:
        return DeviceDesk(self.transactions, self.ring, self.sms, self.bank)

    async def enter_card(self, number: str, expires: str = "2030-12", merchant_id: str = MERCHANT) -> Card:
        await cards.prepare(self.ring, merchant_id, self.now)
        async with self.transactions() as session:
            kept = await cards.tokenize(
                session, self.ring, CardDetails(Pan(number), expires), CardTerms(merchant_id),
                actor="service:api", origin="req_test", now=self.now - timedelta(days=30),
            )  # fmt: skip
        return kept.card

    def request(self, phone: Phone, **changed: Any) -> ProvisioningRequest:
        device = DeviceIn(
            phone.installation_id, phone.public_jwk, tuple(changed.pop("attestation", phone.attestation)),
            changed.pop("verdict", DeviceVerdict.TRUSTED),
        )  # fmt: skip
        values = {
            "trid": self.requestor.trid, "merchant_id": MERCHANT, "card_token": self.card.token, "device": device,
            "channels": BOTH, "phone": PHONE,
        }  # fmt: skip
        return ProvisioningRequest(**values | changed)

    async def provision(self, phone: Phone, **changed: Any) -> Provisioned:
        return await calls.provision(self.desk, self.request(phone, **changed), self.doing())

    async def keys(self, phone: Phone, token: DeviceToken, **changed: Any) -> DeviceToken:
        later = changed.pop("later", timedelta())
        signed = phone.key_request(token.id, self.now + later, **changed)
        token, sealed = await calls.deliver_keys(self.desk, token.id, MERCHANT, signed, self.doing(later))
        phone.take_keys(sealed)
        return token

    async def active(self, phone: Phone, **changed: Any) -> DeviceToken:
        made = await self.provision(phone, **changed)
        return await self.keys(phone, made.token)

    def presented(self, token: DeviceToken, chip: str, amount_kopecks: int = 149_990, **changed: Any) -> Presentment:
        values = {
            "id": new_id("att"), "device_token_id": token.id, "trid": token.trid, "merchant_id": MERCHANT,
            "mcc": "5411", "channel": PayChannel.CONTACTLESS, "amount_kopecks": amount_kopecks,
            "chip": read_de55(chip),
        }  # fmt: skip
        return Presentment(**values | changed)

    async def pay(self, presentment: Presentment, later: timedelta = timedelta()) -> DevicePayment:
        return await calls.pay(self.desk, presentment, self.doing(later))

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.transactions() as session:
            return list((await session.execute(text(sql), values)).all())

    def log(self) -> list[str]:
        """The lines of the log, in order. The vault's own role cannot read them."""
        with psycopg.connect(self.superuser_url) as connection:
            rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events ORDER BY id").fetchall()
        return [row[0] for row in rows]

    def said(self) -> list[str]:
        """What was done, in order."""
        return [json.loads(line)["action"] for line in self.log()]


async def open_wallet(engine: Engine, superuser_url: str, now: datetime) -> Wallet:
    """A wallet that may put cards on phones, with one card of Mir."""
    ring = await ready_ring(engine, now)
    async with transaction(engine) as session:
        requestor = await requestors.register(
            session,
            requestors.RequestorTerms(MERCHANT, "Кошелёк", BOTH, amount_kopecks_max=500_000_00, tokens_max=5),
            DeviceDoing("service:api", "req_test", now),
        )
    wallet = Wallet(engine, superuser_url, ring, now, requestor, None)  # type: ignore[arg-type]
    wallet.card = await wallet.enter_card(MIR)
    return wallet
