#!/usr/bin/env bash
# Rules replaced under load, Doline killed, Doline upgraded: in tproxy and nat. Sixty replacements while devices ask steadily must lose and
# leak no query; after kill -9 a device that retries each second from the one port it keeps must get an answer; so must it when Doline is
# started anew with the rules in place, also where they fail closed. Prints the figures; times are told, and judge nothing.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"

wrong=0
replacements=${REPLACEMENTS:-60}
config=$lab/doline.yml
names=(api.wyzecam.com m1.iotcplatform.com www.youtube.com)
say_wrong() { printf '   WRONG: %s\n' "$*"; wrong=1; }
now_ms() { local now=${EPOCHREALTIME/[.,]/}; printf '%s' "${now%???}"; }
redirect() { on gateway "$doline" redirect "$@" --config "$config" >"$lab/said" 2>&1; }

begin() { # MODE [ON_FAILURE]
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64"]
state: $lab/state
querylog: off
rules: [{then: {delay: 50ms}}]  # so that some are always under way
redirect: {mode: $1, interfaces: [home0, iot0], on_failure: ${2:-open}}
YAML
  start doline gateway "$doline" run --config "$config"
  until_true 20 on gateway "$doline" status --config "$config" || { cat "$lab/doline.log"; say_wrong "Doline did not start"; exit 1; }
  read -r -a warden_id <"/proc/$doline_id/task/$doline_id/children" || true # no newline behind it
}
figure() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$lab/load.json" "$1"; }

load_from_camera() { # SECONDS: stops early when descriptor 7 is closed
  on camera python3 -B "$here/stray_load.py" "$1" 200 "$truth4" "$truth6" "${names[@]}" >"$lab/load.json" <"$lab/going"
}

replaced_under_load() {
  local mode=$1 i leaked
  begin "$mode"
  forget_packets internet
  rm -f "$lab/going"; mkfifo "$lab/going"
  exec 7<>"$lab/going"
  load_from_camera 300 7>&- &
  local load=$!
  sleep 1
  for ((i = 0; i < replacements; i++)); do
    redirect apply || { cat "$lab/said"; say_wrong "apply"; }
  done
  sleep 1
  exec 7>&-
  wait "$load"
  leaked=$(packets internet foreign)
  printf '%-7s %d replacements under %d queries: %d lost, %d answered by others, %d packets to foreign resolvers\n' "$mode" "$replacements" \
    "$(figure sent)" "$(figure lost)" "$(figure leaked)" "$leaked"
  [[ $(figure lost) == 0 && $(figure leaked) == 0 && $leaked == 0 ]] || say_wrong "queries were lost or leaked"
  (($(figure ours) > replacements)) || say_wrong "there was no load"
  finish
}
finish() {
  kill -KILL "$doline_id" "${warden_id[0]}" 2>/dev/null || true
  wait "$doline_id" 2>/dev/null || true
  on gateway "$doline" redirect remove --after-crash --config "$config" >"$lab/said" 2>&1 || { cat "$lab/said"; say_wrong "remove"; }
}

# answered_after SERVER TYPE PORT: milliseconds until a device that asks each second from this one port has an answer; - if in 20 s none
answered_after() {
  local begin from=192.168.50.31
  [[ $2 == A ]] || from=2001:db8:50::31
  begin=$(now_ms)
  local tries
  for ((tries = 0; tries < 20; tries++)); do
    if [[ -n $(on camera dig +short +tries=1 +time=1 -b "$from#$3" "@$1" api.wyzecam.com "$2" 2>/dev/null) ]]; then
      printf '%d' "$(($(now_ms) - begin))"
      return
    fi
    sleep 0.05
  done
  printf -- '-'
}

is_ours() { [[ $(on camera dig +short +tries=1 +time=1 -b "192.168.50.31#$1" @114.114.114.114 api.wyzecam.com A) == "$truth4" ]]; }

