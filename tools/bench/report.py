# SPDX-License-Identifier: Apache-2.0
"""Medians, marks, and the Markdown of docs/benchmarks.md."""
import os
import platform
import shutil
import statistics
import subprocess
import time

from cases import CASES, MARKS, UNITS
from peers import PACKAGES


class Results:
    """Runs by case and tool, and why a tool has none."""

    def __init__(self, most_foreign):
        self.runs = {}
        self.troubles = {}
        self.commands = {}
        self.most_foreign = most_foreign

    def add(self, case, tool, found):
        self.runs.setdefault((case, tool), []).append(found)

    def used(self, case, tool):
        """Runs that others disturbed are set aside while at least half stay."""
        every = self.runs.get((case, tool), [])
        calm = [run for run in every if run["foreign"] <= self.most_foreign]
        return calm if 2 * len(calm) >= len(every) and calm else every

    def values(self, case, tool, metric):
        return [run[metric] for run in self.used(case, tool) if metric in run]

    def median(self, case, tool, metric):
        values = self.values(case, tool, metric)
        return statistics.median(values) if values else None


def show(metric, value):
    return "–" if value is None else UNITS[metric][1] % value


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def check_mark(mark, results):
    """(ours, peer's name, peer's, ratio, met); ours or met is None when something was not measured."""
    case = next(c for c in CASES if c.name == mark.case)
    ours = results.median(mark.case, mark.ours, mark.metric)
    names = mark.peers or (mark.beside.split(",") if mark.beside else [])
    least = case.metric == "short_pct"
    ahead = [(results.median(mark.case, name, case.metric), name) for name in names]
    ahead = sorted((v, n) for v, n in ahead if v is not None)
    name = (ahead[0] if least else ahead[-1])[1] if ahead else None
    theirs = results.median(mark.case, name, mark.metric) if name else None
    ratio = ours / theirs if ours is not None and theirs else None
    got = ratio if mark.peers else ours
    if got is None:
        return ours, name, theirs, ratio, None
    met = {">=": got >= mark.factor, "<=": got <= mark.factor, "<": got < mark.factor}[mark.at]
    return ours, name, theirs, ratio, met


def marks_table(results):
    rows = []
    missed = 0
    for mark in MARKS:
        case = next(c for c in CASES if c.name == mark.case)
        if not any((mark.case, tool) in results.runs or (mark.case, tool) in results.troubles
                   for tool, _, _ in case.tools):
            continue
        ours, name, theirs, ratio, met = check_mark(mark, results)
        missed += met is not True
        unit = UNITS[mark.metric][0]
        sign = {">=": "≥", "<=": "≤", "<": "<"}[mark.at]
        rows.append([
            case.title, "%s, %s" % (mark.ours, unit), show(mark.metric, ours),
            "%s (%s)" % (show(mark.metric, theirs), name) if name else "–",
            "%.2f" % ratio if ratio is not None else "–",
            "%s %g%s" % (sign, mark.factor, " ×" if mark.peers else ""),
            {True: "met", False: "**missed**", None: "not measured"}[met],
        ])
    head = ["case", "ours", "figure", "best peer of the same run", "ratio", "mark", ""]
    return (table(head, rows) if rows else ""), missed


def case_table(case, results):
    """All tools, the one ahead first; None when nothing ran."""
    tools = [tool for tool, _, _ in case.tools]
    least = case.metric == "short_pct"
    ran = [t for t in tools if results.median(case.name, t, case.metric) is not None]
    ran.sort(key=lambda t: results.median(case.name, t, case.metric), reverse=not least)
    if not ran and not any((case.name, t) in results.troubles for t in tools):
        return None
    ours = tools[0]
    base = results.median(case.name, ours, case.metric)
    rows = []
    for tool in ran:
        values = results.values(case.name, tool, case.metric)
        mine = statistics.median(values)
        everything = len(results.runs[case.name, tool])
        foreign = 100 * statistics.median(run["foreign"] for run in results.used(case.name, tool))
        rows.append([tool] + [show(c, results.median(case.name, tool, c)) for c in case.columns] + [
            "%s–%s" % (show(case.metric, min(values)), show(case.metric, max(values))),
            "%.2f" % (base / mine) if base is not None and mine else "–",
            "%d/%d" % (len(values), everything), show("foreign", foreign)])
    head = ["tool"] + [UNITS[c][0] for c in case.columns] + ["min–max", ours + " / it", "runs", "others %"]
    text = table(head, rows) if rows else ""
    for tool in tools:
        trouble = results.troubles.get((case.name, tool))
        if trouble:
            text += "\n\n%s: %s" % (tool, trouble if tool in ran else "no figure: " + trouble)
    return text.strip()


