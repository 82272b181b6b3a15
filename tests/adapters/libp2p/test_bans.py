"""Who is kept out, and for how long."""

from meshnode.adapters.libp2p.bans import BAN_MAX_S, BAN_S, GOOD_AGAIN_S, BanList


def test_a_ban_ends() -> None:
    bans = BanList()
    assert bans.remaining_s("mallory", 0) == 0
    assert bans.ban("mallory", 0) == BAN_S
    assert bans.remaining_s("mallory", BAN_S - 1) == 1
    assert bans.remaining_s("mallory", BAN_S) == 0
    assert bans.remaining_s("alice", 1) == 0


def test_each_lasts_twice_as_long_as_the_last_up_to_a_bound() -> None:
    bans, now, lengths_s = BanList(), 0.0, []
    for _ in range(6):
        lengths_s.append(bans.ban("mallory", now))
        now += lengths_s[-1]
    assert lengths_s == [60, 120, 240, 480, 600, 600]
    assert lengths_s[-1] == BAN_MAX_S
    assert bans.ban("mallory", now + GOOD_AGAIN_S + 1) == BAN_S


def test_who_is_kept_out_already_is_not_punished_twice_for_one_thing() -> None:
    bans = BanList()
    bans.ban("mallory", 0)
    assert bans.ban("mallory", 10) == BAN_S - 10


def test_the_list_is_bounded() -> None:
    bans = BanList(bans_max=2)
    for name in ("one", "two", "three"):
        bans.ban(name, 0)
    assert [bans.remaining_s(name, 0) for name in ("one", "two", "three")] == [0, BAN_S, BAN_S]
