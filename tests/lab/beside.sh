#!/usr/bin/env bash
# A box beside the router, in every way that stray DNS can come to it: led there by next hop, with the very texts that `doline
# redirect render` prints for nftables and iptables; as the devices' gateway (one arm); asked by the router's dnsmasq, which says
# for whom; by ports that stand for resolvers, again with the very texts; and with PROXY headers. And that the house keeps its DNS when the box fails.
# Prints a table (cells.sh) and what else was tried; exit code 1 where something is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"
# shellcheck source=/dev/null
source "$here/cells.sh"

box4=192.168.50.53 box6=2001:db8:50::53 box_mac=b8:27:eb:00:50:53
config=$lab/doline.yml

# settings LINE...: a configuration of the box, with these lines behind
settings() {
  rm -rf "$lab/state" "$lab"/doline.*
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64", "2001:db8:60::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}
devices: {camera: {mac: "$camera_mac"}, tv: {mac: "$tv_mac"}}
YAML
  printf '%s\n' "$@" >>"$config"
}
end_doline() {
  kill "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
}
done_well() { printf '%-18s %s\n' "$1" "$2"; }

# gets PLACE SERVER ANSWER OPTION...: once
gets() {
  local type=A
  [[ $2 != *:* ]] || type=AAAA
  [[ $(on "$1" dig +short +tries=1 +time=1 "${@:4}" "@$2" once.lab.example "$type" 2>/dev/null) == "$3" ]]
}
# comes_to WANTED PLACE ADDRESS PORT: what a TCP connection comes to
comes_to() {
  local said
  read -r said _ < <(on "$2" python3 -B "$here/gate_traffic.py" connect tcp "$3" "$4")
  [[ $said == "$1" ]] || { echo "$2 to $3 port $4: $said"; return 1; }
}
# The first answer to a device shows its MAC to a box that the router leads queries to.
knows_camera() {
  local server
  for server in "${cell_servers[@]}"; do
    gets camera "$server" "$([[ $server == *:* ]] && echo "$truth6" || echo "$truth4")" || return 1
    [[ $(on box "$doline" log --config "$config" --json --name once.lab.example --limit 1) == *"\"mac\":\"$camera_mac\""* ]] || return 1
  done
}

# ── by next hop ──────────────────────────────────────────────────────────────────────────────────────────────────────

