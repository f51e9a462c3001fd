"""Defaults, orch-config.yaml, registrations, a project's own file, environment and .env: the later wins."""

from __future__ import annotations

import pytest

from config.problems import ConfigError


def test_each_layer_wins_over_the_one_before(folder):
    (folder.root / "shop").mkdir()
    folder.write("""\
projects:
  shop:
    path: shop
    priority: low
    main_branch: a
    agent: replay
    resource_limits: {max_parallel_agents: 7, max_memory_mb: 512}
""")
    folder.write("name: shop\nmain_branch: b\nagent: codex\n", ".orch-global/projects.d/shop.yaml")
    folder.write("agent: gemini\nresource_limits: {max_memory_mb: 256}\n", "shop/.orch-state/config.yaml")
    shop = folder.load(overrides={"projects": {"shop": {"folder": "sub"}}}).settings.projects["shop"]
    assert (shop.priority, shop.main_branch, shop.agent, shop.folder) == ("low", "b", "gemini", "sub")
    limits = shop.resource_limits
    assert (limits.max_parallel_agents, limits.max_memory_mb, limits.max_parallel_cycles) == (7, 256, 2)


def test_environment_wins_over_dotenv_over_file(folder):
    folder.write("global: {max_total_agents: 1, lease_seconds: 20, discord: {category: Mine}}\n")
    folder.write("export ORCHARD_MAX_TOTAL_AGENTS=2\nORCHARD_LEASE_SECONDS=30 # half a minute\n", ".env")
    loaded = folder.load(
        {"ORCHARD_MAX_TOTAL_AGENTS": "3", "ORCHARD_DISCORD__ENABLED": "false", "PATH": "/bin"}
    )
    settings = loaded.settings.global_
    assert (settings.max_total_agents, settings.lease_seconds) == (3, 30)
    assert (settings.discord.enabled, settings.discord.category) == (False, "Mine")
    assert folder.load(overrides={"global": {"max_total_agents": 4}}).settings.global_.max_total_agents == 4


def test_null_resets_a_key_to_nothing(folder):
    folder.write("projects:\n  shop: {path: /shop, agent: replay, work_hours: {end: 18:00}}\n")
    folder.write("agent: null\nwork_hours: null\n", ".orch-global/projects.d/shop.yaml")
    shop = folder.load().settings.projects["shop"]
    assert (shop.agent, shop.work_hours) == (None, None)


def test_secrets_come_from_dotenv_and_do_not_show(folder):
    folder.write("DISCORD_TOKEN='s3cret.token'\nDISCORD_API_URL=http://127.0.0.1:1/api/v10/\n", ".env")
    loaded = folder.load({"DISCORD_GATEWAY_URL": "ws://127.0.0.1:2"})
    assert loaded.settings.discord_token.get_secret_value() == "s3cret.token"
    assert loaded.settings.discord_api_url == "http://127.0.0.1:1/api/v10"
    assert loaded.settings.discord_gateway_url == "ws://127.0.0.1:2"
    assert "s3cret" not in repr(loaded)
    assert loaded.sources[-1] == folder.root / ".env"


def test_the_token_of_github_does_not_show(folder):
    folder.write("GITHUB_TOKEN=ghp_s3cret\n", ".env")
    loaded = folder.load()
    assert loaded.settings.github_token.get_secret_value() == "ghp_s3cret"
    assert "s3cret" not in repr(loaded)
    assert folder.load({"GITHUB_TOKEN": "ghp_other"}).settings.github_token.get_secret_value() == "ghp_other"


def test_an_empty_variable_switches_a_token_off(folder):
    folder.write("DISCORD_TOKEN=abc\n", ".env")
    assert folder.load({"DISCORD_TOKEN": ""}).settings.discord_token is None


@pytest.mark.parametrize("name", ["DISCORD_TOKEN", "GITHUB_TOKEN"])
@pytest.mark.parametrize("token", ["Bot s3cret", "s3\ncret", "s3crét"])
def test_a_bad_token_is_refused_without_being_repeated(folder, name, token):
    (problem,) = folder.problems({name: token})
    assert "should be the bare token" in problem
    assert "s3" not in problem


def test_a_slip_in_a_variable_s_name_is_found(folder):
    folder.write("# mine\n\nDISCORD_TOKN=abc\nORCHARD_ROOT=.\nANTHROPIC_API_KEY=k\nORCHARD_QQ=1\n", ".env")
    problems = folder.problems({"ORCHARD_MAX_AGENTS": "3", "ORCHARD_CONTAINED": "1", "DISCORD_API_URL": "x"})
    assert problems == [
        ".env:3:1: DISCORD_TOKN: no such variable (did you mean 'DISCORD_TOKEN'?)",
        ".env:6:1: ORCHARD_QQ: no such variable",
        "environment variable DISCORD_API_URL: DISCORD_API_URL: should be an address that starts with "
        "http:// or https://",
        "environment variable ORCHARD_MAX_AGENTS: ORCHARD_MAX_AGENTS: no such variable "
        "(did you mean 'ORCHARD_MAX_TOTAL_AGENTS'?)",
    ]


