-- Numbers of issues, pull requests and milestones are one repository's: those of the repository that a project
-- was linked with before are not what has the same number in the present one.

ALTER TABLE github_issues ADD COLUMN repository_id INTEGER; -- NULL: from before this was kept
ALTER TABLE pulls ADD COLUMN repository_id INTEGER; -- likewise, or of a link that GitHub has not answered for yet

UPDATE github_issues SET repository_id =
    (SELECT repository_id FROM github_links WHERE github_links.project = github_issues.project);
UPDATE pulls SET repository_id =
    (SELECT repository_id FROM github_links WHERE github_links.project = pulls.project);

-- What the issues are now that stand in the repository that their project is linked with now.
CREATE VIEW github_issues_here AS
SELECT g.* FROM github_issues g JOIN github_links l ON l.project = g.project AND l.repository_id = g.repository_id
WHERE g.is_current = 1;

-- Milestones of projects that are linked with nothing now are read again when they are linked.
ALTER TABLE github_milestones RENAME TO milestones_before;
CREATE TABLE github_milestones (
    project TEXT NOT NULL REFERENCES projects (name),
    repository_id INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    title TEXT NOT NULL,
    is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
    sprint_id TEXT REFERENCES sprints (id),
    PRIMARY KEY (project, repository_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO github_milestones
    SELECT m.project, l.repository_id, m.number, m.title, m.is_open, m.sprint_id
    FROM milestones_before m JOIN github_links l ON l.project = m.project AND l.repository_id IS NOT NULL;
DROP TABLE milestones_before;
CREATE UNIQUE INDEX one_milestone_a_sprint ON github_milestones (sprint_id, repository_id)
    WHERE sprint_id IS NOT NULL;

CREATE VIEW github_milestones_here AS
SELECT m.* FROM github_milestones m
JOIN github_links l ON l.project = m.project AND l.repository_id = m.repository_id;
