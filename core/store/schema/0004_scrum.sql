-- Epics and their proposals, dependencies between stories, holds, approvals with a time and a circle of people,
-- batches of merges, usage limits, and who wants to hear of what.

CREATE TABLE epics (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    text TEXT NOT NULL CHECK (text <> ''),
    state TEXT NOT NULL CHECK (state IN ('designing', 'proposed', 'settled', 'failed')),
    asked_by TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    generation INTEGER NOT NULL DEFAULT 0 CHECK (generation >= 0),
    feedback TEXT NOT NULL DEFAULT '',
    wish TEXT NOT NULL DEFAULT '',
    session_id TEXT,
    error TEXT NOT NULL DEFAULT '',
    limits INTEGER NOT NULL DEFAULT 0 CHECK (limits >= 0),
    not_before TEXT,
    updated_at TEXT NOT NULL,
    UNIQUE (project, number)
) STRICT;

CREATE INDEX epics_designing ON epics (project, number) WHERE state = 'designing';

ALTER TABLE projects ADD COLUMN epics_numbered INTEGER NOT NULL DEFAULT 0 CHECK (epics_numbered >= 0);

-- A new state needs a new table: SQLite changes no CHECK. Old rows stand in the order of their numbers.
ALTER TABLE stories RENAME TO stories_before;

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
    place INTEGER NOT NULL,
    estimate INTEGER CHECK (estimate BETWEEN 0 AND 1000),
    labels TEXT NOT NULL CHECK (json_type(labels) = 'array'),
    links TEXT NOT NULL CHECK (json_type(links) = 'array'),
    epic_id TEXT REFERENCES epics (id),
    origin TEXT,
    state TEXT NOT NULL
        CHECK (state IN ('proposed', 'backlog', 'planned', 'active', 'done', 'skipped', 'aborted', 'removed')),
    sprint_id TEXT REFERENCES sprints (id),
    added_by TEXT NOT NULL,
    added_at TEXT NOT NULL,
    UNIQUE (project, number)
) STRICT;

INSERT INTO stories (id, project, number, title, body, acceptance_criteria, priority, place, estimate, labels,
                     links, epic_id, state, sprint_id, added_by, added_at)
SELECT id, project, number, title, body, acceptance_criteria, priority, number, NULL, '[]', '[]', NULL, state,
       sprint_id, added_by, added_at
FROM stories_before;

DROP TABLE stories_before;

CREATE INDEX stories_in_order ON stories (project, priority_rank, place, number);
CREATE INDEX stories_of_sprint ON stories (sprint_id) WHERE sprint_id IS NOT NULL;
-- What it came from outside, such as another tool's story: taken over once.
CREATE UNIQUE INDEX one_story_an_origin ON stories (project, origin) WHERE origin IS NOT NULL;
CREATE INDEX stories_of_epic ON stories (epic_id) WHERE epic_id IS NOT NULL;

