#!/usr/bin/env bash
# The main job, end to end: a camera that asks 114.114.114.114 is caught, answered, judged, logged and shown. `./run demo` runs it.
#
# The real program on the gateway of a home of network namespaces; dig as the devices. demo_report.py compares what the devices, the
# Internet's servers and Doline's log say, tells it, and fails where a claim is not true. Exit code 77: not possible on this machine.
# shellcheck disable=SC2154  # what home.sh and start set
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
project=$(cd "$here/../.." && pwd)
home_enter "$0" "$@"

telemetry=log.tuyaus.com # stands in blocklists/device-telemetry.txt
config=$lab/doline.yml

fail() {
  printf 'The demo failed: %s\n' "$1"
  tail -n 20 "$lab/doline.log" 2>/dev/null
  exit 1
}

# note WHEN PLACE SERVER NAME TYPE [OPTION of dig...]: asks; one line to $lab/asked.tsv
note() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "${@:1:5}" "$(ask "${@:2}")" >>"$lab/asked.tsv"; }

# The same questions each time; the camera's go to two hard-coded resolvers, over both transports.
ask_all() {
  note "$1" camera 114.114.114.114 api.wyzecam.com A
  note "$1" camera 2400:3200::1 api.wyzecam.com AAAA
  note "$1" camera 114.114.114.114 m1.iotcplatform.com A +tcp
  note "$1" camera 2400:3200::1 m1.iotcplatform.com AAAA +tcp
  note "$1" camera 114.114.114.114 "$telemetry" A
  note "$1" camera 2400:3200::1 "$telemetry" AAAA
  note "$1" tv 8.8.8.8 www.youtube.com A
  note "$1" tv 2620:fe::fe www.youtube.com AAAA +tcp
}

home_build
home_internet api.wyzecam.com m1.iotcplatform.com www.youtube.com "$telemetry"
# What comes back to the camera, counted by the kernel and not by dig: from whom it was meant to come, and from others
on camera nft -f - <<NFT
table inet seen {
  counter as_asked { }
  counter otherwise { }
  chain arrived {
    type filter hook input priority -300
    meta l4proto { tcp, udp } th sport 53 ip saddr 114.114.114.114 counter name as_asked accept
    meta l4proto { tcp, udp } th sport 53 ip6 saddr 2400:3200::1 counter name as_asked accept
    meta l4proto { tcp, udp } th sport 53 counter name otherwise
  }
}
NFT

# ── as it was ────────────────────────────────────────────────────────────────────────────────────────────────────────
ask_all before
packets internet foreign >"$lab/foreign.before"
forget_packets internet
forget_packets camera

# ── with Doline ──────────────────────────────────────────────────────────────────────────────────────────────────────
cat >"$config" <<YAML
upstreams:
  default: {servers: [$trusted4, "$trusted6"]}
allow_clients: [private, "2001:db8:50::/64", "2001:db8:60::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}

devices:
  wyze-base: {mac: "$camera_mac", groups: [cameras]}
  phone:     {mac: "$phone_mac"}
  tv:        {mac: "$tv_mac"}

lists:
  telemetry: {file: $project/blocklists/device-telemetry.txt}
resolver_list: $project/blocklists/resolvers.csv

rules:
  - {when: {group: cameras, listed: telemetry}, then: block}

redirect: {mode: tproxy, interfaces: [home0, iot0]}
YAML
on gateway "$doline" check "$config" >"$lab/check.log" 2>&1 || fail "doline check: $(<"$lab/check.log")"
start doline gateway "$doline" run --config "$config"
is_up() { on gateway "$doline" status --config "$config" || (($? == 1)); } # 1: runs, but interception is not on yet
until_true 20 is_up || fail "Doline did not start."
kill -0 "$doline_id" 2>/dev/null || fail "Doline went away."
on gateway "$doline" redirect apply --config "$config" >"$lab/apply.log" 2>&1 || fail "doline redirect apply: $(<"$lab/apply.log")"

ask_all with
note with phone "$gateway4" "$telemetry" A
note with phone "$gateway6" "$telemetry" AAAA +tcp
note with phone "$gateway4" www.youtube.com A

for counter in foreign trusted; do packets internet "$counter" >"$lab/$counter.with"; done
for counter in as_asked otherwise; do packets camera "$counter" >"$lab/$counter.with"; done
questions=$(grep -c '^with' "$lab/asked.tsv")
all_logged() { [[ $(on gateway "$doline" log --config "$config" --json --limit 0 | wc -l) -ge $questions ]]; }
until_true 20 all_logged || true # what is missing, the report says
on gateway "$doline" log --config "$config" --json --limit 0 >"$lab/log.json" || fail "doline log"
on gateway "$doline" devices --config "$config" --json >"$lab/devices.json" || fail "doline devices"
on gateway "$doline" devices --config "$config" >"$lab/devices.txt"
on gateway "$doline" explain wyze-base "$telemetry" --config "$config" >"$lab/explain.txt" || fail "doline explain"

# ── and if it dies ───────────────────────────────────────────────────────────────────────────────────────────────────
kill -KILL "$doline_id"
is_gone() { ! on gateway nft list table inet doline; }
until_true 20 is_gone || echo "table inet doline is still there" >"$lab/left"
note after camera 114.114.114.114 api.wyzecam.com A
note after camera 2400:3200::1 api.wyzecam.com AAAA

exec python3 -B "$here/demo_report.py" "$lab" "$camera_mac" "$lie4" "$lie6" "$truth4" "$truth6"
