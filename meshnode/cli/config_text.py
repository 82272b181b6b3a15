"""The effective configuration as a TOML document that can be used again, or as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path

from meshnode.config import Effective
from meshnode.core.safe_text import one_line, without_secrets


def as_toml(effective: Effective) -> str:
    """One line a key, its origin in a comment; what is not set is a comment as a whole."""
    lines = [
        f"# {key} is not set"
        if value is None
        else f"{key} = {_toml(value)}  # {one_line(effective.origins[key])}"
        for key, value in _values(effective).items()
    ]
    return "\n".join(lines)


def as_json(effective: Effective) -> str:
    """`{"config": {key: value}, "origins": {key: where it came from}}`."""
    document = {"config": _values(effective), "origins": dict(effective.origins)}
    return json.dumps(document, ensure_ascii=False, indent=2)


def _values(effective: Effective) -> Mapping[str, object]:
    return {
        key: _plain(getattr(effective.config, key)) for key in type(effective.config).model_fields
    }


def _plain(value: object) -> object:
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case str() | Path():
            return without_secrets(str(value))
        case _:
            return value


def _toml(value: object) -> str:
    # JSON's strings, lists and integers are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
