-- GitHub: which repository a project has, which issue a story is, its pull request, and what has been heard.

CREATE TABLE github_links (
    project TEXT PRIMARY KEY REFERENCES projects (name),
    repository TEXT NOT NULL CHECK (repository <> ''),
    repository_id INTEGER,
    default_branch TEXT NOT NULL DEFAULT '',
    clone_url TEXT NOT NULL DEFAULT '',
    html_url TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('new', 'linked', 'unauthorized', 'forbidden', 'gone', 'unreachable')),
    trouble TEXT NOT NULL DEFAULT '',
    linked_by TEXT NOT NULL,
    linked_at TEXT NOT NULL,
    synced_at TEXT,
    cursor TEXT NOT NULL DEFAULT '',
    comments_cursor TEXT NOT NULL DEFAULT '',
    configured INTEGER NOT NULL DEFAULT 0 CHECK (configured IN (0, 1)),
    named TEXT NOT NULL DEFAULT '' -- as people or the settings call it; GitHub may have renamed it since
) STRICT;

CREATE UNIQUE INDEX one_project_a_repository ON github_links (repository_id) WHERE repository_id IS NOT NULL;

-- Of each page that is polled, what GitHub called its last answer.
CREATE TABLE github_etags (
    project TEXT NOT NULL REFERENCES github_links (project) ON DELETE CASCADE,
    path TEXT NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (project, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE github_issues (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    issue_id INTEGER NOT NULL,
    url TEXT NOT NULL DEFAULT '',
    updated_at TEXT NOT NULL DEFAULT '',
    seen TEXT NOT NULL DEFAULT '',
    comment_id INTEGER,
    told TEXT NOT NULL DEFAULT '',
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    is_current INTEGER NOT NULL DEFAULT 1 CHECK (is_current IN (0, 1)) -- 0: reopened after its story was over
) STRICT;

CREATE UNIQUE INDEX one_story_an_issue ON github_issues (project, issue_id) WHERE is_current = 1;
CREATE INDEX github_issues_by_number ON github_issues (project, number);

-- What is about to be made outside: after a crash it is looked for there before it is made again.
CREATE TABLE github_intents (
    project TEXT NOT NULL REFERENCES projects (name),
    what TEXT NOT NULL CHECK (what <> ''), -- 'issue:<story>', 'comment:<story>', 'pull:<story>', 'milestone:<sprint>', ...
    begun_at TEXT NOT NULL,
    PRIMARY KEY (project, what)
) STRICT, WITHOUT ROWID;

-- Comments that were acted on, each once.
CREATE TABLE github_comments (
    project TEXT NOT NULL REFERENCES projects (name),
    comment_id INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('issue', 'review', 'review_comment', 'vote')),
    at TEXT NOT NULL,
    PRIMARY KEY (project, kind, comment_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE github_milestones (
    project TEXT NOT NULL REFERENCES projects (name),
    number INTEGER NOT NULL CHECK (number > 0),
    title TEXT NOT NULL,
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    sprint_id TEXT REFERENCES sprints (id),
    PRIMARY KEY (project, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_milestone_a_sprint ON github_milestones (sprint_id) WHERE sprint_id IS NOT NULL;

-- Draft releases, each made once.
CREATE TABLE github_releases (
    sprint_id TEXT PRIMARY KEY REFERENCES sprints (id),
    project TEXT NOT NULL REFERENCES projects (name),
    release_id INTEGER NOT NULL,
    url TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE github_deliveries (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    project TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX github_deliveries_by_time ON github_deliveries (at);
CREATE INDEX github_deliveries_by_project ON github_deliveries (project, at);

CREATE TABLE pulls (
    story_id TEXT PRIMARY KEY REFERENCES stories (id),
    project TEXT NOT NULL REFERENCES projects (name),
    branch TEXT NOT NULL,
    candidate TEXT NOT NULL,
    tree TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL DEFAULT '',
    number INTEGER,
    url TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('wanted', 'open', 'landable', 'merged', 'closed')),
    checks TEXT NOT NULL DEFAULT '[]', -- JSON
    review TEXT NOT NULL DEFAULT 'none',
    approvals INTEGER NOT NULL DEFAULT 0 CHECK (approvals >= 0),
    failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    waits TEXT NOT NULL DEFAULT '',
    merge_commit TEXT,
    opened_at TEXT,
    pushed_at TEXT,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX pulls_at_work ON pulls (project) WHERE state IN ('wanted', 'open', 'landable');
CREATE INDEX pulls_outside ON pulls (project) WHERE state IN ('merged', 'closed') AND head <> '';
