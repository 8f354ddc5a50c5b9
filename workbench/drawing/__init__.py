"""Shared by all figures and pages: number formats, colours, blocks and charts; nothing about backtests."""
