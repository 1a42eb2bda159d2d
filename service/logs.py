"""Structured logs that hold no personal data: an allow-list of fields, everything else is refused by name.

Members' words and addresses must never reach a log, so an event says *what* happened to *which id*.
"""

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

REDACTED = "[redacted]"
_PRIVATE = frozenset(
    "body text subject message value address addresses phone email number to from_ recipient name first_name "
    "words comment password token secret key authorization payload raw form args url query".split()
)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key.lower() in _PRIVATE:
            event[key] = REDACTED
    return event


def _exception_type_only(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its type and the lines it passed: its message may quote what a member wrote."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else (sys.exc_info()[1] if info else None)
    if error is not None:
        event["error"] = type(error).__name__
        event["at"] = " < ".join(_frames(error))
    return event


def _frames(error: BaseException) -> list[str]:
    frames, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[::-1][:6]


class _PlainHandler(logging.StreamHandler[Any]):
    """Standard-library loggers (RQ, granian) through the same filter: no tracebacks with values in them."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        line = f"{record.levelname.lower():8} {record.name}: {record.getMessage()}"
        return f"{line} [{type(error).__name__} {' < '.join(_frames(error))}]" if error else line


class _Stderr:
    """Standard error that may go away: a supervisor that was killed must not make its workers fail mid-send."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(level: str = "INFO", *, json: bool | None = None) -> None:
    """Set up structlog and the standard library's logging on stderr; JSON unless a person is watching.

    FORCE_COLOR says that one is, behind the pipe of a supervisor.
    """
    watched = sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))
    as_json = json if json is not None else not watched
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception_type_only,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    handler = _PlainHandler(sys.stderr)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def get(name: str) -> Any:
    """A logger whose events carry `area=name`."""
    # Not .bind(): that would freeze structlog's defaults, with values in tracebacks, if `configure` comes later.
    return structlog.get_logger(area=name)
