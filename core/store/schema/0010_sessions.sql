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
