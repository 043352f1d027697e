#!/usr/bin/env bash
# Gets the programs of Open vSwitch for the tests that need a real one, into the
# folder $1, without touching the system: from the distribution's packages, which
# are downloaded and unpacked. Nothing is done when they are installed already.
# Works with and without root.
set -euo pipefail

into=${1:?usage: fetch.sh FOLDER}
PATH=$PATH:/usr/sbin:/sbin
programs=(ovsdb-tool ovsdb-server ovs-vswitchd ovs-vsctl)

fail() {
	echo "openvswitch: $*" >&2
	echo "openvswitch: install Open vSwitch with the package manager of this machine, so that ${programs[*]} are in PATH" >&2
	exit 1
}

installed() {
	local p
	for p in "${programs[@]}"; do command -v "$p" >/dev/null || return 1; done
	test -e /usr/share/openvswitch/vswitch.ovsschema
}
if installed; then
	echo "openvswitch: using the one that is installed"
	exit 0
fi

complete() {
	test -x "$into/usr/lib/openvswitch-switch/ovs-vswitchd" && test -x "$into/usr/sbin/ovsdb-server" &&
		test -x "$into/usr/bin/ovs-vsctl" && test -e "$into/usr/share/openvswitch/vswitch.ovsschema"
}
for tool in apt-get apt-cache dpkg-deb dpkg-query; do
	command -v "$tool" >/dev/null || fail "there is no $tool here to get it with"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
apt=(-qq -o APT::Sandbox::User="$(id -un)")
candidate() { LC_ALL=C apt-cache "${apt[@]:1}" policy openvswitch-switch | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'; }

# With lists of our own, so that it works without root, and where nobody ran
# apt-get update. Keys and sources are those of the system.
refresh() {
	mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
	apt+=(-o Dir::State="$work/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work/cache" -o Debug::NoLocking=1)
	echo "openvswitch: reading the package lists"
	apt-get "${apt[@]}" update || fail "apt-get update failed; see above"
}
version=$(candidate)
if [ -z "$version" ]; then
	complete && exit 0
	refresh
	version=$(candidate)
	test -n "$version" || fail "the sources of apt have no package openvswitch-switch"
fi
if complete && [ "$(cat "$into/version" 2>/dev/null)" = "$version" ]; then
	exit 0
fi

echo "openvswitch: getting openvswitch-switch $version with apt, once"
mkdir "$work/debs" "$work/root"
# fetch PACKAGE... downloads packages; old lists may name files that are gone.
fetch() {
	(cd "$work/debs" && apt-get "${apt[@]}" download "$@" 2>"$work/errors") && return
	case "${apt[*]}" in *Dir::State=*) ;; *) refresh && (cd "$work/debs" && apt-get "${apt[@]}" download "$@" 2>"$work/errors") && return ;; esac
	cat "$work/errors" >&2
	fail "apt-get download $* failed; see above"
}
fetch openvswitch-switch openvswitch-common

# The libraries that these need, and those that they need, as far as they are
# not installed.
is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
declare -A seen=()
while :; do
	missing=()
	for deb in "$work"/debs/*.deb; do
		while read -r name; do
			case $name in lib*) ;; *) continue ;; esac
			if [ -z "${seen[$name]:-}" ] && ! is_installed "$name"; then missing+=("$name"); fi
			seen[$name]=1
		done < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|:].*//')
	done
	[ ${#missing[@]} -gt 0 ] || break
	fetch "${missing[@]}"
done

for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
echo "$version" >"$work/root/version"
mkdir -p "$(dirname "$into")"
rm -rf "$into"
cp -a "$work/root" "$into"
complete || fail "the package of this distribution has its programs elsewhere than expected"
libraries=$(find "$into/usr/lib" "$into/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
for program in "$into/usr/lib/openvswitch-switch/ovs-vswitchd" "$into/usr/sbin/ovsdb-server" "$into/usr/bin/ovs-vsctl"; do
	if LD_LIBRARY_PATH=$libraries ldd "$program" | grep 'not found' >&2; then fail "$program lacks libraries; see above"; fi
done
