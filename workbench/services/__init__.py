"""The services: one class per schema, with a loader and a writer for each of its tables."""
