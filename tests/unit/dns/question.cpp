#include "dns/question.h"

#include <doctest/doctest.h>

namespace doline::dns {

TEST_CASE("a question is its name without case, its type and its class") {
  const Question one{Name::parse("www.Example").value(), RecordType::aaaa, RecordClass::in};
  Question other{Name::parse("WWW.example").value(), RecordType::aaaa, RecordClass::in};
  CHECK(one == other);
  CHECK(one.hash(1) == other.hash(1));
  CHECK(one.hash(1) != one.hash(2));
  other.qtype = RecordType::a;
  CHECK(one != other);
  CHECK(one.hash(1) != other.hash(1));
  other = one;
  other.qclass = RecordClass::chaos;
  CHECK(one != other);
  CHECK(one.hash(1) != other.hash(1));
  CHECK(one.to_string() == "www.Example AAAA");
  CHECK(other.to_string() == "www.Example CH AAAA");
}

}  // namespace doline::dns