# next_hop TOOL: of the router's text and of Doline's own rules
next_hop() {
  local tool=$1 platform=nftables way=remote-$1 script=$lab/router.sh
  [[ $tool == nft ]] || platform=iptables
  settings "redirect: {mode: remote, interfaces: eth0, encrypted: reject}" "resolver_list: $lab/resolvers.csv"
  on box sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  ruleset gateway >"$lab/before"
  ruleset box >"$lab/before-box"
  on box "$doline" redirect render --for "$platform" --lan home0 --lan iot0 --config "$config" >"$script" ||
    { say_wrong "redirect render"; return; }
  on gateway sh "$script" up || say_wrong "the router does not take the text"
  start_doline box "$tool" "$config" || return
  doline_redirect box "$tool" apply "$config"
  until_true 20 knows_camera || say_wrong "the box does not come to know the camera"
  forget_packets internet
  forget_packets camera
  fill_cells "$way" box "$tool" "$config" tproxy
  { gets tv 8.8.8.8 "$truth4" && gets tv 2620:fe::fe "$truth6" && gets tv 8.8.8.8 "$truth4" +tcp && gets tv 2620:fe::fe "$truth6" +tcp; } ||
    say_wrong "a device of another LAN is not answered by the box"
  [[ $(packets internet foreign) == 0 ]] || say_wrong "$(packets internet foreign) packets came to the foreign resolvers"
  # The box's own encrypted DNS is left alone, and so is what is not known for DoH.
  { comes_to refused camera 8.8.8.8 853 && comes_to refused camera 8.8.8.8 443 && comes_to refused camera 2620:fe::fe 443 &&
    comes_to connected camera 114.114.114.114 443 && comes_to connected box 8.8.8.8 443; } ||
    say_wrong "encrypted DNS is not refused by the router as it should be"
  # What the box asks itself is not led back to it, nor what devices ask each other or the router.
  { gets box 114.114.114.114 "$lie4" && gets box 2400:3200::1 "$lie6"; } ||
    say_wrong "the box's own questions do not pass"
  [[ $(packets camera redirects) == 0 ]] || say_wrong "the camera is told of a shorter way"
  done_well "$way" "another LAN's device is answered, the box's own questions pass, no device is told of a shorter way"

  kill -KILL "$doline_id"
  wait "$doline_id" 2>/dev/null || true
  if [[ $tool == nft ]]; then
    gets camera 114.114.114.114 "$lie4" && say_wrong "a box that does not route lets DNS pass"
    on box sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    { until_true 20 gets camera 114.114.114.114 "$lie4" && until_true 20 gets camera 2400:3200::1 "$lie6" &&
      gets camera 114.114.114.114 "$lie4" +tcp && gets camera 2400:3200::1 "$lie6" +tcp; } ||
      say_wrong "a box that routes does not let DNS pass when Doline is killed"
    done_well "$way" "Doline is killed and the box routes: devices reach whom they ask"
    on box sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  fi
  if command -v nslookup >/dev/null; then
    start watch gateway sh "$script" watch
    { until_true 20 gets camera 114.114.114.114 "$lie4" && until_true 20 gets camera 2400:3200::1 "$lie6"; } ||
      say_wrong "the watch does not give up a box without Doline"
    on box "$doline" redirect remove --after-crash --config "$config" >"$lab/remove.log" 2>&1 || say_wrong "remove --after-crash"
    start_doline box "$tool" "$config" || return
    doline_redirect box "$tool" apply "$config"
    { until_true 20 gets camera 114.114.114.114 "$truth4" && until_true 20 gets camera 2400:3200::1 "$truth6"; } ||
      say_wrong "the watch does not come back to Doline"
    kill "$watch_id"
    wait "$watch_id" 2>/dev/null || true
    done_well "$way" "the router's watch leaves a box without Doline, and comes back to it"
    doline_redirect box "$tool" remove "$config"
    end_doline
  fi
  on gateway sh "$script" down || say_wrong "the text cannot be undone"
  ruleset gateway >"$lab/after"
  ruleset box >"$lab/after-box"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the router's ruleset is not what it was"
  diff "$lab/before-box" "$lab/after-box" >&2 || say_wrong "the box's ruleset is not what it was"
  [[ -z $(on gateway ip rule list table 5399; on gateway ip -6 rule list table 5399; on gateway ip route show table 5399 2>/dev/null) ]] ||
    say_wrong "routes are left on the router"
}

# ── as the devices' gateway ──────────────────────────────────────────────────────────────────────────────────────────

on_a_stick() {
  local way=gateway-one-arm
  settings "redirect: {mode: remote, interfaces: eth0, exempt: {to: [8.8.8.8, \"2620:fe::fe\"]}}"
  # All that a careless box does: it tells devices of a shorter way.
  on box sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.eth0.send_redirects=1
  ip -n camera route replace default via "$box4"
  ip -n camera -6 route replace default via "$box6"
  on box "$doline" redirect plan --config "$config" >"$lab/plan.log"
  grep -q 'net.ipv4.conf.eth0.send_redirects=0' "$lab/plan.log" || say_wrong "the plan does not tell of redirects"
  start_doline box nft "$config" || return
  doline_redirect box nft apply "$config"
  forget_packets camera
  fill_cells "$way" box nft "$config" tproxy
  { gets camera 8.8.8.8 "$lie4" && gets camera 2620:fe::fe "$lie6" && gets camera 8.8.8.8 "$lie4" +tcp; } ||
    say_wrong "what is exempt does not pass through the box"
  [[ $(packets camera redirects) == 0 ]] || say_wrong "the camera is told of a shorter way"
  kill -KILL "$doline_id"
  wait "$doline_id" 2>/dev/null || true
  { until_true 20 gets camera 114.114.114.114 "$lie4" && until_true 20 gets camera 2400:3200::1 "$lie6"; } ||
    say_wrong "DNS does not pass when Doline is killed"
  # The kernel soon tires of telling the camera, which does not listen.
  ip -n phone route replace default via "$box4"
  gets phone 114.114.114.114 "$lie4" || say_wrong "the phone's DNS does not pass"
  [[ $(packets phone redirects) != 0 ]] || say_wrong "redirects are not counted, so that there were none proves nothing"
  ip -n phone route replace default via "$gateway4"
  done_well "$way" "no device is told of a shorter way; what is exempt passes, and everything when Doline is killed"
  doline_redirect box nft remove "$config"
  on box sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  ip -n camera route replace default via "$gateway4"
  ip -n camera -6 route replace default via "$gateway6"
}

