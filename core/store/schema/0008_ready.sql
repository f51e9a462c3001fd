-- What may start next, a few rows a project, however many stories wait.

CREATE INDEX stories_active ON stories (project, priority_rank, place, number) WHERE state = 'active';
CREATE INDEX cycles_begun ON cycles (project, updated_at)
    WHERE generation > 0 AND state NOT IN ('done', 'aborted') AND blocked_reason = '';
