-- When a series' bars are complete: the calendar of its sessions and the length of its bars, as ingestion was told them
-- or found them. NULL: unknown; series that are there already stay so until they are ingested again.

ALTER TABLE data_ingestion.ingestion_status
    ADD COLUMN calendar     text,
    ADD COLUMN bar_interval text,
    ADD CONSTRAINT ingestion_status_calendar_check CHECK (calendar <> ''),
    ADD CONSTRAINT ingestion_status_interval_check CHECK (bar_interval ~ '^[1-9][0-9]{0,4}(s|min|h|d|w|mo)$');
