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
