#!/bin/sh
# What another program that keeps one core busy does to us: the time of a training step at 2
# threads beside such a program, by the time at 1 thread beside it. At most 1.25 is wanted: threads
# that wait must not hold up those that work.
#
#   busy_core.sh RAPT_BENCH [SECONDS=3] [WORKLOAD ...]
set -eu
bench=${1:?usage: busy_core.sh RAPT_BENCH [SECONDS=3] [WORKLOAD ...]}
seconds=${2:-3}
[ $# -ge 2 ] && shift 2 || shift 1
[ $# -gt 0 ] || set -- transformer gpt seq2seq attention

sh -c 'while :; do :; done' &
busy=$!
trap 'kill "$busy"' EXIT
median() { "$bench" "$1" "$2" "$seconds" | sed 's/.*"median_s":\([^,]*\),.*/\1/'; }
for workload; do
  one=$(median "$workload" 1)
  two=$(median "$workload" 2)
  awk -v w="$workload" -v a="$one" -v b="$two" \
    'BEGIN { printf "%-12s 1 thread %8.2f ms, 2 threads %8.2f ms: %.2f\n", w, a * 1e3, b * 1e3, b / a }'
done
