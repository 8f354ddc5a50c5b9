-- Bars as they were known: what each write changed, when it was committed, and the versions that it replaced.

-- A row for each change of a series, in the order of their commits: `ingestion_status` moves the revision on, and the
-- lock on its row makes writers of one series take turns. The oldest row of a series says where its history begins:
-- `before` is the state that an upgrade found; `trimmed_at` says that older versions were removed then.
CREATE TABLE data_ingestion.series_revisions (
    symbol        text NOT NULL,
    data_source   text NOT NULL,
    revision      bigint NOT NULL,
    kind          text NOT NULL,
    -- Of the bars that were written or removed: the first, the last, how many.
    first_changed timestamptz,
    last_changed  timestamptz,
    changed       bigint NOT NULL DEFAULT 0,
    -- The series afterwards. Every bar that it then had lies between the two.
    first_bar     timestamptz,
    last_bar      timestamptz,
    bars          bigint NOT NULL,
    -- NULL until the transaction commits, so seen by nobody else: the time that a trigger reads at the commit. What
    -- now() gives is the transaction's start, and says nothing of what others saw.
    committed_at  timestamptz,
    trimmed_at    timestamptz,
    CONSTRAINT series_revisions_pkey PRIMARY KEY (symbol, data_source, revision),
    CONSTRAINT series_revisions_kind_check
        CHECK (kind IN ('before', 'inserted', 'updated', 'deleted', 'truncated'))
);
CREATE INDEX series_revisions_uncommitted_idx ON data_ingestion.series_revisions (symbol)
    WHERE committed_at IS NULL;

-- The version of a bar that the series' revision `until_revision` replaced or removed. Without prices: there was no
-- bar before that revision. A bar that was added outside of the series' first and last one has no such row: that it
-- was not there before is told by those of the revisions before. So an append adds nothing here.
CREATE TABLE data_ingestion.market_data_history (
    symbol         text NOT NULL,
    data_source    text NOT NULL,
    until_revision bigint NOT NULL,
    timestamp      timestamptz NOT NULL,
    open           numeric(20, 8),
    high           numeric(20, 8),
    low            numeric(20, 8),
    close          numeric(20, 8),
    volume         numeric(24, 8),
    -- When the bar itself was inserted.
    created_at     timestamptz,
    CONSTRAINT market_data_history_pkey PRIMARY KEY (symbol, data_source, until_revision, timestamp)
);

-- No bar is written between here and the end, or its revision would have no row.
LOCK TABLE data_ingestion.market_data IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE data_ingestion.ingestion_status IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO data_ingestion.series_revisions
    (symbol, data_source, revision, kind, first_bar, last_bar, bars, committed_at)
SELECT symbol, data_source, revision, 'before', first_bar, last_bar, bars, updated_at
FROM data_ingestion.ingestion_status WHERE revision > 0;

-- All revisions of a transaction bear one time. Nobody else's row without a time is visible here.
CREATE FUNCTION data_ingestion.stamp_revisions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    IF EXISTS (SELECT FROM data_ingestion.series_revisions r
               WHERE r.symbol = NEW.symbol AND r.data_source = NEW.data_source AND r.revision = NEW.revision
                     AND r.committed_at IS NULL) THEN
        UPDATE data_ingestion.series_revisions SET committed_at = moment WHERE committed_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER stamp_revisions AFTER INSERT ON data_ingestion.series_revisions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION data_ingestion.stamp_revisions();
ALTER TABLE data_ingestion.series_revisions ENABLE ALWAYS TRIGGER stamp_revisions;

-- Only the functions of this file change the two tables; they run as the tables' owner. Grants cannot say so: a
-- service's role may write every table of its schema.
CREATE FUNCTION data_ingestion.refuse_change_of_history() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'rows of % are kept by triggers, and changed by nobody', TG_RELID::regclass
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['data_ingestion.series_revisions', 'data_ingestion.market_data_history'] LOOP
        EXECUTE format(
            'CREATE TRIGGER refuse_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.refuse_change_of_history()', name);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change', name);
    END LOOP;
END $$;

-- The revision after every one that the log knows: also where a row of `ingestion_status` was deleted since.
CREATE FUNCTION data_ingestion.next_revision(of_symbol text, of_source text) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT coalesce(max(r.revision), 0) + 1 FROM data_ingestion.series_revisions r
    WHERE r.symbol = of_symbol AND r.data_source = of_source
$$;

CREATE OR REPLACE FUNCTION data_ingestion.note_new_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    symbols text[];
    sources text[];
    revisions bigint[];
    firsts timestamptz[];
    lasts timestamptz[];
