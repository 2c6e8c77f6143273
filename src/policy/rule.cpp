#include "policy/rule.h"

namespace doline::policy {

std::string_view to_string(const Action& action) {
  struct Word {
    std::string_view operator()(const Forward& forward) const { return forward.delay_ms == 0 ? "forward" : "delay"; }
    std::string_view operator()(const Sinkhole&) const { return "block"; }
    std::string_view operator()(const Rewrite&) const { return "rewrite"; }
    std::string_view operator()(const NxDomain&) const { return "nxdomain"; }
    std::string_view operator()(const NoData&) const { return "nodata"; }
    std::string_view operator()(const Refuse&) const { return "refuse"; }
    std::string_view operator()(const Drop&) const { return "drop"; }
    std::string_view operator()(const ListAnswer&) const { return "rewrite"; }
    std::string_view operator()(const Truncate&) const { return "truncate"; }
  };
  return std::visit(Word{}, action);
}

std::string short_place(const Rule& rule) {
  if (rule.line == 0) return rule.file;
  return rule.file.substr(rule.file.rfind('/') + 1) + ':' + std::to_string(rule.line);
}

}  // namespace doline::policy
