#!/bin/sh
# Measures the effect of another program that keeps one core busy. Prints the time of a training step
# at 2 threads divided by the time at 1 thread, both beside such a program. The goal is at most 1.25:
# waiting threads must not delay working ones.
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
