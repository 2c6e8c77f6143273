#include "redirect/router_templates.h"

namespace doline::redirect {

namespace {

// The gaps: box4 box6 mac router - lan (the box's) eachlan lans lanset lanwords - eachport portset portlist - home4
// home6 (what stays at home) - exemptmac exemptfrom4 exemptfrom6 exemptto4 exemptto6 - mapped4 mapped4port mapped6
// mapped6port - numbered numberedlan numbered4 numbered4port (each of mapped4 on each of eachlan, by a number) - doh4
// doh6 (where encrypted DNS is refused) doh4set doh6set. Empty ones that only choose their line: v6 encrypted anydoh4
// anydoh6 - hop (the router leads by next hop) or rewrites (it gives each known resolver a port of the box), anymap4
// anymap6.

// ── Linux ────────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view nftables_head = R"(#!/bin/sh
{hop}# Any Linux router with nft: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
{rewrites}# Any Linux router with nft: rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Save it on the router ({router}) as /etc/doline-router.sh; then, as root:
#   sh /etc/doline-router.sh up       leads DNS to the box
#   sh /etc/doline-router.sh watch    the same, but only while Doline answers; stays in the foreground
#   sh /etc/doline-router.sh down     undoes all of it
# Nothing of it outlives a restart of the router: let its service manager start `watch`.
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
{hop}# How it fails: with `watch`, DNS goes its old way a few seconds after Doline or the box is gone. With `up` alone it does so
{hop}# if the box runs on and routes (net.ipv4.ip_forward=1 there), and else goes nowhere until `down`.
{hop}# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
{rewrites}# How it fails: with `watch`, new DNS goes its old way a few seconds after Doline or the box is gone; with `up` alone it goes
{rewrites}# nowhere until `down`. Who asks from one and the same port goes on as he began until the router's conntrack forgets him.
# Tried in network namespaces with real packets, not on real equipment.
)";

constexpr std::string_view openwrt_head = R"(#!/bin/sh
{hop}# OpenWrt 22.03 or later (fw4): leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
{rewrites}# OpenWrt 22.03 or later (fw4): rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Once, on the router ({router}):
#   apk add ip-full kmod-nft-fib     (opkg before 25.12; for `ip rule` with marks)
#   save this file as /etc/doline-router.sh
#   write before `exit 0` in /etc/rc.local:   sh /etc/doline-router.sh watch &
#   write in /etc/sysupgrade.conf:            /etc/doline-router.sh
# Then `sh /etc/doline-router.sh watch &`, or restart the router. `fw4` leaves the table alone: it is not its own.
# Undo: take out those two lines, end the watch, `sh /etc/doline-router.sh down`.
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
# How it fails: DNS goes its old way a few seconds after Doline or the box is gone.
{hop}# Flow offloading (software or hardware) does not harm what is not tracked.
{hop}# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
# The script was tried in network namespaces on Debian; on OpenWrt it was NOT tried.
)";

constexpr std::string_view iptables_head = R"(#!/bin/sh
{hop}# Any Linux router with iptables: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
{rewrites}# Any Linux router with iptables: rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Save it on the router ({router}) as /etc/doline-router.sh; then, as root:
#   sh /etc/doline-router.sh up       leads DNS to the box
#   sh /etc/doline-router.sh watch    the same, but only while Doline answers; stays in the foreground
#   sh /etc/doline-router.sh down     undoes all of it
# Nothing of it outlives a restart of the router: let its service manager start `watch`.
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
{hop}# How it fails: with `watch`, DNS goes its old way a few seconds after Doline or the box is gone. With `up` alone it does so
{hop}# if the box runs on and routes (net.ipv4.ip_forward=1 there), and else goes nowhere until `down`.
{hop}# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
{rewrites}# How it fails: with `watch`, new DNS goes its old way a few seconds after Doline or the box is gone; with `up` alone it goes
{rewrites}# nowhere until `down`. Who asks from one and the same port goes on as he began until the router's conntrack forgets him.
# DNS between your own networks is told by address; take in what is missing (-d ... -j RETURN), above all public IPv6.
# Tried in network namespaces with real packets, not on real equipment.
)";

constexpr std::string_view merlin_head = R"(#!/bin/sh
{hop}# Asuswrt-Merlin: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched. (DNS Director
{hop}# would rewrite and masquerade it: then the box sees the router only. Leave it off.)
{rewrites}# Asuswrt-Merlin: rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
{rewrites}# (DNS Director would masquerade it too: then the box sees the router only. Leave it off.)
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Once, on the router ({router}), with JFFS custom scripts switched on (Administration, System):
#   save this file as /jffs/scripts/doline-router.sh
#   write in /jffs/scripts/services-start:   sh /jffs/scripts/doline-router.sh watch &
#   write in /jffs/scripts/firewall-start:   sh /jffs/scripts/doline-router.sh down      (watch puts it back)
#   chmod a+rx /jffs/scripts/*; restart the router
# Undo: take out those two lines, end the watch, `sh /jffs/scripts/doline-router.sh down`.
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
# How it fails: DNS goes its old way a few seconds after Doline or the box is gone.
# DNS between your own networks is told by address; take in what is missing (-d ... -j RETURN), above all public IPv6.
# The script was tried in network namespaces on Debian; on Asuswrt-Merlin it was NOT tried.
)";

