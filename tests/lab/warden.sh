#!/usr/bin/env bash
# Whoever dies, however it dies: the devices of the house have DNS. In both modes Doline, its warden, nft, or all of them are killed,
# stopped or flushed away; each time the camera must get an answer, from Doline while Doline is to answer, else from the foreign
# resolver it asks, and also from the one source port that it keeps, whose flow is older than every change. Prints what happened and
# how long the camera waited; exit code 1 where it is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"
# shellcheck source=/dev/null
source "$here/cells.sh"

config=$lab/doline.yml
now_ms() { local now=${EPOCHREALTIME/[.,]/}; printf '%s' "${now%???}"; }

# camera_gets SERVER OPTION...: the answer, from the port that it keeps
port=5555
camera_gets() {
  local server=$1 from=192.168.50.31 type=A
  [[ $server != *:* ]] || { from=2001:db8:50::31; type=AAAA; }
  on camera dig +short +tries=1 +time=1 -b "$from#$port" "${@:2}" "@$server" api.wyzecam.com "$type" 2>/dev/null
}
# gets SERVER ANSWER OPTION...
gets() { [[ $(camera_gets "$1" "${@:3}") == "$2" ]]; }

# camera_is WHOSE WHAT: `ours` or `foreign` answers come to the camera, after a while and then always
camera_is() {
  local whose=$1 what=$2 begin late4 late6 answer4=$truth4 answer6=$truth6
  [[ $whose == ours ]] || { answer4=$lie4; answer6=$lie6; }
  begin=$(now_ms)
  until_true 20 gets 114.114.114.114 "$answer4" || say_wrong "IPv4, $what: not answered by $whose: $(camera_gets 114.114.114.114)"
  late4=$(($(now_ms) - begin))
  until_true 20 gets 2400:3200::1 "$answer6" || say_wrong "IPv6, $what: not answered by $whose: $(camera_gets 2400:3200::1)"
  late6=$(($(now_ms) - begin))
  gets 114.114.114.114 "$answer4" +tcp || say_wrong "IPv4 over TCP, $what: not answered by $whose"
  gets 2400:3200::1 "$answer6" +tcp || say_wrong "IPv6 over TCP, $what: not answered by $whose"
  printf '%-7s %-46s %-8s after %5d ms (IPv4) %5d ms (both)\n' "$mode" "$what" "$whose" "$late4" "$late6"
}

# The shell says nothing of one that it has been told to expect.
kill_doline() { kill -KILL "$doline_id" "$@"; wait "$doline_id" 2>/dev/null || true; }
child_of() { local children; read -r -a children <"/proc/$1/task/$1/children"; printf '%s' "${children[0]:-}"; }
# children_of WARDEN NAME: of the processes nft and doline-heir those
children_of() {
  local child
  for child in $(<"/proc/$1/task/$1/children"); do [[ $(<"/proc/$child/comm") != "$2"* ]] || printf '%s' "$child"; done
}
is_over() { ! kill -0 "$1" 2>/dev/null; }

after_crash() {
  on gateway "$doline" redirect remove --after-crash --config "$config" >"$lab/remove.log" 2>&1 || { cat "$lab/remove.log"; say_wrong "remove"; }
}

# begin [COMMAND]: which runs it
begin() {
  start doline gateway "$@" "$doline" run --config "$config"
  until_true 20 on gateway "$doline" status --config "$config" || { cat "$lab/doline.log"; say_wrong "Doline did not start"; exit 1; }
  on gateway "$doline" redirect apply --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "apply"; }
  warden_id=$(child_of "$doline_id")
  [[ -n $warden_id ]] || say_wrong "there is no warden"
}
finish() {
  kill -KILL "$doline_id" "$warden_id" 2>/dev/null || true
  wait "$doline_id" 2>/dev/null || true
  until_true 20 is_over "$warden_id" || say_wrong "the warden lives on"
}

# write_config [LINE]: instead of a redirect in this mode
write_config() {
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}
${1-redirect: {mode: $mode, interfaces: [home0, iot0]\}}
YAML
}

