#include "transfer/notification.h"

#include <algorithm>
#include <utility>

#include "dns/transfer_message.h"
#include "dns/writer.h"

namespace doline::transfer {

namespace {

using dns::ResponseCode;

/// The query's ID, question and AA with a code (RFC 1996 §3.8 to §3.10); what it would tell us of the SOA is left out.
std::vector<std::uint8_t> make_response(dns::Octets message, const dns::TransferMessage& read, ResponseCode code) {
  std::vector<std::uint8_t> response(dns::header_octets + dns::name_octets_max + 4);
  dns::MessageWriter writer(response);
  writer.header(
      read.id, {.opcode = dns::Opcode::notify, .authoritative = (message[2] & 0x04) != 0, .recursion_available = false},
      code);
  if (read.question) (void)writer.question(*read.question);
  response.resize(writer.size());
  return response;
}

}  // namespace

NotificationBook::Heard NotificationBook::take(const IpAddress& client, dns::Octets message, WallTime now,
                                               std::span<std::uint8_t> out) const {
  Heard heard;
  const auto answer = [&](const std::vector<std::uint8_t>& response) {
    if (response.size() > out.size()) return heard;
    std::copy(response.begin(), response.end(), out.begin());
    heard.octets = response.size();
    return heard;
  };
  const auto read = dns::read_notification(message);
  if (!read) {
    if (message.size() < dns::header_octets || !dns::is_notification(message)) return heard;
    dns::TransferMessage unread;
    unread.id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
    return answer(make_response(message, unread, ResponseCode::formerr));
  }
  const dns::Name zone = read->question->qname.lowered();
  const auto known =
      std::find_if(zones_.begin(), zones_.end(), [&](const NotifiedZone& one) { return one.zone == zone; });
  if (known == zones_.end() || read->question->qtype != dns::RecordType::soa ||
      read->question->qclass != dns::RecordClass::in)
    return answer(make_response(message, *read, ResponseCode::notauth));
  const bool is_primary = std::any_of(known->primaries.begin(), known->primaries.end(),
                                      [&](const Endpoint& primary) { return primary.address == client; });
  if (!is_primary) return answer(make_response(message, *read, ResponseCode::refused));
  if (!known->key && !read->tsig) {
    heard.zone = zone;
    return answer(make_response(message, *read, ResponseCode::noerror));
  }
  // A signature that we cannot verify says nothing, and an answer to it could not be signed.
  std::optional<TsigConversation> conversation;
  if (known->key) conversation.emplace(*known->key);
  std::vector<std::uint8_t> response = make_response(message, *read, ResponseCode::noerror);
  if (!conversation || !conversation->check(message, *read, now).value_or(false) || !conversation->sign(response, now))
    return answer(make_response(message, *read, ResponseCode::notauth));
  heard.zone = zone;
  return answer(response);
}

}  // namespace doline::transfer
