#!/usr/bin/env bash
# The captions program from end to end, with bad input of every kind. $1: the program.
# With RAPT_CAPTIONS naming a folder that holds the sets fashion_scenes and flickr8k, it is trained
# on these for a moment too.
set -euo pipefail
captions=$1
data=${RAPT_CAPTIONS:-}
[ -z "$data" ] || data=$(realpath "$data")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "captions_test: $*" >&2
  exit 1
}
# expect TEXT COMMAND...: the command fails, and says TEXT.
expect() {
  local text=$1
  shift
  if "$@" >out.txt 2>err.txt </dev/null; then fail "succeeded, should have failed: $*"; fi
  grep -qF -- "$text" err.txt || { cat err.txt >&2; fail "no '$text' from: $*"; }
}

# Pictures of 8 x 8 pixels, of one colour on the left and one on the right, as raw bytes.
red='\xff\x10\x10' green='\x10\xff\x10' blue='\x10\x10\xff'
half() { for _ in 1 2 3 4; do printf "$1"; done; }
: >pictures.u8; : >train.tsv
row=0
for a in red green blue; do for b in red green blue; do
  for _ in 1 2 3 4 5 6 7 8; do half "${!a}" >>pictures.u8; half "${!b}" >>pictures.u8; done
  printf '%d\t%s left %s right\tx,%s,0,0;x,%s,0,4\t0 0 1 1\n' $row $a $b $a $b >>train.tsv
  row=$((row + 1))
done; done
gzip -k pictures.u8
printf '40\tred left red right\tx,red,0,0;x,red,0,4\t0 0 1 1\n' | cat train.tsv - >dirty.tsv
printf '3\n' >>dirty.tsv

common="--size 8 --channels 8 16 --blocks 0 0 --groups 2 --grid-dropout 0 --dropout 0 --label-smoothing 0 --lr 0.01 --warmup 5 --batch 3 --epochs 50"
gru="--arch gru --memory 16 --embed 8 --hidden 24 --readout 0"
transformer="--arch transformer --layers 1 --width 16 --heads 2 --feed-forward 32"
guided="--guide 1 --words-loss 0.2 --bend 0.01 --shear 0.02 --erase 0.1 --tint 0.2 --tint-words red green blue"
expect "dirty.tsv:11: " "$captions" train --train dirty.tsv --dev train.tsv --images pictures.u8.gz --model x $common $gru
for arch in gru transformer; do
  "$captions" train --train dirty.tsv --dev train.tsv --images pictures.u8.gz --model $arch --skip-bad \
    --keep 3 --best-by exact --report $arch-report $common ${!arch} --threads 2 2>train.log ||
    { cat train.log >&2; fail "training failed"; }
  grep -q "9 pictures with 9 captions" train.log || { cat train.log; fail "wrong counts"; }
  grep -q "skipped 2: .*dirty.tsv:11" train.log || { cat train.log; fail "nothing skipped"; }
  "$captions" info $arch | grep -q "Captioner 1, format 2" || fail "info names no kind"
  "$captions" decode --model $arch --images pictures.u8 --list train.tsv --beam 3 --attention looks \
    >out.tsv 2>err.txt || { cat err.txt >&2; fail "decoding failed"; }
  score=$("$captions" score --reference train.tsv --attention looks --box-size 4 <out.tsv)
  echo "$score"
  grep -q "exact match = 100.00%" <<<"$score" || fail "it has not learned nine pictures: $score"
  grep -q "BLEU-4 = 100.00" <<<"$score" || fail "no BLEU: $score"
  grep -q "of 36 words that are right, of 36" <<<"$score" || fail "no looks: $score"
  # Other pictures give other captions.
  "$captions" decode --model $arch --images pictures.u8 --list train.tsv --shuffle-images \
    >shuffled.tsv 2>/dev/null
  "$captions" score --reference train.tsv <shuffled.tsv | grep -q "exact match = 0.00%" ||
    fail "shuffled pictures change nothing"
  grep -q '"pictures"' $arch-report/index.html || fail "no pictures in the report"
done
# The options of a run are a file, lists too. A run starts from a model, with its words and sizes.
"$captions" train --config gru/options.toml 2>err.txt || { cat err.txt >&2; fail "options in a file"; }
grep -q "nothing to do" err.txt || { cat err.txt; fail "a file of options is another run"; }
"$captions" train --train train.tsv --dev train.tsv --images pictures.u8 --raw-size 8 --model tuned \
  --init-from gru --epochs 1 --lr 1e-5 2>err.txt || { cat err.txt >&2; fail "--init-from"; }
