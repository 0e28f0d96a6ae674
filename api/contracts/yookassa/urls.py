"""Where notifications may go: never to a machine that only we can reach.

The text of an address is judged when a webhook is added; what its name means is judged at every
connection, because names change their meaning.
"""

from __future__ import annotations

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from api.contracts.yookassa.errors import UrlRefused
from api.settings import Mode

PORTS = frozenset({443, 8443})
"""Source: YooKassa API v3, "Webhooks": HTTPS on these ports."""
LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal")
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_url(given: str, mode: Mode, *, ports: frozenset[int] | None = PORTS) -> URL:
    """The address of a webhook; in a sandbox this machine itself is allowed too, even without TLS.

    ``ports``: those that may be named; any when nothing is given.

    Raises: UrlRefused.
    """
    try:
        url = URL(given)
        port = url.port
    except ValueError:
        raise UrlRefused(parameter="url") from None
    host = (url.host or "").rstrip(".").lower()
    if not host or url.scheme not in ("https", "http") or url.user or url.password or url.fragment:
        raise UrlRefused(parameter="url")
    if mode is Mode.SANDBOX and _is_this_machine(host):
        return url
    if url.scheme != "https" or (ports is not None and port not in ports) or host.endswith(LOCAL_NAMES):
        raise UrlRefused(parameter="url")
    literal = _literal(host)
    if literal is not None and not is_public(literal):
        raise UrlRefused(parameter="url")
    return url


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may be meant; addresses inside addresses count too."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        return is_public(inside) if inside is not None else address in GLOBAL_IPV6 and address.is_global
    return address.is_global and not address.is_multicast


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    literal = _literal(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)


class PublicResolver(AbstractResolver):
    """Looks names up and gives only addresses that are public (in a sandbox, or of this machine)."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a name. Raises: OSError if one of them is not allowed."""
        found = await self.inner.resolve(host, port, family)
        if not all(self.is_allowed(each["host"]) for each in found):
            raise OSError("the name leads to an address that is not public")
        return found

    def is_allowed(self, host: str) -> bool:
        """Whether a notification may go to this address."""
        address = _literal(host.partition("%")[0])
        if address is None:
            return False
        return is_public(address) or (self.mode is Mode.SANDBOX and address.is_loopback)

    async def close(self) -> None:
        """Let the looking up end."""
        await self.inner.close()
