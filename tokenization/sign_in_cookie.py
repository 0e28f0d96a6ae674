"""Whom a browser on the vault's origin speaks for: a cookie that no script reads and no other site sends."""

from __future__ import annotations

from starlette.requests import Request

from pci.access.deeds import Wish
from pci.access.errors import PageForeign, SignInNeeded
from pci.access.roles import Scope
from pci.access.sign_ins import OPEN_MAX
from pci.secret import Secret
from tokenization.vault import Vault
from tokenization.wire import request_id_of

COOKIE = "__Host-vault-sign-in"
"""Browsers take this name only over TLS, for this host alone."""
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


def setting(token: Secret) -> dict[str, str]:
    """The header that signs a browser in."""
    return {"set-cookie": f"{COOKIE}={token.expose()}; Max-Age={int(OPEN_MAX.total_seconds())}; {_ATTRIBUTES}"}


def forgetting() -> dict[str, str]:
    """The header that signs a browser out."""
    return {"set-cookie": f"{COOKIE}=; Max-Age=0; {_ATTRIBUTES}"}


def origin_of(request: Request) -> str:
    """Where a request comes from, as the log has it. Source: PCI DSS 10.2.2: origination of the event."""
    address = request.client.host if request.client is not None else "unknown"
    return f"{address} {request_id_of(request)}"


def check_same_origin(request: Request) -> None:
    """Refuse what another site's page sends. Raises: PageForeign."""
    given = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    is_ours = given is None or given.partition("://")[2] == request.headers.get("host")
    if not is_ours or site not in {"same-origin", "none"}:
        raise PageForeign()


def wish_of(vault: Vault, request: Request, action: str, scope: Scope | None, subject: str = "vault:people") -> Wish:
    """What this request asks for, on behalf of whoever is signed in.

    Who shows no cookie has tried nothing yet: no line of the log, which anybody could fill otherwise.
    Raises: PageForeign, SignInNeeded.
    """
    check_same_origin(request)
    if not request.cookies.get(COOKIE):
        raise SignInNeeded()
    return Wish(action, scope, subject, Secret(request.cookies[COOKIE]), origin_of(request), vault.now(), vault.ring)
