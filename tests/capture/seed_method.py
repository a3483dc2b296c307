#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seed_method.py A.txt B.txt COLUMN: NetWeaver's way of finding the delay between two points, acted again to compare speed.

The files are what tcpdump -tttt printed. A line is cut at blanks; column COLUMN, cut at ':', tells the packet (7 in the
tcpdump of 2013, 9 in today's), column 1 is the time; a table from the one to the other of each file; then each packet of the
first is looked up in the second.
"""
import datetime
import statistics
import sys


def read(path, column):
    seen = {}
    with open(path, encoding="ascii", errors="replace") as log:
        for line in log:
            words = line.split(" ")
            if len(words) > column:
                at = datetime.datetime.strptime(words[1], "%H:%M:%S.%f")
                seen[words[column].split(":")[0]] = at
    return seen


def main():
    column = int(sys.argv[3])
    first, second = read(sys.argv[1], column), read(sys.argv[2], column)
    deltas = []
    for packet, at in first.items():
        if packet in second:
            delta = second[packet] - at
            deltas.append(delta.seconds * 1000000 + delta.microseconds)
    print(len(deltas), statistics.fmean(deltas), statistics.pstdev(deltas), min(deltas), max(deltas))


main()
