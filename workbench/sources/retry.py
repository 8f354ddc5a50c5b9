"""Requests to a vendor: keeps its rate limit, retries temporary failures, returns all other replies."""

from __future__ import annotations

import json as jsonlib
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from workbench.errors import SourceUnreachable

__all__ = ["NoReply", "Patience", "Reply", "Tell"]

Tell = Callable[[str], None]
"""Receives a text about a wait."""

TOO_MANY = 429
MINUTE = 60.0
# Shorter waits, in seconds, are not reported.
WORTH_TELLING = 2.0
# Maximum wait, in seconds, that a vendor may request; if it requests more, we give up.
LONGEST_WAIT = 300.0


class NoReply(Exception):
    """The request got no reply at all: refused, timed out, or cut off."""


@dataclass(frozen=True)
class Reply:
    """A vendor's reply.

    Attributes
    ----------
    status : int
        The HTTP status.
    headers : mapping of str to str
        Looked up case-insensitively.
    body : bytes or str
        The whole body.
    original : object
        The client's response object.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | str
    original: Any = None

    def header(self, name: str) -> str | None:
        """A header's value."""
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


class _Passing(Exception):
    """A temporary failure; `wait` is the seconds that the vendor asks to wait, or None."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Patience:
    """Keeps a vendor's rate limit, and retries temporary failures.

    Retried, with exponential back-off and jitter: no reply, status 429 and 5xx, and a body that is not JSON
    although it should be. A wait that the vendor requests (``Retry-After``, ``X-RateLimit-Reset``) is kept.
    Every other reply, refusals included, is returned to the caller.

    Parameters
    ----------
    vendor : str
        The vendor's name, for messages.
    per_minute : int
        Maximum requests in any minute; 0 for no limit.
    attempts : int
        Maximum attempts per request.
    on_wait : callable, optional
        Called with a text about every wait of two seconds or more.
    sleep : callable
        Used to wait, in seconds.
    """

    def __init__(
        self,
        vendor: str,
        *,
        per_minute: int = 0,
        attempts: int = 6,
        on_wait: Tell | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.vendor = vendor
        self.per_minute = per_minute
        self.attempts = attempts
        self.on_wait = on_wait
        self._sleep = sleep
        self._sent: deque[float] = deque(maxlen=max(per_minute, 1))
        # 1, 2, 4 … 60 seconds, each with up to a second more, so that clients do not retry all at once.
        self._back_off = tenacity.wait_exponential_jitter(initial=1, max=MINUTE, jitter=1)

    def ask(self, send: Callable[[], Reply], *, json: bool = True) -> Reply:
        """Send until there is a reply that a retry would not change.

        Parameters
        ----------
        send : callable
            Sends once; raises `NoReply` if there is no reply.
        json : bool
            Whether a successful reply must be JSON.

        Raises
        ------
        SourceUnreachable
            All attempts failed, or the vendor requested a wait of more than five minutes.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=self._enough,
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=self._report,
            reraise=True,
        )
        try:
            return retrying(self._once, send, json)
        except _Passing as fault:
            if fault.wait is not None and fault.wait > LONGEST_WAIT:
                then = f"and asks to wait {fault.wait:,.0f} s: try again later"
            else:
                then = f"{self.attempts} times in a row: try again later"
            raise SourceUnreachable(f"{self.vendor} {fault}, {then}") from fault

    def _once(self, send: Callable[[], Reply], json: bool) -> Reply:
        self._keep_the_rate()
        try:
            reply = send()
        except NoReply as error:
            raise _Passing(f"does not answer ({error})") from error
        if reply.status == TOO_MANY or reply.status >= 500:
            raise _Passing(f"answers with status {reply.status}", _named_wait(reply))
        if json and reply.status < 300:
            try:
                jsonlib.loads(reply.body)
            except ValueError as error:
                raise _Passing("answers with something that is not JSON") from error
        return reply

    def _keep_the_rate(self) -> None:
        if not self.per_minute:
            return
        now = time.monotonic()
        if len(self._sent) == self.per_minute and (wait := self._sent[0] + MINUTE - now) > 0:
            if self.on_wait is not None and wait >= WORTH_TELLING:
                self.on_wait(
                    f"{self.vendor} allows {self.per_minute} requests a minute: waiting {wait:.0f} s"
                )
            self._sleep(wait)
        self._sent.append(time.monotonic())

    def _wait(self, state: tenacity.RetryCallState) -> float:
        fault = _fault(state)
        if fault.wait is not None:
            return fault.wait + random.uniform(0, 1)
        wait = float(self._back_off(state))
        if self.per_minute and str(TOO_MANY) in str(fault):
            # Too many requests a minute, without Retry-After: the next one is allowed after this share of it.
            wait = max(wait, MINUTE / self.per_minute)
        return wait

    def _enough(self, state: tenacity.RetryCallState) -> bool:
        wait = _fault(state).wait
        return state.attempt_number >= self.attempts or (wait is not None and wait > LONGEST_WAIT)

    def _report(self, state: tenacity.RetryCallState) -> None:
        wait = 0.0 if state.next_action is None else state.next_action.sleep
        if self.on_wait is not None and wait >= WORTH_TELLING:
            self.on_wait(
                f"{self.vendor} {_fault(state)}: trying again in {wait:.0f} s "
                f"({state.attempt_number} of {self.attempts})"
            )


def _fault(state: tenacity.RetryCallState) -> _Passing:
    assert state.outcome is not None
    fault = state.outcome.exception()
    assert isinstance(fault, _Passing)
    return fault


def _named_wait(reply: Reply) -> float | None:
    """Seconds, from ``Retry-After`` (seconds or a date) or ``X-RateLimit-Reset`` (seconds since 1970)."""
    after, reset = reply.header("retry-after"), reply.header("x-ratelimit-reset")
    now = time.time()
    try:
        if after is not None:
            seconds = after.strip().replace(".", "", 1).isdigit()
            return max(0.0, float(after) if seconds else parsedate_to_datetime(after).timestamp() - now)
        return None if reset is None else max(0.0, float(reset) - now)
    except ValueError:
        return None
