-- Secrets, sealed; the audit log: rows that are only added, each bound to the one before it.

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
