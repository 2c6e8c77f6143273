#!/usr/bin/env bash
# The cells of the matrix of interception, for the lab tests that fill it: to be sourced after home.sh. A cell is one stray query
# of the camera. It must be answered by the trusted upstream, from the address and port that were asked, never reach the foreign
# resolver, and be in the log as meant for that address and port, from the camera's address and MAC.
# shellcheck disable=SC2034,SC2154,SC2317  # what those who source it use; what home.sh sets; what until_true calls

wrong=0
say_wrong() { printf '   WRONG: %s\n' "$*"; wrong=1; }

cell_ports=(53 8053)
cell_servers=(114.114.114.114 2400:3200::1)

# cell_names WAY...: the names that cells ask for, to be known upstream
cell_names() {
  local way family transport port
  for way; do
    for family in ipv4 ipv6; do
      for transport in udp tcp; do
        for port in "${cell_ports[@]}"; do printf '%s\n' "$way-$family-$transport-$port.lab.example"; done
      done
    done
  done
}

# tool_command TOOL ARGUMENT...: Doline, zero-terminated words; with TOOL iptables or iptables-legacy on a machine that has no nft, or
# no iptables but the old one
tool_command() {
  local tool=$1; shift
  local -a command=("$doline" "$@")
  # shellcheck disable=SC2016  # for that shell
  local hidden='mount --bind /dev/null "$(command -v nft)"'
  # shellcheck disable=SC2016
  [[ $tool != iptables-legacy ]] ||
    hidden+='; mount --bind "$(readlink -f "$(command -v iptables-legacy)")" "$(readlink -f "$(command -v iptables-nft)")"'
  [[ $tool == nft ]] || command=(unshare --mount bash -c "$hidden"'; exec "$@"' - "${command[@]}")
  printf '%s\0' "${command[@]}"
}

# run_doline PLACE TOOL ARGUMENT...
run_doline() {
  local place=$1; shift
  local -a command
  mapfile -d '' command < <(tool_command "$@")
  on "$place" "${command[@]}"
}

# start_doline PLACE TOOL CONFIG: returns once it serves; interception may not be on yet
start_doline() {
  local place=$1 tool=$2 file=$3
  local -a command
  mapfile -d '' command < <(tool_command "$tool" run --config "$file")
  start doline "$place" "${command[@]}"
  serves() { run_doline "$place" "$tool" status --config "$file" || (($? == 1)); } # 1: runs, but something is degraded
  until_true 20 serves || { cat "$lab/doline.log"; say_wrong "Doline did not start"; return 1; }
}

# doline_redirect PLACE TOOL VERB CONFIG
doline_redirect() {
  run_doline "$1" "$2" redirect "$3" --config "$4" >"$lab/redirect.log" 2>&1 || { cat "$lab/redirect.log"; say_wrong "redirect $3"; }
}

# Rules of a place, of both backends, without what counts and what is given anew each time
ruleset() {
  local program
  on "$1" nft list ruleset | sed -E 's/counter packets [0-9]+ bytes [0-9]+/counter/; s/ # handle [0-9]+//'
  for program in iptables-legacy-save ip6tables-legacy-save; do
    ! command -v "$program" >/dev/null || on "$1" "$program" | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]/[0:0]/'
  done
}

# What iptables makes for itself at a place when it is first used and never takes away: no matter of ours, so there from the start
# empty_chains PLACE [SUFFIX]: with -legacy of the old one; fails where the kernel has none
empty_chains() {
  local program table chain
  for program in "iptables${2:-}" "ip6tables${2:-}"; do
    for table in raw mangle nat filter; do
      for chain in $([[ $table == filter ]] && echo OUTPUT FORWARD || echo PREROUTING); do
        on "$1" "$program" -t "$table" -A "$chain" -j ACCEPT || return
        on "$1" "$program" -t "$table" -D "$chain" -j ACCEPT
      done
    done
  done
}

# fill_cells WAY PLACE TOOL CONFIG HOW [WHOSE]: all cells of a way, by the Doline that runs at PLACE; HOW: as the log calls it; WHOSE
# answers are to come: `ours`, or with `foreign` those of the resolver that was asked
fill_cells() {
  local way=$1 place=$2 tool=$3 file=$4 how=$5 whose=${6:-ours} server port transport family name over status answers from row part
  local -a asked=() truth
  for server in "${cell_servers[@]}"; do
    [[ $server == *:* ]] && family=ipv6 || family=ipv4
    for transport in udp tcp; do
      for port in "${cell_ports[@]}"; do
        name=$way-$family-$transport-$port.lab.example
        IFS=$'\t' read -r over status answers from < <(ask camera "$server" "$name" "$([[ $family == ipv4 ]] && echo A || echo AAAA)" \
          -p "$port" "$([[ $transport == tcp ]] && echo +tcp || echo +notcp)")
        asked+=("$family $server $port $transport $name $over ${status// /-} $answers $from")
      done
    done
  done
  all_logged() {
    run_doline "$place" "$tool" log --config "$file" --json --limit 0 >"$lab/rows"
    (($(grep -c "\"qname\":\"$way-ipv" "$lab/rows") >= ${#asked[@]}))
  }
  until_true 20 all_logged || say_wrong "$way: the log has $(grep -c "\"qname\":\"$way-ipv" "$lab/rows") rows of ${#asked[@]}"
  for row in "${asked[@]}"; do
    read -r family server port transport name over status answers from <<<"$row"
    row=$(grep -F "\"qname\":\"$name\"" "$lab/rows" || true)
    printf '%-18s %-5s %-4s %-5s %-8s %-16s %-24s %-16s %s\n' "$way" "$family" "$transport" "$port" "$status" "$answers" \
      "from $from" "$(field client <<<"$row")" "$(field mac <<<"$row")"
    [[ $family == ipv4 ]] && truth=("$truth4" 192.168.50.31) || truth=("$truth6" 2001:db8:50::31)
    [[ $whose == ours ]] || { [[ $family == ipv4 ]] && truth[0]=$lie4 || truth[0]=$lie6; }
    [[ $status == NOERROR && $answers == "${truth[0]}" ]] || say_wrong "not what $whose upstream says"
    [[ $from == "$server" && ${over,,} == "$transport" ]] || say_wrong "not from $server over $transport"
    for part in "\"original_destination\":\"$server\"" "\"original_port\":$port," "\"transport\":\"$transport\"" \
      "\"client\":\"${truth[1]}\"" "\"mac\":\"$camera_mac\"" "\"intercepted_by\":\"$how\""; do
      [[ $row == *"$part"* ]] || say_wrong "the log says not $part but: $row"
    done
  done
}

# field NAME: of the JSON object on standard input
field() { sed -nE 's/.*"'"$1"'":"([^"]*)".*/\1/p'; }
