"""The web application, put together: settings, database, what every request is held to, and the pages by name."""

import structlog
from flask import Flask
from jinja2 import StrictUndefined
from sqlalchemy import make_url

from service import config, db, logs
from service.web import (
    api,
    assets,
    auth,
    duty_page,
    errors,
    health,
    languages,
    limits,
    public,
    security,
    shell,
    times,
    webhooks,
)
from service.web.console import (
    alerts,
    campaigns,
    desk,
    inbox,
    members,
    notes,
    report,
    sessions,
    settings,
    stories,
    today,
    vents,
)

BLUEPRINTS = (
    health.bp,
    assets.bp,
    auth.bp,
    public.bp,
    alerts.bp,
    duty_page.bp,
    inbox.bp,
    desk.bp,
    sessions.bp,
    stories.bp,
    notes.bp,
    vents.bp,
    settings.bp,
    campaigns.bp,
    members.bp,
    today.bp,
    report.bp,
    webhooks.bp,
)
"""Every page, webhook and API of the service. A new one is added here and nowhere else."""


def create_app(settings: config.Settings | None = None) -> Flask:
    """The WSGI application for `settings` (default: those of the environment), which become this process's own."""
    settings = settings or config.current()
    config.use(settings)
    if not structlog.is_configured():
        logs.configure(settings.log_level)
    if db.current().url != make_url(settings.database):
        db.connect(settings.database)

    app = api.make_app("service", template_folder=str(config.TEMPLATES), static_folder=str(config.STATIC))
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = assets.YEAR  # addresses carry a fingerprint
    security.init_app(app, settings)
    limits.init_app(app, settings)
    languages.init_app(app)
    times.init_app(app)
    shell.init_app(app)
    auth.init_app(app)
    errors.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    api.init_app(app)
    return app
