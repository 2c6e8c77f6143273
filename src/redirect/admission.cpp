#include "redirect/admission.h"

#include <algorithm>

#include "base/check.h"
#include "redirect/wire.h"

namespace doline::redirect {

seconds time_left(const Admission& admission) {
  return std::clamp(seconds(admission.ttl_seconds), admission_min, admission_max) + admission_grace -
         seconds(admission.age_seconds);
}

bool may_be_admitted(const IpAddress& address) {
  return address.is_unicast() && !address.is_loopback() && !address.is_link_local();
}

std::size_t count_that_fit(std::span<const Admission> admissions) {
  std::size_t count = 0, size = 0;
  for (const Admission& admission : admissions) {
    size += admission.size();
    if (count == admissions_per_message || size > admitted_per_message) break;
    ++count;
  }
  return count;
}

void write(WireWriter& out, std::span<const Admission> admissions) {
  check(count_that_fit(admissions) == admissions.size());
  out.list(admissions, [&](const Admission& admission) {
    out.integer(admission.ticket);
    out.integer(static_cast<std::uint8_t>(admission.purpose));
    out.integer(admission.ttl_seconds);
    out.integer(admission.age_seconds);
    out.list(admission.devices, [&](const device::MacAddress& mac) { out.mac(mac); });
    out.list(admission.addresses, [&](const IpAddress& address) { out.address(address); });
  });
}

std::vector<Admission> read_admissions(WireReader& in) {
  auto admissions = in.list<Admission>(admissions_per_message, [&] {
    Admission admission;
    admission.ticket = in.integer<std::uint32_t>();
    admission.purpose = in.enumerator(Purpose::doh);
    admission.ttl_seconds = in.integer<std::uint32_t>();
    admission.age_seconds = in.integer<std::uint32_t>();
    admission.devices = in.list<device::MacAddress>(admitted_per_message, [&] { return in.mac(); });
    admission.addresses = in.list<IpAddress>(admitted_per_message, [&] { return in.address(); });
    return admission;
  });
  if (count_that_fit(admissions) != admissions.size()) in.fail();
  return admissions;
}

std::vector<std::uint8_t> write_admissions(std::span<const Admission> admissions) {
  WireWriter out;
  write(out, admissions);
  return out.take();
}

Result<std::vector<Admission>, MessageFault> parse_admissions(std::span<const std::uint8_t> octets) {
  WireReader in(octets);
  auto admissions = read_admissions(in);
  if (!in.is_complete()) return fail(MessageFault::malformed);
  return admissions;
}

std::vector<std::uint8_t> write_admission_answers(std::span<const AdmissionAnswer> answers) {
  check(answers.size() <= admissions_per_message);
  WireWriter out;
  out.list(answers, [&](const AdmissionAnswer& answer) {
    out.integer(answer.ticket);
    out.integer(static_cast<std::uint8_t>(answer.is_admitted));
  });
  return out.take();
}

Result<std::vector<AdmissionAnswer>, MessageFault> parse_admission_answers(std::span<const std::uint8_t> octets) {
  WireReader in(octets);
  auto answers = in.list<AdmissionAnswer>(admissions_per_message, [&] {
    AdmissionAnswer answer;
    answer.ticket = in.integer<std::uint32_t>();
    answer.is_admitted = in.boolean();
    return answer;
  });
  if (!in.is_complete()) return fail(MessageFault::malformed);
  return answers;
}

}  // namespace doline::redirect
