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
"$translate" info model >info.txt || fail "no info"
grep -q "rapt GruSeq2Seq 1, format 2" info.txt || { cat info.txt; fail "info names no kind"; }
grep -q "hidden  *32" info.txt || { cat info.txt; fail "info names no size"; }
grep -q -- "--source  *dirty.x.gz" info.txt || { cat info.txt; fail "info names no data"; }
expect "none/model.safetensors" "$translate" info none
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

# Beam search, the n best, and what a translation has to begin with.
"$translate" decode --model model --beam 4 <train.x >beam.txt || fail "beam search failed"
cmp -s beam.txt train.y || fail "beam search has lost what greedy decoding found"
echo "a1 a2 a3 a1" | "$translate" decode --model model --beam 4 --n-best 3 >best.txt 2>err.txt
[ "$(wc -l <best.txt)" = 3 ] || fail "not three hypotheses"
grep -q "^0 ||| b1 b2 b3 b1 ||| -[0-9.]* ||| -[0-9.]*$" best.txt || { cat best.txt; fail "n-best"; }
sort -t'|' -k10 -g -r best.txt | cmp -s - best.txt || { cat best.txt; fail "not by score"; }
echo "b4 b4" >prefix.y
echo "a1 a2 a3 a1" | "$translate" decode --model model --prefix prefix.y 2>err.txt |
  grep -q "^b4 b4" || fail "the prefix was not kept"
expect "prefix.y has more lines than standard input" "$translate" decode --model model \
  --prefix prefix.y
printf 'a1\na2\n' >two.x
expect "prefix.y has fewer lines than two.x" "$translate" decode --model model --prefix prefix.y \
  --input two.x
# Files in place of standard input and output, and which word came from which.
"$translate" decode --model model -i train.x -o file.out --alignment align.txt 2>err.txt ||
  { cat err.txt; fail "files"; }
cmp -s file.out train.y || fail "files gave another translation"
grep -qE "^[0-3]-0 [0-3]-1 [0-3]-2 [0-3]-3$" align.txt || { head -3 align.txt; fail "alignment"; }
[ "$(wc -l <align.txt)" = 64 ] || fail "alignments of $(wc -l <align.txt) lines"
expect "cannot write /nowhere/out" "$translate" decode --model model -i train.x -o /nowhere/out
# Lines are answered as they come: the second is written when the first has been read.
mkfifo asked
"$translate" decode --model model <asked >answered 2>err.txt &
running=$!
exec 9>asked
for i in 1 2 3; do
  echo "a$i a1 a2 a$i" >&9
  for _ in $(seq 300); do
    [ "$(wc -l <answered)" = "$i" ] && break
    sleep 0.1
  done
  [ "$(wc -l <answered)" = "$i" ] || fail "line $i was not answered before the next one"
done
exec 9>&-
wait "$running" || fail "decoding from a pipe"
[ "$(tail -n 1 answered)" = "b3 b1 b2 b3" ] || fail "the answers are others"
# A line that is too long costs that line; empty lines have a place among the n best.
{ echo "a1 a2 a3 a1"; printf 'a1 %.0s' $(seq 3000); echo; echo; echo "a2 a2 a2 a2"; } >long.x
"$translate" decode --model model --n-best 2 <long.x >best.txt 2>err.txt || fail "a long line"
grep -q "standard input:2: 3000 tokens, over the limit of 2000" err.txt || { cat err.txt; fail "long"; }
[ "$(cut -d' ' -f1 best.txt | uniq | tr '\n' ' ')" = "0 1 2 3 " ] || { cat best.txt; fail "ids"; }
expect "--n-best 10 needs --beam 10 or more" "$translate" decode --model model --n-best 10
# Words that the model does not know.
echo "a1 new a2 a1" | "$translate" decode --model model 2>err.txt | grep -q unk && fail "<unk> written"
# Numbers that cannot be are named in few words.
expect "--threads: -1 is out of range, expected 0 or a number above" \
  "$translate" decode --model model --threads -1
expect "'1,5' has a comma, write 1.5" "$translate" decode --model model --length-penalty 1,5
[ "$(wc -c <err.txt)" -lt 300 ] || { cat err.txt; fail "a long message"; }
# Samples are drawn by the seed alone; at a low temperature they are the likeliest.
hot="--sample --temperature 8 --seed 5"
"$translate" decode --model model $hot <train.x >hot.txt 2>err.txt || fail "sampling failed"
cmp -s hot.txt train.y && fail "samples of a high temperature are all the likeliest"
"$translate" decode --model model $hot --batch 7 <train.x 2>err.txt | cmp -s - hot.txt ||
  fail "the batch decides about samples"
