#!/usr/bin/env bash
# A task of one's own: it learns, resumes to the same bits, and has a report. $1: the program.
set -euo pipefail
own_task=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "own_task_test: $*" >&2
  exit 1
}

"$own_task" whole 2>whole.log || { cat whole.log >&2; fail "training failed"; }
grep -qE "best dev accuracy 9[5-9]|best dev accuracy 100" whole.log || { cat whole.log; fail "it has not learned"; }
for file in model.safetensors training.json log.jsonl report/index.html; do
  [ -s whole/$file ] || fail "there is no $file"
done

# A kill after two epochs; the same command resumes and ends with the same model.
"$own_task" parts 2>parts.log &
pid=$!
for _ in $(seq 500); do
  grep -q "^epoch 2:" parts.log && break
  sleep 0.01
done
kill -KILL $pid 2>/dev/null || fail "it ended before it could be killed"
wait $pid 2>/dev/null || true
"$own_task" parts 2>more.log || { cat more.log >&2; fail "it did not resume"; }
grep -q "^resumed after" more.log || { cat more.log; fail "it began anew"; }
cmp whole/model.safetensors parts/model.safetensors || fail "another model after an interruption"
echo "learned, killed, resumed: the same model"
