#!/usr/bin/env bash
# Brings what the tests need from Debian's packages into .cache/debian, inside
# the checkout: Prometheus, and the shells whose completion is tested. Nothing
# is installed on the system, no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.cache/debian

# A package, and a file of it by which it is known to be there.
parts=(
  "prometheus usr/bin/prometheus"
  "zsh-common usr/share/zsh"
  "zsh bin/zsh"
  "fish-common usr/share/fish"
  "fish usr/bin/fish"
  "libpcre2-32-0 usr/lib/*/libpcre2-32.so.0"
)

there() { compgen -G "$target/$1" >/dev/null || compgen -G "$target/usr/$1" >/dev/null; }

missing=()
for part in "${parts[@]}"; do
  read -r package file <<<"$part"
  there "$file" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
  echo "install-test-parts: this is no Debian; put these into $target: ${missing[*]}" >&2
  exit 1
}
mkdir -p "$target/packages"
packages=$(cd "$target/packages" && pwd)
fetch() { (cd "$packages" && apt-get download -q "$1" >/dev/null 2>&1); }
updated=
for package in "${missing[@]}"; do
  if ! fetch "$package"; then
    # The lists of packages may be missing or old.
    if [ -z "$updated" ]; then
      if [ "$(id -u)" = 0 ]; then apt-get update -q >/dev/null; else sudo -n apt-get update -q >/dev/null; fi
      updated=yes
    fi
    fetch "$package" || { echo "install-test-parts: Debian's package $package cannot be downloaded" >&2; exit 1; }
  fi
done
for package in "$packages"/*.deb; do dpkg -x "$package" "$target"; done
for part in "${parts[@]}"; do
  read -r package file <<<"$part"
  there "$file" || { echo "install-test-parts: $package is there and holds no $file" >&2; exit 1; }
done
