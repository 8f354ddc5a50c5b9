"""What runs in the process of a run's kernel: IPython's kernel, whose messages are cut before they are sent.

A message is whole in its receiver's memory before anything can be done about it, so its size is bounded by
the sender. Imports ipykernel: nothing but a kernel's process loads this.
"""

from __future__ import annotations

import sys
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from IPython.core.autocall import ZMQExitAutocall
from jupyter_client.session import Session

from workbench.headless.outputs import IN_FLIGHT, bound

__all__ = ["start_kernel"]


def start_kernel(arguments: list[str], *, text_limit: int, total_limit: int) -> None:
    """Run a kernel until it is shut down.

    Parameters
    ----------
    arguments : list of str
        Those of `ipykernel_launcher`.
    text_limit, total_limit : int
        Characters that one message may have: of plain text, and of anything else.
    """

    class BoundedSession(Session):  # type: ignore[misc]
        """Cuts what it sends."""

        def send(
            self,
            stream: Any,
            msg_or_type: Any,
            content: Any = None,
            parent: Any = None,
            ident: Any = None,
            buffers: Any = None,
            track: bool = False,
            header: Any = None,
            metadata: Any = None,
        ) -> Any:
            message = msg_or_type
            if isinstance(message, str):
                message = self.msg(message, content, parent, header, metadata)
            if isinstance(message, dict):
                buffers = buffers or message.get("buffers")
                beside = sum(memoryview(one).nbytes for one in buffers or ())
                if not bound(message, text_limit, total_limit, beside=beside):
                    return None
            return super().send(stream, message, ident=ident, buffers=buffers, track=track)

    class RunKernelApp(IPKernelApp):
        """IPython's kernel with such a session, which waits for a slow reader instead of losing output."""

        def _session_default(self) -> Session:
            return BoundedSession(parent=self)

        def _bind_socket(self, s: Any, port: int) -> Any:
            if s.socket_type in {zmq.PUB, zmq.XPUB}:
                s.set_hwm(IN_FLIGHT)
                s.setsockopt(zmq.XPUB_NODROP, 1)
            return super()._bind_socket(s, port)  # type: ignore[no-untyped-call]

    app = RunKernelApp.instance()
    app.initialize(arguments)
    _leave_as_scripts_do(app.shell)
    app.start()


def _leave_as_scripts_do(shell: Any) -> None:
    """Have `exit()` and `quit()` end the notebook as `sys.exit()` does.

    IPython's own ask whoever shows the notebook to shut the kernel down after the cell, and succeed.
    """
    leave = _Leave(shell)
    shell.exiter = leave
    shell.ask_exit = leave
    shell.user_ns.update(exit=leave, quit=leave)


class _Leave(ZMQExitAutocall):  # type: ignore[misc]
    """`exit`, `exit()`, `exit(3)`: what they do in a script."""

    def __call__(self, code: Any = None, *, keep_kernel: bool = False) -> None:  # noqa: ARG002
        sys.exit(code)
