#pragma once

#include <atomic>
#include <functional>
#include <string>

namespace panal::storage {

/// How long work tells of itself, and how it is stopped.
struct Work {
  /// 0..1 and what is being done; may be empty. Called on the caller's thread, often.
  std::function<void(double fraction, const std::string& what)> progress;
  /// Set by a signal handler or another thread: the work is undone and fails with ECANCELED.
  const std::atomic<bool>* cancelled = nullptr;

  [[nodiscard]] bool is_cancelled() const { return cancelled != nullptr && cancelled->load(); }
  void tell(double fraction, const std::string& what) const {
    if (progress) progress(fraction, what);
  }
};

}  // namespace panal::storage
