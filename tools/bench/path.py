# SPDX-License-Identifier: Apache-2.0
"""A path to measure: two network namespaces and a veth between them, made anew for each measurement.

What a run leaves behind in a namespace (ports in TIME_WAIT, metrics of the route, a grown window) would be the next one's
head start; and counters begin at 0. Both directions use cubic whatever the machine's default is: a child namespace may not
change the default, but a route may name the algorithm.
"""
import contextlib
import ctypes
import os
import subprocess

NAMES = {"client": "bench-c", "server": "bench-s"}
ADDRESS = {"client": "10.99.0.1", "server": "10.99.0.2"}
MAC = {"client": "02:00:00:00:00:01", "server": "02:00:00:00:00:02"}
DEVICE = "bench0"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Trouble(Exception):
    """What kept a measurement from being one, in words."""


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(side):
    """The calling thread is in that side's namespace meanwhile."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    theirs = os.open("/run/netns/" + NAMES[side], os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(theirs)
        yield
    finally:
        enter(ours)
        os.close(theirs)
        os.close(ours)


def call(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble("%s: %s" % (" ".join(words), done.stderr.strip() or "failed"))


class Path:
    def __init__(self, congestion="cubic", shaper=None):
        """shaper: what tc makes of the client's device, as "rate 200mbit burst 32kb limit 300kb", or None"""
        try:
            self._make(congestion)
            if shaper:
                call("tc", "-n", NAMES["client"], "qdisc", "add", "dev", DEVICE, "root", "tbf", *shaper.split())
        except BaseException:
            self.close()
            raise

    def _make(self, congestion):
        near, far = NAMES["client"], NAMES["server"]
        call("ip", "netns", "add", near)
        call("ip", "netns", "add", far)
        call("ip", "link", "add", DEVICE, "netns", near, "address", MAC["client"], "type", "veth",
             "peer", "name", DEVICE, "netns", far, "address", MAC["server"])
        for side, other in (("client", "server"), ("server", "client")):
            lines = [
                "link set lo up",
                "link set %s up" % DEVICE,
                "address add %s/24 dev %s" % (ADDRESS[side], DEVICE),
                "neighbour replace %s lladdr %s dev %s" % (ADDRESS[other], MAC[other], DEVICE),
                "route change 10.99.0.0/24 dev %s proto kernel scope link src %s congctl %s"
                % (DEVICE, ADDRESS[side], congestion),
            ]
            call("ip", "-n", NAMES[side], "-batch", "-", text="\n".join(lines) + "\n")

    def close(self):
        for name in NAMES.values():
            if os.path.exists("/run/netns/" + name):
                call("ip", "netns", "delete", name)

    @staticmethod
    def counters(side):
        """Bytes and packets of the side's end of the veth, and UDP's own counts."""
        found = {}
        with inside(side):
            for line in open("/proc/thread-self/net/dev"):
                name, _, rest = line.partition(":")
                if name.strip() == DEVICE:
                    field = rest.split()
                    found = dict(rx_bytes=int(field[0]), rx_packets=int(field[1]),
                                 tx_bytes=int(field[8]), tx_packets=int(field[9]))
            rows = [line.split() for line in open("/proc/thread-self/net/snmp")]
        for names, values in zip(rows[::2], rows[1::2]):
            if names[0] == "Udp:":
                found.update(("udp_" + k, int(v)) for k, v in zip(names[1:], values[1:]))
        return found

    @staticmethod
    def listening(side, protocol, port):
        with inside(side):
            for table in (protocol, protocol + "6"):
                try:
                    lines = open("/proc/thread-self/net/" + table).readlines()[1:]
                except FileNotFoundError:
                    continue
                for line in lines:
                    field = line.split()
                    bound = int(field[1].rsplit(":", 1)[1], 16) == port
                    if bound and (protocol == "udp" or field[3] == "0A"):
                        return True
        return False
