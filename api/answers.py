"""Answers as values: made once, kept as bytes, given again."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, and answered again to every repeat: the same bytes."""

    status: int
    body: bytes
    content_type: str = JSON
    location: str | None = None
    resource_id: str | None = None

    def response(self) -> Response:
        """The answer on its way out."""
        headers = {"location": self.location} if self.location else None
        return Response(self.body, self.status, headers, self.content_type)


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer of an earlier request with the same key."""

    answer: Answer
    request_id: str

    def response(self) -> Response:
        """The same bytes again, and whose they were."""
        response = self.answer.response()
        response.headers["idempotent-replayed"] = "true"
        response.headers["original-request-id"] = self.request_id
        return response
