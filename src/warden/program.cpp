#include "warden/program.h"
#include "warden/uv_handle.h"

#include <signal.h>
#include <span>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace doline::warden {

namespace {

/// nft's line editor keeps a history in $HOME: there is none here.
char* const environment[] = {const_cast<char*>("HOME=/dev/null"), const_cast<char*>("LC_ALL=C"),
                             const_cast<char*>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nullptr};

struct Write {
  uv_write_t request;
  std::string text;
};

void write_to(uv_pipe_t& pipe, std::string text) {
  auto* const write = new Write{{}, std::move(text)};
  write->request.data = write;
  uv_buf_t buffer = uv_buf_init(write->text.data(), static_cast<unsigned>(write->text.size()));
  const auto written = [](uv_write_t* request, int) { delete static_cast<Write*>(request->data); };
  // One that cannot be written is a process that is ending, and its end is heard of.
  if (uv_write(&write->request, reinterpret_cast<uv_stream_t*>(&pipe), &buffer, 1, written) != 0) delete write;
}

int spawn(uv_loop_t* loop, uv_process_t& process, std::vector<std::string>& arguments,
          std::span<uv_stdio_container_t> stdio, uv_exit_cb ended) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  uv_process_options_t options{};
  options.exit_cb = ended;
  options.file = pointers[0];
  options.args = pointers.data();
  options.env = const_cast<char**>(environment);
  options.cwd = "/";
  options.stdio_count = static_cast<int>(stdio.size());
  options.stdio = stdio.data();
  return uv_spawn(loop, &process, &options);
}

uv_stdio_container_t pipe_for(uv_pipe_t& pipe, int direction) {
  uv_stdio_container_t container{};
  container.flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | direction);
  container.data.stream = reinterpret_cast<uv_stream_t*>(&pipe);
  return container;
}

template <class Owner>
void allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto& room = static_cast<Owner*>(handle->data)->room;
  *buffer = uv_buf_init(room.data(), static_cast<unsigned>(room.size()));
}

// ── a program that ends ──────────────────────────────────────────────────────────────────────────────────────────────

/// Deletes itself when its last handle is closed; its end is told once the process has ended and both pipes are dry.
struct Run {
  uv_process_t process{};
  uv_pipe_t input{}, output{}, complaint{};
  uv_timer_t timer{};
  std::array<char, 65'536> room;
  std::vector<std::string> arguments;
  std::size_t output_octets_max = 0;
  std::function<void(ProgramEnd)> done;
  ProgramEnd end;
  int open_handles = 0;
  int awaited = 3;  // exit, end of output, end of complaint
  bool is_overdue = false;

  void await_one_less() {
    if (--awaited > 0) return;
    for (uv_handle_t* handle :
         {as_handle(process), as_handle(input), as_handle(output), as_handle(complaint), as_handle(timer)})
      uv_close(handle, [](uv_handle_t* closed) {
        Run* const run = static_cast<Run*>(closed->data);
        if (--run->open_handles > 0) return;
        run->done(std::move(run->end));
        delete run;
      });
  }

  void take(uv_stream_t* stream, ssize_t size) {
    if (size < 0) {
      uv_read_stop(stream);
      await_one_less();
      return;
    }
    const bool is_output = stream == reinterpret_cast<uv_stream_t*>(&output);
    std::string& text = is_output ? end.output : end.complaint;
    const std::size_t limit = is_output ? output_octets_max : complaint_octets_max;
    text.append(room.data(), std::min(static_cast<std::size_t>(size), limit - std::min(limit, text.size())));
  }
};

}  // namespace

