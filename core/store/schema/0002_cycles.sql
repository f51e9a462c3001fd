-- How a story moves: its cycle, who works on it, what the gates saw, what people were asked, its merge.

CREATE TABLE cycles (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    state TEXT NOT NULL
        CHECK (state IN ('design', 'test_red', 'code_green', 'refactor', 'commit', 'done', 'aborted')),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    base_commit TEXT,
    red_commit TEXT,
    head_commit TEXT,
    session_id TEXT,
    spec TEXT NOT NULL,
    feedback TEXT NOT NULL,
    blocked_reason TEXT NOT NULL,
    merge_commit TEXT,
    generation INTEGER NOT NULL CHECK (generation >= 0),
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (state <> 'done' OR blocked_reason = '')
) STRICT;

CREATE INDEX cycles_of_project ON cycles (project);
CREATE INDEX cycles_open ON cycles (project)
    WHERE state NOT IN ('done', 'aborted') AND blocked_reason = '';

-- Rows stay after their release, as the story's history of claims.
CREATE TABLE leases (
    story_id TEXT NOT NULL REFERENCES cycles (story_id),
    project TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('design', 'test_red', 'code_green', 'refactor', 'commit')),
    owner TEXT NOT NULL CHECK (owner <> ''),
    generation INTEGER NOT NULL CHECK (generation > 0),
    claimed_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    released_at TEXT,
    PRIMARY KEY (story_id, generation)
) STRICT, WITHOUT ROWID;

-- Also what `held` and `expired` walk: it is as long as there are phases running.
CREATE UNIQUE INDEX one_lease_a_story ON leases (story_id) WHERE released_at IS NULL;

CREATE TABLE gates (
    id INTEGER PRIMARY KEY,
    story_id TEXT NOT NULL REFERENCES stories (id),
    phase TEXT NOT NULL CHECK (phase IN ('design', 'test_red', 'code_green', 'refactor', 'commit')),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    at TEXT NOT NULL,
    passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
    verdict TEXT NOT NULL CHECK (json_type(verdict) = 'object'),
    commit_hash TEXT
) STRICT;

CREATE INDEX gates_of_story ON gates (story_id, phase, passed);

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    story_id TEXT NOT NULL REFERENCES stories (id),
    kind TEXT NOT NULL CHECK (kind IN ('merge', 'permission')),
    subject TEXT NOT NULL CHECK (subject <> ''),
    question TEXT NOT NULL,
    detail TEXT NOT NULL,
    reasons TEXT NOT NULL CHECK (json_type(reasons) = 'array'),
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'cancelled')),
    asked_at TEXT NOT NULL,
    answered_at TEXT,
    answered_by TEXT,
    reason TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'pending') = (answered_at IS NULL)),
    CHECK ((state = 'pending') = (answered_by IS NULL))
) STRICT;

CREATE UNIQUE INDEX one_pending_approval_a_subject ON approvals (subject) WHERE state = 'pending';
CREATE INDEX approvals_pending ON approvals (story_id, kind) WHERE state = 'pending';
CREATE INDEX approvals_of_story ON approvals (story_id);

CREATE TABLE merges (
    id TEXT PRIMARY KEY,
    story_id TEXT NOT NULL REFERENCES cycles (story_id),
    project TEXT NOT NULL REFERENCES projects (name),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'merged', 'refused', 'conflict', 'abandoned')),
    candidate TEXT,
    main_commit TEXT,
    begun_at TEXT NOT NULL,
    finished_at TEXT,
    CHECK ((state = 'open') = (finished_at IS NULL)),
    CHECK ((candidate IS NULL) = (main_commit IS NULL)),
    CHECK (state <> 'merged' OR candidate IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX one_open_merge_a_project ON merges (project) WHERE state = 'open';
