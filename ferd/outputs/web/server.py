"""uvicorn, asleep while nobody asks anything: its own loop looks ten times a second whether it is to end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvicorn

TICK_S = 1.0
"""The clock in the headers goes on so often."""


class QuietServer(uvicorn.Server):
    """Made and run in the page's event loop; `end` may be called from any thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._ended.wait()

    def end(self) -> None:
        self.should_exit = True
        with suppress(RuntimeError):  # its loop has ended already
            self._loop.call_soon_threadsafe(self._ended.set)
