-- The other four services' schemas: orders and what became of them, risk limits, figures and reports, alerts.
-- Comparisons with 'Infinity' keep NaN out, which PostgreSQL counts as above every number.

CREATE SCHEMA execution;
CREATE SCHEMA risk_management;
CREATE SCHEMA analytics;
CREATE SCHEMA notification;

-- -------------------------------------------------------------------------------------------- execution

CREATE TYPE execution.order_side AS ENUM ('buy', 'sell');
CREATE TYPE execution.order_type AS ENUM ('market', 'limit', 'stop', 'stop_limit');
CREATE TYPE execution.order_status AS ENUM
    ('pending', 'submitted', 'filled', 'partially_filled', 'cancelled', 'rejected');

CREATE TABLE execution.orders (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   text NOT NULL UNIQUE,
    account_id text NOT NULL,
    symbol     text NOT NULL,
    side       execution.order_side NOT NULL,
    order_type execution.order_type NOT NULL,
    quantity   numeric(24, 8) NOT NULL,
    price      numeric(20, 8),
    status     execution.order_status NOT NULL DEFAULT 'pending',
    strategy   text,
    run_id     uuid REFERENCES workbench.runs (run_id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT orders_names_check CHECK (order_id <> '' AND account_id <> '' AND symbol <> ''),
    CONSTRAINT orders_quantity_check CHECK (quantity > 0 AND quantity < 'Infinity'::numeric),
    CONSTRAINT orders_price_check CHECK (price < 'Infinity'::numeric),
    CONSTRAINT orders_limit_check CHECK (order_type = 'market' OR price IS NOT NULL)
);
CREATE INDEX orders_created_at_idx ON execution.orders (created_at DESC);
CREATE INDEX orders_symbol_idx ON execution.orders (symbol, created_at);
CREATE INDEX orders_account_idx ON execution.orders (account_id, created_at);
CREATE INDEX orders_strategy_idx ON execution.orders (strategy, created_at);
CREATE INDEX orders_run_idx ON execution.orders (run_id);
-- What is still to be done is a small part of what there ever was.
CREATE INDEX orders_open_idx ON execution.orders (status, created_at)
    WHERE status IN ('pending', 'submitted', 'partially_filled');

-- A trade's side is its order's.
CREATE TABLE execution.trades (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trade_id    text NOT NULL UNIQUE,
    order_id    text NOT NULL REFERENCES execution.orders (order_id),
    account_id  text NOT NULL,
    symbol      text NOT NULL,
    quantity    numeric(24, 8) NOT NULL,
    price       numeric(20, 8) NOT NULL,
    commission  numeric(20, 8) NOT NULL DEFAULT 0,
    executed_at timestamptz NOT NULL,
    strategy    text,
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT trades_names_check CHECK (trade_id <> '' AND account_id <> '' AND symbol <> ''),
    CONSTRAINT trades_quantity_check CHECK (quantity > 0 AND quantity < 'Infinity'::numeric),
    -- Below zero there are prices (spreads, power, oil in April 2020) and commissions (rebates).
    CONSTRAINT trades_amounts_check CHECK (price < 'Infinity'::numeric AND commission < 'Infinity'::numeric)
);
CREATE INDEX trades_executed_at_idx ON execution.trades (executed_at DESC);
CREATE INDEX trades_order_idx ON execution.trades (order_id);
CREATE INDEX trades_symbol_idx ON execution.trades (symbol, executed_at);
CREATE INDEX trades_account_idx ON execution.trades (account_id, executed_at);
CREATE INDEX trades_strategy_idx ON execution.trades (strategy, executed_at);
CREATE INDEX trades_run_idx ON execution.trades (run_id);

CREATE TABLE execution.positions (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     text NOT NULL,
    symbol         text NOT NULL,
    quantity       numeric(24, 8) NOT NULL,
    avg_price      numeric(20, 8),
    market_value   numeric(24, 8),
    unrealized_pnl numeric(24, 8),
    run_id         uuid REFERENCES workbench.runs (run_id),
    last_updated   timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT positions_key UNIQUE (account_id, symbol),
    CONSTRAINT positions_names_check CHECK (account_id <> '' AND symbol <> ''),
    CONSTRAINT positions_quantity_check CHECK (quantity < 'Infinity'::numeric),
    CONSTRAINT positions_avg_price_check CHECK (avg_price < 'Infinity'::numeric),
    CONSTRAINT positions_market_value_check CHECK (market_value < 'Infinity'::numeric),
    CONSTRAINT positions_unrealized_pnl_check CHECK (unrealized_pnl < 'Infinity'::numeric)
);
CREATE INDEX positions_symbol_idx ON execution.positions (symbol);

-- Without a foreign key: what happened to an order that was never stored is told too.
CREATE TABLE execution.execution_logs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timestamp      timestamptz NOT NULL DEFAULT now(),
    order_id       text,
    trade_id       text,
    account_id     text,
    symbol         text,
    level          text NOT NULL DEFAULT 'info',
    event          text NOT NULL,
    message        text NOT NULL DEFAULT '',
    correlation_id text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    run_id         uuid REFERENCES workbench.runs (run_id),
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT execution_logs_level_check CHECK (level IN ('debug', 'info', 'warning', 'error', 'critical'))
);
CREATE INDEX execution_logs_timestamp_idx ON execution.execution_logs (timestamp DESC);
CREATE INDEX execution_logs_order_idx ON execution.execution_logs (order_id, timestamp);
CREATE INDEX execution_logs_correlation_idx ON execution.execution_logs (correlation_id);
CREATE INDEX execution_logs_run_idx ON execution.execution_logs (run_id);