void run_program(uv_loop_t* loop, std::vector<std::string> arguments, std::string input, std::size_t output_octets_max,
                 std::function<void(ProgramEnd)> done) {
  auto* const run = new Run;
  run->arguments = std::move(arguments);
  run->output_octets_max = output_octets_max;
  run->done = std::move(done);
  run->open_handles = 5;
  for (uv_pipe_t* pipe : {&run->input, &run->output, &run->complaint}) uv_pipe_init(loop, pipe, 0);
  uv_timer_init(loop, &run->timer);
  for (uv_handle_t* handle : {as_handle(run->process), as_handle(run->input), as_handle(run->output),
                              as_handle(run->complaint), as_handle(run->timer)})
    handle->data = run;
  std::array<uv_stdio_container_t, 3> stdio{pipe_for(run->input, UV_READABLE_PIPE),
                                            pipe_for(run->output, UV_WRITABLE_PIPE),
                                            pipe_for(run->complaint, UV_WRITABLE_PIPE)};
  const int error =
      spawn(loop, run->process, run->arguments, stdio, [](uv_process_t* process, std::int64_t status, int signal) {
        Run* const ended = static_cast<Run*>(process->data);
        ended->end.succeeded = status == 0 && signal == 0;
        if (signal != 0) ended->end.complaint += "ended by signal " + std::to_string(signal);
        if (ended->is_overdue) ended->awaited = 1;
        ended->await_one_less();
      });
  if (error != 0) {
    run->end.complaint = run->arguments[0] + ": " + uv_strerror(error);
    run->awaited = 1;
    run->await_one_less();
    return;
  }
  for (uv_pipe_t* pipe : {&run->output, &run->complaint})
    uv_read_start(reinterpret_cast<uv_stream_t*>(pipe), allocate<Run>,
                  [](uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
                    static_cast<Run*>(stream->data)->take(stream, size);
                  });
  if (!input.empty()) write_to(run->input, std::move(input));
  // Its end of input comes after what was written.
  auto* const shutdown = new uv_shutdown_t;
  if (uv_shutdown(shutdown, reinterpret_cast<uv_stream_t*>(&run->input),
                  [](uv_shutdown_t* request, int) { delete request; }) != 0)
    delete shutdown;
  uv_timer_start(
      &run->timer,
      [](uv_timer_t* timer) {
        // Its own children may have the pipes, and may stay: they are not waited for.
        Run* const late = static_cast<Run*>(timer->data);
        late->is_overdue = true;
        if (uv_process_kill(&late->process, SIGKILL) == 0 && uv_is_active(as_handle(late->process)) != 0) return;
        late->awaited = 1;
        late->await_one_less();
      },
      static_cast<std::uint64_t>(program_patience.count()), 0);
}

ProgramEnd run_to_end(std::vector<std::string> arguments, std::string input) {
  uv_loop_t loop;
  check(uv_loop_init(&loop) == 0);
  ProgramEnd end;
  run_program(&loop, std::move(arguments), std::move(input), program_output_max,
              [&](ProgramEnd ended) { end = std::move(ended); });
  uv_run(&loop, UV_RUN_DEFAULT);
  check(uv_loop_close(&loop) == 0);
  return end;
}

// ── nft -i ───────────────────────────────────────────────────────────────────────────────────────────────────────────

namespace {

/// Under a line that it quotes nft points at what it means.
bool points(std::string_view line) {
  return line.find('^') != std::string_view::npos && line.find_first_not_of(" ^~") == std::string_view::npos;
}

/// Each error once, with some of what it points at: of each statement nft quotes the whole script, which is one line.
std::string folded(std::string_view said) {
  std::vector<std::string_view> lines, kept;
  for (; !said.empty(); said.remove_prefix(std::min(lines.back().size() + 1, said.size())))
    lines.push_back(said.substr(0, said.find('\n')));
  bool is_new = true;
  for (std::size_t at = 0; at < lines.size(); ++at) {
    std::string_view line = lines[at];
    const std::string_view below = at + 1 < lines.size() ? lines[at + 1] : std::string_view();
    if (line.empty() || points(line)) continue;
    if (!points(below)) is_new = std::find(kept.begin(), kept.end(), line) == kept.end();
    if (line.size() > quoted_octets_max)
      line = line.substr(points(below) ? std::min(below.find('^'), line.size()) : 0, quoted_octets_max);
    if (is_new) kept.push_back(line);
  }
  std::string text;
  for (const std::string_view line : kept) text += (text.empty() ? "" : "\n") + std::string(line);
  return text;
}

}  // namespace

struct NftShell::Process {
  struct Transaction {
    std::string sentinel;
    std::function<void(std::string)> done;
  };

  NftShell* owner;  // null once it is not wanted any more
  std::weak_ptr<const std::function<void()>> died;
  uv_process_t process{};
  uv_pipe_t input{}, complaint{};
  uv_timer_t timer{};
  std::array<char, 65'536> room;
  std::vector<std::string> arguments;
  std::deque<Transaction> waiting;
  std::string heard;
  int open_handles = 4;
  bool is_ending = false;

