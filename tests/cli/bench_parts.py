# SPDX-License-Identifier: Apache-2.0
"""The parts of tools/bench that need no traffic, or traffic of their own. bench.bats runs this, inside namespaces
when its first argument is a class that needs them."""
import json
import os
import shlex
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["BENCH_DIR"])

import bench
import cases
import gaps
import measure
import path
import peers
import report
import side

FIELDS = dict(srv="10.99.0.2", cli="10.99.0.1", port=5301, port2=5401, secs=1, size=1400, mbps="100.000", pps="8928")


def found(row, **texts):
    texts = dict(dict(client="", clienterr="", server=""), **texts)
    return measure.extract(row["out"], texts, dict(secs=1, size=64, wall=1.5, udp_in=90, udp_out=100, back_packets=300))


class Words(unittest.TestCase):
    """What tools print becomes numbers."""

    def test_iperf2_server_line(self):
        text = "[  1] 0.0000-1.0012 sec  5.32 GBytes  45.7 Gbits/sec\n"
        self.assertAlmostEqual(found(peers.PEERS["iperf2"]["tcp1"], server=text)["gbps"], 45.7)

    def test_iperf2_takes_the_sum_of_flows(self):
        text = "[  1] 0.00-1.00 sec 1 GBytes 8.6 Gbits/sec\n[  2] 0.00-1.00 sec 1 GBytes 8.5 Gbits/sec\n" \
               "[SUM] 0.0000-1.0006 sec  2 GBytes  17.1 Gbits/sec\n"
        self.assertAlmostEqual(found(peers.PEERS["iperf2"]["tcp4"], server=text)["gbps"], 17.1)

    def test_iperf2_udp_loss(self):
        text = "[  1] 0.0000-2.0000 sec  1 MBytes  9 Mbits/sec   0.001 ms 250/1000 (25%)\n"
        got = found(peers.PEERS["iperf2"]["udp"], server=text)
        self.assertEqual((got["rx_pps"], got["loss_pct"]), (375.0, 25.0))

    def test_iperf3_udp_counts(self):
        text = json.dumps({"end": {"sum": {"packets": 1000, "lost_packets": 100, "seconds": 2.0}}})
        got = found(peers.PEERS["iperf3"]["udp"], client=text)
        self.assertEqual((got["tx_pps"], got["rx_pps"], got["loss_pct"]), (500.0, 450.0, 10.0))

    def test_qperf_units(self):
        text = "tcp_bw:\n    bw  =  5.5 GB/sec\n"
        self.assertAlmostEqual(found(peers.PEERS["qperf"]["tcp1"], client=text)["gbps"], 44.0)

    def test_qperf_latency_is_doubled(self):
        got = found(peers.PEERS["qperf"]["rr_tcp"], client="tcp_lat:\n    latency  =  5 us\n")
        self.assertEqual((got["mean_us"], got["tps"]), (10.0, 100000.0))

    def test_ping_flood(self):
        text = "--- x ping statistics ---\n500 packets transmitted, 500 received, 0% packet loss, time 999ms\n" \
               "rtt min/avg/max/mdev = 0.003/0.004/0.090/0.001 ms\n"
        got = found(peers.PEERS["ping-f"]["ping"], client=text)
        self.assertEqual((got["tps"], got["min_us"], got["mean_us"]), (500.0, 3.0, 4.0))

    def test_silence_is_no_number(self):
        for tool, rows in peers.PEERS.items():
            for test, row in rows.items():
                got = found(row)
                self.assertTrue(set(got) <= {"tps", "loss_pct"}, (tool, test, got))


