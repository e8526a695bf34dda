#!/usr/bin/env bash
# Installs the Debian packages on a clean system, and uses them there:
#   tests/package/clean_debian.sh FOLDER [SUITE=bookworm]
# FOLDER is to hold the system (about 1 GB); it is kept for the next time. Needs root, debootstrap,
# and packages that cpack made in build-package/ on the same release of Debian.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(realpath -m "$1")
suite=${2:-bookworm}
packages=("$tree"/build-package/*.deb)
[ -f "${packages[0]}" ] || {
  echo "clean_debian.sh: no package in build-package/; make them with cpack" >&2
  exit 1
}
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -1)
[ -x "$folder/usr/bin/apt-get" ] || debootstrap --variant=minbase "$suite" "$folder" "$mirror" >/dev/null
cp /etc/resolv.conf "$folder/etc/"
mkdir -p "$folder/packages"
cp "${packages[@]}" "$tree/tests/package/consumer/"{CMakeLists.txt,main.cpp} "$folder/packages/"

chroot "$folder" bash -euo pipefail -s <<'INSIDE'
export DEBIAN_FRONTEND=noninteractive
cd /packages
apt-get update -qq
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
install ./*.deb
for program in translate speech captions char_gpt dates; do
  rapt-$program --help >/dev/null
done
echo "clean: packages are installed, programs start"
install g++ make cmake pkg-config
cmake -S . -B build >/dev/null
cmake --build build >/dev/null
build/consumer
g++ -std=c++20 main.cpp $(pkg-config --cflags --libs rapt) -o by_pkg_config
./by_pkg_config
readelf -d by_pkg_config | grep 'NEEDED.*rapt'
echo "clean: programs are built by CMake and by pkg-config"
apt-get purge -y -qq rapt-tools 'librapt*' >/dev/null
left=$(find /usr -name '*rapt*' | head)
[ -z "$left" ] || { echo "clean: left behind: $left" >&2; exit 1; }
echo "clean: removed without a trace"
INSIDE
