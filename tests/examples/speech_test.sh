#!/usr/bin/env bash
# The speech program from end to end, with bad input of every kind. $1: the program, $2: a python3.
# With RAPT_FSDD naming a folder that holds the lists and recordings of the Free Spoken Digit
# Dataset, it is trained on these for a moment too.
set -euo pipefail
speech=$1 python=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data=${RAPT_FSDD:-}
[ -z "$data" ] || data=$(realpath "$data")
cd "$work"

fail() {
  echo "speech_test: $*" >&2
  exit 1
}
# expect TEXT COMMAND...: the command fails, and says TEXT.
expect() {
  local text=$1
  shift
  if "$@" >out.txt 2>err.txt </dev/null; then fail "succeeded, should have failed: $*"; fi
  grep -qF -- "$text" err.txt || { cat err.txt >&2; fail "no '$text' from: $*"; }
}

# A language of three tones, each said in three ways; utterances of one to three words.
"$python" - <<'END'
import math, os, random, struct, wave
draw = random.Random(1)
os.mkdir("audio")
words = {"low": 400, "middle": 900, "high": 2000}
for word, hz in words.items():
    for take in range(3):
        f, n = hz * (0.95 + 0.05 * take), 1600 + 200 * take
        samples = [int(9000 * math.sin(math.pi * i / n) * math.sin(2 * math.pi * f * i / 8000)) for i in range(n)]
        with wave.open(f"audio/{word}{take}.wav", "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes(struct.pack(f"<{n}h", *samples))
for name, count in (("train", 90), ("dev", 20)):
    with open(name + ".tsv", "w") as file:
        for i in range(count):
            said = [draw.choice(list(words)) for _ in range(draw.randint(1, 3))]
            gaps = " ".join(str(draw.randint(200, 800)) for _ in said[1:]) or "-"
            files = " ".join(f"{word}{draw.randrange(3)}.wav" for word in said)
            print(f"{name}{i}", "tone", " ".join(said), files, gaps, sep="\t", file=file)
END

small="--mels 20 --channels 4 --width 32 --heads 2 --feed-forward 64 --layers 1 --decoder-layers 1
  --dropout 0 --label-smoothing 0 --time-masks 0 --frequency-masks 0 --batch-frames 600 --lr 0.005
  --warmup 20 --mix-single 0.2 --cut 0.1"
train="--train train.tsv --dev dev.tsv --audio audio $small"
bad="--train bad.tsv --dev dev.tsv --audio audio $small --model other"
"$speech" train $train --epochs 40 --best-by wer --keep 2 --report page --model model 2>train.log ||
  { cat train.log >&2; fail "training failed"; }
grep -q "dev WER [0-9.]*, dev CER [0-9.]*" train.log || { cat train.log; fail "no dev scores"; }
grep -q "90 utterances, 0.0[0-9] hours, 20 for development; 7 tokens" train.log ||
  { cat train.log; fail "wrong counts"; }
grep -q '"recognised":' page/index.html || fail "no spectrogram in the report"
"$speech" info model | grep -q "features  *20 " || fail "info names no size"
"$speech" decode --model model --list dev.tsv --audio audio >hypotheses || fail "decoding failed"
cut -f1,3 dev.tsv | cmp -s - hypotheses || { paste hypotheses dev.tsv; fail "it has not learned three tones"; }
score=$("$speech" score --reference dev.tsv <hypotheses)
echo "$score"
[[ $score == "WER 0.00% (0 substitutions, 0 deletions, 0 insertions, "*"100.00% of 20 utterances"* ]] ||
  fail "a wrong score"
"$speech" average --model model --last 2 --output mean 2>/dev/null || fail "no mean"
"$speech" decode --model mean --list dev.tsv --audio audio --beam 1 --ctc-weight 1 >/dev/null ||
  fail "CTC alone failed"
"$speech" decode --model mean --list dev.tsv --audio audio --ctc-weight 0 >/dev/null ||
  fail "the decoder alone failed"

# A run starts from a model.
"$speech" train --train train.tsv --dev dev.tsv --audio audio --init-from model --model tuned --epochs 1 \
  --lr 1e-5 2>train.log || { cat train.log >&2; fail "--init-from"; }
grep -q "dev WER 0.00" train.log || { cat train.log; fail "--init-from has forgotten"; }

# A run that was stopped goes on to the same bits, on another number of threads.
"$speech" train $train --epochs 3 --model whole --threads 1 2>/dev/null
"$speech" train $train --epochs 3 --model parts --threads 2 --checkpoint-minutes 0 2>/dev/null &
pid=$!
while [ ! -e parts/checkpoints ] && kill -0 $pid 2>/dev/null; do sleep 0.1; done
sleep 0.3
kill -KILL $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
"$speech" train $train --epochs 3 --model parts --threads 2 2>/dev/null || fail "it does not go on"
cmp whole/model.safetensors parts/model.safetensors || fail "a stop gave another model"

# Bad input.
cp train.tsv bad.tsv
printf 'x1\ttone\tlow\tmissing.wav\t-\nx2\ttone\tlow\n' >>bad.tsv
head -c 1000 audio/low0.wav >audio/short.wav
printf 'x3\ttone\tlow\tshort.wav\t-\n' >>bad.tsv
expect "bad.tsv:92: 3 columns, expected 5" "$speech" train $bad
sed -i 92d bad.tsv
expect "bad.tsv:91: audio/missing.wav: " "$speech" train $bad
sed -i 91d bad.tsv
expect "bad.tsv:91: audio/short.wav: truncated" "$speech" train $bad
printf 'x4\ttone\tlow\tmissing.wav\t-\nx5\n' >>bad.tsv
"$speech" train $bad --epochs 1 --skip-bad 2>err.txt ||
  { cat err.txt >&2; fail "did not pass over what is bad"; }
grep -q "bad.tsv: skipped 3: .*(first bad.tsv:9" err.txt || { cat err.txt; fail "no count of what is bad"; }
expect "holds no utterance" "$speech" decode --model model --list /dev/null --audio audio
expect "none.tsv" "$speech" decode --model model --list none.tsv --audio audio
expect "cannot" "$speech" decode --model none --list dev.tsv --audio audio
"$python" - <<'END'
import wave
with wave.open("audio/fast.wav", "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
    file.writeframes(bytes(4000))
END
printf 'f\ttone\tlow\tfast.wav\t-\n' >fast.tsv
expect "fast.tsv:1: audio/fast.wav: has a rate of 16000 samples a second, expected 8000" \
  "$speech" decode --model model --list fast.tsv --audio audio
"$speech" decode --model model --list fast.tsv --audio audio --resample 2>err.txt | grep -q "^f	" ||
  { cat err.txt; fail "not resampled"; }
# Recordings without words, anywhere, and other lists.
mkdir kaldi "audio/a folder"
cp audio/low0.wav "audio/a folder/low 0.wav"
printf 'n1\t\t\ta folder/low 0.wav\t-\nn2\t\t\t%s/audio/high1.wav\t-\n' "$work" >new.tsv
printf 'n1 a folder/low 0.wav\nn2 %s/audio/high1.wav\n' "$work" >kaldi/wav.scp
printf '{"id": "n1", "audio_filepath": "a folder/low 0.wav"}\n{"id": "n2", "wav": "%s/audio/high1.wav"}\n' \
  "$work" >new.json
for list in new.tsv new.json kaldi; do
  "$speech" decode --model model --list $list --audio audio >out.txt 2>err.txt || { cat err.txt; fail "$list"; }
  [ "$(cat out.txt)" = "$(printf 'n1\tlow\nn2\thigh')" ] || { cat out.txt; fail "wrong words of $list"; }
done
expect "new.tsv:1: no words, which training needs" "$speech" train --train new.tsv --dev dev.tsv \
  --audio audio $small --model third
printf 'dev0 no tab\n' >odd.txt
if "$speech" score --reference dev.tsv <odd.txt 2>err.txt; then fail "took a line without a tab"; fi
grep -q "standard input:1: expected an utterance, a tab" err.txt || fail "no place of the line"
printf 'stranger\tlow\n' >odd.txt
if "$speech" score --reference dev.tsv <odd.txt 2>err.txt; then fail "took an unknown utterance"; fi
grep -q "'stranger' is no utterance of dev.tsv" err.txt || fail "no name of the utterance"
head -3 hypotheses | "$speech" score --reference dev.tsv 2>err.txt | grep -q "deletions, 0 insertions" ||
  fail "no score of a part"
grep -q "17 utterances have no line" err.txt || fail "no count of what is missing"

if [ -z "$data" ]; then
  echo "speech_test: RAPT_FSDD names no folder: the part on real recordings was left out"
else
  mkdir real
  tar -xzf "$data/recordings.tar.gz" -C real
  head -200 "$data/connected_train.tsv" >real/train.tsv
  head -20 "$data/connected_dev.tsv" >real/dev.tsv
  "$speech" train --train real/train.tsv --dev real/dev.tsv --audio real/recordings --epochs 1 \
    --layers 1 --decoder-layers 1 --width 32 --feed-forward 64 --model real/model 2>real/log ||
    { cat real/log >&2; fail "training on real recordings failed"; }
  "$speech" decode --model real/model --list real/dev.tsv --audio real/recordings |
    "$speech" score --reference real/dev.tsv || fail "decoding real recordings failed"
fi
