#include "policy/safe_search.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace doline::policy {

namespace {

/// Google, YouTube (both modes and the five names), Bing and DuckDuckGo as their pages for administrators say ("Lock
/// SafeSearch for accounts, devices and networks you manage", "Manage your organization's YouTube settings", "Block
/// adult content with SafeSearch", "Safe Search"). Brave and Yandex as OpenWrt's package adblock has them, Ecosia,
/// Pixabay and Qwant as AdGuard's registry of safe search rules. All but Brave and Qwant are so in AdGuard Home of
/// August 2026 too.
constexpr std::array engines{
    SafeEngine{"google", "forcesafesearch.google.com", ""},
    SafeEngine{"bing", "strict.bing.com", "www.bing.com bing.com edgeservices.bing.com"},
    SafeEngine{"duckduckgo", "safe.duckduckgo.com", "duckduckgo.com www.duckduckgo.com start.duckduckgo.com"},
    SafeEngine{"youtube", "restrict.youtube.com",
               "www.youtube.com m.youtube.com youtubei.googleapis.com youtube.googleapis.com www.youtube-nocookie.com"},
    SafeEngine{"youtube-moderate", "restrictmoderate.youtube.com",
               "www.youtube.com m.youtube.com youtubei.googleapis.com youtube.googleapis.com www.youtube-nocookie.com"},
    SafeEngine{"brave", "forcesafe.search.brave.com", "search.brave.com"},
    SafeEngine{"ecosia", "strict-safe-search.ecosia.org", "www.ecosia.org ecosia.org"},
    SafeEngine{"pixabay", "safesearch.pixabay.com", "pixabay.com www.pixabay.com"},
    SafeEngine{"qwant", "safeapi.qwant.com", "api.qwant.com"},
    SafeEngine{"yandex", "familysearch.yandex.ru",
               "ya.ru www.ya.ru yandex.ru www.yandex.ru yandex.com www.yandex.com yandex.by www.yandex.by yandex.kz "
               "www.yandex.kz yandex.uz www.yandex.uz yandex.com.tr www.yandex.com.tr yandex.az yandex.com.am "
               "yandex.co.il yandex.com.ge yandex.ee yandex.fr yandex.kg yandex.lt yandex.lv yandex.md yandex.tj "
               "yandex.tm yandex.ua"},
};

/// What stands behind `google.`, in all countries.
constexpr std::string_view google_endings =
    "com co ad ae al am as at az ba be bf bg bi bj bs bt by ca cat cd cf cg ch ci cl cm cn cv cz de dj dk dm dz ee es "
    "fi fm fr ga ge gg gl gm gp gr gy hn hr ht hu ie im iq is it je jo kg ki kz la li lk lt lu lv md me mg mk ml mn "
    "ms mu mv mw ne nl no nr nu pl pn ps pt ro rs ru rw sc se sh si sk sm sn so sr st td tg tk tl tm tn to tt vg vu "
    "ws co.ao co.bw co.ck co.cr co.id co.il co.in co.jp co.ke co.kr co.ls co.ma co.mz co.nz co.th co.tz co.ug co.uk "
    "co.uz co.ve co.vi co.za co.zm co.zw com.af com.ag com.ai com.ar com.au com.bd com.bh com.bn com.bo com.br com.by "
    "com.bz com.co com.cu com.cy com.do com.ec com.eg com.et com.fj com.gh com.gi com.gt com.hk com.jm com.kh com.kw "
    "com.lb com.ly com.mm com.mt com.mx com.my com.na com.nf com.ng com.ni com.np com.om com.pa com.pe com.pg com.ph "
    "com.pk com.pr com.py com.qa com.sa com.sb com.sg com.sl com.sv com.tj com.tr com.tw com.ua com.uy com.vc com.vn";

template <class Take>
void each_word(std::string_view words, Take take) {
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    take(word);
  }
}

}  // namespace

std::span<const SafeEngine> safe_engines() {
  return engines;
}

std::vector<dns::Name> names_of(const SafeEngine& engine) {
  std::vector<dns::Name> names;
  const auto add = [&](const std::string& text) {
    const auto name = dns::Name::parse(text);
    check(name.has_value());
    names.push_back(*name);
  };
  each_word(engine.names, [&](std::string_view name) { add(std::string(name)); });
  if (!names.empty()) return names;
  each_word(google_endings, [&](std::string_view ending) {
    add("google." + std::string(ending));
    add("www.google." + std::string(ending));
  });
  return names;
}

}  // namespace doline::policy
