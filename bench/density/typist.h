#pragma once

#include <memory>
#include <string>

#include "bench/density/display.h"
#include "engine/base/result.h"

namespace panal::bench {

/// How long a key took.
struct Typed {
  double ms = 0;  ///< from the key to the first changed pixel
  /// From the click before it, our own pauses (half a second) included: what a desktop that was
  /// asleep did with the click is in this one alone.
  double since_click_ms = 0;
};

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
  /// one key. Errors: ENOENT without such a window and EAGAIN when the picture is never still (no
  /// key was typed); ETIMEDOUT when nothing changes within 3 s of the key.
  [[nodiscard]] Result<Typed> type(const std::string& desktop);

 private:
  struct Impl;
  explicit Typist(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace panal::bench
