#!/bin/sh
# Puts what the tests need beside Go into .cache/debian of this checkout:
# git-lfs and Prometheus as Debian packages them, unpacked, not installed. So
# no root is needed, no service starts, and the system's package lists stay as
# they are. What is already on the PATH is left alone. Add .cache/debian/usr/bin
# to the PATH to use it. A second run is instant.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/.cache/debian
bin=$root/usr/bin
PATH=$PATH:$bin

fail() {
	echo "$0: $*" >&2
	exit 1
}

missing=""
command -v git-lfs >/dev/null 2>&1 || missing="$missing git-lfs"
if ! command -v prometheus >/dev/null 2>&1 || ! command -v promtool >/dev/null 2>&1; then
	missing="$missing prometheus"
fi
if ! command -v curl >/dev/null 2>&1; then
	[ "$(id -u)" = 0 ] || fail "curl is missing; install it (on Debian: apt-get install curl)"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends curl >/dev/null ||
		fail "curl is missing and apt-get could not install it"
fi
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
	fail "missing on the PATH:$missing; install them (this script knows Debian's packages only)"

# A package list of its own, so that an old or absent one of the system's does
# not matter and nothing of the system's changes.
apt=$PWD/.cache/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"
set -- -qq -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" \
	-o "Dir::State::status=/var/lib/dpkg/status" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=$(id -un)"
apt-get "$@" update || fail "apt-get update failed; needed for:$missing"
(
	cd "$apt/archives"
	for package in $missing; do
		rm -f "$package"_*.deb
		apt-get "$@" download "$package" || fail "could not download Debian's package $package"
		dpkg-deb -x "$package"_*.deb "$root" || fail "could not unpack $package"
	done
)
rm -rf "$apt"

for command in git-lfs prometheus promtool; do
	command -v "$command" >/dev/null 2>&1 || fail "$command is still missing"
	"$command" --version >/dev/null 2>&1 || fail "$command does not run on this machine"
done
