from core.worker.remembered import Remembered

ONE, TWO = "1" * 40, "2" * 40


class Git:
    def __init__(self):
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        return f"answer {self.asked}"


async def test_an_object_is_asked_for_once():
    remembered, git = Remembered(), Git()
    assert [await remembered.get(("tree",), (ONE,), git) for _ in range(2)] == ["answer 1", "answer 1"]
    assert await remembered.get(("tree",), (TWO,), git) == "answer 2"
    assert await remembered.get(("entries",), (ONE,), git) == "answer 3"


async def test_a_name_that_can_move_is_asked_for_each_time():
    remembered, git = Remembered(), Git()
    for name in ("main", "HEAD", ONE[:12], f"{ONE}^"):
        assert await remembered.get(("tree",), (ONE, name), git) != await remembered.get(
            ("tree",), (ONE, name), git
        )


async def test_the_least_recently_used_go_first_and_what_is_too_large_is_not_kept():
    remembered, git = Remembered(size=20), Git()
    first = await remembered.get(("a",), (ONE,), git)
    await remembered.get(("b",), (ONE,), git)
    assert await remembered.get(("a",), (ONE,), git) == first
    await remembered.get(("c",), (ONE,), git)  # two answers of eight letters have room
    assert await remembered.get(("a",), (ONE,), git) == first
    assert await remembered.get(("b",), (ONE,), git) == "answer 4"

    async def large():
        return "x" * 20

    await remembered.get(("large",), (ONE,), large)
    assert await remembered.get(("large",), (ONE,), git) == "answer 5"
