"""A TCP proxy of our own between Callwise and a server, so that connections can be cut in mid-sentence."""

import asyncio
import threading
from collections.abc import Callable
from typing import cast


class _Pipe(asyncio.Protocol):
    """One end of a connection: what it receives goes out of the other end; when one is gone, so is the other."""

    def __init__(self, ends: set["_Pipe"], on_made: Callable[["_Pipe"], None] | None = None) -> None:
        self._ends = ends
        self._on_made = on_made
        self.other: _Pipe | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._ends.add(self)
        if self._on_made:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def join(self, other: "_Pipe") -> None:
        """From now on these two belong together."""
        self.other, other.other = other, self
        if other.transport:
            other.transport.writelines(self._early)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.discard(self)
        if self.other and self.other.transport:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def abort(self) -> None:
        """Cut: whatever was under way is lost."""
        if self.transport:
            self.transport.abort()


class Proxy:
    """Listens on `port` of the loopback interface and passes everything on to `upstream`, until it is closed."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._ends: set[_Pipe] = set()
        self._loop = asyncio.new_event_loop()
        self._pending: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {upstream}", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> int:
        """Sever every connection at once; returns how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10) // 2

    def close(self) -> None:
        """End."""
        self.cut()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Pipe(self._ends, self._accept), "127.0.0.1", 0)

    async def _cut(self) -> int:
        ends = list(self._ends)
        for end in ends:
            end.abort()
        return len(ends)

    def _accept(self, near: _Pipe) -> None:
        task = self._loop.create_task(self._connect(near))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _connect(self, near: _Pipe) -> None:
        try:
            _, far = await self._loop.create_connection(lambda: _Pipe(self._ends), "127.0.0.1", self._upstream)
        except OSError:
            near.abort()
            return
        if near.transport is None or near.transport.is_closing():
            far.abort()
            return
        near.join(far)
