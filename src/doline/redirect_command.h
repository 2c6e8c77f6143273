// `doline redirect plan|apply|confirm|status|verify|seen|remove|render`: stray DNS brought home, as the operator
// touches it.
//
// `plan` and `render` look at the configuration and the machine, need nobody and change nothing. The others ask the
// running Doline. Where none runs, `status`, `verify` and `remove` look after what a killed one left; `apply` refuses,
// because rules that lead to nobody would take the house's DNS away.
#pragma once

#include <iosfwd>
#include <string>

#include "config/settings.h"
#include "doline/render_command.h"
#include "doline/settings_choice.h"

namespace doline {

struct RedirectArguments {
  enum class Verb : std::uint8_t { none, plan, apply, confirm, status, verify, seen, remove, render };
  Verb verb = Verb::none;
  SettingsChoice settings;              ///< read by the front door
  redirect::Restrictions restrictions;  ///< of the configuration; made by the front door
  bool json = false;
  std::string trial;         ///< of apply: a duration; empty: for good
  std::string device, from;  ///< of verify: wait for the queries of this one, instead of making some
  std::string patience;      ///< of verify: how long; empty: a minute
  RenderArguments render{};
  bool after_crash = false;  ///< of remove: ask nobody, and keep the memory of who asked whom; for service managers
};

/// As it is typed, and as the running Doline is asked; "" for none.
[[nodiscard]] const char* name_of(RedirectArguments::Verb verb);
/// `settings`: of the configuration's file; the running Doline may still have older ones. exit_ok, or exit_no (not in
/// place, or what was asked did not succeed), exit_unproven (of verify), exit_unavailable (no Doline runs there; but
/// remove needs none), exit_no_permission, exit_configuration.
int run_redirect(const RedirectArguments& arguments, const config::Fixed& settings, std::ostream& out,
                 std::ostream& err);

}  // namespace doline
