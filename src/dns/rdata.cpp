#include "dns/rdata.h"

namespace doline::dns {

std::optional<std::string_view> shape_of(RecordType type) {
  switch (static_cast<std::uint16_t>(type)) {
    case 1:  // A
      return "4";
    case 2:   // NS
    case 3:   // MD
    case 4:   // MF
    case 5:   // CNAME
    case 7:   // MB
    case 8:   // MG
    case 9:   // MR
    case 12:  // PTR
      return "N";
    case 6:  // SOA
      return "NN44444";
    case 11:  // WKS
      return "41x";
    case 13:  // HINFO
      return "ss";
    case 14:  // MINFO
      return "NN";
    case 15:  // MX
      return "2N";
    case 16:  // TXT
    case 20:  // ISDN
    case 56:  // NINFO
    case 99:  // SPF
      return "S";
    case 17:  // RP
    case 58:  // TALINK
      return "DD";
    case 18:   // AFSDB
    case 21:   // RT
    case 36:   // KX
    case 107:  // LP
      return "2D";
    case 19:  // X25
      return "s";
    case 24:  // SIG
    case 46:  // RRSIG
      return "211444"
             "2DX";
    case 25:  // KEY
    case 48:  // DNSKEY
    case 57:  // RKEY
    case 60:  // CDNSKEY
      return "211X";
    case 26:  // PX
      return "2DD";
    case 27:  // GPOS
      return "sss";
    case 28:  // AAAA
      return "88";
    case 29:  // LOC
      return "L";
    case 30:  // NXT
      return "Dx";
    case 33:  // SRV
      return "222D";
    case 35:  // NAPTR
      return "22sssD";
    case 37:  // CERT
      return "221X";
    case 39:  // DNAME
    case 23:  // NSAP-PTR
      return "D";
    case 42:  // APL
      return "p";
    case 43:     // DS
    case 59:     // CDS
    case 32768:  // TA
    case 32769:  // DLV
      return "211X";
    case 44:  // SSHFP
      return "11X";
    case 45:  // IPSECKEY
      return "gx";
    case 47:  // NSEC
      return "Db";
    case 49:  // DHCID
    case 61:  // OPENPGPKEY
      return "X";
    case 50:  // NSEC3
      return "112scb";
    case 51:  // NSEC3PARAM
      return "112s";
    case 52:  // TLSA
    case 53:  // SMIMEA
      return "111X";
    case 55:  // HIP
      return "h";
    case 62:  // CSYNC
      return "42b";
    case 63:  // ZONEMD
      return "411X";
    case 64:  // SVCB
    case 65:  // HTTPS
      return "2Dv";
    case 104:  // NID
    case 106:  // L64
      return "28";
    case 105:  // L32
      return "24";
    case 108:  // EUI48
      return "6";
    case 109:  // EUI64
      return "8";
    case 256:  // URI
      return "22X";
    case 257:  // CAA
      return "1tx";
    case 0:
    case 41:  // OPT
    case 249:
    case 250:
    case 251:
    case 252:
    case 253:
    case 254:
    case 255:
      return std::nullopt;
    default:
      return "x";
  }
}

namespace {

bool skip_string(MessageReader& reader) {
  std::uint8_t length = 0;
  return reader.read(length) && reader.skip(length);
}

bool skip_type_bit_maps(MessageReader& reader) {
  int before = -1;
  while (reader.left() > 0) {
    std::uint8_t window = 0, length = 0;
    if (!reader.read(window) || !reader.read(length)) return false;
    if (window <= before || length < 1 || length > 32 || !reader.skip(length)) return false;
    before = window;
  }
  return true;
}

/// RFC 9460 §2.2 and the formats of §7, §8.
bool is_service_value(std::uint16_t key, Octets value) {
  MessageReader reader(value);
  switch (key) {
    case 0: {  // mandatory: ascending keys, itself not among them
      int before = 0;
      while (reader.left() > 0) {
        std::uint16_t named = 0;
        if (!reader.read(named) || named <= before) return false;
        before = named;
      }
      return !value.empty();
    }
    case 1:  // alpn
      while (reader.left() > 0) {
        std::uint8_t length = 0;
        if (!reader.read(length) || length == 0 || !reader.skip(length)) return false;
      }
      return !value.empty();
    case 2:  // no-default-alpn
      return value.empty();
    case 3:  // port
      return value.size() == 2;
    case 4:  // ipv4hint
      return !value.empty() && value.size() % 4 == 0;
    case 6:  // ipv6hint
      return !value.empty() && value.size() % 16 == 0;
    default:
      return true;
  }
}

bool skip_service_parameters(MessageReader& reader) {
  int before = -1;
  while (reader.left() > 0) {
    std::uint16_t key = 0, length = 0;
    Octets value;
    if (!reader.read(key) || !reader.read(length) || !reader.read(value, length)) return false;
    if (key <= before || !is_service_value(key, value)) return false;
    before = key;
  }
  return true;
}

/// RFC 8659 §4.1.
bool skip_caa_tag(MessageReader& reader) {
  std::uint8_t length = 0;
  Octets tag;
  if (!reader.read(length) || length == 0 || !reader.read(tag, length)) return false;
  for (const std::uint8_t octet : tag) {
    const std::uint8_t small = octet | 0x20;
    if (!(octet >= '0' && octet <= '9') && !(small >= 'a' && small <= 'z')) return false;
  }
  return true;
}

/// RFC 3123 §4.
bool skip_address_prefixes(MessageReader& reader) {
  while (reader.left() > 0) {
    std::uint16_t family = 0;
    std::uint8_t prefix = 0, length = 0;
    if (!reader.read(family) || !reader.read(prefix) || !reader.read(length)) return false;
    length &= 0x7f;  // the top bit negates
    if ((family == 1 && (prefix > 32 || length > 4)) || (family == 2 && (prefix > 128 || length > 16))) return false;
    if (!reader.skip(length)) return false;
  }
  return true;
}

/// RFC 4025 §2.1: precedence, gateway type, algorithm, gateway. The name there is never compressed.
bool skip_gateway(MessageReader& reader) {
  std::uint8_t precedence = 0, kind = 0, algorithm = 0;
  if (!reader.read(precedence) || !reader.read(kind) || !reader.read(algorithm)) return false;
  if (kind == 0) return true;
  if (kind == 1) return reader.skip(4);
  if (kind == 2) return reader.skip(16);
  Octets rest;
  MessageReader ahead = reader;
  if (kind != 3 || !ahead.read(rest, ahead.left())) return false;
  const auto name = Name::from_wire(rest);
  return name && reader.skip(name->size());
}

/// RFC 8005 §5. The rendezvous servers are never compressed.
bool skip_host_identity(MessageReader& reader) {
  std::uint8_t tag_octets = 0, algorithm = 0;
  std::uint16_t key_octets = 0;
  if (!reader.read(tag_octets) || !reader.read(algorithm) || !reader.read(key_octets)) return false;
  if (tag_octets == 0 || key_octets == 0 || !reader.skip(tag_octets) || !reader.skip(key_octets)) return false;
  while (reader.left() > 0) {
    Octets rest;
    MessageReader ahead = reader;
    if (!ahead.read(rest, ahead.left())) return false;
    const auto name = Name::from_wire(rest);
    if (!name || !reader.skip(name->size())) return false;
  }
  return true;
}

}  // namespace

bool rdata_detail::skip_field(MessageReader& reader, char field) {
  switch (field) {
    case '1':
    case '2':
    case '4':
    case '6':
    case '8':
      return reader.skip(static_cast<std::size_t>(field - '0'));
    case 'L': {
      std::uint8_t version = 0;
      return reader.read(version) && version == 0 && reader.skip(15);
    }
    case 's':
      return skip_string(reader);
    case 'c': {
      const std::size_t before = reader.at();
      return skip_string(reader) && reader.at() > before + 1;
    }
    case 'S':
      do {
        if (!skip_string(reader)) return false;
      } while (reader.left() > 0);
      return true;
    case 'x':
      return reader.skip(reader.left());
    case 'X':
      return reader.left() > 0 && reader.skip(reader.left());
    case 'b':
      return skip_type_bit_maps(reader);
    case 'v':
      return skip_service_parameters(reader);
    case 't':
      return skip_caa_tag(reader);
    case 'p':
      return skip_address_prefixes(reader);
    case 'g':
      return skip_gateway(reader);
    case 'h':
      return skip_host_identity(reader);
    default:
      return false;
  }
}

}  // namespace doline::dns