/// What both kinds of script end with. `localhost` is a name that Doline answers itself.
constexpr std::string_view script_end = R"(
answers() { nslookup -timeout=1 -retry=1 localhost {box4} >/dev/null 2>&1; }

watch() {
  trap 'down; exit 0' INT TERM
  while :; do
    if answers || answers; then is_up || up; else ! is_up || down; fi
    sleep 2
  done
}

case ${1:-} in
  up|down|watch) "$1" ;;
  *) echo "usage: $0 up|down|watch" >&2; exit 64 ;;
esac
)";

constexpr std::string_view nftables_body = R"(
set -u

down() {
  nft delete table inet doline_router 2>/dev/null
  ip rule del pref 5399 2>/dev/null
  ip route flush table 5399 2>/dev/null
  {v6}ip -6 rule del pref 5399 2>/dev/null
  {v6}ip -6 route flush table 5399 2>/dev/null
  true
}

is_up() { nft list table inet doline_router >/dev/null 2>&1; }

up() {
  down
  {hop}ip route add default via {box4} dev {lan} table 5399
  {hop}ip rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  {hop}ip -6 route add default via {box6} dev {lan} table 5399
  {hop}{v6}ip -6 rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  nft -f - <<'RULES'
table inet doline_router {
  {anymap4}map resolvers4 {
  {anymap4}  type ipv4_addr : ipv4_addr . inet_service
  {anymap4}  elements = {
      {mapped4} : {box4} . {mapped4port},
  {anymap4}  }
  {anymap4}}
  {anymap6}map resolvers6 {
  {anymap6}  type ipv6_addr : ipv6_addr . inet_service
  {anymap6}  elements = {
      {mapped6} : {box6} . {mapped6port},
  {anymap6}  }
  {anymap6}}
  {hop}# Before conntrack, which would see only one half of what the box answers.
  {rewrites}# Before what others rewrite: the first to do so is the only one.
  chain lead {
    {hop}type filter hook prerouting priority raw; policy accept;
    {rewrites}type nat hook prerouting priority dstnat - 5; policy accept;
    iifname != { {lanset} } return
    meta l4proto != { tcp, udp } return
    {hop}ether saddr {mac} th sport { {portset} } fib saddr oifname != { {lanset} } notrack return
    ether saddr {mac} return
    meta pkttype != host return
    th dport != { {portset} } return
    ether saddr {exemptmac} return
    ip saddr {exemptfrom4} return
    ip6 saddr {exemptfrom6} return
    ip daddr {exemptto4} return
    ip6 daddr {exemptto6} return
    fib daddr type != unicast return
    fib daddr oifname { {lanset} } return
    {hop}meta nfproto ipv4 meta mark set meta mark & 0xffff0000 | 0x5399 notrack
    {hop}{v6}meta nfproto ipv6 meta mark set meta mark & 0xffff0000 | 0x5399 notrack
    {anymap4}meta l4proto { tcp, udp } th dport 53 dnat ip to ip daddr map @resolvers4
    {anymap6}meta l4proto { tcp, udp } th dport 53 dnat ip6 to ip6 daddr map @resolvers6
    {rewrites}meta l4proto { tcp, udp } dnat ip to {box4}:53
    {rewrites}meta l4proto { tcp, udp } dnat ip6 to [{box6}]:53
  }
  {hop}# To the router each of these packets shows a shorter way, by the box; devices must not take it for all they send.
  {hop}chain redirects {
  {hop}  type filter hook output priority filter; policy accept;
    {hop}oifname { {lanset} } icmp type redirect drop
    {hop}oifname { {lanset} } icmpv6 type nd-redirect drop
  {hop}}
  set doh4 { type ipv4_addr; flags interval; elements = { {doh4set} }; }
  set doh6 { type ipv6_addr; flags interval; elements = { {doh6set} }; }
  {encrypted}# DoT, DoQ and known DoH servers, so that devices fall back to plain DNS
  {encrypted}chain encrypted {
  {encrypted}  type filter hook forward priority filter - 5; policy accept;
  {encrypted}  iifname != { {lanset} } return
  {encrypted}  oifname { {lanset} } return
  {encrypted}  ct state established,related return
  {encrypted}  ether saddr {mac} return
  {encrypted}  ether saddr {exemptmac} return
  {encrypted}  ip saddr {exemptfrom4} return
  {encrypted}  ip6 saddr {exemptfrom6} return
  {encrypted}  ip daddr {exemptto4} return
  {encrypted}  ip6 daddr {exemptto6} return
  {encrypted}  tcp dport 853 reject with tcp reset
  {encrypted}  udp dport { 853, 8853 } reject with icmpx type port-unreachable
    {anydoh4}tcp dport 443 ip daddr @doh4 reject with tcp reset
    {anydoh4}udp dport 443 ip daddr @doh4 reject with icmpx type port-unreachable
    {anydoh6}tcp dport 443 ip6 daddr @doh6 reject with tcp reset
    {anydoh6}udp dport 443 ip6 daddr @doh6 reject with icmpx type port-unreachable
  {encrypted}}
}
RULES
}
)";

