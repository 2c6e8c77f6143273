// The command line: what people may type, and the arguments it fills in. It stands in one file because CLI11's header
// takes the compiler longer than all the rest of a command.
#pragma once

namespace CLI {
class App;
}

namespace doline {

struct CheckArguments;
struct DeviceArguments;
struct DevicesArguments;
struct ExplainArguments;
struct FlowsArguments;
struct ForgetArguments;
struct LimitsArguments;
struct ListsArguments;
struct LogArguments;
struct PauseArguments;
struct RedirectArguments;
struct ReplayArguments;
struct RunArguments;
struct ServicesArguments;
struct SettingsChoice;
struct StatusArguments;

/// Declares --config and --state.
void add_settings_options(CLI::App& command, SettingsChoice& choice);

/// Declares the subcommand; parsing fills `arguments`, which outlives `app`. The result says whether it was called
/// (parsed()).
CLI::App* add_log_command(CLI::App& app, LogArguments& arguments);
/// A subcommand of `doline log`; as add_log_command.
CLI::App* add_forget_command(CLI::App& log, ForgetArguments& arguments);
/// As add_log_command.
CLI::App* add_run_command(CLI::App& app, RunArguments& arguments);
/// As add_log_command.
CLI::App* add_check_command(CLI::App& app, CheckArguments& arguments);
/// As add_log_command.
CLI::App* add_explain_command(CLI::App& app, ExplainArguments& arguments);
/// As add_log_command.
CLI::App* add_flows_command(CLI::App& app, FlowsArguments& arguments);
/// As add_log_command.
CLI::App* add_devices_command(CLI::App& app, DevicesArguments& arguments);
/// As add_log_command.
CLI::App* add_status_command(CLI::App& app, StatusArguments& arguments);
/// As add_log_command. Without a verb is a usage error of CLI11.
CLI::App* add_redirect_command(CLI::App& app, RedirectArguments& arguments);
/// Declares `device` and what may follow it; parsing sets `arguments.is_called`.
void add_device_command(CLI::App& app, DeviceArguments& arguments);
/// Declares `pause`, `resume` and `allow`; parsing sets `arguments.is_called` where it is one of them.
void add_pause_commands(CLI::App& app, PauseArguments& arguments);
/// As add_log_command.
CLI::App* add_flush_command(CLI::App& app, SettingsChoice& choice);
/// As add_log_command.
CLI::App* add_lists_command(CLI::App& app, ListsArguments& arguments);
/// As add_log_command.
CLI::App* add_replay_command(CLI::App& app, ReplayArguments& arguments);
/// As add_log_command.
CLI::App* add_services_command(CLI::App& app, ServicesArguments& arguments);
/// As add_log_command.
CLI::App* add_limits_command(CLI::App& app, LimitsArguments& arguments);

}  // namespace doline