"$translate" decode --model model --sample --temperature 8 --seed 6 <train.x 2>err.txt |
  cmp -s - hot.txt && fail "the seed does not decide about samples"
"$translate" decode --model model --sample --temperature 0.02 <train.x 2>err.txt |
  cmp -s - train.y || fail "samples of a low temperature are not the likeliest"
# Two models with the same tokens are an ensemble; others are refused.
"$translate" decode --model model again <train.x 2>err.txt | cmp -s - train.y || fail "ensemble"

# A Transformer on plain text with pieces of words, batches by tokens, and its checkpoints' mean.
sed 's/a\([0-9]\)/Alpha\1,/g' train.x >plain.x
sed 's/b\([0-9]\)/beta\1./g' train.y >plain.y
sed -n '2~5p' plain.x >plain-dev.x
sed -n '2~5p' plain.y >plain-dev.y
pieces="--tokens sentencepiece --vocab 40 --joint --lower"
shape="--arch transformer --layers 1 --width 32 --heads 2 --feed-forward 64 --norm-first"
learn="--dropout 0 --label-smoothing 0 --lr 0.01 --warmup 10 --batch-tokens 200 --beta2 0.98"
plain="--source plain.x --target plain.y --dev-source plain-dev.x --dev-target plain-dev.y"
"$translate" train $plain --model pieces $pieces $shape $learn --epochs 150 --keep 3 \
  2>train.log || { cat train.log >&2; fail "training with pieces failed"; }
grep -q "tokens/s, .*% padding" train.log || { cat train.log; fail "no speed, no padding"; }
[ "$(ls pieces | grep -c '^epoch-01[45][0-9].safetensors$')" = 3 ] || fail "not three checkpoints"
"$translate" decode --model pieces <plain.x >plain.out 2>err.txt || { cat err.txt; fail "decode"; }
cmp -s plain.out plain.y || { head -3 plain.out; fail "not the plain text of the translation"; }
"$translate" average --model pieces --last 3 --output mean || fail "average failed"
"$translate" decode --model mean <plain.x 2>err.txt | cmp -s - plain.y || fail "the mean is worse"
cmp -s mean/model.safetensors pieces/model.safetensors && fail "the mean is the best one"
"$translate" average --model pieces --checkpoint model.safetensors --output same
cmp mean/source.spm pieces/source.spm || fail "the mean has other tokens"
cmp same/model.safetensors pieces/model.safetensors || fail "the mean of one is another"
# What tells places apart. Self-attention alone counts with rotary ones: a beam keeps to it.
for kind in none learned rotary alibi learned-alibi t5; do
  "$translate" train $plain --model "at-$kind" $pieces $shape $learn --epochs 2 --positions $kind \
    2>err.txt || { cat err.txt >&2; fail "positions $kind"; }
  grep -aq "\"positions\":\"$kind\"" "at-$kind/model.safetensors" || fail "not saved: $kind"
  "$translate" decode --model "at-$kind" <plain-dev.x >"at-$kind.out" 2>err.txt ||
    { cat err.txt >&2; fail "decoding with positions $kind"; }
done
"$translate" train $plain --model at-rotary --restart $pieces $shape $learn --epochs 150 \
  --positions rotary 2>err.txt || { cat err.txt >&2; fail "rotary"; }
"$translate" decode --model at-rotary <plain.x 2>err.txt | cmp -s - plain.y || fail "rotary decode"
expect "--positions: round not in" "$translate" train $plain --model x $shape --positions round
"$translate" decode --model pieces --stop exact <plain.x 2>err.txt | cmp -s - plain.y ||
  fail "an exact stop"
expect "no checkpoints" "$translate" average --model model --output m
expect "different tokens" "$translate" decode --model model pieces
# Sentences cut anew each epoch: the same ways on any threads, other ones than the likeliest.
cut="$plain ${pieces/--vocab 40/--vocab 26} --subwords unigram $shape $learn --epochs 3"
"$translate" train $cut --model cut --segmentations 4 --threads 1 2>err.txt ||
  { cat err.txt >&2; fail "no cuts"; }
"$translate" train $cut --model cut_again --segmentations 4 --threads 2 2>/dev/null
cmp cut/model.safetensors cut_again/model.safetensors || fail "the same cuts give another model"
"$translate" train $cut --model uncut 2>/dev/null
cmp -s cut/model.safetensors uncut/model.safetensors && fail "sentences were not cut anew"
expect "--segmentations is for" "$translate" train $plain --model x --segmentations 4
expect "--normalization is for" "$translate" train $plain --model x --normalization identity
# The scores of plain text, and how well the model expects it.
scores=$("$translate" score --metric bleu chrf --lowercase --reference plain.y train.y <plain.y)
grep -q "^BLEU|nrefs:2|case:lc|eff:no|tok:13a|smooth:exp|version:" <<<"$scores" || fail "$scores"
grep -q "^chrF2 = 100.00" <<<"$scores" || fail "$scores"
"$translate" score --metric perplexity --model pieces --source plain.x --reference plain.y |
  grep -q "^perplexity = 1\.[0-9]* " || fail "perplexity"
