#!/usr/bin/env bash
# A home of network namespaces, for the lab tests and the demo: to be sourced, then entered, then built.
#
#   source home.sh; home_enter "$0" "$@"    the script runs again, alone in namespaces of its own (root, or any user where user
#                                           namespaces are allowed); exit code 77 and a sentence where that is impossible
#   home_build; home_internet               the home, then the servers of its Internet
#
# Network, mounts and processes are all inside: two homes never meet, and nothing of one is left however it ends, kill -9
# included. `on PLACE COMMAND...` runs a command at a place, `start NAME PLACE COMMAND...` one that stays.
#
#   camera  192.168.50.31  2001:db8:50::31  94:51:3d:13:9a:35 ┐
#   phone   192.168.50.32  2001:db8:50::32  02:d0:11:00:50:32 ┴ home0 .1 ::1 ┐
#   tv      192.168.60.31  2001:db8:60::31  02:d0:11:00:60:31 ─ iot0  .1 ::1 ┴ gateway ─ wan0 203.0.113.1 2001:db8:ffff::1
#   internet: the foreign resolvers and the trusted one below, each with its own answers to the same names
set -euo pipefail

# shellcheck disable=SC2034  # for the scripts that source this
{
  camera_mac=94:51:3d:13:9a:35 phone_mac=02:d0:11:00:50:32 tv_mac=02:d0:11:00:60:31
  gateway4=192.168.50.1 gateway6=2001:db8:50::1 tv_gateway4=192.168.60.1 tv_gateway6=2001:db8:60::1
  foreign4="114.114.114.114, 8.8.8.8" foreign6="2400:3200::1, 2620:fe::fe"
  trusted4=198.51.100.53 trusted6=2001:db8:feed::53
  lie4=203.0.113.66 lie6=2001:db8:bad::66   # what a foreign resolver says to every question
  truth4=198.51.100.80 truth6=2001:db8:80::80  # what the trusted one says of the names it is given
}
doline=${DOLINE:-$(dirname "${BASH_SOURCE[0]}")/../../build/release/doline}
lab=/run/lab  # logs, files, the home's state; in memory, and gone with the home

home_skip() { printf 'skipped: %s\n' "$*"; exit 77; }

# Everything that a home needs of the kernel, tried once, small.
home_probe() {
  mount -t tmpfs tmpfs /run && ip netns add probe && ip link add probe0 type veth peer name probe1 netns probe &&
    ip link add probe2 type bridge && nft add table inet probe && nsenter --net=/run/netns/probe sysctl -qw net.ipv4.ip_forward=1 &&
    [[ -d /proc/sys/net/ipv6 ]]
}

# home_enter SCRIPT ARGUMENT...: returns inside the namespaces only
home_enter() {
  if [[ ${DOLINE_HOME:-} == entered ]]; then
    mount -t proc proc /proc 2>/dev/null || true # may be forbidden in a container; only says who holds a port
    mount -t tmpfs tmpfs /run
    mkdir "$lab"
    trap 'exit 143' TERM INT HUP
    return
  fi
  [[ -x $doline ]] || { echo "There is no program at $doline: ./run build makes it."; exit 69; }
  local tool
  for tool in unshare nsenter setpriv ip nft sysctl dig dnsmasq; do
    command -v "$tool" >/dev/null || home_skip "$tool is not installed"
  done
  local -a alone=(unshare --mount --net --pid --fork --kill-child)
  local why
  export -f home_probe
  if ! why=$("${alone[@]}" bash -c home_probe 2>&1); then
    alone+=(--user --map-root-user)
    why=$("${alone[@]}" bash -c home_probe 2>&1) || home_skip "no network namespaces here: ${why##*$'\n'}"
  fi
  # Not exec: `unshare` blocks SIGTERM while it waits. If we are killed, setpriv has the kernel kill it, and it its child.
  DOLINE_HOME=entered setpriv --pdeathsig KILL -- "${alone[@]}" "$@" <&0 &
  local inside=$! status=0
  trap 'kill -KILL "$inside"; exit 143' TERM INT HUP
  wait "$inside" || status=$?
  exit "$status"
}

# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────

on() { nsenter --net="/run/netns/$1" -- "${@:2}"; }

# start NAME PLACE COMMAND...: what it says goes to $lab/NAME.log, its process id to the variable NAME_id
start() {
  local name=$1
  nsenter --net="/run/netns/$2" -- "${@:3}" >>"$lab/$name.log" 2>&1 </dev/null &
  printf -v "${name}_id" %s $!
}

# says PATTERN, behind a pipe: reads to the end. grep -q does not: who still writes then fails, and the pipe with it.
says() { grep "$@" >/dev/null; }

