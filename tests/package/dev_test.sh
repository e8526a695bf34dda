#!/usr/bin/env bash
# When ./dev configures: dev_test.sh SOURCE. A stand-in for cmake keeps what it was called with.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/tree/cmake"
cp "$source/dev" "$work/tree/dev"
echo "# nothing" >"$work/tree/cmake/packages.txt"
cat >"$work/bin/cmake" <<'STUB'
#!/usr/bin/env bash
echo "$*" >>calls
[ "$1" = --preset ] || exit 0
mkdir -p build
echo "RAPT_WERROR:BOOL=$([[ "$*" == *-DRAPT_WERROR=ON* ]] && echo ON || echo OFF)" >build/CMakeCache.txt
[ -z "${STUB_FAILS:-}" ] || exit 1
touch build/build.ninja
STUB
chmod +x "$work/bin/cmake"
export PATH="$work/bin:$PATH"
unset CI
cd "$work/tree"

expect() { # expect WHAT CALLS...: the calls of cmake since the last time
  local what=$1 wanted
  shift
  wanted=$(printf '%s\n' "$@")
  [ "$(cat calls)" = "$wanted" ] || {
    printf '%s: expected\n%s\ngot\n%s\n' "$what" "$wanted" "$(cat calls)"
    exit 1
  }
  rm calls
}

STUB_FAILS=1 ./dev build && exit 1
expect "a failed configure ends it" "--preset release"
./dev build
expect "after a failed configure" "--preset release" "--build --preset release"
./dev build
expect "a configured folder" "--build --preset release"
CI=1 ./dev build
expect "CI with a folder of before" "--preset release -DRAPT_WERROR=ON" "--build --preset release"
CI=1 ./dev build
expect "CI once more" "--build --preset release"
rm -r build
CI=1 ./dev build
expect "CI on a clean clone" "--preset release -DRAPT_WERROR=ON" "--build --preset release"
./dev soak 2>/dev/null && exit 1
expect "soak" "--build --preset release --target random_programs"
for command in $(sed -n 's/^#   \.\/dev \([a-z]*\) .*/\1/p' dev); do
  grep -q "^  $command)" dev || {
    echo "./dev $command is in the usage text only"
    exit 1
  }
done
./dev --help >/dev/null
[ "$(./dev --help)" = "$(./dev nonsense 2>&1)" ] || {
  echo "./dev --help does not print the usage text"
  exit 1
}
[ "$(./dev nonsense 2>&1 | grep -c '^\./dev ')" = "$(grep -c '^  [a-z]*) *\(build ;;\)\?$' dev)" ] || {
  echo "a command of ./dev is missing in its usage text"
  exit 1
}
