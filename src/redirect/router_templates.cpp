#include "redirect/router_templates.h"

namespace doline::redirect {

namespace {

// The gaps: box4 box6 mac router - lan (the box's) eachlan lans lanset lanwords - eachport portset portlist - home4
// home6 (what stays at home) - exemptmac exemptfrom4 exemptfrom6 exemptto4 exemptto6 - mapped4 mapped4port mapped6
// mapped6port - doh4 doh6 (where encrypted DNS is refused) doh4set doh6set.
// Empty ones that only choose their line: v6 encrypted anydoh4 anydoh6 nomap.

// ── Linux ────────────────────────────────────────────────────────────────────────────────────────────────────────────

constexpr std::string_view nftables_head = R"(#!/bin/sh
# Any Linux router with nft: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
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
# How it fails: with `watch`, DNS goes its old way a few seconds after Doline or the box is gone. With `up` alone it does so
# if the box runs on and routes (net.ipv4.ip_forward=1 there), and else goes nowhere until `down`.
# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
# Tried in network namespaces with real packets, not on real equipment.
)";

constexpr std::string_view openwrt_head = R"(#!/bin/sh
# OpenWrt 22.03 or later (fw4): leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
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
# How it fails: DNS goes its old way a few seconds after Doline or the box is gone. Flow offloading (software or hardware)
# does not harm what is not tracked.
# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
# The script was tried in network namespaces on Debian; on OpenWrt it was NOT tried.
)";

constexpr std::string_view iptables_head = R"(#!/bin/sh
# Any Linux router with iptables: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
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
# How it fails: with `watch`, DNS goes its old way a few seconds after Doline or the box is gone. With `up` alone it does so
# if the box runs on and routes (net.ipv4.ip_forward=1 there), and else goes nowhere until `down`.
# The answers come in by {lan} with foreign sources: for devices of other LANs net.ipv4.conf.{lan}.rp_filter must be 0 or 2.
# DNS between your own networks is told by address; take in what is missing (-d ... -j RETURN), above all public IPv6.
# Tried in network namespaces with real packets, not on real equipment.
)";

constexpr std::string_view merlin_head = R"(#!/bin/sh
# Asuswrt-Merlin: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched. (DNS Director
# would rewrite and masquerade it: then the box sees the router only. Leave it off.)
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
  ip route add default via {box4} dev {lan} table 5399
  ip rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  ip -6 route add default via {box6} dev {lan} table 5399
  {v6}ip -6 rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  nft -f - <<'RULES'
