-- Slots: the moments for which a deployment was due, what became of each, and which runs were attempts at it.

CREATE TABLE workbench.slots (
    deployment text NOT NULL,
    -- The moment at which a run was due.
    slot       timestamptz NOT NULL,
    -- Of a deployment with several members, such as one a symbol, which; else ''.
    member     text NOT NULL DEFAULT '',
    state      text NOT NULL DEFAULT 'due',
    -- Why it was missed, skipped or cancelled, or how its last attempt failed.
    reason     text,
    -- The latest live attempt, and how many there were.
    run_id     uuid REFERENCES workbench.runs (run_id),
    attempts   integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT slots_pkey PRIMARY KEY (deployment, slot, member),
    CONSTRAINT slots_deployment_check CHECK (deployment <> ''),
    CONSTRAINT slots_state_check
        CHECK (state IN ('due', 'running', 'completed', 'failed', 'missed', 'skipped', 'cancelled')),
    CONSTRAINT slots_attempts_check CHECK (attempts >= 0)
);
CREATE INDEX slots_slot_idx ON workbench.slots (slot DESC);
CREATE INDEX slots_run_idx ON workbench.slots (run_id);

-- `purpose`: what the run is for its slot; NULL for a run of no deployment. `attempt`: its number among the live
-- ones of the slot. `evidence`: what the run read in ways that a reader should know of, by kind.
ALTER TABLE workbench.runs
    ADD COLUMN purpose  text,
    ADD COLUMN slot     timestamptz,
    ADD COLUMN member   text NOT NULL DEFAULT '',
    ADD COLUMN attempt  integer,
    ADD COLUMN evidence jsonb NOT NULL DEFAULT '{}',
    DROP CONSTRAINT runs_trigger_check,
    DROP CONSTRAINT runs_status_check;

UPDATE workbench.runs SET purpose = 'live', slot = scheduled_for, attempt = 1 WHERE deployment IS NOT NULL;

ALTER TABLE workbench.runs
    ADD CONSTRAINT runs_trigger_check
        CHECK (trigger IN ('interactive', 'command', 'deployment', 'retry')),
    ADD CONSTRAINT runs_status_check
        CHECK (status IN ('running', 'completed', 'failed', 'crashed', 'cancelled')),
    ADD CONSTRAINT runs_purpose_check
        CHECK (purpose IN ('live', 'rehearsal', 'shadow', 'backfill', 'rerun')),
    ADD CONSTRAINT runs_slot_check CHECK (slot IS NULL OR deployment IS NOT NULL);

-- A slot is worked on, or has been done, by one live run; a failed one may be tried again, and what is no live
-- attempt may come as often as it likes.
DROP INDEX workbench.runs_deployment_scheduled_for_key;
CREATE UNIQUE INDEX runs_live_slot_key ON workbench.runs (deployment, slot, member)
    WHERE purpose = 'live' AND status IN ('running', 'completed');
CREATE INDEX runs_slot_idx ON workbench.runs (deployment, slot);

INSERT INTO workbench.slots (deployment, slot, state, reason, run_id, attempts, created_at, updated_at)
SELECT DISTINCT ON (deployment, slot) deployment, slot,
       CASE status WHEN 'running' THEN 'running' WHEN 'completed' THEN 'completed' ELSE 'failed' END,
       error, run_id, count(*) OVER (PARTITION BY deployment, slot), started_at, coalesce(ended_at, started_at)
FROM workbench.runs WHERE slot IS NOT NULL
-- The one that was done, else the last.
ORDER BY deployment, slot, status = 'completed' DESC, started_at DESC;
