"""A home on disk: its private folders, files that are replaced whole, locks between processes, secrets."""
