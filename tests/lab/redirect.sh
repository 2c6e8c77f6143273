#!/usr/bin/env bash
# `doline redirect` as an operator uses it: plan says what will change, apply --confirm takes itself back, verify proves with packets
# that stray DNS comes home, remove leaves the machine as it was; loops: an upstream that leads back to Doline is found out, told and
# left aside, whether the configuration or the interception makes the circle; and what else on a machine touches DNS is told with its
# cure. Prints what happened; exit code 1 where it is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"

wrong=0
config=$lab/doline.yml
say() { printf '%-7s %s\n' "$mode" "$*"; }
say_wrong() { printf '   WRONG: %s\n' "$*"; wrong=1; }
# Without what the memory holds, and in any order: tables stand in the order in which they were made
in_force() { on gateway nft -s -t list ruleset | sort; machine | sed -n '/^0:/,$p'; }
machine() {
  on gateway nft -s list ruleset
  on gateway ip rule
  on gateway ip -6 rule
  on gateway ip route show table all
  on gateway ip -6 route show table all
}
redirect() { on gateway "$doline" redirect "$@" --config "$config"; }
# expect STATUS WHAT VERB OPTION...: what it says goes to $lab/said
expect() {
  local wanted=$1 what=$2 got=0
  redirect "${@:3}" >"$lab/said" 2>&1 || got=$?
  [[ $got == "$wanted" ]] || { say_wrong "$what: exit status $got instead of $wanted"; cat "$lab/said"; tail -5 "$lab/doline.log"; }
}
said() { grep -qF -- "$1" "$lab/said" || { say_wrong "not said: $1"; cat "$lab/said"; }; }
ours() { [[ $(on camera dig +short +tries=1 +time=1 "@114.114.114.114" api.wyzecam.com A) == "$truth4" ]]; }
theirs() { [[ $(on camera dig +short +tries=1 +time=1 "@114.114.114.114" api.wyzecam.com A) == "$lie4" ]]; }

# camera_asks_all_ways PROCESS: as long as that one waits
camera_asks_all_ways() {
  local server
  for server in 114.114.114.114 2400:3200::1; do
    on camera dig +short +tries=1 +time=1 "@$server" api.wyzecam.com A || true
    on camera dig +short +tcp +tries=1 +time=1 "@$server" api.wyzecam.com A || true
  done
  ! kill -0 "$1"
}
# In its turn: behind a removal that is under way
is_absent() { [[ $(redirect verify 2>&1) == *"the redirect is absent"* ]]; }
tells_former() { [[ $(redirect status 2>&1) == *"nobody confirmed it, so the one before it is in force"* ]]; }
# By the pi, who asks a foreign resolver
tv_is_served() { [[ $(on tv dig +short +tries=1 +time=1 "@$tv_gateway4" api.wyzecam.com A) == "$lie4" ]]; }

