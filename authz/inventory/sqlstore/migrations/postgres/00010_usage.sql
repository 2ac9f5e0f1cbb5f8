-- +goose Up
-- What tokens are used for. organization_id is '' where a request was about no
-- known one; resource and network are '*' for those that were too many to keep
-- apart. day counts from 1970-01-01, UTC.
CREATE TABLE usage_counts (
  token_id TEXT COLLATE "C" NOT NULL, organization_id TEXT COLLATE "C" NOT NULL, day BIGINT NOT NULL, resource_type TEXT COLLATE "C" NOT NULL,
  resource TEXT COLLATE "C" NOT NULL, permission TEXT COLLATE "C" NOT NULL, network TEXT COLLATE "C" NOT NULL, reason TEXT COLLATE "C" NOT NULL,
  allowed BOOLEAN NOT NULL, requests BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
  PRIMARY KEY (token_id, organization_id, day, resource_type, resource, permission, network, reason, allowed)
);
CREATE INDEX usage_counts_day ON usage_counts (day);

-- When a token was last used at an organization.
CREATE TABLE token_uses (
  token_id TEXT COLLATE "C" NOT NULL, organization_id TEXT COLLATE "C" NOT NULL, used_at BIGINT NOT NULL, refused_at BIGINT NOT NULL,
  PRIMARY KEY (token_id, organization_id)
);

-- Unknown tokens at organizations that only observe, with the latest host,
-- network and permission.
CREATE TABLE discovered (
  organization_id TEXT COLLATE "C" NOT NULL, digest BYTEA NOT NULL, host TEXT NOT NULL, network TEXT NOT NULL, permission TEXT NOT NULL,
  requests BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, PRIMARY KEY (organization_id, digest)
);
CREATE INDEX discovered_page ON discovered (organization_id, last_at, digest);

-- What the hygiene rules found; token_id is '' for what is about the
-- organization. grade orders severities.
CREATE TABLE findings (
  organization_id TEXT COLLATE "C" NOT NULL, token_id TEXT COLLATE "C" NOT NULL, finding TEXT COLLATE "C" NOT NULL, severity TEXT COLLATE "C" NOT NULL,
  grade BIGINT NOT NULL, title TEXT NOT NULL, message TEXT NOT NULL, todo TEXT NOT NULL, details TEXT NOT NULL, first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL, PRIMARY KEY (organization_id, token_id, finding)
);
CREATE INDEX findings_name ON findings (organization_id, finding, token_id);

CREATE TABLE leases (name TEXT COLLATE "C" PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);

CREATE INDEX audit_token ON audit (token_id, seq);

-- +goose Down
DROP INDEX audit_token;
DROP TABLE leases; DROP TABLE findings; DROP TABLE discovered; DROP TABLE token_uses; DROP TABLE usage_counts;
