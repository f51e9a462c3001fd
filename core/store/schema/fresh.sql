-- The whole schema in one piece, for reading: what all steps together make. A test holds it to them.

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
    worker_generation INTEGER NOT NULL DEFAULT 0 CHECK (worker_generation >= 0),
    epics_numbered INTEGER NOT NULL DEFAULT 0 CHECK (epics_numbered >= 0)
) STRICT;

CREATE TABLE sprints (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    goal TEXT NOT NULL,
    planned_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    retrospective TEXT NOT NULL DEFAULT '',
    reviewed_by TEXT,
    reviewed_at TEXT,
    UNIQUE (project, number)
) STRICT;

CREATE UNIQUE INDEX one_sprint_at_a_time ON sprints (project) WHERE ended_at IS NULL;

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

CREATE INDEX stories_in_order ON stories (project, priority_rank, place, number);
CREATE INDEX stories_of_sprint ON stories (sprint_id) WHERE sprint_id IS NOT NULL;
-- What it came from outside, such as another tool's story: taken over once.
CREATE UNIQUE INDEX one_story_an_origin ON stories (project, origin) WHERE origin IS NOT NULL;
CREATE INDEX stories_of_epic ON stories (epic_id) WHERE epic_id IS NOT NULL;
-- What may start next, a few rows a project, however many stories wait; with cycles_begun.
CREATE INDEX stories_active ON stories (project, priority_rank, place, number) WHERE state = 'active';

-- `story_id` is held until `needs_id` is done, which may be another project's.
CREATE TABLE story_needs (
    story_id TEXT NOT NULL REFERENCES stories (id),
    needs_id TEXT NOT NULL REFERENCES stories (id),
    PRIMARY KEY (story_id, needs_id),
    CHECK (story_id <> needs_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX needed_by ON story_needs (needs_id);

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
    hold TEXT NOT NULL DEFAULT '' CHECK (hold IN ('', 'stopped', 'step', 'taken')),
    held_by TEXT,
    by_hand INTEGER NOT NULL DEFAULT 0 CHECK (by_hand IN (0, 1)),
    conflicts INTEGER NOT NULL DEFAULT 0 CHECK (conflicts >= 0),
    rebase_onto TEXT,
    parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1)),
    CHECK (state <> 'done' OR blocked_reason = '')
) STRICT;

CREATE INDEX cycles_of_project ON cycles (project);
CREATE INDEX cycles_open ON cycles (project)
    WHERE state NOT IN ('done', 'aborted') AND blocked_reason = '';
CREATE INDEX cycles_begun ON cycles (project, updated_at)
    WHERE generation > 0 AND state NOT IN ('done', 'aborted') AND blocked_reason = '';

-- Files that a story at work has changed, for the forecast of overlaps.
CREATE TABLE touched_files (
    story_id TEXT NOT NULL REFERENCES cycles (story_id),
    path TEXT NOT NULL CHECK (path <> ''),
    PRIMARY KEY (story_id, path)
) STRICT, WITHOUT ROWID;

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
    circle TEXT NOT NULL DEFAULT '{}' CHECK (json_type(circle) = 'object'),
    due_at TEXT,
    unanswered TEXT NOT NULL DEFAULT 'wait' CHECK (unanswered IN ('wait', 'escalate', 'deny')),
    escalation TEXT NOT NULL DEFAULT '{}' CHECK (json_type(escalation) = 'object'),
    escalated_at TEXT,
    CHECK ((state = 'pending') = (answered_at IS NULL)),
    CHECK ((state = 'pending') = (answered_by IS NULL))
) STRICT;

CREATE UNIQUE INDEX one_pending_approval_a_subject ON approvals (subject) WHERE state = 'pending';
CREATE INDEX approvals_pending ON approvals (story_id, kind) WHERE state = 'pending';
CREATE INDEX approvals_of_story ON approvals (story_id);
CREATE INDEX approvals_due ON approvals (due_at) WHERE state = 'pending' AND due_at IS NOT NULL;

