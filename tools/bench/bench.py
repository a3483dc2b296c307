#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py: speed of this build beside that of the peers which Debian packages, in turns, on paths of its own.

As root, or as an ordinary user who may make user namespaces. Everything stands in namespaces that end with this script.
The environment says more:

  VNPERF_BUILD  the build (build)
  ROUNDS        of each case (5)
  SECONDS_EACH  whole seconds of a measurement (1); TCP streams take twice that, as every tool's start costs CPU
  ONLY          names or groups of cases, and start and run: "tcp1 pacing" (all)
  TOOLS         only these tools, beside ours: "iperf3 sockperf" (all)
  OUT           the Markdown file (docs/benchmarks.md when everything was measured, else standard output)
  RAW           a file that gets a line of JSON for each measurement
  MAX_FOREIGN   share of the machine that others may take before a measurement is repeated (0.15)
  MINUTES       for all cases (13): after two thirds of them nothing is repeated, then each case has one round

Exit code: 0, or 1 when one of ours has no figure. A missed mark is a finding and not an error.
"""
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import others
from cases import CASES, UNITS
from measure import PORT, highest_lossless, measure
from path import ADDRESS, Trouble, call
from peers import PACKAGES, PEERS
from report import Results, document, show
from side import become_reaper

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
EXTRA = ("start", "run")
GIVE_UP_AFTER = 2


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


class Options:
    def __init__(self, environment):
        def number(name, otherwise, kind):
            text = environment.get(name, "") or str(otherwise)
            try:
                found = kind(text)
            except ValueError:
                found = 0
            if not found > 0:
                sys.exit("bench: %s=%s is no %s above 0" % (name, text, "whole number" if kind is int else "number"))
            return found

        self.build = os.path.realpath(environment.get("VNPERF_BUILD") or os.path.join(TOP, "build"))
        self.rounds = number("ROUNDS", 5, int)
        self.seconds = number("SECONDS_EACH", 1, int)
        self.most_foreign = number("MAX_FOREIGN", 0.15, float)
        self.minutes = number("MINUTES", 13, float)
        self.only = environment.get("ONLY", "").split()
        self.tools = environment.get("TOOLS", "").split()
        self.out = os.path.abspath(environment["OUT"]) if environment.get("OUT") else None
        self.raw = os.path.abspath(environment["RAW"]) if environment.get("RAW") else None
        known = {c.name for c in CASES} | {c.group for c in CASES} | set(EXTRA)
        for word in self.only:
            if word not in known:
                sys.exit("bench: ONLY=%s is none of %s" % (word, " ".join(sorted(known))))
        for word in self.tools:
            if word not in PEERS:
                sys.exit("bench: TOOLS=%s is none of %s" % (word, " ".join(sorted(PEERS))))
        for program in ("vnperf", "vnperf-agent"):
            if not os.access(os.path.join(self.build, program), os.X_OK):
                sys.exit("bench: %s/%s is not there: make builds it" % (self.build, program))

    def wants(self, *words):
        return not self.only or any(word in self.only for word in words)


def move_inside():
    """Run again in namespaces of our own; names of namespaces live in /run, and a /run of our own keeps them there."""
    map_user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    os.environ["BENCH_INSIDE"] = "1"
    os.environ["BENCH_USER"] = str(os.getuid())
    words = ["unshare", *map_user, "--net", "--mount", "--", sys.executable, os.path.realpath(__file__)]
    try:
        os.execvp(words[0], words)
    except OSError as trouble:
        sys.exit("bench: unshare: %s" % trouble)


def is_ours(tool):
    return tool.startswith("vnperf")


class Bench:
    def __init__(self, options):
        self.options = options
        self.results = Results(options.most_foreign)
        self.begun = time.monotonic()
        with open(os.path.join(HERE, "peers-bench.json")) as f:
            self.rows = dict(PEERS, **json.load(f))

    def late(self, share=1.0):
        return time.monotonic() - self.begun > 60 * self.options.minutes * share

    def row(self, tool, test):
        """Of "vnperf RR" the rows are vnperf's."""
        return self.rows.get(tool, self.rows.get(tool.split()[0]))[test]

    def once(self, case, tool, test, options):
        """One figure, the calmer of two when others were at work."""
        options = dict(options)
        ideal, search = options.pop("ideal_gbps", None), options.pop("search", False)
        seconds = self.options.seconds * options.pop("times", 1)
        row = self.row(tool, test)
        self.keep_command(case, tool, row, seconds, options)
        best = None
        for _ in range(2):
            if search:
                found = highest_lossless(row, seconds, options["size"])
            else:
                found = measure(row, case.metric, seconds, **options)
            if ideal:
                found["of_ideal_pct"] = 100 * found["gbps"] / ideal
                found["error_pct"] = abs(found["of_ideal_pct"] - 100)
            if best is None or found["foreign"] < best["foreign"]:
                best = found
            if found["foreign"] <= self.options.most_foreign or self.late(2 / 3):
                break
        return best

    def keep_command(self, case, tool, row, seconds, options):
        size, mbps = options.get("size", 1400), options.get("mbps", 0)
        words = dict(srv=ADDRESS["server"], cli=ADDRESS["client"], port=PORT, port2=PORT + 100, pps="PPS",
                     secs=seconds, size=size, mbps="%.3f" % mbps if mbps else "RATE")
        self.results.commands[case.name, tool] = [row.get(k, "").format(**words) for k in ("server", "client")]

    def case(self, case):
        tools = [t for t in case.tools if is_ours(t[0]) or not self.options.tools or t[0] in self.options.tools]
        failed = {}
        for number in range(min(self.options.rounds, case.most or self.options.rounds)):
            if number and self.late():
                say("%s: no time for round %d (MINUTES)" % (case.name, number + 1))
                break
            turn = number % len(tools)
            for tool, test, options in tools[turn:] + tools[:turn]:
                if failed.get(tool, 0) >= GIVE_UP_AFTER and (case.name, tool) not in self.results.runs:
                    continue
                try:
                    self.check_program(tool, test)
                    found = self.once(case, tool, test, options)
                except Trouble as trouble:
                    failed[tool] = failed.get(tool, 0) + 1
                    why = "%d of %d runs failed: %s" % (failed[tool], number + 1, trouble)
                    self.results.troubles[case.name, tool] = why
                    say("%s, round %d, %s: %s" % (case.name, number + 1, tool, trouble))
                    continue
                self.results.add(case.name, tool, found)
                self.keep_raw(case, tool, number, found)
                say("%s, round %d, %s: %s %s, others %.0f %%"
                    % (case.name, number + 1, tool, show(case.metric, found[case.metric]), UNITS[case.metric][0],
                       100 * found["foreign"]))

    def check_program(self, tool, test):
        for key in ("server", "client"):
            words = shlex.split(self.row(tool, test).get(key, ""))
            words = words[words.index("{secs}") + 1:] if words[:1] == ["timeout"] else words
            if words and not shutil.which(words[0]):
                raise Trouble("no %s here: package %s" % (words[0], PACKAGES.get(words[0], "unknown")))

    def keep_raw(self, case, tool, number, found):
        if self.options.raw:
            with open(self.options.raw, "a") as f:
                f.write(json.dumps(dict(found, case=case.name, tool=tool, round=number + 1)) + "\n")

    def others(self):
        found = []
        try:
            if self.options.wants("start"):
                found += others.start_overhead(self.options.rounds)
            if self.options.wants("run"):
                found += others.whole_run()
        except Trouble as trouble:
            say(str(trouble))
            found.append(("not measured", str(trouble), "–", False))
        return found

    def all(self):
        wanted = [c for c in CASES if self.options.wants(c.name, c.group)]
        load = open("/proc/loadavg").read().split()[0]
        for case in wanted:
            self.case(case)
        alone = self.others()
        load = (load, open("/proc/loadavg").read().split()[0])
        took_s = time.monotonic() - self.begun
        self.write(document(self.results, alone, load, took_s, self.options.rounds, self.options.seconds))
        silent = [(case.name, tool) for case in wanted for tool, _, _ in case.tools
                  if is_ours(tool) and (case.name, tool) not in self.results.runs]
        for name, tool in silent:
            say("%s: %s has no figure: %s" % (name, tool, self.results.troubles.get((name, tool))))
        return 1 if silent or any(what == "not measured" for what, _, _, _ in alone) else 0

    def write(self, text):
        whole = not self.options.only and not self.options.tools
        out = self.options.out or (os.path.join(TOP, "docs", "benchmarks.md") if whole else None)
        if not out:
            print(text, end="")
            return
        with open(out, "w") as f:
            f.write(text)
        say("written: " + out)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__, end="")
        return 0
    if sys.argv[1:]:
        sys.exit("bench: takes no arguments; the environment says what is wanted (--help)")
    options = Options(os.environ)
    if os.environ.pop("BENCH_INSIDE", None) != "1":
        move_inside()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    become_reaper()
    call("mount", "-t", "tmpfs", "tmpfs", "/run")
    call("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="bench.", dir="/run") as work:
        os.chdir(work)
        os.environ.update(PATH="%s:%s:/usr/sbin:/sbin" % (options.build, os.environ["PATH"]), LC_ALL="C.UTF-8",
                          XDG_STATE_HOME=os.path.join(work, "state"), NO_COLOR="1")
        try:
            return Bench(options).all()
        except KeyboardInterrupt:
            return 130
        finally:
            os.chdir("/")


if __name__ == "__main__":
    sys.exit(main())
