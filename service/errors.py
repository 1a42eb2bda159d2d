"""Errors that a person or a program outside may see: each has a status, a stable code, and says what to do next."""

from typing import ClassVar


class DomainError(Exception):
    """The root of the tree. `status` is the HTTP status; `code` is stable; the message says what to do next."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        """`field` names the form field or column beside which the message belongs, if there is one."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.error_code = code or self.code

    def as_dict(self) -> dict[str, dict[str, str]]:
        """The JSON body of the API: `{"error": {"code", "message"[, "field"]}}`."""
        error = {"code": self.error_code, "message": self.message}
        if self.field:
            error["field"] = self.field
        return {"error": error}


class Invalid(DomainError):
    """Something that was typed or sent cannot be used as it is."""

    status = 422
    code = "invalid"


class Malformed(DomainError):
    """A request that cannot be read at all."""

    status = 400
    code = "malformed"


class NotSignedIn(DomainError):
    """Nobody is signed in, or the session has ended."""

    status = 401
    code = "not_signed_in"


class Forbidden(DomainError):
    """Known, but not allowed: a wrong signature, a role without the right."""

    status = 403
    code = "forbidden"


class NotFound(DomainError):
    """There is no such thing, or not for this person."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The thing has moved on: a state that does not allow this, or somebody was quicker."""

    status = 409
    code = "conflict"


class LinkExpired(DomainError):
    """A signed link that is too old or has been used."""

    status = 410
    code = "link_expired"


class TooLarge(DomainError):
    """More than we accept in one go."""

    status = 413
    code = "too_large"


class TooMany(DomainError):
    """Too many tries in too short a time."""

    status = 429
    code = "too_many"


class Unavailable(DomainError):
    """Something that we need is not there right now; trying again later is right."""

    status = 503
    code = "unavailable"


class ConfigurationError(DomainError):
    """Settings are missing or contradict one another. `problems` lists every one of them at once."""

    status = 500
    code = "configuration"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("Settings need attention:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems
