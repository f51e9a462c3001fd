"""The samples that Orchard's users were given, as they stand in the guide: they load unchanged."""

from __future__ import annotations

import pytest

GLOBAL = """\
global:
  # Resource limits
  max_total_agents: 20
  max_concurrent_projects: 10
  global_cpu_cores: 4
  global_memory_limit_gb: 8
  global_disk_limit_gb: 50
  
  # Scheduling
  resource_allocation_strategy: fair_share  # fair_share, priority_based, dynamic
  scheduling_interval_seconds: 30
  resource_rebalance_interval_seconds: 300
  
  # Features
  enable_cross_project_insights: true
  enable_knowledge_sharing: true
  enable_pattern_learning: true
  enable_project_isolation: true
  
  # Storage
  global_state_path: .orch-global
  
  # Integration
  global_discord_guild: null
  monitoring_webhook_url: null
"""  # noqa: W293 - as in the guide

PROJECT = """\
projects:
  my-project:
    name: my-project
    path: /path/to/project
    priority: normal  # critical, high, normal, low
    status: active    # active, paused, maintenance, archived, initializing
    
    # Resource limits
    resource_limits:
      max_parallel_agents: 3
      max_parallel_cycles: 2
      max_memory_mb: 1024
      max_disk_mb: 2048
      cpu_priority: 1.0
    
    # AI settings
    ai_settings:
      auto_approve_low_risk: true
      require_human_review: false
      max_auto_retry: 3
      context_sharing_enabled: true
    
    # Schedule
    work_hours:
      timezone: UTC
      start: "09:00"
      end: "17:00"
      days: [monday, tuesday, wednesday, thursday, friday]
    
    # Integration
    discord_channel: null
    slack_channel: null
    team: []
    dependencies: []
"""  # noqa: W293 - as in the guide

CHANNEL = """\
projects:
  my-project:
    discord_channel: "#my-project-dev"
"""

INTEGRATION = """\
global:
  monitoring_webhook_url: "https://your-monitoring-system.com/webhook"
  external_metrics_endpoint: "https://metrics.company.com/api"
"""

SECURITY = """\
global:
  security:
    encryption_at_rest: true
    audit_log_retention_days: 90
    require_2fa: true
    session_timeout_minutes: 480
"""


@pytest.mark.parametrize("text", [GLOBAL, PROJECT, GLOBAL + PROJECT, CHANNEL, INTEGRATION, SECURITY])
def test_a_sample_loads_and_is_left_as_it_was(folder, text):
    path = folder.write(text)
    folder.load()
    assert path.read_text() == text
    assert [each.name for each in folder.root.iterdir()] == ["orch-config.yaml"]


@pytest.mark.parametrize("strategy", ["fair_share", "priority_based", "dynamic"])
def test_a_one_line_sample_is_read_as_if_it_stood_under_global(folder, strategy):
    folder.write(f"resource_allocation_strategy: {strategy}\n")
    loaded = folder.load()
    assert loaded.settings.global_.resource_allocation_strategy == strategy
    assert "belongs under global:" in loaded.notes[0]


def test_the_values_of_the_samples_arrive(folder):
    folder.write(GLOBAL + PROJECT)
    loaded = folder.load()
    project = loaded.settings.projects["my-project"]
    assert loaded.settings.global_.global_cpu_cores == 4
    assert loaded.settings.global_.global_discord_guild is None
    assert loaded.state_path == folder.root / ".orch-global"
    assert str(project.path) == "/path/to/project"
    assert project.resource_limits.max_parallel_cycles == 2
    assert project.work_hours.days[0] == "monday"


def test_what_is_not_in_force_is_listed_and_the_rest_is_not(folder):
    folder.write(GLOBAL + PROJECT)
    listed = folder.load().not_in_force
    assert listed["global"] == (
        "enable_cross_project_insights",
        "enable_knowledge_sharing",
        "enable_pattern_learning",
    )
    assert set(listed["my-project"]) == {
        "team",
        "dependencies",
    }


def test_a_channel_without_a_path_waits_for_the_registration(folder):
    folder.write(CHANNEL)
    loaded = folder.load()
    assert list(loaded.unregistered) == ["my-project"]
    assert not loaded.settings.projects
    assert "orchard register my-project PATH" in loaded.notes[0]


def test_a_project_may_have_only_a_path(folder):
    folder.write("projects:\n  shop:\n    path: ../shop\n")
    assert folder.load().settings.projects["shop"].path == folder.root.parent / "shop"
