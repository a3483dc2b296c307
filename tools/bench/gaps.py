# SPDX-License-Identifier: Apache-2.0
"""How evenly a sender sends: gaps between the kernel's receive stamps at the far end of the veth.

The kernel writes the head of each datagram, with its stamp, into a ring that is large enough for the whole measurement, and
nobody reads until it is over: so the reader cannot fall behind, and takes no CPU from the tools. The kernel counts
what found no room; then there is no answer.
"""
import ctypes
import mmap
import socket
import struct

from path import DEVICE, Trouble, inside

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
SO_ATTACH_FILTER = 26
TPACKET_V2 = 1
TP_STATUS_USER = 1
FRAME_BYTES = 128
BLOCK_BYTES = 1 << 16
HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP
SETTLE_NS = 200_000_000  # from the first datagram on, before gaps count


class Ring:
    """Stamps of the datagrams of payload_bytes that arrive at the server's device, at most n_frames of them."""

    def __init__(self, payload_bytes, n_frames):
        blocks = -(-n_frames * FRAME_BYTES // BLOCK_BYTES)
        self.n_frames = blocks * BLOCK_BYTES // FRAME_BYTES
        with inside("server"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        self._filter(payload_bytes + HEADERS)
        size = struct.pack("IIII", BLOCK_BYTES, blocks, FRAME_BYTES, self.n_frames)
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, size)
        self.map = mmap.mmap(self.socket.fileno(), blocks * BLOCK_BYTES)
        self.socket.bind((DEVICE, 0x0800))

    def _filter(self, frame_bytes):
        """Only frames of that length: load the length, compare, take or leave."""
        rows = ((0x80, 0, 0, 0), (0x15, 0, 1, frame_bytes), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0))
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
        program = struct.pack("HP", len(rows), ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def stamps(self):
        """In ns of the wall clock, in the order of arrival; Trouble when the ring was too small."""
        _, dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            raise Trouble("the capture lost %d datagrams: a ring of %d is too small" % (dropped, self.n_frames))
        found = []
        for at in range(0, self.n_frames * FRAME_BYTES, FRAME_BYTES):
            status, _, _, _, _, seconds, ns = struct.unpack_from("IIIHHII", self.map, at)
            if not status & TP_STATUS_USER:
                break
            found.append(seconds * 1_000_000_000 + ns)
        return found

    def close(self):
        self.map.close()
        self.socket.close()


def at_share(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def describe(stamps, payload_bytes, rate_bps):
    """Gap percentiles, and the share of gaps under a quarter of the ideal."""
    counted = [t for t in stamps if t >= stamps[0] + SETTLE_NS] if stamps else []
    gaps = sorted(b - a for a, b in zip(counted, counted[1:]))
    if len(gaps) < 100:
        raise Trouble("only %d datagrams were seen" % len(stamps))
    ideal = payload_bytes * 8e9 / rate_bps
    span = counted[-1] - counted[0]
    return dict(p1_us=at_share(gaps, 0.01) / 1e3, p50_us=at_share(gaps, 0.5) / 1e3, p99_us=at_share(gaps, 0.99) / 1e3,
                ideal_us=ideal / 1e3, short_pct=100.0 * sum(g < ideal / 4 for g in gaps) / len(gaps),
                gbps=len(gaps) * payload_bytes * 8.0 / span, n_gaps=len(gaps))
