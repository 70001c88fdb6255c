"""This file exists to run several workers on one port: start them, hear them end, start them anew.

Owns   the parent process; it serves nobody and holds no thread, so that forking is safe. A worker
       ends by itself when its parent is gone.
Fails  at start when a port is taken. A worker that crashes is started again after a pause that
       grows while it keeps crashing; the others go on.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable

from chassis import clock
from chassis.log import log
from gateway.dataplane.listeners import bind
from gateway.policy import Share

_LOG = log("gateway.workers")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_STEADY_S = 30.0
_PATIENCE_S = 5.0


class Workers:
    """work: what a worker does with its share, until SIGTERM or its lifeline (a file) ends.

    drain_s: what a worker needs at most to end after SIGTERM.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[Share, int], None],
        *,
        drain_s: float,
        pause_first_s: float = 0.2,
        pause_most_s: float = 5.0,
    ) -> None:
        self._count = count
        self._work = work
        self._drain_s = drain_s
        self._pause_first_s, self._pause_most_s = pause_first_s, pause_most_s
        self._index_of: dict[int, int] = {}
        self._began_s = [0.0] * count
        self._pause_s = [pause_first_s] * count
        self._due_s: dict[int, float] = dict.fromkeys(range(count), 0.0)
        self._stop_by_s = 0.0
        self._heard: list[int] = []

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and all workers are gone."""
        wake, self._wake = os.pipe()
        self._lifeline, self._life = os.pipe()
        self._own = (wake, self._wake, self._life)
        for one in (wake, self._wake):
            os.set_blocking(one, False)
        before = {one: signal.signal(one, lambda *_: None) for one in _SIGNALS}
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            while not self._stop_by_s or self._index_of:
                self._begin_due()
                if select.select([wake], [], [], self._wait_s())[0]:
                    for heard in set(os.read(wake, 4096)):
                        self._hear(heard)
                self._reap()
        finally:
            signal.set_wakeup_fd(-1)
            for one, handler in before.items():
                signal.signal(one, handler)
            for descriptor in (*self._own, self._lifeline):
                os.close(descriptor)

    def _wait_s(self) -> float:
        now_s = clock.monotonic()
        if self._stop_by_s:
            return max(0.05, self._stop_by_s - now_s)
        return max(0.0, min((*self._due_s.values(), now_s + 5.0)) - now_s)

    def _hear(self, heard: int) -> None:
        if heard in (signal.SIGTERM, signal.SIGINT) and not self._stop_by_s:
            self._stop_by_s = clock.monotonic() + self._drain_s + _PATIENCE_S
            self._due_s.clear()
            self._tell(signal.SIGTERM)
        elif heard == signal.SIGHUP:
            self._tell(signal.SIGHUP)

    def _tell(self, what: signal.Signals) -> None:
        for pid in tuple(self._index_of):
            os.kill(pid, what)  # a child we did not wait for yet keeps its number

    def _reap(self) -> None:
        now_s = clock.monotonic()
        if self._stop_by_s and now_s > self._stop_by_s:
            self._tell(signal.SIGKILL)
        for pid, index in tuple(self._index_of.items()):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if not gone:
                continue
            del self._index_of[pid]
            code = os.waitstatus_to_exitcode(status)
            if self._stop_by_s:
                _LOG.info("worker.stopped", worker=index, code=code)
                continue
            if now_s - self._began_s[index] > _STEADY_S:
                self._pause_s[index] = self._pause_first_s
            pause_s = self._pause_s[index]
            self._pause_s[index] = min(2 * pause_s, self._pause_most_s)
            self._due_s[index] = now_s + pause_s
            _LOG.error("worker.crashed", worker=index, code=code, again_in_s=pause_s)

    def _begin_due(self) -> None:
        now_s = clock.monotonic()
        for index in [index for index, due_s in self._due_s.items() if due_s <= now_s]:
            del self._due_s[index]
            self._begin(index)

    def _begin(self, index: int) -> None:
        self._began_s[index] = clock.monotonic()
        sys.stdout.flush()
        # A signal that came between the fork and the child's own handlers would tell the parent.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._be_worker(index, held)
        self._index_of[pid] = index
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        _LOG.info("worker.started", worker=index, pid=pid)

    def _be_worker(self, index: int, held: set[signal.Signals | int]) -> None:
        """In the child; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            for descriptor in self._own:
                os.close(descriptor)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            self._work(Share(index, self._count), self._lifeline)
            code = 0
        except BaseException as error:  # house: except the parent must hear of every kind of end
            _LOG.error("worker.failed", worker=index, error=repr(error), exc_info=error)
        finally:
            sys.stdout.flush()
            os._exit(code)


def reserve(host: str, port: int) -> tuple[int, list[socket.socket]]:
    """Keep a port for the workers: fails when somebody else has it. 0 takes a free one.

    The sockets returned are bound and never listen, so they get no connection.
    """
    for one in bind(host, port):
        port = port or int(one.getsockname()[1])
        one.close()
    return port, bind(host, port, share_port=True)
