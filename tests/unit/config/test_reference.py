from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import config
from config.reference import render_defaults
from config.settings import GlobalSettings, ProjectSettings

HERE = Path(config.__file__).parent


def test_the_defaults_file_is_current():
    assert (HERE / "defaults.yaml").read_text() == render_defaults(), (
        "run: python -m config.reference > config/defaults.yaml"
    )


def test_the_defaults_file_says_what_the_models_say():
    defaults = yaml.safe_load(render_defaults())
    assert GlobalSettings.model_validate(defaults["global"]) == GlobalSettings()
    project = ProjectSettings.model_validate({"name": "a", "path": "/a", **defaults["project_defaults"]})
    assert project == ProjectSettings(name="a", path="/a")


@pytest.mark.parametrize("model", [GlobalSettings, ProjectSettings])
def test_every_key_is_described(model):
    assert all(info.description for info in model.model_fields.values())


def test_the_example_environment_loads_and_names_only_known_variables(folder):
    text = (HERE.parent / ".env.example").read_text()
    folder.write(re.sub(r"^#([A-Z_]+=)", r"\1", text, flags=re.MULTILINE), ".env")
    assert folder.load().settings.global_.discord.category == "Orchard"
    assert {"DISCORD_TOKEN", "DISCORD_API_URL", "DISCORD_GATEWAY_URL"} <= set(
        re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    )
