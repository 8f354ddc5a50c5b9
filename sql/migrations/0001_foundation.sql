-- The foundation: run records and the event outbox (schema workbench), and the first three services'
-- schemas. Timestamps are timestamptz; prices and quantities hold eight decimals; ratios are float8.

CREATE SCHEMA workbench;
CREATE SCHEMA data_ingestion;
CREATE SCHEMA strategy_engine;
CREATE SCHEMA logging;

-- ---------------------------------------------------------------------------------------------- workbench

CREATE TABLE workbench.runs (
    run_id          uuid PRIMARY KEY,
    notebook        text NOT NULL,
    notebook_sha256 text,
    parameters      jsonb NOT NULL DEFAULT '{}',
    trigger         text NOT NULL,
    status          text NOT NULL DEFAULT 'running',
    code_version    text,
    data_revisions  jsonb NOT NULL DEFAULT '{}',
    headline        jsonb NOT NULL DEFAULT '{}',
    deployment      text,
    scheduled_for   timestamptz,
    flow_run_id     uuid,
    output_path     text,
    html_path       text,
    error           text,
    started_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    CONSTRAINT runs_trigger_check CHECK (trigger IN ('interactive', 'command', 'deployment')),
    CONSTRAINT runs_status_check CHECK (status IN ('running', 'completed', 'failed', 'crashed')),
    CONSTRAINT runs_ended_check CHECK ((status = 'running') = (ended_at IS NULL))
);
CREATE INDEX runs_started_at_idx ON workbench.runs (started_at DESC);
-- A scheduled moment of a deployment is worked on, or has been done, at most once; a failed one may be retried.
CREATE UNIQUE INDEX runs_deployment_scheduled_for_key ON workbench.runs (deployment, scheduled_for)
    WHERE status IN ('running', 'completed');

CREATE TABLE workbench.events (
    event_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type         text NOT NULL,
    service      text NOT NULL,
    key          text NOT NULL DEFAULT '',
    data         jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz,
    prefect_at   timestamptz
);
CREATE INDEX events_unpublished_idx ON workbench.events (event_id) WHERE published_at IS NULL;
CREATE INDEX events_not_in_prefect_idx ON workbench.events (event_id) WHERE prefect_at IS NULL;

-- The relay sleeps on this channel; a rolled-back transaction wakes nobody.
CREATE FUNCTION workbench.announce_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('workbench_events', '');
    RETURN NULL;
END $$;
CREATE TRIGGER announce_events AFTER INSERT ON workbench.events
    FOR EACH STATEMENT EXECUTE FUNCTION workbench.announce_events();

-- The fence: a writer calls this in its own transaction. The share lock makes "declared dead" and
-- "still writing" take turns: whoever comes second sees what the first one did.
CREATE FUNCTION workbench.require_live_run(run uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    found_status text;
BEGIN
    SELECT r.status INTO found_status FROM workbench.runs r WHERE r.run_id = run FOR SHARE;
    IF found_status IS DISTINCT FROM 'running' THEN
        RAISE EXCEPTION 'run % is %', run, coalesce(found_status, 'unknown') USING ERRCODE = 'WB001';
    END IF;
END $$;

-- --------------------------------------------------------------------------------------- data_ingestion

CREATE SEQUENCE data_ingestion.market_data_id_seq AS bigint;
CREATE TABLE data_ingestion.market_data (
    id          bigint NOT NULL DEFAULT nextval('data_ingestion.market_data_id_seq'),
    symbol      text NOT NULL,
    timestamp   timestamptz NOT NULL,
    open        numeric(20, 8) NOT NULL,
    high        numeric(20, 8) NOT NULL,
    low         numeric(20, 8) NOT NULL,
    close       numeric(20, 8) NOT NULL,
    volume      numeric(24, 8) NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    data_source text NOT NULL DEFAULT 'polygon',
    CONSTRAINT market_data_pkey PRIMARY KEY (symbol, timestamp, data_source),
    CONSTRAINT market_data_source_check
        CHECK (data_source IN ('polygon', 'yahoo', 'yahoo_adjusted', 'alpaca', 'file')),
    CONSTRAINT market_data_symbol_check CHECK (symbol <> ''),
    CONSTRAINT market_data_prices_check
        CHECK (low > 0 AND high >= low AND open BETWEEN low AND high AND close BETWEEN low AND high
               AND high < 'Infinity'::numeric),
    CONSTRAINT market_data_volume_check CHECK (volume >= 0 AND volume < 'Infinity'::numeric)
) PARTITION BY RANGE (timestamp);
ALTER SEQUENCE data_ingestion.market_data_id_seq OWNED BY data_ingestion.market_data.id;

-- Every timestamp has a home: a partition a year from 1990 to 2039, and one at each end.
DO $$
BEGIN
    EXECUTE $ddl$CREATE TABLE data_ingestion.market_data_until_1990 PARTITION OF data_ingestion.market_data
        FOR VALUES FROM (MINVALUE) TO ('1990-01-01 00:00+00')$ddl$;
    FOR year IN 1990..2039 LOOP
        EXECUTE format(
            'CREATE TABLE data_ingestion.market_data_%s PARTITION OF data_ingestion.market_data '
            'FOR VALUES FROM (%L) TO (%L)',
            year, format('%s-01-01 00:00+00', year), format('%s-01-01 00:00+00', year + 1));
    END LOOP;
    EXECUTE $ddl$CREATE TABLE data_ingestion.market_data_from_2040 PARTITION OF data_ingestion.market_data
        FOR VALUES FROM ('2040-01-01 00:00+00') TO (MAXVALUE)$ddl$;
END $$;

CREATE TABLE data_ingestion.data_quality_logs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol      text NOT NULL,
    data_source text NOT NULL,
    origin      text NOT NULL DEFAULT '',
    row_number  bigint NOT NULL,
    timestamp   timestamptz,
    rule        text NOT NULL,
    severity    text NOT NULL DEFAULT 'error',
    reason      text NOT NULL,
    raw         jsonb NOT NULL DEFAULT '{}',
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT data_quality_logs_key UNIQUE (symbol, data_source, origin, row_number, rule),
    CONSTRAINT data_quality_logs_severity_check CHECK (severity IN ('info', 'warning', 'error'))
);

