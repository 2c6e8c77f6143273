// `doline explain DEVICE NAME [TYPE]`: what would happen, and the very line that decides: of the configuration, or of a
// list's text.
//
// Judges with the same rule book and the same lists as the running Doline, from their files; it works while Doline runs
// and while it does not.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/time.h"
#include "doline/settings_choice.h"

namespace doline {

struct ExplainArguments {
  SettingsChoice settings;
  std::string device;  ///< a name of the configuration, a MAC, or an IP address
  std::string name;
  std::string type = "A";
  std::string meant_for;             ///< as if it had been sent to this foreign resolver and caught; empty: it asks us
  std::string at;                    ///< as at that time; empty: now
  std::vector<std::string> answers;  ///< as if upstream answered with these addresses
  std::vector<std::string> servers;  ///< as if these were the name servers of its zone: names or addresses
  std::string interface;             ///< as if it had come by this one
  bool json = false;
};

/// 0, or 64 no such name or type, 78 the configuration has mistakes.
int run_explain(const ExplainArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

}  // namespace doline
