"""The commands and their options; each imports what it needs when it is called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter, Token
from cyclopts.validators import Number

from meshnode.version import VERSION

_POSITIVE = Number(gt=0)


def _whole(_type: object, tokens: Sequence[Token]) -> int:
    """An integer; the library would round 5.5."""
    value = tokens[0].value
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(f"{value} is no whole number") from error


_WHOLE = Parameter(converter=_whole)
_JSON = Parameter(name="--json", help="Print JSON instead of text.")
_DATA_DIR = Parameter(help="Where key and database are. [default: ~/.local/share/meshnode]")
_ADDR_HELP = (
    "A multiaddr ending in /p2p/ID, or the data directory (or node.json) of a node on this machine."
)

_Event: TypeAlias = Literal[
    "price", "provider", "outage", "connection_status", "warning", "mode", "heartbeat"
]

app = App(
    name="meshnode",
    help="A node of a peer-to-peer price mesh. Try it without any set-up: meshnode demo",
    help_epilogue=(
        "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 peer unreachable, "
        "130 interrupted. "
        "Errors go to stderr, with --json as a JSON document."
    ),
    help_format="plaintext",
    version=f"meshnode {VERSION}",
    default_parameter=Parameter(negative=()),
)


def answer(arguments: Sequence[str]) -> int:
    """Carry out one command line. Returns its exit code; raises whatever stops it."""
    code = app(
        list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
    )
    return code if isinstance(code, int) else 0


@app.command(sort_key=1)
def demo(
    *,
    seconds: Annotated[
        int, _WHOLE, Parameter(help="About how long it takes, 20 to 600.", validator=_POSITIVE)
    ] = 40,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Show the whole story on this machine: real nodes, a provider lost and back.

    Example: meshnode demo --seconds 30
    """
    from meshnode.cli.demo import run_demo

    return run_demo(seconds, as_json)


