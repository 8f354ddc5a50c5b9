"""Parity: whether what a deployment said live is what its promoted content says today."""