# The gate of a box beside the router: it holds those whose gateway it is, and says of the others that it cannot.
gate_on_a_stick() {
  local way=gate-one-arm
  settings "resolver_list: $lab/resolvers.csv" "groups: {cameras: {flows: only-resolved}}" "redirect: {mode: remote, interfaces: eth0}"
  sed -i "s/camera: {mac: \"$camera_mac\"}/camera: {mac: \"$camera_mac\", groups: [cameras]}/; s/tv: {mac: \"$tv_mac\"}/tv: {mac: \"$tv_mac\", groups: [cameras]}/" "$config"
  on box sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  ip -n camera route replace default via "$box4"
  ip -n camera -6 route replace default via "$box6"
  "$doline" check "$config" 2>&1 | says 'only devices that have this machine as their gateway are held' ||
    say_wrong "check does not tell whom the gate of a box beside the router cannot hold"
  start_doline box nft "$config" || return
  doline_redirect box nft apply "$config"
  grep -q 'Devices are held to what they look up only where' "$lab/redirect.log" || say_wrong "apply does not tell it"
  is_held() { comes_to refused camera 8.8.8.8 443; }
  until_true 20 is_held || say_wrong "the camera is not held"
  { comes_to refused camera "$truth4" 443 && comes_to refused camera 2620:fe::fe 443 && comes_to connected phone 8.8.8.8 443; } ||
    say_wrong "not the camera alone is held"
  { gets camera 114.114.114.114 "$truth4" && comes_to connected camera "$truth4" 443; } || say_wrong "what an answer gave is refused"
  # Of another LAN: its gateway is the router, which nobody has told to lead anything here.
  comes_to connected tv 8.8.8.8 443 || say_wrong "the tv is held"
  status_tells() { on box "$doline" status --config "$config" | grep 'held are only devices that have this machine as their gateway'; }
  until_true 20 status_tells || say_wrong "status does not tell whom it cannot hold: $(on box "$doline" status --config "$config")"
  done_well "$way" "whose gateway the box is, connects only to what an answer gave; of the others check, apply and status tell"
  doline_redirect box nft remove "$config"
  end_doline
  on box sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  ip -n camera route replace default via "$gateway4"
  ip -n camera -6 route replace default via "$gateway6"
}

# What routers tell a device of shorter ways is counted there.
count_redirects() {
  on "$1" nft -f - <<'NFT'
table inet seen {
  counter redirects { }
  chain arrived {
    type filter hook input priority -300
    icmp type redirect counter name redirects
    icmpv6 type nd-redirect counter name redirects
  }
}
NFT
}

# ── by a router that says for whom it asks ───────────────────────────────────────────────────────────────────────────

# logged NAME PART...: Doline on the box wrote it down so
logged() {
  local row=() part
  has_row() { on box "$doline" log --config "$config" --json --name "$1" --limit 0 >"$lab/row"; }
  until_true 20 has_row "$1" || { say_wrong "$1 is not in the log"; return; }
  mapfile -t row <"$lab/row"
  for part in "${@:2}"; do [[ ${row[0]} == *"$part"* ]] || say_wrong "the log says not $part but: ${row[0]}"; done
}

