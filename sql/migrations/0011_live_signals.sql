-- Signals and performance of two kinds: what the last backtest says, replaced with each save, and what live runs have
-- said, kept as it was said.

-- -------------------------------------------------------------------------------------------------- signals

-- `version`: the promoted version that said it. `said_at`: when, by the server's clock. `target`: the position that is
-- wanted, as a fraction of equity. `reason`: why it is a hold that nobody decided.
ALTER TABLE strategy_engine.strategy_signals
    ADD COLUMN kind       text NOT NULL DEFAULT 'backtest',
    ADD COLUMN deployment text,
    ADD COLUMN version    text,
    ADD COLUMN slot       timestamptz,
    ADD COLUMN member     text NOT NULL DEFAULT '',
    ADD COLUMN said_at    timestamptz,
    ADD COLUMN target     double precision,
    ADD COLUMN reason     text,
    -- Of a symbol without any bar there is still something to say.
    ALTER COLUMN "timestamp" DROP NOT NULL,
    ADD CONSTRAINT strategy_signals_kind_check CHECK (kind IN ('backtest', 'live')),
    ADD CONSTRAINT strategy_signals_bar_check
        CHECK ("timestamp" IS NOT NULL OR (kind = 'live' AND signal = 'hold' AND reason IS NOT NULL)),
    ADD CONSTRAINT strategy_signals_target_check
        CHECK (target > '-Infinity'::float8 AND target < 'Infinity'::float8),
    ADD CONSTRAINT strategy_signals_live_check
        CHECK (CASE kind WHEN 'live' THEN num_nulls(deployment, slot, said_at, run_id) = 0
                         ELSE num_nonnulls(deployment, version, slot, said_at, target, reason) = 0 END);
CREATE UNIQUE INDEX strategy_signals_live_key ON strategy_engine.strategy_signals (deployment, slot, member, symbol)
    WHERE kind = 'live';

-- Grants cannot part the kinds, so triggers do. They hold for the owner and for replicas too: ENABLE ALWAYS.
CREATE FUNCTION strategy_engine.keep_as_said() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '%.% keeps what was said as it was said: no such row is changed, deleted or truncated',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'WB002';
END $$;

-- When it was said and by which version, nobody can claim: the server writes it down.
CREATE FUNCTION strategy_engine.say_live() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    said_by workbench.runs%ROWTYPE;
BEGIN
    SELECT * INTO said_by FROM workbench.runs r WHERE r.run_id = NEW.run_id FOR SHARE;
    IF said_by.status IS DISTINCT FROM 'running' OR said_by.purpose IS DISTINCT FROM 'live'
        OR (said_by.deployment, said_by.slot, said_by.member)
           IS DISTINCT FROM (NEW.deployment, NEW.slot, NEW.member)
    THEN
        RAISE EXCEPTION 'a live signal of % for % is said by a running live run of that deployment and slot, '
            'when it saves a result; run % is none', NEW.deployment, NEW.slot, coalesce(NEW.run_id::text, '(none)')
            USING ERRCODE = 'WB002';
    END IF;
    IF NEW."timestamp" > NEW.slot THEN
        RAISE EXCEPTION 'a live signal of % for % is of a bar that was complete then, and not of the bar at %',
            NEW.symbol, NEW.slot, NEW."timestamp" USING ERRCODE = 'WB002';
    END IF;
    NEW.said_at := clock_timestamp();
    NEW.version := said_by.version_sha256;
    RETURN NEW;
END $$;

CREATE TRIGGER say_live BEFORE INSERT ON strategy_engine.strategy_signals
    FOR EACH ROW WHEN (NEW.kind = 'live') EXECUTE FUNCTION strategy_engine.say_live();
CREATE TRIGGER keep_as_said_update BEFORE UPDATE ON strategy_engine.strategy_signals
    FOR EACH ROW WHEN (OLD.kind = 'live' OR NEW.kind = 'live') EXECUTE FUNCTION strategy_engine.keep_as_said();
