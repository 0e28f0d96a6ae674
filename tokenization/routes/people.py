"""People of the vault on its own origin: signing in, and letting others in and out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from pci.access import people, repository, review, sign_ins, totp_resets
from pci.access.deeds import Access, Deed, deed
from pci.access.errors import SignInNeeded
from pci.access.own_password import change_password
from pci.access.passwords import PasswordCost, Passwords
from pci.access.person import Actor, Person
from pci.access.roles import Role, Scope, scopes_of
from pci.access.signing_in import Credentials, sign_in
from pci.secret import Secret
from tokenization.errors import PeerUnknown
from tokenization.ids import new_nonce
from tokenization.pages.people import people_page
from tokenization.routes import enrolments, key_reads
from tokenization.routes.enrolments import Factor
from tokenization.routes.keys import OPERATOR, OperatorBody
from tokenization.sign_in_cookie import COOKIE, check_same_origin, forgetting, origin_of, setting, wish_of
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, peer_of, read

Short = Annotated[str, Field(max_length=200)]
Roles = Annotated[list[Short], Field(max_length=16)]


class SignInBody(Body):
    """Who signs in."""

    login: Short
    password: Factor
    code: Factor


class PersonBody(Body):
    """A person to be invited."""

    login: Short
    name: Short
    roles: Roles
    reason: Short


class FirstPersonBody(OperatorBody):
    """The first administrator, or the first security officer."""

    login: Short
    name: Short
    role: Literal["admin", "security_officer"]


class RolesBody(Body):
    """The roles a person has from now on."""

    roles: Roles
    reason: Short


class ConfirmationBody(Body):
    """The roles that the one who confirms has seen."""

    roles: Roles


class ReasonBody(Body):
    """Why."""

    reason: Short


class PasswordChangeBody(Body):
    """A person's own password."""

    present: Factor
    new: Factor


class TotpResetBody(Body):
    """Whose second factor is lost."""

    person_id: Short
    reason: Short


class ReviewBody(Body):
    """What was looked through."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    note: Short


class SignInView(View):
    """Who is signed in."""

    person_id: str
    login: str
    name: str
    roles: list[str]
    scopes: list[str]
    expires_at: datetime


class PersonView(View):
    """A person, without their factors."""

    id: str
    login: str
    name: str
    status: str
    roles: list[str]
    scopes: list[str]
    is_locked: bool
    is_waiting: bool
    """Whether a security officer has still to confirm them."""
    last_signed_in_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, person: Person, now: datetime) -> PersonView:
        """Show a person."""
        return cls(
            id=person.id, login=person.login, name=person.name, status=str(person.status),
            roles=sorted(person.roles), scopes=sorted(scopes_of(person.roles)), is_locked=person.is_locked(now),
            is_waiting=person.is_waiting, last_signed_in_at=person.last_signed_in_at, created_at=person.created_at,
        )  # fmt: skip


class PeopleView(View):
    """Everybody there is or was."""

    people: list[PersonView]


class InvitationView(View):
    """A token by which a person sets their factors: shown once, given to them and nobody else."""

    person_id: str
    enrolment_token: str = Field(repr=False)


class TotpResetView(View):
    """A reset that waits for a second person."""

    id: str
    person_id: str
    requested_by: str
    reason: str
    expires_at: datetime


class TotpResetsView(View):
    """What waits for a second person."""

    totp_resets: list[TotpResetView]


class ReviewView(View):
    """The access review as it stands, and who signed off earlier ones."""

    digest: str
    lines: list[dict[str, str | int]]
    signed_off: list[dict[str, str | int]]


class EndedView(View):
    """How many sign-ins are over."""

    ended: int


def access_of(vault: Vault) -> Access:
    """What the routes keep people's access with: one queue of password hashes a process."""
    cost = PasswordCost(vault.settings.password_passes, vault.settings.password_memory_mib * 2**20)
    return Access(vault.transactions, vault.ring, Passwords(cost))


def sign_in_view(actor: Actor) -> SignInView:
    """Show who is signed in."""
    return SignInView(
        person_id=actor.person_id, login=actor.login, name=actor.name, roles=sorted(actor.roles),
        scopes=sorted(scopes_of(actor.roles)), expires_at=actor.expires_at,
    )  # fmt: skip


def routes(vault: Vault) -> list[BaseRoute]:
    """Everything of people but their cards."""
    access = access_of(vault)
    return [
        Route("/people", show_page, methods=["GET"]),
        *enrolments.routes(vault, access),
        *key_reads.routes(vault),
        *_own(vault, access),
        *_of_others(vault),
        *_with_reason(vault),
        *_reviews(vault),
    ]


async def show_page(_request: Request) -> Response:
    """The page, the same for everybody: what it shows it asks for."""
    page = people_page(new_nonce())
    return HTMLResponse(page.html, 200, page.headers)


