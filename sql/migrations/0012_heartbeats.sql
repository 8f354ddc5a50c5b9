-- Heartbeats: where the process of each run is, how far it got, and when it last gave a sign of life. In a table of
-- its own, because a write holds the run's row for as long as it takes.

CREATE TABLE workbench.heartbeats (
    run_id         uuid NOT NULL REFERENCES workbench.runs (run_id),
    -- The process that answers for the run: the parent of the notebook's kernel, or an interactive kernel. A pid means
    -- something only within one boot of one machine and one pid namespace, which `boot` names, and with its start.
    host           text NOT NULL,
    boot           text NOT NULL,
    pid            bigint NOT NULL,
    started        bigint NOT NULL,
    -- Where the process leads a group of its own, which may be ended with it.
    process_group  bigint,
    -- The process that keeps the kernel, and leads the kernel's process group.
    kernel_pid     bigint,
    kernel_started bigint,
    -- Which cell runs, of how many; or what the run waits for.
    cell           integer,
    cells          integer,
    doing          text,
    -- Resident memory of the kernel and all that descends from it, in bytes.
    memory_bytes   bigint,
    peak_bytes     bigint,
    beat_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Set before a run is declared dead; only then may its sessions be ended.
    reaping_at     timestamptz,
    CONSTRAINT heartbeats_pkey PRIMARY KEY (run_id)
);

-- Ends the sessions of a run that is being declared dead, and so the transactions and advisory locks of these: those
-- whose application name ends in the run's id. Returns how many there were; -1 if the owner of this function may not.
CREATE FUNCTION workbench.end_sessions(run uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    ended integer;
BEGIN
    IF NOT EXISTS (SELECT FROM workbench.heartbeats h WHERE h.run_id = run AND h.reaping_at IS NOT NULL) THEN
        RAISE EXCEPTION 'run % is not being declared dead', run USING ERRCODE = 'WB002';
    END IF;
    SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) INTO ended
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND a.application_name LIKE 'workbench:%:' || run;
    RETURN ended;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN -1;
END $$;