BEGIN
    -- One pass over the new bars, which is all that an append costs.
    WITH added AS MATERIALIZED (
        SELECT n.symbol, n.data_source, min(n."timestamp") AS first_bar, max(n."timestamp") AS last_bar,
               count(*) AS bars
        FROM new_bars n GROUP BY n.symbol, n.data_source
    ), moved AS (
        INSERT INTO data_ingestion.ingestion_status AS s
            (symbol, data_source, first_bar, last_bar, bars, revision, lineage, updated_at)
        SELECT a.symbol, a.data_source, a.first_bar, a.last_bar, a.bars,
               data_ingestion.next_revision(a.symbol, a.data_source), ARRAY[gen_random_uuid()], now()
        FROM added a ORDER BY a.symbol, a.data_source
        ON CONFLICT (symbol, data_source) DO UPDATE SET
            first_bar = least(s.first_bar, excluded.first_bar),
            last_bar = greatest(s.last_bar, excluded.last_bar),
            bars = s.bars + excluded.bars,
            revision = greatest(s.revision + 1, excluded.revision),
            lineage = CASE WHEN excluded.first_bar > s.last_bar
                -- The 16 newest: who comes back after more appends than that reads the series anew.
                THEN (s.lineage || excluded.lineage)[greatest(1, cardinality(s.lineage) - 14):]
                ELSE excluded.lineage END,
            updated_at = now()
        RETURNING s.symbol, s.data_source, s.revision, s.first_bar, s.last_bar, s.bars,
                  -- Of an append, which needs no more than this statement.
                  cardinality(s.lineage) > 1 AS appended
    ), logged AS (
        INSERT INTO data_ingestion.series_revisions
            (symbol, data_source, revision, kind, first_changed, last_changed, changed, first_bar, last_bar, bars)
        SELECT m.symbol, m.data_source, m.revision, 'inserted', a.first_bar, a.last_bar, a.bars,
               m.first_bar, m.last_bar, m.bars
        FROM moved m JOIN added a ON a.symbol = m.symbol AND a.data_source = m.data_source
        RETURNING symbol, data_source, revision, first_changed, last_changed
    )
    SELECT array_agg(l.symbol), array_agg(l.data_source), array_agg(l.revision),
           array_agg(l.first_changed), array_agg(l.last_changed)
    INTO symbols, sources, revisions, firsts, lasts
    FROM logged l JOIN moved m ON m.symbol = l.symbol AND m.data_source = l.data_source
    WHERE NOT m.appended AND l.revision > 1;
    IF symbols IS NULL THEN
        RETURN NULL;
    END IF;

    -- Bars between the first and the last one that the series had. A statement of its own: it sees what was committed
    -- while the one above waited for the row of `ingestion_status`.
    SELECT array_agg(l.symbol), array_agg(l.data_source), array_agg(l.revision),
           array_agg(b.first_bar), array_agg(b.last_bar)
    INTO symbols, sources, revisions, firsts, lasts
    FROM unnest(symbols, sources, revisions, firsts, lasts)
             AS l (symbol, data_source, revision, first_changed, last_changed),
         LATERAL (SELECT r.first_bar, r.last_bar FROM data_ingestion.series_revisions r
                  WHERE r.symbol = l.symbol AND r.data_source = l.data_source AND r.revision < l.revision
                  ORDER BY r.revision DESC LIMIT 1) b
    WHERE l.first_changed <= b.last_bar AND l.last_changed >= b.first_bar;
    IF symbols IS NOT NULL THEN
        INSERT INTO data_ingestion.market_data_history (symbol, data_source, until_revision, "timestamp")
        SELECT n.symbol, n.data_source, l.revision, n."timestamp"
        FROM unnest(symbols, sources, revisions, firsts, lasts)
                 AS l (symbol, data_source, revision, first_bar, last_bar)
        JOIN new_bars n ON n.symbol = l.symbol AND n.data_source = l.data_source
             AND n."timestamp" BETWEEN l.first_bar AND l.last_bar;
    END IF;
    RETURN NULL;
END $$;

