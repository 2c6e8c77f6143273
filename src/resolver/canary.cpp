#include "resolver/canary.h"

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "base/check.h"

namespace doline::resolver {

namespace {

constexpr std::size_t digits = 8;  // of a secret, and of a serial
/// What stands behind the first label, without the root: length octets as letters.
constexpr std::string_view loop_zone = "\4loop\6doline\3alt";
constexpr std::string_view probe_zone = "\4home\6doline\3alt";

std::string hexadecimal(std::uint32_t number) {
  static constexpr std::string_view letters = "0123456789abcdef";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text += letters[(number >> shift) & 15];
  return text;
}

std::optional<std::uint32_t> read_hexadecimal(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view as_text(const dns::Name& name) {
  return {reinterpret_cast<const char*>(name.wire().data()), name.size()};
}

}  // namespace

static_assert(CanaryCage::canary_octets == 1 + 2 * digits + loop_zone.size() + 1);
static_assert(loop_zone.size() == probe_zone.size());

dns::Name CanaryCage::name_of(const Canary& canary) const {
  const auto name = dns::Name::parse(hexadecimal(secret_) + hexadecimal(canary.serial) +
                                     (canary.kind == Canary::Kind::loop ? ".loop" : ".home") + ".doline.alt");
  check(name.has_value());
  return *name;
}

std::optional<Canary> CanaryCage::read(const dns::Name& name) const {
  const dns::Name lowered = name.lowered();
  const std::string_view text = as_text(lowered);
  const std::string_view zone = text.substr(1 + 2 * digits, loop_zone.size());
  if (text[0] != 2 * digits || (zone != loop_zone && zone != probe_zone)) return std::nullopt;
  const auto secret = read_hexadecimal(text.substr(1, digits));
  const auto serial = read_hexadecimal(text.substr(1 + digits, digits));
  if (secret != secret_ || !serial) return std::nullopt;
  return Canary{zone == loop_zone ? Canary::Kind::loop : Canary::Kind::probe, *serial};
}

bool CanaryCage::is_loop_canary(const dns::Name& name) {
  if (name.size() != canary_octets) return false;
  const dns::Name lowered = name.lowered();
  return as_text(lowered).substr(1 + 2 * digits, loop_zone.size()) == loop_zone;
}

}  // namespace doline::resolver
