"""Secrets have a type: it prints stars and leaves by ``expose()`` only."""

from __future__ import annotations

import hmac
from typing import NoReturn

STARS = "***"


class Secret:
    """A key, password or other text that must not be seen by chance."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def expose(self) -> str:
        """The text itself: each call of this is a place to look at."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __str__(self) -> str:
        return STARS

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
