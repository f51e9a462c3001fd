from datetime import UTC, datetime, timedelta

from bot.localguild.snowflakes import Snowflakes, born_at

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_ids_increase_even_within_a_millisecond() -> None:
    ids = Snowflakes(lambda: NOON)
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_increase_when_the_clock_goes_back() -> None:
    times = iter([NOON, NOON - timedelta(seconds=5)])
    ids = Snowflakes(lambda: next(times))
    assert ids.new() < ids.new()


def test_an_id_tells_its_birth_and_is_as_long_as_discords() -> None:
    snowflake = Snowflakes(lambda: NOON).new()
    assert born_at(snowflake) == NOON
    assert len(str(snowflake)) == 19
