-- A story whose turn was interrupted to make place for another project's.

ALTER TABLE cycles ADD COLUMN parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1));