@app.command(sort_key=2)
def run(
    *,
    config: Annotated[
        Path | None, Parameter(help="A TOML file. [default: $MESHNODE_CONFIG, or none]")
    ] = None,
    role: Annotated[
        Literal["provider", "consumer"] | None, Parameter(help="[default: consumer]")
    ] = None,
    network: Annotated[
        str | None, Parameter(help="Nodes of one network hear each other. [default: main]")
    ] = None,
    listen: Annotated[
        list[str] | None,
        Parameter(help="Listen here. [default: /ip4/0.0.0.0/tcp/4201]", consume_multiple=1),
    ] = None,
    announce: Annotated[
        list[str] | None,
        Parameter(
            help="Say that we are reached here. [default: where we listen]", consume_multiple=1
        ),
    ] = None,
    connect: Annotated[
        list[str] | None,
        Parameter(
            help="Dial these nodes, for ever: /ip4/HOST/tcp/4201/p2p/ID.", consume_multiple=1
        ),
    ] = None,
    mdns: Annotated[
        bool, Parameter(help="Look for nodes on the local network. [default: off]")
    ] = False,
    allow: Annotated[
        list[str] | None,
        Parameter(help="Believe these nodes only. [default: every node]", consume_multiple=1),
    ] = None,
    data_dir: Annotated[Path | None, _DATA_DIR] = None,
    source: Annotated[
        list[str] | None,
        Parameter(
            help="Prices of a provider: replay:FILE.csv[?speed=10&loop=true], "
            "walk:BTC-USD,ETH-USD[?interval_s=1].",
            consume_multiple=1,
        ),
    ] = None,
    redis: Annotated[str | None, Parameter(help="Not in this version.")] = None,
    log_format: Annotated[Literal["text", "json"] | None, Parameter(help="[default: text]")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, Parameter(help="[default: info]")
    ] = None,
    print_config: Annotated[
        bool, Parameter(help="Print what would be used, and where each value came from.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Run a node until SIGTERM, Ctrl-C, or the end of its terminal (not under nohup).

    Options may also stand in the file, or in the environment as MESHNODE_ROLE
    and so on. A flag wins over the environment, and that over the file.
    Lists: repeat the flag, or let several values follow it.

    Example: meshnode run --role provider --source walk:BTC-USD,ETH-USD

    Example: meshnode run --connect /ip4/192.0.2.7/tcp/4201/p2p/12D3KooW...
    """
    from meshnode.cli.run import run_command

    overrides: dict[str, object] = {
        "role": role,
        "network": network,
        "listen": listen,
        "announce": announce,
        "connect": connect,
        "mdns": mdns or None,
        "allow": allow,
        "data_dir": data_dir,
        "sources": source,
        "redis": redis,
        "log_format": log_format,
        "log_level": log_level,
    }
    return run_command(config, overrides, print_config=print_config, as_json=as_json)


@app.command(sort_key=3)
def status(
    addr: Annotated[str, Parameter(help=_ADDR_HELP)],
    /,
    *,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Ask a node how it is: providers, peers, outages, warnings.

    Example: meshnode status ~/.local/share/meshnode
    """
    from meshnode.cli.ask import status_command

    return status_command(addr, as_json=as_json)


@app.command(sort_key=4)
def prices(
    addr: Annotated[str, Parameter(help=_ADDR_HELP)],
    /,
    *assets: Annotated[str, Parameter(help="Which prices. [default: all]")],
    proofs: Annotated[
        bool, Parameter(help="Get the signed updates instead, and verify them here.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Ask a node for its prices.

    Example: meshnode prices ~/.local/share/meshnode BTC-USD ETH-USD --proofs
    """
    from meshnode.cli.ask import prices_command

    return prices_command(addr, assets, proofs=proofs, as_json=as_json)


@app.command(sort_key=5)
def watch(
    addr: Annotated[str, Parameter(help=_ADDR_HELP)],
    /,
    *,
    asset: Annotated[list[str] | None, Parameter(help="Only these prices. [default: all]")] = None,
    event: Annotated[
        list[_Event] | None, Parameter(help="Only these events. [default: all]")
    ] = None,
    seconds: Annotated[
        int | None,
        _WHOLE,
        Parameter(help="Stop after so long. [default: never]", validator=_POSITIVE),
    ] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Follow a node: its present state, then every change, one a line.

    Example: meshnode watch ~/.local/share/meshnode --event price --asset BTC-USD --json
    """
    from meshnode.cli.ask import watch_command

    return watch_command(addr, asset, event, seconds=seconds, as_json=as_json)


@app.command(name="id", sort_key=6)
def identity(
    *,
    config: Annotated[Path | None, Parameter(help="A TOML file that may name data_dir.")] = None,
    data_dir: Annotated[Path | None, _DATA_DIR] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Print the node's id, making its key where there is none.

    Example: meshnode id --data-dir ./alice
    """
    from meshnode.cli.identity import id_command

    return id_command(config, data_dir, as_json=as_json)


@app.command(sort_key=7)
def simulate(
    scenario: Annotated[
        str | None,
        Parameter(help="A name, or a file ./mine.toml or ./mine.py. [default: list the names]"),
    ] = None,
    /,
    *,
    nodes: Annotated[
        int | None, _WHOLE, Parameter(help="How many. [default: the scenario's]")
    ] = None,
    seed: Annotated[
        int | None,
        _WHOLE,
        Parameter(help="Everything drawn by chance follows from it. [default: 1]"),
    ] = None,
    seeds: Annotated[
        str | None, Parameter(help="Run many on all cores, such as 1..200; list those that fail.")
    ] = None,
    minutes: Annotated[
        float | None,
        Parameter(help="Virtual minutes. [default: the scenario's]", validator=_POSITIVE),
    ] = None,
    stack: Annotated[
        Literal["libp2p", "model", "processes"],
        Parameter(
            help="Real hosts, or a model of them that goes to thousands of nodes; or simulated "
            "and with real processes, in real time: do both agree?"
        ),
    ] = "model",
    report: Annotated[
        Path | None, Parameter(help="Write a page with plots into this directory.")
    ] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Try out on a mesh of simulated nodes what happens if.

    Exit code 1 tells that a rule was broken.

    Example: meshnode simulate outage --nodes 20 --seed 1 --report out/

    Example: meshnode simulate swarm --seeds 1..200
    """
    from meshnode.cli.simulate import Options, simulate_command

    options = Options(nodes, seed, seeds, minutes, report)
    return simulate_command(scenario, options, stack, as_json=as_json)


@app.command(sort_key=8)
def version(*, as_json: Annotated[bool, _JSON] = False) -> int:
    """Print the version."""
    import json

    print(json.dumps({"version": VERSION}) if as_json else f"meshnode {VERSION}")
    return 0