class Rows(unittest.TestCase):
    """peers-bench.json is understood by the vnperf of this build."""

    def setUp(self):
        with open(os.path.join(os.environ["BENCH_DIR"], "peers-bench.json")) as f:
            self.spec = json.load(f)

    def help_of(self, command):
        words = shlex.split(command.format(**FIELDS))
        self.assertEqual(words[0], "vnperf")
        return subprocess.run([os.environ["VNPERF"]] + words[1:] + ["--help"], capture_output=True, text=True)

    def test_every_client_line_is_read(self):
        for tool, rows in self.spec.items():
            for test, row in rows.items():
                done = self.help_of(row["client"])
                self.assertEqual(done.returncode, 0, (tool, test, done.stderr))

    def test_a_wrong_flag_would_be_seen(self):
        self.assertNotEqual(self.help_of(self.spec["vnperf"]["tcp1"]["client"] + " --io fast").returncode, 0)

    def test_no_path_of_one_machine(self):
        for rows in self.spec.values():
            for row in rows.values():
                self.assertFalse("/" in row["server"] + row["client"], row["client"])

    def test_every_case_has_its_rows(self):
        rows = dict(peers.PEERS, **self.spec)
        for case in cases.CASES:
            for tool, test, _ in case.tools:
                row = rows.get(tool, rows.get(tool.split()[0]))[test]
                row["client"].format(**FIELDS)
                self.assertIn(case.metric, [out[0] for out in row["out"]] + ["short_pct"], (case.name, tool))
            for column in case.columns:
                self.assertIn(column, cases.UNITS)

    def test_every_mark_names_what_is_measured(self):
        by_name = {case.name: case for case in cases.CASES}
        for mark in cases.MARKS:
            tools = [tool for tool, _, _ in by_name[mark.case].tools]
            for tool in [mark.ours] + (mark.peers or []):
                self.assertIn(tool, tools)


