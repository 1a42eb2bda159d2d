"""Answers that come late, or not at all: what was asked for has been done, and the caller cannot know it."""

import time

from flask import Response

from service.sandbox.provoke import Kind, Provocation


def delayed(response: Response, trouble: Provocation | None) -> Response:
    """The response as it is; after the wait (SLOW); or, after the wait, a line that drops (UNANSWERED)."""
    if trouble is None or trouble.kind not in (Kind.SLOW, Kind.UNANSWERED):
        return response
    time.sleep(trouble.seconds)
    if trouble.kind is Kind.SLOW:
        return response
    broken = Response(iter([b'{"']), status=response.status_code, mimetype=response.mimetype)
    broken.headers["Content-Length"] = "1000"  # more than will ever come, so the client sees the line drop
    return broken