def service_routes(vault: Vault) -> list[BaseRoute]:
    """The first of the people, let in by whoever runs the vault: the operator's certificate and no other."""

    async def add_first(request: Request) -> Response:
        if peer_of(request).role != OPERATOR:
            raise PeerUnknown
        body = await read(request, FirstPersonBody)
        origin = f"{peer_of(request).origin} {body.operator}"
        async with vault.transactions() as session:
            person, token = await people.add_first(
                session, vault.ring, body.login, body.name, Role(body.role), origin=origin, now=vault.now()
            )
        return answer(InvitationView(person_id=person.id, enrolment_token=token.expose()), 201)

    return [Route("/people/first", add_first, methods=["POST"])]


def _own(vault: Vault, access: Access) -> list[BaseRoute]:
    """What everybody does for themselves."""

    async def open_one(request: Request) -> Response:
        check_same_origin(request)
        body = await read(request, SignInBody)
        given = Credentials(body.login, Secret(body.password), Secret(body.code), origin_of(request))
        actor, token = await sign_in(access, given, now=vault.now())
        return answer(sign_in_view(actor), 201, setting(token))

    async def current(request: Request) -> Response:
        if COOKIE not in request.cookies:
            raise SignInNeeded()  # the page asks before anybody has signed in: no attempt worth a line of the log
        async with deed(vault.transactions, wish_of(vault, request, "sign_in.shown", None)) as tried:
            return answer(sign_in_view(tried.actor))

    async def end_current(request: Request) -> Response:
        async with deed(vault.transactions, wish_of(vault, request, "sign_in.ended", None)) as tried:
            actor = tried.actor
            await sign_ins.end_one(tried.session, actor.sign_in_id, by=actor.label, now=tried.wish.now)
            await tried.record(f"sign_in:{actor.sign_in_id}")
        return answer(EndedView(ended=1), headers=forgetting())

    async def end_own(request: Request) -> Response:
        async with deed(vault.transactions, wish_of(vault, request, "sign_in.ended", None)) as tried:
            ended = await people.sign_out_everywhere(tried, tried.actor.person_id)
        return answer(EndedView(ended=ended), headers=forgetting())

    async def own_password(request: Request) -> Response:
        wish = wish_of(vault, request, "person.password_changed", None)
        body = await read(request, PasswordChangeBody)
        await change_password(access, wish, Secret(body.present), Secret(body.new))
        return Response(status_code=204)

    return [
        Route("/vault/v1/sign-ins", open_one, methods=["POST"]),
        Route("/vault/v1/sign-ins", end_own, methods=["DELETE"]),
        Route("/vault/v1/sign-ins/current", current, methods=["GET"]),
        Route("/vault/v1/sign-ins/current", end_current, methods=["DELETE"]),
        Route("/vault/v1/password", own_password, methods=["PUT"]),
    ]


def _of_others(vault: Vault) -> list[BaseRoute]:
    """Letting people in."""

    async def list_people(request: Request) -> Response:
        async with deed(
            vault.transactions, wish_of(vault, request, "people.listed", Scope.PEOPLE_READ)
        ) as tried:  # fmt: skip
            found = await repository.list_people(tried.session)
            await tried.record(found=len(found))
        return answer(PeopleView(people=[PersonView.of(person, tried.wish.now) for person in found]))

    async def add(request: Request) -> Response:
        wish = wish_of(vault, request, "person.added", Scope.PEOPLE_WRITE)
        body = await read(request, PersonBody)
        async with deed(vault.transactions, wish) as tried:
            person, token = await people.add_person(
                tried.session,
                vault.ring,
                body.login,
                body.name,
                body.roles,
                by=tried.actor.label,
                reason=body.reason,
                now=wish.now,
            )
            await tried.record(f"person:{person.id}", roles=" ".join(sorted(person.roles)))
        return answer(InvitationView(person_id=person.id, enrolment_token=token.expose()), 201)

    async def change_roles(request: Request) -> Response:
        wish = wish_of(vault, request, "person.roles_changed", Scope.PEOPLE_WRITE)
        body = await read(request, RolesBody)
        async with deed(vault.transactions, wish) as tried:
            person = await people.change_roles(tried, _person_id(request), body.roles, reason=body.reason)
        return answer(PersonView.of(person, wish.now))

    async def confirm(request: Request) -> Response:
        wish = wish_of(vault, request, "person.confirmed", Scope.PEOPLE_APPROVE)
        body = await read(request, ConfirmationBody)
        async with deed(vault.transactions, wish) as tried:
            person = await people.confirm(tried, _person_id(request), body.roles)
        return answer(PersonView.of(person, wish.now))

    return [
        Route("/vault/v1/people", list_people, methods=["GET"]),
        Route("/vault/v1/people", add, methods=["POST"]),
        Route("/vault/v1/people/{person_id}/roles", change_roles, methods=["PUT"]),
        Route("/vault/v1/people/{person_id}/confirmations", confirm, methods=["POST"]),
    ]


