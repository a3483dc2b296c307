# SPDX-License-Identifier: Apache-2.0
"""What no peer has: what a test takes beyond its time, and what a whole run takes."""
import json
import statistics
import subprocess
import time

from path import ADDRESS, NAMES, Path, Trouble


def vnperf(*words):
    """Seconds it took."""
    begin = time.monotonic()
    done = subprocess.run(("vnperf",) + words, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble("vnperf %s ended with %d: %s" % (" ".join(words), done.returncode, done.stderr.strip()[-300:]))
    return time.monotonic() - begin


START = ("test", "netns:" + NAMES["client"], "netns:" + NAMES["server"], "--address", ADDRESS["server"],
         "--time", "50ms", "--warmup", "0", "--no-save", "--quiet")
RUN = ("run", "--quick", "--quiet", "--json", "run.json")


def start_overhead(rounds):
    """Agents up, flow up, results back, all ended: the first byte leaves within that. Rows: what, figure, mark, met."""
    path = Path()
    try:
        took = [(vnperf(*START) - 0.05) * 1e3 for _ in range(rounds)]
    finally:
        path.close()
    middle = statistics.median(took)
    figure = "%.0f ms (%.0f–%.0f)" % (middle, min(took), max(took))
    return [("a test beyond its time", figure, "≤ 100 ms", middle <= 100)]


def whole_run():
    took = vnperf(*RUN)
    with open("run.json") as f:
        document = json.load(f)
    passed, total = document["summary"]["passed"], document["summary"]["total"]
    staging, removal = document["run"]["staging_ns"] / 1e6, document["run"]["removal_ns"] / 1e6
    return [
        ("run --quick", "%.1f s, %d of %d passed" % (took, passed, total), "≤ 75 s", took <= 75 and passed == total),
        ("building the lab", "%.0f ms" % staging, "≤ 2000 ms", staging <= 2000),
        ("removing the lab", "%.0f ms" % removal, "≤ 1000 ms", removal <= 1000),
    ]
