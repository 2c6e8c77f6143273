// What must hold for every response: how a server writes its names, in full or as pointers, changes nothing in what is
// believed of it, down to the octet.
#include "upstream/accept.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dns/write_octets.h"
#include "seeded.h"

using namespace doline;
using dns::Name;
using dns::RecordType;

namespace {

constexpr std::array types{RecordType::a,  RecordType::a,   RecordType::aaaa,  RecordType::cname, RecordType::dname,
                           RecordType::mx, RecordType::soa, RecordType::rrsig, RecordType::ns,    RecordType{65280}};
const std::vector<Name> names = [] {
  std::vector<Name> made;
  for (const char* const text : {"www.example.com", "www.example.com", "www.example.com", "example.com",
                                 "a.example.com", "b.example.net", "com", ".", "www.www.example.com"})
    made.push_back(Name::parse(text).value());
  return made;
}();

/// One response, written twice: with every name in full, and with pointers wherever the question has the same name.
class TwoServers {
 public:
  explicit TwoServers(const dns::Question& question) : question_(question) {
    for (auto& octets : octets_) octets.resize(dns::header_octets);
    for (auto& octets : octets_) octets[2] = 0x80, octets[5] = 1;
    each([&](auto& octets, bool) { append(octets, question.qname.wire()); });
    number(static_cast<std::uint16_t>(question.qtype));
    number(static_cast<std::uint16_t>(question.qclass));
  }
  void code(dns::ResponseCode code) {
    each([&](auto& octets, bool) { octets[3] = static_cast<std::uint8_t>(code); });
  }
  void number(std::uint16_t value) {
    each([&](auto& octets, bool) {
      append(octets, std::array{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
    });
  }
  void name(const Name& name) {
    each([&](auto& octets, bool has_pointers) {
      for (int labels = 0; has_pointers && labels <= name.label_count(); ++labels) {
        const Name suffix = name.ancestor(labels);
        if (!question_.qname.is_within(suffix)) continue;
        append(octets, name.wire().first(name.size() - suffix.size()));
        const std::size_t at = dns::header_octets + question_.qname.size() - suffix.size();
        append(octets, std::array{std::uint8_t{0xc0}, static_cast<std::uint8_t>(at)});
        return;
      }
      append(octets, name.wire());
    });
  }
  /// `write_rdata()` writes it into both.
  template <class Write>
  void record(dns::Section section, const Name& owner, RecordType type, dns::RecordClass record_class,
              std::uint32_t ttl, Write write_rdata) {
    name(owner);
    for (const std::uint32_t value : {std::uint32_t{static_cast<std::uint16_t>(type)},
                                      std::uint32_t{static_cast<std::uint16_t>(record_class)}, ttl >> 16, ttl})
      number(static_cast<std::uint16_t>(value));
    number(0);
    const std::array begins{octets_[0].size(), octets_[1].size()};
    write_rdata();
    for (std::size_t i = 0; i < 2; ++i) {
      dns::put16(octets_[i].data() + begins[i] - 2, static_cast<std::uint16_t>(octets_[i].size() - begins[i]));
      ++octets_[i][7 + 2 * static_cast<std::size_t>(section)];
    }
  }
  [[nodiscard]] const std::vector<std::uint8_t>& in_full() const { return octets_[0]; }
  [[nodiscard]] const std::vector<std::uint8_t>& with_pointers() const { return octets_[1]; }

 private:
  template <class Write>
  void each(Write write) {
    write(octets_[0], false);
    write(octets_[1], true);
  }
  static void append(std::vector<std::uint8_t>& octets, const auto& more) {
    octets.insert(octets.end(), std::begin(more), std::end(more));
  }

  const dns::Question& question_;
  std::array<std::vector<std::uint8_t>, 2> octets_;
};

}  // namespace

TEST_CASE("names in full and names as pointers are believed alike") {
  tests::Seeded random;
  INFO(random.replay());
  std::size_t believed = 0;
  for (int round = 0; round < 50'000; ++round) {
    const auto any_name = [&] { return names[random.below(names.size())]; };
    const auto any_type = [&] { return types[random.below(types.size())]; };
    const dns::Question asked{random.once_in(4) ? any_name() : names.front(),
                              random.once_in(4) ? any_type() : RecordType::a};
    TwoServers servers(asked);
    if (random.once_in(8)) servers.code(dns::ResponseCode::nxdomain);
    for (std::size_t count = random.below(13), section = 0; count > 0 && section < 3; --count) {
      if (random.once_in(6)) ++section;
      if (section == 3) break;
      const RecordType type = any_type();
      servers.record(static_cast<dns::Section>(section), any_name(), type,
                     random.once_in(20) ? dns::RecordClass::chaos : dns::RecordClass::in,
                     static_cast<std::uint32_t>(random() >> random.below(33)), [&] {
                       const auto numbers = [&](int how_many) {
                         for (; how_many > 0; --how_many) servers.number(static_cast<std::uint16_t>(random()));
                       };
                       if (type == RecordType::a) return numbers(2);
                       if (type == RecordType::aaaa) return numbers(8);
                       if (type == RecordType{65280}) return numbers(static_cast<int>(random.below(9)));
                       if (type == RecordType::mx) numbers(1);
                       if (type == RecordType::rrsig)
                         servers.number(static_cast<std::uint16_t>(any_type())), numbers(8);
                       servers.name(any_name());
                       if (type == RecordType::rrsig) numbers(4);
                       if (type == RecordType::soa) servers.name(any_name()), numbers(10);
                     });
    }
    std::array<std::vector<std::uint8_t>, 2> words{std::vector<std::uint8_t>(4'096), std::vector<std::uint8_t>(4'096)};
    const std::size_t room = random.once_in(10) ? random.between(12, 300) : 4'096;
    const auto in_full =
        upstream::accept(servers.in_full(), asked, asked.qname.wire(), std::span(words[0]).first(room));
    const auto with_pointers =
        upstream::accept(servers.with_pointers(), asked, asked.qname.wire(), std::span(words[1]).first(room));
    REQUIRE(in_full.has_value() == with_pointers.has_value());
    if (!in_full) {
      REQUIRE(in_full.error() == with_pointers.error());
      continue;
    }
    ++believed;
    REQUIRE(in_full->size == with_pointers->size);
    REQUIRE(std::ranges::equal(std::span(words[0]).first(in_full->size), std::span(words[1]).first(in_full->size)));
    REQUIRE(in_full->ttl == with_pointers->ttl);
    REQUIRE(in_full->is_negative == with_pointers->is_negative);
  }
  CHECK(believed > 10'000);
}
