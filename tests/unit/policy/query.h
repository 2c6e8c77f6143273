// A query as decide() takes it, with everything it borrows.
#pragma once

#include <string>
#include <vector>

#include "policy/decide.h"

struct Query {
  doline::device::Device device;
  doline::device::GroupMask groups = 0;
  doline::IpAddress client = doline::IpAddress::v4(192, 168, 1, 50);
  doline::dns::Question question;
  doline::dns::Name lowered;
  doline::device::Destination destination;
  doline::policy::LocalTime time;
  doline::policy::InterfaceMask interfaces = 0;
  const doline::geo::ResolverBook* resolvers = nullptr;
  const doline::geo::PlaceBook* places = nullptr;
  std::vector<doline::IpAddress> answer_addresses;
  const doline::dns::Name* led_from = nullptr;

  explicit Query(const std::string& qname, doline::dns::RecordType qtype = doline::dns::RecordType::a) {
    question.qname = *doline::dns::Name::parse(qname);
    question.qtype = qtype;
    lowered = question.qname.lowered();
    device.name = "camera";
  }
  Query& by(const std::string& device_name) {
    device.name = device_name;
    return *this;
  }
  Query& in_groups(doline::device::GroupMask mask) {
    groups = mask;
    return *this;
  }
  Query& from(const std::string& address) {
    client = *doline::IpAddress::parse(address);
    return *this;
  }
  Query& meant_for(const std::string& resolver) {
    destination = {{*doline::IpAddress::parse(resolver), 53}, doline::device::DestinationSource::tproxy};
    return *this;
  }
  /// 0: Monday
  Query& at(int weekday, int hour, int minute = 0) {
    time = {hour * 60 + minute, weekday};
    return *this;
  }
  [[nodiscard]] doline::policy::Asking asking() const {
    return {device,     groups,    client, question,         lowered, destination, time,
            interfaces, resolvers, places, answer_addresses, {},      {},          led_from};
  }
};
