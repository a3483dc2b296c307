# SPDX-License-Identifier: Apache-2.0
"""The two sides of a measurement as processes: who belongs to which, what CPU and memory they took, what else ran.

CPU is wait4's, of every process of a side: bench.py is a sub-reaper, so a daemon's children come to us too. Memory is the
sum of VmHWM over a side's live processes, at its largest; ru_maxrss would begin with our own image before exec. The relay
that carries a controller's lines into the other namespace is ours and not the tool's: its memory is left out.
"""
import os
import select
import shlex
import signal
import tempfile
import time

from path import NAMES, enter, libc

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")
N_CPUS = os.cpu_count()
RELAYS = ("socat",)


def become_reaper():
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


class Process:
    """A line of /proc: who it is, whose child, in which session, what CPU it took."""

    def __init__(self, pid):
        with open("/proc/%d/stat" % pid) as f:
            text = f.read()
        rest = text.rsplit(")", 1)[1].split()
        self.pid = pid
        self.name = text[text.index("(") + 1:text.rindex(")")]
        self.state = rest[0]
        self.parent = int(rest[1])
        self.session = int(rest[3])
        self.cpu = (int(rest[11]) + int(rest[12])) / TICK


def processes():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = Process(int(name))
            except (OSError, ValueError, IndexError):
                pass
    return found


def high_water_kib(pid):
    try:
        for line in open("/proc/%d/status" % pid):
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def namespace(pid):
    try:
        return os.stat("/proc/%d/ns/net" % pid).st_ino
    except OSError:
        return None


class Side:
    def __init__(self, name):
        self.name = name
        self.pid = None
        self.code = None
        self.cpu = 0.0
        self.kib = 0
        self.by_name = {}
        self.early_cpu = 0.0
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        self.netns = os.stat("/run/netns/" + NAMES[name]).st_ino

    def start(self, command, cpus=None):
        words = shlex.split(command)
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                enter(os.open("/run/netns/" + NAMES[self.name], os.O_RDONLY))
                if cpus is not None:
                    os.sched_setaffinity(0, cpus)
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                os.dup2(self.out.fileno(), 1)
                os.dup2(self.err.fileno(), 2)
                os.execvp(words[0], words)
            except BaseException as trouble:
                os.write(2, ("%s: %s" % (words[0], trouble)).encode())
            finally:
                os._exit(127)
        self.pid = pid

    def text(self, which):
        which.seek(0)
        return which.read().decode(errors="replace")


class Pair:
    """Both sides of one measurement."""

    def __init__(self):
        self.server = Side("server")
        self.client = Side("client")
        self.sides = (self.server, self.client)
        self.owner = {}

    def _side_of(self, process, table):
        """By descent; who was left by its parent, by session, then by namespace."""
        walk = process
        while walk and walk.pid != os.getpid():
            for side in self.sides:
                if side.pid in (walk.pid, walk.session):
                    return side
            if walk.pid in self.owner:
                return self.owner[walk.pid]
            if walk.parent == os.getpid():
                here = namespace(walk.pid)
                for side in self.sides:
                    if side.pid and here == side.netns:
                        return side
                return self.server if self.server.pid else self.client
            walk = table.get(walk.parent)
        return None

    def members(self):
        table = processes()
        found = {side: [] for side in self.sides}
        for process in table.values():
            side = self._side_of(process, table)
            if side:
                self.owner[process.pid] = side
                if process.state != "Z":
                    found[side].append(process)
        return found

    def sample(self):
        for side, members in self.members().items():
            sizes = {}
            for process in members:
                if process.name not in RELAYS:
                    kib = high_water_kib(process.pid)
                    sizes[process.name] = sizes.get(process.name, 0) + kib
            side.kib = max(side.kib, sum(sizes.values()))
            for name, kib in sizes.items():
                side.by_name[name] = max(side.by_name.get(name, 0), kib)

    def reap(self):
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            except ChildProcessError:
                return
            if dead is None:
                return
            try:
                side = self._side_of(Process(dead.si_pid), {})
            except OSError:
                side = None
            _, status, usage = os.wait4(dead.si_pid, 0)
            if side:
                side.cpu += usage.ru_utime + usage.ru_stime
                if side.pid == dead.si_pid:
                    side.code = os.waitstatus_to_exitcode(status)

    def mark_early(self):
        """What the server took before the client came does not belong to the measurement."""
        self.server.early_cpu = sum(p.cpu for p in self.members()[self.server])

    def wait_client(self, seconds):
        """True when the client ended by itself in that time."""
        fd = os.pidfd_open(self.client.pid)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                ended, _, _ = select.select([fd], [], [], 0.2)
                if ended:
                    break
                self.sample()
        finally:
            os.close(fd)
        self.reap()
        return self.client.code is not None

    def end(self, side, patience=0.0):
        """Ask it to end, then make it; patience: seconds in which it may do so by itself."""
        for number, seconds in ((0, patience), (signal.SIGINT, 0.4), (signal.SIGTERM, 0.4), (signal.SIGKILL, 2.0)):
            if number:
                for process in self.members()[side]:
                    try:
                        os.kill(process.pid, number)
                    except ProcessLookupError:
                        pass
            end = time.monotonic() + seconds
            while True:
                self.reap()
                if not self.members()[side]:
                    self.reap()
                    return
                if time.monotonic() >= end:
                    break
                time.sleep(0.01)

    def end_all(self):
        for side in (self.client, self.server):
            if side.pid:
                self.end(side)


def ksoftirqds():
    return [p.pid for p in processes().values() if p.name.startswith("ksoftirqd")]


class Machine:
    """What the whole machine did between two calls; steal: what its host did with our CPUs."""

    def __init__(self):
        self.softirq_threads = ksoftirqds()
        self.begin()

    def _read(self):
        with open("/proc/stat") as f:
            field = [int(x) / TICK for x in f.readline().split()[1:]]
        softirq = sum(Process(pid).cpu for pid in self.softirq_threads)
        own = time.process_time()
        return dict(busy=field[0] + field[1] + field[2] + field[5] + field[6], steal=field[7],
                    softirq=softirq, own=own, time=time.monotonic())

    def begin(self):
        self.start = self._read()

    def end(self):
        self.stop = self._read()

    def result(self, cpu_of_sides):
        """Seconds of wall and ksoftirqd between begin and end; shares of the machine that others took."""
        d = {k: v - self.start[k] for k, v in self.stop.items()}
        whole = d["time"] * N_CPUS
        others = d["busy"] - cpu_of_sides - d["softirq"] - d["own"]
        return dict(wall=d["time"], softirq=d["softirq"], foreign=max(0.0, others / whole), steal=d["steal"] / whole)
