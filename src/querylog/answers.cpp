#include "querylog/answers.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dns/presentation.h"

namespace doline::querylog {

namespace {

// How a record begins: whose it is.
constexpr std::uint8_t owner_is_qname = 0;
constexpr std::uint8_t owner_as_before = 1;   // as the record before
constexpr std::uint8_t owner_is_target = 2;   // of the CNAME before
constexpr std::uint8_t owner_follows = 3;     // in wire form
constexpr std::uint8_t shortened = 4;         // not a record: more was answered
constexpr std::uint8_t class_follows = 0x80;  // bit; else IN

void put_number(std::vector<std::uint8_t>& octets, std::uint32_t number) {
  for (; number >= 0x80; number >>= 7) octets.push_back(static_cast<std::uint8_t>(number | 0x80));
  octets.push_back(static_cast<std::uint8_t>(number));
}

class Reader {
 public:
  explicit Reader(dns::Octets octets) : rest_(octets) {}
  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  bool octet(std::uint8_t& value) {
    if (rest_.empty()) return false;
    value = rest_[0];
    rest_ = rest_.subspan(1);
    return true;
  }
  bool number(std::uint32_t& value) {
    value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      std::uint8_t part;
      if (!octet(part)) return false;
      value |= static_cast<std::uint32_t>(part & 0x7f) << shift;
      if ((part & 0x80) == 0) return true;
    }
    return false;
  }
  bool name(dns::Name& value) {
    const auto read = dns::Name::from_wire(rest_);
    if (!read) return false;
    value = *read;
    rest_ = rest_.subspan(value.size());
    return true;
  }
  bool octets(std::size_t count, dns::Octets& value) {
    if (count > rest_.size()) return false;
    value = rest_.first(count);
    rest_ = rest_.subspan(count);
    return true;
  }

 private:
  dns::Octets rest_;
};

bool same_rrset(const EncodedAnswers::Item& left, const EncodedAnswers::Item& right) {
  return left.type == right.type && left.record_class == right.record_class && left.owner == right.owner;
}

/// Records of one RRset in the order of their RDATA; RRsets and chains stay as they came.
void sort_rrsets(EncodedAnswers& into) {
  auto& items = into.items;
  const auto less = [&](const EncodedAnswers::Item& left, const EncodedAnswers::Item& right) {
    const std::uint8_t* rdata = into.rdata.data();
    return std::lexicographical_compare(rdata + left.rdata_at, rdata + left.rdata_at + left.rdata_octets,
                                        rdata + right.rdata_at, rdata + right.rdata_at + right.rdata_octets);
  };
  for (auto begin = items.begin(); begin != items.end();) {
    const auto end = std::find_if(begin + 1, items.end(), [&](const auto& item) { return !same_rrset(*begin, item); });
    std::sort(begin, end, less);
    begin = end;
  }
}

std::uint32_t word_at(dns::Octets octets, std::size_t at) {
  return static_cast<std::uint32_t>(octets[at]) << 8 | octets[at + 1];
}

/// Most answers are some addresses of the QNAME itself, and nothing else follows them but OPT; what would be written
/// for them is plain without reading names. False: not such a one, and nothing was written.
bool encode_addresses(dns::Octets response, const dns::Name& qname, EncodedAnswers& into) {
  constexpr std::size_t fixed_octets = 12;  // the pointer to the QNAME, TYPE, CLASS, TTL, RDLENGTH
  const std::size_t count = word_at(response, 6);
  const std::size_t first = dns::header_octets + qname.size() + 4;
  if (word_at(response, 4) != 1 || word_at(response, 8) != 0 || count > answers_max || (response[2] & 0x02) != 0)
    return false;
  if (first + fixed_octets > response.size()) return false;
  const dns::Octets asked = response.subspan(dns::header_octets, qname.size());
  if (!std::equal(asked.begin(), asked.end(), qname.wire().begin()) && dns::Name::from_wire(asked) != qname)
    return false;
  const std::uint32_t type = word_at(response, first + 2);
  const std::size_t size = type == static_cast<int>(dns::RecordType::a)      ? 4
                           : type == static_cast<int>(dns::RecordType::aaaa) ? 16
                                                                             : 0;
  const std::size_t step = fixed_octets + size, end = first + count * step;
  if (size == 0 || end > response.size() || count * (size + 3) + dns::name_octets_max + 16 > answer_octets_max)
    return false;
  const std::size_t additional = word_at(response, 10);
  constexpr std::size_t empty_opt_octets = 11;
  if (additional > 1 || response.size() < end + additional * empty_opt_octets) return false;
  if (additional == 1 && (response[end] != 0 || word_at(response, end + 1) != static_cast<int>(dns::RecordType::opt) ||
                          response.size() != end + empty_opt_octets + word_at(response, end + 9)))
    return false;
  if (additional == 0 && response.size() != end) return false;
  // Pointer, TYPE and CLASS are the same in all.
  if (word_at(response, first) != (0xc000 | dns::header_octets) ||
      word_at(response, first + 4) != static_cast<int>(dns::RecordClass::in))
    return false;
  std::array<const std::uint8_t*, answers_max> rdata;  // of each record
  std::uint32_t ttl = UINT32_MAX;
  for (std::size_t number = 0; number < count; ++number) {
    const std::size_t at = first + number * step;
    if (std::memcmp(response.data() + at, response.data() + first, 6) != 0 || word_at(response, at + 10) != size)
      return false;
    ttl = std::min(ttl, word_at(response, at + 6) << 16 | word_at(response, at + 8));
    rdata[number] = response.data() + at + fixed_octets;
  }
  into.ttl = ttl;
  std::sort(rdata.begin(), rdata.begin() + static_cast<std::ptrdiff_t>(count),
            [size](const std::uint8_t* left, const std::uint8_t* right) { return std::memcmp(left, right, size) < 0; });
  std::array<std::uint8_t, answer_octets_max> encoded;
  std::uint8_t* to = encoded.data();
  for (std::size_t number = 0; number < count; ++number) {
    *to++ = owner_is_qname;
    *to++ = static_cast<std::uint8_t>(type);
    *to++ = static_cast<std::uint8_t>(size);
    to = std::copy_n(rdata[number], size, to);
  }
  into.octets.insert(into.octets.end(), encoded.data(), to);
  return true;
}

}  // namespace