CREATE TABLE data_ingestion.ingestion_status (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol          text NOT NULL,
    data_source     text NOT NULL,
    first_bar       timestamptz,
    last_bar        timestamptz,
    bars            bigint NOT NULL DEFAULT 0,
    revision        bigint NOT NULL DEFAULT 0,
    last_success_at timestamptz,
    last_error_at   timestamptz,
    last_error      text,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ingestion_status_key UNIQUE (symbol, data_source)
);

-- Whoever changes bars, by whatever path, moves the series' revision on in the same transaction.
CREATE FUNCTION data_ingestion.note_new_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO data_ingestion.ingestion_status AS s
        (symbol, data_source, first_bar, last_bar, bars, revision, updated_at)
    SELECT n.symbol, n.data_source, min(n."timestamp"), max(n."timestamp"), count(*), 1, now()
    FROM new_bars n GROUP BY n.symbol, n.data_source ORDER BY n.symbol, n.data_source
    ON CONFLICT (symbol, data_source) DO UPDATE SET
        first_bar = least(s.first_bar, excluded.first_bar),
        last_bar = greatest(s.last_bar, excluded.last_bar),
        bars = s.bars + excluded.bars,
        revision = s.revision + 1,
        updated_at = now();
    RETURN NULL;
END $$;

