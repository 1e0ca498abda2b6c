#pragma once

#include <memory>
#include <string>

#include "bench/density/display.h"
#include "engine/base/result.h"

namespace panal::bench {

/// Types into desktops whose windows are on one screen, and times the picture: from a key's way
/// into the user's X server (XTEST) until the first pixel of the terminal in the desktop changes
/// there. The key goes through nxproxy, broker and nxagent to xterm, and its echo back.
class Typist {
 public:
  /// `display` must outlive it. Errors: ENOTCONN; ENOTSUP when the X server lacks XTEST.
  [[nodiscard]] static Result<std::unique_ptr<Typist>> open(const Display& display);
  ~Typist();
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;

  /// Raises the desktop's window, clicks into its terminal, waits for a still picture, and types
  /// one key. The time in ms. Errors: ENOENT without such a window; ETIMEDOUT when nothing changes
  /// within 3 s; EAGAIN when the picture is never still.
  [[nodiscard]] Result<double> type(const std::string& desktop);

 private:
  struct Impl;
  explicit Typist(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace panal::bench