table inet doline_router {
  # Before conntrack, which would see only one half of what the box answers.
  chain lead {
    type filter hook prerouting priority raw; policy accept;
    iifname != { {lanset} } return
    meta l4proto != { tcp, udp } return
    ether saddr {mac} th sport { {portset} } fib saddr oifname != { {lanset} } notrack return
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
    meta nfproto ipv4 meta mark set meta mark & 0xffff0000 | 0x5399 notrack
    {v6}meta nfproto ipv6 meta mark set meta mark & 0xffff0000 | 0x5399 notrack
  }
  # To the router each of these packets shows a shorter way, by the box; devices must not take it for all they send.
  chain redirects {
    type filter hook output priority filter; policy accept;
    oifname { {lanset} } icmp type redirect drop
    oifname { {lanset} } icmpv6 type nd-redirect drop
  }
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
    for lan in {lanwords}; do $program -t raw -D PREROUTING -i "$lan" -j DOLINE_ROUTER; done
    for chain in DOLINE_ROUTER DOLINE_LEAD DOLINE_BACK; do $program -t raw -F $chain; done
    for chain in DOLINE_ROUTER DOLINE_LEAD DOLINE_BACK; do $program -t raw -X $chain; done
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

is_up() { iptables -t raw -C DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff 2>/dev/null; }

up() {
  down
  ip route add default via {box4} dev {lan} table 5399
  ip rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  ip -6 route add default via {box6} dev {lan} table 5399
  {v6}ip -6 rule add fwmark 0x5399/0xffff lookup 5399 pref 5399
  # Before conntrack, which would see only one half of what the box answers. To the router each of these packets shows a
  # shorter way, by the box; devices must not take it (redirects) for all they send.
  iptables-restore --noflush <<'RULES'
*raw
:DOLINE_ROUTER - [0:0]
:DOLINE_LEAD - [0:0]
:DOLINE_BACK - [0:0]
-A DOLINE_ROUTER -m mac --mac-source {mac} -p udp -m multiport --sports {portlist} -j DOLINE_BACK
-A DOLINE_ROUTER -m mac --mac-source {mac} -p tcp -m multiport --sports {portlist} -j DOLINE_BACK
-A DOLINE_ROUTER -m mac --mac-source {mac} -j RETURN
-A DOLINE_ROUTER -m pkttype ! --pkt-type unicast -j RETURN
-A DOLINE_ROUTER -m addrtype ! --dst-type UNICAST -j RETURN
-A DOLINE_ROUTER -d {home4} -j RETURN
-A DOLINE_ROUTER -m mac --mac-source {exemptmac} -j RETURN
-A DOLINE_ROUTER -s {exemptfrom4} -j RETURN
-A DOLINE_ROUTER -d {exemptto4} -j RETURN
-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DOLINE_LEAD
-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DOLINE_LEAD
-A DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff
-A DOLINE_LEAD -j CT --notrack
-A DOLINE_BACK -s {home4} -j RETURN
-A DOLINE_BACK -j CT --notrack
-I PREROUTING -i {eachlan} -j DOLINE_ROUTER
COMMIT
*filter
:DOLINE_REDIRECTS - [0:0]
-A DOLINE_REDIRECTS -o {eachlan} -p icmp --icmp-type redirect -j DROP
-I OUTPUT -j DOLINE_REDIRECTS
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
{v6}*raw
{v6}:DOLINE_ROUTER - [0:0]
{v6}:DOLINE_LEAD - [0:0]
{v6}:DOLINE_BACK - [0:0]
{v6}-A DOLINE_ROUTER -m mac --mac-source {mac} -p udp -m multiport --sports {portlist} -j DOLINE_BACK
{v6}-A DOLINE_ROUTER -m mac --mac-source {mac} -p tcp -m multiport --sports {portlist} -j DOLINE_BACK
{v6}-A DOLINE_ROUTER -m mac --mac-source {mac} -j RETURN
{v6}-A DOLINE_ROUTER -m pkttype ! --pkt-type unicast -j RETURN
{v6}-A DOLINE_ROUTER -m addrtype ! --dst-type UNICAST -j RETURN
{v6}-A DOLINE_ROUTER -d {home6} -j RETURN
{v6}-A DOLINE_ROUTER -m mac --mac-source {exemptmac} -j RETURN
{v6}-A DOLINE_ROUTER -s {exemptfrom6} -j RETURN
{v6}-A DOLINE_ROUTER -d {exemptto6} -j RETURN
{v6}-A DOLINE_ROUTER -p udp -m multiport --dports {portlist} -j DOLINE_LEAD
{v6}-A DOLINE_ROUTER -p tcp -m multiport --dports {portlist} -j DOLINE_LEAD
{v6}-A DOLINE_LEAD -j MARK --set-xmark 0x5399/0xffff
{v6}-A DOLINE_LEAD -j CT --notrack
{v6}-A DOLINE_BACK -s {home6} -j RETURN
{v6}-A DOLINE_BACK -j CT --notrack
{v6}-I PREROUTING -i {eachlan} -j DOLINE_ROUTER
{v6}COMMIT
{v6}*filter
{v6}:DOLINE_REDIRECTS - [0:0]
{v6}-A DOLINE_REDIRECTS -o {eachlan} -p icmpv6 --icmpv6-type redirect -j DROP
{v6}-I OUTPUT -j DOLINE_REDIRECTS
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
    R"(# MikroTik RouterOS 7: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Paste it into a terminal of the router ({router}). {lan} is the interface list of your LANs; name yours with --lan.
# Undo, in the same way:
#   /ip/firewall/mangle remove [find comment=doline]
#   /ip/firewall/filter remove [find comment=doline]
#   /ip/firewall/address-list remove [find list=doline-home]
#   {encrypted}/ip/firewall/address-list remove [find list=doline-doh]
#   /ip/route remove [find comment=doline]
#   /ip/settings set send-redirects=yes
#   {v6}/ipv6/firewall/mangle remove [find comment=doline]
#   {v6}/ipv6/firewall/filter remove [find comment=doline]
#   {v6}/ipv6/firewall/address-list remove [find list=doline-home]
#   {v6}{encrypted}/ipv6/firewall/address-list remove [find list=doline-doh]
#   {v6}/ipv6/route remove [find comment=doline]
#   /routing/table remove [find name=doline]
#
# How it fails: the routes are given up when the box does not answer pings (check-gateway), some twenty seconds after it is
# gone, and DNS goes its old way. If Doline ends but the box runs on, it does so where the box routes (net.ipv4.ip_forward=1).
# FastTrack does no harm: it takes established connections, which these never become for the router.
# NOT tried on a real router.
)";

constexpr std::string_view routeros_body = R"(
/routing/table add name=doline fib comment=doline
/ip/route add dst-address=0.0.0.0/0 gateway={box4} routing-table=doline check-gateway=ping comment=doline
/ip/firewall/address-list add list=doline-home address={home4}
/ip/firewall/address-list add list=doline-home address={exemptto4}
/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address={exemptmac} action=accept comment=doline
/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-address={exemptfrom4} protocol=udp dst-port={portlist} action=accept comment=doline
/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-address={exemptfrom4} protocol=tcp dst-port={portlist} action=accept comment=doline
/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=udp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
/ip/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-type=!local dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
# The router sees one half only of what the box answers over TCP, and calls it invalid.
/ip/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp dst-port={portlist} action=accept place-before=0 comment=doline
/ip/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp src-port={portlist} action=accept place-before=0 comment=doline
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
/ip/settings set send-redirects=no
/ipv6/route add dst-address=::/0 gateway={box6} routing-table=doline check-gateway=ping comment=doline
{v6}/ipv6/firewall/address-list add list=doline-home address={home6}
{v6}/ipv6/firewall/address-list add list=doline-home address={exemptto6}
{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address={exemptmac} action=accept comment=doline
{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=udp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{v6}/ipv6/firewall/mangle add chain=prerouting in-interface-list={lan} src-mac-address=!{mac} dst-address-list=!doline-home protocol=tcp dst-port={portlist} action=mark-routing new-routing-mark=doline passthrough=no comment=doline
{v6}/ipv6/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp dst-port={portlist} action=accept place-before=0 comment=doline
{v6}/ipv6/firewall/filter add chain=forward in-interface-list={lan} out-interface-list={lan} connection-state=invalid protocol=tcp src-port={portlist} action=accept place-before=0 comment=doline
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
{v6}/ipv6/firewall/filter add chain=output out-interface-list={lan} protocol=icmpv6 icmp-options=137:0-255 action=drop comment=doline
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
    R"(# EdgeOS: leads DNS that devices send abroad to the Doline box beside it, by next hop, untouched.
#   the box: {box4}
#   the box: {box6}
#   its MAC: {mac}
#
# Type it on the router ({router}) after `configure`. If an interface has a `firewall in modify` already, take its name instead
# of DOLINE. Undo, in the same place:
#   delete interfaces ethernet {eachlan} firewall in modify
#   {v6}delete interfaces ethernet {eachlan} firewall in ipv6-modify
#   delete firewall modify DOLINE
#   {v6}delete firewall ipv6-modify DOLINE6
#   delete firewall group network-group DOLINE_HOME
#   {v6}delete firewall group ipv6-network-group DOLINE_HOME6
#   delete protocols static table 53
#   set firewall send-redirects enable
#   commit; save
#
# How it fails: if the box is off, DNS that devices send abroad goes nowhere until this is undone: EdgeOS does not watch a
# static next hop. If Doline ends but the box runs on, DNS goes its old way where the box routes (net.ipv4.ip_forward=1).
# A forward rule that drops state invalid must except {portlist} between your LANs: of TCP the router sees one half only.
# A switch is `interfaces switch NAME`, a VLAN `interfaces ethernet NAME vif NUMBER`. Hardware offload (ipsec aside) skips
# modify rules on some models: `set system offload ipv4 forwarding disable` there.
# NOT tried on a real router.
)";

constexpr std::string_view edgeos_body = R"(
set protocols static table 53 route 0.0.0.0/0 next-hop {box4}
set protocols static table 53 route6 ::/0 next-hop {box6}
set firewall group network-group DOLINE_HOME network {home4}
set firewall group network-group DOLINE_HOME network {exemptto4}
set firewall modify DOLINE rule 10 action accept
set firewall modify DOLINE rule 10 source mac-address {mac}
set firewall modify DOLINE rule 20 action accept
set firewall modify DOLINE rule 20 destination group network-group DOLINE_HOME
# Exempt (one rule each, from 21 on): source mac-address {exemptmac}
# Exempt (one rule each, from 21 on): source address {exemptfrom4}
set firewall modify DOLINE rule 50 action modify
set firewall modify DOLINE rule 50 modify table 53
set firewall modify DOLINE rule 50 protocol tcp_udp
set firewall modify DOLINE rule 50 destination port {portlist}
set interfaces ethernet {eachlan} firewall in modify DOLINE
set firewall send-redirects disable
{v6}set firewall group ipv6-network-group DOLINE_HOME6 ipv6-network {home6}
{v6}set firewall group ipv6-network-group DOLINE_HOME6 ipv6-network {exemptto6}
{v6}set firewall ipv6-modify DOLINE6 rule 10 action accept
{v6}set firewall ipv6-modify DOLINE6 rule 10 source mac-address {mac}
{v6}set firewall ipv6-modify DOLINE6 rule 20 action accept
{v6}set firewall ipv6-modify DOLINE6 rule 20 destination group ipv6-network-group DOLINE_HOME6
{v6}set firewall ipv6-modify DOLINE6 rule 50 action modify
{v6}set firewall ipv6-modify DOLINE6 rule 50 modify table 53
{v6}set firewall ipv6-modify DOLINE6 rule 50 protocol tcp_udp
{v6}set firewall ipv6-modify DOLINE6 rule 50 destination port {portlist}
{v6}set interfaces ethernet {eachlan} firewall in ipv6-modify DOLINE6
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
2. Settings: Policy Engine: NAT (on older versions Routing: NAT): add, type Destination NAT, in this order
     interfaces {lans}, TCP and UDP, from any, to {mapped4} port 53: translated to {box4} port {mapped4port}
     interfaces {lans}, TCP and UDP, from any, to {mapped6} port 53: translated to {box6} port {mapped6port}
     interfaces {lans}, TCP and UDP, from any but {box4}, to any but your own networks, port 53: translated to {box4} port 53
     interfaces {lans}, TCP and UDP, from any but {box6}, to any but your own networks, port 53: translated to {box6} port 53
   and NO source NAT (masquerade) between the two networks: it would hide who asks.
3. Ports that are often used beside 53, as far as wanted, like the last lines: {portlist}
{nomap}Doline's configuration has no `redirect.port_map` yet, so all of these come as meant for the box. As an example:
{nomap}     redirect: {mode: off, port_map: {20001: 8.8.8.8, 20002: 114.114.114.114}}
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