-- -------------------------------------------------------------------------------------- risk_management

-- An account, a strategy or a symbol that is NULL stands for all of them.
CREATE TABLE risk_management.risk_limits (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    limit_id    text NOT NULL UNIQUE,
    account_id  text,
    strategy    text,
    symbol      text,
    metric      text NOT NULL,
    breached    text NOT NULL DEFAULT 'above',
    threshold   double precision NOT NULL,
    action      text NOT NULL DEFAULT 'alert',
    status      text NOT NULL DEFAULT 'active',
    description text NOT NULL DEFAULT '',
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT risk_limits_names_check CHECK (limit_id <> '' AND metric <> ''),
    CONSTRAINT risk_limits_breached_check CHECK (breached IN ('above', 'below')),
    CONSTRAINT risk_limits_threshold_check
        CHECK (threshold > '-Infinity'::float8 AND threshold < 'Infinity'::float8),
    CONSTRAINT risk_limits_action_check CHECK (action IN ('alert', 'block', 'reduce', 'halt')),
    CONSTRAINT risk_limits_status_check CHECK (status IN ('active', 'inactive', 'paused'))
);

CREATE TABLE risk_management.risk_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    text NOT NULL UNIQUE,
    limit_id    text REFERENCES risk_management.risk_limits (limit_id),
    timestamp   timestamptz NOT NULL DEFAULT now(),
    account_id  text,
    strategy    text,
    symbol      text,
    metric      text NOT NULL,
    observed    double precision,
    threshold   double precision,
    severity    text NOT NULL DEFAULT 'warning',
    message     text NOT NULL DEFAULT '',
    metadata    jsonb NOT NULL DEFAULT '{}',
    resolved_at timestamptz,
    resolution  text,
    run_id      uuid REFERENCES workbench.runs (run_id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT risk_events_names_check CHECK (event_id <> '' AND metric <> ''),
    CONSTRAINT risk_events_severity_check CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    CONSTRAINT risk_events_resolved_check CHECK (resolved_at >= timestamp)
);
CREATE INDEX risk_events_timestamp_idx ON risk_management.risk_events (timestamp DESC);
CREATE INDEX risk_events_limit_idx ON risk_management.risk_events (limit_id, timestamp);
CREATE INDEX risk_events_account_idx ON risk_management.risk_events (account_id, timestamp);
CREATE INDEX risk_events_strategy_idx ON risk_management.risk_events (strategy, timestamp);
CREATE INDEX risk_events_run_idx ON risk_management.risk_events (run_id);
CREATE INDEX risk_events_open_idx ON risk_management.risk_events (timestamp) WHERE resolved_at IS NULL;