every_death() {
  mode=$1
  rm -rf "$lab/state" "$lab"/doline.db*
  write_config
  camera_is foreign "before Doline"
  begin
  camera_is ours "Doline runs"
  on gateway nft flush ruleset # the router's own rules too
  home_masquerade
  camera_is ours "another tool has flushed every rule"
  if [[ $mode == tproxy ]]; then
    on gateway ip rule del pref 5353
    on gateway ip -6 route flush table 5353
    camera_is ours "somebody removes policy rules and routes"
  fi
  until_true 60 on gateway nft list table inet doline_seen || say_wrong "the memory is not made anew"
  kill -KILL "$(children_of "$warden_id" nft)"
  camera_is ours "the nft that holds the rules is killed"
  kill -STOP "$doline_id"
  camera_is foreign "Doline hangs"
  kill -CONT "$doline_id"
  camera_is ours "Doline is heard again"
  kill_doline
  camera_is foreign "Doline is killed"
  until_true 20 is_over "$warden_id" || say_wrong "the warden outlives Doline"
  finish

  begin
  camera_is ours "Doline runs anew"
  kill -KILL "$warden_id"
  camera_is foreign "the warden is killed"
  on gateway dig +short +tries=1 +time=2 "@$gateway4" api.wyzecam.com A | says -x "$truth4" || say_wrong "Doline does not serve on"
  on gateway "$doline" redirect status --config "$config" >"$lab/status.log" 2>&1 && say_wrong "status says that all is well"
  finish

  begin
  camera_is ours "Doline runs anew"
  kill_doline "$warden_id" "$(children_of "$warden_id" nft)" "$(children_of "$warden_id" doline-heir)"
  # A flow that nat has redirected leads to nobody now, until it expires or the service manager's stop action forgets it.
  [[ $mode != nat ]] || after_crash
  camera_is foreign "everything is killed at once"
  finish
  after_crash
  [[ -z $(on gateway ip rule list table 5353; on gateway ip route show table 5353 2>/dev/null) ]] || say_wrong "routes are left"

  begin
  camera_is ours "Doline runs anew"
  kill -TERM "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
  camera_is foreign "Doline is told to stop"
  [[ $(on gateway nft list tables) == "table ip wan" ]] || say_wrong "left: $(on gateway nft list tables)"
  finish

  # As the terminal does by a key, and `timeout` when time is up
  local signal
  for signal in INT TERM; do
    begin setsid
    camera_is ours "Doline runs anew"
    kill -s "$signal" -- "-$doline_id"
    wait "$doline_id" || say_wrong "Doline ended with $?"
    camera_is foreign "its whole group is told to stop ($signal)"
    [[ $(on gateway nft list tables) == "table ip wan" ]] || say_wrong "left: $(on gateway nft list tables)"
    ! grep -F 'could be taken away' "$lab/doline.log" || say_wrong "the removal failed"
    finish
  done
}

# On a machine without nft no rules vanish by themselves: the warden's heir takes them away.
without_nft() {
  mode=$1
  rm -rf "$lab/state" "$lab"/doline.db*
  write_config
  has_chains() { on gateway iptables-save | says DOLINE || on gateway ip6tables-save | says DOLINE; }
  has_none() { ! has_chains; }
  start_doline gateway iptables "$config" || return
  warden_id=$(child_of "$doline_id")
  # Of a trial before the start's own rules are in place, none would be left for the next start.
  until_true 20 run_doline gateway iptables redirect status --config "$config" || say_wrong "the rules are not in place"
  run_doline gateway iptables redirect apply --confirm 100s --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "apply"; }
  camera_is ours "without nft, rules are on trial"
  kill -KILL "$warden_id"
  camera_is foreign "the warden is killed during the trial"
  until_true 20 has_none || say_wrong "chains are left: $(on gateway iptables-save | grep DOLINE)"
  run_doline gateway iptables redirect status --config "$config" >"$lab/status.log" 2>&1 && say_wrong "status says that all is well"
  grep -q 'The warden process is gone' "$lab/status.log" || { cat "$lab/status.log"; say_wrong "status does not tell of the warden"; }
  finish

  start_doline gateway iptables "$config" || return
  warden_id=$(child_of "$doline_id")
  camera_is ours "Doline runs anew"
  kill_doline "$warden_id" "$(children_of "$warden_id" doline-heir)"
  has_chains || say_wrong "what was to be left is not there"
  run_doline gateway iptables redirect status --config "$config" >"$lab/status.log" 2>&1 && say_wrong "status says that all is well"
  grep -q 'Chain DOLINE is there' "$lab/status.log" || { cat "$lab/status.log"; say_wrong "status does not tell what is left"; }
  write_config ''
  start_doline gateway iptables "$config" || return
  grep -q 'lead stray DNS of the LAN elsewhere' "$lab/doline.log" || say_wrong "a start without a redirect does not tell what is left"
  run_doline gateway iptables redirect remove --config "$config" >"$lab/remove.log" 2>&1 || { cat "$lab/remove.log"; say_wrong "remove"; }
  has_none || say_wrong "chains are left: $(on gateway iptables-save | grep DOLINE)"
  camera_is foreign "everything was killed, what was left is removed"
  kill -TERM "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
}

home_masquerade() {
  on gateway nft 'table ip wan { chain post { type nat hook postrouting priority srcnat ; oifname "wan0" masquerade ; } ; }'
}

home_build
home_internet api.wyzecam.com
for mode in tproxy nat; do every_death "$mode"; done
if command -v iptables-restore >/dev/null; then
  empty_chains gateway
  for mode in tproxy nat; do without_nft "$mode"; done
else
  echo "iptables is not installed: not tried"
fi
exit "$wrong"
