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