by_dnsmasq() {
  local form server transport name client
  settings "redirect: {mode: off, trusted_routers: [$gateway4]}"
  start_doline box nft "$config" || return
  on gateway nft -f - <<NFT
table inet router {
  chain pre {
    type nat hook prerouting priority dstnat
    iifname "home0" ether saddr != $box_mac meta l4proto { tcp, udp } th dport 53 redirect to :53
  }
}
NFT
  for form in raw base64 text; do
    local -a add=(--add-mac)
    [[ $form == raw ]] || add=("--add-mac=$form")
    start router gateway dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --cache-size=0 \
      "--listen-address=$gateway4" "--listen-address=$gateway6" "--server=$box4" "${add[@]}" --add-subnet=32,128 --add-cpe-id=home
    for server in "${cell_servers[@]}"; do
      client=192.168.50.31
      [[ $server != *:* ]] || client=2001:db8:50::31
      for transport in udp tcp; do
        name=dnsmasq-$form-${client//[.:]/-}-$transport.lab.example
        answered() { [[ $(on camera dig +short +tries=1 +time=1 "$([[ $transport == tcp ]] && echo +tcp || echo +notcp)" "@$server" "$name" A) == "$truth4" ]]; }
        until_true 20 answered || { tail -n 20 "$lab/router.log"; say_wrong "$name is not answered through the router's dnsmasq"; }
        logged "$name" "\"client\":\"$client\"" "\"mac\":\"$camera_mac\"" '"device":"camera"'
      done
    done
    kill "$router_id"
    wait "$router_id" 2>/dev/null || true
    done_well "dnsmasq ($form)" "the box knows the camera behind the router by MAC and address, IPv4 and IPv6, UDP and TCP"
  done
  on phone dig +short +tries=1 +time=1 "+ednsopt=65001:${camera_mac//:/}" "@$box4" liar.lab.example A >/dev/null
  logged liar.lab.example '"client":"192.168.50.32"'
  [[ $(cat "$lab/row") != *"$camera_mac"* ]] || say_wrong "a device is believed that it is another"
  on gateway nft delete table inet router
  end_doline
}

# ── by a port for each resolver ──────────────────────────────────────────────────────────────────────────────────────

# by_ports TOOL: with the router's text, which gives each resolver of our list the port that the list says
by_ports() {
  local tool=$1 platform=nftables way="a port each ($1)" script=$lab/router.sh server transport name client
  [[ $tool == nft ]] || platform=iptables
  settings "redirect: {mode: off, port_map: listed}" "resolver_list: $here/../../blocklists/resolvers.csv"
  on box "$doline" redirect render --for "$platform" --lan iot0 --config "$config" >"$script" ||
    { say_wrong "redirect render"; return; }
  ruleset gateway >"$lab/before"
  on gateway sh "$script" up || say_wrong "the router does not take the text"
  start_doline box nft "$config" || return
  forget_packets internet
  for server in 114.114.114.114 8.8.8.8 2400:3200::1 2620:fe::fe; do
    client=192.168.60.31
    [[ $server != *:* ]] || client=2001:db8:60::31
    for transport in udp tcp; do
      name=ports-$tool-$transport-${server//[.:]/-}.lab.example
      [[ $(on tv dig +short +tries=1 +time=1 "$([[ $transport == tcp ]] && echo +tcp || echo +notcp)" "@$server" "$name" A) == "$truth4" ]] ||
        say_wrong "the tv gets no answer to $name"
      logged "$name" "\"client\":\"$client\"" "\"original_destination\":\"$server\"" '"original_port":53' '"intercepted_by":"port map"' \
        "\"transport\":\"$transport\""
    done
  done
  [[ $(packets internet foreign) == 0 ]] || say_wrong "$(packets internet foreign) packets came to the foreign resolvers"
  # One that is not listed, and one on another port than DNS has.
  on tv dig +short +tries=1 +time=1 "@$trusted4" "unlisted-$tool.lab.example" A >/dev/null
  logged "unlisted-$tool.lab.example" '"client":"192.168.60.31"' '"original_destination":null'
  on tv dig +short +tries=1 +time=1 -p 5353 @8.8.8.8 "strange-$tool.lab.example" A >/dev/null
  logged "strange-$tool.lab.example" '"client":"192.168.60.31"' '"original_destination":null'
  on gateway sh "$script" down || say_wrong "the text cannot be undone"
  ruleset gateway >"$lab/after"
  diff "$lab/before" "$lab/after" >&2 || say_wrong "the router's ruleset is not what it was"
  { gets tv 8.8.8.8 "$lie4" && gets tv 2620:fe::fe "$lie6" +tcp; } || say_wrong "what is undone still rewrites"
  done_well "$way" "the box knows whom a rewritten query was meant for, where that resolver is listed: UDP and TCP, IPv4 and IPv6"
  end_doline
}

# ── with PROXY headers ───────────────────────────────────────────────────────────────────────────────────────────────

by_proxy() {
  settings "redirect: {mode: off, trusted_routers: [$gateway4, \"$gateway6\"]}"
  start_doline box nft "$config" || return
  local transport
  for transport in udp tcp; do
    [[ $(on gateway python3 "$here/pass_on.py" "$transport" "$box4" 192.168.50.31 114.114.114.114 "proxy-$transport-4.lab.example") == NOERROR ]] ||
      say_wrong "a query with a PROXY header is not answered over $transport"
    logged "proxy-$transport-4.lab.example" '"client":"192.168.50.31"' '"original_destination":"114.114.114.114"' '"intercepted_by":"proxy"' \
      "\"transport\":\"$transport\"" "\"mac\":\"$camera_mac\""
    [[ $(on gateway python3 "$here/pass_on.py" "$transport" "$box6" 2001:db8:50::31 2400:3200::1 "proxy-$transport-6.lab.example") == NOERROR ]] ||
      say_wrong "a query with a PROXY header is not answered over $transport and IPv6"
    logged "proxy-$transport-6.lab.example" '"client":"2001:db8:50::31"' '"original_destination":"2400:3200::1"' '"intercepted_by":"proxy"'
  done
  [[ $(on phone python3 "$here/pass_on.py" udp "$box4" 192.168.50.31 114.114.114.114 forged.lab.example) == NOTIMP ]] ||
    say_wrong "a device's PROXY header is not malformed"
  done_well "PROXY header" "client and original destination are the router's word, UDP and TCP, IPv4 and IPv6; a device's own is malformed"
  if command -v dnsdist >/dev/null; then
    cat >"$lab/dnsdist.conf" <<LUA
setLocal("$gateway4:53")
addLocal("[$gateway6]:53")
setACL({"0.0.0.0/0", "::/0"})
newServer({address="$box4:53", useProxyProtocol=true, healthCheckMode="up"})
LUA
    start dnsdist gateway dnsdist --supervised --disable-syslog --config "$lab/dnsdist.conf"
    until_true 20 gets camera "$gateway4" "$truth4" || { cat "$lab/dnsdist.log"; say_wrong "dnsdist's question is not answered"; }
    logged once.lab.example '"client":"192.168.50.31"' '"original_destination":null' "\"mac\":\"$camera_mac\""
    { gets camera "$gateway4" "$truth4" +tcp && gets camera "$gateway6" "$truth6" && gets camera "$gateway6" "$truth6" +tcp; } ||
      say_wrong "dnsdist's question is not answered over TCP or IPv6"
    kill "$dnsdist_id"
    wait "$dnsdist_id" 2>/dev/null || true
    done_well "dnsdist" "its PROXY headers say for whom it asks, UDP and TCP"
  fi
  end_doline
}

mapfile -t names < <(cell_names remote-{nft,iptables} gateway-one-arm)
for form in raw base64 text; do
  for client in 192-168-50-31 2001-db8-50--31; do names+=("dnsmasq-$form-$client-"{udp,tcp}.lab.example); done
done
names+=(once.lab.example liar.lab.example forged.lab.example {unlisted,strange}-{nft,iptables}.lab.example
  ports-{nft,iptables}-{udp,tcp}-{114-114-114-114,8-8-8-8,2400-3200--1,2620-fe--fe}.lab.example
  proxy-{udp,tcp}-{4,6}.lab.example)
home_build
device box "$box_mac" 50 home0 53
home_internet "${names[@]}"
ip -n internet addr add "$truth4" dev lo
count_redirects camera
count_redirects phone
# Those that are known for DoH, and another; at all of them something listens.
printf 'address,operator,country,protocols,hostname,note\n8.8.8.8,Google,US,plain+doh,,\n2620:fe::fe,Quad9,CH,plain+doh,,\n114.114.114.114,114DNS,CN,plain,,\n' >"$lab/resolvers.csv"
start internet_serve internet python3 -B "$here/gate_traffic.py" serve
next_hop nft
gate_on_a_stick
on_a_stick # before the box has a table of NAT, which holds redirects back by itself
if command -v iptables-restore >/dev/null; then
  empty_chains gateway
  empty_chains box
  next_hop iptables
  by_ports iptables
else
  echo "iptables is not installed: not tried"
fi
by_dnsmasq
by_ports nft
by_proxy
exit "$wrong"
