// AdmissionDesk: may a device connect to what we are about to tell it? Tells the warden over this worker's admission
// channel (redirect/admission.h), many questions to a packet, and hears when the kernel knows.
//
// Lives on one worker's loop and is used only there. Keeps nothing of a question but that it is unanswered: who waits
// has the ticket, and does not wait for ever.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "redirect/admission.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::resolver {

class AdmissionDesk {
 public:
  /// Called on the loop, for each question that was sent, unless the desk is destroyed first; with false also where the
  /// warden is gone.
  using Hear = std::function<void(redirect::AdmissionAnswer)>;

  /// `channel`: taken over; -1: there is no warden.
  AdmissionDesk(asio::io_context& loop, int channel, Hear hear);
  ~AdmissionDesk();
  /// Of at most redirect::admitted_per_message in size. It leaves with the next flush(). False: no warden, or too many
  /// questions are unanswered; nothing will be heard.
  bool ask(const redirect::Admission& admission);
  /// Sends what was asked since the last: once a turn of the loop.
  void flush();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // handlers that wait on the loop hold it weakly
};

}  // namespace doline::resolver
