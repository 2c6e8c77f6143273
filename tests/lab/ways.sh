#!/usr/bin/env bash
# Every way a stray query can come and be brought home: tproxy and nat, by nft and by iptables, IPv4 and IPv6, UDP and TCP. Each
# must be answered by the trusted upstream, from the address that was asked, be in the log as meant for that address, and never
# reach the foreign resolver; and once removed, the ruleset is what it was. Prints a table; exit code 1 where a cell is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"

wrong=0
say_wrong() { printf '   WRONG: %s\n' "$*"; wrong=1; }

# program TOOL ARGUMENT...: Doline on the gateway; with TOOL iptables on one that has no nft
program() {
  local tool=$1; shift
  local -a command=("$doline" "$@")
  # shellcheck disable=SC2016  # for that shell
  [[ $tool == nft ]] || command=(unshare --mount bash -c 'mount --bind /dev/null "$(command -v nft)"; exec "$@"' - "${command[@]}")
  printf '%s\0' "${command[@]}"
}

run_program() {
  local -a command
  mapfile -d '' command < <(program "$@")
  on gateway "${command[@]}"
}

# Rules, without what counts and what is given anew each time
ruleset() { on gateway nft list ruleset | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/; s/ # handle [0-9]+//'; }

# one_way MODE TOOL SERVER TYPE TRANSPORT
one_way() {
  local mode=$1 tool=$2 server=$3 type=$4 transport=$5 over status answers from
  local name=$mode-$tool-$type-$transport.lab.example
  local -a option=() truth
  [[ $transport == tcp ]] && option=(+tcp)
  [[ $type == A ]] && truth=("$truth4") || truth=("$truth6")
  IFS=$'\t' read -r over status answers from < <(ask camera "$server" "${name,,}" "$type" "${option[@]}")
  logged() {
    row=$(run_program "$tool" log --config "$config" --json --name "${name,,}" --limit 0) &&
      [[ $(wc -l <<<"$row") == 1 && $row == *"\"original_destination\":\"$server\""* && $row == *"\"transport\":\"$transport\""* ]]
  }
  local row=
  until_true 5 logged || say_wrong "the log says: $row"
  printf '%-7s %-9s %-5s %-5s %-9s %-18s from %s\n' "$mode" "$tool" "$([[ $type == A ]] && echo IPv4 || echo IPv6)" "$over" "$status" \
    "$answers" "$from"
  [[ $status == NOERROR && $answers == "${truth[0]}" ]] || say_wrong "not what the trusted upstream says"
  [[ $from == "$server" && ${over,,} == "$transport" ]] || say_wrong "not from $server over $transport"
}

# all_ways MODE TOOL
all_ways() {
  local mode=$1 tool=$2 server type transport
  local -a command
  rm -rf "$lab/state" "$lab"/doline.*
  config=$lab/doline.yml
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
state: $lab/state
querylog: {path: $lab/doline.db}
redirect: {mode: $mode, interfaces: [home0, iot0]}
YAML
  ruleset >"$lab/before"
  mapfile -d '' command < <(program "$tool" run --config "$config")
  start doline gateway "${command[@]}"
  is_up() { run_program "$tool" status --config "$config" || (($? == 1)); } # 1: runs, but interception is not on yet
  until_true 20 is_up || { cat "$lab/doline.log"; say_wrong "Doline did not start"; return; }
  run_program "$tool" redirect apply --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "redirect apply"; }
  forget_packets internet
  for server in 114.114.114.114 2400:3200::1; do
    [[ $server == *:* ]] && type=AAAA || type=A
    for transport in udp tcp; do one_way "$mode" "$tool" "$server" "$type" "$transport"; done
  done
  [[ $(packets internet foreign) == 0 ]] || say_wrong "$(packets internet foreign) packets came to the foreign resolvers"
  run_program "$tool" redirect remove --config "$config" >"$lab/remove.log" 2>&1 || { cat "$lab/remove.log"; say_wrong "redirect remove"; }
  ruleset >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the ruleset is not what it was"
  run_program "$tool" redirect apply --confirm 1s --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "apply on trial"; }
  is_absent() { [[ $(run_program "$tool" redirect verify --config "$config" 2>&1) == *"the redirect is absent"* ]]; }
  until_true 10 is_absent || say_wrong "a trial does not end"
  ruleset >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the ruleset is not what it was before the trial"
  kill "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
}

# What iptables makes for itself when it is first used and never takes away: no matter of ours, so there from the start
empty_chains() {
  local program table
  for program in iptables ip6tables; do
    for table in mangle nat; do
      on gateway "$program" -t "$table" -A PREROUTING -j ACCEPT
      on gateway "$program" -t "$table" -D PREROUTING -j ACCEPT
    done
  done
}

names=()
for mode in tproxy nat; do
  for tool in nft iptables; do
    for cell in a-udp a-tcp aaaa-udp aaaa-tcp; do names+=("$mode-$tool-$cell.lab.example"); done
  done
done
home_build
home_internet "${names[@]}"
for tool in nft iptables; do
  if [[ $tool == iptables ]]; then
    command -v iptables-restore >/dev/null || { echo "iptables is not installed: not tried"; break; }
    empty_chains
  fi
  for mode in tproxy nat; do all_ways "$mode" "$tool"; done
done
exit "$wrong"
