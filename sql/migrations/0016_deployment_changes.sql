-- What was done with deployments, by whom and why: which version was put to use when, and each pause. And what lists of
-- deployments look up.

CREATE TABLE workbench.deployment_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment text NOT NULL,
    change     text NOT NULL,
    -- The version that was put to use or made a shadow; else the one that was in use.
    version    integer NOT NULL,
    reason     text,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT deployment_changes_change_check
        CHECK (change IN ('used', 'paused', 'resumed', 'retired', 'shadowed', 'shadow_dropped')),
    CONSTRAINT deployment_changes_version_fkey FOREIGN KEY (deployment, version)
        REFERENCES workbench.deployment_versions (deployment, version)
);
CREATE INDEX deployment_changes_deployment_idx ON workbench.deployment_changes (deployment, id);

CREATE TRIGGER deployment_changes_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON workbench.deployment_changes
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.keep_contents();
ALTER TABLE workbench.deployment_changes ENABLE ALWAYS TRIGGER deployment_changes_kept;

-- The last run of each of many deployments.
CREATE INDEX runs_deployment_started_idx ON workbench.runs (deployment, started_at DESC);
