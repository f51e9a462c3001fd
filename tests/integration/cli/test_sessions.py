"""`orchard sessions` beside no running Orchard."""

from __future__ import annotations

import json


def test_what_is_not_there_is_said_and_nothing_is_begun_by_looking(orchard):
    listed, searched, shown = (
        orchard("sessions", "list", "--json"),
        orchard("sessions", "search", "lock", "--json"),
        orchard("sessions", "show", "shop-3"),
    )

    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    assert json.loads(searched.stdout)["hits"] == []
    assert shown.returncode == 1
    assert "There is no session 'shop-3'" in shown.stderr
    assert list(orchard.root.iterdir()) == []