-- Stories merged together: one open batch a project, each of its stories with a merge of its own.
CREATE TABLE merge_batches (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name),
    begun_at TEXT NOT NULL,
    finished_at TEXT
) STRICT;

CREATE UNIQUE INDEX one_open_batch_a_project ON merge_batches (project) WHERE finished_at IS NULL;

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
    batch_id TEXT REFERENCES merge_batches (id),
    position INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0),
    CHECK ((state = 'open') = (finished_at IS NULL)),
    CHECK ((candidate IS NULL) = (main_commit IS NULL)),
    CHECK (state <> 'merged' OR candidate IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX one_open_merge_a_story ON merges (story_id) WHERE state = 'open';
CREATE INDEX merges_open ON merges (project, position) WHERE state = 'open';

-- What Orchard made outside this file and must find again after a crash.

-- Discord objects, by what they stand for here: ("channel", project), ("thread", story), ...
CREATE TABLE posts (
    kind TEXT NOT NULL CHECK (kind <> ''),
    ref TEXT NOT NULL,
    channel_id INTEGER,
    message_id INTEGER,
    thread_id INTEGER,
    remembered_at TEXT NOT NULL,
    PRIMARY KEY (kind, ref)
) STRICT;

-- Living children. A pid alone is no identity: with its start in clock ticks since boot it is.
CREATE TABLE processes (
    pid INTEGER NOT NULL CHECK (pid > 0),
    start_ticks INTEGER NOT NULL CHECK (start_ticks >= 0),
    process_group INTEGER NOT NULL,
    kind TEXT NOT NULL,
    project TEXT,
    story_id TEXT,
    argv TEXT NOT NULL CHECK (json_type(argv) = 'array'),
    started_at TEXT NOT NULL,
    PRIMARY KEY (pid, start_ticks)
) STRICT;

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

-- Named resources that projects share, as one staging database, and who holds a place of them until when.

CREATE TABLE shared_resources (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    places INTEGER NOT NULL CHECK (places > 0),
    defined_at TEXT NOT NULL
) STRICT;

CREATE TABLE resource_holds (
    resource TEXT NOT NULL REFERENCES shared_resources (name),
    place INTEGER NOT NULL CHECK (place > 0),
    story_id TEXT NOT NULL REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    acquired_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    released_at TEXT
) STRICT;

CREATE UNIQUE INDEX one_holder_a_place ON resource_holds (resource, place) WHERE released_at IS NULL;
CREATE INDEX resource_holds_of_a_story ON resource_holds (story_id) WHERE released_at IS NULL;

-- What projects used and wanted over time, and what the scheduler remembers of each between two runs.

-- Amounts are JSON arrays in the order of core.scheduler.resources.RESOURCES, zeros at the end left out; null in
-- one: without limit. Without an index by time: half a million rows, read and pruned project by project.
CREATE TABLE load_samples (
    project TEXT NOT NULL REFERENCES projects (name),
    at TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds > 0), -- the span that it stands for, up to `at`
    used TEXT NOT NULL CHECK (json_type(used) = 'array'), -- held at the end of it by what runs
    measured TEXT NOT NULL, -- what its processes really took then; null: not measured
    allocated TEXT NOT NULL CHECK (json_type(allocated) = 'array'),
    waiting INTEGER NOT NULL CHECK (waiting >= 0), -- tasks that could have started
    PRIMARY KEY (project, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE scheduler_memory (
    project TEXT PRIMARY KEY REFERENCES projects (name),
    sampled_at TEXT NOT NULL,
    decayed_use TEXT NOT NULL CHECK (json_type(decayed_use) = 'array'), -- amounts, as above
    profile TEXT NOT NULL CHECK (json_type(profile) = 'object'), -- hour of the week: [mean, weight], seen ones
    durations TEXT NOT NULL CHECK (json_type(durations) = 'array'), -- [mean seconds, how many]
    allocation TEXT NOT NULL, -- the last one, quota.Quota as JSON; null before the first
    strategy TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- For the record of how long phases took and waited.
CREATE INDEX leases_by_claim ON leases (claimed_at);

-- What agents cost: each call to a model and each turn once, for good; what people allowed beyond the limits.

CREATE TABLE model_calls (
    call_id TEXT PRIMARY KEY CHECK (call_id <> ''),
    project TEXT NOT NULL REFERENCES projects (name),
    story_id TEXT REFERENCES stories (id),
    phase TEXT NOT NULL,
    agent TEXT NOT NULL,
    run_id TEXT NOT NULL, -- of the run's token, never the token
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    wire TEXT NOT NULL,
    at TEXT NOT NULL,
    input_tokens INTEGER NOT NULL CHECK (input_tokens BETWEEN 0 AND 1000000000000), -- not from a cache
    output_tokens INTEGER NOT NULL CHECK (output_tokens BETWEEN 0 AND 1000000000000), -- with the reasoning
    cache_read_tokens INTEGER NOT NULL CHECK (cache_read_tokens BETWEEN 0 AND 1000000000000),
    cache_write_tokens INTEGER NOT NULL CHECK (cache_write_tokens BETWEEN 0 AND 1000000000000),
    reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens BETWEEN 0 AND 1000000000000), -- part of the output
    -- Not a generated column: SQLite takes no sum of one from an index alone.
    tokens INTEGER NOT NULL
        CHECK (tokens = input_tokens + output_tokens + cache_read_tokens + cache_write_tokens),
    microdollars INTEGER NOT NULL CHECK (microdollars BETWEEN 0 AND 1000000000000),
    first_byte_ms INTEGER CHECK (first_byte_ms >= 0),
    total_ms INTEGER CHECK (total_ms >= 0),
    source TEXT NOT NULL CHECK (source IN ('gateway', 'agent')),
    status TEXT NOT NULL CHECK (status IN ('answered', 'cut', 'failed'))
) STRICT, WITHOUT ROWID;

-- They hold all that is summed up, so that a sum reads nothing else.
CREATE INDEX model_calls_by_story ON model_calls (story_id, tokens, microdollars, source)
    WHERE story_id IS NOT NULL;
CREATE INDEX model_calls_by_project ON model_calls (project, at, tokens, microdollars, source);
CREATE INDEX model_calls_on_agents_word ON model_calls (run_id) WHERE source = 'agent';

CREATE TRIGGER model_calls_stay BEFORE UPDATE ON model_calls
BEGIN
    SELECT RAISE(ABORT, 'model_calls is only added to');
END;
CREATE TRIGGER model_calls_are_kept BEFORE DELETE ON model_calls
BEGIN
    SELECT RAISE(ABORT, 'model_calls is only added to');
END;

CREATE TABLE agent_turns (
    turn_id TEXT PRIMARY KEY CHECK (turn_id <> ''),
    project TEXT NOT NULL REFERENCES projects (name),
    story_id TEXT REFERENCES stories (id),
    phase TEXT NOT NULL,
    agent TEXT NOT NULL,
    at TEXT NOT NULL, -- when it ended
    milliseconds INTEGER NOT NULL CHECK (milliseconds BETWEEN 0 AND 1000000000000)
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_turns_by_story ON agent_turns (story_id, milliseconds) WHERE story_id IS NOT NULL;
CREATE INDEX agent_turns_by_project ON agent_turns (project, at, milliseconds);

CREATE TRIGGER agent_turns_stay BEFORE UPDATE ON agent_turns
BEGIN
    SELECT RAISE(ABORT, 'agent_turns is only added to');
END;
CREATE TRIGGER agent_turns_are_kept BEFORE DELETE ON agent_turns
BEGIN
    SELECT RAISE(ABORT, 'agent_turns is only added to');
END;

CREATE TABLE budget_raises (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    project TEXT NOT NULL REFERENCES projects (name),
    scope TEXT NOT NULL CHECK (scope IN ('story', 'project', 'day')),
    story_id TEXT REFERENCES stories (id) CHECK ((scope = 'story') = (story_id IS NOT NULL)),
    unit TEXT NOT NULL CHECK (unit IN ('tokens', 'microdollars', 'turns', 'milliseconds')),
    amount INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 1000000000000), -- on top of the limit
    at TEXT NOT NULL,
    until TEXT CHECK (until > at), -- NULL: for good
    by TEXT NOT NULL CHECK (by <> '')
) STRICT;

CREATE INDEX budget_raises_by_project ON budget_raises (project, scope, until);

-- Providers that take no more work until a time, for all that depend on them. `kind`: why, such as usage.
CREATE TABLE provider_holds (
    provider TEXT PRIMARY KEY CHECK (provider <> ''),
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    tries INTEGER NOT NULL CHECK (tries > 0) -- in a row
) STRICT;

-- What people were told of a limit, so that they are told once. '' where there is no story, no day.
CREATE TABLE budget_notices (
    project TEXT NOT NULL REFERENCES projects (name),
    scope TEXT NOT NULL CHECK (scope IN ('story', 'project', 'day')),
    story_id TEXT NOT NULL,
    day TEXT NOT NULL,
    unit TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('near', 'reached')),
    limit_amount INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (project, scope, story_id, day, unit, level, limit_amount)
) STRICT, WITHOUT ROWID;

-- Turns of agents as people look them up: what each went on from, what it was told, where its words are kept.

CREATE TABLE session_turns (
    seq INTEGER PRIMARY KEY, -- rows are only added, so what was seen up to one is a place to go on from
    turn_id TEXT NOT NULL UNIQUE CHECK (turn_id <> ''),
    project TEXT NOT NULL REFERENCES projects (name),
    subject TEXT NOT NULL CHECK (subject <> ''), -- a story, or an epic that was designed
    phase TEXT NOT NULL CHECK (phase IN ('design', 'test_red', 'code_green', 'refactor', 'commit')),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    generation INTEGER NOT NULL CHECK (generation > 0),
    run_id TEXT NOT NULL, -- of its calls to models; '' where no gateway saw them
    agent TEXT NOT NULL CHECK (agent <> ''),
    session_id TEXT, -- the agent's own name for it; NULL: it came to none
    how TEXT NOT NULL CHECK (how IN ('resumed', 'loaded', 'forked', 'seeded', 'fresh', 'none')),
    why TEXT NOT NULL,
    template TEXT NOT NULL,
    template_version INTEGER NOT NULL CHECK (template_version >= 0),
    template_source TEXT NOT NULL, -- '': it came with Orchard
    prompt_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('idle', 'blocked', 'limited', 'failed', 'cancelled', 'cut')),
    error TEXT NOT NULL,
    tools INTEGER NOT NULL CHECK (tools >= 0),
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    transcript TEXT NOT NULL, -- below the folder of transcripts
    transcript_state TEXT NOT NULL CHECK (transcript_state IN ('kept', 'pruned')),
    pruned_at TEXT,
    CHECK ((transcript_state = 'pruned') = (pruned_at IS NOT NULL)),
    UNIQUE (subject, generation)
) STRICT;

