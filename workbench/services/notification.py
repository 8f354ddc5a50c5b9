"""NotificationService: alerts, and the log of the notifications that were sent."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.filters import Moment, Strings, flagged, matching, of_run, span
from workbench.services.service import Service
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
        """Alerts: an event's type, a condition on its data (dict), and where to send the notification.

        `severity` is info, warning, error or critical; `cooldown_seconds` is how long an alert stays silent
        after a notification.
        """
        table = alert_configs
        where = [
            *matching(table, alert_id=alert_id, event_type=event_type, channel=channel, severity=severity),
            *flagged(table.c.enabled, enabled, "enabled"),
        ]
        return self._load(table, where=where, order_by=("alert_id",))

    def write_alert_configs(self, frame: pd.DataFrame) -> Written:
        """Write alerts. Key: alert_id.

        Columns: alert_id, name, event_type ("market_data.written", …), channel ("email", "webhook", …),
        target (an address; never a password, for every role can read it); optional: condition (dict),
        severity (default warning), cooldown_seconds, enabled. A frame of some columns, such as alert_id and
        enabled, updates these columns of alerts that are stored already.
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
        """Notifications, oldest first; `[start, end)` bounds `sent_at`, UTC.

        `status` is sent, failed (`error` says why) or suppressed; `sent_at` is the time of the attempt.
        """
        table = notification_logs
        return self._load(
            table,
            where=[
                *span(table.c.sent_at, start, end),
                *matching(
                    table,
                    alert_id=alert_id,
                    channel=channel,
                    recipient=recipient,
                    status=status,
                    correlation_id=correlation_id,
                ),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("sent_at", "id"),
            latest=latest,
        )

    def write_notification_logs(self, frame: pd.DataFrame) -> Written:
        """Append notifications; an alert_id, where given, must be that of a stored alert.

        Columns: channel, recipient, status, message; sent_at (default now), alert_id, error, metadata, …
        """
        return self._write(notification_logs, frame)