class Judging(unittest.TestCase):
    def results(self, **figures):
        results = report.Results(0.15)
        for tool, values in figures.items():
            for value in values:
                results.add("tcp1", tool, dict(gbps=value, cpu_per_gb=1 / value, foreign=0.0))
        return results

    def check(self, results, **mark):
        return report.check_mark(cases.Mark("tcp1", "gbps", "ours", **mark), results)

    def test_median_against_the_best_peer(self):
        got = self.check(self.results(ours=[50, 30, 40], a=[20, 25, 21], b=[10]), at=">=", factor=1.6, peers="a,b")
        self.assertEqual(got, (40, "a", 21, 40 / 21, True))

    def test_a_mark_can_be_missed(self):
        self.assertIs(self.check(self.results(ours=[40], a=[30]), at=">=", factor=1.6, peers="a")[4], False)

    def test_least_wins_where_less_is_better(self):
        self.assertIs(self.check(self.results(ours=[40]), at="<=", factor=40)[4], True)
        self.assertIs(self.check(self.results(ours=[40]), at="<", factor=40)[4], False)

    def test_nothing_measured_is_neither(self):
        self.assertIsNone(self.check(self.results(a=[30]), at=">=", factor=1.6, peers="a")[4])
        self.assertIsNone(self.check(self.results(ours=[30]), at=">=", factor=1.6, peers="a")[4])

    def test_disturbed_runs_are_set_aside_while_half_stay(self):
        results = self.results(ours=[10, 20])
        results.add("tcp1", "ours", dict(gbps=900, cpu_per_gb=1, foreign=0.9))
        self.assertEqual(results.median("tcp1", "ours", "gbps"), 15)
        for _ in range(2):
            results.add("tcp1", "ours", dict(gbps=900, cpu_per_gb=1, foreign=0.9))
        self.assertEqual(results.median("tcp1", "ours", "gbps"), 900)

    def test_gaps_of_an_even_sender(self):
        got = gaps.describe([i * 11200 for i in range(100000)], 1400, 1e9)
        self.assertEqual((got["short_pct"], got["p1_us"], got["p99_us"]), (0.0, 11.2, 11.2))
        self.assertAlmostEqual(got["gbps"], 1.0)

    def test_gaps_of_bursts_of_ten(self):
        stamps = [i // 10 * 112000 + i % 10 * 1000 for i in range(100000)]
        got = gaps.describe(stamps, 1400, 1e9)
        self.assertAlmostEqual(got["short_pct"], 90, delta=0.01)
        self.assertAlmostEqual(got["gbps"], 1.0, delta=0.001)

    def test_too_few_gaps_are_no_answer(self):
        with self.assertRaises(path.Trouble):
            gaps.describe([1, 2, 3], 1400, 1e9)

    def test_settings_that_cannot_be(self):
        for setting in ({"ROUNDS": "0"}, {"ROUNDS": "1.5"}, {"SECONDS_EACH": "x"}, {"ONLY": "tpc1"}, {"TOOLS": "iperf9"}):
            with self.assertRaises(SystemExit):
                bench.Options(dict(setting, VNPERF_BUILD=os.environ["VNPERF_BUILD"]))


SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(%d):
    s.sendto(bytes(%d), ("10.99.0.2", 9))
"""
BURN = "import time\nwhile time.process_time() < 0.3: pass"


class Namespaces(unittest.TestCase):
    """In namespaces of our own, as root of them."""

    def setUp(self):
        os.chdir(os.environ["TEST_DIR"])
        side.become_reaper()
        if not os.path.ismount("/run"):
            path.call("mount", "-t", "tmpfs", "tmpfs", "/run")

    def send(self, n, payload):
        with path.inside("client"):
            path.call(sys.executable, "-c", SEND % (n, payload))

    def test_ring_sees_every_datagram_of_that_size(self):
        way = path.Path()
        try:
            ring = gaps.Ring(1400, 5000)
            self.send(1000, 1400)
            self.send(10, 1399)
            stamps = ring.stamps()
            self.assertEqual(len(stamps), 1000)
            self.assertEqual(stamps, sorted(stamps))
            ring.close()
        finally:
            way.close()

    def test_ring_says_when_it_was_too_small(self):
        way = path.Path()
        try:
            ring = gaps.Ring(1400, 512)
            self.send(1000, 1400)
            with self.assertRaisesRegex(path.Trouble, "lost 488 datagrams"):
                ring.stamps()
            ring.close()
        finally:
            way.close()

    def test_path_uses_cubic_and_ends(self):
        way = path.Path()
        with path.inside("client"):
            route = subprocess.run(["ip", "route"], capture_output=True, text=True).stdout
        self.assertIn("congctl cubic", route)
        way.close()
        self.assertEqual(os.listdir("/run/netns"), [])

    def test_cpu_and_memory_of_every_process_of_a_side(self):
        burn = "%s -c %s" % (sys.executable, shlex.quote(BURN))
        grow = "%s -c %s" % (sys.executable, shlex.quote("x = bytearray(64 << 20); import time; time.sleep(60)"))
        # The server burns in a daemon of another session; the client holds memory in a child, and burns in itself.
        row = dict(server="sh -c %s" % shlex.quote("setsid -f %s; sleep 60" % burn), ready="sleep:0",
                   client="sh -c %s" % shlex.quote("%s & %s; sleep 1; echo 1; kill $!" % (grow, burn)),
                   out=[["gbps", "client", "re", "([0-9]+)", 1]])
        got = measure.measure(row, "gbps", 1)
        self.assertGreaterEqual(got["cpu_s"] + 0.05, 0.3)  # 0.05: what it took before the client came is not the run's
        self.assertGreaterEqual(got["cpu_c"], 0.3)
        self.assertGreaterEqual(got["rss_c"], 64)
        self.assertLess(got["rss_s"], 64)

    def test_nobody_is_left(self):
        row = dict(server="sh -c 'trap : INT TERM; setsid -f sleep 60; while :; do sleep 60; done'", ready="sleep:0.1",
                   client="echo 7", out=[["gbps", "client", "re", "([0-9]+)", 1]])
        self.assertEqual(measure.measure(row, "gbps", 1)["gbps"], 7)
        ours = [p for p in side.processes().values() if p.parent == os.getpid()]
        self.assertEqual([p.name for p in ours], [])

    def test_a_tool_that_fails_says_why(self):
        row = dict(client="sh -c 'echo cannot do that >&2; exit 3'", out=[])
        with self.assertRaisesRegex(path.Trouble, "ended with 3: client: .*cannot do that"):
            measure.measure(row, "gbps", 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
