#include "control/download.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "control/curl_library.h"

namespace doline::control {

namespace {

/// How near to us: a server must not lead us from far to near.
enum class Reach : std::uint8_t { everywhere, lan, this_machine };

Reach reach_of(const IpAddress& address) {
  if (address.is_loopback() || address.is_link_local()) return Reach::this_machine;
  return address.is_private() ? Reach::lan : Reach::everywhere;
}

std::string header_of(const CurlLibrary& curl, CURL* easy, const char* name) {
  curl_header* header = nullptr;
  if (curl.easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return {};
  const std::string_view value = header->value;
  // It is sent back one day and kept in a file: nothing but printable ASCII.
  const auto is_printable = [](char letter) { return letter >= ' ' && letter <= '~'; };
  if (value.size() > validator_octets_max || !std::all_of(value.begin(), value.end(), is_printable)) return {};
  return std::string(value);
}

}  // namespace

std::string_view why_refused(std::string_view host, const IpAddress& address, const std::optional<IpAddress>& first) {
  if (address.is_unspecified()) return "its name leads nowhere (0.0.0.0): is it on a list itself?";
  if (address.is_multicast()) return "its address is no server's";
  if (first) {
    if (reach_of(address) > reach_of(*first)) return "the server sends us to an address of our own network";
    return {};
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool is_said_so = host == "localhost" || IpAddress::parse(host).has_value();
  if (!is_said_so && reach_of(address) == Reach::this_machine) return "its name leads to this machine";
  return {};
}

std::string to_shown_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  std::string_view rest = url.substr(start);
  rest = rest.substr(0, rest.find_first_of("?#"));
  const std::size_t at = rest.substr(0, rest.find('/')).rfind('@');
  if (at != std::string_view::npos) rest.remove_prefix(at + 1);
  return std::string(url.substr(0, start)) + std::string(rest);
}

/// One download under way. curl keeps pointers to it.
struct Downloads::Transfer {
  std::uint64_t number = 0;
  DownloadOrder order;
  Done done;
  const CurlLibrary& curl;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  int file = -1;
  std::uint64_t octets = 0;
  std::optional<IpAddress> first;  // where the first request went
  std::string trouble;             // ours, where curl could only say that a callback failed
  std::array<char, CURL_ERROR_SIZE> curl_says{};

  explicit Transfer(const CurlLibrary& library) : curl(library) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy) curl.easy_cleanup(easy);
    curl.slist_free_all(headers);
    if (file >= 0) close(file);
  }

  bool open_file();
  void drop_file();
  void prepare();
  bool write(const char* data, std::size_t size);
  curl_socket_t open_socket(curl_sockaddr& wanted);
  Result<Downloaded, DownloadFault> result(CURLcode code);
};

struct Downloads::Engine {
  explicit Engine(Loop& control_loop) : loop(control_loop) {}
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Once, before the first transfer. False: there is no curl, and `trouble` says why.
  bool begin();
  void refuse(std::uint64_t number, Done done, std::string why);
  void watch_socket(curl_socket_t socket, int what);
  void watch_timer(long timeout_milliseconds);
  void act(curl_socket_t socket, int events);
  void finish();
  std::unique_ptr<Transfer> take(std::uint64_t number);

  Loop& loop;
  const CurlLibrary* library = nullptr;
  std::string trouble;
  CURLM* multi = nullptr;
  std::map<std::uint64_t, std::unique_ptr<Transfer>> transfers;
  std::map<curl_socket_t, Watch> sockets;
  Watch timer, refusals;
  std::map<std::uint64_t, std::pair<Done, std::string>> refused;  // orders that could not even begin, and why
  std::uint64_t last_number = 0;
};

// ── One transfer ─────────────────────────────────────────────────────────────────────────────────────────────────────

bool Downloads::Transfer::open_file() {
  file = open(order.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) trouble = order.file.string() + " cannot be written: " + std::strerror(errno);
  return file >= 0;
}

void Downloads::Transfer::drop_file() {
  if (file < 0) return;
  close(std::exchange(file, -1));
  unlink(order.file.c_str());
}

