"""This file exists to ask an instance of a tier whether it is well, on a line of its own.

Owns   one short request; nothing else, so that it cannot spoil the lines of callers.
Fails  never: whatever goes wrong means that it is not well.
"""

import asyncio
import ssl


async def well(
    host: str, port: int, context: ssl.SSLContext | None, path: str, *, limit_s: float
) -> bool:
    """True when GET `path` is answered 2xx within `limit_s` seconds."""
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                asked = f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n"
                writer.write(asked.encode())
                status = await reader.readline()
            finally:
                writer.transport.abort()
    except (OSError, ValueError):  # TimeoutError is an OSError; ValueError: a line without end
        return False
    return status.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))