CREATE INDEX session_turns_by_project ON session_turns (project, seq);
CREATE INDEX session_turns_kept ON session_turns (ended_at) WHERE transcript_state = 'kept';
CREATE INDEX session_turns_by_session ON session_turns (session_id) WHERE session_id IS NOT NULL;

-- The first turn of `story_id` goes on from another story's turn.
CREATE TABLE session_forks (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    turn_id TEXT NOT NULL REFERENCES session_turns (turn_id),
    at TEXT NOT NULL,
    by TEXT NOT NULL CHECK (by <> '')
) STRICT, WITHOUT ROWID;

-- The agents of `story_id` are told what `linked_id` came to.
CREATE TABLE session_links (
    story_id TEXT NOT NULL REFERENCES stories (id),
    linked_id TEXT NOT NULL REFERENCES stories (id),
    at TEXT NOT NULL,
    by TEXT NOT NULL CHECK (by <> ''),
    PRIMARY KEY (story_id, linked_id),
    CHECK (story_id <> linked_id)
) STRICT, WITHOUT ROWID;

-- Who may use Orchard, how they prove it, and what they may do. No password, token or code stands here as it is.

CREATE TABLE users (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    username TEXT NOT NULL UNIQUE CHECK (username <> '' AND username = lower(username)),
    email TEXT NOT NULL UNIQUE CHECK (email <> '' AND email = lower(email)),
    password_hash TEXT NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    password_at TEXT NOT NULL,
    level INTEGER CHECK (level BETWEEN 1 AND 5), -- in every project; NULL: only where it was granted
    made_at TEXT NOT NULL,
    made_by TEXT NOT NULL CHECK (made_by <> ''),
    disabled_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE project_access (
    user_id TEXT NOT NULL REFERENCES users (id),
    project TEXT NOT NULL REFERENCES projects (name),
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 5),
    at TEXT NOT NULL,
    by TEXT NOT NULL CHECK (by <> ''),
    PRIMARY KEY (user_id, project)
) STRICT, WITHOUT ROWID;

