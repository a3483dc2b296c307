# SPDX-License-Identifier: Apache-2.0
"""What is measured, and the marks that it has to reach."""


class Case:
    """
    name     the case's word; group: the word that stands for several
    metric   what decides which tool is ahead; columns: what is shown beside it
    tools    (tool, row of the tool, options of measure()): ours first
    most     rounds at the most, where one takes long
    options  measure()'s; times: so many times the length of the other cases
    """

    def __init__(self, name, group, title, metric, columns, tools, most=None, **options):
        self.name, self.group, self.title, self.metric, self.most = name, group, title, metric, most
        self.columns = columns.split()
        self.tools = [(tool, row, dict(options, **own)) for tool, row, own in tools]


def each(row, names, **own):
    return [(name, row, own) for name in names.split()]


TCP = "gbps cpu_per_gb rss_c rss_s"
UDP = "rx_pps tx_pps loss_pct gbps cpu_c cpu_s"
RR = "tps p50_us p99_us mean_us rss_c"
GAPS = "short_pct p1_us p50_us p99_us ideal_us gbps"
SEARCH = "gbps of_ideal_pct search_s loss_pct"
SHAPER = "rate %dmbit burst 32kb limit 300kb"
# Payload's share of a frame as the shaper counts it: 1400 bytes behind UDP, IPv4 and Ethernet headers.
SHARE = 1400 / 1442

CASES = [
    Case("tcp1", "tcp", "TCP, 1 flow", "gbps", TCP,
         each("tcp1", "vnperf-lean vnperf-lean-two vnperf iperf3 iperf3-Z iperf2 nuttcp qperf sockperf"), times=2),
    Case("tcp4", "tcp", "TCP, 4 flows", "gbps", TCP, each("tcp4", "vnperf-lean vnperf iperf3 iperf3-Z iperf2 nuttcp"),
         times=2),
    Case("tcp64", "tcp", "TCP, 64 flows", "gbps", TCP, each("tcp64", "vnperf-lean vnperf iperf3 iperf3-Z iperf2"), times=2),
    Case("udp64", "udp", "UDP, 64 B, one datagram a packet", "rx_pps", UDP + " search_s",
         each("udp", "vnperf vnperf-blast iperf3 iperf2 nuttcp qperf sockperf"), size=64),
    Case("udp1400", "udp", "UDP, 1400 B, one datagram a packet", "rx_pps", UDP,
         each("udp", "vnperf vnperf-blast iperf3 iperf2 nuttcp qperf sockperf"), size=1400),
    Case("gso", "udp", "UDP, 1400 B, many datagrams a send call (GSO)", "rx_pps", UDP,
         each("udp", "vnperf-gso"), size=1400),
    Case("udpmax", "udpmax", "Highest lossless rate, UDP 64 B", "rx_pps", "rx_pps loss_pct gbps",
         each("udp", "vnperf") + each("udpmax", "iperf3", search=True), most=3, size=64),
    Case("pacing100", "pacing", "Pacing, 100 Mbit/s of 1400 B: gaps at the far end", "short_pct", GAPS,
         each("udpmax", "vnperf iperf3"), mbps=100.0, gaps=True),
    Case("pacing1000", "pacing", "Pacing, 1 Gbit/s of 1400 B: gaps at the far end", "short_pct", GAPS,
         each("udpmax", "vnperf iperf3"), mbps=1000.0, gaps=True),
    Case("rr_tcp", "rr", "TCP request/response, 64 B, both ends on one CPU", "tps", RR,
         each("rr_tcp", "vnperf") + each("rr_tcp", "sockperf qperf", pin="same")),
    Case("rr_udp", "rr", "UDP request/response, 64 B, spinning, each end on its CPU", "tps", RR,
         each("rr_udp", "vnperf-spin") + each("rr_udp", "sockperf-nb qperf", pin="diff")),
    Case("crr", "rr", "TCP connect/request/response/close, 64 B, on one CPU", "tps", RR,
         each("crr", "vnperf") + [("vnperf RR", "rr_tcp", {})]),
    Case("ping", "ping", "ICMP echo, 56 B, as fast as answers come", "tps", "tps min_us mean_us p99_us cpu_c rss_c",
         each("ping", "vnperf ping-f hping3 fping")),
    Case("search200", "search", "Rate search, 1400 B through a shaper of 200 Mbit/s", "gbps", SEARCH,
         each("udp_search", "vnperf"), shaper=SHAPER % 200, ideal_gbps=0.2 * SHARE),
    Case("search1000", "search", "Rate search, 1400 B through a shaper of 1 Gbit/s", "gbps", SEARCH,
         each("udp_search", "vnperf"), shaper=SHAPER % 1000, ideal_gbps=SHARE),
]

