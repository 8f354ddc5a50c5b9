-- What a series of bars grew from, so that a copy of it elsewhere can tell whether it is still true; and
-- the corporate actions by which raw prices are adjusted.

-- The last tags of each series, oldest first: every change of its bars adds a new random one. A change that
-- only adds bars after the last one keeps the tags before it; any other change forgets them. Whoever holds
-- the bars of the last tag holds the series; whoever holds those of an earlier one lacks only the bars after
-- their last; whoever holds those of a tag that is not there must start anew. Random, so that a restored
-- backup or a second copy of the database cannot bring back a tag for other bars.
ALTER TABLE data_ingestion.ingestion_status ADD COLUMN lineage uuid[] NOT NULL DEFAULT '{}';
UPDATE data_ingestion.ingestion_status SET lineage = ARRAY[gen_random_uuid()] WHERE bars > 0;

CREATE OR REPLACE FUNCTION data_ingestion.note_new_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO data_ingestion.ingestion_status AS s
        (symbol, data_source, first_bar, last_bar, bars, revision, lineage, updated_at)
    SELECT n.symbol, n.data_source, min(n."timestamp"), max(n."timestamp"), count(*), 1,
           ARRAY[gen_random_uuid()], now()
    FROM new_bars n GROUP BY n.symbol, n.data_source ORDER BY n.symbol, n.data_source
    ON CONFLICT (symbol, data_source) DO UPDATE SET
        first_bar = least(s.first_bar, excluded.first_bar),
        last_bar = greatest(s.last_bar, excluded.last_bar),
        bars = s.bars + excluded.bars,
        revision = s.revision + 1,
        lineage = CASE WHEN excluded.first_bar > s.last_bar
            -- The 16 newest: who comes back after more appends than that reads the series anew.
            THEN (s.lineage || excluded.lineage)[greatest(1, cardinality(s.lineage) - 14):]
            ELSE excluded.lineage END,
        updated_at = now();
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION data_ingestion.recount_bars(symbols text[], sources text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO data_ingestion.ingestion_status AS s
        (symbol, data_source, first_bar, last_bar, bars, revision, lineage, updated_at)
    SELECT c.symbol, c.data_source, whole.first_bar, whole.last_bar, whole.bars, 1,
           ARRAY[gen_random_uuid()], now()
    FROM (SELECT DISTINCT * FROM unnest(symbols, sources) AS u (symbol, data_source)) c,
         LATERAL (SELECT min(m."timestamp") AS first_bar, max(m."timestamp") AS last_bar, count(*) AS bars
                  FROM data_ingestion.market_data m
                  WHERE m.symbol = c.symbol AND m.data_source = c.data_source) whole
    ORDER BY c.symbol, c.data_source
    ON CONFLICT (symbol, data_source) DO UPDATE SET
        first_bar = excluded.first_bar,
        last_bar = excluded.last_bar,
        bars = excluded.bars,
        revision = s.revision + 1,
        lineage = excluded.lineage,
        updated_at = now();
$$;

CREATE OR REPLACE FUNCTION data_ingestion.note_updated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT symbol, data_source, "timestamp" FROM old_bars
               EXCEPT SELECT symbol, data_source, "timestamp" FROM new_bars) THEN
        -- Both sides: an update may hand bars from one series to another.
        PERFORM data_ingestion.recount_bars(array_agg(c.symbol), array_agg(c.data_source))
        FROM (SELECT DISTINCT symbol, data_source FROM old_bars
              UNION SELECT DISTINCT symbol, data_source FROM new_bars) c;
    ELSE
        -- Corrected values, the usual case: first, last and number stay, whatever the series' length.
        UPDATE data_ingestion.ingestion_status s
        SET revision = s.revision + 1, lineage = ARRAY[gen_random_uuid()], updated_at = now()
        FROM (SELECT l.symbol, l.data_source FROM data_ingestion.ingestion_status l
              JOIN (SELECT DISTINCT symbol, data_source FROM new_bars) n
                  ON n.symbol = l.symbol AND n.data_source = l.data_source
              ORDER BY l.symbol, l.data_source FOR UPDATE OF l) c
        WHERE s.symbol = c.symbol AND s.data_source = c.data_source;
    END IF;
    RETURN NULL;
END $$;

-- They count also where a replication role writes, which ordinary triggers sleep through.
DO $$
DECLARE
    part regclass;
    name text;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('data_ingestion.market_data') LOOP
        FOREACH name IN ARRAY ARRAY['note_new_bars', 'note_updated_bars', 'note_deleted_bars',
                                    'note_truncated_bars'] LOOP
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', part, name);
        END LOOP;
    END LOOP;
END $$;

-- One vendor's daily and minute bars are two series: "polygon" and "polygon_1min".
ALTER TABLE data_ingestion.market_data DROP CONSTRAINT market_data_source_check;
ALTER TABLE data_ingestion.market_data ADD CONSTRAINT market_data_source_check
    CHECK (data_source IN ('polygon', 'yahoo', 'yahoo_adjusted', 'alpaca', 'file')
           OR data_source ~ '^(polygon|yahoo|alpaca|file)_[a-z0-9_]+$');

CREATE TABLE data_ingestion.corporate_actions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol      text NOT NULL,
    data_source text NOT NULL,
    ex_date     date NOT NULL,
    kind        text NOT NULL,
    value       double precision NOT NULL,
    applied     boolean NOT NULL DEFAULT false,
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT corporate_actions_key UNIQUE (symbol, data_source, ex_date, kind),
    CONSTRAINT corporate_actions_kind_check CHECK (kind IN ('split', 'dividend')),
    CONSTRAINT corporate_actions_value_check CHECK (value > 0 AND value < 'Infinity'::float8)
);
