from __future__ import annotations

from datetime import time

import pytest


def project(keys: str) -> str:
    return f"projects:\n  shop:\n    path: /shop\n    {keys}\n"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("status: on", "should be 'initializing', 'active'"),
        ("path: '~nobody-here/x'", "second time"),
        ("main_branch: ''", "is empty: leave the key out"),
        ("folder: ../other", "should be a path inside the project"),
        ("folder: /etc", "should be a path inside the project"),
        ("extra_test_paths: [/abs/*]", "extra_test_paths[0]: should be a path inside the project"),
        ('test_command: "pytest \'"', "cannot be read as a command line: no closing quotation"),
        ("test_command: pytest --junit={juint}", "unknown placeholder {juint} (did you mean 'junit'?)"),
        ("environment: inherits", "(did you mean 'inherit'?)"),
        ("isolation: filesytem", "(did you mean 'filesystem'?)"),
        ("test_timeout_seconds: -1", "should be at least 1, not -1"),
        ("test_timeout_seconds: .inf", "should be a finite number"),
        ("resource_limits: {max_parallel_agents: true}", "should be a whole number, not true"),
        ("resource_limits: {max_parallel_agents: 2.5}", "should be a whole number, not 2.5"),
        ("resource_limits: {max_memory_mb: 1}", "should be at least 64"),
        ("resource_limits: 3", "should hold keys and values, not 3"),
        ("ai_settings: {require_human_review: yes}", "should be true or false, not 'yes'"),
        ("ai_settings: {max_auto_retry: '3'}", "should be a whole number, not '3'"),
        ("risk_limits: {max_line: 3}", "(did you mean 'max_lines'?)"),
        ("risk_limits: {ignore: [secret]}", "names no built-in rule: 'secret' (did you mean 'secrets'?)"),
        ("risk_limits: {ignore: [x]}", "there are ci, dependencies, secrets, migrations, build, agents,"),
        ("risk_limits: {sensitive_paths: {money: ['../pay/*']}}", "should be a path inside the project"),
        ("risk_limits: {sensitive_paths: {money: ['pay/[ab.py']}}", "holds a '[' that no ']' closes"),
        ("risk_limits: {sensitive_paths: {money: ['.']}}", "should name files, such as '*' for all"),
        ("risk_limits: {sensitive_paths: {money: pay/*}}", "money: should be a list, not 'pay/*'"),
        ("risk_limits: {sensitive_paths: {'a\\nb': [pay]}}", "should be a short label"),
        ("extra_test_paths: ['e2e/[a']", "extra_test_paths[0]: holds a '[' that no ']' closes"),
        ("approvals: {answer_within_minutes: 0}", "should be more than 0, not 0"),
        ("approvals: {when_unanswered: approve}", "should be 'wait', 'escalate' or 'deny', not 'approve'"),
        ("approvals: {when_unanswered: deny}", "never happens: answer_within_minutes is not set"),
        ("approvals: {level: viewer}", "should be 'contributor', 'maintainer', 'admin' or 'owner'"),
        ("approvals: {escalate_level: Admin}", "(did you mean 'admin'?)"),
        ("approvals: {roles: ['']}", "approvals.roles[0]: is empty"),
        ("approvals: {escalate_roles: ['@everyone']}", "escalate_roles[0]: names everybody"),
        ("approvals: {roles: [true]}", "approvals.roles[0]: should be a Discord id"),
        ("approvals: {people: [someone]}", "approvals.people[0]: should be a Discord id"),
        ("ai_settings: {usage_limit_tries: 0}", "should be at least 1, not 0"),
        ("ai_settings: {max_conflicts: 0}", "should be at least 1, not 0"),
        ("merge_batch_size: 0", "should be at least 1, not 0"),
        ("state_mirror: 1", "should be true or false, not 1"),
        ("work_hours: {timezone: Europe/Berln}", "(did you mean 'Europe/Berlin'?)"),
        ("work_hours: {start: 9}", "should be a time of day"),
        ("work_hours: {start: '10:00', end: 10:00}", "is the same as start"),
        ("work_hours: {days: [mon]}", "should be a day such as monday, not 'mon' (did you mean 'monday'?)"),
        ("work_hours: {days: []}", "should name at least 1"),
        ("work_hours: {days: [friday, Friday]}", "names a day twice"),
        ("discord_channel: '#'", "should be a channel"),
        ("team: someone", "should be a list, not 'someone'"),
        ("dependencies: [shop]", "dependencies[0]: is the project itself"),
        ("dependencies: [shopp]", "there is no project 'shopp' (did you mean 'shop'?)"),
        ("name: bank", "should be 'shop' as its key, not 'bank'"),
        ("agent: claud-code", "there is no agent 'claud-code' (did you mean 'claude-code'?)"),
        ("agents_by_role: {qa: claud-code}", "agents_by_role.qa: there is no agent 'claud-code'"),
        ("agents_by_role: {tester: codex}", "should be 'design', 'qa', 'code' or 'data'"),
        ("agent_fallbacks: [codex, nobody]", "agent_fallbacks[1]: there is no agent 'nobody'"),
    ],
)
def test_a_project_key_out_of_bounds_is_refused(refused, keys, expected):
    (problem,) = refused(project(keys))
    assert expected in problem


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("global_state_path: ''", "should be a path"),
        ("global_cpu_cores: 0", "should be more than 0"),
        ("resource_allocation_strategy: fairshare", "(did you mean 'fair_share'?)"),
        ("global_discord_guild: my-server", "should be a Discord id"),
        ("monitoring_webhook_url: ftp://x", "should be an address that starts with http:// or https://"),
        ("monitoring_webhook_url: https://me:word@x/", "should hold no login"),
        ("external_metrics_endpoint: 'https://'", "should be an address"),
        ("external_metrics_endpoint: 'https://a:99999999'", "should be an address"),
        ("lease_seconds: 8", "should be at least twice heartbeat_seconds (5), not 8"),
        ("heartbeat_seconds: 40", "lease_seconds: should be at least twice heartbeat_seconds (40)"),
        ("stall_cancel_seconds: 60", "should be at least stall_seconds (600), not 60"),
        ("stall_seconds: 1000", "stall_cancel_seconds: should be at least stall_seconds (1000), not 900"),
        ("security: {require2fa: true}", "(did you mean 'require_2fa'?)"),
        ("default_agent: nobody", "there is no agent 'nobody'"),
        ("discord: {category: ''}", "is empty"),
    ],
)
def test_a_global_key_out_of_bounds_is_refused(refused, keys, expected):
    (problem,) = refused(f"global:\n  {keys}\n")
    assert problem.startswith("orch-config.yaml:2:") or problem.startswith("orch-config.yaml:1:1")
    assert expected in problem