void encode_answers(dns::Octets response, const dns::Name& qname, EncodedAnswers& into) {
  const std::size_t begin = into.octets.size();
  into.items.clear();
  into.rdata.clear();
  into.ttl = 0;
  if (response.size() < dns::header_octets) return;
  const bool is_truncated = (response[2] & 0x02) != 0;
  if (response[6] == 0 && response[7] == 0) {  // ANCOUNT
    if (is_truncated) into.octets.push_back(shortened);
    return;
  }
  if (encode_addresses(response, qname, into)) return;
  const auto view = dns::ResponseView::parse(response);
  if (!view) return;
  bool is_shortened = is_truncated;
  for (const dns::RecordView& record : *view) {
    if (record.section != dns::Section::answer) break;
    into.ttl = into.items.empty() ? record.ttl : std::min(into.ttl, record.ttl);
    if (into.items.size() == answers_max || into.rdata.size() + record.rdata.size() > answer_octets_max) {
      is_shortened = true;
      break;
    }
    const auto at = static_cast<std::uint32_t>(into.rdata.size());
    if (record.type == dns::RecordType::a || record.type == dns::RecordType::aaaa) {
      into.rdata.insert(into.rdata.end(), record.rdata.begin(), record.rdata.end());
    } else {
      const dns::Record whole = dns::to_record(*view, record);
      into.rdata.insert(into.rdata.end(), whole.rdata.begin(), whole.rdata.end());
    }
    into.items.push_back({view->owner(record).lowered(), record.type, record.record_class, at,
                          static_cast<std::uint32_t>(into.rdata.size()) - at});
  }
  sort_rrsets(into);

  dns::Name before = qname;
  dns::Name target = qname;
  for (const auto& item : into.items) {
    const dns::Octets rdata = dns::Octets(into.rdata).subspan(item.rdata_at, item.rdata_octets);
    if (into.octets.size() - begin + item.rdata_octets + dns::name_octets_max + 16 > answer_octets_max) {
      is_shortened = true;
      break;
    }
    std::uint8_t owner = owner_follows;
    if (item.owner == qname)
      owner = owner_is_qname;
    else if (item.owner == before)
      owner = owner_as_before;
    else if (item.owner == target)
      owner = owner_is_target;
    const bool is_internet = item.record_class == dns::RecordClass::in;
    into.octets.push_back(is_internet ? owner : owner | class_follows);
    if (!is_internet) put_number(into.octets, static_cast<std::uint16_t>(item.record_class));
    if (owner == owner_follows) {
      const auto wire = item.owner.wire();
      into.octets.insert(into.octets.end(), wire.begin(), wire.end());
    }
    put_number(into.octets, static_cast<std::uint16_t>(item.type));
    put_number(into.octets, item.rdata_octets);
    into.octets.insert(into.octets.end(), rdata.begin(), rdata.end());
    before = item.owner;
    if (item.type == dns::RecordType::cname) {
      if (const auto name = dns::Name::from_wire(rdata)) target = *name;
    }
  }
  if (is_shortened) into.octets.push_back(shortened);
}

DecodedAnswers decode_answers(dns::Octets octets, const dns::Name& qname) {
  DecodedAnswers decoded;
  Reader reader(octets);
  dns::Name before = qname;
  dns::Name target = qname;
  while (!reader.is_at_end() && decoded.answers.size() < answers_max) {
    Answer answer;
    std::uint8_t how = 0;
    std::uint32_t record_class = static_cast<std::uint16_t>(dns::RecordClass::in), type = 0, size = 0;
    dns::Octets rdata;
    reader.octet(how);
    if (how == shortened) {
      decoded.is_shortened = true;
      break;
    }
    if ((how & class_follows) != 0 && !reader.number(record_class)) break;
    switch (how & ~class_follows) {
      case owner_is_qname:
        answer.owner = qname;
        break;
      case owner_as_before:
        answer.owner = before;
        break;
      case owner_is_target:
        answer.owner = target;
        break;
      case owner_follows:
        if (!reader.name(answer.owner)) return decoded;
        break;
      default:
        return decoded;
    }
    if (!reader.number(type) || !reader.number(size) || !reader.octets(size, rdata)) break;
    answer.type = static_cast<dns::RecordType>(type);
    answer.record_class = static_cast<dns::RecordClass>(record_class);
    answer.rdata.assign(rdata.begin(), rdata.end());
    before = answer.owner;
    if (answer.type == dns::RecordType::cname) {
      if (const auto name = dns::Name::from_wire(rdata)) target = *name;
    }
    decoded.answers.push_back(std::move(answer));
  }
  return decoded;
}

std::vector<IpAddress> answer_addresses(dns::Octets octets) {
  std::vector<IpAddress> addresses;
  for (const Answer& answer : decode_answers(octets, dns::Name()).answers)
    if (answer.record_class == dns::RecordClass::in &&
        ((answer.type == dns::RecordType::a && answer.rdata.size() == 4) ||
         (answer.type == dns::RecordType::aaaa && answer.rdata.size() == 16)))
      addresses.push_back(IpAddress::from_octets(answer.rdata));
  return addresses;
}

}  // namespace doline::querylog
