#include "policy/lock.h"

#include <memory>

#include "policy/name_set.h"

namespace doline::policy {

Rule to_rule(const Lock& lock) {
  Rule rule;
  rule.when.device_names = {lock.device};
  rule.when.unless = std::make_shared<const NameSet>(lock.subtrees, lock.names);
  rule.then = Refuse{};
  rule.mode = lock.mode;
  rule.file = "lock of " + lock.device;
  rule.text = "may look up " + std::to_string(lock.subtrees.size()) + " names with all below them, and " +
              std::to_string(lock.names.size()) + " alone";
  return rule;
}

}  // namespace doline::policy
