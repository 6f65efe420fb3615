"""The gunicorn worker: gthread, which keeps to a core and refuses no one it let in when stopped."""

from __future__ import annotations

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from chassis import one_core
from chassis.metrics import samples
from chassis.shutdown import stopping


class Worker(ThreadWorker):  # type: ignore[misc]
    """Closes the door at once when it is told to stop.

    gthread stops accepting, but leaves its socket open until the last request is done: whoever
    connects meanwhile waits in the queue, may have sent a POST, and is cut off in the end. A
    closed socket refuses instead, and the gateway goes to another instance with nothing sent.
    """

    def notify(self) -> None:
        """Called by gthread's loop, at least once a second."""
        super().notify()
        samples.take()
        one_core.process.consider()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called by gthread's loop, the last time when the worker was told to stop."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            stopping.set()
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: object) -> None:
        before = -1
        while self.nr_conns != before:
            before = self.nr_conns
            self.accept(listener)
