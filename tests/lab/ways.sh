#!/usr/bin/env bash
# Every way a stray query can be brought home on the gateway itself: tproxy and nat, by nft and by both iptables, IPv4 and IPv6, UDP and
# TCP, port 53 and an odd one; and audit, which alters nothing and records the same. Once removed, the ruleset is what it was. Prints a table (cells.sh); exit code 1 where a cell is wrong.
# The ways of a box beside the router: beside.sh.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"
# shellcheck source=/dev/null
source "$here/cells.sh"

# all_ways MODE TOOL
all_ways() {
  local mode=$1 tool=$2 how=tproxy whose=ours
  [[ $mode != nat ]] || how=conntrack
  [[ $mode != audit ]] || { how=seen; whose=foreign; }
  rm -rf "$lab/state" "$lab"/doline.*
  config=$lab/doline.yml
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
state: $lab/state
querylog: {path: $lab/doline.db}
devices: {camera: {mac: "$camera_mac"}}
redirect: {mode: $mode, interfaces: [home0, iot0]}
YAML
  ruleset gateway >"$lab/before"
  start_doline gateway "$tool" "$config" || return
  doline_redirect gateway "$tool" apply "$config"
  forget_packets internet
  fill_cells "$mode-$tool" gateway "$tool" "$config" "$how" "$whose"
  [[ $whose == foreign || $(packets internet foreign) == 0 ]] || say_wrong "$(packets internet foreign) packets came to the foreign resolvers"
  doline_redirect gateway "$tool" remove "$config"
  ruleset gateway >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the ruleset is not what it was"
  run_doline gateway "$tool" redirect apply --confirm 1s --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "apply on trial"; }
  is_absent() { [[ $(run_doline gateway "$tool" redirect verify --config "$config" 2>&1) == *"the redirect is absent"* ]]; }
  until_true 20 is_absent || say_wrong "a trial does not end"
  ruleset gateway >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the ruleset is not what it was before the trial"
  kill "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
}

mapfile -t names < <(cell_names {tproxy,nat}-{nft,iptables,iptables-legacy})
home_build
home_internet "${names[@]}"
# Foreign resolvers on the odd port too: audit lets the camera reach them.
start odd internet dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --port="${cell_ports[1]}" \
  --listen-address=114.114.114.114 --listen-address=2400:3200::1 "--address=/#/$lie4" "--address=/#/$lie6"
for tool in nft iptables iptables-legacy; do
  if [[ $tool == iptables ]]; then
    command -v iptables-restore >/dev/null || { echo "iptables is not installed: not tried"; break; }
    empty_chains gateway
  elif [[ $tool == iptables-legacy ]]; then
    if ! command -v iptables-legacy iptables-nft >/dev/null || ! empty_chains gateway -legacy 2>/dev/null; then
      echo "the old iptables is not here, or the kernel has none: not tried"
      break
    fi
  fi
  for mode in tproxy nat; do all_ways "$mode" "$tool"; done
  [[ $tool != nft ]] || all_ways audit nft
done
exit "$wrong"
