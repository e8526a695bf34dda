#!/usr/bin/env bash
# The translate program from end to end, with bad input of every kind. $1: the program.
set -euo pipefail
translate=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "translate_test: $*" >&2
  exit 1
}
# expect TEXT COMMAND...: the command fails, and says TEXT.
expect() {
  local text=$1
  shift
  if "$@" >out.txt 2>err.txt </dev/null; then fail "succeeded, should have failed: $*"; fi
  grep -qF -- "$text" err.txt || { cat err.txt >&2; fail "no '$text' from: $*"; }
}

# A language of four words, and its translation.
: >train.x; : >train.y
for a in 1 2 3 4; do for b in 1 2 3 4; do for c in 1 2 3 4; do
  echo "a$a a$b a$c a$a" >>train.x
  echo "b$a b$b b$c b$a" >>train.y
done; done; done
sed -n '2~5p' train.x >dev.x
sed -n '2~5p' train.y >dev.y
# Lines to be skipped and counted: an empty one, one that is no UTF-8, one that is too long.
{ cat train.x; echo; printf 'a1 \xff\n'; printf 'a1 %.0s' $(seq 90); echo; } >dirty.x
{ cat train.y; echo b1; echo b1; echo b1; } >dirty.y
gzip -k dirty.x

small="--embed 16 --hidden 32 --readout 16 --dropout 0 --label-smoothing 0 --lr 0.01 --warmup 10 --batch 16 --epochs 60"
"$translate" train --source dirty.x.gz --target dirty.y --dev-source dev.x --dev-target dev.y \
  --model model $small --threads 2 2>train.log || { cat train.log >&2; fail "training failed"; }
grep -q "64 sentence pairs, 13 for development" train.log || { cat train.log; fail "wrong counts"; }
grep -q "dirty.x.gz:66" train.log || { cat train.log; fail "no place of the invalid line"; }
"$translate" decode --model model <train.x >hypotheses || fail "decoding failed"
score=$("$translate" score --reference train.y <hypotheses)
echo "$score"
[[ $score == "BLEU = 100.00"* ]] || fail "it has not learned four words: $score"
[ "$("$translate" score --reference train.y <train.y)" = "$score" ] || fail "a file against itself"

# The same training again gives the same model, on one thread too.
"$translate" train --source dirty.x --target dirty.y --dev-source dev.x --dev-target dev.y \
  --model again $small --threads 1 2>/dev/null
cmp model/model.safetensors again/model.safetensors || fail "another run gave another model"

# An empty line keeps its place; a line that is no UTF-8 too, and is named.
printf 'a1 a1 a1\n\nx\xff\na2 a2 a2\n' | "$translate" decode --model model >out.txt 2>err.txt
[ "$(wc -l <out.txt)" = 4 ] || fail "lines were lost"
grep -q "standard input:3: invalid UTF-8" err.txt || fail "no place of the invalid line"

expect "missing.x" "$translate" train --source missing.x --target train.y --dev-source dev.x \
  --dev-target dev.y --model m
expect "train.x" "$translate" train --source train.x --target dev.y --dev-source dev.x \
  --dev-target dev.y --model m
head -c 40 dirty.x.gz >cut.x.gz
expect "cut.x.gz" "$translate" train --source cut.x.gz --target dirty.y --dev-source dev.x \
  --dev-target dev.y --model m
expect "nowhere/model.safetensors" "$translate" decode --model nowhere
cp -r model broken
head -c 3000 model/model.safetensors >broken/model.safetensors
expect "broken/model.safetensors" "$translate" decode --model broken
cp -r model fewer
head -n 4 model/source.vocab >fewer/source.vocab
expect "fewer/source.vocab" "$translate" decode --model fewer
expect "has 64" "$translate" score --reference train.y
expect "--epochs" "$translate" train --source train.x --target train.y --dev-source dev.x \
  --dev-target dev.y --model m --epochs 0
[ ! -e m ] || fail "something was written by a run that failed"
echo "translate_test: passed"
