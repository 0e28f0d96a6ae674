"""Where we may be asked to send things: never to a machine that only we can reach.

The text of an address is judged when it is told to us; what its name means is judged at every
connection, because names change their meaning.
"""

from __future__ import annotations

import ipaddress
import re
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from api.errors import AddressRefused
from api.settings import Mode

PORTS = frozenset({443, 8443})
"""Where HTTPS is served to strangers: any other port may be a machine's inner door."""
LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal")
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")

NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""The last part of an address written in a short way (10.1, 2130706433): systems connect to it, no resolver is asked.

Source: WHATWG, URL, "ends in a number checker".
"""

SENT_AT_ONCE = 32
SEND_SECONDS_MAX = 5.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def public_client(mode: Mode) -> aiohttp.ClientSession:
    """A client that reaches public addresses only, follows nobody and waits little."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SEND_SECONDS_MAX),
        connector=aiohttp.TCPConnector(limit=SENT_AT_ONCE, resolver=PublicResolver(mode), use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def check_url(given: str, mode: Mode, *, ports: frozenset[int] | None = PORTS) -> URL:
    """An address that others told us; in a sandbox this machine itself is allowed too, even without TLS.

    ``ports``: those that may be named; any when nothing is given.

    Raises: AddressRefused.
    """
    try:
        url = URL(given)
        port = url.port
    except ValueError:
        raise AddressRefused() from None
    host = (url.host or "").rstrip(".").lower()
    if not host or url.scheme not in ("https", "http") or url.user or url.password or url.fragment:
        raise AddressRefused()
    if mode is Mode.SANDBOX and _is_this_machine(host):
        return url
    if url.scheme != "https" or (ports is not None and port not in ports) or host.endswith(LOCAL_NAMES):
        raise AddressRefused()
    literal = _literal(host)
    if NUMBER.fullmatch(host.rpartition(".")[2]) if literal is None else not is_public(literal):
        raise AddressRefused()
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
