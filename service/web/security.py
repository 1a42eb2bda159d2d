"""What every response and request is held to: headers, cookies, sizes, and a token in every form.

The policy allows no inline script or style at all and nothing from another host, so a member's words that
slipped through escaping could still not run.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from service.config import Settings

View = TypeVar("View", bound=Callable[..., Any])

MB = 1024 * 1024
PAGE_LIMIT = 1 * MB
WEBHOOK_LIMIT = 30 * MB  # SendGrid's Inbound Parse posts up to 30 MB (facts on providers)
SESSION_LIFETIME = timedelta(days=7)

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()"

csrf = CSRFProtect()
"""`csrf.exempt(blueprint or view)` for what cannot carry a token: webhooks, one-click unsubscribe, the API."""


def init_app(app: Flask, settings: Settings) -> None:
    """Configure cookies, proxies, sizes, CSRF and headers."""
    secure = settings.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_keys[0],
        SECRET_KEY_FALLBACKS=settings.secret_keys[1:],
        SESSION_COOKIE_NAME="__Host-hearthline" if secure else "hearthline",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        PERMANENT_SESSION_LIFETIME=SESSION_LIFETIME,
        MAX_CONTENT_LENGTH=PAGE_LIMIT,
        MAX_FORM_MEMORY_SIZE=PAGE_LIMIT,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a page left open overnight can still be sent
        # Flask-WTF would also demand a Referer over https, which our own Referrer-Policy forbids browsers to send.
        WTF_CSRF_SSL_STRICT=False,
        HEARTHLINE_HTTPS=secure,
    )
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.before_request(_set_size)  # before CSRF, which already reads the form
    csrf.init_app(app)
    app.after_request(_headers)


def accepts(limit: int) -> Callable[[View], View]:
    """Let one view take a body of up to `limit` bytes, such as a file with members to import."""

    def mark(view: View) -> View:
        view.max_content_length = limit  # type: ignore[attr-defined]
        return view

    return mark


def _set_size() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    limit = getattr(view, "max_content_length", None)
    if limit is None and request.path.startswith("/webhooks/"):
        limit = WEBHOOK_LIMIT
    if limit is not None:
        request.max_content_length = limit
        request.max_form_memory_size = limit


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers["Referrer-Policy"] = "no-referrer"  # signed links are secrets and must not travel on
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Permissions-Policy"] = PERMISSIONS_POLICY
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if current_app.config["HEARTHLINE_HTTPS"]:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint not in ("static", "vendor.file"):
        _keep_private(response)
    return response


def _keep_private(response: Response) -> None:
    """Signed-in and signed-link pages are stored nowhere: phones and computers are shared."""
    signed_link = "token" in (request.view_args or {})
    if g.get("me") is not None or signed_link or g.get("private", False):
        response.headers["Cache-Control"] = "no-store"
    else:
        response.headers.setdefault("Cache-Control", "no-cache, private")
