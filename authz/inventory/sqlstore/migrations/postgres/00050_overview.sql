-- +goose Up
-- How many requests of known tokens an organization had on a day, by outcome:
-- the sums of usage_counts, so that an overview need not add them up.
CREATE TABLE organization_uses (
  organization_id TEXT COLLATE "C" NOT NULL, day BIGINT NOT NULL, reason TEXT COLLATE "C" NOT NULL, allowed BOOLEAN NOT NULL, requests BIGINT NOT NULL,
  last_at BIGINT NOT NULL, PRIMARY KEY (organization_id, day, reason, allowed)
);
INSERT INTO organization_uses SELECT organization_id, day, reason, allowed, sum(requests), max(last_at) FROM usage_counts
WHERE organization_id <> '' GROUP BY organization_id, day, reason, allowed;

-- The patrols that serve from this database, as they last said.
CREATE TABLE replicas (
  id TEXT COLLATE "C" PRIMARY KEY, host TEXT NOT NULL, version TEXT NOT NULL, revision TEXT NOT NULL, evaluator TEXT NOT NULL, problem TEXT NOT NULL,
  change BIGINT NOT NULL, started_at BIGINT NOT NULL, seen_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE replicas; DROP TABLE organization_uses;
