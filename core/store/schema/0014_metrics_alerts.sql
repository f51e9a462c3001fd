-- What was measured, in spans of a minute, an hour and a day; alerts, and who silenced what.

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
