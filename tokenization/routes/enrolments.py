"""A person sets their own factors, on the vault's origin, with a token that somebody gave them."""

from __future__ import annotations

from typing import Annotated

import segno
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access import enrolments
from pci.access.deeds import Access
from pci.secret import Secret
from tokenization.sign_in_cookie import check_same_origin, origin_of
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, read

Factor = Annotated[str, Field(max_length=1_024, repr=False)]
"""A password, code or token, as it was typed."""


class EnrolmentBody(Body):
    """The token, and the new password, or the present one where the second factor is new."""

    token: Factor
    password: Factor


class FirstCodeBody(Body):
    """The first code from the authenticator."""

    token: Factor
    code: Factor


class EnrolmentView(View):
    """What an authenticator has to be shown: once, and never again."""

    login: str
    kind: str
    uri: str | None = Field(repr=False)
    picture: str | None = Field(repr=False)
    """The same as a QR code, for an <img>."""


class EnrolledView(View):
    """Who may sign in now."""

    login: str


def routes(vault: Vault, access: Access) -> list[BaseRoute]:
    """Setting factors."""

    async def begin(request: Request) -> Response:
        check_same_origin(request)
        body = await read(request, EnrolmentBody)
        begun = await enrolments.begin(
            access, Secret(body.token), Secret(body.password), origin=origin_of(request), now=vault.now()
        )
        uri = None if begun.uri is None else begun.uri.expose()
        picture = None if uri is None else segno.make(uri, error="m").svg_data_uri(scale=4, border=2)
        return answer(EnrolmentView(login=begun.login, kind=str(begun.kind), uri=uri, picture=picture), 201)

    async def finish(request: Request) -> Response:
        check_same_origin(request)
        body = await read(request, FirstCodeBody)
        person = await enrolments.finish(
            access, Secret(body.token), Secret(body.code), origin=origin_of(request), now=vault.now()
        )
        return answer(EnrolledView(login=person.login))

    return [
        Route("/vault/v1/enrolments", begin, methods=["POST"]),
        Route("/vault/v1/enrolments/finish", finish, methods=["POST"]),
    ]