cmp gru/words.vocab tuned/words.vocab || fail "--init-from has other words"
grep -q "dev exact 100.00" err.txt || { cat err.txt; fail "--init-from has forgotten"; }
"$captions" average --model gru --last 2 --output mean 2>err.txt || { cat err.txt >&2; fail "average"; }
"$captions" decode --model mean transformer --images pictures.u8 --list train.tsv >both.tsv \
  2>/dev/null || fail "an ensemble"
[ "$(wc -l <both.tsv)" = 9 ] || fail "not nine captions"
# Each model of an ensemble sees the pictures in its own size.
larger=${common/--size 8/--size 16 --raw-size 8}
"$captions" train --train train.tsv --dev train.tsv --images pictures.u8 --model larger \
  ${larger/--epochs 50/--epochs 1} 2>train.log || { cat train.log >&2; fail "larger pictures"; }
"$captions" decode --model gru gru larger --images pictures.u8 --raw-size 8 --list train.tsv \
  2>/dev/null | "$captions" score --reference train.tsv | grep -q "exact match = 100.00%" ||
  fail "an ensemble of models for different sizes"

# Guided, words look into their boxes.
"$captions" train --train train.tsv --dev train.tsv --images pictures.u8 --model guided \
  --best-by exact $common $transformer $guided --box-size 4 2>train.log || { cat train.log >&2; fail "guided"; }
"$captions" decode --model guided --images pictures.u8 --list train.tsv --attention looks >out.tsv \
  2>/dev/null
score=$("$captions" score --reference train.tsv --attention looks --box-size 4 <out.tsv)
grep -q "in the box = 100.00% of 3. words" <<<"$score" || fail "looks are not guided: $score"
"$captions" train --train train.tsv --dev train.tsv --images pictures.u8 --model guided_again \
  --best-by exact $common $transformer $guided --box-size 4 --threads 1 2>/dev/null
cmp guided/model.safetensors guided_again/model.safetensors || fail "guided, another run differs"
cut -f 1,2 train.tsv >plain.tsv

# Where every picture is tinted, no word of a colour is learned.
"$captions" train --train train.tsv --dev train.tsv --images pictures.u8 --model tinted $common \
  $transformer --tint 1 --tint-words red green blue 2>/dev/null
"$captions" decode --model tinted --images pictures.u8 --list train.tsv >out.tsv 2>/dev/null
grep -q "left" out.tsv || fail "tinted, it has learned nothing"
if grep -q "red\|green\|blue" out.tsv; then fail "a colour was learned where none can be seen"; fi

# A flip leaves pictures alone whose list has objects side by side, and only those.
flip() {  # LIST MODEL OPTIONS
  "$captions" train --train $1 --dev train.tsv --images pictures.u8 --model $2 ${common/--epochs 50/--epochs 2} \
    $transformer ${@:3} 2>/dev/null
}
flip train.tsv beside --box-size 4
flip train.tsv beside_flipped --box-size 4 --flip
cmp beside/model.safetensors beside_flipped/model.safetensors || fail "neighbours were flipped"
flip plain.tsv alone_flipped --flip
cmp -s beside/model.safetensors alone_flipped/model.safetensors && fail "nothing was flipped"

expect "no caption has the word 'pink'" "$captions" train --train train.tsv --dev train.tsv \
  --images pictures.u8 --model y $common $transformer --tint 0.5 --tint-words pink
expect "plain.tsv: does not say where objects are" "$captions" train --train plain.tsv \
  --dev train.tsv --images pictures.u8 --model y $common $transformer --guide 1

# The same training again gives the same model, on one thread too.
"$captions" train --train dirty.tsv --dev train.tsv --images pictures.u8 --model again --skip-bad \
  --best-by exact $common $gru --threads 1 2>/dev/null
cmp gru/model.safetensors again/model.safetensors || fail "another run gave another model"

# Several references, case and punctuation.
printf 'a.jpg\t0\tA Dog runs .\na.jpg\t1\tthe cat\n' >several.tsv
printf 'a.jpg\ta dog runs\n' >one.tsv
"$captions" score --reference several.tsv <one.tsv | grep -q "exact match = 0.00%" || fail "case"
"$captions" score --reference several.tsv --lower --strip-punctuation <one.tsv >out.txt
"$captions" score --reference several.tsv <one.tsv 2>&1 >/dev/null |
  grep -q "for one picture it is 0" || fail "no word about CIDEr-D"
