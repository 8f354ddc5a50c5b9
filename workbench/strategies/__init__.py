"""Documented strategies, each with the source of its idea; copy one to begin with your own."""
