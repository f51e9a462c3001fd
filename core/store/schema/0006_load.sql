-- What projects used and wanted over time, and what the scheduler remembers of each between two runs.

CREATE TABLE load_samples (
    at TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects (name),
    seconds REAL NOT NULL CHECK (seconds > 0), -- the span that it stands for, up to `at`
    used TEXT NOT NULL, -- Resources as JSON: the mean that was held in the span
    measured TEXT NOT NULL, -- Resources as JSON: what its processes really took at the end of it
    allocated TEXT NOT NULL, -- Resources as JSON; null in it: no limit
    waiting INTEGER NOT NULL CHECK (waiting >= 0), -- tasks that could have started
    PRIMARY KEY (project, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX load_samples_by_time ON load_samples (at);

CREATE TABLE scheduler_memory (
    project TEXT PRIMARY KEY REFERENCES projects (name),
    sampled_at TEXT NOT NULL,
    decayed_use TEXT NOT NULL, -- Resources as JSON
    profile TEXT NOT NULL, -- forecast.WeekProfile as JSON
    durations TEXT NOT NULL, -- forecast.Durations as JSON
    allocation TEXT NOT NULL, -- the last one, quota.Quota as JSON; '' before the first
    strategy TEXT NOT NULL
) STRICT, WITHOUT ROWID;