-- `story_id` is held until `needs_id` is done, which may be another project's.
CREATE TABLE story_needs (
    story_id TEXT NOT NULL REFERENCES stories (id),
    needs_id TEXT NOT NULL REFERENCES stories (id),
    PRIMARY KEY (story_id, needs_id),
    CHECK (story_id <> needs_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX needed_by ON story_needs (needs_id);

-- Files that a story at work has changed, for the forecast of overlaps.
CREATE TABLE touched_files (
    story_id TEXT NOT NULL REFERENCES cycles (story_id),
    path TEXT NOT NULL CHECK (path <> ''),
    PRIMARY KEY (story_id, path)
) STRICT, WITHOUT ROWID;

ALTER TABLE sprints ADD COLUMN retrospective TEXT NOT NULL DEFAULT '';
ALTER TABLE sprints ADD COLUMN reviewed_by TEXT;
ALTER TABLE sprints ADD COLUMN reviewed_at TEXT;

-- hold: 'stopped' and 'taken' run nothing; 'step' runs one phase, then it is 'stopped'.
ALTER TABLE cycles ADD COLUMN hold TEXT NOT NULL DEFAULT '' CHECK (hold IN ('', 'stopped', 'step', 'taken'));
ALTER TABLE cycles ADD COLUMN held_by TEXT;
-- The next attempt judges the worktree as a person left it, without an agent.
ALTER TABLE cycles ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0 CHECK (by_hand IN (0, 1));
ALTER TABLE cycles ADD COLUMN conflicts INTEGER NOT NULL DEFAULT 0 CHECK (conflicts >= 0);
ALTER TABLE cycles ADD COLUMN rebase_onto TEXT;

-- circle: who may answer; due_at: until when; unanswered: what happens then; escalation: the wider circle.
ALTER TABLE approvals ADD COLUMN circle TEXT NOT NULL DEFAULT '{}' CHECK (json_type(circle) = 'object');
ALTER TABLE approvals ADD COLUMN due_at TEXT;
ALTER TABLE approvals ADD COLUMN unanswered TEXT NOT NULL DEFAULT 'wait'
    CHECK (unanswered IN ('wait', 'escalate', 'deny'));
ALTER TABLE approvals ADD COLUMN escalation TEXT NOT NULL DEFAULT '{}' CHECK (json_type(escalation) = 'object');
ALTER TABLE approvals ADD COLUMN escalated_at TEXT;

CREATE INDEX approvals_due ON approvals (due_at) WHERE state = 'pending' AND due_at IS NOT NULL;

-- Stories merged together: one open batch a project, each of its stories with a merge of its own.
CREATE TABLE merge_batches (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    begun_at TEXT NOT NULL,
    finished_at TEXT
) STRICT;

CREATE UNIQUE INDEX one_open_batch_a_project ON merge_batches (project) WHERE finished_at IS NULL;

ALTER TABLE merges ADD COLUMN batch_id TEXT REFERENCES merge_batches (id);
ALTER TABLE merges ADD COLUMN position INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0);

-- A merge that was open under the old rule, one a project, is a batch of one.
INSERT INTO merge_batches (id, project, begun_at)
SELECT 'batch-' || id, project, begun_at FROM merges WHERE state = 'open';
UPDATE merges SET batch_id = 'batch-' || id WHERE state = 'open';

DROP INDEX one_open_merge_a_project;
CREATE UNIQUE INDEX one_open_merge_a_story ON merges (story_id) WHERE state = 'open';
CREATE INDEX merges_open ON merges (project, position) WHERE state = 'open';

-- A sprint that waits for its agent's usage limit. `resumes`: by itself, as many as `tries` times in a row.
CREATE TABLE usage_pauses (
    project TEXT PRIMARY KEY REFERENCES projects (name),
    agent TEXT NOT NULL,
    reason TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT,
    resumes INTEGER NOT NULL CHECK (resumes IN (0, 1)),
    tries INTEGER NOT NULL DEFAULT 1 CHECK (tries > 0)
) STRICT;

-- project '': every project.
CREATE TABLE subscriptions (
    person TEXT NOT NULL CHECK (person <> ''),
    project TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('done', 'blocked', 'question')),
    since TEXT NOT NULL,
    PRIMARY KEY (person, project, kind)
) STRICT, WITHOUT ROWID;

-- Quiet hours as HH:MM of the person's own time zone; `digest_seq`: the last event that a digest told of.
CREATE TABLE people (
    person TEXT PRIMARY KEY CHECK (person <> ''),
    quiet_from TEXT,
    quiet_until TEXT,
    time_zone TEXT NOT NULL DEFAULT 'UTC',
    digest_seq INTEGER NOT NULL DEFAULT 0,
    CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
) STRICT;

-- Pings that fell into somebody's quiet hours, told in one message when those are over.
CREATE TABLE missed_pings (
    person TEXT NOT NULL CHECK (person <> ''),
    event_seq INTEGER NOT NULL REFERENCES events (seq),
    due_at TEXT NOT NULL,
    PRIMARY KEY (person, event_seq)
) STRICT, WITHOUT ROWID;
