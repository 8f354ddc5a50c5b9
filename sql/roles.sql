-- The grants of each login role, applied again after every migration; the roles themselves and their
-- passwords are created before. A role writes its own schema only, reads what it needs, owns nothing.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA workbench FROM PUBLIC;

DO $$
DECLARE
    -- Only existing schemas: a database between two revisions may not have all of them yet.
    services text[] := ARRAY(
        SELECT s FROM unnest(ARRAY['data_ingestion', 'strategy_engine', 'execution', 'risk_management',
                                   'analytics', 'notification', 'logging']) AS s
        WHERE to_regnamespace(s) IS NOT NULL);
    service text;
    read_schema text;
BEGIN
    -- Every role reads every schema.
    FOREACH read_schema IN ARRAY services || 'workbench'::text LOOP
        FOREACH service IN ARRAY services || ARRAY['runs', 'readonly'] LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', read_schema, 'workbench_' || service);
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', read_schema, 'workbench_' || service);
        END LOOP;
    END LOOP;

    -- A service writes its own schema, adds events to the outbox, and calls the fence.
    FOREACH service IN ARRAY services LOOP
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I',
                       service, 'workbench_' || service);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', service, 'workbench_' || service);
        EXECUTE format('GRANT INSERT ON workbench.events TO %I', 'workbench_' || service);
        EXECUTE format('GRANT EXECUTE ON FUNCTION workbench.require_live_run(uuid) TO %I',
                       'workbench_' || service);
    END LOOP;
END $$;

GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA workbench TO workbench_runs;
GRANT EXECUTE ON FUNCTION workbench.require_live_run(uuid) TO workbench_runs;

-- What ends the sessions of dead runs, and what forgets old versions of bars and of notebooks; a database between two
-- revisions may not have them yet.
DO $$
DECLARE
    routine text;
BEGIN
    FOREACH routine IN ARRAY ARRAY['workbench.end_sessions(uuid)', 'workbench.trim_bar_history(interval)',
                                   'workbench.unneeded_versions(interval)', 'workbench.contents_only_of(text[])',
                                   'workbench.forget_versions(interval, text[])'] LOOP
        IF to_regprocedure(routine) IS NOT NULL THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO workbench_runs', routine);
        END IF;
    END LOOP;
END $$;

-- By default PUBLIC may take advisory locks and create large objects. Here only roles that write may take advisory
-- locks, which serialise writers, and no role may create large objects. Only a superuser may change this for
-- PostgreSQL's own functions; `workbench doctor` warns if it could not be done. The owner of our schemas, if it is
-- not a superuser, needs locks for upgrades.
DO $$
DECLARE
    lockers text[] := ARRAY['workbench_data_ingestion', 'workbench_strategy_engine', 'workbench_execution',
                            'workbench_risk_management', 'workbench_analytics', 'workbench_notification',
                            'workbench_logging', 'workbench_runs',
                            (SELECT nspowner::regrole::text FROM pg_catalog.pg_namespace
                             WHERE nspname = 'workbench')];
    locker text;
    routine regprocedure;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    FOR routine IN
        SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
        AND proname ~ '^(lo_.*|loread|lowrite|pg_(try_)?advisory_(xact_)?lock(_shared)?)$'
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
        CONTINUE WHEN routine::text NOT LIKE '%advisory%';
        FOREACH locker IN ARRAY lockers LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine, locker);
        END LOOP;
    END LOOP;
END $$;