CREATE TABLE risk_management.position_limits (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id   text NOT NULL,
    symbol       text NOT NULL,
    max_quantity numeric(24, 8),
    max_notional numeric(24, 8),
    max_weight   double precision,
    status       text NOT NULL DEFAULT 'active',
    run_id       uuid REFERENCES workbench.runs (run_id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT position_limits_key UNIQUE (account_id, symbol),
    CONSTRAINT position_limits_names_check CHECK (account_id <> '' AND symbol <> ''),
    CONSTRAINT position_limits_max_quantity_check
        CHECK (max_quantity >= 0 AND max_quantity < 'Infinity'::numeric),
    CONSTRAINT position_limits_max_notional_check
        CHECK (max_notional >= 0 AND max_notional < 'Infinity'::numeric),
    CONSTRAINT position_limits_max_weight_check CHECK (max_weight >= 0 AND max_weight < 'Infinity'::float8),
    CONSTRAINT position_limits_any_check CHECK (num_nonnulls(max_quantity, max_notional, max_weight) > 0),
    CONSTRAINT position_limits_status_check CHECK (status IN ('active', 'inactive', 'paused'))
);
CREATE INDEX position_limits_symbol_idx ON risk_management.position_limits (symbol);

-- -------------------------------------------------------------------------------------------- analytics

CREATE TABLE analytics.performance_metrics (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy     text NOT NULL,
    metric       text NOT NULL,
    value        double precision,
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    run_id       uuid REFERENCES workbench.runs (run_id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- Each run has figures of its own; those written outside of any run are one more set.
    CONSTRAINT performance_metrics_key
        UNIQUE NULLS NOT DISTINCT (strategy, metric, period_start, period_end, run_id),
    CONSTRAINT performance_metrics_names_check CHECK (strategy <> '' AND metric <> ''),
    CONSTRAINT performance_metrics_period_check CHECK (period_end >= period_start)
);
CREATE INDEX performance_metrics_metric_idx ON analytics.performance_metrics (metric, period_end);
CREATE INDEX performance_metrics_period_idx ON analytics.performance_metrics (period_end DESC);
CREATE INDEX performance_metrics_run_idx ON analytics.performance_metrics (run_id);

CREATE TABLE analytics.reports (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id  text NOT NULL UNIQUE,
    strategy   text,
    kind       text NOT NULL,
    format     text NOT NULL,
    title      text NOT NULL,
    content    text,
    file       bytea,
    metadata   jsonb NOT NULL DEFAULT '{}',
    run_id     uuid REFERENCES workbench.runs (run_id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reports_names_check CHECK (report_id <> '' AND kind <> '' AND format <> ''),
    CONSTRAINT reports_content_check CHECK (num_nonnulls(content, file) = 1)
);
CREATE INDEX reports_created_at_idx ON analytics.reports (created_at DESC);
CREATE INDEX reports_strategy_idx ON analytics.reports (strategy, created_at);
CREATE INDEX reports_kind_idx ON analytics.reports (kind, created_at);
CREATE INDEX reports_run_idx ON analytics.reports (run_id);

CREATE TABLE analytics.analytics_cache (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cache_key  text NOT NULL UNIQUE,
    value      jsonb NOT NULL,
    expires_at timestamptz,
    run_id     uuid REFERENCES workbench.runs (run_id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT analytics_cache_key_check CHECK (cache_key <> '')
);
CREATE INDEX analytics_cache_expires_at_idx ON analytics.analytics_cache (expires_at);

-- ----------------------------------------------------------------------------------------- notification

CREATE TABLE notification.alert_configs (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id         text NOT NULL UNIQUE,
    name             text NOT NULL,
    event_type       text NOT NULL,
    condition        jsonb NOT NULL DEFAULT '{}',
    channel          text NOT NULL,
    target           text NOT NULL,
    severity         text NOT NULL DEFAULT 'warning',
    cooldown_seconds integer NOT NULL DEFAULT 0,
    enabled          boolean NOT NULL DEFAULT true,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_configs_names_check
        CHECK (alert_id <> '' AND event_type <> '' AND channel <> '' AND target <> ''),
    CONSTRAINT alert_configs_severity_check CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    CONSTRAINT alert_configs_cooldown_check CHECK (cooldown_seconds >= 0)
);
CREATE INDEX alert_configs_event_type_idx ON notification.alert_configs (event_type);

-- An alert_id that is NULL: somebody was told without a rule. event_id names a row of workbench.events, which
-- does not stay for ever, so it is no foreign key.
CREATE TABLE notification.notification_logs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sent_at        timestamptz NOT NULL DEFAULT now(),
    alert_id       text REFERENCES notification.alert_configs (alert_id),
    event_id       bigint,
    channel        text NOT NULL,
    recipient      text NOT NULL,
    status         text NOT NULL,
    message        text NOT NULL,
    error          text,
    correlation_id text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    run_id         uuid REFERENCES workbench.runs (run_id),
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_logs_status_check CHECK (status IN ('sent', 'failed', 'suppressed'))
);
CREATE INDEX notification_logs_sent_at_idx ON notification.notification_logs (sent_at DESC);
CREATE INDEX notification_logs_alert_idx ON notification.notification_logs (alert_id, sent_at);
CREATE INDEX notification_logs_run_idx ON notification.notification_logs (run_id);
