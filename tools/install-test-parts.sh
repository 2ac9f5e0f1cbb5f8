#!/usr/bin/env bash
# Brings Prometheus from Debian's packages into .cache/debian, inside the
# checkout: nothing is installed on the system, no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.cache/debian
if [ -x "$target/usr/bin/prometheus" ] && [ -x "$target/usr/bin/promtool" ]; then
  exit 0
fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
  echo "install-test-parts: this is no Debian; put prometheus and promtool into $target/usr/bin" >&2
  exit 1
}
mkdir -p "$target/packages"
packages=$(cd "$target/packages" && pwd)
fetch() { (cd "$packages" && apt-get download -q "$1" >/dev/null 2>&1); }
if ! fetch prometheus; then
  # The lists of packages may be missing or old.
  if [ "$(id -u)" = 0 ]; then apt-get update -q >/dev/null; else sudo -n apt-get update -q >/dev/null; fi
  fetch prometheus || { echo "install-test-parts: Debian's package prometheus cannot be downloaded" >&2; exit 1; }
fi
for package in "$packages"/*.deb; do dpkg -x "$package" "$target"; done
test -x "$target/usr/bin/prometheus"