CREATE TRIGGER keep_as_said_delete BEFORE DELETE ON strategy_engine.strategy_signals
    FOR EACH ROW WHEN (OLD.kind = 'live') EXECUTE FUNCTION strategy_engine.keep_as_said();
CREATE TRIGGER keep_as_said_truncate BEFORE TRUNCATE ON strategy_engine.strategy_signals
    FOR EACH STATEMENT EXECUTE FUNCTION strategy_engine.keep_as_said();
ALTER TABLE strategy_engine.strategy_signals ENABLE ALWAYS TRIGGER say_live;
ALTER TABLE strategy_engine.strategy_signals ENABLE ALWAYS TRIGGER keep_as_said_update;
ALTER TABLE strategy_engine.strategy_signals ENABLE ALWAYS TRIGGER keep_as_said_delete;
ALTER TABLE strategy_engine.strategy_signals ENABLE ALWAYS TRIGGER keep_as_said_truncate;

-- ------------------------------------------------------------------------------------------- contradictions

-- What a run would have said about what had been said already. `said_…`: what was said, and by which run.
CREATE TABLE strategy_engine.signal_contradictions (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment     text NOT NULL,
    slot           timestamptz NOT NULL,
    member         text NOT NULL DEFAULT '',
    symbol         text NOT NULL,
    said_timestamp timestamptz,
    said_signal    text NOT NULL,
    said_strength  double precision NOT NULL,
    said_target    double precision,
    said_run_id    uuid REFERENCES workbench.runs (run_id),
    "timestamp"    timestamptz,
    signal         text NOT NULL,
    strength       double precision NOT NULL,
    target         double precision,
    run_id         uuid REFERENCES workbench.runs (run_id),
    cause          text NOT NULL,
    -- For each cause, what differs between the two runs.
    details        jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signal_contradictions_said_check CHECK (said_signal IN ('buy', 'sell', 'hold')),
    CONSTRAINT signal_contradictions_signal_check CHECK (signal IN ('buy', 'sell', 'hold')),
    CONSTRAINT signal_contradictions_cause_check
        CHECK (cause IN ('bars_revised', 'code', 'parameters', 'nondeterminism'))
);
CREATE INDEX signal_contradictions_slot_idx ON strategy_engine.signal_contradictions (deployment, slot);
CREATE INDEX signal_contradictions_run_idx ON strategy_engine.signal_contradictions (run_id);
CREATE INDEX signal_contradictions_said_idx ON strategy_engine.signal_contradictions (said_run_id);

CREATE TRIGGER keep_as_said BEFORE UPDATE OR DELETE ON strategy_engine.signal_contradictions
    FOR EACH ROW EXECUTE FUNCTION strategy_engine.keep_as_said();
CREATE TRIGGER keep_as_said_truncate BEFORE TRUNCATE ON strategy_engine.signal_contradictions
    FOR EACH STATEMENT EXECUTE FUNCTION strategy_engine.keep_as_said();
ALTER TABLE strategy_engine.signal_contradictions ENABLE ALWAYS TRIGGER keep_as_said;
ALTER TABLE strategy_engine.signal_contradictions ENABLE ALWAYS TRIGGER keep_as_said_truncate;

-- --------------------------------------------------------------------------------------------- performance

ALTER TABLE strategy_engine.strategy_performance
    ADD COLUMN kind       text NOT NULL DEFAULT 'backtest',
    ADD COLUMN deployment text,
    ADD COLUMN member     text NOT NULL DEFAULT '',
    ADD CONSTRAINT strategy_performance_kind_check CHECK (kind IN ('backtest', 'live')),
    ADD CONSTRAINT strategy_performance_live_check CHECK ((kind = 'live') = (deployment IS NOT NULL)),
    DROP CONSTRAINT strategy_performance_key;
CREATE UNIQUE INDEX strategy_performance_key ON strategy_engine.strategy_performance (strategy_id, date)
    WHERE kind = 'backtest';
CREATE UNIQUE INDEX strategy_performance_live_key
    ON strategy_engine.strategy_performance (deployment, member, strategy_id, date) WHERE kind = 'live';
