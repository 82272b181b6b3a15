"""Rules of the house that no linter knows: who may import, read a clock, catch everything."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocols", "meshnode", "simulations")
LINES_MAX = 400

# Foreign libraries and the only places that may import them.
HOMES = {
    "libp2p": ("meshnode/adapters/libp2p", "simulations/memory_transport.py"),
    "multiaddr": ("meshnode/adapters/libp2p", "simulations/memory_transport.py"),
    "aiosqlite": ("meshnode/adapters/storage",),
    "sqlite3": ("meshnode/adapters/storage",),
    "asyncio": ("meshnode/adapters/storage",),
    "structlog": ("meshnode/adapters/logs.py",),
    "pydantic": ("meshnode/config.py",),
    "pydantic_settings": ("meshnode/config.py",),
    "cyclopts": ("meshnode/cli",),
    "rich": ("meshnode/cli",),
    "zeroconf": ("meshnode/adapters/mdns.py",),
    "msgpack": ("protocols",),
}
# Everything else gets its time as an argument, from trio, or from a WallClock.
CLOCKS = ("meshnode/adapters", "meshnode/cli/demo", "simulations/virtual_time.py")
# The named edges: what is caught here would end the process on a stranger's behalf.
EDGES = (
    "meshnode/__main__.py",
    "meshnode/adapters/libp2p",
    "meshnode/adapters/storage/portal.py",
    "simulations/forks.py",
    "simulations/model_gossip.py",
    "simulations/model_mesh.py",
    "simulations/own_module.py",
)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_foreign_libraries_stay_in_their_adapters() -> None:
    strays = [
        f"{path} imports {name}"
        for path, tree in sources()
        for name in imported(tree)
        if name in HOMES and not path.startswith(HOMES[name])
    ]
    assert strays == []


def test_only_adapters_read_a_clock() -> None:
    strays = [
        path
        for path, tree in sources()
        if not path.startswith(CLOCKS)
        and ({"time", "datetime"} & set(imported(tree)))
        and re.search(
            r"time\.(time|time_ns|monotonic|perf_counter)\(|datetime\.(now|utcnow)",
            (ROOT / path).read_text(),
        )
    ]
    assert strays == []


def test_only_named_edges_catch_everything() -> None:
    strays = [
        f"{path}:{handler.lineno}"
        for path, tree in sources()
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler)
        and (
            handler.type is None
            or (isinstance(handler.type, ast.Name) and handler.type.id == "Exception")
        )
        and not path.startswith(EDGES)
    ]
    assert strays == []


def test_no_module_holds_mutable_state() -> None:
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.List | ast.Set | ast.ListComp | ast.SetComp)
    ]
    assert strays == []


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_files_are_short_enough_to_read(package: str) -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_tests_use_no_mocks_and_skip_nothing() -> None:
    words = re.compile(r"unittest\.mock|MagicMock|pytest\.mark\.(skip|xfail)|pytest\.skip\(")
    strays = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__) and words.search(path.read_text())
    ]
    assert strays == []


def test_the_readme_s_commands_are_the_ones_that_contributing_gives() -> None:
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"<!-- command: tests -->\n```\w*\n(.+)\n```", readme)
    assert command is not None
    for part in command[1].split(" && "):
        assert part in (ROOT / "CONTRIBUTING.md").read_text()
