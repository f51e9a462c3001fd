from __future__ import annotations

import gc
import weakref

from core.garbage import leave_out_what_is_loaded


class Cycle:
    def __init__(self) -> None:
        self.own = self


def test_what_is_loaded_is_left_out_and_garbage_is_not_kept():
    garbage, loaded = weakref.ref(Cycle()), Cycle()
    try:
        leave_out_what_is_loaded()
        assert garbage() is None
        assert not any(each is loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is loaded for each in gc.get_objects())
