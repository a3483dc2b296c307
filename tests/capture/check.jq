# SPDX-License-Identifier: Apache-2.0
# jq -n -r --slurpfile truth truth.json --slurpfile got result.json -f check.jq: a line for each figure that is not true.
#
# Counts exact; least, mean and greatest to the nanosecond (the mean to half of one); percentiles to 0.8 %. What the truth
# has as null is not compared. $counts_only: delays are not compared, where clocks were estimated.

def base: split("/") | last;
def hop_name: "\(.from | base) -> \(.to | base)\(if .whole then " (whole)" else "" end)";

def exact($where; $name; $want; $got):
    if $want == null or $want == $got then empty else "\($where): \($name) is \($got), truth \($want)" end;

def near($where; $name; $want; $got; $room):
    if $got == null then "\($where): \($name) is null, truth \($want)"
    elif (($want - $got) | fabs) <= $room then empty
    else "\($where): \($name) is \($got), truth \($want)" end;

def delays($where; $want; $got):
    exact($where; "count"; $want.count; $got.count),
    if $want.count == 0 then
        exact($where; "mean of nothing"; "null"; $got.mean | tojson)
    else
        near($where; "min"; $want.min; $got.min; 0),
        near($where; "max"; $want.max; $got.max; 0),
        near($where; "mean"; $want.mean; $got.mean; 0.5),
        near($where; "stddev"; $want.stddev; $got.stddev; 1 + 0.001 * $want.stddev),
        (("p50", "p90", "p99", "p999", "p9999") as $p
            | near($where; $p; $want[$p]; $got[$p]; 1 + 0.008 * ($want[$p] | fabs)))
    end;

($truth[0]) as $truth | ($got[0]) as $got
| exact("document"; "schema"; "vnperf/1"; $got.schema),
  exact("document"; "hops"; [$truth.hops[] | hop_name]; [$got.hops[] | hop_name]),
  ($truth.hops[] as $want
    | ($want | hop_name) as $where
    | ([$got.hops[] | select(hop_name == $where)] | first) as $hop
    | if $hop == null then empty else
          (("matched", "lost", "duplicated", "reordered", "only_later", "ambiguous") as $name
              | exact($where; $name; $want[$name]; $hop[$name])),
          if $counts_only then empty else
              delays("\($where) delay"; $want.delay_ns; $hop.delay_ns),
              if $want.hold_ns then
                  delays("\($where) hold"; $want.hold_ns; $hop.hold_ns),
                  delays("\($where) path"; $want.path_ns; $hop.path_ns)
              else empty end
          end
      end),
  exact("document"; "points"; [$truth.points[].name]; [$got.points[].name | base]),
  ($truth.points[] as $want
    | ([$got.points[] | select((.name | base) == $want.name)] | first) as $point
    | if $point == null then empty else
          (("seen", "unparsed", "fragments", "unmatched") as $name
              | exact($want.name; $name; $want[$name]; $point[$name]))
      end)
