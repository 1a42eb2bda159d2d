"""What went wrong, told to a person as a page and to a program as JSON, always with what to do next."""

from flask import Flask, Response, g, jsonify, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from jinja2 import TemplateNotFound
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as AnyResponse

from service import logs
from service.errors import DomainError, NotSignedIn, Unavailable
from service.web import languages

_log = logs.get("web")


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(DomainError, _domain)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _database_down)
    app.register_error_handler(InterfaceError, _database_down)
    app.register_error_handler(Exception, _unexpected)


def wants_json() -> bool:
    """Whether a program is asking: an API or webhook address, or JSON preferred over HTML."""
    if request.path.startswith(("/api/", "/webhooks/")):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json" and not request.accept_mimetypes.accept_html


def _domain(error: DomainError) -> AnyResponse:
    if isinstance(error, NotSignedIn) and request.method == "GET" and not _is_part() and not wants_json():
        here = request.full_path.rstrip("?")
        return redirect(url_for("auth.sign_in", next=here))
    if error.status >= 500:
        _log.error("request_failed", code=error.error_code, endpoint=request.endpoint)
    return _answer(error.status, error.error_code, error.message, error.as_dict())


def _http(error: HTTPException) -> AnyResponse:
    status = error.code or 500
    if status < 400:  # a redirect for a missing slash is raised, too
        return error.get_response()
    message = ""
    if isinstance(error, CSRFError):
        message = "This page was open for too long. Go back, reload it, and send it again."
    code = error.name.lower().replace(" ", "_")
    response = _answer(status, code, message, {"error": {"code": code, "message": message or error.description or ""}})
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _database_down(error: Exception) -> AnyResponse:
    _log.error("database_unavailable", endpoint=request.endpoint, exc_info=error)
    answer = Unavailable("We cannot reach our own records right now. Please try again in a minute.")
    response = _answer(answer.status, answer.error_code, answer.message, answer.as_dict())
    response.headers["Retry-After"] = "30"
    return response


def _unexpected(error: Exception) -> AnyResponse:
    _log.error("unexpected", endpoint=request.endpoint, method=request.method, exc_info=error)
    code, message = "internal", "Something went wrong on our side. It has been noted; please try again."
    return _answer(InternalServerError.code, code, message, {"error": {"code": code, "message": message}})


def _is_part() -> bool:
    """Whether htmx asks for a part of a page. Its page is never sent away: somebody may be typing on it."""
    return "HX-Request" in request.headers


def _answer(status: int, code: str, message: str, body: dict[str, dict[str, str]]) -> Response:
    if wants_json():
        response = jsonify(body)
    elif _is_part():
        # htmx does not show error pages; our script announces this line and leaves the page as it is.
        response = Response(message or "That did not work. Please try again.", mimetype="text/plain")
    else:
        response = make_response(_page(status, message))
    response.status_code = status
    return response


def _page(status: int, message: str) -> str:
    g.private = True
    for name in (f"errors/{status}.html", "errors/500.html" if status >= 500 else "errors/400.html"):
        try:
            return render_template(name, status=status, message=languages.gettext(message))
        except TemplateNotFound as missing:
            if missing.name != name:
                raise
    raise AssertionError("templates/errors is incomplete")
