-- Numbers of issues and pull requests are one repository's: those of the repository that a project was linked
-- with before are not what has the same number in the present one.

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
