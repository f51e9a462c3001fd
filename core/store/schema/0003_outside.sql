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
