// Messages of a zone transfer: any octets are read without harm, and what comes of them is a text of lines that the
// reader of lists takes. And as notifications: none counts without the key. Input: messages, each behind two octets of
// length; the first octet of all says what was asked for.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "blocklist/list_file.h"
#include "dns/read_octets.h"
#include "transfer/incoming_zone.h"
#include "transfer/notification.h"
#include "transfer/tsig.h"

using namespace doline;
using doline::transfer::IncomingZone;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  if (size < 2) return 0;
  const dns::Octets input(octets, size);
  const bool wants_difference = (input[0] & 1) != 0;
  IncomingZone zone(*dns::Name::parse("rpz.example"),
                    wants_difference ? std::optional<std::uint32_t>(5) : std::nullopt);
  transfer::TsigConversation tsig({*dns::Name::parse("key.example"), transfer::Algorithm::hmac_sha256, {1, 2, 3}});
  const transfer::NotificationBook notified(
      {{*dns::Name::parse("rpz.example"),
        {{IpAddress(), 53}},
        transfer::TsigKey{*dns::Name::parse("key.example"), transfer::Algorithm::hmac_sha256, {1, 2, 3}}}});
  std::string text;
  for (std::size_t at = 1; at + 2 <= size;) {
    const std::size_t length = std::min<std::size_t>(dns::read16(input, at), size - at - 2);
    const dns::Octets message = input.subspan(at + 2, length);
    at += 2 + length;
    std::array<std::uint8_t, 512> response{};
    const auto heard = notified.take(IpAddress(), message, WallTime{}, response);
    check(!heard.zone && heard.octets <= response.size() && (heard.octets == 0 || (response[2] & 0xf8) == 0xa0));
    const auto read = dns::read_transfer_message(message);
    if (!read) continue;
    check(!tsig.check(message, *read, WallTime{}).value_or(false));  // nobody signs without the secret
    const auto taken = zone.take(*read);
    text += zone.take_text();
    if (!taken) break;
    if (!*taken) continue;
    for (const auto& change : zone.take_changes()) text += change.line;
    break;
  }
  check(std::all_of(text.begin(), text.end(),
                    [](char letter) { return letter == '\n' || (letter >= ' ' && letter <= '~'); }));
  check(text.empty() || text.ends_with('\n'));
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const auto result = blocklist::read_list(
      text, blocklist::ListFormat::rpz, false, [](const blocklist::Entry&) {}, [](const blocklist::LineProblem&) {});
  check(result.lines == static_cast<std::uint64_t>(lines));
  return 0;
}
