#!/usr/bin/env bash
# Training that is stopped in every way goes on as if it had not been, and what cannot go on says
# why. $1: the translate program.
set -euo pipefail
translate=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "resume_test: $*" >&2
  exit 1
}
# await PROCESS: its status, in `status`. One that somebody stops for a while is waited for again.
await() {
  while true; do
    status=0
    wait "$1" 2>/dev/null || status=$?
    [ "$status" -eq 147 ] || break
    sleep 0.1
  done
}
# expect TEXT COMMAND...: the command fails, and says TEXT.
expect() {
  local text=$1
  shift
  if "$@" >out.txt 2>err.txt </dev/null; then fail "succeeded, should have failed: $*"; fi
  grep -qF -- "$text" err.txt || { cat err.txt >&2; fail "no '$text' from: $*"; }
}

for a in 1 2 3 4; do for b in 1 2 3 4; do for c in 1 2 3 4; do
  echo "a$a a$b a$c a$a" >>train.x
  echo "b$a b$b b$c b$a" >>train.y
done; done; done
sed -n '2~5p' train.x >dev.x
sed -n '2~5p' train.y >dev.y

# line MODEL OPTIONS...: sets `command`. Dropout is on.
lr=0.01 epochs=40 schedule=cosine minutes=10
line() {
  local model=$1
  shift
  command=("$translate" train --arch transformer --source train.x --target train.y
    --dev-source dev.x --dev-target dev.y --layers 1 --width 16 --heads 2 --feed-forward 32
    --dropout 0.2 --batch 8 --keep 1 --checkpoint-minutes "$minutes" --log-every 5 --warmup 10 --lr "$lr"
    --epochs "$epochs" --schedule "$schedule" --model "$model" "$@")
}
run() {
  line "$@"
  "${command[@]}"
}
run straight --threads 1 2>straight.log || { cat straight.log; fail "training failed"; }

# Ctrl-C, then the same command.
minutes=10
# So many epochs that it does not end by itself.
epochs=3000 schedule=constant
line stopped --threads 2
set -m # or the shell would let its background jobs ignore Ctrl-C
"${command[@]}" 2>stopped.log &
program=$!
for _ in $(seq 100); do
  sleep 0.1
  # Two epochs: one of two checkpoints is to be damaged below.
  if grep -q "epoch 2:" stopped.log; then break; fi
done
kill -INT "$program"
await "$program"
set +m
[ "$status" -eq 130 ] || { cat stopped.log; fail "Ctrl-C ended it with $status"; }
grep -q "stopped by Ctrl-C" stopped.log || { cat stopped.log; fail "it did not say that it stopped"; }

lr=0.02
expect "--lr was 0.01, now is 0.02" run stopped
lr=0.01
expect "schedule was cosine, now is constant" run straight
expect "holds no run to resume" run nothing --resume
expect "--resume" run stopped --resume --restart
cp train.x was.x
sed -i '1s/a1/a2/' train.x
expect "have changed" run stopped
mv was.x train.x
head -c 1000 "$(ls -d stopped/checkpoints/step-* | tail -n 1)" >cut
cp cut "$(ls -d stopped/checkpoints/step-* | tail -n 1)"
line stopped
set -m
"${command[@]}" 2>damaged.log &
program=$!
for _ in $(seq 100); do
  sleep 0.1
  if grep -q "epoch [0-9]*:" damaged.log; then break; fi
done
kill -INT "$program"
await "$program"
set +m
[ "$status" -eq 130 ] || { cat damaged.log; fail "a damaged newest checkpoint is an error"; }
grep -q "passed over .*step-" damaged.log || { cat damaged.log; fail "nothing said of the damage"; }

# A learning rate that ends in NaN: batches are put aside, training stops, and replay names the node.
lr=1e30
expect "stopped: 3 such batches in a row" run diverged
lr=0.01
batch=$(ls diverged/nonfinite-*[0-9].safetensors | head -n 1)
"$translate" replay "$batch" --model diverged >replay.txt || fail "replay failed"
grep -q "the first result that is not finite" replay.txt || { cat replay.txt; fail "nothing found"; }
grep -Eq "(encoder|decoder|output|embedding).*\.cpp:[0-9]+|; at .*\.cpp:[0-9]+" replay.txt ||
  { cat replay.txt; fail "no place named"; }
expect "is no batch" "$translate" replay straight/model.safetensors --model straight

# Anew, with a report.
epochs=2
run straight --restart --report page 2>restart.log || { cat restart.log; fail "--restart"; }
grep -q "cross attention" page/index.html || fail "no attention in the report"
grep -q '"title":"BLEU"' page/index.html || fail "no curves in the report"
echo "resume_test: passed"
