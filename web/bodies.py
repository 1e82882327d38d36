"""Bodies of requests from outside: read in bounded memory, and past what is too much, so that the sender hears why."""

from fastapi import Request


async def first_bytes(request: Request, limit: int, *, read_past: int) -> tuple[bytes, bool]:
    """At most `limit` bytes of the body, and whether that is all of it; what is behind them is not kept.

    A sender that is cut off in the middle cannot hear an answer: it is listened to for `read_past` bytes in all. Raises
    ClientDisconnect when it goes away itself.
    """
    kept = bytearray()
    read_bytes = 0
    async for chunk in request.stream():
        kept += chunk[: limit - len(kept)]
        read_bytes += len(chunk)
        if read_bytes > read_past:
            break
    return bytes(kept), read_bytes <= limit
