"""The stand-in as a Flask app: the vendors' APIs for whoever has the credentials, page and control for this machine."""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import flask_bootstrap
import js_lib_htmx
from flask import Flask, Response, abort, jsonify, render_template, request, send_from_directory
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from service import config, logs
from service.config import Settings
from service.errors import DomainError
from service.sandbox import control, dispatcher, page_parts, page_posts, sendgrid_api, sendgrid_check, twilio_api
from service.sandbox.store import open_store

log = logs.get("sandbox")
BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5"
HTMX = Path(js_lib_htmx.__file__).parent / "static" / "htmx"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_VENDOR = ("/2010-04-01", "/v3")


def create_sandbox(settings: Settings | None = None) -> Flask:
    """The WSGI app, with its dispatcher running. `app.extensions["sandbox_dispatcher"].stop()` ends the threads.

    One process only may serve a DATA_DIR. Raises ConfigurationError if a signing key cannot be read.
    """
    settings = settings or config.current()
    app = Flask(
        "service.sandbox",
        template_folder=str(config.TEMPLATES / "sandbox"),
        static_folder=str(config.STATIC / "sandbox"),
        static_url_path="/static",
    )
    app.config.update(
        SECRET_KEY=settings.secret_keys[0],
        SESSION_COOKIE_NAME="sandbox_session",  # cookies know no ports: the service on this host has one too
        SESSION_COOKIE_SAMESITE="Strict",
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=sendgrid_api.LARGEST + 1_000_000,
        MAX_FORM_MEMORY_SIZE=2_000_000,
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    csrf = CSRFProtect(app)
    for blueprint in (twilio_api.api, sendgrid_api.api, control.api):
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
    app.register_blueprint(page_parts.pages)
    app.register_blueprint(page_posts.posts)
    app.before_request(_this_machine_only)
    app.after_request(_headers)
    app.add_url_rule("/vendor/<path:name>", "vendor", _vendor_file)
    _handle_errors(app)
    store = open_store(settings)
    app.extensions["sandbox"] = store
    app.extensions["sandbox_dispatcher"] = dispatcher.start(store)
    return app


def _this_machine_only() -> None:
    """Page and control API are for this machine, under a name of this machine, and not for other sites' pages."""
    if request.path.startswith(_VENDOR):
        return
    if not _loopback(request.remote_addr or "") or not _loopback(urlsplit(f"//{request.host}").hostname or ""):
        abort(403, "The stand-in's page can only be opened on the machine that it runs on.")
    origin = request.headers.get("Origin")
    if request.method not in ("GET", "HEAD") and (
        (origin is not None and origin != f"{request.scheme}://{request.host}")
        or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
    ):
        abort(403, "That came from another site's page.")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not "no-referrer": with that, a browser sends `Origin: null` with our own forms, and they would be refused.
    response.headers["Referrer-Policy"] = "same-origin"
    if not request.path.startswith(("/static", "/vendor")):
        response.headers["Cache-Control"] = "no-store"
    return response


def _vendor_file(name: str) -> Response:
    """htmx and Bootstrap from the packages that ship them."""
    folder, _, rest = name.partition("/")
    where = {"bootstrap": BOOTSTRAP, "htmx": HTMX}.get(folder)
    if where is None:
        abort(404)
    return send_from_directory(where, rest, max_age=3600)


def _handle_errors(app: Flask) -> None:
    @app.errorhandler(DomainError)
    def domain(error: DomainError) -> tuple[Response | str, int]:
        return _error(error.status, error.message)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[Response | str, int]:
        words = {
            404: "There is nothing at this address.",
            405: "That cannot be done at this address.",
            413: "That is more than the stand-in takes in one go.",
        }
        status = error.code or 500
        return _error(status, words.get(status, error.description or error.name))

    @app.errorhandler(Exception)
    def surprise(error: Exception) -> tuple[Response | str, int]:
        log.error("request_failed", exc_info=error, endpoint=request.endpoint)
        return _error(500, "Something went wrong inside the stand-in. Its log says where.")


def _error(status: int, message: str) -> tuple[Response | str, int]:
    """In the words of whoever was asked: Twilio, SendGrid, the control API, or a page."""
    path = request.path
    if path.startswith("/2010-04-01"):
        code = {404: 20404, 405: 20004, 413: 20413}.get(status, 20500 if status >= 500 else 20001)
        if status == 404:
            message = f"The requested resource {path} was not found"
        return twilio_api.error_response(twilio_api.TwilioError(status, code, message)), status
    if path.startswith("/v3"):
        return sendgrid_api.errors(status, sendgrid_check.Problem(message.lower().rstrip("."), None)), status
    if path.startswith("/sandbox/api"):
        return jsonify({"error": {"code": str(status), "message": message}}), status
    return render_template("error.html", status=status, message=message), status
