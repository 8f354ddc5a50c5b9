-- What a run ran beside its notebook: the project's modules and files, by path, each with its SHA-256; and of a
-- promoted notebook the hash of its version, which covers all of them.

-- Without a rewrite of the table: defaults that are constant are kept once.
ALTER TABLE workbench.runs
    ADD COLUMN version_sha256 text,
    ADD COLUMN modules jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN files   jsonb NOT NULL DEFAULT '{}';