constexpr std::string_view iptables_body = R"(
set -u

down() {
  for program in iptables ip6tables; do
    for table in raw nat; do
      for lan in {lanwords}; do $program -t $table -D PREROUTING -i "$lan" -j DOLINE_ROUTER; done
      for chain in DOLINE_ROUTER DOLINE_LEAD DOLINE_BACK DOLINE_MAP; do $program -t $table -F $chain; done
      for chain in DOLINE_ROUTER DOLINE_LEAD DOLINE_BACK DOLINE_MAP; do $program -t $table -X $chain; done
    done
    $program -D OUTPUT -j DOLINE_REDIRECTS
    $program -F DOLINE_REDIRECTS
    $program -X DOLINE_REDIRECTS
    {encrypted}for lan in {lanwords}; do $program -D FORWARD -i "$lan" -j DOLINE_ENCRYPTED; done
    {encrypted}$program -F DOLINE_ENCRYPTED
    {encrypted}$program -F DOLINE_REFUSE
    {encrypted}$program -X DOLINE_ENCRYPTED
    {encrypted}$program -X DOLINE_REFUSE
  done 2>/dev/null
  ip rule del pref 5399 2>/dev/null
  ip route flush table 5399 2>/dev/null
  {v6}ip -6 rule del pref 5399 2>/dev/null
  {v6}ip -6 route flush table 5399 2>/dev/null
  true
}

{rewrites}is_up() { iptables -t nat -S DOLINE_MAP >/dev/null 2>&1; }
{hop}is_up() { iptables -t raw -C DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff 2>/dev/null; }

