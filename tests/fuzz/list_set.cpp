// Compiled files: whatever the octets, open() refuses them or gives a set whose answers stay inside the mapping. The
// input is tried as it is and with its checksums put right, which an accident would hardly do and a fuzzer cannot
// guess: so every input gets as far as the sections.
#include "blocklist/list_set.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "list_image.h"

using namespace doline;
using namespace doline::blocklist;

namespace {

void open_and_ask(const std::vector<std::uint8_t>& octets, bool check_all) {
  const int file = ::memfd_create("list_set", 0);
  check(file >= 0);
  check(::write(file, octets.data(), octets.size()) == static_cast<ssize_t>(octets.size()));
  const auto set = ListSet::open("/proc/self/fd/" + std::to_string(file), check_all);
  ::close(file);
  if (!set) return;
  for (const char* text : {"a.example", "x.b.example", "example", "."}) {
    const auto name = dns::Name::parse(text);
    check(name.has_value());
    check((*set)->look_up_server(*name).count <= coverings_max);
    const Listing listing = (*set)->look_up(*name);
    check(listing.count <= coverings_max);
    for (const Covering& covering : listing.all()) {
      for (const ListId list : (*set)->lists_of(covering.set)) check(list.value < (*set)->list_count());
      (*set)->each_word(covering.set, [&](std::uint32_t word, std::span<const std::uint32_t> takers) {
        check((*set)->word(word).list.value < (*set)->list_count());
        for (const std::uint32_t taker : takers) check((taker & ~taken_back_by) < (*set)->list_count());
      });
    }
  }
  for (const char* text : {"1.2.3.4", "10.0.0.7", "2001:db8::1"}) {
    const std::array addresses{*IpAddress::parse(text)};
    check((*set)->look_up_answer(addresses).count <= coverings_max);
    check((*set)->look_up_server(addresses).count <= coverings_max);
    check((*set)->look_up_client(*IpAddress::parse(text)).count <= coverings_max);
  }
  (void)(*set)->lists_of(0xffffffff);
  (void)(*set)->words_of(0xffffffff);
  (void)(*set)->name_count(ListId{0xffff});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> octets(data, data + size);
  open_and_ask(octets, true);
  doline::tests::seal(octets);
  open_and_ask(octets, true);
  return 0;
}
