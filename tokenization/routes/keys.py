"""Keys, for whoever runs the vault: what there is, unsealing, rotations, moves. Writing is the operator's alone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access.passwords import PasswordCost, Passwords
from pci.keys import custodians, register, rewrapping, rotation
from pci.keys.architecture import crypto_architecture
from pci.keys.key import Key, KeyPurpose, KeyState
from pci.keys.register import KeyDoing
from pci.keys.rotation import Rotation, RotationKind
from pci.secret import Secret
from tokenization import rotating
from tokenization.errors import PeerUnknown
from tokenization.ids import new_id
from tokenization.key_report import key_report
from tokenization.unsealing import GivenToUnseal, give_share
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, peer_of, read

OPERATOR = "operator"
"""The role in the certificate of whoever runs the vault; neither the api nor the worker has it."""
Who = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
Scope = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Reason = Annotated[str, Field(min_length=3, max_length=200)]


class OperatorBody(Body):
    """Who does it: a login on the operator's machine."""

    operator: Who


class ShareBody(OperatorBody):
    """What a custodian brings."""

    custodian: Annotated[str, Field(min_length=1, max_length=100)]
    passphrase: Annotated[SecretStr, Field(max_length=200)]
    share: Annotated[SecretStr, Field(max_length=1_000)]


class RotationBody(OperatorBody):
    """What is renewed: the KEK, or a merchant's key of cards or of fingerprints."""

    kind: RotationKind
    scope: Scope = rewrapping.EVERYTHING


class KeyRenewalBody(OperatorBody):
    """A key that is renewed without going over anything."""

    purpose: KeyPurpose
    scope: Scope
    reason: Reason


class KeyMoveBody(OperatorBody):
    """Where a key goes, and why."""

    to: KeyState
    reason: Reason


class KekForgetBody(OperatorBody):
    """An old KEK that is destroyed, and why."""

    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
    reason: Reason


class CustodianBody(OperatorBody):
    """Who is no custodian any more."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class SealView(View):
    """How far the vault is."""

    status: str
    shares_needed: int
    shares_given: int


class KeyView(View):
    """A key's record."""

    number: int
    purpose: str
    scope: str
    version: int
    state: str
    algorithm: str
    storage_form: str
    kek_provider: str
    kek_version: str
    env: str
    encryptions: int
    is_due: bool
    created_at: datetime
    activated_at: datetime | None
    expires_at: datetime | None
    retired_at: datetime | None
    destroyed_at: datetime | None


class RotationView(View):
    """A rotation and how far it is."""

    id: str
    kind: str
    scope: str
    target: str
    status: str
    rows_total: int
    rows_done: int
    percent: int
    remaining_seconds: int | None
    started_by: str
    started_at: datetime
    finished_at: datetime | None


class CustodianView(View):
    """A custodian."""

    id: str
    name: str
    acknowledged_version: int
    is_active: bool


class KeyRegisterView(View):
    """Everything that is told of keys."""

    seal: SealView
    kek: dict[str, object] | None
    keys: list[KeyView]
    rotations: list[RotationView]
    custodians: list[CustodianView]
    must_be_split_again: list[str]
    architecture: str
    """The same as a paper, in Markdown."""


