#!/usr/bin/env bash
# Brings Prometheus and git-lfs from Debian's packages into .cache/debian, inside
# the checkout: nothing is installed on the system, no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.cache/debian
parts=(prometheus:prometheus prometheus:promtool git-lfs:git-lfs)   # package:command

missing() {
  local part
  for part in "${parts[@]}"; do
    [ -x "$target/usr/bin/${part#*:}" ] || echo "${part%%:*}"
  done | sort -u
}

[ -n "$(missing)" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
  echo "install-test-parts: this is no Debian; put prometheus, promtool and git-lfs into $target/usr/bin" >&2
  exit 1
}
mkdir -p "$target/packages"
packages=$(cd "$target/packages" && pwd)
fetch() { (cd "$packages" && apt-get download -q "$1" >/dev/null 2>&1); }
updated=
for package in $(missing); do
  if ! fetch "$package"; then
    # The lists of packages may be missing or old.
    if [ -z "$updated" ]; then
      if [ "$(id -u)" = 0 ]; then apt-get update -q >/dev/null; else sudo -n apt-get update -q >/dev/null; fi
      updated=1
    fi
    fetch "$package" || { echo "install-test-parts: Debian's package $package cannot be downloaded" >&2; exit 1; }
  fi
  for file in "$packages/$package"_*.deb; do dpkg -x "$file" "$target"; done
done
left=$(missing)
[ -z "$left" ] || { echo "install-test-parts: not there after the installation: $left" >&2; exit 1; }
