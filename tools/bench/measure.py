# SPDX-License-Identifier: Apache-2.0
"""One measurement of one tool: a path made, both sides run, the tool's words read, CPU and memory counted.

A tool's row is what peers-bench.json has, too:
  server, client  command lines with {srv} {cli} {port} {port2} {secs} {size} {mbps} {pps}; server may be absent
  ready           when the server is: "tcp:PORT", "udp:PORT", or "sleep:SECONDS"
  out             rows [metric, where, kind, expression, scale]: where is client, clienterr or server; kind is json
                  (path with dots), re (last match; a group u may hold K, M or G), expr (arithmetic on earlier metrics)
  linger          seconds that the server has to end by itself (0.25)
  code            exit codes that are good ([0])
"""
import json
import os
import re
import time

from gaps import Ring, describe
from path import ADDRESS, Path, Trouble
from side import Machine, Pair

PORT = 5301
UNIT = {None: 1.0, "": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
WAIT_S = 15


def look_up(document, path):
    for word in path.split("."):
        document = document[int(word)] if isinstance(document, list) else document[word]
    return float(document)


def read_json(text):
    if "{" not in text:
        raise ValueError("no JSON")
    return json.loads(text[text.index("{"):])


def extract(rows, texts, known):
    """What the rows find in the texts; a row that finds nothing is left out."""
    found = {}
    documents = {}
    for name, where, kind, expression, scale in rows:
        try:
            if kind == "expr":
                names = dict(known, **found)
                found[name] = float(eval(expression, {"__builtins__": {}, "max": max}, names)) * scale
            elif kind == "json":
                if where not in documents:
                    documents[where] = read_json(texts[where])
                found[name] = look_up(documents[where], expression) * scale
            else:
                matches = list(re.finditer(expression, texts[where], re.M))
                if matches:
                    unit = UNIT[matches[-1].groupdict().get("u")]
                    found[name] = float(matches[-1].group(1)) * unit * scale
        except (KeyError, IndexError, ValueError, ZeroDivisionError, NameError, TypeError):
            continue
    return found


def wait_ready(pair, how):
    kind, _, argument = how.partition(":")
    if kind == "sleep":
        time.sleep(float(argument))
        return
    end = time.monotonic() + 5
    # One that became a daemon has ended and lives on in a child.
    while time.monotonic() < end and (pair.server.code is None or pair.members()[pair.server]):
        if Path.listening("server", kind, int(argument)):
            time.sleep(0.05)
            return
        time.sleep(0.01)
        pair.reap()
    raise Trouble("the server does not listen: " + last_words(pair))


def last_words(pair):
    said = []
    for side in pair.sides:
        for which in (side.err, side.out):
            text = side.text(which).strip()
            if text and not text.startswith("{"):
                said.append("%s: …%s" % (side.name, text[-300:]))
                break
    return " | ".join(said).replace("\n", " / ") or "nothing was said"


def cpus_of(pin, side):
    """pin: None, "same" (both on the first CPU), "diff" (the first and the last)"""
    allowed = sorted(os.sched_getaffinity(0))
    if pin is None:
        return None
    return {allowed[-1]} if pin == "diff" and side == "server" else {allowed[0]}


def measure(row, wanted, seconds, size=1400, mbps=0.0, pin=None, shaper=None, gaps=False):
    """Metrics of one run; Trouble when there is none. wanted: the metric that has to be among them."""
    words = dict(srv=ADDRESS["server"], cli=ADDRESS["client"], port=PORT, port2=PORT + 100, secs=seconds, size=size,
                 mbps="%.3f" % mbps, pps="%d" % (mbps * 1e6 / 8 / size))
    path = Path(shaper=shaper)
    pair = Pair()
    ring = None
    try:
        if gaps:
            ring = Ring(size, int(mbps * 1e6 / 8 / size * (seconds + 3)))
        if row.get("server"):
            pair.server.start(row["server"].format(**words), cpus_of(pin, "server"))
            wait_ready(pair, row["ready"].format(**words))
            pair.mark_early()
        before = {side: path.counters(side) for side in ADDRESS}
        machine = Machine()
        pair.client.start(row["client"].format(**words), cpus_of(pin, "client"))
        in_time = pair.wait_client(seconds * 2.5 + WAIT_S)
        machine.end()
        after = {side: path.counters(side) for side in ADDRESS}
        if pair.server.pid:
            pair.end(pair.server, row.get("linger", 0.25))
        pair.end(pair.client)
        found = outcome(row, pair, machine, before, after, dict(secs=seconds, size=size))
        if ring:
            found.update(describe(ring.stamps(), size, mbps * 1e6))
        if not in_time:
            raise Trouble("did not end in time: " + last_words(pair))
        if pair.client.code not in row.get("code", [0]):
            raise Trouble("ended with %d: %s" % (pair.client.code, last_words(pair)))
        if wanted not in found:
            raise Trouble("said no %s: %s" % (wanted, last_words(pair)))
        return found
    finally:
        pair.end_all()
        if ring:
            ring.close()
        path.close()


def outcome(row, pair, machine, before, after, known):
    def grown(side, name):
        return after[side][name] - before[side][name]

    cpu_c = pair.client.cpu
    cpu_s = max(0.0, pair.server.cpu - pair.server.early_cpu)
    of_machine = machine.result(cpu_c + cpu_s)
    kernel = dict(wall=of_machine["wall"], rx_packets=grown("server", "rx_packets"),
                  tx_packets=grown("client", "tx_packets"), back_packets=grown("client", "rx_packets"),
                  udp_in=grown("server", "udp_InDatagrams"), udp_out=grown("client", "udp_OutDatagrams"))
    texts = dict(client=pair.client.text(pair.client.out), clienterr=pair.client.text(pair.client.err),
                 server=pair.server.text(pair.server.out) + pair.server.text(pair.server.err))
    found = extract(row["out"], texts, dict(known, **kernel))
    gigabytes = max(grown("server", "rx_bytes"), 1) / 1e9
    found.update(cpu_c=cpu_c, cpu_s=cpu_s, cpu_per_gb=(cpu_c + cpu_s + of_machine["softirq"]) / gigabytes,
                 rss_c=pair.client.kib / 1024, rss_s=pair.server.kib / 1024, foreign=of_machine["foreign"],
                 steal=of_machine["steal"], wall=of_machine["wall"])
    for side in pair.sides:
        for name, kib in side.by_name.items():
            found["mib %s %s" % (side.name, name)] = kib / 1024
    return found


def highest_lossless(row, seconds, size, most_loss_pct=0.01, steps=9):
    """The highest rate of which all but most_loss_pct arrived, by doubling and halving: for tools that cannot search."""
    good, bad, asked, answer = 0.0, None, 100e3, None
    for _ in range(steps):
        found = measure(row, "rx_pps", seconds, size, asked * size * 8e-6)
        sent = found.get("tx_pps", asked)
        if found["loss_pct"] <= most_loss_pct:
            good = max(good, found["rx_pps"])
            if answer is None or found["rx_pps"] > answer["rx_pps"]:
                answer = found
            if sent < 0.93 * asked:  # faster it cannot go
                break
        else:
            bad = min(bad or sent, sent)
        if good and bad:
            if bad - good < 0.03 * bad:
                break
            asked = (good + bad) / 2
        else:
            asked = asked * 2 if good else bad / 2
    if answer is None:
        raise Trouble("lost something at every rate down to %.0f packets/s" % asked)
    return answer