-- Which people of Discord a user is.
CREATE TABLE discord_links (
    person TEXT PRIMARY KEY CHECK (person <> ''), -- the id of their account there
    user_id TEXT NOT NULL REFERENCES users (id),
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX discord_links_by_user ON discord_links (user_id);

CREATE TABLE link_codes (
    user_id TEXT PRIMARY KEY REFERENCES users (id), -- a new one takes the place of the last
    code_hash TEXT NOT NULL UNIQUE CHECK (length(code_hash) = 64),
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE second_factors (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    secret BLOB NOT NULL, -- sealed
    begun_at TEXT NOT NULL,
    confirmed_at TEXT, -- NULL: no code of it has been seen yet, so none is asked for
    last_step INTEGER NOT NULL DEFAULT -1 -- of the last code that was taken: none so old is taken again
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id),
    code_hash TEXT NOT NULL CHECK (length(code_hash) = 64),
    used_at TEXT,
    PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE logins (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    user_id TEXT NOT NULL REFERENCES users (id),
    token_hash TEXT NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    previous_hash TEXT UNIQUE CHECK (length(previous_hash) = 64), -- of the token before: whoever shows it late stole one
    rotated_at TEXT NOT NULL,
    made_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    proved_at TEXT, -- when a second factor was shown
    client TEXT NOT NULL, -- from where, in words
    ended_at TEXT,
    ended_why TEXT,
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_by_user ON logins (user_id) WHERE ended_at IS NULL;

-- Of tokens that were replaced earlier than that: whoever shows one stole it, too.
CREATE TABLE former_tokens (
    token_hash TEXT PRIMARY KEY CHECK (length(token_hash) = 64),
    login_id TEXT NOT NULL REFERENCES logins (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX former_tokens_by_login ON former_tokens (login_id);

-- Wrong passwords and codes. `subject` is a hash of what was tried, so that it tells nobody which names exist.
CREATE TABLE failed_tries (
    subject TEXT PRIMARY KEY CHECK (subject <> ''),
    failures INTEGER NOT NULL CHECK (failures > 0),
    last_at TEXT NOT NULL,
    closed_until TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_tries_by_age ON failed_tries (last_at);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL CHECK (name <> ''),
    token_hash TEXT NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    scopes TEXT NOT NULL, -- JSON
    projects TEXT NOT NULL, -- JSON; []: every one that its user sees
    made_at TEXT NOT NULL,
    expires_at TEXT NOT NULL CHECK (expires_at > made_at),
    used_at TEXT,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_live_token_a_name ON api_tokens (user_id, name) WHERE revoked_at IS NULL;

CREATE TABLE secrets (
    project TEXT NOT NULL REFERENCES projects (name),
    name TEXT NOT NULL CHECK (name <> ''),
    version INTEGER NOT NULL CHECK (version > 0), -- never goes back, also over a removal
    key_id TEXT NOT NULL, -- of the key that it is sealed with; '' of a removed one
    nonce BLOB CHECK (length(nonce) = 12),
    sealed BLOB CHECK (length(sealed) > 16), -- NULL: removed; the row keeps the version
    set_at TEXT NOT NULL,
    set_by TEXT NOT NULL CHECK (set_by <> ''),
    PRIMARY KEY (project, name),
    CHECK ((sealed IS NULL) = (nonce IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind <> ''),
    actor TEXT NOT NULL,
    project TEXT,
    subject TEXT NOT NULL,
    data TEXT NOT NULL, -- canonical JSON
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_log_by_kind ON audit_log (kind, seq);

-- How far the log goes, signed: rows that are cut off at its end are missed.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    key_id TEXT NOT NULL, -- '': nothing was written yet
    mac BLOB NOT NULL
) STRICT;

INSERT INTO audit_head (id, seq, hash, key_id, mac) VALUES (1, 0, zeroblob(32), '', x'');

-- What was pruned, signed: the rows up to `seq`, the last of which had this hash.
CREATE TABLE audit_checkpoints (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    pruned INTEGER NOT NULL CHECK (pruned > 0), -- rows, with this checkpoint
    key_id TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- A statement with OR REPLACE deletes without asking the triggers on DELETE, so the one on INSERT has to refuse it.
CREATE TRIGGER audit_log_added BEFORE INSERT ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE id = 1 AND seq + 1 = NEW.seq AND hash = NEW.previous)
BEGIN
    SELECT RAISE (ABORT, 'the audit log grows at its end only');
END;

CREATE TRIGGER audit_log_kept BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE (ABORT, 'a row of the audit log is never changed');
END;

CREATE TRIGGER audit_log_pruned BEFORE DELETE ON audit_log
WHEN OLD.seq > coalesce((SELECT max(seq) FROM audit_checkpoints), 0)
BEGIN
    SELECT RAISE (ABORT, 'a row of the audit log is pruned under a checkpoint only');
END;

CREATE TRIGGER audit_head_added BEFORE INSERT ON audit_head
BEGIN
    SELECT RAISE (ABORT, 'the audit log has one head');
END;

CREATE TRIGGER audit_head_kept BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE (ABORT, 'the audit log has one head');
END;

CREATE TRIGGER audit_head_moved BEFORE UPDATE ON audit_head
WHEN NEW.seq < OLD.seq
BEGIN
    SELECT RAISE (ABORT, 'the head of the audit log never goes back');
END;

CREATE TRIGGER audit_checkpoints_added BEFORE INSERT ON audit_checkpoints
WHEN NEW.seq <= coalesce((SELECT max(seq) FROM audit_checkpoints), 0)
    OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
BEGIN
    SELECT RAISE (ABORT, 'a checkpoint names a row that is there');
END;

-- Signing anew, after a change of the key, is the one change there is.
CREATE TRIGGER audit_checkpoints_kept BEFORE UPDATE OF seq, hash, at, by, pruned ON audit_checkpoints
BEGIN
    SELECT RAISE (ABORT, 'a checkpoint is never changed');
END;

CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints
BEGIN
    SELECT RAISE (ABORT, 'a checkpoint is never removed');
END;

-- GitHub: which repository a project has, which issue a story is, its pull request, and what has been heard.

CREATE TABLE github_links (
    project TEXT PRIMARY KEY REFERENCES projects (name),
    repository TEXT NOT NULL CHECK (repository <> ''),
    repository_id INTEGER,
    default_branch TEXT NOT NULL DEFAULT '',
    clone_url TEXT NOT NULL DEFAULT '',
    html_url TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('new', 'linked', 'unauthorized', 'forbidden', 'gone', 'unreachable')),
    trouble TEXT NOT NULL DEFAULT '',
    linked_by TEXT NOT NULL,
    linked_at TEXT NOT NULL,
    synced_at TEXT,
    cursor TEXT NOT NULL DEFAULT '',
    comments_cursor TEXT NOT NULL DEFAULT '',
    configured INTEGER NOT NULL DEFAULT 0 CHECK (configured IN (0, 1)),
    named TEXT NOT NULL DEFAULT '' -- as people or the settings call it; GitHub may have renamed it since
) STRICT;

CREATE UNIQUE INDEX one_project_a_repository ON github_links (repository_id) WHERE repository_id IS NOT NULL;

-- Of each page that is polled, what GitHub called its last answer.
CREATE TABLE github_etags (
    project TEXT NOT NULL REFERENCES github_links (project) ON DELETE CASCADE,
    path TEXT NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (project, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE github_issues (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    issue_id INTEGER NOT NULL,
    url TEXT NOT NULL DEFAULT '',
    updated_at TEXT NOT NULL DEFAULT '',
    seen TEXT NOT NULL DEFAULT '',
    comment_id INTEGER,
    told TEXT NOT NULL DEFAULT '',
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    is_current INTEGER NOT NULL DEFAULT 1 CHECK (is_current IN (0, 1)), -- 0: reopened after its story was over
    repository_id INTEGER -- NULL: from before this was kept
) STRICT;

CREATE UNIQUE INDEX one_story_an_issue ON github_issues (project, issue_id) WHERE is_current = 1;
CREATE INDEX github_issues_by_number ON github_issues (project, number);

-- What the issues are now that stand in the repository that their project is linked with now.
CREATE VIEW github_issues_here AS
SELECT g.* FROM github_issues g JOIN github_links l ON l.project = g.project AND l.repository_id = g.repository_id
WHERE g.is_current = 1;

-- What is about to be made outside: after a crash it is looked for there before it is made again.
CREATE TABLE github_intents (
    project TEXT NOT NULL REFERENCES projects (name),
    what TEXT NOT NULL CHECK (what <> ''), -- 'issue:<story>', 'comment:<story>', 'pull:<story>', 'milestone:<sprint>', ...
    begun_at TEXT NOT NULL,
    PRIMARY KEY (project, what)
) STRICT, WITHOUT ROWID;

-- Comments that were acted on, each once.
CREATE TABLE github_comments (
    project TEXT NOT NULL REFERENCES projects (name),
    comment_id INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('issue', 'review', 'review_comment', 'vote')),
    at TEXT NOT NULL,
    PRIMARY KEY (project, kind, comment_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE github_milestones (
    project TEXT NOT NULL REFERENCES projects (name),
    repository_id INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    title TEXT NOT NULL,
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    sprint_id TEXT REFERENCES sprints (id),
    PRIMARY KEY (project, repository_id, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_milestone_a_sprint ON github_milestones (sprint_id, repository_id)
    WHERE sprint_id IS NOT NULL;

CREATE VIEW github_milestones_here AS
SELECT m.* FROM github_milestones m
JOIN github_links l ON l.project = m.project AND l.repository_id = m.repository_id;

-- Draft releases, each made once.
CREATE TABLE github_releases (
    sprint_id TEXT PRIMARY KEY REFERENCES sprints (id),
    project TEXT NOT NULL REFERENCES projects (name),
    release_id INTEGER NOT NULL,
    url TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE github_deliveries (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    project TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX github_deliveries_by_time ON github_deliveries (at);
CREATE INDEX github_deliveries_by_project ON github_deliveries (project, at);

CREATE TABLE pulls (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    branch TEXT NOT NULL,
    candidate TEXT NOT NULL,
    tree TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL DEFAULT '',
    number INTEGER,
    url TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('wanted', 'open', 'landable', 'merged', 'closed')),
    checks TEXT NOT NULL DEFAULT '[]', -- JSON
    review TEXT NOT NULL DEFAULT 'none',
    approvals INTEGER NOT NULL DEFAULT 0 CHECK (approvals >= 0),
    failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    waits TEXT NOT NULL DEFAULT '',
    merge_commit TEXT,
    opened_at TEXT,
    pushed_at TEXT,
    updated_at TEXT NOT NULL,
    repository_id INTEGER -- NULL: from before this was kept, or of a link that GitHub has not answered for yet
) STRICT;

CREATE INDEX pulls_at_work ON pulls (project) WHERE state IN ('wanted', 'open', 'landable');
CREATE INDEX pulls_outside ON pulls (project) WHERE state IN ('merged', 'closed') AND head <> '';

CREATE TABLE metric_series (
    id INTEGER PRIMARY KEY,
    metric TEXT NOT NULL CHECK (metric <> ''),
    labels TEXT NOT NULL DEFAULT '{}', -- JSON
    project TEXT, -- of the labels
    UNIQUE (metric, labels)
) STRICT;

CREATE INDEX metric_series_of_project ON metric_series (project);

-- `at`: the beginning of the span, in seconds since 1970. What equals the mean is NULL: most spans of a gauge
-- that does not move hold one number. By time first: the points of all series of a minute are written side by
-- side, and go so.
CREATE TABLE metric_points (
    span INTEGER NOT NULL CHECK (span IN (60, 3600, 86400)),
    at INTEGER NOT NULL,
    series INTEGER NOT NULL, -- a metric_series; no foreign key, for nothing removes one
    count INTEGER NOT NULL CHECK (count > 0),
    mean REAL NOT NULL,
    minimum REAL,
    maximum REAL,
    last REAL,
    PRIMARY KEY (span, at, series)
) STRICT, WITHOUT ROWID;

-- How far the events have been counted, and the counts, so that each event counts once. Of an observation,
-- `total` is the sum of `count` of them, and `last` the last.
CREATE TABLE metric_counts (
    series INTEGER PRIMARY KEY REFERENCES metric_series (id),
    count INTEGER NOT NULL,
    total REAL NOT NULL,
    last REAL NOT NULL
) STRICT;

-- How many of an observation were at most `bound`, and more than the bound before; those above all have no row.
CREATE TABLE metric_buckets (
    series INTEGER NOT NULL REFERENCES metric_series (id),
    bound REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (series, bound)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_cursor (
    reader TEXT PRIMARY KEY,
    event_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL CHECK (rule <> ''),
    project TEXT REFERENCES projects (name),
    state TEXT NOT NULL CHECK (state IN ('pending', 'firing', 'acknowledged', 'silenced', 'resolved')),
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    summary TEXT NOT NULL,
    hint TEXT NOT NULL DEFAULT '',
    value REAL NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    worst TEXT NOT NULL DEFAULT '',
    routes TEXT NOT NULL DEFAULT '[]', -- JSON
    since TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    seq INTEGER NOT NULL,
    by TEXT NOT NULL DEFAULT '',
    until TEXT
) STRICT;

CREATE UNIQUE INDEX one_open_alert ON alerts (rule, coalesce(project, '')) WHERE state <> 'resolved';
CREATE INDEX alerts_by_change ON alerts (changed_at);

-- Where an alert was told, and up to which of its changes: what is behind is told next, in order.
CREATE TABLE alert_tellings (
    alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    route TEXT NOT NULL CHECK (route IN ('guild', 'project', 'direct', 'webhook', 'slack')),
    place TEXT NOT NULL DEFAULT '', -- a channel, a person
    message TEXT NOT NULL DEFAULT '', -- what was posted there, to be edited
    owed INTEGER NOT NULL DEFAULT 1 CHECK (owed IN (0, 1)), -- told_seq is behind, and more is to be told
    told_seq INTEGER NOT NULL DEFAULT 0,
    told_as TEXT NOT NULL DEFAULT '', -- what was told last, in the words of whoever tells
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at TEXT NOT NULL,
    last_error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (alert, route, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_tellings_due ON alert_tellings (due_at) WHERE owed;

-- Answers of the API that are given again to whoever repeats a request under the same key.
CREATE TABLE idempotency_keys (
    who TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL, -- a digest of method, path and body
    status INTEGER,        -- NULL while it is being answered
    body TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at);
