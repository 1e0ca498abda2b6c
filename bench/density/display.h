#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/density/command.h"
#include "engine/base/result.h"

namespace panal::bench {

/// A user's screen: Xvfb with openbox, in the load generator's cgroup. Its frame buffer is a file
/// that this process maps, so that looking at it costs the X server nothing.
class Display {
 public:
  static constexpr int kWidth = 1280;
  static constexpr int kHeight = 800;
  static constexpr std::size_t kMostWindows = 200;

  [[nodiscard]] static Result<std::unique_ptr<Display>> start(
      int number, const std::string& directory, const std::function<Result<void>(pid_t)>& place);
  ~Display();
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;

  /// DISPLAY and XAUTHORITY.
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  /// The part (0..1) of the middle of the screen that shows neither the bare screen nor black, the
  /// colour of a window that was never painted.
  [[nodiscard]] double painted() const;
  /// Of the pixels of a part of the screen, cut to it; equal pictures have equal ones.
  [[nodiscard]] std::uint64_t checksum(int x, int y, int width, int height) const;

 private:
  Display() = default;
  std::string name_, authority_;
  Child server_, manager_;
  const unsigned char* pixels_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::size_t line_bytes_ = 0;
};

}  // namespace panal::bench
