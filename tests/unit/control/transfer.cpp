#include "control/transfer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dns/read_octets.h"
#include "dns/write_octets.h"
#include "dns/writer.h"
#include "run_until.h"
#include "small_server.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;
using Kind = doline::transfer::IncomingZone::Kind;

namespace {

using Octets = std::vector<std::uint8_t>;

/// A primary that answers each query with the octets that the test says, then closes; or stays silent.
class SmallPrimary {
 public:
  using Serve = std::function<std::optional<Octets>(const Octets& query)>;
  explicit SmallPrimary(Serve serve)
      : server_(
            [serve = std::move(serve)](const std::string& request) -> std::optional<std::string> {
              if (request.size() <= 2) return "";  // it has gone again
              const auto answer = serve(Octets(request.begin() + 2, request.end()));
              return answer ? std::optional(std::string(answer->begin(), answer->end())) : std::nullopt;
            },
            is_message) {}

  [[nodiscard]] Endpoint endpoint() const { return *Endpoint::parse("127.0.0.1", server_.port()); }
  [[nodiscard]] std::size_t queries() const { return server_.requests().size(); }

 private:
  static bool is_message(const std::string& octets) {
    const Octets head(octets.begin(),
                      octets.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, octets.size())));
    return head.size() == 2 && octets.size() >= 2u + dns::read16(head, 0);
  }

  SmallServer server_;
};

dns::Name name(std::string_view text) {
  return dns::Name::parse(text).value();
}
bool wants_difference(const Octets& query) {
  return query[9] == 1;
}

/// A framed message that answers `query` with these lines; each message of the answer is one call.
Octets answer(const Octets& query, const std::vector<std::string>& lines,
              dns::ResponseCode code = dns::ResponseCode::noerror) {
  Octets message(dns::message_octets_max);
  dns::MessageWriter writer(message);
  writer.header(dns::read16(query, 0), {.authoritative = true}, code);
  for (const std::string& line : lines) {
    const auto record = dns::parse_record(line, 60);
    check(record.has_value());
    check(writer.record(dns::Section::answer, record->owner, record->type, record->record_class, 60, record->rdata));
  }
  message.resize(writer.size());
  message.insert(message.begin(), {0, 0});
  dns::put16(message.data(), static_cast<std::uint16_t>(message.size() - 2));
  return message;
}
Octets operator+(Octets left, const Octets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const std::string soa_6 = "rpz.example. SOA a. b. 6 3600 600 86400 60",
                  soa_5 = "rpz.example. SOA a. b. 5 3600 600 86400 60";
const std::string one = "one.rpz.example. CNAME .", two = "two.rpz.example. CNAME .";
const std::string text_6 = "rpz.example. SOA a. b. 6 3600 600 86400 0\none.rpz.example. CNAME .\n";

struct Secondary {
  TemporaryFolder folder;
  Loop loop;
  SystemClock clock;
  Transfers transfers{loop, clock};
  std::optional<Result<Transferred, std::string>> result;

  TransferOrder order(std::vector<Endpoint> primaries, std::optional<std::uint32_t> have = {}) const {
    TransferOrder made;
    made.zone = name("rpz.example");
    made.primaries = std::move(primaries);
    made.have = have;
    made.file = folder / "zone";
    return made;
  }
  /// The result, or "ok".
  std::string fetch(TransferOrder wanted) {
    result.reset();
    transfers.fetch(std::move(wanted), [this](auto got) { result = std::move(got); });
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    return *result ? "ok" : result->error();
  }
  [[nodiscard]] bool has_file() const { return std::filesystem::exists(folder / "zone"); }
};

}  // namespace

TEST_CASE("a zone that came whole lies in the file") {
  SmallPrimary primary([](const Octets& query) { return answer(query, {soa_6}) + answer(query, {one, soa_6}); });
  Secondary secondary;
  REQUIRE(secondary.fetch(secondary.order({primary.endpoint()})) == "ok");
  CHECK((*secondary.result)->kind == Kind::whole);
  CHECK((*secondary.result)->soa.serial == 6);
  CHECK((*secondary.result)->octets == text_6.size());
  CHECK(content_of(secondary.folder / "zone") == text_6);
}

TEST_CASE("a difference comes in hand, without a file") {
  SmallPrimary primary([](const Octets& query) {
    return wants_difference(query) ? answer(query, {soa_6, soa_5, one, soa_6, two, soa_6}) : Octets();
  });
  Secondary secondary;
  REQUIRE(secondary.fetch(secondary.order({primary.endpoint()}, 5)) == "ok");
  CHECK((*secondary.result)->kind == Kind::difference);
  CHECK((*secondary.result)->changes.size() == 2);
  CHECK_FALSE(secondary.has_file());
  SmallPrimary unchanged([](const Octets& query) { return answer(query, {soa_5}); });
  REQUIRE(secondary.fetch(secondary.order({unchanged.endpoint()}, 5)) == "ok");
  CHECK((*secondary.result)->kind == Kind::unchanged);
}

