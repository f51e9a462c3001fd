from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from bot.web.dashboard.views.settings import settings_of
from config.problems import Mark


class Inner(BaseModel):
    most: int = Field(3, description="At most so many.")
    key: SecretStr = SecretStr("swordfish")


class Outer(BaseModel):
    name: str = "shop"
    quick: bool = True
    paths: list[str] = []
    limits: Inner = Inner()


def test_each_setting_says_where_it_stands():
    mark = Mark(file="orch-config.yaml", line=4, column=3)
    first, limits = settings_of(Outer(limits=Inner(most=5)), {("limits", "most"): mark}, ("quick",))
    assert [(one.key, one.value, one.origin, one.later) for one in first.settings] == [
        ("name", "shop", "default", False),
        ("quick", "yes", "default", True),
        ("paths", "none", "default", False),
    ]
    most = limits.settings[0]
    assert (most.key, most.value, most.origin) == ("limits.most", "5", "orch-config.yaml:4:3")
    assert most.about == "At most so many."


def test_no_secret_is_shown():
    assert "swordfish" not in str(settings_of(Outer(), {}))
