#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One test of a foreign peer by vnperf-agent: its lines as the controller writes them, its results as JSON.

foreign_client.py AGENT [seconds=1] [warmup=0] [interval=0] [rate=0] KEY=VALUE…   (keys of docs/protocol.md, prepare)
"""
import json
import re
import struct
import subprocess
import sys
import time

SPEC = {
    "kind": "tcp_stream", "role": "client", "direction": 1, "flows": 1, "payload_bytes": 131072, "port": 5201,
    "port_last": 0, "address": "127.0.0.1", "cc": "", "gap_ns": 0, "connect_ns": 5000000000, "peer": "iperf3", "io": "app",
    "pin": 0, "mss_bytes": 0, "window_bytes": 0, "dscp": 0, "gso": 0, "ttl": 0, "nodelay": 0, "imix": 0, "spin": 0,
    "bind": "", "token": "00" * 16,
}


def main():
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    seconds, warmup, interval, rate = (float(given.pop(key, default)) for key, default in (
        ("seconds", 1), ("warmup", 0), ("interval", 0), ("rate", 0)))
    unknown = set(given) - set(SPEC)
    if unknown:
        sys.exit(f"not known: {unknown}")
    spec = SPEC | given
    agent = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(line):
        agent.stdin.write(line.encode() + b"\n")
        agent.stdin.flush()

    answer = {"intervals": 0}

    def number_of(word):
        """A real comes as x and its 64 bits."""
        if re.fullmatch("x[0-9a-f]{16}", word):
            return struct.unpack(">d", bytes.fromhex(word[1:]))[0]
        return int(word) if re.fullmatch("-?[0-9]+", word) else word

    def until(number):
        for line in iter(agent.stdout.readline, b""):
            words = line.decode().split()
            pairs = dict(word.split("=", 1) for word in words[2:] if "=" in word)
            agent.stdout.read(int(pairs.get("blob", 0)))
            if words[1] == "interval":
                answer["intervals"] += 1
            if words[1] == "result":
                answer[pairs["part"]] = {key: number_of(word) for key, word in pairs.items()}
            if words[1] in ("error", "failed"):
                answer["error"] = re.sub("%(..)", lambda m: chr(int(m[1], 16)), pairs["text"])
                return False
            if words[1] == "ok" and words[0] == str(number):
                return True
        sys.exit("the agent ended")

    say("2 prepare " + " ".join(f"{key}={value}" for key, value in spec.items()))
    if until(2):
        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 10000000
        say(f"3 start session=2 trial=1 start_ns={start} warmup_ns={warmup * 1e9:.0f} duration_ns={seconds * 1e9:.0f} "
            f"tail_ns=0 interval_ns={interval * 1e9:.0f} rate_bps={rate:.0f} count=0")
        until(3)
    agent.stdin.close()
    agent.wait()
    print(json.dumps(answer))


main()