up() {
  down
  {hop}ip route add default via {box4} dev {lan} table 5399
  {hop}ip rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  {hop}ip -6 route add default via {box6} dev {lan} table 5399
  {hop}{v6}ip -6 rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  {hop}# Before conntrack, which would see only one half of what the box answers. To the router each of these packets shows a
  {hop}# shorter way, by the box; devices must not take it (redirects) for all they send.
  iptables-restore --noflush <<'RULES'
{hop}*raw
{rewrites}*nat
:DOLINE_ROUTER - [0:0]
{hop}:DOLINE_LEAD - [0:0]
{hop}:DOLINE_BACK - [0:0]
{rewrites}:DOLINE_MAP - [0:0]
{hop}-A DOLINE_ROUTER -m mac --mac-source {mac} -p udp -m multiport --sports {portlist} -j DOLINE_BACK
{hop}-A DOLINE_ROUTER -m mac --mac-source {mac} -p tcp -m multiport --sports {portlist} -j DOLINE_BACK
-A DOLINE_ROUTER -m mac --mac-source {mac} -j RETURN
-A DOLINE_ROUTER -m pkttype ! --pkt-type unicast -j RETURN
-A DOLINE_ROUTER -m addrtype ! --dst-type UNICAST -j RETURN
-A DOLINE_ROUTER -d {home4} -j RETURN
-A DOLINE_ROUTER -m mac --mac-source {exemptmac} -j RETURN
-A DOLINE_ROUTER -s {exemptfrom4} -j RETURN
-A DOLINE_ROUTER -d {exemptto4} -j RETURN
{hop}-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DOLINE_LEAD
{hop}-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DOLINE_LEAD
{hop}-A DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff
{hop}-A DOLINE_LEAD -j CT --notrack
{hop}-A DOLINE_BACK -s {home4} -j RETURN
{hop}-A DOLINE_BACK -j CT --notrack
{rewrites}-A DOLINE_ROUTER -p udp --dport 53 -j DOLINE_MAP
{rewrites}-A DOLINE_ROUTER -p tcp --dport 53 -j DOLINE_MAP
{rewrites}-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DNAT --to-destination {box4}:53
{rewrites}-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DNAT --to-destination {box4}:53
-A DOLINE_MAP -d {mapped4} -p udp -j DNAT --to-destination {box4}:{mapped4port}
-A DOLINE_MAP -d {mapped4} -p tcp -j DNAT --to-destination {box4}:{mapped4port}
-I PREROUTING -i {eachlan} -j DOLINE_ROUTER
COMMIT
*filter
{hop}:DOLINE_REDIRECTS - [0:0]
{hop}-A DOLINE_REDIRECTS -o {eachlan} -p icmp --icmp-type redirect -j DROP
{hop}-I OUTPUT -j DOLINE_REDIRECTS
{encrypted}:DOLINE_ENCRYPTED - [0:0]
{encrypted}:DOLINE_REFUSE - [0:0]
{encrypted}-A DOLINE_REFUSE -p tcp -j REJECT --reject-with tcp-reset
{encrypted}-A DOLINE_REFUSE -p udp -j REJECT
{encrypted}-A DOLINE_ENCRYPTED -o {eachlan} -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -m mac --mac-source {mac} -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -m mac --mac-source {exemptmac} -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -s {exemptfrom4} -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -d {exemptto4} -j RETURN
{encrypted}-A DOLINE_ENCRYPTED -p tcp --dport 853 -j DOLINE_REFUSE
{encrypted}-A DOLINE_ENCRYPTED -p udp -m multiport --dports 853,8853 -j DOLINE_REFUSE
-A DOLINE_ENCRYPTED -p tcp --dport 443 -d {doh4} -j DOLINE_REFUSE
-A DOLINE_ENCRYPTED -p udp --dport 443 -d {doh4} -j DOLINE_REFUSE
{encrypted}-I FORWARD -i {eachlan} -j DOLINE_ENCRYPTED
COMMIT
RULES
  {v6}ip6tables-restore --noflush <<'RULES'
{v6}{hop}*raw
{v6}{rewrites}*nat
{v6}:DOLINE_ROUTER - [0:0]
{v6}{hop}:DOLINE_LEAD - [0:0]
{v6}{hop}:DOLINE_BACK - [0:0]
{v6}{rewrites}:DOLINE_MAP - [0:0]
{v6}{hop}-A DOLINE_ROUTER -m mac --mac-source {mac} -p udp -m multiport --sports {portlist} -j DOLINE_BACK
{v6}{hop}-A DOLINE_ROUTER -m mac --mac-source {mac} -p tcp -m multiport --sports {portlist} -j DOLINE_BACK
{v6}-A DOLINE_ROUTER -m mac --mac-source {mac} -j RETURN
{v6}-A DOLINE_ROUTER -m pkttype ! --pkt-type unicast -j RETURN
{v6}-A DOLINE_ROUTER -m addrtype ! --dst-type UNICAST -j RETURN
{v6}-A DOLINE_ROUTER -d {home6} -j RETURN
{v6}-A DOLINE_ROUTER -m mac --mac-source {exemptmac} -j RETURN
{v6}-A DOLINE_ROUTER -s {exemptfrom6} -j RETURN
{v6}-A DOLINE_ROUTER -d {exemptto6} -j RETURN
{v6}{hop}-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DOLINE_LEAD
{v6}{hop}-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DOLINE_LEAD
{v6}{hop}-A DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff
{v6}{hop}-A DOLINE_LEAD -j CT --notrack
{v6}{hop}-A DOLINE_BACK -s {home6} -j RETURN
{v6}{hop}-A DOLINE_BACK -j CT --notrack
{v6}{rewrites}-A DOLINE_ROUTER -p udp --dport 53 -j DOLINE_MAP
{v6}{rewrites}-A DOLINE_ROUTER -p tcp --dport 53 -j DOLINE_MAP
{rewrites}-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DNAT --to-destination [{box6}]:53
{rewrites}-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DNAT --to-destination [{box6}]:53
-A DOLINE_MAP -d {mapped6} -p udp -j DNAT --to-destination [{box6}]:{mapped6port}
-A DOLINE_MAP -d {mapped6} -p tcp -j DNAT --to-destination [{box6}]:{mapped6port}
{v6}-I PREROUTING -i {eachlan} -j DOLINE_ROUTER
{v6}COMMIT
{v6}*filter
{v6}{hop}:DOLINE_REDIRECTS - [0:0]
{v6}{hop}-A DOLINE_REDIRECTS -o {eachlan} -p icmpv6 --icmpv6-type redirect -j DROP
{v6}{hop}-I OUTPUT -j DOLINE_REDIRECTS
{v6}{encrypted}:DOLINE_ENCRYPTED - [0:0]
{v6}{encrypted}:DOLINE_REFUSE - [0:0]
{v6}{encrypted}-A DOLINE_REFUSE -p tcp -j REJECT --reject-with tcp-reset
{v6}{encrypted}-A DOLINE_REFUSE -p udp -j REJECT
{v6}{encrypted}-A DOLINE_ENCRYPTED -o {eachlan} -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -m mac --mac-source {mac} -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -m mac --mac-source {exemptmac} -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -s {exemptfrom6} -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -d {exemptto6} -j RETURN
{v6}{encrypted}-A DOLINE_ENCRYPTED -p tcp --dport 853 -j DOLINE_REFUSE
{v6}{encrypted}-A DOLINE_ENCRYPTED -p udp -m multiport --dports 853,8853 -j DOLINE_REFUSE
{v6}-A DOLINE_ENCRYPTED -p tcp --dport 443 -d {doh6} -j DOLINE_REFUSE
{v6}-A DOLINE_ENCRYPTED -p udp --dport 443 -d {doh6} -j DOLINE_REFUSE
{v6}{encrypted}-I FORWARD -i {eachlan} -j DOLINE_ENCRYPTED
{v6}COMMIT
{v6}RULES
}
)";

