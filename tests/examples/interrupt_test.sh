#!/usr/bin/env bash
# Ctrl-C ends the demo in good order, and what was learned is kept. $1: the dates program.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
set -m # or the shell would let its background jobs ignore the signal
"$1" --steps 1000000 --seconds 600 --test 20 >out.txt 2>err.txt &
program=$!
for _ in $(seq 100); do
  sleep 0.1
  [ -s out.txt ] || [ -s err.txt ] || continue
  break
done
sleep 2
kill -INT "$program"
status=0
wait "$program" || status=$?
[ "$status" -eq 130 ] || { cat out.txt err.txt; echo "interrupt_test: it ended with $status"; exit 1; }
grep -q "stopped by Ctrl-C" out.txt || { cat out.txt; echo "interrupt_test: it did not say so"; exit 1; }
[ -s dates-model/model.safetensors ] || { echo "interrupt_test: no model was kept"; exit 1; }
echo "interrupt_test: passed"
