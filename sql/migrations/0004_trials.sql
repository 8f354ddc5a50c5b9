-- Trials: how many variants of each strategy were looked at, by whichever run or notebook, and how much their
-- Sharpe ratios differed. Without them the best of many cannot be told from the best of one.

CREATE TABLE workbench.trials (
    trial_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy     text NOT NULL,
    key          text NOT NULL,
    kind         text NOT NULL,
    variants     bigint NOT NULL,
    -- Of the variants whose Sharpe ratio is defined, per bar: how many, their mean, the sum of squared deviations.
    sharpe_count bigint NOT NULL,
    sharpe_mean  double precision,
    sharpe_m2    double precision NOT NULL,
    best_sharpe  double precision,
    n_bars       bigint NOT NULL,
    symbols      jsonb NOT NULL DEFAULT '[]',
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    parameters   jsonb NOT NULL DEFAULT '{}',
    run_id       uuid REFERENCES workbench.runs (run_id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- The same variants on the same bars are one trial, however often they are run.
    CONSTRAINT trials_key UNIQUE (strategy, key),
    CONSTRAINT trials_names_check CHECK (strategy <> '' AND key <> '' AND kind <> ''),
    CONSTRAINT trials_variants_check CHECK (variants >= sharpe_count AND sharpe_count >= 0 AND variants > 0),
    CONSTRAINT trials_period_check CHECK (period_end >= period_start)
);
CREATE INDEX trials_run_idx ON workbench.trials (run_id);