// ── RouterOS ─────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view routeros_head =
    R"({hop}# MikroTik RouterOS 7: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
{rewrites}# MikroTik RouterOS 7: rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Paste it into a terminal of the router ({router}). {lan} is the interface list of your LANs; name yours with --lan.
# Undo, in the same way:
#   {hop}/ip/firewall/mangle remove [find comment=doline]
#   {rewrites}/ip/firewall/nat remove [find comment=doline]
#   /ip/firewall/filter remove [find comment=doline]
#   /ip/firewall/address-list remove [find list=doline-home]
#   {encrypted}/ip/firewall/address-list remove [find list=doline-doh]
#   {hop}/ip/route remove [find comment=doline]
#   {hop}/ip/settings set send-redirects=yes
#   {hop}{v6}/ipv6/firewall/mangle remove [find comment=doline]
#   {rewrites}{v6}/ipv6/firewall/nat remove [find comment=doline]
#   {v6}/ipv6/firewall/filter remove [find comment=doline]
#   {v6}/ipv6/firewall/address-list remove [find list=doline-home]
#   {v6}{encrypted}/ipv6/firewall/address-list remove [find list=doline-doh]
#   {hop}{v6}/ipv6/route remove [find comment=doline]
#   {hop}/routing/table remove [find name=doline]
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
{hop}# How it fails: the routes are given up when the box does not answer pings (check-gateway), some twenty seconds after it is
{hop}# gone, and DNS goes its old way. If Doline ends but the box runs on, it does so where the box routes (net.ipv4.ip_forward=1).
{hop}# FastTrack does no harm: it takes established connections, which these never become for the router.
{rewrites}# How it fails: if Doline or the box is gone, DNS that devices send abroad is refused or goes nowhere until this is undone.
# NOT tried on a real router.
)";

constexpr std::string_view routeros_body = R"(
{hop}/routing/table add name=doline fib comment=doline
{hop}/ip/route add dst-address=0.0.0.0/0 gateway={box4} routing-table=doline check-gateway=ping comment=doline
/ip/firewall/address-list add list=doline-home address={home4}
/ip/firewall/address-list add list=doline-home address={exemptto4}
{hop}/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address={exemptmac} action=accept comment=doline
{hop}/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-address={exemptfrom4} protocol=udp dst-port={portlist} action=accept comment=doline
{hop}/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-address={exemptfrom4} protocol=tcp dst-port={portlist} action=accept comment=doline
{hop}/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=udp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{hop}/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{hop}# The router sees one half only of what the box answers over TCP, and calls it invalid.
{hop}/ip/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp dst-port={portlist} action=accept place-before=0 comment=doline
{hop}/ip/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp src-port={portlist} action=accept place-before=0 comment=doline
{rewrites}/ip/firewall/nat add chain=dstnat in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=udp dst-port={portlist} action=jump jump-target=doline comment=doline
{rewrites}/ip/firewall/nat add chain=dstnat in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=jump jump-target=doline comment=doline
{rewrites}/ip/firewall/nat add chain=doline src-mac-address={exemptmac} action=return comment=doline
{rewrites}/ip/firewall/nat add chain=doline src-address={exemptfrom4} action=return comment=doline
/ip/firewall/nat add chain=doline dst-address={mapped4} protocol=udp dst-port=53 action=dst-nat to-addresses={box4} to-ports={mapped4port} comment=doline
/ip/firewall/nat add chain=doline dst-address={mapped4} protocol=tcp dst-port=53 action=dst-nat to-addresses={box4} to-ports={mapped4port} comment=doline
{rewrites}/ip/firewall/nat add chain=doline protocol=udp action=dst-nat to-addresses={box4} to-ports=53 comment=doline
{rewrites}/ip/firewall/nat add chain=doline protocol=tcp action=dst-nat to-addresses={box4} to-ports=53 comment=doline
{encrypted}# DoT, DoQ and known DoH servers, so that devices fall back to plain DNS.
/ip/firewall/address-list add list=doline-doh address={doh4}
{encrypted}/ip/firewall/filter add chain=doline-encrypted src-mac-address={mac} action=return comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted src-mac-address={exemptmac} action=return comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted src-address={exemptfrom4} action=return comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted dst-address-list=doline-home action=return comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted protocol=tcp dst-port=853 action=reject reject-with=tcp-reset comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted protocol=tcp dst-port=443 dst-address-list=doline-doh action=reject reject-with=tcp-reset comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted protocol=udp dst-port=853,8853 action=reject reject-with=icmp-port-unreachable comment=doline
{encrypted}/ip/firewall/filter add chain=doline-encrypted protocol=udp dst-port=443 dst-address-list=doline-doh action=reject reject-with=icmp-port-unreachable comment=doline
{encrypted}/ip/firewall/filter add chain=forward in-interface-list={lan} connection-state=new action=jump jump-target=doline-encrypted place-before=0 comment=doline
{hop}/ip/settings set send-redirects=no
{hop}/ipv6/route add dst-address=::/0 gateway={box6} routing-table=doline check-gateway=ping comment=doline
{v6}/ipv6/firewall/address-list add list=doline-home address={home6}
{v6}/ipv6/firewall/address-list add list=doline-home address={exemptto6}
{hop}{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address={exemptmac} action=accept comment=doline
{hop}{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=udp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{hop}{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{hop}{v6}/ipv6/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp dst-port={portlist} action=accept place-before=0 comment=doline
{hop}{v6}/ipv6/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp src-port={portlist} action=accept place-before=0 comment=doline
{rewrites}{v6}/ipv6/firewall/nat add chain=dstnat in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=udp dst-port={portlist} action=jump jump-target=doline comment=doline
{rewrites}{v6}/ipv6/firewall/nat add chain=dstnat in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=jump jump-target=doline comment=doline
{rewrites}{v6}/ipv6/firewall/nat add chain=doline src-mac-address={exemptmac} action=return comment=doline
{rewrites}{v6}/ipv6/firewall/nat add chain=doline src-address={exemptfrom6} action=return comment=doline
/ipv6/firewall/nat add chain=doline dst-address={mapped6} protocol=udp dst-port=53 action=dst-nat to-address={box6}/128 to-ports={mapped6port} comment=doline
/ipv6/firewall/nat add chain=doline dst-address={mapped6} protocol=tcp dst-port=53 action=dst-nat to-address={box6}/128 to-ports={mapped6port} comment=doline
{rewrites}/ipv6/firewall/nat add chain=doline protocol=udp action=dst-nat to-address={box6}/128 to-ports=53 comment=doline
{rewrites}/ipv6/firewall/nat add chain=doline protocol=tcp action=dst-nat to-address={box6}/128 to-ports=53 comment=doline
{v6}/ipv6/firewall/address-list add list=doline-doh address={doh6}
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted src-mac-address={mac} action=return comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted src-mac-address={exemptmac} action=return comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted src-address={exemptfrom6} action=return comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted dst-address-list=doline-home action=return comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted protocol=tcp dst-port=853 action=reject reject-with=tcp-reset comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted protocol=tcp dst-port=443 dst-address-list=doline-doh action=reject reject-with=tcp-reset comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted protocol=udp dst-port=853,8853 action=reject reject-with=icmp-port-unreachable comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=doline-encrypted protocol=udp dst-port=443 dst-address-list=doline-doh action=reject reject-with=icmp-port-unreachable comment=doline
{v6}{encrypted}/ipv6/firewall/filter add chain=forward in-interface-list={lan} connection-state=new action=jump jump-target=doline-encrypted place-before=0 comment=doline
{hop}{v6}/ipv6/firewall/filter add chain=output out-interface-list={lan} protocol=icmpv6 icmp-options=137:0-255 action=drop comment=doline
)";

// ── pf ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view opnsense_head =
    R"(OPNsense: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
  the box: {box4}
  the box: {box6}

Steps in the web interface of {router}. Undo: delete what they made, in the opposite order, and apply.
How it fails: the gateway's monitor finds the box gone, the rules are then made without it and DNS goes its old way, unless
Firewall: Settings: Advanced: "Skip rules when gateway is down" says otherwise. If Doline ends but the box runs on, DNS goes
its old way where the box routes (net.ipv4.ip_forward=1 there).
NOT tried on a real router.
)";

constexpr std::string_view pfsense_head =
    R"(pfSense: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
  the box: {box4}
  the box: {box6}

Steps in the web interface of {router}. Undo: delete what they made, in the opposite order, and apply.
How it fails: the gateway's monitor finds the box gone, the rules are then made without it and DNS goes its old way, unless
System: Advanced: Miscellaneous: "Skip rules when gateway is down" is on. If Doline ends but the box runs on, DNS goes its old
way where the box routes (net.ipv4.ip_forward=1 there).
NOT tried on a real router.
)";

