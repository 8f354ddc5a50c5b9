-- What deployments await that are started by events: which events were looked at, and which bursts go on.

-- When the event was held against what deployments await. Those of before are of no interest to any.
ALTER TABLE workbench.events ADD COLUMN awaited_at timestamptz;
UPDATE workbench.events SET awaited_at = created_at;
CREATE INDEX events_not_awaited_idx ON workbench.events (event_id) WHERE awaited_at IS NULL;

-- Events that a deployment awaits, and that have not settled yet: when they have, there is a slot, at `last_at`.
CREATE TABLE workbench.bursts (
    deployment  text PRIMARY KEY,
    -- For how many seconds no further event may come.
    settle      double precision NOT NULL,
    events      bigint NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    last_event  bigint NOT NULL,
    CONSTRAINT bursts_deployment_check CHECK (deployment <> ''),
    CONSTRAINT bursts_settle_check CHECK (settle >= 0),
    CONSTRAINT bursts_events_check CHECK (events >= 0)
);
