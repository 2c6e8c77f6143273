// `doline redirect plan|apply|confirm|status|verify|seen|remove`: stray DNS brought home, as the operator touches it.
//
// `plan` looks at the configuration and the machine, needs nobody and changes nothing. The others ask the running
// Doline. Where none runs, `status`, `verify` and `remove` look after what a killed one left; `apply` refuses, because
// rules that lead to nobody would take the house's DNS away.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "config/settings.h"

namespace doline {

struct RedirectArguments {
  enum class Verb : std::uint8_t { none, plan, apply, confirm, status, verify, seen, remove };
  Verb verb = Verb::none;
  std::filesystem::path config;  ///< read by the front door
  bool json = false;
  std::string trial;         ///< of apply: a duration; empty: for good
  std::string device, from;  ///< of verify: wait for the queries of this one, instead of making some
  std::string patience;      ///< of verify: how long; empty: a minute
  bool after_crash = false;  ///< of remove: ask nobody, and keep the memory of who asked whom; for service managers
};

/// As it is typed, and as the running Doline is asked; "" for none.
[[nodiscard]] const char* name_of(RedirectArguments::Verb verb);
/// `settings`: of the configuration's file; the running Doline may still have older ones. exit_ok, or exit_no (not in
/// place, or what was asked did not succeed), exit_unproven (of verify), exit_unavailable (a Doline has to run, and
/// none answers), exit_no_permission, exit_configuration.
int run_redirect(const RedirectArguments& arguments, const config::Fixed& settings, std::ostream& out,
                 std::ostream& err);

}  // namespace doline