constexpr std::string_view opnsense_body = R"(
1. Firewall: Aliases: add
     doline_ports   type Port      {portlist}
     doline_box     type Host      {box4}
     doline_box     type Host      {box6}   (the same alias)
     doline_home    type Network   {home4}
     doline_home    type Network   {exemptto4}
     doline_home    type Network   {home6}
     doline_home    type Network   {exemptto6}
     doline_exempt  type MAC       {exemptmac}
     doline_exempt  type Network   {exemptfrom4}
     doline_exempt  type Network   {exemptfrom6}
     {encrypted}doline_encrypted  type Port   853, 8853
     doline_doh     type Network   {doh4}
     doline_doh     type Network   {doh6}
2. System: Gateways: Configuration: add
     DOLINE4   interface {lan}, IPv4, address {box4}, monitor IP the same, NOT upstream
     DOLINE6   interface {lan}, IPv6, address {box6}, monitor IP the same, NOT upstream
3. Firewall: Rules: in each of {lans}: add at the top, action Pass, quick
     from doline_box to any: gateway default                       (the box's own questions)
     from doline_exempt to any, destination port doline_ports: gateway default   (if the alias has entries)
     IPv4, TCP/UDP, from any to NOT doline_home, destination port doline_ports: gateway DOLINE4, state type None
     {v6}IPv6, TCP/UDP, from any to NOT doline_home, destination port doline_ports: gateway DOLINE6, state type None
     IPv4, TCP/UDP, from any, source port doline_ports to any: gateway default, state type None   (the box's answers to other LANs)
     {v6}IPv6, TCP/UDP, from any, source port doline_ports to any: gateway default, state type None
   {encrypted}and below these, action Reject (DoT, DoQ and known DoH servers, so that devices fall back to plain DNS)
     {encrypted}TCP/UDP, from NOT doline_exempt (any, if there is none) to NOT doline_home, destination port doline_encrypted
     {encrypted}TCP/UDP, from NOT doline_exempt (any, if there is none) to doline_doh, destination port 443
4. System: Settings: Tunables: net.inet.ip.redirect = 0 and net.inet6.ip6.redirect = 0
)";

constexpr std::string_view pfsense_body = R"(
1. Firewall: Aliases: add
     doline_ports   type Port      {portlist}
     doline_box     type Host      {box4}
     doline_box     type Host      {box6}   (the same alias)
     doline_home    type Network   {home4}
     doline_home    type Network   {exemptto4}
     doline_home    type Network   {home6}
     doline_home    type Network   {exemptto6}
     doline_exempt  type Network   {exemptfrom4}
     doline_exempt  type Network   {exemptfrom6}
     (exempt by MAC cannot be said here; give that device a fixed address: {exemptmac})
     {encrypted}doline_encrypted  type Port   853, 8853
     doline_doh     type Network   {doh4}
     doline_doh     type Network   {doh6}
2. System: Routing: Gateways: add
     DOLINE4   interface {lan}, IPv4, address {box4}, monitor IP the same
     DOLINE6   interface {lan}, IPv6, address {box6}, monitor IP the same
   and see that neither is the default gateway.
3. Firewall: Rules: in each of {lans}: add at the top, action Pass
     from doline_box to any                                       (the box's own questions)
     from doline_exempt to any, destination port doline_ports     (if the alias has entries)
     IPv4, TCP/UDP, from any to NOT doline_home, destination port doline_ports: advanced: gateway DOLINE4, state type None
     {v6}IPv6, TCP/UDP, from any to NOT doline_home, destination port doline_ports: advanced: gateway DOLINE6, state type None
     IPv4, TCP/UDP, from any, source port doline_ports to any: advanced: state type None   (the box's answers to other LANs)
     {v6}IPv6, TCP/UDP, from any, source port doline_ports to any: advanced: state type None
   {encrypted}and below these, action Reject (DoT, DoQ and known DoH servers, so that devices fall back to plain DNS)
     {encrypted}TCP/UDP, from NOT doline_exempt (any, if there is none) to NOT doline_home, destination port doline_encrypted
     {encrypted}TCP/UDP, from NOT doline_exempt (any, if there is none) to doline_doh, destination port 443
4. System: Advanced: System Tunables: net.inet.ip.redirect = 0 and net.inet6.ip6.redirect = 0
)";

// ── Ubiquiti ─────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view edgeos_head =
    R"({hop}# EdgeOS: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
{rewrites}# EdgeOS: rewrites DNS that goes abroad so that it comes to the Doline box, where each known resolver has a port.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
{hop}# Type it on the router ({router}) after `configure`. If an interface has a `firewall in modify` already, take its name instead
{hop}# of DOLINE. Undo, in the same place:
{rewrites}# Type it on the router ({router}) after `configure`. The numbers must be free: `show service nat`. Undo, in the same place:
#   delete service nat rule {numbered}
{hop}#   delete interfaces ethernet {eachlan} firewall in modify
#   {hop}{v6}delete interfaces ethernet {eachlan} firewall in ipv6-modify
{hop}#   delete firewall modify DOLINE
#   {hop}{v6}delete firewall ipv6-modify DOLINE6
{hop}#   delete firewall group network-group DOLINE_HOME
#   {hop}{v6}delete firewall group ipv6-network-group DOLINE_HOME6
{hop}#   delete protocols static table 53
{hop}#   set firewall send-redirects enable
#   commit; save
#
{rewrites}# The box must stand in a network of its own, with no masquerade before it: beside the devices it would answer them past the
{rewrites}# router, from an address they did not ask. Devices must be let through to the ports below.
{hop}# How it fails: if the box is off, DNS that devices send abroad goes nowhere until this is undone: EdgeOS does not watch a
{hop}# static next hop. If Doline ends but the box runs on, DNS goes its old way where the box routes (net.ipv4.ip_forward=1).
{hop}# A forward rule that drops state invalid must except {portlist} between your LANs: of TCP the router sees one half only.
{rewrites}# How it fails: if Doline or the box is gone, DNS that devices send to these resolvers goes nowhere until this is undone. What
{rewrites}# they send to others, and by IPv6 (which EdgeOS cannot rewrite), goes its way. Whoever is exempt needs a rule before these, with `exclude`.
{hop}# A switch is `interfaces switch NAME`, a VLAN `interfaces ethernet NAME vif NUMBER`. Hardware offload (ipsec aside) skips
{hop}# modify rules on some models: `set system offload ipv4 forwarding disable` there.
# NOT tried on a real router.
)";

constexpr std::string_view edgeos_body = R"(
{hop}set protocols static table 53 route 0.0.0.0/0 next-hop {box4}
{hop}set protocols static table 53 route6 ::/0 next-hop {box6}
{hop}set firewall group network-group DOLINE_HOME network {home4}
{hop}set firewall group network-group DOLINE_HOME network {exemptto4}
{hop}set firewall modify DOLINE rule 10 action accept
{hop}set firewall modify DOLINE rule 10 source mac-address {mac}
{hop}set firewall modify DOLINE rule 20 action accept
{hop}set firewall modify DOLINE rule 20 destination group network-group DOLINE_HOME
{hop}# Exempt (one rule each, from 21 on): source mac-address {exemptmac}
{hop}# Exempt (one rule each, from 21 on): source address {exemptfrom4}
{hop}set firewall modify DOLINE rule 50 action modify
{hop}set firewall modify DOLINE rule 50 modify table 53
{hop}set firewall modify DOLINE rule 50 protocol tcp_udp
{hop}set firewall modify DOLINE rule 50 destination port {portlist}
{hop}set interfaces ethernet {eachlan} firewall in modify DOLINE
{hop}set firewall send-redirects disable
{hop}{v6}set firewall group ipv6-network-group DOLINE_HOME6 ipv6-network {home6}
{hop}{v6}set firewall group ipv6-network-group DOLINE_HOME6 ipv6-network {exemptto6}
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 10 action accept
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 10 source mac-address {mac}
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 20 action accept
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 20 destination group ipv6-network-group DOLINE_HOME6
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 50 action modify
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 50 modify table 53
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 50 protocol tcp_udp
{hop}{v6}set firewall ipv6-modify DOLINE6 rule 50 destination port {portlist}
{hop}{v6}set interfaces ethernet {eachlan} firewall in ipv6-modify DOLINE6
set service nat rule {numbered} type destination; set service nat rule {numbered} description doline; set service nat rule {numbered} inbound-interface {numberedlan}; set service nat rule {numbered} protocol tcp_udp; set service nat rule {numbered} destination address {numbered4}; set service nat rule {numbered} destination port 53; set service nat rule {numbered} inside-address address {box4}; set service nat rule {numbered} inside-address port {numbered4port}
commit; save
)";

