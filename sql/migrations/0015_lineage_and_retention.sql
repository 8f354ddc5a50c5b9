-- Which runs read a series, without a look at each of them. The names of the series are the keys.
CREATE INDEX runs_read_idx ON workbench.runs USING gin (data_revisions);

-- When what a run left, its notebook and its page, was removed because it was old.
ALTER TABLE workbench.runs ADD COLUMN outputs_removed_at timestamptz;

-- The versions of notebooks that nothing needs: stored longer than `keep` ago, of no version of a deployment, and run by
-- no run that goes on, has ended since, or is named by any row.
CREATE FUNCTION workbench.unneeded_versions(keep interval) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    since timestamptz := clock_timestamp() - keep;
    found text[];
    ran uuid[];
    named uuid[];
    reference record;
BEGIN
    IF keep < interval '1 day' THEN
        RAISE EXCEPTION 'what was promoted is kept for at least a day, not %', keep;
    END IF;
    found := ARRAY(
        SELECT v.sha256 FROM workbench.versions v
        WHERE v.created_at < since
              AND NOT EXISTS (SELECT FROM workbench.deployment_versions d WHERE d.content = v.sha256)
              AND NOT EXISTS (SELECT FROM workbench.runs r
                              WHERE r.version_sha256 = v.sha256 AND (r.ended_at IS NULL OR r.ended_at > since)));
    ran := ARRAY(SELECT r.run_id FROM workbench.runs r WHERE r.version_sha256 = ANY(found));
    -- Whatever refers to runs, but for what is of the run itself.
    FOR reference IN
        SELECT c.conrelid::regclass AS "table", a.attname AS "column"
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_class t ON t.oid = c.conrelid
        WHERE c.contype = 'f' AND c.confrelid = 'workbench.runs'::regclass AND c.conparentid = 0
              AND t.relnamespace <> 'workbench'::regnamespace
    LOOP
        EXIT WHEN ran = '{}';
        EXECUTE format('SELECT array_agg(DISTINCT %1$I) FROM %2$s WHERE %1$I = ANY($1)',
                       reference."column", reference."table") INTO named USING ran;
        CONTINUE WHEN named IS NULL;
        found := ARRAY(SELECT f FROM unnest(found) f
                       EXCEPT SELECT r.version_sha256 FROM workbench.runs r WHERE r.run_id = ANY(named));
        ran := ARRAY(SELECT r.run_id FROM workbench.runs r WHERE r.version_sha256 = ANY(found));
    END LOOP;
    RETURN found;
END $$;

-- The files of those versions that no other version has.
CREATE FUNCTION workbench.contents_only_of(shas text[]) RETURNS TABLE (sha256 text, size bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    WITH held AS (
        SELECT v.sha256 = ANY(shas) AS goes, f.content
        FROM workbench.versions v,
             LATERAL (SELECT v.notebook AS content
                      UNION SELECT m.value FROM jsonb_each_text(v.manifest -> 'modules') m
                      UNION SELECT m.value FROM jsonb_each_text(v.manifest -> 'files') m) f
    )
    SELECT c.sha256, c.size FROM workbench.contents c
    WHERE c.sha256 IN (SELECT h.content FROM held h GROUP BY h.content HAVING bool_and(h.goes))
$$;

-- Remove what nothing needs, but for the versions `spared`; returns the hashes of the versions. It has what is promoted
-- to itself meanwhile: who stores a version takes the same lock with others, until a deployment's version names it.
CREATE FUNCTION workbench.forget_versions(keep interval, spared text[]) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    gone text[];
    files text[];
BEGIN
    PERFORM pg_advisory_xact_lock(6517114);
    LOCK TABLE workbench.versions IN SHARE ROW EXCLUSIVE MODE;
    gone := ARRAY(SELECT u FROM unnest(workbench.unneeded_versions(keep)) u WHERE u <> ALL(spared));
    files := ARRAY(SELECT c.sha256 FROM workbench.contents_only_of(gone) c);
    DELETE FROM workbench.versions v WHERE v.sha256 = ANY(gone);
    DELETE FROM workbench.contents c WHERE c.sha256 = ANY(files);
    RETURN gone;
END $$;