-- Move the revision of some series, each named once, on; count their bars anew where `counted`. Afterwards their rows of
-- `ingestion_status` are locked and say what the log is to say.
DROP FUNCTION data_ingestion.recount_bars(text[], text[]);
CREATE FUNCTION data_ingestion.move_revisions(symbols text[], sources text[], counted boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    there bigint;
BEGIN
    -- A statement of its own, so that the next one counts what was committed while this one waited.
    PERFORM FROM data_ingestion.ingestion_status s
    JOIN unnest(symbols, sources) AS c (symbol, data_source)
        ON c.symbol = s.symbol AND c.data_source = s.data_source
    ORDER BY s.symbol, s.data_source FOR UPDATE OF s;
    GET DIAGNOSTICS there = ROW_COUNT;
    -- A row that someone deleted is made anew.
    IF NOT counted AND there = cardinality(symbols) THEN
        UPDATE data_ingestion.ingestion_status s
        SET revision = greatest(s.revision + 1, data_ingestion.next_revision(s.symbol, s.data_source)),
            lineage = ARRAY[gen_random_uuid()], updated_at = now()
        FROM unnest(symbols, sources) AS c (symbol, data_source)
        WHERE s.symbol = c.symbol AND s.data_source = c.data_source;
        RETURN;
    END IF;
    INSERT INTO data_ingestion.ingestion_status AS s
        (symbol, data_source, first_bar, last_bar, bars, revision, lineage, updated_at)
    SELECT c.symbol, c.data_source, whole.first_bar, whole.last_bar, whole.bars,
           data_ingestion.next_revision(c.symbol, c.data_source), ARRAY[gen_random_uuid()], now()
    FROM unnest(symbols, sources) AS c (symbol, data_source),
         LATERAL (SELECT min(m."timestamp") AS first_bar, max(m."timestamp") AS last_bar, count(*) AS bars
                  FROM data_ingestion.market_data m
                  WHERE m.symbol = c.symbol AND m.data_source = c.data_source) whole
    ORDER BY c.symbol, c.data_source
    ON CONFLICT (symbol, data_source) DO UPDATE SET
        first_bar = excluded.first_bar,
        last_bar = excluded.last_bar,
        bars = excluded.bars,
        revision = greatest(s.revision + 1, excluded.revision),
        lineage = excluded.lineage,
        updated_at = now();
END $$;

CREATE OR REPLACE FUNCTION data_ingestion.note_updated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    symbols text[];
    sources text[];
    moved boolean;
BEGIN
    -- Otherwise values were corrected, the usual case: first, last and number stay, whatever the series' length.
    moved := EXISTS (SELECT symbol, data_source, "timestamp" FROM old_bars
                     EXCEPT SELECT symbol, data_source, "timestamp" FROM new_bars);
    -- Where bars moved both sides: an update may hand them from one series to another.
    SELECT array_agg(c.symbol), array_agg(c.data_source) INTO symbols, sources
    FROM (SELECT symbol, data_source FROM new_bars UNION SELECT symbol, data_source FROM old_bars WHERE moved) c;
    IF symbols IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM data_ingestion.move_revisions(symbols, sources, moved);
    INSERT INTO data_ingestion.series_revisions
        (symbol, data_source, revision, kind, first_changed, last_changed, changed, first_bar, last_bar, bars)
    SELECT s.symbol, s.data_source, s.revision, 'updated', c.first_changed, c.last_changed, c.changed,
           s.first_bar, s.last_bar, s.bars
    FROM (SELECT b.symbol, b.data_source, min(b."timestamp") AS first_changed, max(b."timestamp") AS last_changed,
                 count(*) AS changed
          FROM (SELECT symbol, data_source, "timestamp" FROM new_bars
                UNION ALL
                SELECT symbol, data_source, "timestamp" FROM old_bars o
                WHERE moved AND NOT EXISTS (SELECT FROM new_bars n WHERE n.symbol = o.symbol
                                            AND n.data_source = o.data_source AND n."timestamp" = o."timestamp")) b
          GROUP BY b.symbol, b.data_source) c
    JOIN data_ingestion.ingestion_status s ON s.symbol = c.symbol AND s.data_source = c.data_source;
    INSERT INTO data_ingestion.market_data_history
        (symbol, data_source, until_revision, "timestamp", open, high, low, close, volume, created_at)
    SELECT o.symbol, o.data_source, s.revision, o."timestamp", o.open, o.high, o.low, o.close, o.volume, o.created_at
    FROM old_bars o
    JOIN data_ingestion.ingestion_status s ON s.symbol = o.symbol AND s.data_source = o.data_source
    LEFT JOIN new_bars n
        ON n.symbol = o.symbol AND n.data_source = o.data_source AND n."timestamp" = o."timestamp"
    WHERE (n.open, n.high, n.low, n.close, n.volume) IS DISTINCT FROM (o.open, o.high, o.low, o.close, o.volume);
    IF moved THEN
        INSERT INTO data_ingestion.market_data_history (symbol, data_source, until_revision, "timestamp")
        SELECT n.symbol, n.data_source, s.revision, n."timestamp"
        FROM (SELECT symbol, data_source, "timestamp" FROM new_bars
              EXCEPT SELECT symbol, data_source, "timestamp" FROM old_bars) n
        JOIN data_ingestion.ingestion_status s ON s.symbol = n.symbol AND s.data_source = n.data_source;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION data_ingestion.note_deleted_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    symbols text[];
    sources text[];
BEGIN
    SELECT array_agg(c.symbol), array_agg(c.data_source) INTO symbols, sources
    FROM (SELECT DISTINCT symbol, data_source FROM old_bars) c;
    IF symbols IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM data_ingestion.move_revisions(symbols, sources, true);
    INSERT INTO data_ingestion.series_revisions
        (symbol, data_source, revision, kind, first_changed, last_changed, changed, first_bar, last_bar, bars)
    SELECT s.symbol, s.data_source, s.revision, 'deleted', min(o."timestamp"), max(o."timestamp"), count(*),
           s.first_bar, s.last_bar, s.bars
    FROM old_bars o
    JOIN data_ingestion.ingestion_status s ON s.symbol = o.symbol AND s.data_source = o.data_source
    GROUP BY s.id;
    INSERT INTO data_ingestion.market_data_history
        (symbol, data_source, until_revision, "timestamp", open, high, low, close, volume, created_at)
    SELECT o.symbol, o.data_source, s.revision, o."timestamp", o.open, o.high, o.low, o.close, o.volume, o.created_at
    FROM old_bars o
    JOIN data_ingestion.ingestion_status s ON s.symbol = o.symbol AND s.data_source = o.data_source;
    RETURN NULL;
END $$;

-- Before bars are truncated they are copied, all parts of the table first, then each part of it again, which finds its
-- own there. Their revision is the next one, to which `note_truncated_bars` moves each series.
CREATE FUNCTION data_ingestion.keep_truncated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM FROM data_ingestion.ingestion_status s WHERE s.bars > 0
    ORDER BY s.symbol, s.data_source FOR UPDATE OF s;
    EXECUTE format(
        'INSERT INTO data_ingestion.market_data_history '
        '    (symbol, data_source, until_revision, "timestamp", open, high, low, close, volume, created_at) '
        'SELECT m.symbol, m.data_source, '
        '       greatest(s.revision + 1, data_ingestion.next_revision(s.symbol, s.data_source)), '
        '       m."timestamp", m.open, m.high, m.low, m.close, m.volume, m.created_at '
        'FROM %s m JOIN data_ingestion.ingestion_status s '
        '    ON s.symbol = m.symbol AND s.data_source = m.data_source '
        'ON CONFLICT DO NOTHING', TG_RELID::regclass);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION data_ingestion.note_truncated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    symbols text[];
    sources text[];
BEGIN
    SELECT array_agg(s.symbol), array_agg(s.data_source) INTO symbols, sources
    FROM data_ingestion.ingestion_status s WHERE s.bars > 0;
    IF symbols IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM data_ingestion.move_revisions(symbols, sources, true);
    INSERT INTO data_ingestion.series_revisions
        (symbol, data_source, revision, kind, first_changed, last_changed, changed, first_bar, last_bar, bars)
    SELECT s.symbol, s.data_source, s.revision, 'truncated', h.first_changed, h.last_changed, h.changed,
           s.first_bar, s.last_bar, s.bars
    FROM unnest(symbols, sources) AS c (symbol, data_source)
    JOIN data_ingestion.ingestion_status s ON s.symbol = c.symbol AND s.data_source = c.data_source,
         LATERAL (SELECT min(k."timestamp") AS first_changed, max(k."timestamp") AS last_changed, count(*) AS changed
                  FROM data_ingestion.market_data_history k
                  WHERE k.symbol = s.symbol AND k.data_source = s.data_source AND k.until_revision = s.revision) h;
    RETURN NULL;
END $$;

DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('data_ingestion.market_data') LOOP
        EXECUTE format(
            'CREATE TRIGGER keep_truncated_bars BEFORE TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.keep_truncated_bars()', part);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER keep_truncated_bars', part);
    END LOOP;
END $$;

-- Forget the versions that were replaced longer than `keep` ago, whole revisions of a series at a time: the newest one
-- that is as old becomes the oldest that can still be read.
CREATE FUNCTION workbench.trim_bar_history(keep interval) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    removed bigint;
BEGIN
    IF keep < interval '1 day' THEN
        RAISE EXCEPTION 'old versions of bars are kept for at least a day, not %', keep;
    END IF;
    WITH floors AS MATERIALIZED (
        SELECT r.symbol, r.data_source, max(r.revision) AS revision FROM data_ingestion.series_revisions r
        WHERE r.committed_at < clock_timestamp() - keep GROUP BY r.symbol, r.data_source HAVING count(*) > 1
    ), forgotten AS (
        DELETE FROM data_ingestion.series_revisions r USING floors f
        WHERE r.symbol = f.symbol AND r.data_source = f.data_source AND r.revision < f.revision
    ), marked AS (
        UPDATE data_ingestion.series_revisions r SET trimmed_at = clock_timestamp() FROM floors f
        WHERE r.symbol = f.symbol AND r.data_source = f.data_source AND r.revision = f.revision
    ), gone AS (
        DELETE FROM data_ingestion.market_data_history h USING floors f
        WHERE h.symbol = f.symbol AND h.data_source = f.data_source AND h.until_revision <= f.revision
        RETURNING 1
    )
    SELECT count(*) INTO removed FROM gone;
    RETURN removed;
END $$;
