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
