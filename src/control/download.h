// Downloads: files fetched by HTTP(S) into a file, any number at once, on the control loop (libcurl's multi interface).
//
// Control thread only; nothing here blocks but writes to the local disk. A server may be broken, slow or hostile:
// redirects, octets (after decompression) and time are bounded, certificates are verified, and no answer leads to an
// address nearer to us than the one the operator named. What a text is worth is for the caller to judge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "control/loop.h"

namespace doline::control {

inline constexpr std::uint64_t download_octets_max = std::uint64_t{256} << 20;  ///< as it lies in the file
inline constexpr long download_redirects_max = 3;
inline constexpr seconds download_patience{15 * 60};        ///< for all of it
inline constexpr seconds download_connect_patience{20};     ///< for name, TCP and TLS
inline constexpr long download_octets_per_second_min = 64;  ///< slower than this for download_stall: given up
inline constexpr seconds download_stall{30};
inline constexpr std::size_t validator_octets_max = 512;  ///< of an ETag or a date; a longer one is not kept

struct DownloadOrder {
  std::string url{};             ///< http or https
  std::filesystem::path file{};  ///< made anew; removed again unless there is a new body
  std::string etag{};            ///< of the copy at hand, as the server wrote it; empty: none
  std::string last_modified{};   ///< likewise
  std::uint64_t octets_max = download_octets_max;
  seconds patience = download_patience;
};

struct Downloaded {
  bool is_unchanged = false;  ///< 304: the copy at hand is still right, and there is no file
  std::uint64_t octets = 0;   ///< in the file; not yet forced onto the disk
  /// Its length or its framing says that nothing is missing; else the end of the connection was its only end.
  bool is_whole = false;
  std::string etag, last_modified;  ///< empty: none
};

struct DownloadFault {
  std::string text;                    ///< a sentence's end: "the server says 404", "no octet came for 30 s"
  std::optional<seconds> retry_after;  ///< what the server asked for
};

class Downloads {
 public:
  using Done = std::function<void(const Result<Downloaded, DownloadFault>&)>;

  explicit Downloads(Loop& loop);
  /// What is under way is given up, without a call.
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  /// `done` is called once, on the loop, never from within this call. The number is for cancel().
  std::uint64_t fetch(DownloadOrder order, Done done);
  /// Its `done` is not called; its file is removed. A number that is over is no mistake.
  void cancel(std::uint64_t number);
  [[nodiscard]] std::size_t under_way() const;

 private:
  struct Transfer;
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

/// Why a connection to `address` is refused; empty: it is not. `host`: of the URL. `first`: the address that the first
/// request of this download went to; nothing: this is the first. The operator may name anything; a server may not send
/// us to an address nearer than its own (this machine and its links < the LAN < everywhere), and a name must not turn
/// out to be this machine.
[[nodiscard]] std::string_view why_refused(std::string_view host, const IpAddress& address,
                                           const std::optional<IpAddress>& first);
/// For messages: without user, password, query and fragment.
[[nodiscard]] std::string to_shown_url(std::string_view url);

}  // namespace doline::control