def process_table(results):
    """Memory of 64 flows by process."""
    rows = []
    for tool in ("vnperf-lean", "vnperf"):
        names = sorted({k for run in results.used("tcp64", tool) for k in run if k.startswith("mib ")})
        for name in names:
            side, program = name.split(" ", 2)[1:]
            if program.startswith("vnperf"):
                values = results.values("tcp64", tool, name)
                rows.append([tool, side, program, "%.1f" % statistics.median(values)])
    return table(["tool", "side", "process", "largest MiB"], rows) if rows else None


def version(package):
    if not shutil.which("dpkg-query"):
        return None
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def read(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return "unknown"


def machine_facts():
    model = next((line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
                  if line.startswith("model name")), platform.machine())
    system = next((line.split("=", 1)[1].strip('"') for line in read("/etc/os-release").splitlines()
                   if line.startswith("PRETTY_NAME")), "unknown")
    memory = int(read("/proc/meminfo").split()[1]) / (1 << 20)
    ours = subprocess.run(["vnperf", "version"], capture_output=True, text=True).stdout.strip().splitlines()
    return [
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("version", ours[0] if ours else "unknown"),
        ("kernel", "%s, %s" % (platform.release(), platform.version())),
        ("system", system),
        ("CPU", "%d × %s" % (os.cpu_count(), model)),
        ("memory", "%.0f GiB" % memory),
        ("default congestion control", read("/proc/sys/net/ipv4/tcp_congestion_control") + " (measured: cubic)"),
        ("clock", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("user", "root" if os.environ.get("BENCH_USER") == "0" else "ordinary, in a user namespace"),
        ("peers", ", ".join("%s %s" % (p, version(p)) for p in sorted(set(PACKAGES.values())) if version(p))),
    ]


HOW = """Made by `make bench`; do not edit. All on one machine, whose CPUs senders, receivers and network share: the ratios say
something, the figures are of this machine on this day. Each measurement has a path of its own: two network namespaces and a
veth of MTU 1500, cubic both ways. The tools of a case take turns, round by round, and each round is begun by the next of them;
figures are medians, min–max is their spread. CPU s/GB is wait4's user and system time of every process of both sides, and ksoftirqd's,
over the bytes that the receiving device counted. MiB is the sum of the largest resident size of a side's processes
(VmHWM); of vnperf the client's side is controller and agent. "others" is the share of the machine that processes other than these
took: a run with more than %d %% was repeated once, and is set aside where enough others stay ("runs": used/made)."""

TOOLS = """`vnperf` is `--io app` (copies as an application does, iperf3's way), or the UDP search at no loss; `vnperf-lean` is `--io lean`
(the path without the copies; one flow of it on one CPU, as between two namespaces without `--cpu`), `vnperf-lean-two` one flow
of it on two CPUs; `vnperf-blast` sends as fast as it can
without a search; `vnperf-spin` waits spinning. Peers as Debian packages them, with their defaults; `sockperf-nb` is sockperf
`--nonblocked`. Percentiles of ours stand on steps of up to 1 %, so that "no worse" is a ratio of at most 1.01."""

COMMANDS = """Server's, then client's; a shaper is `tc qdisc add … root tbf`, and a peer on chosen CPUs is held there by
sched_setaffinity(2)."""


def document(results, others, load, took_s, rounds, seconds):
    marks, missed = marks_table(results)
    parts = ["# Benchmarks", HOW % round(100 * results.most_foreign)]
    facts = machine_facts() + [
        ("rounds", "%d of %d s each, TCP streams %d s; %.0f minutes in all" % (rounds, seconds, 2 * seconds, took_s / 60)),
        ("load before and after", "%s; %s" % load)]
    parts.append(table(["", ""], [list(f) for f in facts]))
    if marks:
        met = "all met" if missed == 0 else "%d not met" % missed
        parts += ["## Marks", "%d marks: %s." % (marks.count("\n") - 1, met), marks]
    shown = [(case.title, case_table(case, results)) for case in CASES]
    shown = [["### " + title, text] for title, text in shown if text]
    if shown:
        parts += sum(shown, ["## Cases", TOOLS])
    processes = process_table(results)
    if processes:
        parts += ["### Memory of 64 flows by process", processes]
    if others:
        rows = [[what, figure, mark, "met" if met else "**missed**"] for what, figure, mark, met in others]
        parts += ["## vnperf alone", table(["what", "figure", "mark", ""], rows)]
    if not results.commands:
        return "\n\n".join(parts) + "\n"
    parts += ["## Commands", COMMANDS, commands(results)]
    return "\n\n".join(parts) + "\n"


def commands(results):
    lines = []
    for case in CASES:
        for tool, _, options in case.tools:
            said = results.commands.get((case.name, tool))
            if said:
                beside = ["%s=%s" % (k, options[k]) for k in ("pin", "shaper") if options.get(k)]
                lines.append("# %s: %s%s" % (case.name, tool, "; " + ", ".join(beside) if beside else ""))
                lines += [line for line in said if line]
    return "```\n" + "\n".join(lines) + "\n```"
