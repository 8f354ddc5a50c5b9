"""A home on disk: private folders, atomic file writes, locks between processes, secrets."""