constexpr std::string_view unifi_head =
    R"(UniFi gateways: their rules can rewrite whom a device asks, but not lead it on untouched.
  the box: {box4}
  the box: {box6}

So the box must stand in a network (VLAN) of its own: beside the devices it would answer them past the router, from an address
they did not ask. Then it sees every device by its own address, but not its MAC, and knows whom it meant to ask only where
`redirect.port_map` of Doline's configuration gives that resolver a port.
Steps in the web interface of {router}. Undo: delete what they made.
How it fails: if Doline or the box is gone, DNS that devices send abroad is refused or goes nowhere until this is undone.
NOT tried on a real router.
)";

constexpr std::string_view unifi_body = R"(
1. Settings: Networks: a network for the box alone, in which it has {box4}; devices may reach it on the ports below.
2. Settings: Policy Engine: NAT (on older versions Routing: NAT): add, type Destination NAT, in this order (of the known resolvers
   as many as are worth a rule; what is asked of others comes by the last lines)
     interfaces {lans}, TCP and UDP, from any, to {mapped4} port 53: translated to {box4} port {mapped4port}
     interfaces {lans}, TCP and UDP, from any, to {mapped6} port 53: translated to {box6} port {mapped6port}
     interfaces {lans}, TCP and UDP, from any but {box4}, to any but your own networks, port 53: translated to {box4} port 53
     interfaces {lans}, TCP and UDP, from any but {box6}, to any but your own networks, port 53: translated to {box6} port 53
   and NO source NAT (masquerade) between the two networks: it would hide who asks.
