#include "dns/code.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace doline::dns {

namespace {

struct Named {
  std::uint16_t value;
  std::string_view name;
};

// IANA, "Resource Record (RR) TYPEs", assigned ones.
constexpr auto types = std::to_array<Named>({
    {1, "A"},        {2, "NS"},      {3, "MD"},          {4, "MF"},       {5, "CNAME"},      {6, "SOA"},
    {7, "MB"},       {8, "MG"},      {9, "MR"},          {10, "NULL"},    {11, "WKS"},       {12, "PTR"},
    {13, "HINFO"},   {14, "MINFO"},  {15, "MX"},         {16, "TXT"},     {17, "RP"},        {18, "AFSDB"},
    {19, "X25"},     {20, "ISDN"},   {21, "RT"},         {22, "NSAP"},    {23, "NSAP-PTR"},  {24, "SIG"},
    {25, "KEY"},     {26, "PX"},     {27, "GPOS"},       {28, "AAAA"},    {29, "LOC"},       {30, "NXT"},
    {31, "EID"},     {32, "NIMLOC"}, {33, "SRV"},        {34, "ATMA"},    {35, "NAPTR"},     {36, "KX"},
    {37, "CERT"},    {38, "A6"},     {39, "DNAME"},      {40, "SINK"},    {41, "OPT"},       {42, "APL"},
    {43, "DS"},      {44, "SSHFP"},  {45, "IPSECKEY"},   {46, "RRSIG"},   {47, "NSEC"},      {48, "DNSKEY"},
    {49, "DHCID"},   {50, "NSEC3"},  {51, "NSEC3PARAM"}, {52, "TLSA"},    {53, "SMIMEA"},    {55, "HIP"},
    {56, "NINFO"},   {57, "RKEY"},   {58, "TALINK"},     {59, "CDS"},     {60, "CDNSKEY"},   {61, "OPENPGPKEY"},
    {62, "CSYNC"},   {63, "ZONEMD"}, {64, "SVCB"},       {65, "HTTPS"},   {66, "DSYNC"},     {99, "SPF"},
    {100, "UINFO"},  {101, "UID"},   {102, "GID"},       {103, "UNSPEC"}, {104, "NID"},      {105, "L32"},
    {106, "L64"},    {107, "LP"},    {108, "EUI48"},     {109, "EUI64"},  {128, "NXNAME"},   {249, "TKEY"},
    {250, "TSIG"},   {251, "IXFR"},  {252, "AXFR"},      {253, "MAILB"},  {254, "MAILA"},    {255, "ANY"},
    {256, "URI"},    {257, "CAA"},   {258, "AVC"},       {259, "DOA"},    {260, "AMTRELAY"}, {261, "RESINFO"},
    {262, "WALLET"}, {32768, "TA"},  {32769, "DLV"},
});

constexpr auto classes = std::to_array<Named>({{1, "IN"}, {3, "CH"}, {4, "HS"}, {254, "NONE"}, {255, "ANY"}});

constexpr auto opcodes = std::to_array<Named>({
    {0, "QUERY"},
    {1, "IQUERY"},
    {2, "STATUS"},
    {4, "NOTIFY"},
    {5, "UPDATE"},
    {6, "DSO"},
});

constexpr auto response_codes = std::to_array<Named>({
    {0, "NOERROR"},  {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},  {4, "NOTIMP"},
    {5, "REFUSED"},  {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},   {9, "NOTAUTH"},
    {10, "NOTZONE"}, {11, "DSOTYPENI"}, {16, "BADVERS"}, {17, "BADKEY"},   {18, "BADTIME"},
    {19, "BADMODE"}, {20, "BADNAME"},   {21, "BADALG"},  {22, "BADTRUNC"}, {23, "BADCOOKIE"},
});

// IANA, "Extended DNS Error Codes".
constexpr auto extended_errors = std::to_array<Named>({
    {0, "Other Error"},
    {1, "Unsupported DNSKEY Algorithm"},
    {2, "Unsupported DS Digest Type"},
    {3, "Stale Answer"},
    {4, "Forged Answer"},
    {5, "DNSSEC Indeterminate"},
    {6, "DNSSEC Bogus"},
    {7, "Signature Expired"},
    {8, "Signature Not Yet Valid"},
    {9, "DNSKEY Missing"},
    {10, "RRSIGs Missing"},
    {11, "No Zone Key Bit Set"},
    {12, "NSEC Missing"},
    {13, "Cached Error"},
    {14, "Not Ready"},
    {15, "Blocked"},
    {16, "Censored"},
    {17, "Filtered"},
    {18, "Prohibited"},
    {19, "Stale NXDOMAIN Answer"},
    {20, "Not Authoritative"},
    {21, "Not Supported"},
    {22, "No Reachable Authority"},
    {23, "Network Error"},
    {24, "Invalid Data"},
    {25, "Signature Expired before Valid"},
    {26, "Too Early"},
    {27, "Unsupported NSEC3 Iterations Value"},
    {28, "Unable to conform to policy"},
    {29, "Synthesized"},
    {30, "Invalid Query Type"},
});

template <std::size_t count>
std::string_view find_name(const std::array<Named, count>& table, std::uint16_t value) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Named& named) { return named.value == value; });
  return found == table.end() ? std::string_view{} : found->name;
}

bool equal_letters(std::string_view left, std::string_view right) {
  const auto upper = [](char letter) {
    return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 0x20) : letter;
  };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](char a, char b) { return upper(a) == upper(b); });
}

/// A name of the table, or `prefix` and a decimal number up to `most`.
template <std::size_t count>
std::optional<std::uint16_t> find_value(const std::array<Named, count>& table, std::string_view prefix, int most,
                                        std::string_view text) {
  for (const Named& named : table)
    if (equal_letters(named.name, text)) return named.value;
  if (text.size() <= prefix.size() || !equal_letters(text.substr(0, prefix.size()), prefix)) return std::nullopt;
  int value = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, value);
  if (error != std::errc{} || stop != end || value < 0 || value > most) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

template <std::size_t count>
std::string print(const std::array<Named, count>& table, std::string_view prefix, std::uint16_t value) {
  const std::string_view name = find_name(table, value);
  return name.empty() ? std::string(prefix) + std::to_string(value) : std::string(name);
}

}  // namespace

std::string to_string(RecordType type) {
  return print(types, "TYPE", static_cast<std::uint16_t>(type));
}
std::string to_string(RecordClass value) {
  return print(classes, "CLASS", static_cast<std::uint16_t>(value));
}
std::string to_string(ResponseCode code) {
  return print(response_codes, "RCODE", static_cast<std::uint16_t>(code));
}
std::string to_string(Opcode opcode) {
  return print(opcodes, "OPCODE", static_cast<std::uint16_t>(opcode));
}

std::string_view to_string(ExtendedError code) {
  const std::string_view name = find_name(extended_errors, static_cast<std::uint16_t>(code));
  return name.empty() ? extended_errors[0].name : name;
}

std::optional<RecordType> parse_record_type(std::string_view text) {
  const auto value = find_value(types, "TYPE", 65'535, text);
  return value ? std::optional(static_cast<RecordType>(*value)) : std::nullopt;
}

std::optional<ResponseCode> parse_response_code(std::string_view text) {
  const auto value = find_value(response_codes, "RCODE", 4'095, text);
  return value ? std::optional(static_cast<ResponseCode>(*value)) : std::nullopt;
}

}  // namespace doline::dns
