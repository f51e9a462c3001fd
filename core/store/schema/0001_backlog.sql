-- What people ask for, and what happened. Times are ISO-8601 UTC text with microseconds: they sort as text.

CREATE TABLE projects (
    name TEXT PRIMARY KEY CHECK (name <> '' AND name = lower(name)),
    path TEXT NOT NULL,
    main_branch TEXT NOT NULL CHECK (main_branch <> ''),
    status TEXT NOT NULL
        CHECK (status IN ('initializing', 'active', 'paused', 'maintenance', 'archived')),
    workflow TEXT NOT NULL
        CHECK (workflow IN ('IDLE', 'BACKLOG_READY', 'SPRINT_PLANNED', 'SPRINT_ACTIVE', 'SPRINT_PAUSED',
                            'SPRINT_REVIEW', 'BLOCKED')),
    registered_at TEXT NOT NULL,
    stories_numbered INTEGER NOT NULL DEFAULT 0 CHECK (stories_numbered >= 0),
    sprints_numbered INTEGER NOT NULL DEFAULT 0 CHECK (sprints_numbered >= 0),
    worker_generation INTEGER NOT NULL DEFAULT 0 CHECK (worker_generation >= 0)
) STRICT;

CREATE TABLE sprints (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    goal TEXT NOT NULL,
    planned_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    UNIQUE (project, number)
) STRICT;

CREATE UNIQUE INDEX one_sprint_at_a_time ON sprints (project) WHERE ended_at IS NULL;

CREATE TABLE stories (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    title TEXT NOT NULL CHECK (title <> ''),
    body TEXT NOT NULL,
    acceptance_criteria TEXT NOT NULL CHECK (json_type(acceptance_criteria) = 'array'),
    priority TEXT NOT NULL CHECK (priority IN ('critical', 'high', 'normal', 'low')),
    priority_rank INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE priority WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'normal' THEN 2 ELSE 3 END
    ) STORED,
    state TEXT NOT NULL
        CHECK (state IN ('backlog', 'planned', 'active', 'done', 'skipped', 'aborted', 'removed')),
    sprint_id TEXT REFERENCES sprints (id),
    added_by TEXT NOT NULL,
    added_at TEXT NOT NULL,
    UNIQUE (project, number)
) STRICT;

CREATE INDEX stories_in_order ON stories (project, priority_rank, number);
CREATE INDEX stories_of_sprint ON stories (sprint_id) WHERE sprint_id IS NOT NULL;

-- History outlives what it is about: no foreign keys. AUTOINCREMENT: a seq is never given twice.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    project TEXT,
    story_id TEXT,
    actor TEXT NOT NULL,
    data TEXT NOT NULL CHECK (json_type(data) = 'object')
) STRICT;

CREATE INDEX events_of_project ON events (project, seq);
CREATE INDEX events_of_story ON events (story_id, seq) WHERE story_id IS NOT NULL;

-- `lane`: the project, or '' for what concerns none; rows of one target and lane go out in order.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    dedup_key TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    lane TEXT NOT NULL,
    event_seq INTEGER NOT NULL REFERENCES events (seq),
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due_at TEXT NOT NULL,
    settled_at TEXT,
    last_error TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'pending') = (settled_at IS NULL))
) STRICT;

CREATE INDEX outbox_pending ON outbox (target, lane, id) WHERE state = 'pending';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
