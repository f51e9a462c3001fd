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