TEST_CASE("a primary that gives no difference is asked for the whole") {
  SmallPrimary primary([](const Octets& query) {
    return wants_difference(query) ? answer(query, {}, dns::ResponseCode::notimp) : answer(query, {soa_6, one, soa_6});
  });
  SmallPrimary rude(
      [](const Octets& query) { return wants_difference(query) ? Octets() : answer(query, {soa_6, one, soa_6}); });
  Secondary secondary;
  for (const SmallPrimary* asked : {&primary, &rude}) {
    REQUIRE(secondary.fetch(secondary.order({asked->endpoint()}, 5)) == "ok");
    CHECK((*secondary.result)->kind == Kind::whole);
    CHECK(asked->queries() == 2);
  }
}

TEST_CASE("where one primary fails the next is asked, and what is told is of the last") {
  SmallPrimary refusing([](const Octets& query) { return answer(query, {}, dns::ResponseCode::refused); });
  SmallPrimary good([](const Octets& query) { return answer(query, {soa_6, one, soa_6}); });
  Secondary secondary;
  const Endpoint nobody = *Endpoint::parse("127.0.0.1:1", 0);
  REQUIRE(secondary.fetch(secondary.order({nobody, refusing.endpoint(), good.endpoint()})) == "ok");
  CHECK((*secondary.result)->primary == good.endpoint());
  CHECK(secondary.fetch(secondary.order({refusing.endpoint(), nobody})) == "127.0.0.1:1: Connection refused");
  CHECK(secondary.fetch(secondary.order({refusing.endpoint()})) ==
        refusing.endpoint().to_string() + ": it answers REFUSED");
  CHECK_FALSE(secondary.has_file());
}

TEST_CASE("what is cut off, silent or no answer leaves no file") {
  SmallPrimary cut([](const Octets& query) { return answer(query, {soa_6, one}); });
  SmallPrimary silent([](const Octets&) { return std::nullopt; });
  SmallPrimary noise([](const Octets&) { return Octets(300, 0xff) + Octets(65'536, 0x41); });
  SmallPrimary other_query([](Octets query) {
    ++query[0];
    return answer(query, {soa_6, one, soa_6});
  });
  Secondary secondary;
  const auto told = [&](const SmallPrimary& primary) {
    auto order = secondary.order({primary.endpoint()});
    order.stall = seconds(1);
    const std::string text = secondary.fetch(order);
    CHECK_FALSE(secondary.has_file());
    return text.substr(std::min(text.size(), text.find(": ") + 2));
  };
  CHECK(told(cut).starts_with("it was cut off after "));
  CHECK(told(silent) == "no octet came for 1 s");
  CHECK(told(noise).starts_with("its answer cannot be read: "));
  CHECK(told(other_query) == "its answer is not to our query");
  auto order = secondary.order({silent.endpoint()});
  order.patience = seconds(1);
  CHECK(secondary.fetch(order) == "it is not complete after 1 s");
}

TEST_CASE("with a key an answer that is not signed is not believed") {
  SmallPrimary primary([](const Octets& query) {
    Octets unsigned_query = query;
    return answer(unsigned_query, {soa_6, one, soa_6});
  });
  Secondary secondary;
  auto order = secondary.order({primary.endpoint()});
  order.key = transfer::TsigKey{name("key.example"), transfer::Algorithm::hmac_sha256, {1, 2, 3}};
  CHECK(secondary.fetch(order) == primary.endpoint().to_string() + ": its answer is not signed");
  CHECK_FALSE(secondary.has_file());
}

TEST_CASE("a transfer that is cancelled, or whose Transfers are gone, says no more") {
  SmallPrimary silent([](const Octets&) { return std::nullopt; });
  Secondary secondary;
  bool is_called = false;
  const auto number = secondary.transfers.fetch(secondary.order({silent.endpoint()}), [&](auto) { is_called = true; });
  settle(secondary.loop);
  secondary.transfers.cancel(number);
  secondary.transfers.cancel(number);
  settle(secondary.loop);
  CHECK_FALSE(is_called);
  {
    Transfers gone(secondary.loop, secondary.clock);
    gone.fetch(secondary.order({silent.endpoint()}), [&](auto) { is_called = true; });
  }
  settle(secondary.loop);
  CHECK_FALSE(is_called);
}
