// The responses that clients get, octet by octet, and as ldns reads them: what Doline says itself, and what it makes of
// upstream's words.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "dns/presentation.h"
#include "dns/writer.h"
#include "golden/golden.h"
#include "response/finish.h"
#include "response/synthesize.h"
#include "unit/response/asked.h"

// Last: it defines bool anew.
#include <ldns/ldns.h>

using namespace doline;
using namespace doline::response;
using dns::RecordType;
using dns::ResponseCode;
using dns::Section;
using Lines = std::vector<std::string>;

namespace {

struct FreePacket {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};

std::string take(char* text) {
  const std::unique_ptr<char, decltype(&std::free)> owned(text, &std::free);
  return text;
}

/// ldns ends some lines with a blank.
std::string record_text(const ldns_rr* record) {
  const std::string line = take(ldns_rr2str(record));
  return line.substr(0, line.find_last_not_of(" \n") + 1) + "\n";
}

std::string hex(dns::Octets octets) {
  std::string text;
  std::array<char, 3> digits;
  for (const std::uint8_t octet : octets) {
    std::snprintf(digits.data(), digits.size(), "%02x", octet);
    text += digits.data();
  }
  return text;
}

/// Options of OPT, one a line.
std::string options_text(dns::Octets options) {
  std::string text;
  while (options.size() >= 4) {
    const int code = options[0] << 8 | options[1];
    const auto octets = static_cast<std::size_t>(options[2] << 8 | options[3]);
    REQUIRE(options.size() >= 4 + octets);
    const dns::Octets value = options.subspan(4, octets);
    if (code == 15) {
      const int error = value[0] << 8 | value[1];
      text += ";; EDE: " + std::to_string(error) + " (" +
              std::string(to_string(static_cast<dns::ExtendedError>(error))) + "): \"" +
              std::string(value.begin() + 2, value.end()) + "\"\n";
    } else {
      text += ";; option " + std::to_string(code) + ": " + hex(value) + "\n";
    }
    options = options.subspan(4 + octets);
  }
  REQUIRE(options.empty());
  return text;
}

/// As `dig` would show it.
std::string message_text(dns::Octets message) {
  ldns_pkt* raw = nullptr;
  REQUIRE(ldns_wire2pkt(&raw, message.data(), message.size()) == LDNS_STATUS_OK);
  const std::unique_ptr<ldns_pkt, FreePacket> packet(raw);
  std::string text = ";; ";
  text += take(ldns_pkt_opcode2str(ldns_pkt_get_opcode(raw))) + ", ";
  const int code = ldns_pkt_edns_extended_rcode(raw) << 4 | static_cast<int>(ldns_pkt_get_rcode(raw));
  text += dns::to_string(static_cast<ResponseCode>(code)) + ", id " + std::to_string(ldns_pkt_id(raw)) + ", flags:";
  if (ldns_pkt_qr(raw)) text += " qr";
  if (ldns_pkt_aa(raw)) text += " aa";
  if (ldns_pkt_tc(raw)) text += " tc";
  if (ldns_pkt_rd(raw)) text += " rd";
  if (ldns_pkt_ra(raw)) text += " ra";
  if (ldns_pkt_ad(raw)) text += " ad";
  if (ldns_pkt_cd(raw)) text += " cd";
  text += "; " + std::to_string(message.size()) + " octets\n";
  if (ldns_pkt_edns(raw)) {
    text += ";; EDNS: version " + std::to_string(ldns_pkt_edns_version(raw)) + ", udp " +
            std::to_string(ldns_pkt_edns_udp_size(raw)) + (ldns_pkt_edns_do(raw) ? ", do\n" : "\n");
    if (const ldns_rdf* data = ldns_pkt_edns_data(raw))
      text += options_text({ldns_rdf_data(data), ldns_rdf_size(data)});
  }
  for (const auto& [title, records] :
       {std::pair("question", ldns_pkt_question(raw)), std::pair("answer", ldns_pkt_answer(raw)),
        std::pair("authority", ldns_pkt_authority(raw)), std::pair("additional", ldns_pkt_additional(raw))}) {
    if (ldns_rr_list_rr_count(records) > 0) text += ";; " + std::string(title) + "\n";
    for (std::size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) text += record_text(ldns_rr_list_rr(records, i));
  }
  for (; !message.empty(); message = message.subspan(std::min<std::size_t>(message.size(), 32)))
    text += "   " + hex(message.first(std::min<std::size_t>(message.size(), 32))) + "\n";
  return text;
}

std::array<std::uint8_t, 65'535> out;

std::string entry(const std::string& title, std::size_t size) {
  return "# " + title + "\n" + (size == 0 ? ";; nothing is sent\n" : message_text({out.data(), size})) + "\n";
}

Fit plain() {
  return {};
}
Fit with_edns() {
  Fit fit;
  fit.octets_max = udp_octets_max;
  fit.has_edns = true;
  return fit;
}
Fit with_dnssec_and_cookie() {
  Fit fit = with_edns();
  fit.dnssec_ok = true;
  fit.cookie_octets = 24;
  for (std::uint8_t i = 0; i < 24; ++i) fit.cookie[i] = i;
  return fit;
}

/// Upstream's words, as accept() leaves them.
std::vector<std::uint8_t> words_of(const Asked& asked, ResponseCode code, const Lines& answer,
                                   const Lines& authority = {}, bool authentic_data = false) {
  std::vector<std::uint8_t> space(65'535);
  dns::MessageWriter writer(space);
  writer.header(0, {.authentic_data = authentic_data}, code);
  REQUIRE(writer.question(asked.view().question()));
  for (const auto& [section, lines] : {std::pair(Section::answer, answer), std::pair(Section::authority, authority)})
    for (const std::string& line : lines) {
      const auto record = dns::parse_record(line, 0);
      REQUIRE_MESSAGE(record.has_value(), line);
      REQUIRE(writer.record(section, record->owner, record->type, record->record_class, record->ttl, record->rdata));
    }
  space.resize(writer.size());
  return space;
}

}  // namespace

TEST_CASE("Blocked names get the golden responses") {
  std::string text;
  const auto say = [&](const std::string& title, const Asked& asked, const policy::Action& action, const Fit& fit,
                       const BlockSettings& block = {}) {
    text += entry(title, synthesize(asked.view(), action, nullptr, block, fit, "blocked by list ads", out));
  };
  const Asked ads("aDs.Example");
  say("A, no EDNS", ads, policy::Sinkhole{}, plain());
  say("A, EDNS", ads, policy::Sinkhole{}, with_edns());
  say("A, EDNS with DO and cookie", ads, policy::Sinkhole{}, with_dnssec_and_cookie());
  for (const RecordType type : {RecordType::aaaa, RecordType::https, RecordType::mx, RecordType::any})
    say(dns::to_string(type) + ", EDNS", Asked("ads.example", type), policy::Sinkhole{}, with_edns());
  BlockSettings block;
  block.response = BlockResponse::nxdomain;
  say("block_response: nxdomain", ads, policy::Sinkhole{}, with_edns(), block);
  block.response = BlockResponse::nodata;
  say("block_response: nodata", ads, policy::Sinkhole{}, with_edns(), block);
  block.response = BlockResponse::refused;
  say("block_response: refused", ads, policy::Sinkhole{}, with_edns(), block);
  block.response = BlockResponse::drop;
  say("block_response: drop", ads, policy::Sinkhole{}, with_edns(), block);
  block.response = BlockResponse::address;
  block.v4 = IpAddress::v4(192, 0, 2, 9);
  block.ttl_seconds = 3'600;
  say("block_response: an IPv4 address", ads, policy::Sinkhole{}, with_edns(), block);
  say("block_response: an IPv4 address, asked for AAAA", Asked("ads.example", RecordType::aaaa), policy::Sinkhole{},
      with_edns(), block);
  say("rule: nxdomain, of a top-level name", Asked("lan"), policy::NxDomain{}, plain());
  say("rule: nodata", ads, policy::NoData{}, plain());
  say("rule: refuse", ads, policy::Refuse{}, plain());
  CHECK(tests::is_golden("response/block.text", text));
}

TEST_CASE("Rewritten names get the golden responses") {
  policy::RewriteTarget target;
  target.addresses = {IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2), *IpAddress::parse("2001:db8::1")};
  std::string text;
  for (const RecordType type : {RecordType::a, RecordType::aaaa, RecordType::txt})
    text += entry(dns::to_string(type), synthesize(Asked("nas.home", type).view(), policy::Rewrite{}, &target, {},
                                                   with_edns(), "rewritten by rule at line 7", out));
  CHECK(tests::is_golden("response/rewrite.text", text));
}

