#include "flows/judge.h"

#include <netinet/in.h>

namespace doline::flows {

namespace {

constexpr std::uint16_t ntp_port = 123;

bool is_local(const IpAddress& address) {
  return address.is_private() || !address.is_unicast();
}

}  // namespace

Kind kind_of(LoggedBy rule) {
  switch (rule) {
    case LoggedBy::plain_dns:
    case LoggedBy::query:
      return Kind::plain_dns;
    case LoggedBy::encrypted_dns:
      return Kind::encrypted_dns;
    case LoggedBy::connection:
    case LoggedBy::https:
    case LoggedBy::refused:
      return Kind::connection;
  }
  return Kind::connection;
}

Explanation judge(const Tuple& tuple, Kind kind, const Circumstances& circumstances) {
  if (is_local(tuple.destination.address)) return Explanation::local;
  if (circumstances.was_given) return Explanation::looked_up;
  if (kind != Kind::connection) return Explanation::resolver;
  if (tuple.protocol == IPPROTO_UDP && tuple.destination.port == ntp_port) return Explanation::time_sync;
  if (circumstances.asked_elsewhere) return Explanation::asked_elsewhere;
  if (circumstances.is_warming_up) return Explanation::warming_up;
  if (circumstances.may_have_missed) return Explanation::not_known;
  return Explanation::without_lookup;
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::connection:
      return "connection";
    case Kind::plain_dns:
      return "plain DNS";
    case Kind::encrypted_dns:
      return "encrypted DNS";
  }
  return "?";
}

std::string_view to_string(Explanation explanation) {
  switch (explanation) {
    case Explanation::looked_up:
      return "looked up";
    case Explanation::without_lookup:
      return "without lookup";
    case Explanation::local:
      return "local";
    case Explanation::time_sync:
      return "time";
    case Explanation::warming_up:
      return "warming up";
    case Explanation::not_known:
      return "not known";
    case Explanation::asked_elsewhere:
      return "asked elsewhere";
    case Explanation::resolver:
      return "resolver";
  }
  return "?";
}

std::optional<Kind> kind_of_number(std::int64_t number) {
  if (number < 0 || number > static_cast<std::int64_t>(Kind::encrypted_dns)) return std::nullopt;
  return static_cast<Kind>(number);
}

std::optional<Explanation> explanation_of_number(std::int64_t number) {
  if (number < 0 || number > static_cast<std::int64_t>(Explanation::resolver)) return std::nullopt;
  return static_cast<Explanation>(number);
}

}  // namespace doline::flows
