#!/usr/bin/env bash
# Builds rapt for AArch64 on a Debian system of another kind, and runs tests of it under qemu-user:
#   tests/package/aarch64.sh [TEST...]   kernels and the operator table, or the test programs named
# Needs the packages of cmake/packages.txt, g++-aarch64-linux-gnu and qemu-user. The libraries for
# AArch64 are unpacked below build-aarch64/; the system itself stays as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $program >/dev/null || {
    echo "aarch64.sh: no $program here; as root: apt-get install g++-aarch64-linux-gnu qemu-user" >&2
    exit 1
  }
done
mkdir -p build-aarch64/apt/lists/partial
cd build-aarch64
here=$PWD

# apt's own mirrors and keys, with lists of our own for the other architecture.
if [ ! -f root/done ]; then
  rm -rf root
  mkdir root
  options=(-qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64
    -o "Dir::State::lists=$here/apt/lists" -o Dir::State::status=/dev/null
    -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=)
  apt-get "${options[@]}" update
  # The compiler brings the C library, and the C++ one.
  packages=$(apt-cache "${options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
    --no-breaks --no-replaces --no-enhances \
    libtbb-dev libfmt-dev libxsimd-dev libxtensor-dev nlohmann-json3-dev catch2 |
    grep '^[a-z]' | grep -v -E '^(libc6|libgcc|libstdc|gcc-|libudev)')
  (cd apt && apt-get "${options[@]}" download $packages)
  for package in apt/*.deb; do dpkg -x "$package" root; done
  touch root/done
fi

cat >toolchain.cmake <<EOF
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH $here/root/usr)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu
    -E LD_LIBRARY_PATH=$here/root/usr/lib/aarch64-linux-gnu)
EOF
cmake -S .. -B . -G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" -DCMAKE_BUILD_TYPE=Release \
  -DRAPT_TASKS=OFF -DRAPT_EXAMPLES=OFF

# The tests of kernels are those of the folder tests/kernels.
tests=("$@")
if [ ${#tests[@]} -eq 0 ]; then
  for source in ../tests/kernels/*_test.cpp ../tests/kernels/*/*_test.cpp; do
    [ -f "$source" ] && tests+=("$(basename "$source" .cpp)")
  done
  tests+=(op_table_test)
fi
cmake --build . --target "${tests[@]}"
names=$(printf '|%s' "${tests[@]}")
ctest --test-dir . --output-on-failure --no-tests=error -j "$(nproc)" --timeout 3600 \
  -R "^(${names#|})\.baseline$"