def routes(vault: Vault) -> list[BaseRoute]:
    """For the operator, and for whoever writes reports."""
    own = vault.settings
    passwords = Passwords(PasswordCost(own.password_passes, own.password_memory_mib * 2**20))

    async def show(request: Request) -> Response:
        peer_of(request)
        return answer(await register_view(vault))

    async def unseal(request: Request) -> Response:
        doing, body = await operated(vault, request, ShareBody)
        passphrase, share = Secret(body.passphrase.get_secret_value()), Secret(body.share.get_secret_value())
        state = await give_share(vault, passwords, GivenToUnseal(body.custodian, passphrase, share), doing)
        return answer(SealView(status=str(state), shares_needed=state.shares_needed, shares_given=state.shares_given))

    async def rotate(request: Request) -> Response:
        doing, body = await operated(vault, request, RotationBody)
        if body.kind is RotationKind.KEK:
            begun = await rewrapping.begin(vault.transactions, vault.ring.provider, new_id("rot"), doing)
        else:
            begun = await rotating.begin(vault.transactions, vault.ring, body.kind, body.scope, doing)
        return answer(rotation_view(begun), 202)

    async def renew(request: Request) -> Response:
        doing, body = await operated(vault, request, KeyRenewalBody)
        dek = await vault.ring.renew(body.purpose, body.scope, doing.at, doing=doing)
        return await key_answer(vault, dek.number)

    async def move(request: Request) -> Response:
        doing, body = await operated(vault, request, KeyMoveBody)
        number = int(request.path_params["number"])
        async with vault.transactions() as session:
            await register.move(session, number, body.to, doing)
        vault.ring.forget(number)
        return await key_answer(vault, number)

    async def pause(request: Request) -> Response:
        doing, _ = await operated(vault, request, OperatorBody)
        async with vault.transactions() as session:
            return answer(rotation_view(await rotation.pause(session, request.path_params["id"], doing)))

    async def resume(request: Request) -> Response:
        doing, _ = await operated(vault, request, OperatorBody)
        async with vault.transactions() as session:
            return answer(rotation_view(await rotation.resume(session, request.path_params["id"], doing)))

    async def forget(request: Request) -> Response:
        doing, body = await operated(vault, request, KekForgetBody)
        await rewrapping.forget(vault.transactions, vault.ring.provider, body.version, doing)
        return answer(await register_view(vault))

    async def deactivate(request: Request) -> Response:
        doing, body = await operated(vault, request, CustodianBody)
        async with vault.transactions() as session:
            known = await custodians.find(session, body.name)
            await custodians.deactivate(session, known.id, doing)
        return answer(await register_view(vault))

    return [
        Route("/keys", show),
        Route("/keys/shares", unseal, methods=["POST"]),
        Route("/keys/renew", renew, methods=["POST"]),
        Route("/keys/rotations", rotate, methods=["POST"]),
        Route("/keys/rotations/{id}/pause", pause, methods=["POST"]),
        Route("/keys/rotations/{id}/resume", resume, methods=["POST"]),
        Route("/keys/kek/forget", forget, methods=["POST"]),
        Route("/keys/custodians/deactivate", deactivate, methods=["POST"]),
        Route("/keys/{number:int}/move", move, methods=["POST"]),
    ]


B = TypeVar("B", bound=OperatorBody)


async def operated(vault: Vault, request: Request, body_type: type[B]) -> tuple[KeyDoing, B]:
    """What the operator wants, and who that is. Raises: PeerUnknown for everybody else; RequestInvalid."""
    peer = peer_of(request)
    if peer.role != OPERATOR:
        raise PeerUnknown
    body = await read(request, body_type)
    reason = body.reason if isinstance(body, (KeyRenewalBody, KeyMoveBody, KekForgetBody)) else ""
    return KeyDoing(f"operator:{body.operator}", peer.origin, vault.now(), reason), body


async def key_answer(vault: Vault, number: int) -> Response:
    async with vault.transactions() as session:
        stored = await register.find_stored(session, number)
    return answer(key_view(stored.key, vault.now()))


async def register_view(vault: Vault) -> KeyRegisterView:
    report = await key_report(vault)
    seal = report.seal
    return KeyRegisterView(
        seal=SealView(status=str(seal), shares_needed=seal.shares_needed, shares_given=seal.shares_given),
        kek=None if report.kek is None else asdict(report.kek),
        keys=[key_view(key, report.at) for key in report.keys],
        rotations=[rotation_view(one) for one in report.rotations],
        custodians=[
            CustodianView(
                id=one.id, name=one.name, acknowledged_version=one.acknowledged_version,
                is_active=one.deactivated_at is None,
            )
            for one in report.custodians
        ],
        must_be_split_again=list(report.must_be_split_again),
        architecture=crypto_architecture(report),
    )  # fmt: skip


def key_view(key: Key, now: datetime) -> KeyView:
    is_due = key.state is KeyState.ACTIVE and key.is_due(now)
    told = {name: getattr(key, name) for name in KeyView.model_fields if name not in ("is_due", "expires_at")}
    return KeyView(**told, is_due=is_due, expires_at=key.expires_at)


def rotation_view(one: Rotation) -> RotationView:
    left = one.remaining
    told = {name: getattr(one, name) for name in RotationView.model_fields if name != "remaining_seconds"}
    return RotationView(**told, remaining_seconds=None if left is None else int(left.total_seconds()))
