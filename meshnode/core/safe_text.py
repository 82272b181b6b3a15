"""Text from outside, made safe to show: one line, no terminal tricks, no secrets."""

import re

MASK = "***"
SHOWN_CHARS_MAX = 1000

# From "//" to the last "@": a password may itself hold a slash or an "@".
_USER_INFO = re.compile(r"://\S*@")
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&][^=&\s]*(?:key|seed|secret|password|token)[^=&\s]*=)[^&\s]+"
)
_SECRET_NAME = re.compile(r"(?i)(?:.*[_-])?(?:key|seed|secret|password|token)s?")


def one_line(text: str) -> str:
    r"""Escape what is not printable, such as line breaks, ANSI and bidi marks: `\n`, `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def without_secrets(text: str) -> str:
    """Mask user names and passwords of URLs, and parameters such as `?api_key=…`."""
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(f"://{MASK}@", text))


def shown(text: str) -> str:
    """Text as it may stand in a log line or an error: one line, no secrets, not endless."""
    safe = one_line(without_secrets(text))
    return safe if len(safe) <= SHOWN_CHARS_MAX else safe[: SHOWN_CHARS_MAX - 1] + "…"


def is_secret_name(name: str) -> bool:
    """Whether a field of this name must never be shown: `key`, `api_token`, `seed`, …"""
    return _SECRET_NAME.fullmatch(name) is not None