def test_what_looks_like_something_else_in_old_yaml_is_text(folder):
    folder.write(project("work_hours: {start: 8:00, end: 17:30}\n    team: [no, on, 2026-01-01]"))
    shop = folder.load().settings.projects["shop"]
    assert (shop.work_hours.start, shop.work_hours.end) == (time(8), time(17, 30))
    assert shop.team == ("no", "on", "2026-01-01")


@pytest.mark.parametrize("written", ["123456789012345678", "'123456789012345678'"])
def test_a_guild_id_may_be_quoted_or_not(folder, written):
    folder.write(f"global: {{global_discord_guild: {written}}}\n")
    assert folder.load().settings.global_.global_discord_guild == 123456789012345678


def test_hours_over_midnight_and_utc_are_fine(folder):
    folder.write(project("work_hours: {start: 22:00, end: 06:00, days: [Monday]}"))
    hours = folder.load().settings.projects["shop"].work_hours
    assert (hours.timezone, hours.days) == ("UTC", ("monday",))


def test_who_answers_is_named_by_role_and_id(folder):
    folder.write(
        project("approvals: {roles: ['@Reviewers', 123456789012345678], people: ['223456789012345678']}")
    )
    said = folder.load().settings.projects["shop"].approvals
    assert said.roles == ("Reviewers", "123456789012345678")
    assert said.people == (223456789012345678,)


