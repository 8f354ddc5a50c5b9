-- What was promoted, by content, for the workers of every machine: each file once, in parts, and the versions that
-- are made of such files. A home's `store/` is a copy of it.

CREATE TABLE workbench.contents (
    -- Of the file's bytes.
    sha256     text PRIMARY KEY,
    size       bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT contents_sha256_check CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT contents_size_check CHECK (size >= 0)
);

-- A file's bytes, in the order of `part`; an empty file has none.
CREATE TABLE workbench.content_parts (
    sha256 text NOT NULL REFERENCES workbench.contents (sha256) ON DELETE CASCADE,
    part   integer NOT NULL,
    bytes  bytea NOT NULL,
    CONSTRAINT content_parts_pkey PRIMARY KEY (sha256, part),
    CONSTRAINT content_parts_part_check CHECK (part >= 0)
);

CREATE TABLE workbench.versions (
    -- Of the manifest; of a notebook that was promoted before there were manifests, of its content.
    sha256     text PRIMARY KEY,
    -- The notebook's file name, and the hash of the stored file.
    name       text NOT NULL,
    notebook   text NOT NULL,
    -- The modules and files by hash. NULL: promoted before there were manifests, the notebook alone.
    manifest   jsonb,
    commit     text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT versions_sha256_check CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT versions_name_check CHECK (name <> '')
);

-- What was promoted is never changed. Only the owner of the tables may delete: a copy that is damaged, or what no
-- deployment and no run needs any more.
CREATE FUNCTION workbench.keep_contents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_has_role(
        current_user, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '%.% holds what was promoted, and is never changed', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER contents_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON workbench.contents
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.keep_contents();
CREATE TRIGGER content_parts_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON workbench.content_parts
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.keep_contents();
CREATE TRIGGER versions_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON workbench.versions
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.keep_contents();
ALTER TABLE workbench.contents ENABLE ALWAYS TRIGGER contents_kept;
ALTER TABLE workbench.content_parts ENABLE ALWAYS TRIGGER content_parts_kept;
ALTER TABLE workbench.versions ENABLE ALWAYS TRIGGER versions_kept;