void Downloads::Transfer::prepare() {
  easy = curl.easy_init();
  check(easy != nullptr);
  const auto set = [this](CURLoption option, auto value) { check(curl.easy_setopt(easy, option, value) == CURLE_OK); };
  const bool is_secret = order.url.size() >= 6 && curl.strnequal(order.url.c_str(), "https:", 6) != 0;
  set(CURLOPT_URL, order.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, is_secret ? "https" : "http,https");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, download_redirects_max);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_PROXY, "");         // nor one from the environment: why_refused() could not see behind it
  set(CURLOPT_FORBID_REUSE, 1L);  // else a redirect might find a connection open that it may not open
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);       // does not wait for a look-up when it gives up
  set(CURLOPT_ACCEPT_ENCODING, "");  // all that curl can undo; write() counts what comes out
  set(CURLOPT_USERAGENT, "Doline");
  set(CURLOPT_ERRORBUFFER, curl_says.data());
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(order.octets_max));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(milliseconds(order.patience).count()));
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(milliseconds(download_connect_patience).count()));
  set(CURLOPT_LOW_SPEED_LIMIT, download_octets_per_second_min);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(download_stall.count()));
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(
      CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t, std::size_t size, void* self) -> std::size_t {
        return static_cast<Transfer*>(self)->write(data, size) ? size : CURL_WRITEFUNC_ERROR;
      });
  set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set(
      CURLOPT_OPENSOCKETFUNCTION, +[](void* self, curlsocktype, curl_sockaddr* wanted) -> curl_socket_t {
        return static_cast<Transfer*>(self)->open_socket(*wanted);
      });
  const auto add = [this](const std::string& line) { headers = curl.slist_append(headers, line.c_str()); };
  if (!order.etag.empty()) add("If-None-Match: " + order.etag);
  if (!order.last_modified.empty()) add("If-Modified-Since: " + order.last_modified);
  if (headers) set(CURLOPT_HTTPHEADER, headers);
}

