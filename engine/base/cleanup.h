#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace panal {

/// A stack of undo steps, run last-first when it goes, unless release() was called.
///
/// The steps must not throw and report their own errors: an undo has nobody to return to.
class Cleanup {
 public:
  Cleanup() = default;
  explicit Cleanup(std::function<void()> step) { push(std::move(step)); }
  Cleanup(Cleanup&& other) noexcept : steps_(std::exchange(other.steps_, {})) {}
  Cleanup& operator=(Cleanup&& other) noexcept {
    if (this != &other) {
      run();
      steps_ = std::exchange(other.steps_, {});
    }
    return *this;
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  ~Cleanup() { run(); }

  void push(std::function<void()> step) { steps_.push_back(std::move(step)); }
  /// All went well: forget the steps.
  void release() noexcept { steps_.clear(); }
  /// Undoes now, last step first.
  void run() noexcept {
    while (!steps_.empty()) {
      auto step = std::move(steps_.back());
      steps_.pop_back();
      step();
    }
  }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace panal
