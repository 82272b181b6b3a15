"""How far away Alice is, as Bob's neighbours tell it."""

from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.hops import HOPS_MAX, NEIGHBOURS_MAX, PROVIDERS_MAX, Hops
from meshnode.core.rounds import EXPIRY_ROUNDS, ROUND_S

NOBODY: frozenset[str] = frozenset()


def test_a_provider_is_one_further_than_from_the_nearest_neighbour() -> None:
    hops = Hops()
    hops.learn("carol", {"alice": 3}, 9)
    hops.learn("dave", {"alice": 1, "erin": None}, 9)
    assert hops.to("alice", NOBODY, 1) == 2
    assert hops.to("erin", NOBODY, 1) is None
    assert hops.to("alice", frozenset({"alice"}), 1) == 1


def test_what_is_not_said_again_expires() -> None:
    hops = Hops()
    hops.learn("carol", {"alice": 1, "erin": 1}, 150)
    hops.learn("dave", {"alice": 5}, 200)
    assert hops.to("alice", NOBODY, 149) == 2
    assert hops.to("alice", NOBODY, 150) == 6
    hops.learn("carol", {"erin": 1}, 300)
    assert hops.to("alice", NOBODY, 150) == 6
    assert hops.to("erin", NOBODY, 150) == 2


def test_a_way_through_the_asker_is_none_to_it() -> None:
    hops = Hops()
    hops.learn("carol", {"alice": 1}, 9)
    assert hops.to("alice", NOBODY, 0, asker="carol") is None
    assert hops.to("alice", NOBODY, 0, asker="dave") == 2


def test_a_lost_neighbour_s_ways_are_lost() -> None:
    hops = Hops()
    hops.learn("carol", {"alice": 1}, 9)
    hops.lose("carol")
    hops.lose("carol")
    assert hops.to("alice", NOBODY, 0) is None


def test_distances_end_at_the_bound_and_nonsense_is_not_believed() -> None:
    hops = Hops()
    hops.learn("carol", {"alice": HOPS_MAX - 1, "erin": HOPS_MAX, "frank": -5}, 9)
    assert hops.to("alice", NOBODY, 0) == HOPS_MAX
    assert hops.to("erin", NOBODY, 0) is None
    assert hops.to("frank", NOBODY, 0) is None


def test_what_is_kept_is_bounded() -> None:
    hops = Hops()
    hops.learn("first", {f"provider{n}": 1 for n in range(PROVIDERS_MAX + 1)}, 9)
    assert hops.to(f"provider{PROVIDERS_MAX - 1}", NOBODY, 0) == 2
    assert hops.to(f"provider{PROVIDERS_MAX}", NOBODY, 0) is None
    for number in range(NEIGHBOURS_MAX):
        hops.learn(f"neighbour{number}", {}, 9)
    assert hops.to("provider0", NOBODY, 0) is None


EDGES = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


def rounds(
    edges: set[tuple[int, int]], tables: list[Hops], count: int, *, since: float = 0
) -> list[int | None]:
    """Everybody asks every neighbour, round after round; the distances of node 0 at the end."""
    links = {(a, b) for a, b in edges if a != b} | {(b, a) for a, b in edges if a != b}
    names = [str(number) for number in range(8)]
    near = [frozenset(names[b] for a, b in links if a == node) for node in range(8)]

    def to_0(node: int, now: float, asker: str | None = None) -> int | None:
        return 0 if node == 0 else tables[node].to("0", near[node], now, asker=asker)

    now = since
    for number in range(count):
        now = since + 30.0 * number
        for a, b in sorted(links):
            until = now + EXPIRY_ROUNDS * ROUND_S
            tables[a].learn(names[b], {"0": to_0(b, now, asker=names[a])}, until)
    return [to_0(node, now) for node in range(8)]


def shortest(edges: set[tuple[int, int]]) -> list[int | None]:
    """The simple model: breadth first."""
    found: dict[int, int] = {0: 0}
    frontier = [0]
    for node in frontier:
        for a, b in edges:
            for here, there in ((a, b), (b, a)):
                if here == node and there not in found:
                    found[there] = found[node] + 1
                    frontier.append(there)
    return [found.get(node) for node in range(8)]


@given(EDGES)
def test_distances_become_the_shortest(edges: set[tuple[int, int]]) -> None:
    assert rounds(edges, [Hops() for _ in range(8)], 8) == shortest(edges)


@given(EDGES, EDGES)
def test_after_links_break_distances_become_the_shortest_again(
    before: set[tuple[int, int]], after: set[tuple[int, int]]
) -> None:
    tables = [Hops() for _ in range(8)]
    rounds(before, tables, 8)
    for table in tables:
        for name in map(str, range(8)):
            table.lose(name)  # as when connections break: what survives is at other nodes
    assert rounds(after, tables, 8, since=240.0) == shortest(after)


def test_nodes_that_lost_a_provider_don_t_count_for_ever() -> None:
    # Bob, Carol and Dave in a triangle; Alice, behind Bob, is gone.
    tables = [Hops() for _ in range(8)]
    rounds({(0, 1), (1, 2), (2, 3), (3, 1)}, tables, 8)
    tables[1].lose("0")
    ring = {(1, 2), (2, 3), (3, 1)}
    assert rounds(ring, tables, HOPS_MAX + 3, since=240.0)[1:4] == [None, None, None]
