"""NotificationService: of what people want to be told, and what they were told."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.service import Moment, Service, Strings, of_run, one_of, span
from workbench.tables.notification import alert_configs, notification_logs

__all__ = ["NotificationService"]


class NotificationService(Service):
    """Loads and writes the tables of schema `notification`."""

    name = "notification"

    def load_alert_configs(
        self,
        alert_id: Strings | None = None,
        *,
        event_type: Strings | None = None,
        channel: Strings | None = None,
        severity: Strings | None = None,
        enabled: bool | None = None,
    ) -> pd.DataFrame:
        """Of what people want to be told: an event's type, a condition on its data (dict), and where to.

        `severity` is info, warning, error or critical; `cooldown_seconds` is how long one alert keeps quiet
        after it was told.
        """
        table = alert_configs
        where = [
            *one_of(table.c.alert_id, alert_id, "alert_id"),
            *one_of(table.c.event_type, event_type, "event_type"),
            *one_of(table.c.channel, channel, "channel"),
            *one_of(table.c.severity, severity, "severity"),
        ]
        if enabled is not None:
            where.append(table.c.enabled.is_(enabled))
        return self._load(table, where=where, order_by=("alert_id",))

    def write_alert_configs(self, frame: pd.DataFrame) -> Written:
        """Write alerts. Key: alert_id.

        Columns: alert_id, name, event_type ("market_data.written", …), channel ("email", "webhook", …),
        target (an address; never a password, for every role can read it), and condition (dict), severity
        (default warning), cooldown_seconds and enabled at will. Alerts that are all there already may be
        changed by a few columns, as in alert_id and enabled.
        """
        return self._write(alert_configs, frame, key=("alert_id",), partial=True)

    def load_notification_logs(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        alert_id: Strings | None = None,
        channel: Strings | None = None,
        recipient: Strings | None = None,
        status: Strings | None = None,
        correlation_id: str | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Who was told what, oldest first; `[start, end)` bounds `sent_at`, UTC.

        `status` is sent, failed (then `error` says why) or suppressed; `sent_at` is when it was tried.
        """
        table = notification_logs
        return self._load(
            table,
            where=[
                *span(table.c.sent_at, start, end),
                *one_of(table.c.alert_id, alert_id, "alert_id"),
                *one_of(table.c.channel, channel, "channel"),
                *one_of(table.c.recipient, recipient, "recipient"),
                *one_of(table.c.status, status, "status"),
                *one_of(table.c.correlation_id, correlation_id, "correlation_id"),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("sent_at", "id"),
            latest=latest,
        )

    def write_notification_logs(self, frame: pd.DataFrame) -> Written:
        """Append who was told what; an alert_id that is given is among the alerts.

        Columns: channel, recipient, status, message; sent_at (default now), alert_id, error, metadata, …
        """
        return self._write(notification_logs, frame)
