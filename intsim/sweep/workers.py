"""Where the steps run: in this process, in processes of this machine, on a Dask cluster. One interface for all."""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from intsim.errors import IntsimError

__all__ = ["Workers", "here", "on_dask", "processes"]

_CONNECT_SECONDS = 20


class Workers:
    """Somewhere to run steps.

    Parameters
    ----------
    submit : starts a call and returns its future
    at_once : most calls under way; None: no limit
    """

    def __init__(self, submit: Callable[..., futures.Future], at_once: int | None):
        self.submit, self.at_once = submit, at_once


@contextmanager
def here() -> Iterator[Workers]:
    """This process: one step after the other."""

    def submit(call: Callable[..., Any], *arguments: Any) -> futures.Future:
        done: futures.Future = futures.Future()
        done.set_result(call(*arguments))
        return done

    yield Workers(submit, 1)


@contextmanager
def processes(count: int) -> Iterator[Workers]:
    """Processes of this machine. They and the tools they started end with this one, however it ends.

    Each worker leads a process group, so that Ctrl-C reaches this process alone, and waits on a pipe of which only
    this process holds the other end: when that closes, the group is killed.
    """
    context = multiprocessing.get_context("spawn")
    far_end, near_end = context.Pipe(duplex=False)
    pool = futures.ProcessPoolExecutor(count, context, initializer=_follow, initargs=(far_end,))
    try:
        yield Workers(pool.submit, count + 1)
        pool.shutdown()
    except BrokenProcessPool:
        raise IntsimError(
            "a worker process ended unasked (out of memory?); give the same command again, with fewer workers"
        ) from None
    finally:
        near_end.close()
        far_end.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _follow(parent: Connection) -> None:
    os.setpgid(0, 0)

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv_bytes()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def on_dask(address: str) -> Iterator[Workers]:
    """A Dask cluster that is already running; its workers need the same intsim, and what the steps use.

    Raises
    ------
    IntsimError
        Dask is missing here, there is no scheduler at this address, or the cluster went away.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError:
        raise IntsimError("a cluster needs Dask; install it with pip install 'intsim[dask]'") from None
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise IntsimError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler` or give its address"
        ) from None
    with client:
        executor = client.get_executor(pure=False)
        try:
            yield Workers(executor.submit, None)
        except (KilledWorker, CommClosedError, CancelledError) as error:
            raise IntsimError(
                f"the cluster at {address} lost a step ({error}); give the same command again to continue"
            ) from None
        finally:
            executor.shutdown(wait=False)  # cancels what is still under way
