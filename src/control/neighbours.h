// Neighbours: the kernel's neighbour table, read once and then followed (rtnetlink; no capability needed): which MAC an
// address of this LAN belongs to. The notification comes with a device's first packet. Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "control/loop.h"
#include "listener/neighbour_table.h"

namespace doline::control {

class Neighbours {
 public:
  /// Asks for the whole table and follows it; the fault is a sentence. `seen` is called on the loop.
  static Result<std::unique_ptr<Neighbours>, std::string> follow(Loop& loop,
                                                                 std::function<void(const listener::Neighbour&)> seen);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;
  /// Asks for the whole table once more: a notification may have come before the kernel had its answer.
  void look_again() { ask_for_all(); }

 private:
  Neighbours(int descriptor, std::function<void(const listener::Neighbour&)> seen)
      : descriptor_(descriptor), seen_(std::move(seen)) {}
  bool ask_for_all();
  void watch(Loop& loop);
  void read();

  int descriptor_;
  std::function<void(const listener::Neighbour&)> seen_;
  Watch watch_;
  bool were_lost_ = false;  // notifications: the whole table is to be read again
};

}  // namespace doline::control