CREATE FUNCTION data_ingestion.recount_bars(symbols text[], sources text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog AS $$
    INSERT INTO data_ingestion.ingestion_status AS s
        (symbol, data_source, first_bar, last_bar, bars, revision, updated_at)
    SELECT c.symbol, c.data_source, whole.first_bar, whole.last_bar, whole.bars, 1, now()
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
        updated_at = now();
$$;

CREATE FUNCTION data_ingestion.note_updated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    -- Both sides: an update may hand bars from one series to another.
    PERFORM data_ingestion.recount_bars(array_agg(c.symbol), array_agg(c.data_source))
    FROM (SELECT DISTINCT symbol, data_source FROM old_bars
          UNION SELECT DISTINCT symbol, data_source FROM new_bars) c;
    RETURN NULL;
END $$;

CREATE FUNCTION data_ingestion.note_deleted_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM data_ingestion.recount_bars(array_agg(c.symbol), array_agg(c.data_source))
    FROM (SELECT DISTINCT symbol, data_source FROM old_bars) c;
    RETURN NULL;
END $$;

CREATE FUNCTION data_ingestion.note_truncated_bars() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM data_ingestion.recount_bars(array_agg(s.symbol), array_agg(s.data_source))
    FROM data_ingestion.ingestion_status s WHERE s.bars > 0;
    RETURN NULL;
END $$;

-- On the whole table and on each part of it: a statement fires the triggers of the table that it names.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('data_ingestion.market_data') LOOP
        EXECUTE format(
            'CREATE TRIGGER note_new_bars AFTER INSERT ON %s REFERENCING NEW TABLE AS new_bars '
            'FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.note_new_bars()', part);
        EXECUTE format(
            'CREATE TRIGGER note_updated_bars AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_bars '
            'NEW TABLE AS new_bars FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.note_updated_bars()', part);
        EXECUTE format(
            'CREATE TRIGGER note_deleted_bars AFTER DELETE ON %s REFERENCING OLD TABLE AS old_bars '
            'FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.note_deleted_bars()', part);
        EXECUTE format(
            'CREATE TRIGGER note_truncated_bars AFTER TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION data_ingestion.note_truncated_bars()', part);
    END LOOP;
END $$;

-- -------------------------------------------------------------------------------------- strategy_engine

CREATE TABLE strategy_engine.strategies (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy_id text NOT NULL UNIQUE,
    name        text NOT NULL,
    parameters  jsonb NOT NULL DEFAULT '{}',
    status      text NOT NULL DEFAULT 'inactive',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT strategies_status_check CHECK (status IN ('active', 'inactive', 'paused'))
);

CREATE TABLE strategy_engine.strategy_signals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id   text NOT NULL UNIQUE,
    strategy_id text NOT NULL REFERENCES strategy_engine.strategies (strategy_id),
    symbol      text NOT NULL,
    timestamp   timestamptz NOT NULL,
    signal      text NOT NULL,
    strength    double precision NOT NULL DEFAULT 1,
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT strategy_signals_signal_check CHECK (signal IN ('buy', 'sell', 'hold')),
    CONSTRAINT strategy_signals_strength_check CHECK (strength BETWEEN 0 AND 1)
);
CREATE INDEX strategy_signals_strategy_idx
    ON strategy_engine.strategy_signals (strategy_id, symbol, timestamp);

CREATE TABLE strategy_engine.strategy_configs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy_id text NOT NULL REFERENCES strategy_engine.strategies (strategy_id),
    version     integer NOT NULL,
    config      jsonb NOT NULL DEFAULT '{}',
    active      boolean NOT NULL DEFAULT false,
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT strategy_configs_key UNIQUE (strategy_id, version),
    CONSTRAINT strategy_configs_version_check CHECK (version > 0)
);

CREATE TABLE strategy_engine.strategy_performance (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy_id  text NOT NULL REFERENCES strategy_engine.strategies (strategy_id),
    date         date NOT NULL,
    returns      double precision NOT NULL,
    sharpe_ratio double precision,
    max_drawdown double precision,
    total_trades bigint,
    win_rate     double precision,
    run_id       uuid REFERENCES workbench.runs (run_id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT strategy_performance_key UNIQUE (strategy_id, date)
);

-- ---------------------------------------------------------------------------------------------- logging

CREATE TABLE logging.system_logs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timestamp      timestamptz NOT NULL DEFAULT now(),
    service        text NOT NULL,
    level          text NOT NULL,
    event_type     text NOT NULL DEFAULT 'log',
    message        text NOT NULL,
    correlation_id text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT system_logs_level_check CHECK (level IN ('debug', 'info', 'warning', 'error', 'critical'))
);
CREATE INDEX system_logs_timestamp_idx ON logging.system_logs (timestamp DESC);

CREATE TABLE logging.trading_logs (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timestamp         timestamptz NOT NULL DEFAULT now(),
    trade_id          text,
    symbol            text NOT NULL,
    side              text NOT NULL,
    quantity          numeric(24, 8) NOT NULL,
    price             numeric(20, 8),
    strategy          text,
    execution_time_ms double precision,
    status            text NOT NULL,
    error_message     text,
    correlation_id    text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT trading_logs_side_check CHECK (side IN ('buy', 'sell'))
);
CREATE INDEX trading_logs_timestamp_idx ON logging.trading_logs (timestamp DESC);

CREATE TABLE logging.performance_logs (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timestamp         timestamptz NOT NULL DEFAULT now(),
    service           text NOT NULL,
    operation         text NOT NULL,
    execution_time_ms double precision NOT NULL,
    memory_usage_mb   double precision,
    cpu_usage_percent double precision,
    metadata          jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX performance_logs_timestamp_idx ON logging.performance_logs (timestamp DESC);
