#!/usr/bin/env bash
# Training that is killed at random moments goes on, and ends with the bits of an undisturbed run.
# $1: the translate program; $2: how many kills, 20 unless given. A longer test by hand:
#
#   tests/examples/kill_test.sh build/bin/translate 200
#
# Where the system allows it, each program runs in a namespace of its own. So all have the same
# process id, as in a container.
set -euo pipefail
translate=$1 kills_wanted=${2:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "kill_test: $*" >&2
  exit 1
}

for a in 1 2 3 4; do for b in 1 2 3 4; do for c in 1 2; do
  echo "a$a a$b a$c a$a" >>train.x
  echo "b$a b$b b$c b$a" >>train.y
done; done; done
sed -n '2~5p' train.x >dev.x
sed -n '2~5p' train.y >dev.y

alone=()
if unshare -rpf --kill-child true 2>/dev/null; then
  # A shell is the first process there, the program is always the second.
  alone=(unshare -rpf --kill-child bash -c '"$@"; exit $?' -)
fi
# train MODEL THREADS: with a checkpoint of every step, and dropout.
train() {
  exec "${alone[@]}" "$translate" train --arch transformer --source train.x --target train.y \
    --dev-source dev.x --dev-target dev.y --layers 1 --width 16 --heads 2 --feed-forward 32 \
    --dropout 0.2 --batch 4 --epochs 12 --lr 0.01 --warmup 10 --keep 2 --log-every 5 \
    --checkpoint-minutes 0 --model "$1" --threads "$2" 2>"$1.log"
}

child_of() { [ -z "$1" ] || ps -o pid= --ppid "$1" | tr -d ' ' | head -n 1 || true; }

begin=$(date +%s%N)
(train straight 1) || { cat straight.log >&2; fail "training failed"; }
milliseconds=$((($(date +%s%N) - begin) / 1000000))
steps_of() { grep -o '"kind":"train","step":[0-9]*' "$1/log.jsonl"; }

# A run that has ended is compared, and the next one begins, until there were enough kills.
kills=0 runs=0 starts=0
while [ "$kills" -lt "$kills_wanted" ] || [ -d killed ]; do
  starts=$((starts + 1))
  [ "$starts" -lt $((20 * kills_wanted + 100)) ] || fail "it does not come to an end"
  (train killed $((1 + starts % 2))) &
  program=$!
  if [ "$kills" -lt "$kills_wanted" ]; then
    wait_for=$((RANDOM * 32768 + RANDOM))
    wait_for=$((wait_for % (milliseconds / 3 + 1)))
    sleep "$((wait_for / 1000)).$(printf %03d $((wait_for % 1000)))"
    victim=$program
    if [ "${#alone[@]}" -gt 0 ]; then victim=$(child_of "$(child_of "$program")"); fi
    [ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null || true
  fi
  status=0
  wait "$program" 2>/dev/null || status=$?
  if [ "$status" -eq 137 ]; then
    kills=$((kills + 1))
    continue
  fi
  [ "$status" -eq 0 ] || { cat killed.log >&2; fail "it ended with $status after $kills kills"; }
  for file in model.safetensors epoch-0011.safetensors epoch-0012.safetensors kept.json; do
    cmp "straight/$file" "killed/$file" || fail "another $file after $kills kills"
  done
  # The log has each step once, in order, and nothing is left of those that were killed.
  cmp <(steps_of straight) <(steps_of killed) || fail "another log after $kills kills"
  diff <(cd straight && find . | sort) <(cd killed && find . | sort) >&2 || fail "other files"
  rm -r killed
  runs=$((runs + 1))
done
[ "$runs" -ge 1 ] || fail "no run has ended"
echo "kill_test: $kills kills, $runs runs, all with the bits of the undisturbed one"