expect "needs --model and --source" "$translate" score --metric perplexity --reference plain.y

# Training that gets no better ends early, and says so.
"$translate" train $plain --model early $pieces $shape --batch-tokens 200 --lr 1e-9 --schedule constant \
  --epochs 50 --best-by bleu --patience 2 2>train.log || { cat train.log >&2; fail "early"; }
grep -q "stopped early: no better bleu in 2 epochs" train.log || { cat train.log; fail "no stop"; }
expect "the source vocabulary (--vocab 9): SentencePiece cannot learn 9 pieces" \
  "$translate" train $plain --model m $shape --tokens sentencepiece --vocab 9
# Few pieces are no fault, and equal scores are not called better.
"$translate" train $plain --model few $shape --tokens sentencepiece --lr 1e-9 --epochs 2 \
  --batch-tokens 200 --best-by chrf 2>train.log || { cat train.log >&2; fail "a small corpus"; }
grep -q "dev chrF [0-9.]*, .*; epoch 1 was as good, not saved" train.log ||
  { cat train.log; fail "as good"; }
# A script without blanks: its characters are counted, not its sentences.
sed 's/a1/山/g; s/a2/川/g; s/a3/田/g; s/a4/木/g; s/ //g; s/$/。/' train.x >ja.x
sed 's/b1/やま/g; s/b2/かわ/g; s/b3/た/g; s/b4/き/g; s/ //g; s/$/。/' train.y >ja.y
"$translate" train --source ja.x --target ja.y --dev-source ja.x --dev-target ja.y --model ja \
  --tokens characters ${small/--epochs 60/--epochs 30} --best-by bleu 2>train.log || { cat train.log; fail "ja"; }
grep -q "dev BLEU [1-9][0-9.]*, dev chrF" train.log || { cat train.log; fail "no BLEU of characters"; }
"$translate" train --source ja.x --target ja.y --dev-source ja.x --dev-target ja.y --model none13 \
  --tokens characters ${small/--epochs 60/--epochs 1} --dev-tokenize 13a 2>train.log || fail "13a"
grep -q "dev BLEU 0.00, dev chrF" train.log || { cat train.log; fail "13a finds words"; }
# Text of another encoding is named; a mark at the beginning is no text.
{ printf '\xff\xfe'; sed 's/./&\x00/g; s/$/\x00/' train.y; } >utf16.y
expect "utf16.y: is UTF-16 text" "$translate" train --source train.x --target utf16.y \
  --dev-source dev.x --dev-target dev.y --model m
expect "standard input: is UTF-16 text" sh -c "'$translate' score --reference train.y <utf16.y"
expect "standard input:1: invalid UTF-8" sh -c "printf '\\351\\n' | '$translate' score --reference train.y"
{ printf '\xef\xbb\xbf'; cat train.y; } >marked.y
[ "$("$translate" score --reference train.y <marked.y)" = "$score" ] || fail "the mark is text"
gzip -c train.y | "$translate" score --reference train.y | cmp -s - <(echo "$score") || fail "gzip"
# Other scores, of several systems.
"$translate" score --metric bleu chrf++ ter --reference train.y --input train.y hypotheses dev.y \
  2>err.txt && fail "dev.y has fewer lines"
sed 's/b1/b2/' train.y >worse.y
"$translate" score --metric bleu chrf++ ter --reference train.y --input train.y worse.y \
  --bootstrap 50 --sentences >scores.txt || fail "several systems"
grep -q "^TER = 0.00; 95% within 0.00 +- 0.00$" scores.txt || { tail scores.txt; fail "TER"; }
grep -q "; p = 0.0[0-9]* against train.y$" scores.txt || { tail scores.txt; fail "no p-value"; }
"$translate" score --reference train.y --input worse.y --json | grep -q '"name": "BLEU"' || fail "JSON"
"$translate" score --reference train.y --tokenize ja-mecab <train.y >out.txt 2>err.txt ||
  grep -q "ja-mecab" err.txt || fail "MeCab"

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
expect "no end" "$translate" train --source train.x --target train.y --dev-source dev.x \
  --dev-target dev.y --model m --epochs 0
[ -z "$(find m -type f ! -name lock)" ] || fail "something was written by a run that failed"
echo "translate_test: passed"
