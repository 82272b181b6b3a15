"""Logs: one event a line on stderr, for people or as JSON; facts and the libraries' records."""

import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, TextIO, TypeAlias

import structlog

from meshnode.adapters.log_table import WARNING, row_of
from meshnode.core.facts import Fact, NodeLeaving, OutageStarted
from meshnode.core.safe_text import MASK, is_secret_name, shown
from protocols.timestamps import rfc3339

REPEAT_AFTER_S = 10
WARNINGS_REMEMBERED_MAX = 1024  # forget the longest unsaid, which may then be said again

EventDict: TypeAlias = MutableMapping[str, Any]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN = "\x1b[0m"


class Repeats:
    """Lets an equal warning through once in `REPEAT_AFTER_S`, and counts those held back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[Hashable, tuple[float, int]] = {}

    def suppressed(self, key: Hashable) -> int | None:
        """How many were held back since it was last said; None: hold this one back as well."""
        now = self._clock()
        said_at, count = self._said.get(key, (float("-inf"), 0))
        if now - said_at < REPEAT_AFTER_S:
            self._said[key] = (said_at, count + 1)
            return None
        self._said.pop(key, None)  # to the end: the first key is the longest unsaid
        while len(self._said) >= WARNINGS_REMEMBERED_MAX:
            del self._said[next(iter(self._said))]
        self._said[key] = (now, 0)
        return count


class LogObserver:
    """Writes facts to the log, as `log_table` says."""

    def __init__(self, log: Any, *, clock: Callable[[], float]) -> None:
        """`log` is a structlog logger, `clock` gives seconds that never go back."""
        self._log = log
        self._repeats = Repeats(clock)
        self._is_leaving = False

    def observe(self, fact: Fact) -> None:
        """Take note of a fact; never raises."""
        if self._is_leaving and isinstance(fact, OutageStarted):
            return  # that nobody provides once the last provider leaves is what was asked for
        self._is_leaving |= isinstance(fact, NodeLeaving)
        row = row_of(fact)
        fields = _fields_of(fact)
        if row.level >= WARNING:
            key = (row.event, *(getattr(fact, name) for name in row.subject))
            suppressed = self._repeats.suppressed(key)
            if suppressed is None:
                return
            if suppressed:
                fields["suppressed"] = suppressed
        if row.advice is not None:
            fields["advice"] = row.advice
        self._log.log(row.level, row.event, **fields)


@contextmanager
def open_logs(
    stream: TextIO,
    *,
    log_format: str = "text",
    log_level: str = "info",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[LogObserver]:
    """Log facts and the libraries' warnings to `stream`; on leaving, logging is as it was.

    `log_format` is `text` or `json`, `log_level` one of debug, info, warning, error, critical.
    Enter it after libp2p was imported, if it will be: its import drops the handlers of its logger.
    """
    threshold = _LEVELS[log_level]
    coloured = log_format == "text" and stream.isatty() and not os.environ.get("NO_COLOR")
    log = structlog.wrap_logger(
        _Lines(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _safe,
            _as_json if log_format == "json" else _Text(coloured=coloured),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=True,
    )
    with _standard_logging_to(_Forward(log, Repeats(clock)), debug=threshold <= logging.DEBUG):
        yield LogObserver(log, clock=clock)


def _fields_of(fact: Fact) -> dict[str, Any]:
    """The fact's fields; seconds to the millisecond, nanosecond times as RFC 3339."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(fact):
        value = getattr(fact, field.name)
        if value is None:
            continue
        if field.name.endswith("_ns"):
            fields[field.name.removesuffix("_ns")] = rfc3339(value)
        else:
            fields[field.name] = round(value, 3) if isinstance(value, float) else value
    return fields


def _safe(_log: Any, _method: str, event: EventDict) -> EventDict:
    """Mask secrets and escape whatever could break out of its line."""
    for name, value in event.items():
        event[name] = MASK if is_secret_name(name) else _safe_value(value)
    return event


def _safe_value(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case bytes():
            return f"<{len(value)} bytes>"
        case Enum():
            return _safe_value(value.value)
        case Mapping():
            return {
                shown(str(key)): MASK if is_secret_name(str(key)) else _safe_value(item)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_safe_value(item) for item in value]
        case _:
            return shown(str(value))


def _as_json(_log: Any, _method: str, event: EventDict) -> str:
    head = {name: event.pop(name) for name in ("time", "level", "event")}
    return json.dumps({**head, **event}, ensure_ascii=False)


class _Text:
    """`2026-01-31T12:00:00.000000Z warning provider_lost cause=silence …`."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, _log: Any, _method: str, event: EventDict) -> str:
        moment, level, name = event.pop("time"), event.pop("level"), event.pop("event")
        fields = "".join(f" {field}={_text_of(value)}" for field, value in event.items())
        colour = _COLOURS.get(level) if self._coloured else None
        if colour:
            return f"{moment} {colour}{level:7} {name}{_PLAIN}{fields}"
        return f"{moment} {level:7} {name}{fields}"


def _text_of(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text_of(item) for item in value)
    if isinstance(value, str):
        plain = value != "" and not any(char in ' "=,' for char in value)
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


class _Lines:
    """Where structlog's bound logger puts finished lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The log's reader is gone or the disk is full: that must not end the node, and
            # there is nowhere left to say so.
            return

    log = debug = info = warning = error = critical = msg


class _Forward(logging.Handler):
    """Records of the standard library's logging, as events `library`."""

    def __init__(self, log: Any, repeats: Repeats) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._repeats = repeats

    def emit(self, record: logging.LogRecord) -> None:
        suppressed = self._repeats.suppressed((record.name, str(record.msg)))
        if suppressed is None:
            return
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            # No traceback: it may show values, and it would fill many lines.
            fields["error"] = f"{type(error).__name__}: {error}"
        if suppressed:
            fields["suppressed"] = suppressed
        self._log.log(record.levelno, "library", message=_message_of(record), **fields)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that don't fit their format
        return str(record.msg)


@contextmanager
def _standard_logging_to(handler: logging.Handler, *, debug: bool) -> Iterator[None]:
    """Make `handler` the only one of the root logger, and libp2p's logger a plain child of it."""
    root, libp2p = logging.getLogger(), logging.getLogger("libp2p")
    saved = [(log, log.handlers[:], log.level, log.propagate) for log in (root, libp2p)]
    root.handlers[:] = [handler]
    libp2p.handlers[:] = []
    libp2p.propagate = True
    # libp2p calls every peer that hangs up or refuses an error; what matters comes to us as facts.
    libp2p.setLevel(logging.WARNING if debug else logging.CRITICAL)
    try:
        yield
    finally:
        for log, handlers, level, propagate in saved:
            log.handlers[:] = handlers
            log.setLevel(level)
            log.propagate = propagate
