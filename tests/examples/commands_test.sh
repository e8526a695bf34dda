#!/usr/bin/env bash
# What users do to a program: signals, lost output, two runs in a folder, a model that is there
# already, mistakes in the command line, options in a file. $1: the translate program; $2: char_gpt.
set -euo pipefail
translate=$1 char_gpt=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "commands_test: $*" >&2
  exit 1
}
# expect CODE TEXT COMMAND...: the command ends with that code and says TEXT.
expect() {
  local code=$1 text=$2 status=0
  shift 2
  "$@" >out.txt 2>err.txt </dev/null || status=$?
  [ "$status" -eq "$code" ] || { cat err.txt >&2; fail "ended with $status, not $code: $*"; }
  grep -qF -- "$text" out.txt err.txt || { cat out.txt err.txt >&2; fail "no '$text' from: $*"; }
}

for a in 1 2 3 4; do for b in 1 2 3 4; do
  echo "a$a a$b a$a" >>train.x
  echo "b$a b$b b$a" >>train.y
done; done
head -n 4 train.x >dev.x
head -n 4 train.y >dev.y
data=(--source train.x --target train.y --dev-source dev.x --dev-target dev.y)
small=(--embed 8 --hidden 8 --readout 0 --threads 1)
train=("$translate" train "${data[@]}" "${small[@]}")

# Mistakes in the command line.
expect 2 "'trian' is no command; did you mean 'train'?" "$translate" trian
expect 2 "'--sorce' is no option of train; did you mean '--source'?" "$translate" train --sorce x
expect 2 "--model is required" "$translate" train "${data[@]}"
expect 2 "'1,5' has a comma" "${train[@]}" --lr 1,5 --model m
expect 2 "-1 is out of range" "$translate" decode --model m --threads -1
expect 2 "subcommand is required" "$translate"
expect 0 "Example:" "$translate" train --help
expect 0 "Output:" "$translate" train --help
[ "$(wc -L <out.txt)" -le 100 ] || fail "--help has long lines"
expect 1 "No such file" "$translate" decode --model none

# The last of two equal options counts, so that a script may set defaults.
expect 0 "best dev" "${train[@]}" --epochs 9 --model m --epochs 2 --keep 3
grep -q '"--epochs": "2"' m/training.json || fail "the first --epochs counts"

# A finished run that is repeated is no error, and higher limits go on with it.
expect 0 "nothing to do" "${train[@]}" --epochs 2 --model m --keep 3
expect 0 "epoch 3:" "${train[@]}" --epochs 3 --model m --keep 3
# From other paths of the same data.
mkdir elsewhere
cp train.? dev.? elsewhere
expect 0 "epoch 4:" "$translate" train --source elsewhere/train.x --target ./train.y \
  --dev-source elsewhere/dev.x --dev-target elsewhere/dev.y "${small[@]}" --epochs 4 --keep 3 --model m
sed -i "1s/.*/a4 a4 a4/" elsewhere/dev.x
expect 1 "have changed" "$translate" train --source train.x --target train.y \
  --dev-source elsewhere/dev.x --dev-target dev.y "${small[@]}" --epochs 5 --model m

cp dev.x elsewhere/dev.x

# The options of a run are a file for --config; the command line goes before it.
expect 0 "best dev" "$translate" train --config m/options.toml --model again --epochs=4
cmp <(grep -v '^model' m/options.toml) <(grep -v '^model' again/options.toml) ||
  fail "other options from the file"
expect 0 "nothing to do" "$translate" train --config m/options.toml
cmp <("$translate" decode --model again <train.x 2>/dev/null) \
  <("$translate" decode --model again <train.x 2>/dev/null) || fail "two translations"
echo "epoch = 3" >bad.toml
expect 2 "did you mean '--epochs'?" "${train[@]}" --config bad.toml --model n
expect 2 "cannot be read" "${train[@]}" --config none.toml --model n