# The same references as Flickr8k and COCO write them.
printf 'a.jpg#0\tA Dog runs .\na.jpg#1\tthe cat\n' >flickr.txt
printf '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [%s, %s]}\n' \
  '{"image_id": 1, "caption": "A Dog runs ."}' '{"image_id": 1, "caption": "the cat"}' >coco.json
for list in flickr.txt coco.json; do
  "$captions" score --reference $list --lower --strip-punctuation <one.tsv 2>/dev/null |
    cmp -s - out.txt || fail "$list has other references"
done
grep -q "captions = 1, references = 2" out.txt || fail "not two references"
grep -q "exact match = 100.00%" out.txt || { cat out.txt; fail "case and punctuation count"; }

# What is wrong is said, with file and line.
expect "standard input has no caption of 'a.jpg'" "$captions" score --reference several.tsv
printf 'a.jpg\tx\nb.jpg\ty\n' >more.tsv
if "$captions" score --reference several.tsv <more.tsv 2>err.txt; then fail "one too many"; fi
grep -q "no picture 'b.jpg'" err.txt || fail "no name of the one too many"
mkdir photos
printf 'GIF89a' >photos/a.jpg
expect "several.tsv:1: photos/a.jpg: is a GIF picture (expected a JPEG or PNG)" "$captions" decode --model gru \
  --images photos --list several.tsv
expect "none of its pictures can be read" "$captions" decode --model gru --images photos \
  --list several.tsv --skip-bad
printf '9\n' >beyond.tsv
expect "beyond.tsv:1: pictures.u8: picture 9 is not there" "$captions" decode --model gru \
  --images pictures.u8 --list beyond.tsv
expect "no whole number of pictures" "$captions" decode --model gru --images pictures.u8 \
  --raw-size 7 --list beyond.tsv
expect "the size 'x'" "$captions" decode --model gru --images pictures.u8 --raw-size x --list beyond.tsv
expect "missing.tsv" "$captions" decode --model gru --images pictures.u8 --list missing.tsv
expect "nowhere" "$captions" decode --model nowhere --images pictures.u8 --list train.tsv
expect "--channels says 2 stages, --blocks 1" "$captions" train --train train.tsv --dev train.tsv \
  --images pictures.u8 --model y --size 8 --channels 4 4 --blocks 0 --groups 2

# Real pictures.
if [ -z "$data" ]; then
  echo "captions_test: RAPT_CAPTIONS names no folder: the part on real pictures was left out"
else
  small="--channels 8 16 32 --blocks 0 0 0 --epochs 1 --batch 16"
  scenes=$data/fashion_scenes
  head -200 "$scenes/train.tsv" >scenes.tsv
  head -20 "$scenes/dev.tsv" >scenes_dev.tsv
  "$captions" train --train scenes.tsv --dev scenes_dev.tsv --images "$scenes/train.u8.gz" \
    --dev-images "$scenes/dev.u8.gz" --size 64 --guide 0.3 --model scenes $small $transformer \
    2>log || { cat log >&2; fail "training on scenes failed"; }
  "$captions" decode --model scenes --images "$scenes/dev.u8.gz" --list scenes_dev.tsv \
    --attention looks >out.tsv
  "$captions" score --reference scenes_dev.tsv --attention looks <out.tsv | grep "in the box" ||
    fail "scoring scenes failed"
  photos=$data/flickr8k
  head -500 "$photos/train.tsv" >photos.tsv
  head -50 "$photos/dev.tsv" >photos_dev.tsv
  "$captions" train --train photos.tsv --dev photos_dev.tsv --images "$photos/images" --size 48 \
    --lower --strip-punctuation --min-count 2 --captions 2 --words-loss 0.2 --flip --model photos_model \
    $small $gru 2>log || { cat log >&2; fail "training on photos failed"; }
  "$captions" decode --model photos_model --images "$photos/images" --list photos_dev.tsv >out.tsv
  "$captions" score --reference photos_dev.tsv --lower --strip-punctuation <out.tsv |
    grep "captions = 10, references = 50" || fail "scoring photos failed"
fi

echo "captions_test: passed"