# until_true SECONDS COMMAND...: tries until it succeeds; what it says is not shown
until_true() {
  local now until
  read -r now _ </proc/uptime  # in hundredths; no clock that somebody sets
  until=$((10#${now/./} + $1 * 100)); shift
  until "$@" >/dev/null 2>&1; do
    read -r now _ </proc/uptime
    ((10#${now/./} < until)) || return 1
    sleep 0.05
  done
}

place() {
  ip netns add "$1"
  # No duplicate address detection: addresses serve at once. No router advertisements: nothing comes by itself.
  on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
    net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0
  ip -n "$1" link set lo up
}

# device NAME MAC NETWORK BRIDGE HOST: a device at 192.168.NETWORK.HOST and 2001:db8:NETWORK::HOST
device() {
  local name=$1 mac=$2 network=$3 bridge=$4 host=$5
  place "$name"
  ip -n gateway link add "port-$name" type veth peer name eth0 netns "$name"
  ip -n gateway link set "port-$name" master "$bridge" up
  ip -n "$name" link set eth0 address "$mac" up
  ip -n "$name" addr add "192.168.$network.$host/24" dev eth0
  ip -n "$name" addr add "2001:db8:$network::$host/64" dev eth0
  ip -n "$name" route add default via "192.168.$network.1"
  ip -n "$name" -6 route add default via "2001:db8:$network::1"
}

# lan BRIDGE NETWORK: a network behind the gateway
lan() {
  ip -n gateway link add "$1" address "02:d0:11:00:$2:01" type bridge forward_delay 0 mcast_snooping 0
  ip -n gateway link set "$1" up
  ip -n gateway addr add "192.168.$2.1/24" dev "$1"
  ip -n gateway addr add "2001:db8:$2::1/64" dev "$1"
}

home_build() {
  place gateway
  place internet
  on gateway sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
  # Where br_netfilter is there it is on; a router has it off.
  on gateway sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
  lan home0 50
  lan iot0 60
  ip -n gateway link add wan0 type veth peer name inet0 netns internet
  ip -n gateway link set wan0 up
  ip -n internet link set inet0 up
  ip -n gateway addr add 203.0.113.1/24 dev wan0
  ip -n gateway addr add 2001:db8:ffff::1/64 dev wan0
  ip -n internet addr add 203.0.113.2/24 dev inet0
  ip -n internet addr add 2001:db8:ffff::2/64 dev inet0
  ip -n gateway route add default via 203.0.113.2
  ip -n gateway -6 route add default via 2001:db8:ffff::2
  ip -n internet -6 route add 2001:db8:50::/64 via 2001:db8:ffff::1
  ip -n internet -6 route add 2001:db8:60::/64 via 2001:db8:ffff::1
  local address
  for address in ${foreign4//,/} ${foreign6//,/} "$trusted4" "$trusted6"; do
    ip -n internet addr add "$address" dev lo
  done
  device camera "$camera_mac" 50 home0 31
  device phone "$phone_mac" 50 home0 32
  device tv "$tv_mac" 60 iot0 31
  # As after DHCP and router discovery, the gateway knows their MACs.
  # shellcheck disable=SC2016  # for that shell
  local datagram='for address; do echo >/dev/udp/$address/9; done'
  on camera bash -c "$datagram" - "$gateway4" "$gateway6"
  on phone bash -c "$datagram" - "$gateway4" "$gateway6"
  on tv bash -c "$datagram" - "$tv_gateway4" "$tv_gateway6"
  # What every home router does
  on gateway nft -f - <<'NFT'
table ip wan {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "wan0" masquerade
  }
}
NFT
  # Who on the Internet was sent how much, whatever it was: packets internet foreign, packets internet trusted
  on internet nft -f - <<NFT
table inet seen {
  counter foreign { }
  counter trusted { }
  chain arrived {
    type filter hook input priority -300
    ip daddr { $foreign4 } counter name foreign
    ip6 daddr { $foreign6 } counter name foreign
    ip daddr $trusted4 counter name trusted
    ip6 daddr $trusted6 counter name trusted
  }
}
NFT
}

# ── the Internet ─────────────────────────────────────────────────────────────────────────────────────────────────────

# home_internet NAME...: foreign resolvers that lie about every name, and a trusted one that knows these and no other
home_internet() {
  local -a lie=("--address=/#/$lie4" "--address=/#/$lie6") truth=(--local=/#/ --local-ttl=300)
  local name
  for name; do truth+=("--host-record=$name,$truth4,$truth6"); done
  server foreign "${foreign4//,/} ${foreign6//,/}" "${lie[@]}"
  server trusted "$trusted4 $trusted6" "${truth[@]}"
}

# server NAME "ADDRESS..." OPTION...: a dnsmasq on the Internet. --no-daemon: it keeps its user, of which there may be only one
server() {
  local name=$1 address
  local -a listen
  for address in $2; do listen+=("--listen-address=$address"); done
  start "$name" internet dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --cache-size=0 \
    --log-queries --log-facility=- "${listen[@]}" "${@:3}"
  for address in $2; do
    until_true 20 on internet dig +tries=1 +time=1 "@$address" . NS || { cat "$lab/$name.log" >&2; return 1; }
  done
}

# packets PLACE COUNTER: how many its table `seen` counted since forget_packets PLACE
packets() { on "$1" nft list counter inet seen "$2" | sed -nE 's/.*packets ([0-9]+) .*/\1/p'; }
forget_packets() { on "$1" nft reset counters table inet seen >/dev/null; }

# ask PLACE SERVER NAME TYPE [OPTION of dig...]: what dig got, tab-separated: UDP or TCP, status, answers of that type, from whom
ask() {
  local place=$1 server=$2 name=$3 type=$4 said status from over answers
  said=$(on "$place" dig +tries=2 +time=2 +noall +comments +answer +stats "${@:5}" "@$server" "$name" "$type" 2>&1) || true
  status=$(sed -nE 's/.*status: ([A-Z]+),.*/\1/p' <<<"$said")
  from=$(sed -nE 's/^;; SERVER: [^(]*\(([^)]*)\).*/\1/p' <<<"$said")
  over=$(sed -nE 's/^;; SERVER: .*\((UDP|TCP)\)$/\1/p' <<<"$said")
  answers=$(awk '$4 == type {printf "%s%s", comma, $5; comma = ","}' type="$type" <<<"$said")
  printf '%s\t%s\t%s\t%s\n' "${over:--}" "${status:-NO RESPONSE}" "${answers:--}" "${from:--}"
}
