from pydantic import TypeAdapter

from core.domain.access import OPERATOR, AccessLevel, Standing


def test_levels_are_in_order() -> None:
    assert sorted(AccessLevel) == [
        AccessLevel.VIEWER,
        AccessLevel.CONTRIBUTOR,
        AccessLevel.MAINTAINER,
        AccessLevel.ADMIN,
        AccessLevel.OWNER,
    ]
    assert OPERATOR.level is max(AccessLevel)


def test_a_standing_goes_over_the_control_socket_and_back() -> None:
    kind = TypeAdapter(Standing)
    somebody = Standing(level=AccessLevel.MAINTAINER, roles=frozenset({"dev", "77"}), person="42")
    assert kind.validate_json(kind.dump_json(somebody)) == somebody
