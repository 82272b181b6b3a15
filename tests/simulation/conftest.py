"""Tests that run as simulations do: deterministic, from a seed."""

from collections.abc import Awaitable, Callable

import pytest

from simulations.determinism import run


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seeded(seed): run as simulations do, in virtual time")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (marker := item.get_closest_marker("seeded")) is not None:
            # First, for pytest-trio takes the first runner that it finds.
            item.add_marker(pytest.mark.trio(run=_runner(marker.args[0])), append=False)


def _runner(seed: int) -> Callable[..., None]:
    def run_test(main: Callable[[], Awaitable[None]], **_: object) -> None:
        run(main, seed=seed)

    return run_test
