# SPDX-License-Identifier: Apache-2.0
"""The peers that Debian packages: how each is called for each test, and where its words hold the numbers (measure.py tells
the format). Sizes and rates are those of our own rows, so that like stands beside like; all else is each tool's default."""


def said(metric, expression, scale=1.0, where="client"):
    return [metric, where, "re", expression, scale]


def value(metric, path, scale=1.0):
    return [metric, "client", "json", path, scale]


def worked_out(metric, expression):
    return [metric, "client", "expr", expression, 1.0]


# Of those tools that count datagrams sent and lost, and say for how long.
UDP_COUNTS = [
    worked_out("tx_pps", "n_sent / n_seconds"),
    worked_out("rx_pps", "(n_sent - n_lost) / n_seconds"),
    worked_out("loss_pct", "100.0 * n_lost / n_sent"),
    worked_out("gbps", "rx_pps * size * 8e-9"),
]


def iperf3(flags=""):
    server = "iperf3 --server --one-off --port {port}"
    client = "iperf3 --client {srv} --port {port} --time {secs} --json"
    tcp = [value("gbps", "end.sum_received.bits_per_second", 1e-9)]
    udp = [value("n_sent", "end.sum.packets"), value("n_lost", "end.sum.lost_packets"),
           value("n_seconds", "end.sum.seconds")] + UDP_COUNTS

    def row(words, out):
        return dict(server=server, ready="tcp:{port}", client="%s %s" % (client, words), out=out)

    rows = {"tcp%d" % n: row(" ".join(["--parallel %d" % n] + flags.split()), tcp) for n in (1, 4, 64)}
    if flags:
        return rows
    rows["udp"] = row("--udp --bitrate 0 --length {size}", udp)
    rows["udpmax"] = row("--udp --bitrate {mbps}M --length {size}", udp)
    return rows


def iperf2():
    tcp = [said("gbps", r"^\[(?:SUM|\s*\d+)\].*?\s([0-9.]+) (?P<u>[KMG])?bits/sec", 1e-9, "server")]
    udp = [said("n_lost", r"\s(\d+)/\s*\d+ \([-0-9.e+]+%\)", where="server"),
           said("n_sent", r"\s\d+/\s*(\d+) \([-0-9.e+]+%\)", where="server"),
           said("n_seconds", r"\s0\.0+-\s*([0-9.]+) sec", where="server")] + UDP_COUNTS
    rows = {}
    for n in (1, 4, 64):
        rows["tcp%d" % n] = dict(server="iperf -s -p {port} -f g", ready="tcp:{port}", linger=0.4, out=tcp,
                                 client="iperf -c {srv} -p {port} -t {secs} -P %d -f g" % n)
    rows["udp"] = dict(server="iperf -s -u -p {port} -f g", ready="udp:{port}", linger=0.6, out=udp,
                       client="iperf -c {srv} -u -p {port} -t {secs} -b 1000g -l {size}")
    rows["udpmax"] = dict(rows["udp"], client="iperf -c {srv} -u -p {port} -t {secs} -b {pps}pps -l {size}")
    return rows


def nuttcp():
    server = "nuttcp -1 -P {port} -p {port2}"
    client = "nuttcp %s -T {secs} -P {port} -p {port2} -fparse {srv}"
    tcp = [said("gbps", r"rate_Mbps=([0-9.]+)", 1e-3)]
    udp = [said("n_sent", r"\bpkt=(\d+)"), said("n_lost", r"\bdrop=(\d+)"),
           said("n_seconds", r"real_seconds=([0-9.]+)")] + UDP_COUNTS

    def row(words, out):
        return dict(server=server, ready="tcp:{port}", client=client % words, out=out)

    return {"tcp1": row("", tcp), "tcp4": row("-N 4", tcp), "udp": row("-u -Ru -l {size}", udp)}