UNITS = {
    "gbps": ("Gbit/s", "%.3g"), "cpu_per_gb": ("CPU s/GB", "%.3f"), "rss_c": ("MiB client", "%.1f"),
    "rss_s": ("MiB server", "%.1f"), "rx_pps": ("received/s", "%.0f"), "tx_pps": ("sent/s", "%.0f"),
    "loss_pct": ("loss %", "%.3g"), "cpu_c": ("CPU s client", "%.2f"), "cpu_s": ("CPU s server", "%.2f"),
    "tps": ("per s", "%.0f"), "min_us": ("min µs", "%.2f"), "mean_us": ("mean µs", "%.2f"), "p1_us": ("p1 µs", "%.1f"),
    "p50_us": ("p50 µs", "%.2f"), "p99_us": ("p99 µs", "%.2f"), "ideal_us": ("ideal µs", "%.1f"),
    "short_pct": ("% under a quarter", "%.2f"), "of_ideal_pct": ("% of the shaper", "%.2f"),
    "search_s": ("search s", "%.2f"), "error_pct": ("% off", "%.2f"), "foreign": ("others %", "%.0f"),
}


class Mark:
    """
    at     ">=", "<=" or "<": ours against factor times the peer's, or against factor when peers is None
    peers  names; the one that is ahead by the case's metric counts, for the figure named; ours may be among them
    """

    def __init__(self, case, metric, ours, at, factor, peers=None, beside=None):
        self.case, self.metric, self.ours, self.at, self.factor = case, metric, ours, at, factor
        self.peers = peers.split(",") if peers else None
        self.beside = beside  # a peer that is shown, but is no mark


TCP1_PEERS = "iperf3,iperf2,nuttcp,qperf,sockperf"
# Percentiles of ours stand on a histogram with steps of up to 1 %: "no worse" is within one step.
NO_WORSE = 1.01

MARKS = [
    Mark("tcp1", "gbps", "vnperf-lean", ">=", 1.6, "iperf3-Z," + TCP1_PEERS),
    Mark("tcp1", "cpu_per_gb", "vnperf-lean", "<=", 0.5, "iperf3-Z," + TCP1_PEERS),
    Mark("tcp1", "gbps", "vnperf", ">=", 1.0, "iperf3,iperf2"),
    Mark("tcp1", "cpu_per_gb", "vnperf", "<=", 1.0, "iperf3"),
    Mark("tcp1", "cpu_per_gb", "vnperf", "<=", 1.0, "iperf2"),
    Mark("tcp4", "gbps", "vnperf-lean", ">=", 2.0, "iperf3-Z,iperf3,iperf2,nuttcp"),
    Mark("tcp64", "gbps", "vnperf-lean", ">=", 2.0, "iperf3-Z,iperf3,iperf2"),
    Mark("tcp64", "rss_c", "vnperf-lean", "<=", 40),
    Mark("tcp64", "rss_s", "vnperf-lean", "<=", 40),
    Mark("tcp64", "rss_c", "vnperf", "<=", 40),
    Mark("tcp64", "rss_s", "vnperf", "<=", 40),
    Mark("udp64", "rx_pps", "vnperf", ">=", 1.4, TCP1_PEERS),
    Mark("udp64", "loss_pct", "vnperf", "<=", 0, beside=TCP1_PEERS),
    Mark("udp1400", "rx_pps", "vnperf", ">=", 1.4, TCP1_PEERS),
    Mark("udp1400", "loss_pct", "vnperf", "<=", 0, beside=TCP1_PEERS),
    Mark("gso", "gbps", "vnperf-gso", ">=", 60),
    Mark("gso", "loss_pct", "vnperf-gso", "<=", 0),
    Mark("udpmax", "rx_pps", "vnperf", ">=", 8, "iperf3"),
    Mark("pacing100", "short_pct", "vnperf", "<", 3, beside="iperf3"),
    Mark("pacing1000", "short_pct", "vnperf", "<", 3, beside="iperf3"),
    Mark("rr_udp", "tps", "vnperf-spin", ">=", 1.0, "sockperf-nb"),
    Mark("rr_udp", "p50_us", "vnperf-spin", "<=", NO_WORSE, "sockperf-nb"),
    Mark("rr_udp", "p99_us", "vnperf-spin", "<=", NO_WORSE, "sockperf-nb"),
    Mark("rr_udp", "rss_c", "vnperf-spin", "<=", 0.25, "sockperf-nb"),
    Mark("rr_tcp", "tps", "vnperf", ">=", 1.0, "sockperf"),
    Mark("rr_tcp", "p50_us", "vnperf", "<=", NO_WORSE, "sockperf"),
    Mark("rr_tcp", "p99_us", "vnperf", "<=", NO_WORSE, "sockperf"),
    Mark("rr_tcp", "rss_c", "vnperf", "<=", 0.25, "sockperf"),
    Mark("crr", "tps", "vnperf", ">=", 0.3, "vnperf RR"),
    Mark("ping", "tps", "vnperf", ">=", 1.2, "ping-f"),
    Mark("search200", "error_pct", "vnperf", "<=", 1),
    Mark("search200", "search_s", "vnperf", "<=", 2.5),
    Mark("search1000", "error_pct", "vnperf", "<=", 1),
    Mark("search1000", "search_s", "vnperf", "<=", 2.5),
    Mark("udp64", "search_s", "vnperf", "<=", 2.5),
]