3. Ports that are often used beside 53, as far as wanted, like the last lines: {portlist}
{hop}Doline's configuration has no `redirect.port_map` yet, so all of these come as meant for the box. As an example:
{hop}     redirect: {mode: off, port_map: listed}
)";

}  // namespace

std::string_view head_template(Platform platform) {
  switch (platform) {
    case Platform::openwrt:
      return openwrt_head;
    case Platform::routeros:
      return routeros_head;
    case Platform::opnsense:
      return opnsense_head;
    case Platform::pfsense:
      return pfsense_head;
    case Platform::edgeos:
      return edgeos_head;
    case Platform::unifi:
      return unifi_head;
    case Platform::merlin:
      return merlin_head;
    case Platform::iptables:
      return iptables_head;
    case Platform::nftables:
      return nftables_head;
  }
  return {};
}

std::string_view end_template(Platform platform) {
  const bool is_script = platform == Platform::openwrt || platform == Platform::nftables ||
                         platform == Platform::merlin || platform == Platform::iptables;
  return is_script ? script_end : std::string_view();
}

std::string_view body_template(Platform platform) {
  switch (platform) {
    case Platform::openwrt:
    case Platform::nftables:
      return nftables_body;
    case Platform::merlin:
    case Platform::iptables:
      return iptables_body;
    case Platform::routeros:
      return routeros_body;
    case Platform::opnsense:
      return opnsense_body;
    case Platform::pfsense:
      return pfsense_body;
    case Platform::edgeos:
      return edgeos_body;
    case Platform::unifi:
      return unifi_body;
  }
  return {};
}

}  // namespace doline::redirect
