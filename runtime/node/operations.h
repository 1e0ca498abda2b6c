#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "runtime/desktop/desktop.h"
#include "runtime/store/store.h"

namespace panal::node {

/// A desktop that runs, and what it was started with.
struct Started {
  desktop::DesktopSpec spec;
  Pidfd init;
};

/// The blocking work of the reconcile loop, each with its words to the store. Called by workers;
/// calls for one desktop never overlap.
class Operations {
 public:
  virtual ~Operations() = default;

  /// Claims the start and runs it; nullopt when it is not (any more) ours to start. A start that
  /// fails is written as failed, with its reason; the error is for the log.
  [[nodiscard]] virtual Result<std::optional<Started>> start(store::Store& store, DesktopId id) = 0;
  /// Stops it and writes `reason` as why.
  [[nodiscard]] virtual Result<void> stop(store::Store& store, const desktop::DesktopSpec& spec,
                                          const std::string& reason) = 0;
  /// Clears what a desktop that ended by itself has left, and writes `observed` and the reason.
  /// `spec`: null when not known.
  [[nodiscard]] virtual Result<void> clear(store::Store& store, DesktopId id,
                                           const desktop::DesktopSpec* spec,
                                           store::Observed observed, const std::string& reason) = 0;
  /// Why it ended, as far as the kernel tells; before clear().
  [[nodiscard]] virtual std::string why_ended(DesktopId id) = 0;
  /// Stops a desktop that the store does not know any more.
  [[nodiscard]] virtual Result<void> remove(const desktop::DesktopSpec& spec) = 0;
};

}  // namespace panal::node