# write_config MODE UPSTREAM [LINE of redirect...]
write_config() {
  cat >"$config" <<YAML
upstreams:
  default: {servers: [$2]}
allow_clients: [private, "2001:db8:50::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}
devices: {camera: {mac: "$camera_mac"}}
redirect:
  mode: $1
  interfaces: [home0, iot0]
YAML
  printf '  %s\n' "${@:3}" >>"$config"
}
is_up() { on gateway "$doline" status --config "$config" || (($? == 1)); } # 1: it runs, but something is degraded
begin() {
  rm -rf "$lab/state" "$lab"/doline.db* "$lab/doline.log"
  start doline gateway "$doline" run --config "$config"
  until_true 20 is_up || { cat "$lab/doline.log"; say_wrong "Doline did not start"; exit 1; }
}
finish() {
  kill -TERM "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
}

by_hand() {
  mode=$1
  write_config "$mode" "$trusted4"
  machine >"$lab/before"
  expect 0 "plan" plan
  said "table inet doline is added:"
  expect 0 "plan for programs" plan --json
  [[ $(python3 -c 'import json, sys; print(*sorted(part["part"] for part in json.load(sys.stdin)["changes"]), sep=",")' <"$lab/said") == *"table inet doline,table inet doline_seen" ]] ||
    say_wrong "the changes in JSON"
  begin
  until_true 20 ours || say_wrong "not brought home after the start"
  expect 0 "plan, with nothing to do" plan
  said "Nothing: it is all there."
  say "plan tells what is added, and when nothing is"

  expect 0 "verify" verify
  on gateway ip -6 route del default
  [[ $(grep -c ' proven$' "$lab/said") == 32 ]] || { say_wrong "not every way is proven"; cat "$lab/said"; }
  said "1 upstream server asked, none led back here"
  expect 0 "verify without an IPv6 uplink" verify
  said "nothing to catch: no route leads out"
  on gateway ip -6 route add default via 2001:db8:ffff::2
  say "verify proves 2 interfaces x IPv4, IPv6 x UDP, TCP x 4 ports with packets"
  in_force >"$lab/applied"
  redirect verify --device camera --for 60s >"$lab/awaited" 2>&1 &
  local waiting=$!
  until_true 20 grep -q 'Waiting for queries' "$lab/awaited"
  until_true 30 camera_asks_all_ways "$waiting" || say_wrong "verify --device does not end"
  wait "$waiting" || { say_wrong "verify --device"; cat "$lab/awaited"; }
  [[ $(grep -c ' proven$' "$lab/awaited") == 4 ]] || { say_wrong "not every way of the camera was seen"; cat "$lab/awaited"; }
  expect 64 "verify of nobody" verify --device nobody
  said "nobody"
  expect 64 "verify that waits for no time" verify --device camera --for 0s
  expect 1 "verify of a device that does not ask" verify --from 192.168.50.77 --for 1s
  said "not seen"
  say "verify --device sees the four ways of a real device"

  # A change, on trial: it takes itself back, though nobody is there to say so.
  write_config "$mode" "$trusted4" 'exempt: {from: [192.168.50.31, 192.0.2.54, "2001:db8::54"]}'
  # shellcheck disable=SC2016  # a name of the program
  until_true 20 grep -q 'waits for `doline redirect apply`' "$lab/doline.log" || say_wrong "the change is not noticed"
  expect 0 "plan of a change" plan
  said "+ "
  said "ip saddr 192.168.50.31 return"
  expect 0 "apply on trial" apply --confirm 15s
  said "On trial: what was before comes back after 15s"
  expect 0 "status on trial" status
  said "on trial: what was before comes back in"
  theirs || say_wrong "the exempted camera is brought home"
  expect 1 "verify of what is exempt" verify
  said "not seen"
  until_true 30 ours || say_wrong "the trial does not end"
  expect 0 "verify after it" verify # in its turn
  expect 0 "status after it" status
  said "the rules on trial were not confirmed in time"
  in_force >"$lab/after"
  diff "$lab/applied" "$lab/after" >&2 || say_wrong "not as before the trial"
  expect 1 "too late" confirm
  say "apply --confirm takes itself back, and what was before is there again"

  # Whoever is cut off by what is on trial can also turn the machine off and on again.
  expect 0 "apply on trial, before the crash" apply --confirm 60s
  theirs || say_wrong "what is on trial is not in force"
  kill -KILL "$doline_id"
  wait "$doline_id" 2>/dev/null || true
  start doline gateway "$doline" run --config "$config"
  until_true 20 tells_former || say_wrong "the one before the trial is not told to be in force"
  until_true 20 ours || say_wrong "what was on trial counts after a crash"
  say "a trial that nobody confirmed stays one over kill -9"

  expect 0 "apply on trial again" apply --confirm 60s
  expect 0 "confirm" confirm
  expect 0 "status of what is confirmed" status
  ! grep -q 'on trial' "$lab/said" || say_wrong "still on trial"
  theirs || say_wrong "what is confirmed is not in force"
  say "confirmed, it stays"

  expect 0 "remove" remove
  machine >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the machine is not what it was"
  theirs || say_wrong "not the old way after remove"
  expect 0 "apply on trial from nothing" apply --confirm 2s
  until_true 20 is_absent || say_wrong "the trial from nothing does not end"
  machine >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "a trial from nothing leaves something"
  say "remove, and a trial from nothing, leave the ruleset byte for byte"
  finish
}

# Whose queries come back, and how
loops() {
  mode=$1
  # An upstream on the Internet that forwards to us
  ip -n internet addr replace 198.51.100.77 dev lo
  start circle internet dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --cache-size=0 \
    --listen-address=198.51.100.77 --server=203.0.113.1
  write_config "$mode" "198.51.100.77, $trusted4"
  sed -i 's/^allow_clients: .*/allow_clients: [any]/' "$config"
  begin
  until_true 20 grep -q 'A loop: what upstream 198.51.100.77:53 (route default) is asked comes back' "$lab/doline.log" ||
    { say_wrong "an upstream that forwards to us is not found out"; tail -20 "$lab/doline.log"; }
  on gateway "$doline" status --config "$config" >"$lab/said" && say_wrong "status says that all is well"
  said "Left aside because of a loop"
  for ((i = 0; i < 20; i++)); do
    [[ $(on phone dig +short +tries=1 +time=1 "@$gateway4" "api.wyzecam.com" A) == "$truth4" ]] || say_wrong "no answer beside the loop"
  done
  expect 1 "verify with a loop" verify
  said "A loop: what upstream 198.51.100.77:53"
  say "an upstream that forwards to Doline is found out, told and left aside; the other one serves"
  finish

  # The only upstream is a device of the LAN, whose own queries are caught
  start pi phone dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --cache-size=0 \
    --listen-address=192.168.50.32 --server=8.8.8.8
  write_config "$mode" "192.168.50.32"
  begin
  until_true 20 grep -q 'Interception was taken away, because nobody else can be asked' "$lab/doline.log" ||
    { say_wrong "interception of the only upstream is not found out"; tail -20 "$lab/doline.log"; }
  until_true 20 tv_is_served || say_wrong "no DNS after interception was taken away"
  on gateway "$doline" status --config "$config" >"$lab/said" && say_wrong "status says that all is well"
  # shellcheck disable=SC2016  # as it is printed
  said 'Let it through: `redirect: {exempt: {from: [192.168.50.32]}}`'
  say "rules that catch the only upstream's queries are taken away, and the cure is told"
  write_config "$mode" "192.168.50.32" 'exempt: {from: [192.168.50.32]}'
  # shellcheck disable=SC2016
  until_true 20 grep -q 'waits for `doline redirect apply`' "$lab/doline.log" || say_wrong "the cure is not noticed"
  expect 0 "apply with the cure" apply
  expect 0 "verify with the cure" verify
  say "with the cure it is proven that nothing comes back"

  # The same pi, which from now on asks Doline: nothing is said to Doline, the next questions tell
  kill -KILL "$pi_id"
  wait "$pi_id" 2>/dev/null || true
  ! grep -q 'A loop: what upstream 192.168.50.32:53 (route default) is asked comes back to Doline, from 192.168.50.32. One' "$lab/doline.log" ||
    say_wrong "a loop is told before there is one"
  start pi phone dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --cache-size=0 \
    --listen-address=192.168.50.32 --server="$gateway4"
  local i
  for ((i = 0; i < 30; i++)); do
    on tv dig +short +tries=1 +time=1 "@$tv_gateway4" "later-$i.example" A >"$lab/said" || true
    ! grep -q 'comes back to Doline, from 192.168.50.32. One' "$lab/doline.log" || break
  done
  until_true 20 grep -q 'comes back to Doline, from 192.168.50.32. One' "$lab/doline.log" ||
    { say_wrong "a loop that begins later is not found out"; tail -20 "$lab/doline.log"; }
  say "an upstream that begins to lead back is found out by the next questions"
  finish
  kill -KILL "$pi_id" "$circle_id"
  wait "$pi_id" "$circle_id" 2>/dev/null || true
}

# interferes WHAT MAKE SENTENCE CURE: told by status, by doline status too, and gone with its cure. MAKE and CURE: lines for a shell on the
# gateway; CURE `-`: the one that the sentence gives, from `nft` on.
interferes() {
  local what=$1 make=$2 sentence=$3 cure=$4 told
  on gateway bash -c "$make" >"$lab/said" 2>&1 || { say "not tried: $what ($(tail -1 "$lab/said"))"; return 0; }
  expect 0 "status with $what" status
  told=$(grep -F "interference: $sentence" "$lab/said") || { say_wrong "$what is not told"; cat "$lab/said"; }
  [[ $told == *Cure* ]] || say_wrong "no cure for $what: $told"
  [[ $cure != - ]] || cure="nft${told##*Cure, where it does not: nft}"
  on gateway bash -c "$cure" >"$lab/said" 2>&1 || { cat "$lab/said"; say_wrong "the cure of $what: $cure"; }
}
not_told() {
  expect 0 "status without $1" status
  ! grep -F "$2" "$lab/said" || say_wrong "$1 is told though it is cured"
}

# Docker switches that on at any time: the kernel then forgets whom tproxy has led a bridged packet to.
bridge_trap() {
  local off=(net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0) switch
  on gateway sysctl -qw "${off[@]}" 2>"$lab/said" || { say "not tried: bridged packets in the firewall ($(tail -1 "$lab/said"))"; return 0; }
  for switch in iptables ip6tables; do
    on gateway sysctl -qw "net.bridge.bridge-nf-call-$switch=1"
    until_true 20 theirs || say_wrong "a bridge whose packets pass the firewall leaves devices without DNS ($switch)"
    expect 1 "status in the trap" status
    said "passes the firewall there already"
    expect 1 "verify in the trap" verify
    expect 1 "apply in the trap" apply
    said "or \`redirect: {mode: nat}\`"
    on gateway sysctl -qw "${off[@]}"
    until_true 20 ours || say_wrong "not brought home once the bridge's packets pass the firewall no longer ($switch)"
    expect 0 "status out of the trap" status
  done
  not_told "bridged packets in the firewall" "passes the firewall"
  say "where bridged packets pass the firewall tproxy steps aside within seconds, says why, and comes back with the cure"
}

# WireGuard's setting: the kernel looks for the senders of what is caught by its mark too
sources() {
  local filter
  on gateway sysctl -qw net.ipv4.conf.all.src_valid_mark=1
  for filter in 0 1 2; do
    on gateway sysctl -qw "net.ipv4.conf.all.rp_filter=$filter" "net.ipv4.conf.home0.rp_filter=$filter" "net.ipv4.conf.iot0.rp_filter=$filter"
    expect 0 "verify with src_valid_mark and rp_filter=$filter" verify
    [[ $(grep -c ' proven$' "$lab/said") == 32 ]] || { say_wrong "not every way is proven with rp_filter=$filter"; cat "$lab/said"; }
    ip -n gateway addr add 192.168.51.1/24 dev home0
    ip -n camera addr add 192.168.51.31/24 dev eth0
    [[ $(on camera dig +short +tries=2 +time=1 -b 192.168.51.31 @114.114.114.114 api.wyzecam.com A) == "$truth4" ]] ||
      say_wrong "a network that came after the rules is not served with rp_filter=$filter"
    ip -n gateway addr del 192.168.51.1/24 dev home0
    ip -n camera addr del 192.168.51.31/24 dev eth0
  done
  on gateway sysctl -qw net.ipv4.conf.{all,home0,iot0}.rp_filter=0 net.ipv4.conf.all.src_valid_mark=0
  say "whatever senders the kernel accepts (src_valid_mark, rp_filter 0 to 2), networks that come later are served, and verify proves it"
}

# What else on a machine touches DNS, each with what it does to the camera where it does something, and its cure
interference() {
  mode=tproxy
  write_config tproxy "$trusted4"
  # Who holds port 53 on all addresses, from before: Doline serves elsewhere
  echo "listen: [\"$gateway4:5301\"]" >>"$config"
  start holder gateway dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --server="$trusted4"
  holds() { on gateway ss -Hlun 'sport = :53' | says '0.0.0.0:53'; }
  until_true 20 holds || say_wrong "nobody holds port 53"
  begin
  expect 0 "plan with a holder of port 53" plan
  said "(dnsmasq) holds port 53 on all addresses"
  expect 0 "apply with a holder of port 53" apply
  said "(dnsmasq) holds port 53 on all addresses"
  expect 1 "status with a holder of port 53" status
  said "interference: process"
  said "(dnsmasq) holds port 53 on all addresses"
  theirs || say_wrong "who is not caught has no DNS"
  finish
  kill -KILL "$holder_id"
  wait "$holder_id" 2>/dev/null || true
  write_config tproxy "$trusted4"
  begin
  until_true 20 ours || say_wrong "not brought home with the cure"
  not_told "a holder of port 53" "holds port 53"
  say "who holds port 53 is told by plan, apply and status, which ends with 1; with the cure stray DNS comes home"

  interferes "another tool's redirect" \
    "nft 'table ip other { chain pre { type nat hook prerouting priority dstnat ; udp dport 53 redirect to :5353 ; } ; }'" \
    "table ip other, chain pre, also redirects DNS: udp dport 53" "nft delete table ip other"
  not_told "another tool's redirect" "table ip other"
  interferes "another tool's tproxy" \
    "nft 'table ip other { chain pre { type filter hook prerouting priority mangle ; udp dport 53 tproxy to :5353 ; } ; }'" \
    "table ip other, chain pre, also takes DNS by tproxy" "nft delete table ip other"
  not_told "another tool's tproxy" "table ip other"
  interferes "the old iptables" "iptables-legacy -t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353" \
    "legacy iptables, table nat, also redirects DNS" "iptables-legacy -t nat -F PREROUTING"
  not_told "the old iptables" "egacy iptables"
  interferes "another user of the mark" \
    "nft 'table inet vpn { chain out { type filter hook output priority 0 ; meta mark set 0x5353 ; } ; }'" \
    "table inet vpn, chain out, sets Doline's mark" "nft delete table inet vpn"
  not_told "another user of the mark" "table inet vpn"
  interferes "another user of the NFLOG group" \
    "nft 'table inet ulog { chain pass { type filter hook forward priority 0 ; log group 53 ; } ; }'" \
    "table inet ulog, chain pass, logs to Doline's NFLOG group" "nft delete table inet ulog"
  not_told "another user of the NFLOG group" "table inet ulog"
  interferes "a rule that is asked before" "ip rule add lookup 52 pref 100 && ip route add default dev wan0 table 52" \
    "The policy rule with preference 100 (IPv4, to table 52) is asked" "ip rule del pref 100; ip route flush table 52"
  not_told "a rule that is asked before" "preference 100"
  bridge_trap
  sources
  until_true 20 ours || say_wrong "not brought home after all that"
  say "what others do to DNS is told at once, with its cure, and not told once it is cured"

  on gateway nft 'table inet fw { chain in { type filter hook input priority 0 ; policy drop ; iif lo accept ; ct state established accept ; } ; }'
  ! ours || say_wrong "an input chain that drops lets DNS pass"
  on gateway "$doline" status --config "$config" >"$lab/said" || say_wrong "doline status"
  interferes "an input policy that drops" true "chain in of table inet fw drops what nobody accepts" -
  on gateway "$doline" status --config "$config" >"$lab/said" || say_wrong "doline status"
  # shellcheck disable=SC2016  # as it is printed
  said 'interference   1 found on this machine: `doline redirect status` tells, with the cure'
  until_true 20 ours || say_wrong "the cure of an input policy that drops does not cure"
  on gateway nft delete table inet fw
  not_told "an input policy that drops" "table inet fw"
  say "behind an input policy that drops nobody is answered; with the rule that status prints all are"
  finish
}

home_build
home_internet api.wyzecam.com
for mode in tproxy nat; do by_hand "$mode"; done
for mode in tproxy nat; do loops "$mode"; done
interference
exit "$wrong"
