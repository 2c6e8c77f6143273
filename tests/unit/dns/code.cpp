#include "dns/code.h"

#include <doctest/doctest.h>

namespace doline::dns {

TEST_CASE("types have IANA's names, and unknown ones RFC 3597's") {
  CHECK(to_string(RecordType::aaaa) == "AAAA");
  CHECK(to_string(RecordType::https) == "HTTPS");
  CHECK(to_string(RecordType{65280}) == "TYPE65280");
  CHECK(to_string(RecordClass::in) == "IN");
  CHECK(to_string(RecordClass{2}) == "CLASS2");
  CHECK(to_string(Opcode{3}) == "OPCODE3");
}

TEST_CASE("every type is read back from its name, in any case") {
  for (int value = 0; value < 65536; ++value) {
    const auto type = static_cast<RecordType>(value);
    CHECK(parse_record_type(to_string(type)) == type);
  }
  CHECK(parse_record_type("aaaa") == RecordType::aaaa);
  CHECK(parse_record_type("type65") == RecordType::https);
  for (const char* wrong : {"", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "AAAAA", "TYPE+1"})
    CHECK_FALSE(parse_record_type(wrong));
}

TEST_CASE("response codes are printed and read") {
  CHECK(to_string(ResponseCode::nxdomain) == "NXDOMAIN");
  CHECK(to_string(ResponseCode{12}) == "RCODE12");
  CHECK(parse_response_code("servfail") == ResponseCode::servfail);
  CHECK(parse_response_code("RCODE12") == ResponseCode{12});
  CHECK_FALSE(parse_response_code("RCODE4096"));
}

TEST_CASE("extended errors are named as registered") {
  CHECK(to_string(ExtendedError::stale_answer) == "Stale Answer");
  CHECK(to_string(ExtendedError{9999}) == "Other Error");
}

}  // namespace doline::dns
