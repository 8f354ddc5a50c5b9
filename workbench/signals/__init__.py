"""What a strategy says: parameters, signals and weights, and bars as arrays; nothing is filled here."""
