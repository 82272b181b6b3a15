"""Two nodes in two processes: they exchange prices, are killed, come back and leave."""

import json
import signal
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import trio

from meshnode.services import ask
from protocols.envelope import open_envelope
from protocols.ids import peer_id
from protocols.queries import WatchEvent
from tests.processes.harness import (
    REPLAY,
    Client,
    Finished,
    client_of,
    meshnode,
    node_process,
    provider,
)

PRICES_AGAIN_S = 5.0
LEAVING_KNOWN_S = 2.0
FROZEN_S = 3.0


def is_of(node_id: str) -> Any:
    """Whether a price event tells of a provider's price."""

    def matches(told: WatchEvent) -> bool:
        return any(answer["provider_id"] == node_id for answer in told.fields["prices"].values())

    return matches


async def newest_name(client: Client, node_id: str) -> tuple[int, int]:
    """The newest (epoch, seq) of a provider that a node can prove."""
    messages = [open_envelope(raw).message async for raw in ask.envelopes(client.mesh, client.peer)]
    return max(
        (message.epoch, message.seq) for message in messages if peer_id(message.author) == node_id
    )


async def test_they_exchange_prices_and_answer_the_commands(tmp_path: Path) -> None:
    async with (
        node_process(tmp_path / "bob") as bob,
        node_process(tmp_path / "alice", *provider(REPLAY, connect=bob.addr)) as alice,
    ):
        await bob.logged("provider_discovered", within_s=5, provider_id=alice.node_id)
        answers: dict[str, Finished] = {}

        async def ask_for(name: str, *arguments: str) -> None:
            answers[name] = await meshnode(name, str(bob.data_dir), *arguments, "--json")

        async with client_of(bob) as client:
            await client.wait_event("price", is_of(alice.node_id), within_s=5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_for, "status")
            nursery.start_soon(ask_for, "prices")
            nursery.start_soon(ask_for, "watch", "--seconds", "2", "--event", "price")
        assert {answer.code for answer in answers.values()} == {0}
        status = json.loads(answers["status"].stdout)
        assert [p["provider_id"] for p in status["active_providers"]] == [alice.node_id]
        assert (status["role"], status["mode"]) == ("consumer", "normal")
        assert alice.node_id in {peer["node_id"] for peer in status["peers"]}
        (price,) = json.loads(answers["prices"].stdout)["prices"].values()
        assert (price["provider_id"], price["state"]) == (alice.node_id, "fresh")
        assert "recorded" in price["tags"]
        events = [json.loads(line) for line in answers["watch"].stdout.splitlines()]
        assert len(events) >= 2
        assert {event["event"] for event in events} == {"price"}


async def test_who_was_frozen_for_seconds_goes_on(tmp_path: Path) -> None:
    async with (
        node_process(tmp_path / "bob") as bob,
        node_process(tmp_path / "alice", *provider(connect=bob.addr)) as alice,
        client_of(bob) as client,
    ):
        await client.wait_event("price", is_of(alice.node_id), within_s=5)
        before = len(bob.log)
        alice.send(signal.SIGSTOP)
        await trio.sleep(FROZEN_S)  # another process's time cannot be made to jump
        alice.send(signal.SIGCONT)
        await client.wait_event("price", is_said_now, within_s=5)
        async with client_of(alice) as asker:
            status = await ask.status(asker.mesh, asker.peer, ["connected_peers", "peers"])
        assert bob.node_id in {peer.node_id for peer in status["peers"]}
        assert not {"provider_lost", "outage_started"} & set(bob.events()[before:])


def is_said_now(told: WatchEvent) -> bool:
    """Whether a price event tells of a price that is younger than a second."""
    return any(answer["age_s"] == 0 for answer in told.fields["prices"].values())


async def test_each_survives_that_the_other_is_killed_and_knows_it_again(tmp_path: Path) -> None:
    alice_dir = tmp_path / "alice"
    async with node_process(tmp_path / "bob") as bob:
        async with (
            node_process(alice_dir, *provider(connect=bob.addr)) as alice,
            client_of(bob) as client,
        ):
            await client.wait_event("price", is_of(alice.node_id), within_s=5)
            first_epoch, _ = await newest_name(client, alice.node_id)
            await alice.kill()
            await bob.logged("provider_lost", within_s=5, provider_id=alice.node_id)
            cached = await ask.prices(client.mesh, client.peer)
            assert {answer.state for answer in cached.values()} == {"cached"}
        before = len(bob.log)
        async with (
            node_process(alice_dir, *provider(connect=bob.addr)) as alice,
            client_of(bob) as client,
        ):
            # Its return alone makes the old prices fresh, before its first update brings new ones.
            is_fresh = fresh_from(alice.node_id, {answer.price for answer in cached.values()})
            await client.wait_event("price", is_fresh, within_s=PRICES_AGAIN_S)
            await bob.logged("provider_returned", within_s=1, after=before)
            assert "provider_discovered" not in bob.events()[before:]
            epoch, _ = await newest_name(client, alice.node_id)
            assert epoch > first_epoch
            await bob.kill()
            await alice.logged("dial_failed", within_s=10)
            listen = bob.addr.partition("/p2p/")[0]
            async with (
                node_process(bob.data_dir, listen=listen) as bob_again,
                client_of(bob_again) as client_again,
            ):
                await client_again.wait_event("price", is_fresh, within_s=2 * PRICES_AGAIN_S)
                assert bob_again.node_id == bob.node_id
                assert "provider_returned" in bob_again.events()
                assert "provider_discovered" not in bob_again.events()
                assert not alice.has_ended


def fresh_from(node_id: str, before: Collection[str] = ()) -> Any:
    """Whether a price event tells of a provider's fresh price that is none of those before."""

    def matches(told: WatchEvent) -> bool:
        return any(
            answer["provider_id"] == node_id
            and answer["state"] == "fresh"
            and answer["price"] not in before
            for answer in told.fields["prices"].values()
        )

    return matches


async def test_who_leaves_says_so_and_has_everything_on_disk(tmp_path: Path) -> None:
    async with (
        node_process(tmp_path / "bob") as bob,
        node_process(tmp_path / "alice", *provider(connect=bob.addr)) as alice,
        client_of(bob) as client,
    ):
        await client.wait_event("price", is_of(alice.node_id), within_s=5)
        asked_at = trio.current_time()
        alice.send(signal.SIGTERM)
        await bob.logged(
            "provider_left", within_s=LEAVING_KNOWN_S, provider_id=alice.node_id, cause="leaving"
        )
        assert await alice.exit_code() == 0
        assert trio.current_time() - asked_at < 10
        status = await ask.status(client.mesh, client.peer, ["known_providers"])
        assert [known.state for known in status["known_providers"]] == ["left"]
        assert not (alice.data_dir / "node.json").exists()
        last_heard = await newest_name(client, alice.node_id)
        assert last_on_disk(alice.data_dir) >= last_heard
        assert await bob.terminate() == 0
        assert last_on_disk(bob.data_dir) == last_heard
        assert not (bob.data_dir / "node.json").exists()


def last_on_disk(data_dir: Path) -> tuple[int, int]:
    """The newest (epoch, seq) whose prices and envelope the database of a node holds."""
    with closing(sqlite3.connect(data_dir / "meshnode.db")) as database:
        (on_disk,) = database.execute(
            "SELECT latest.epoch, latest.seq FROM latest"
            " JOIN envelope USING (author_id, epoch, seq) ORDER BY 1 DESC, 2 DESC LIMIT 1"
        )
    epoch, seq = on_disk
    return int(epoch), int(seq)
