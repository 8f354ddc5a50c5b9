-- What a stored backtest was made of, so that it can be made again, and the decision that waits for the next bar.

-- `rules`: the rules of filling. `inputs`: the strategy's name and parameters, symbols, first and last bar.
-- Rows saved before this revision have neither, and no run: what they were made of was not kept. Their signals
-- and days name the run that last changed them; with the next save all rows name the run of that save.
ALTER TABLE strategy_engine.strategies
    ADD COLUMN rules  jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN inputs jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN run_id uuid REFERENCES workbench.runs (run_id);

ALTER TABLE strategy_engine.strategy_signals ADD COLUMN pending boolean NOT NULL DEFAULT false;
-- What waits is a small part of what there ever was.
CREATE INDEX strategy_signals_pending_idx ON strategy_engine.strategy_signals (strategy_id, symbol)
    WHERE pending;