def test_another_file_can_be_named(folder):
    folder.write("global: {max_total_agents: 9}\n", "conf/mine.yaml")
    folder.write("ORCHARD_CONFIG=conf/mine.yaml\n", ".env")
    loaded = folder.load()
    assert loaded.settings.global_.max_total_agents == 9
    assert loaded.config_file == folder.root / "conf" / "mine.yaml"


@pytest.mark.parametrize(
    "key",
    [
        "name: other",
        "path: /etc",
        "isolation: process",
        "isolation_by_role: {code: process}",
        "container_image: mine",
        "network_allow: ['*:443']",
        "setup_network_allow: ['*:443']",
        "agent_secrets: [DEPLOY_KEY]",
        "test_secrets: [DEPLOY_KEY]",
    ],
)
def test_a_project_s_own_file_cannot_say_who_it_is_how_it_is_fenced_in_or_who_gets_its_secrets(folder, key):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write(f"{key}\n", "shop/.orch-state/config.yaml")
    (problem,) = folder.broken()["shop"]
    assert problem.startswith("shop/.orch-state/config.yaml:1:1")
    assert "is not the project's own to set" in problem


def test_a_project_s_own_file_cannot_be_a_link_out_of_it(folder):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write("root:x:0:0\n", "secret")
    own = folder.root / "shop" / ".orch-state" / "config.yaml"
    own.parent.mkdir(parents=True)
    own.symlink_to("../../secret")
    assert folder.broken() == {
        "shop": ["shop/.orch-state/config.yaml: is a link that leads out of the project"]
    }


def test_agents_are_handed_on_as_written(folder):
    folder.write("agents:\n  mine: {argv: [my-agent, --acp]}\nglobal: {default_agent: mine}\n")
    assert folder.load().settings.agents == {"mine": {"argv": ["my-agent", "--acp"]}}


def test_a_mistake_in_an_override_names_the_command_line(folder):
    folder.write("global: {max_total_agents: 3}\n")
    (problem,) = folder.problems(overrides={"global": {"max_total_agents": 0}})
    assert problem.startswith("command line: global.max_total_agents: should be at least 1")


def test_webhooks_secrets_come_from_the_environment_several_at_a_time(folder):
    first, second = "a" * 32, "b" * 16
    folder.write(f"GITHUB_WEBHOOK_SECRET='{first} {second}'\n", ".env")
    settings = folder.load().settings
    assert [each.get_secret_value() for each in settings.github_webhook_secrets] == [first, second]
    assert first not in repr(settings)
    one = folder.load({"GITHUB_WEBHOOK_SECRET": "It's a Secret to Everybody"})
    assert [each.get_secret_value() for each in one.settings.github_webhook_secrets] == [
        "It's a Secret to Everybody"
    ]
    assert not one.notes


def test_a_webhooks_secret_that_could_be_guessed_is_taken_and_said(folder):
    loaded = folder.load({"GITHUB_WEBHOOK_SECRET": "hunter2"})
    assert [each.get_secret_value() for each in loaded.settings.github_webhook_secrets] == ["hunter2"]
    assert any("GITHUB_WEBHOOK_SECRET" in note and "hunter2" not in note for note in loaded.notes)
    assert folder.load().settings.github_webhook_secrets == ()


def test_the_secrets_of_alerts_come_from_the_environment_and_are_never_repeated(folder):
    folder.write("global:\n  monitoring_webhook_url: https://ops.example/hook\n")
    bare = folder.load()
    assert bare.settings.monitoring_webhook_secret is None
    assert any("not signed" in note for note in bare.notes)

    weak = folder.load({"MONITORING_WEBHOOK_SECRET": "hunter2"})
    assert any("MONITORING_WEBHOOK_SECRET has fewer" in note and "hunter2" not in note for note in weak.notes)

    told = folder.load(
        {
            "MONITORING_WEBHOOK_SECRET": "a" * 40,
            "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T/B/x",
        }
    )
    assert not [note for note in told.notes if "MONITORING" in note]
    assert told.settings.slack_webhook_url is not None
    assert "services" not in repr(told.settings)


@pytest.mark.parametrize("url", ["http://hooks.slack.example/T/B/x", "hooks.slack.example", "https://a b/"])
def test_a_webhook_of_slack_whose_address_would_travel_readable_is_refused(folder, url):
    with pytest.raises(ConfigError) as told:
        folder.load({"SLACK_WEBHOOK_URL": url})
    assert "SLACK_WEBHOOK_URL" in str(told.value)
    assert url not in str(told.value)


def test_the_token_of_the_metrics_is_read_and_told_to_nobody(folder):
    loaded = folder.load({"EXTERNAL_METRICS_TOKEN": "t" * 40})
    token = loaded.settings.external_metrics_token
    assert token is not None
    assert token.get_secret_value() == "t" * 40
    assert "tttt" not in repr(loaded.settings)
