#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "runtime/cli/progress.h"
#include "runtime/cli/shell.h"
#include "storage/repo/work.h"

namespace panal::cli {

/// While it lives a long command shows how far it is, and Ctrl-C ends its work in an orderly way
/// (which fails with ECANCELED) instead of this program. One at a time.
class LongWork {
 public:
  explicit LongWork(const Shell& shell);
  ~LongWork();
  LongWork(const LongWork&) = delete;
  LongWork& operator=(const LongWork&) = delete;

  [[nodiscard]] storage::Work work();
  [[nodiscard]] const std::atomic<bool>* cancelled() const;
  [[nodiscard]] Progress& bar() { return bar_; }

 private:
  struct Handlers;
  std::unique_ptr<Handlers> former_;
  Progress bar_;
};

}  // namespace panal::cli
