// name_devices(): the names that the house's devices have by themselves (`local_domain`): `laptop.home.arpa`, and
// `laptop` for short.
//
// Pure, allocates; control calls it for a snapshot.
#pragma once

#include "device/roster.h"
#include "dns/name.h"
#include "response/local_records.h"

namespace doline::resolver {

/// Of one device; those seen last. They fit a response without truncation.
inline constexpr std::size_t device_addresses_max = 32;

/// Adds a source to `builder`. A device has the operator's name for it and the host name of its lease, where these are
/// single labels of letters, digits and hyphens. What a device calls itself is its own choice: it gets no name that the
/// builder already knows, in either form, nor one by which others find their proxies and tunnels; configured devices
/// come first.
void name_devices(const device::Roster& roster, const dns::Name& domain, response::LocalRecords::Builder& builder);

}  // namespace doline::resolver