# Models are not overwritten.
expect 1 "would replace the best model" "$translate" average --model m --output ./m
expect 0 "mean of 3" "$translate" average --model m --output mean
expect 1 "--overwrite" "$translate" average --model m --output mean
cp mean/model.safetensors was
for option in --log-every=7 --restart; do
  expect 1 "holds a model" "${train[@]}" --epochs 1 --model mean "$option"
done
cmp was mean/model.safetensors || fail "a model was overwritten"
expect 0 "best dev" "${train[@]}" --epochs 1 --model mean --overwrite
expect 0 "best dev" "${train[@]}" --epochs 2 --model m --restart --keep 1
expect 0 "mean of 1" "$translate" average --model m --output mean2

# From a model, and with its vocabularies.
expect 0 "best dev" "${train[@]}" --epochs 1 --model from --init-from m --vocab 5
cmp m/source.vocab from/source.vocab || fail "--init-from has another vocabulary"
expect 0 "best dev" "${train[@]}" --epochs 1 --model own --source-vocab m/source.vocab
expect 1 "*.vocab" "${train[@]}" --epochs 1 --model own2 --source-vocab train.x
# By steps.
expect 0 "step 6:" "${train[@]}" --batch 8 --max-steps 9 --measure-every 3 --model steps
expect 0 "of step" "${train[@]}" --batch 8 --max-steps 12 --measure-every 3 --model steps

# Output that is lost is an error; messages that are lost are none.
if [ -e /dev/full ]; then
  status=0
  "$translate" score --reference train.y <train.y >/dev/full 2>err.txt || status=$?
  [ "$status" -eq 1 ] || fail "score to a full disk ended with $status"
  grep -q "No space left" err.txt || fail "score to a full disk did not say so"
  status=0
  "$translate" decode --model m <train.x >/dev/full 2>err.txt || status=$?
  [ "$status" -eq 1 ] || fail "decode to a full disk ended with $status"
  "${train[@]}" --epochs 1 --model full 2>/dev/full || fail "training needs a place for messages"
  expect 1 "RAPT_TRACE" env RAPT_TRACE=/dev/full "${train[@]}" --epochs 1 --model traced
  expect 1 "cannot write" "$char_gpt" --steps 1 --model none/x.safetensors
fi
"${train[@]}" --epochs 1 --model closed 2>&- || fail "training needs stderr"
status=0
"$translate" score --reference train.y <train.y >&- 2>err.txt || status=$?
[ "$status" -eq 1 ] || fail "score without stdout ended with $status"
("${train[@]}" --epochs 40 --lr 0.01 --batch 4 --model reader 2>&1 || echo "ended with $?" >reader.txt) | head -n 1 >/dev/null
[ ! -e reader.txt ] || fail "training without a reader $(cat reader.txt)"
"${train[@]}" --epochs 1 --model quiet --quiet >quiet.txt 2>&1
[ ! -s quiet.txt ] || { cat quiet.txt >&2; fail "--quiet prints"; }

# Signals save, and end with their code. A second run is kept out meanwhile.
set -m # or the shell would let its background jobs ignore Ctrl-C
code=0
for signal in INT TERM HUP; do
  long=("${train[@]}" --epochs 100000 --schedule constant --batch 4 --model "stopped-$signal")
  "${long[@]}" 2>"$signal.log" &
  program=$!
  for _ in $(seq 300); do
    if grep -q "epoch 1:" "$signal.log"; then break; fi
    sleep 0.1
  done
  expect 1 "another process" "${long[@]}"
  kill -"$signal" "$program"
  code=0
  wait "$program" || code=$?
  wanted=$((128 + $(kill -l "$signal")))
  [ "$code" -eq "$wanted" ] || { cat "$signal.log" >&2; fail "SIG$signal: $code, not $wanted"; }
  grep -q "the same command goes on" "$signal.log" || fail "SIG$signal: nothing said"
done
set +m
echo "commands_test: passed"