def qperf():
    server = "qperf -lp {port}"
    client = "qperf {srv} -lp {port} -ip {port2} -t {secs} %s"
    udp = [said("b_sent", r"send_bw\s*=\s*([0-9.]+) (?P<u>[KMG])B/sec"),
           said("b_got", r"recv_bw\s*=\s*([0-9.]+) (?P<u>[KMG])B/sec"), worked_out("tx_pps", "b_sent / size"),
           worked_out("rx_pps", "b_got / size"), worked_out("loss_pct", "100.0 * (1 - b_got / b_sent)"),
           worked_out("gbps", "rx_pps * size * 8e-9")]
    # What it calls latency is half of the round trip.
    latency = [said("mean_us", r"latency\s*=\s*([0-9.]+) us", 2.0), worked_out("tps", "1e6 / mean_us")]

    def row(words, out):
        return dict(server=server, ready="tcp:{port}", client=client % words, out=out)

    return {
        "tcp1": row("-m 128K tcp_bw", [said("gbps", r"bw\s*=\s*([0-9.]+) (?P<u>[KMG])B/sec", 8e-9)]),
        "udp": row("-m {size} udp_bw", udp),
        "rr_tcp": row("-m 64 tcp_lat", latency),
        "rr_udp": row("-m 64 udp_lat", latency),
    }


def sockperf(more=""):
    latency = [said("p50_us", r"percentile 50.000 =\s*([0-9.]+)"), said("p99_us", r"percentile 99.000 =\s*([0-9.]+)"),
               said("p999_us", r"percentile 99.900 =\s*([0-9.]+)"),
               said("mean_us", r"Summary: (?:Round trip|Latency) is ([0-9.]+)"),
               said("n_answers", r"\[Valid Duration\].*ReceivedMessages=(\d+)"),
               said("n_seconds", r"\[Valid Duration\] RunTime=([0-9.]+)"), worked_out("tps", "n_answers / n_seconds")]
    # It does not count at the receiver: the kernel does.
    udp = [said("tx_pps", r"Message Rate is (\d+)"), worked_out("loss_pct", "100.0 * (1 - udp_in / max(1, udp_out))"),
           worked_out("rx_pps", "tx_pps * (1 - loss_pct / 100)"), worked_out("gbps", "rx_pps * size * 8e-9")]

    def row(kind, transport, words, out):
        ends = "-i {srv} -p {port} %s" % transport
        return dict(server=("sockperf sr %s %s" % (ends, more)).strip(), out=out,
                    ready="%s:{port}" % ("tcp" if transport else "udp"),
                    client=("sockperf %s %s -t {secs} %s %s" % (kind, ends, words, more)).strip())

    return {
        "tcp1": row("tp", "--tcp", "-m 65507", [said("gbps", r"BandWidth is [0-9.]+ MBps \(([0-9.]+) Mbps", 1e-3)]),
        "udp": row("tp", "", "-m {size}", udp),
        "rr_tcp": row("pp", "--tcp", "-m 64 --full-rtt", latency),
        "rr_udp": row("pp", "", "-m 64 --full-rtt", latency),
    }


def echoes():
    ping = [said("n_answers", r"(\d+) received"), worked_out("tps", "n_answers / secs"),
            said("min_us", r"= ([0-9.]+)/", 1e3), said("mean_us", r"= [0-9.]+/([0-9.]+)/", 1e3)]
    # fping waits 1 ms at the least from one request to the next.
    fping = [worked_out("tps", "back_packets / wall"), said("min_us", r"avg/max = ([0-9.]+)/", 1e3, "clienterr"),
             said("mean_us", r"avg/max = [0-9.]+/([0-9.]+)/", 1e3, "clienterr")]
    return {
        "ping-f": {"ping": dict(client="ping -f -q -w {secs} {srv}", out=ping)},
        # It does not pair answers with requests, and is ended by the clock: timeout's code is 124.
        "hping3": {"ping": dict(client="timeout -s INT {secs} hping3 -1 --flood -q {srv}", code=[0, 1, 124],
                                out=[worked_out("tps", "back_packets / wall")])},
        "fping": {"ping": dict(client="timeout -s INT {secs} fping -q -l -p 1 -i 1 {srv}", code=[0, 1, 124], out=fping)},
    }


PEERS = dict({"iperf3": iperf3(), "iperf3-Z": iperf3("--zerocopy"), "iperf2": iperf2(), "nuttcp": nuttcp(), "qperf": qperf(), "sockperf": sockperf(),
              "sockperf-nb": sockperf("--nonblocked")}, **echoes())

# command: Debian's package
PACKAGES = {"iperf3": "iperf3", "iperf": "iperf", "nuttcp": "nuttcp", "qperf": "qperf", "sockperf": "sockperf",
            "ping": "iputils-ping", "hping3": "hping3", "fping": "fping", "socat": "socat"}
