#!/usr/bin/env bash
# A device that the gateway knows well asks from addresses that nobody has met: IPv6 privacy addresses come daily, and a hostile device
# makes one for each question. It sends without ARP or neighbour discovery, since it has the gateway's MAC already. Each first question
# is judged, and written down or not, as that device's. Prints what it saw; exit code 1 where it is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"

wrong=0
config=$lab/doline.yml
say_wrong() {
  printf '   WRONG: %s\n' "$*"
  wrong=1
  tail -3 "$lab/doline.log"
}
home_build
cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64"]
state: $lab/state
devices:
  camera: {mac: "$camera_mac"}
  phone: {mac: "$phone_mac", log: none}
rules:
  - {when: {device: camera, name: api.wyzecam.com}, then: nxdomain}
redirect: {mode: tproxy, interfaces: [home0, iot0]}
YAML
on gateway "$doline" check "$config" || say_wrong "the configuration"
start doline gateway "$doline" run --config "$config"
status() { on gateway "$doline" status --config "$config" --json; }
is_applied() { status | says '"state":"applied"'; }
until_true 30 is_applied || { cat "$lab/doline.log"; say_wrong "Doline did not start"; exit 1; }
# What each will send to is in its neighbour table; a question from the old addresses keeps it there.
for who in camera phone; do
  on "$who" dig +short "@$gateway4" warm.example A >/dev/null
  on "$who" dig +short "@$gateway6" warm.example A >/dev/null
done

# asks PLACE ADDRESS SERVER NAME: the response code
asks() { on "$1" dig +tries=1 +time=3 -b "$2" "@$3" "$4" A 2>/dev/null | sed -nE 's/.*status: ([A-Z]+).*/\1/p'; }
is_the_cameras() { [[ $(asks camera "$1" "$2" api.wyzecam.com) == NXDOMAIN ]] || say_wrong "$1, to $2, is not the camera's"; }
for i in 1 2 3 4 5 6; do
  ip -n camera addr add "192.168.50.17$i/24" dev eth0
  ip -n camera addr add "2001:db8:50::beef:$i/64" dev eth0
  ip -n phone addr add "192.168.50.18$i/24" dev eth0
  ip -n phone addr add "2001:db8:50::cafe:$i/64" dev eth0
done
sleep 2  # until what they say of themselves has been said
for i in 1 2 3 4 5 6; do
  case $((i % 3)) in
    0) four=$gateway4 six=$gateway6 ;;
    1) four=114.114.114.114 six=2400:3200::1 ;;
    2) four=8.8.8.8 six=$gateway6 ;;
  esac
  is_the_cameras "192.168.50.17$i" "$four"
  is_the_cameras "2001:db8:50::beef:$i" "$six"
  asks phone "192.168.50.18$i" "$four" "secret$i.example" >/dev/null
  asks phone "2001:db8:50::cafe:$i" "$six" "secret$i.example" >/dev/null
done
sleep 2  # until what is logged is written
on gateway "$doline" log --config "$config" --limit 0 --json >"$lab/log"
[[ $(grep -c 'api.wyzecam.com.*nxdomain' "$lab/log") == 12 ]] || say_wrong "of the camera's questions not all are in the log"
[[ $(grep 'api.wyzecam.com' "$lab/log" | grep -vc '"device":"camera"') == 0 ]] ||
  say_wrong "a question of the camera's is told as another's"
grep -aqF secret "$lab/log" "$lab"/state/doline.db* &&
  say_wrong "what the phone asked is in the log"
((wrong)) || echo "12 questions from addresses that nobody had met are the camera's, and 12 of the phone's are nowhere"

kill -TERM "$doline_id"
wait "$doline_id" || say_wrong "Doline ended with $?"
exit "$wrong"
