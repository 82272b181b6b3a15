"""`meshnode demo`: the whole story on one machine, with real nodes in processes of their own."""

from meshnode.errors import ConfigError

SECONDS_MIN, SECONDS_MAX = 20, 600  # below, nodes that start would be most of the show


def run_demo(seconds: int, as_json: bool) -> int:  # noqa: FBT001 -- the command's own flag
    """Perform the story in about `seconds`; returns 0, or 1 where some step of it did not happen.

    128 + the signal's number where one ended it. Raises ConfigError for a time that is too short
    or too long, MeshnodeError where a node fails.
    """
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise ConfigError(
            f"--seconds {seconds}: the demo takes from {SECONDS_MIN} to {SECONDS_MAX} seconds; "
            "nodes need a few of them to start"
        )
    from meshnode.cli.demo.stage import perform

    return perform(seconds, as_json=as_json)