def test_a_time_and_what_then_go_together(folder):
    folder.write(project("approvals: {answer_within_minutes: 30, when_unanswered: escalate}"))
    said = folder.load().settings.projects["shop"].approvals
    assert (said.answer_within_minutes, said.when_unanswered) == (30, "escalate")


def test_a_checkout_cannot_say_who_decides_about_it(folder):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write("approvals: {people: [1]}\n", "shop/.orch-state/config.yaml")
    (problem,) = folder.broken()["shop"]
    assert "approvals: is not the project's own to set" in problem


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ("risk_limits: {ignore: [ci]}", "risk_limits"),
        (
            "ai_settings: {auto_approve_low_risk: true, max_auto_retry: 2}",
            "ai_settings.auto_approve_low_risk",
        ),
        ("ai_settings: {require_human_review: false}", "ai_settings.require_human_review"),
    ],
)
def test_a_checkout_cannot_say_who_has_to_look_at_its_changes(folder, own, key):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write(own, "shop/.orch-state/config.yaml")
    (problem,) = folder.broken()["shop"]
    assert f"{key}: is not the project's own to set" in problem


def test_a_checkout_may_ask_for_more_eyes(folder):
    folder.write("projects:\n  shop: {path: shop}\n")
    folder.write(
        "ai_settings: {auto_approve_low_risk: false, require_human_review: true}",
        "shop/.orch-state/config.yaml",
    )
    said = folder.load().settings.projects["shop"].ai_settings
    assert (said.auto_approve_low_risk, said.require_human_review) == (False, True)


def test_sensitive_paths_stand_below_labels(folder):
    folder.write(project("risk_limits: {sensitive_paths: {money: ['pay/**', 'till/'], law: [terms.md]}}"))
    shop = folder.load().settings.projects["shop"]
    assert shop.risk_limits.sensitive_paths == {"money": ("pay/**", "till/"), "law": ("terms.md",)}


def test_a_strategy_of_one_s_own_is_an_import_path(folder):
    folder.write("global: {resource_allocation_strategy: 'mine.scheduling:Strategy'}\n")
    assert folder.load().settings.global_.resource_allocation_strategy == "mine.scheduling:Strategy"


@pytest.mark.parametrize(
    ("name", "would_do"), [("My Shop!", "my-shop"), ("a..b", "a.b"), ("-x", "x"), ("x" * 41, "x" * 40)]
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(refused, name, would_do):
    (problem,) = refused(f"projects:\n  '{name}': {{path: /x}}\n")
    assert "orch-config.yaml:2:3" in problem
    assert f"'{would_do}' would do" in problem


def test_two_projects_cannot_share_a_checkout(folder, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "link").symlink_to("shop")
    folder.write(f"projects:\n  a: {{path: {tmp_path}/shop}}\n  b:\n    path: {tmp_path}/link\n")
    (problem,) = folder.problems()
    assert problem.startswith("orch-config.yaml:4:5: projects.b.path: is the checkout of project a too")


def test_a_project_cannot_lie_inside_another(refused):
    (problem,) = refused("projects:\n  a: {path: /srv/a/b}\n  b: {path: /srv}\n")
    assert problem == "orch-config.yaml:2:7: projects.a.path: lies inside project b (/srv)"


def test_a_mistake_in_one_project_makes_no_second_one_elsewhere(refused):
    (problem,) = refused("projects:\n  a: {path: /a, dependencies: [b]}\n  b: {path: /b, priority: 1}\n")
    assert "projects.b.priority" in problem


def test_anchors_and_merges_share_settings(folder):
    folder.write("""\
projects:
  a: &shared
    path: /a
    resource_limits: &limits {max_parallel_agents: 5, max_parallel_cycles: 4}
  b:
    <<: *shared
    path: /b
    resource_limits: {<<: *limits, max_parallel_agents: 1}
""")
    projects = folder.load().settings.projects
    assert projects["b"].resource_limits.max_parallel_agents == 1
    assert projects["b"].resource_limits.max_parallel_cycles == 4
    assert str(projects["b"].path) == "/b"
