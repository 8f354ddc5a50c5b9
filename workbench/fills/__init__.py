"""The rules of filling: from what was decided to orders, trades and the figures of a record; no picture."""