TEST_CASE("Errors are the golden ones") {
  const Asked asked("www.example");
  std::string text = entry("SERVFAIL, upstream does not answer",
                           refuse(asked.view(), ResponseCode::servfail, dns::ExtendedError::no_reachable_authority,
                                  "no server has answered", with_edns(), out));
  text += entry("BADVERS", refuse(asked.view(), ResponseCode::badvers, std::nullopt, {}, with_edns(), out));
  std::vector<std::uint8_t> octets(asked.octets.begin(), asked.octets.begin() + asked.size);
  octets[2] |= 0x20;
  text += entry("NOTIMP, a NOTIFY", reject(octets, dns::MessageFault::opcode_unknown, out));
  octets[2] &= 0x87;
  text += entry("FORMERR, a query with answers", reject(octets, dns::MessageFault::unexpected_records, out));
  octets[5] = 2;
  text += entry("FORMERR, two questions", reject(octets, dns::MessageFault::question_count, out));
  text += entry("a response", reject(octets, dns::MessageFault::not_a_query, out));
  CHECK(tests::is_golden("response/error.text", text));
}

TEST_CASE("Upstream's words are finished into the golden responses") {
  const Asked asked("wWw.example");
  const std::string signature = " 300 RRSIG A 8 2 300 20300101000000 20200101000000 1 example. AAAA";
  const auto words = words_of(
      asked, ResponseCode::noerror,
      {"www.example. 300 CNAME host.example.", "host.example. 60 A 192.0.2.1", "host.example." + signature}, {}, true);
  std::string text;
  const auto say = [&](const std::string& title, const Asked& question, const std::vector<std::uint8_t>& of,
                       const Fit& fit, const Touches& touches = {}) {
    text += entry(title, finish(question.view(), of, touches, fit, out));
  };
  say("as they came, without EDNS: no signatures, no AD", asked, words, plain());
  say("asked with AD: with AD", Asked("www.example", RecordType::a, true), words, plain());
  say("asked with DO: signatures and AD", asked, words, with_dnssec_and_cookie());
  say("after 100 seconds", asked, words, with_edns(), {.age_seconds = 100});
  say("stale", asked, words, with_edns(),
      {.age_seconds = 4'000,
       .ttl_seconds = 30,
       .error = dns::ExtendedError::stale_answer,
       .error_text = "upstream does not answer"});
  const Asked none("none.example");
  const auto nxdomain =
      words_of(none, ResponseCode::nxdomain, {},
               {"example. 900 SOA ns.example. host.example. 1 3600 600 86400 900", "m.example. 900 NSEC o.example. A"});
  say("NXDOMAIN, without DO: no proof", none, nxdomain, with_edns());
  say("NXDOMAIN, with DO: its proof", none, nxdomain, with_dnssec_and_cookie());
  const Asked texts("texts.example", RecordType::txt);
  const std::string part = " \"" + std::string(250, 'x') + "\"";
  const auto long_words = words_of(texts, ResponseCode::noerror, {"texts.example. 60 TXT" + part + part + part});
  say("too long for 512 octets", texts, long_words, plain());
  CHECK(tests::is_golden("response/finish.text", text));
}