def _with_reason(vault: Vault) -> list[BaseRoute]:
    """What is done to one person, for a reason."""

    def route(path: str, action: str, work: Callable[[Deed, str, str], Awaitable[BaseModel]]) -> Route:
        async def carry_out(request: Request) -> Response:
            wish = wish_of(vault, request, action, Scope.PEOPLE_WRITE)
            body = await read(request, ReasonBody)
            async with deed(vault.transactions, wish) as tried:
                view = await work(tried, _person_id(request), body.reason)
            return answer(view)

        return Route(f"/vault/v1/people/{{person_id}}/{path}", carry_out, methods=["POST"])

    async def disable(tried: Deed, person_id: str, reason: str) -> BaseModel:
        return PersonView.of(await people.disable(tried, person_id, reason=reason), tried.wish.now)

    async def unlock(tried: Deed, person_id: str, reason: str) -> BaseModel:
        return PersonView.of(await people.unlock(tried, person_id, reason=reason), tried.wish.now)

    async def invite(tried: Deed, person_id: str, reason: str) -> BaseModel:
        token = await people.invite_again(tried, person_id, reason=reason)
        return InvitationView(person_id=person_id, enrolment_token=token.expose())

    async def reset_password(tried: Deed, person_id: str, reason: str) -> BaseModel:
        token = await people.reset_password(tried, person_id, reason=reason)
        return InvitationView(person_id=person_id, enrolment_token=token.expose())

    async def sign_out(tried: Deed, person_id: str, _reason: str) -> BaseModel:
        return EndedView(ended=await people.sign_out_everywhere(tried, person_id))

    return [
        route("disable", "person.disabled", disable),
        route("unlock", "person.unlocked", unlock),
        route("invite", "person.invited", invite),
        route("reset-password", "person.password_reset", reset_password),
        route("sign-out", "sign_in.ended", sign_out),
    ]


def _reviews(vault: Vault) -> list[BaseRoute]:
    """Second factors that were lost, and looking access through."""

    async def ask_reset(request: Request) -> Response:
        wish = wish_of(vault, request, "person.totp_reset_requested", Scope.PEOPLE_WRITE)
        body = await read(request, TotpResetBody)
        async with deed(vault.transactions, wish) as tried:
            reset = await totp_resets.request_reset(tried, body.person_id, reason=body.reason)
        return answer(_reset_view(reset), 201)

    async def list_resets(request: Request) -> Response:
        wish = wish_of(vault, request, "person.totp_resets_listed", Scope.PEOPLE_READ)
        async with deed(vault.transactions, wish) as tried:
            found = await totp_resets.open_resets(tried.session, now=wish.now)
        return answer(TotpResetsView(totp_resets=list(map(_reset_view, found))))

    async def approve_reset(request: Request) -> Response:
        wish = wish_of(vault, request, "person.totp_reset_approved", Scope.PEOPLE_APPROVE)
        async with deed(vault.transactions, wish) as tried:
            reset, token = await totp_resets.approve_reset(tried, request.path_params["reset_id"])
        return answer(InvitationView(person_id=reset.person_id, enrolment_token=token.expose()))

    async def show_review(request: Request) -> Response:
        wish = wish_of(vault, request, "access.exported", Scope.PEOPLE_REVIEW)
        async with deed(vault.transactions, wish) as tried:
            lines = await review.review_lines(tried.session)
            signed_off = await review.past_reviews(tried.session)
            await tried.record(people=len(lines))
        cells = [line.cells(wish.now) for line in lines]
        return answer(ReviewView(digest=review.digest_of(lines), lines=cells, signed_off=signed_off))

    async def sign_off(request: Request) -> Response:
        wish = wish_of(vault, request, "access.reviewed", Scope.PEOPLE_REVIEW)
        body = await read(request, ReviewBody)
        async with deed(vault.transactions, wish) as tried:
            await review.sign_off(tried, body.digest, note=body.note)
        return Response(status_code=204)

    return [
        Route("/vault/v1/totp-resets", ask_reset, methods=["POST"]),
        Route("/vault/v1/totp-resets", list_resets, methods=["GET"]),
        Route("/vault/v1/totp-resets/{reset_id}/approvals", approve_reset, methods=["POST"]),
        Route("/vault/v1/access-review", show_review, methods=["GET"]),
        Route("/vault/v1/access-review", sign_off, methods=["POST"]),
    ]


def _person_id(request: Request) -> str:
    return str(request.path_params["person_id"])


def _reset_view(reset: totp_resets.TotpReset) -> TotpResetView:
    return TotpResetView(
        id=reset.id, person_id=reset.person_id, requested_by=reset.requested_by, reason=reset.reason,
        expires_at=reset.expires_at,
    )  # fmt: skip
