"""The WSGI application, for granian and any other server: `granian --interface wsgi wsgi:app`."""

from service.app import create_app

app = create_app()
