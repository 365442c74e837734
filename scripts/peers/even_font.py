"""A font in which every character is a box of one width, so that pages have one layout everywhere."""

import base64
import struct

UNITS, ADVANCE, ASCENT, DESCENT = 1000, 500, 800, 200


def _pack(layout, *values):
    return struct.pack(">" + layout, *values)


def _box():
    """A box that stands on the line, as a glyph of four points."""
    width, height = ADVANCE - 50, ASCENT - 100
    steps = [(50, 0), (0, height), (width - 50, 0), (0, -height)]
    header = _pack("5h", 1, 50, 0, width, height)
    return (header + _pack("HH", 3, 0) + bytes([1, 1, 1, 1])
            + b"".join(_pack("h", x) for x, _ in steps)
            + b"".join(_pack("h", y) for _, y in steps))


def _tables():
    glyph = _box()
    glyph += bytes(-len(glyph) % 4)
    name = "Even".encode("utf-16-be")
    records = [(1, name), (2, "Regular".encode("utf-16-be")), (4, name), (6, name)]
    texts = b"".join(text for _, text in records)
    starts = [sum(len(text) for _, text in records[:index]) for index in range(len(records))]
    # Format 13: all characters have one glyph.
    mapping = _pack("HHIIIIII", 13, 0, 28, 0, 1, 0x20, 0x10FFFF, 1)
    return {
        b"OS/2": _pack("HhHHH", 3, ADVANCE, 400, 5, 0) + _pack("10h", *[0] * 10) + _pack("h", 0)
        + bytes(10) + bytes(16) + b"none" + _pack("HHH", 0x40, 0x20, 0xFFFF)
        + _pack("hhhHH", ASCENT, -DESCENT, 0, ASCENT, DESCENT) + bytes(8)
        + _pack("hhHHH", 500, ASCENT - 100, 0, 0x20, 0),
        b"cmap": _pack("HHHHI", 0, 1, 3, 10, 12) + mapping,
        b"glyf": glyph,
        b"head": _pack("IIIIHH", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, UNITS) + bytes(16)
        + _pack("4hHHhhh", 0, 0, ADVANCE, ASCENT, 0, 8, 2, 1, 0),
        b"hhea": _pack("IhhhHhhh", 0x10000, ASCENT, -DESCENT, 0, ADVANCE, 0, 0, ADVANCE)
        + _pack("hhh", 1, 0, 0) + bytes(8) + _pack("hH", 0, 2),
        b"hmtx": _pack("HhHh", ADVANCE, 0, ADVANCE, 50),
        b"loca": _pack("III", 0, 0, len(glyph)),
        b"maxp": _pack("IH13H", 0x10000, 2, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
        b"name": _pack("HHH", 0, len(records), 6 + 12 * len(records))
        + b"".join(_pack("6H", 3, 1, 0x409, number, len(text), start)
                   for (number, text), start in zip(records, starts)) + texts,
        b"post": _pack("IIhhIIIII", 0x30000, 0, -100, 50, 0, 0, 0, 0, 0),
    }


def _checksum(data):
    data += bytes(-len(data) % 4)
    return sum(struct.unpack(f">{len(data) // 4}I", data)) & 0xFFFFFFFF


def font():
    """The font as a TrueType file."""
    tables = sorted(_tables().items())
    place = 12 + 16 * len(tables)
    directory, body = _pack("IHHHH", 0x10000, len(tables), 128, 3, 16 * len(tables) - 128), b""
    for tag, data in tables:
        directory += tag + _pack("III", _checksum(data), place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    whole = bytearray(directory + body)
    head = whole.index(_pack("IIII", 0x10000, 0x10000, 0, 0x5F0F3CF5))
    whole[head + 8 : head + 12] = _pack("I", (0xB1B0AFBA - _checksum(bytes(whole))) & 0xFFFFFFFF)
    return bytes(whole)


def style():
    """A style by which everything is set in it."""
    data = base64.b64encode(font()).decode()
    return ("<style>@font-face { font-family: Even; src: url(data:font/ttf;base64,%s); }"
            " * { font-family: Even !important; }</style>" % data)
