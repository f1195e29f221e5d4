"""Small pictures, as files and as settings take them."""

import base64
import struct
import zlib


def png(width: int = 32, height: int = 32, *, extra: bytes = b"") -> bytes:
    """A picture, black all over."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + bytes(width) for _row in range(height)))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"") + extra


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
