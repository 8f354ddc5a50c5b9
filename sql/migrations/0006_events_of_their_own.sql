-- An event is told in the name of a service: who may write for that service may tell it, and nobody else.

-- A name for which there is a login role (workbench_<name>) is that role's. Any other name ("events", and those
-- of people's own events) is of workbench_runs, which notebooks and the relay use. The administrator, who owns
-- the table, may use every name. Asked for each row, whether it comes by INSERT or by COPY.
CREATE FUNCTION workbench.own_events_only() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    owner_of_name name := coalesce((SELECT rolname FROM pg_roles WHERE rolname = 'workbench_' || NEW.service),
                                   'workbench_runs');
BEGIN
    IF NOT pg_has_role(current_user, owner_of_name, 'USAGE')
       AND NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'the role % may not write an event of the service %: that is for %',
            current_user, coalesce(NEW.service, 'NULL'), owner_of_name
            USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER own_events_only BEFORE INSERT OR UPDATE OF service ON workbench.events
    FOR EACH ROW EXECUTE FUNCTION workbench.own_events_only();
