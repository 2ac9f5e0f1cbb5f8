-- +goose Up
-- How many requests of known tokens an organization had on a day, by outcome:
-- the sums of usage_counts, so that an overview need not add them up.
CREATE TABLE organization_uses (
  organization_id TEXT NOT NULL, day INTEGER NOT NULL, reason TEXT NOT NULL, allowed INTEGER NOT NULL, requests INTEGER NOT NULL,
  last_at INTEGER NOT NULL, PRIMARY KEY (organization_id, day, reason, allowed)
) STRICT, WITHOUT ROWID;
INSERT INTO organization_uses SELECT organization_id, day, reason, allowed, sum(requests), max(last_at) FROM usage_counts
WHERE organization_id <> '' GROUP BY organization_id, day, reason, allowed;

-- The patrols that serve from this database, as they last said.
CREATE TABLE replicas (
  id TEXT PRIMARY KEY, host TEXT NOT NULL, version TEXT NOT NULL, revision TEXT NOT NULL, evaluator TEXT NOT NULL, problem TEXT NOT NULL,
  change INTEGER NOT NULL, started_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE replicas; DROP TABLE organization_uses;
