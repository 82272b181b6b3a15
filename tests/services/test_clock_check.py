"""Bob compares his clock with his peers', and judges by what most of them say."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import ClockAgrees, ClockDiffers
from meshnode.ports import Stream
from meshnode.services.beat import QUIET_BEAT_S, Beat
from meshnode.services.clock_check import CHECK_EVERY_S, RETRY_S, ClockCheck, JudgingClock
from meshnode.services.frames import Frames
from protocols.ids import STATUS_PROTOCOL
from protocols.limits import REQUEST_BYTES_MAX
from protocols.status import StatusReply
from protocols.timestamps import rfc3339
from simulations.clock import VirtualClock
from simulations.model_mesh import open_model_mesh
from tests.cast import NS_PER_S
from tests.services.bench import Bench, open_bench


@asynccontextmanager
async def checking(bob: Bench, *off_s: float) -> AsyncIterator[JudgingClock]:
    """Bob checks his clock against peers whose clocks are so much off."""
    async with AsyncExitStack() as stack:
        for number, seconds in enumerate(off_s):
            clock = VirtualClock()
            clock.step_ns = round(seconds * NS_PER_S)

            async def answer(stream: Stream, clock: VirtualClock = clock) -> None:
                frames = Frames(stream, REQUEST_BYTES_MAX)
                await frames.receive()
                await frames.send(StatusReply({"time": rfc3339(clock.now_ns())}).to_bytes())
                await stream.close()

            mesh = await stack.enter_async_context(
                open_model_mesh(
                    bob.network,
                    key_seed=bytes(SigningKey(bytes([50 + number]) * 32)),
                    judge=None,
                    observer=bob.witness,
                )
            )
            mesh.serve(STATUS_PROTOCOL, answer)
            await mesh.listen()
            await mesh.connect(bob.mesh.addrs()[0])
        nursery = await stack.enter_async_context(trio.open_nursery())
        check = ClockCheck(bob.mesh, bob.own_clock, bob.witness, bob.clock, is_node=lambda _: True)
        await nursery.start(check.run)
        await nursery.start(Beat([check.look], bob.presence.paused, random.Random(1)).run)
        yield JudgingClock(bob.clock, bob.own_clock)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("step_s", [-300, 5, 300])
async def test_a_clock_that_is_set_wrong_is_noticed_at_once_and_judged_corrected(
    autojump_clock: MockClock, step_s: int
) -> None:
    true = VirtualClock()
    async with open_bench() as bob, checking(bob, 0, 0.1, -0.1, 900) as judging:
        await trio.sleep(40)
        assert judging.now_ns() == bob.clock.now_ns()
        bob.clock.step_ns = step_s * NS_PER_S
        await trio.sleep(2)
        (differs,) = bob.witness.of(ClockDiffers)
        assert isinstance(differs, ClockDiffers)
        assert differs.ahead_s == pytest.approx(step_s, abs=0.2)
        assert abs(judging.now_ns() - true.now_ns()) < NS_PER_S // 5
        warnings = {w.code: w.message for w in bob.status.warnings()}
        assert f"{abs(step_s)} s" in warnings["CLOCK_SKEW"]
        bob.clock.step_ns = 0
        assert judging.now_ns() == bob.clock.now_ns()  # at once
        await trio.sleep(2)
        assert len(bob.witness.of(ClockAgrees)) == 1
        assert judging.now_ns() == bob.clock.now_ns()


async def test_a_clock_that_was_wrong_from_the_start_is_noticed(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, checking(bob, 300, 300, 300) as judging:
        await trio.sleep(RETRY_S + QUIET_BEAT_S + 1)
        assert len(bob.witness.of(ClockDiffers)) == 1
        right_ns = bob.clock.now_ns() + 300 * NS_PER_S
        assert abs(judging.now_ns() - right_ns) < NS_PER_S // 5


async def test_two_peers_are_too_few_to_be_believed(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, checking(bob, 300, 300) as judging:
        await trio.sleep(60)
        assert judging.now_ns() == bob.clock.now_ns()
        assert "CLOCK_SKEW" not in {warning.code for warning in bob.status.warnings()}


async def test_what_was_told_a_while_ago_is_asked_anew_before_anything_is_changed(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, checking(bob, 0, 0.1, -0.1) as judging:
        await trio.sleep(12)
        for peer in bob.mesh.peer_ids():  # whose clocks have been set right since
            bob.own_clock.told(peer, 5 * NS_PER_S, trio.current_time())
        await trio.sleep(CHECK_EVERY_S)
        assert bob.witness.of(ClockDiffers) == []
        assert judging.now_ns() == bob.clock.now_ns()
