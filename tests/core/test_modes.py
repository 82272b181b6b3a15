"""The mode follows from the parts, whatever was before."""

from itertools import product

import pytest

from meshnode.core.modes import Mode, mode_of


@pytest.mark.parametrize(
    ("provider_active", "data_fresh", "store_works", "mode"),
    [
        (True, True, True, Mode.NORMAL),
        (True, True, False, Mode.DEGRADED),  # memory serves on
        (True, False, True, Mode.DEGRADED),
        (False, True, True, Mode.DEGRADED),
        (False, False, True, Mode.EMERGENCY),  # no provider and no fresh data
        (False, True, False, Mode.EMERGENCY),
    ],
)
def test_the_table(provider_active: bool, data_fresh: bool, store_works: bool, mode: Mode) -> None:
    parts = {"data_fresh": data_fresh, "store_works": store_works}
    assert mode_of(provider_active=provider_active, **parts) is mode


def test_nothing_gets_better_by_losing_a_part() -> None:
    order = [Mode.NORMAL, Mode.DEGRADED, Mode.EMERGENCY]
    names = ("provider_active", "data_fresh", "store_works")
    for health in product((True, False), repeat=3):
        parts = dict(zip(names, health, strict=True))
        for name in names:
            worse = mode_of(**{**parts, name: False})
            assert order.index(worse) >= order.index(mode_of(**parts))
