"""Who is at the other end of a plan's link: a short-lived cookie, sealed by us, good for one plan only.

What a buyer has typed before the phone is proven is kept in it and nowhere else: nobody changes what we know of a
person by knowing their phone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from starlette.requests import Request

from ledger.ids import new_secret
from pci.secret import Secret

LIFETIME = timedelta(minutes=30)
"""Longer than a buyer needs, shorter than a lost phone stays unlocked."""
CHARACTERS_MAX = 3_500
"""Browsers keep 4,096 with the name and the attributes. Source: RFC 6265, 6.1."""
NAME = "plan"
SECURE_NAME = "__Secure-plan"
"""Browsers take this name only over TLS."""


@dataclass(frozen=True, slots=True)
class FormSession:
    """What we remember of a buyer between two pages."""

    plan_id: str
    csrf: str
    """Repeated by every form of ours, and by nobody else's."""
    begun_at: int
    """Seconds since 1970; the session ends ``LIFETIME`` after it was last used."""
    typed: dict[str, str] = field(default_factory=dict)
    """Phone, names and birthday, until the phone is proven."""
    candidate_id: str | None = None
    """Whose phone was typed, and is not proven yet."""
    pack_sha256: str | None = None
    """The terms that were agreed to, as shown."""
    buyer_id: str | None = None
    """Once the phone is proven."""
    code_sent_at: int | None = None
    card_session_id: str | None = None
    """The card form that is open in the vault."""
    tries: int = 0
    """Card forms opened: each has a name of its own."""
    charge_id: str | None = None
    """An early payment under way."""
    change_id: str | None = None
    """Another card under way."""
    is_fresh: bool = False
    """The plan was accepted in this session: the shop waits for its buyer."""

    def changed(self, **changes: object) -> FormSession:
        """The session with other facts."""
        return replace(self, **changes)  # type: ignore[arg-type]  # names are checked by replace


def begin(plan_id: str, now: datetime) -> FormSession:
    """A session that knows nobody yet."""
    return FormSession(plan_id, new_secret(""), int(now.timestamp()))


def seal(session: FormSession, key: Secret, now: datetime) -> str:
    """The cookie's value, good from now on for ``LIFETIME``."""
    told = asdict(session) | {"begun_at": int(now.timestamp())}
    sealed = SecretBox(_key(key)).encrypt(json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode())
    value = urlsafe_b64encode(sealed).decode().rstrip("=")
    assert len(value) <= CHARACTERS_MAX, "what buyers type is limited"
    return value


def unseal(value: str, key: Secret, plan_id: str, now: datetime) -> FormSession | None:
    """The session in a cookie; none if it is not ours, of another plan, of another release, or over."""
    try:
        sealed = urlsafe_b64decode(value + "=" * (-len(value) % 4))
        told = json.loads(SecretBox(_key(key)).decrypt(sealed))
    except (ValueError, CryptoError):
        return None
    if set(told) != {one.name for one in fields(FormSession)} or told["plan_id"] != plan_id:
        return None
    is_over = now - datetime.fromtimestamp(told["begun_at"], UTC) > LIFETIME
    return None if is_over else FormSession(**told)


def read(request: Request, key: Secret, plan_id: str, now: datetime) -> FormSession | None:
    """The session that a browser shows."""
    value = request.cookies.get(SECURE_NAME) or request.cookies.get(NAME) or ""
    return unseal(value, key, plan_id, now) if 0 < len(value) <= CHARACTERS_MAX else None


def setting(value: str, path: str, *, is_secure: bool) -> str:
    """The header's text that gives a browser its cookie, for one plan's pages only."""
    return f"{_named(value, is_secure)}; Max-Age={int(LIFETIME.total_seconds())}; {_attributes(path, is_secure)}"


def forgetting(path: str, *, is_secure: bool) -> str:
    """The header's text that takes it back."""
    return f"{_named('', is_secure)}; Max-Age=0; {_attributes(path, is_secure)}"


def is_same(given: str, session: FormSession) -> bool:
    """Whether a form was ours."""
    return hmac.compare_digest(given.encode(), session.csrf.encode())


def _named(value: str, is_secure: bool) -> str:
    return f"{SECURE_NAME if is_secure else NAME}={value}"


def _attributes(path: str, is_secure: bool) -> str:
    """Lax: a buyer comes from the shop's page, and comes with the cookie of an earlier visit."""
    return f"Path={path}; {'Secure; ' if is_secure else ''}HttpOnly; SameSite=Lax"


def _key(key: Secret) -> bytes:
    return hashlib.sha256(b"plan form cookie\0" + key.expose().encode()).digest()