killed() {
  local mode=$1 late4 late6 what
  for what in resolver warden nft; do
    begin "$mode"
    until_true 20 is_ours 5555 || say_wrong "not brought home"
    answered_after 2400:3200::1 AAAA 5556 >/dev/null
    local victim=$doline_id nft
    for nft in $(<"/proc/${warden_id[0]}/task/${warden_id[0]}/children"); do [[ $(<"/proc/$nft/comm") != nft ]] || break; done
    [[ $what != warden ]] || victim=${warden_id[0]}
    [[ $what != nft ]] || victim=$nft
    kill -KILL "$victim"
    [[ $what != resolver ]] || wait "$victim" 2>/dev/null || true
    late4=$(answered_after 114.114.114.114 A 5555)
    late6=$(answered_after 2400:3200::1 AAAA 5556)
    printf '%-7s kill -9 of the %-8s: answered from the same port after %s ms (IPv4), %s ms (IPv6, asked next)\n' "$mode" "$what" "$late4" "$late6"
    [[ $late4 != - && $late6 != - ]] || say_wrong "not answered any more"
    finish
  done
}

crashed() {
  local mode=$1 signal late
  for signal in SEGV ABRT; do
    begin "$mode"
    until_true 20 is_ours 5557 || say_wrong "not brought home"
    kill "-$signal" "$doline_id"
    wait "$doline_id" 2>/dev/null || true
    late=$(answered_after 114.114.114.114 A 5557)
    printf '%-7s SIG%s: answered from the same port after %s ms\n' "$mode" "$signal" "$late"
    [[ $late != - ]] || say_wrong "not answered any more"
    finish
  done
}

# Told to stop, and started anew, as an upgrade does; the camera asks each second from its port
upgraded() {
  local mode=$1 on_failure=$2 begin_ms gap=0 late
  begin "$mode" "$on_failure"
  until_true 20 is_ours 5558 || say_wrong "not brought home"
  kill -TERM "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
  begin_ms=$(now_ms)
  begin "$mode" "$on_failure"
  until_true 20 is_ours 5558 || say_wrong "not brought home after the start"
  late=$(($(now_ms) - begin_ms))
  printf '%-7s stopped and started (on_failure: %s): brought home again %d ms after the stop\n' "$mode" "$on_failure" "$late"
  gap=$(answered_after 2400:3200::1 AAAA 5559)
  [[ $gap != - ]] || say_wrong "IPv6 is not answered after the start"
  finish
}

# Everything dead, and rules that fail closed: refused at once, nothing leaks; started anew it serves, from whatever was left
closed_and_left() {
  local said
  begin tproxy closed
  until_true 20 is_ours 5560 || say_wrong "not brought home"
  forget_packets internet
  kill -KILL "$doline_id" "${warden_id[0]}"
  wait "$doline_id" 2>/dev/null || true
  said=$(on camera dig +tries=1 +time=2 @114.114.114.114 api.wyzecam.com A 2>&1 || true)
  [[ $said == *"connection refused"* ]] || say_wrong "with everybody dead and on_failure: closed the camera hears: $said"
  [[ $(packets internet foreign) == 0 ]] || say_wrong "$(packets internet foreign) packets leaked though on_failure is closed"
  begin tproxy closed
  until_true 20 is_ours 5561 || say_wrong "not brought home from what was left"
  printf 'tproxy  everybody killed, on_failure: closed: refused, nothing leaked; started anew it serves from what was left\n'
  # As after a reboot: files are left, and nothing of the kernel's
  kill -KILL "$doline_id" "${warden_id[0]}"
  wait "$doline_id" 2>/dev/null || true
  on gateway nft delete table inet doline
  on gateway nft delete table inet doline_seen
  on gateway ip rule del pref 5353
  on gateway ip -6 rule del pref 5353
  on gateway ip route flush table 5353
  begin tproxy open
  until_true 20 is_ours 5562 || say_wrong "not brought home after a reboot"
  printf 'tproxy  as after a reboot: it serves\n'
  finish
}

home_build
home_internet "${names[@]}"
for mode in tproxy nat; do
  replaced_under_load "$mode"
  killed "$mode"
  crashed "$mode"
  upgraded "$mode" open
done
upgraded tproxy closed
closed_and_left
exit "$wrong"
