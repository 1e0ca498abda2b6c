#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "runtime/agent/x11_client.h"

namespace panal::agent {

/// Some sentences on the session's screen, in a window above the others, until somebody clicks on
/// it. It has an X connection of its own, with which the window goes. No toolkit and no program of
/// the image: whatever the image has, its user is told.
class Notice {
 public:
  /// In place of what was shown before. Errors: those of x11::Client, EPROTO where the server
  /// refuses (it has no font `fixed`).
  [[nodiscard]] Result<void> show(const std::string& socket, std::string_view cookie_bytes,
                                  std::string_view text);
  void close() { client_.reset(); }
  /// -1 while nothing is shown.
  [[nodiscard]] int fd() const { return client_ ? client_->fd() : -1; }
  /// To be called when fd() is readable: draws what became visible, closes at a click.
  void read_event();

 private:
  [[nodiscard]] Result<void> draw() const;

  std::optional<x11::Client> client_;
  std::vector<std::string> lines_;
};

/// The text in lines of at most `columns` characters, broken at spaces, words that are longer cut.
/// What is not printable ASCII becomes '?': the font has nothing else for sure.
[[nodiscard]] std::vector<std::string> wrap_text(std::string_view text, std::size_t columns);

}  // namespace panal::agent