  explicit Process(NftShell& shell) : owner(&shell), died(shell.died_), arguments{shell.path_, "-i"} {
    uv_pipe_init(shell.loop_, &input, 0);
    uv_pipe_init(shell.loop_, &complaint, 0);
    uv_timer_init(shell.loop_, &timer);
    for (uv_handle_t* handle : {as_handle(process), as_handle(input), as_handle(complaint), as_handle(timer)})
      handle->data = this;
    std::array<uv_stdio_container_t, 3> stdio{pipe_for(input, UV_READABLE_PIPE), uv_stdio_container_t{},
                                              pipe_for(complaint, UV_WRITABLE_PIPE)};
    stdio[1].flags = UV_IGNORE;
    const int error = spawn(shell.loop_, process, arguments, stdio, [](uv_process_t* ended, std::int64_t, int) {
      static_cast<Process*>(ended->data)->close();
    });
    if (error != 0) {
      heard = arguments[0] + ": " + uv_strerror(error);
      close();
      return;
    }
    uv_read_start(reinterpret_cast<uv_stream_t*>(&complaint), allocate<Process>,
                  [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
                    if (size > 0)
                      static_cast<Process*>(stream->data)->hear({buffer->base, static_cast<std::size_t>(size)});
                    else if (size < 0)
                      uv_read_stop(stream);
                  });
  }

  void hear(std::string_view text) {
    if (owner == nullptr) return;  // who asked has gone
    heard += text;
    while (!waiting.empty()) {
      const std::size_t sentinel = heard.find(waiting.front().sentinel);
      if (sentinel == std::string::npos) {
        // Too much goes from its middle: at its end the sentinel may have begun.
        if (heard.size() > complaint_octets_max)
          heard.erase(complaint_octets_max / 2, heard.size() - complaint_octets_max);
        return;
      }
      // The sentinel's own complaint begins one line above the line that quotes it.
      const std::size_t quote = heard.rfind('\n', sentinel);
      const std::size_t begin = quote == std::string::npos || quote == 0 ? 0 : heard.rfind('\n', quote - 1) + 1;
      std::string said = folded(std::string_view(heard).substr(0, begin));
      heard.erase(0, std::min(heard.size(), heard.find('\n', sentinel)));
      auto done = std::move(waiting.front().done);
      waiting.pop_front();
      watch_time();
      done(std::move(said));
    }
    heard.clear();
  }

  void watch_time() {
    uv_timer_stop(&timer);
    if (waiting.empty()) return;
    uv_timer_start(
        &timer, [](uv_timer_t* late) { uv_process_kill(&static_cast<Process*>(late->data)->process, SIGKILL); },
        static_cast<std::uint64_t>(transaction_patience.count()), 0);
  }

  void close() {
    if (is_ending) return;
    is_ending = true;
    for (uv_handle_t* handle : {as_handle(process), as_handle(input), as_handle(complaint), as_handle(timer)})
      uv_close(handle, [](uv_handle_t* closed) {
        Process* const gone = static_cast<Process*>(closed->data);
        if (--gone->open_handles > 0) return;
        if (gone->owner != nullptr && gone->owner->process_ == gone) gone->owner->process_ = nullptr;
        for (Transaction& transaction : gone->waiting)
          transaction.done("nft has ended" + (gone->heard.empty() ? std::string() : ": " + gone->heard));
        if (const auto died = gone->died.lock()) (*died)();
        delete gone;
      });
  }
};

NftShell::NftShell(uv_loop_t* loop, std::string path, std::function<void()> died)
    : loop_(loop), path_(std::move(path)), died_(std::make_shared<const std::function<void()>>(std::move(died))) {}

NftShell::~NftShell() {
  end();
}

void NftShell::run(const std::string& line, std::function<void(std::string)> done) {
  if (process_ == nullptr || process_->is_ending) {
    if (process_ != nullptr) process_->owner = nullptr;
    process_ = new Process(*this);
  }
  const std::string sentinel = "doline_end_of_" + std::to_string(++transactions_) + "_";
  process_->waiting.push_back({sentinel, std::move(done)});
  if (process_->is_ending) return;
  process_->watch_time();
  write_to(process_->input, line + "\nlist table inet " + sentinel + "\n");
}

void NftShell::end() {
  if (process_ == nullptr) return;
  process_->owner = nullptr;
  process_->died.reset();
  if (!process_->is_ending) uv_process_kill(&process_->process, SIGKILL);
  process_ = nullptr;
}

bool NftShell::is_running() const {
  return process_ != nullptr && !process_->is_ending;
}

}  // namespace doline::warden
