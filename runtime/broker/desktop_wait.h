#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/broker/services.h"

namespace panal::broker {

/// Asks for a desktop to run or to stand still and waits until it does. Destroying it forgets the
/// wait (the wish stays in the store). Callbacks come on the loop, never inside start().
class DesktopWait {
 public:
  struct Hooks {
    /// What goes on, in words: at each change and at least every Timing::progress.
    std::function<void(std::string)> progress;
    std::function<void(Answer<void>)> done;
  };

  DesktopWait(Services& services, store::Desktop desktop, store::Desired goal, std::string actor,
              Hooks hooks);
  ~DesktopWait();
  DesktopWait(const DesktopWait&) = delete;
  DesktopWait& operator=(const DesktopWait&) = delete;

  void start();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The sentence and status for a store that did not do what was asked.
[[nodiscard]] Refusal store_refusal(const Error& error);

}  // namespace panal::broker