bool Downloads::Transfer::write(const char* data, std::size_t size) {
  if (octets + size > order.octets_max) {
    trouble = "it is larger than " + std::to_string(order.octets_max >> 20) + " MiB";
    return false;
  }
  octets += size;
  while (size > 0) {
    const ssize_t wrote = ::write(file, data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      trouble = order.file.string() + " cannot be written: " + std::strerror(errno);
      return false;
    }
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

curl_socket_t Downloads::Transfer::open_socket(curl_sockaddr& wanted) {
  long redirects = 0;
  char* url_text = nullptr;
  curl.easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &redirects);
  const bool is_first = redirects == 0;
  const IpAddress address = to_endpoint(&wanted.addr).address;
  std::string host;
  if (CURLU* url = curl.url(); url) {
    if (curl.url_set(url, CURLUPART_URL, order.url.c_str(), CURLU_GUESS_SCHEME) == CURLUE_OK &&
        curl.url_get(url, CURLUPART_HOST, &url_text, 0) == CURLUE_OK) {
      host = url_text;
      curl.free(url_text);
    }
    curl.url_cleanup(url);
  }
  if (const auto refusal = why_refused(host, address, is_first ? std::nullopt : first); !refusal.empty()) {
    trouble = refusal;
    return CURL_SOCKET_BAD;
  }
  // Of several addresses of the first host the farthest counts: which one answers is not known here.
  if (is_first && (!first || reach_of(address) < reach_of(*first))) first = address;
  return socket(wanted.family, wanted.socktype | SOCK_CLOEXEC, wanted.protocol);
}

Result<Downloaded, DownloadFault> Downloads::Transfer::result(CURLcode code) {
  long status = 0;
  curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) {
    DownloadFault fault;
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      fault.text = "the server says " + std::to_string(status);
      curl_off_t wait = 0;
      if (curl.easy_getinfo(easy, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        fault.retry_after = seconds(wait);
    } else if (!trouble.empty() && (code == CURLE_WRITE_ERROR || code == CURLE_COULDNT_CONNECT)) {
      fault.text = trouble;
    } else if (code == CURLE_PARTIAL_FILE) {
      fault.text = "it was cut off after " + std::to_string(octets) + " octets";
    } else if (code == CURLE_FILESIZE_EXCEEDED) {
      fault.text = "it is larger than " + std::to_string(order.octets_max >> 20) + " MiB";
    } else {
      fault.text = curl_says[0] != '\0' ? curl_says.data() : curl.easy_strerror(code);
    }
    return fail(std::move(fault));
  }
  Downloaded downloaded;
  if (status == 304 && headers) {
    downloaded.is_unchanged = true;
    return downloaded;
  }
  if (status != 200) return fail(DownloadFault{"the server says " + std::to_string(status), std::nullopt});
  if (const int failed = close(std::exchange(file, -1)); failed != 0)
    return fail(DownloadFault{order.file.string() + " cannot be written: " + std::strerror(errno), std::nullopt});
  downloaded.octets = octets;
  downloaded.etag = header_of(curl, easy, "etag");
  downloaded.last_modified = header_of(curl, easy, "last-modified");
  curl_off_t length = -1;
  long version = 0;
  curl.easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  curl.easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
  downloaded.is_whole =
      length >= 0 || version >= CURL_HTTP_VERSION_2_0 || !header_of(curl, easy, "transfer-encoding").empty();
  return downloaded;
}

// ── All of them ──────────────────────────────────────────────────────────────────────────────────────────────────────

bool Downloads::Engine::begin() {
  if (multi != nullptr) return true;
  const auto loaded = CurlLibrary::load();
  if (!loaded) {
    trouble = loaded.error();
    return false;
  }
  library = *loaded;
  multi = library->multi_init();
  check(multi != nullptr);
  // Each download has its own connection and its limits.
  library->multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  library->multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  library->multi_setopt(
      multi, CURLMOPT_SOCKETFUNCTION, +[](CURL*, curl_socket_t socket, int what, void* self, void*) {
        static_cast<Engine*>(self)->watch_socket(socket, what);
        return 0;
      });
  library->multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  library->multi_setopt(
      multi, CURLMOPT_TIMERFUNCTION, +[](CURLM*, long timeout, void* self) {
        static_cast<Engine*>(self)->watch_timer(timeout);
        return 0;
      });
  return true;
}

void Downloads::Engine::refuse(std::uint64_t number, Done done, std::string why) {
  refused.emplace(number, std::pair(std::move(done), std::move(why)));
  refusals = loop.after(milliseconds(0), [this] {
    // One by one: a call may cancel the next, or fetch, which is for the timer's next time.
    for (const std::uint64_t last = last_number; !refused.empty() && refused.begin()->first <= last;) {
      auto [call, text] = std::move(refused.begin()->second);
      refused.erase(refused.begin());
      call(fail(DownloadFault{std::move(text), std::nullopt}));
    }
  });
}

Downloads::Engine::~Engine() {
  while (!transfers.empty()) take(transfers.begin()->first)->drop_file();
  if (multi != nullptr) library->multi_cleanup(multi);
}

void Downloads::Engine::watch_socket(curl_socket_t socket, int what) {
  sockets.erase(socket);  // the old watch ends first: libuv has one for each descriptor
  if (what == CURL_POLL_REMOVE) return;
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  sockets[socket] = loop.on_events(socket, events, [this, socket](int happened) {
    act(socket, ((happened & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                    ((happened & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0) |
                    ((happened & UV_DISCONNECT) != 0 ? CURL_CSELECT_ERR : 0));
  });
}

void Downloads::Engine::watch_timer(long timeout_milliseconds) {
  timer = timeout_milliseconds < 0
              ? Watch()
              : loop.after(milliseconds(timeout_milliseconds), [this] { act(CURL_SOCKET_TIMEOUT, 0); });
}

void Downloads::Engine::act(curl_socket_t socket, int events) {
  int running = 0;
  library->multi_socket_action(multi, socket, events, &running);
  finish();
}

void Downloads::Engine::finish() {
  // All of them first, then their calls: a call may fetch, or cancel what has ended with it.
  std::vector<std::pair<std::uint64_t, CURLcode>> ended;
  int left = 0;
  while (const CURLMsg* message = library->multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* transfer = nullptr;
    library->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    ended.emplace_back(static_cast<Transfer*>(transfer)->number, message->data.result);
  }
  for (const auto& [number, code] : ended) {
    const auto transfer = take(number);
    if (!transfer) continue;
    const auto result = transfer->result(code);
    transfer->drop_file();  // where result() has not taken it
    transfer->done(result);
  }
}

std::unique_ptr<Downloads::Transfer> Downloads::Engine::take(std::uint64_t number) {
  const auto found = transfers.find(number);
  if (found == transfers.end()) return nullptr;
  auto transfer = std::move(found->second);
  transfers.erase(found);
  if (transfer->easy) library->multi_remove_handle(multi, transfer->easy);
  return transfer;
}

Downloads::Downloads(Loop& loop) : engine_(std::make_unique<Engine>(loop)) {}
Downloads::~Downloads() = default;

std::uint64_t Downloads::fetch(DownloadOrder order, Done done) {
  const std::uint64_t number = ++engine_->last_number;
  if (!engine_->begin()) {
    engine_->refuse(number, std::move(done), engine_->trouble);
    return number;
  }
  auto transfer = std::make_unique<Transfer>(*engine_->library);
  Transfer& it = *transfer;
  it.number = number;
  it.order = std::move(order);
  if (!it.open_file()) {
    engine_->refuse(number, std::move(done), std::move(it.trouble));
    return number;
  }
  it.done = std::move(done);
  it.prepare();
  engine_->transfers.emplace(number, std::move(transfer));
  check(it.curl.multi_add_handle(engine_->multi, it.easy) == CURLM_OK);  // arms the timer
  return number;
}

void Downloads::cancel(std::uint64_t number) {
  engine_->refused.erase(number);
  if (const auto transfer = engine_->take(number)) transfer->drop_file();
}

std::size_t Downloads::under_way() const {
  return engine_->transfers.size() + engine_->refused.size();
}

}  // namespace doline::control
