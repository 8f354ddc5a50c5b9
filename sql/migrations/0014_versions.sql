-- Deployments and their versions: what each runs now, and all that it has ever run, with who changed it, when and why.

CREATE TABLE workbench.deployment_versions (
    deployment   text NOT NULL,
    -- From 1, in the order in which they were made.
    version      integer NOT NULL,
    -- How it came to be: by promoting, or by going back to `of_version`, or by putting a shadow in its place.
    made         text NOT NULL DEFAULT 'promoted',
    of_version   integer,
    -- What runs: a version of `workbench.versions`; NULL where no notebook does. `notebook` is its name for people.
    content      text,
    notebook     text NOT NULL,
    parameters   jsonb NOT NULL DEFAULT '{}',
    -- Time and memory limit, retries, locks.
    options      jsonb NOT NULL DEFAULT '{}',
    schedule     jsonb NOT NULL DEFAULT '{}',
    code_version text NOT NULL,
    -- The environment that it was promoted in: the versions of all packages, and the hash of that list.
    packages     jsonb NOT NULL DEFAULT '{}',
    lock_sha256  text NOT NULL,
    -- What its gates have found.
    evidence     jsonb NOT NULL DEFAULT '[]',
    -- Why it was promoted although a gate had refused it.
    forced       text,
    note         text,
    made_by      text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT deployment_versions_pkey PRIMARY KEY (deployment, version),
    CONSTRAINT deployment_versions_deployment_check CHECK (deployment <> ''),
    CONSTRAINT deployment_versions_version_check CHECK (version >= 1),
    CONSTRAINT deployment_versions_made_check CHECK (made IN ('promoted', 'rolled_back', 'cut_over')),
    CONSTRAINT deployment_versions_content_check CHECK (content ~ '^[0-9a-f]{64}$'),
    CONSTRAINT deployment_versions_lock_sha256_check CHECK (lock_sha256 ~ '^[0-9a-f]{64}$')
);

-- `version`: what a run gets when it starts. `shadow`: a version that runs beside it, as rehearsals, in `shadow_slots`
-- slots more. `reason`, `changed_by`: of the last change of state.
CREATE TABLE workbench.deployments (
    name         text PRIMARY KEY,
    kind         text NOT NULL DEFAULT 'notebook',
    state        text NOT NULL DEFAULT 'active',
    version      integer NOT NULL,
    shadow       integer,
    shadow_slots integer,
    reason       text,
    changed_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT deployments_kind_check CHECK (kind IN ('notebook', 'ingest', 'sweep')),
    CONSTRAINT deployments_state_check CHECK (state IN ('active', 'paused', 'retired')),
    CONSTRAINT deployments_shadow_slots_check CHECK (shadow_slots >= 0),
    CONSTRAINT deployments_version_fkey FOREIGN KEY (name, version)
        REFERENCES workbench.deployment_versions (deployment, version),
    CONSTRAINT deployments_shadow_fkey FOREIGN KEY (name, shadow)
        REFERENCES workbench.deployment_versions (deployment, version)
);

CREATE TRIGGER deployment_versions_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON workbench.deployment_versions
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.keep_contents();
ALTER TABLE workbench.deployment_versions ENABLE ALWAYS TRIGGER deployment_versions_kept;

-- Which version a run was of; NULL for a run of no deployment, and for one that was promoted before there were versions.
ALTER TABLE workbench.runs ADD COLUMN deployment_version integer;
