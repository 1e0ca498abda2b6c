#pragma once

#include <string>
#include <vector>

namespace panal::bench {

/// A file of the user's home, relative to it.
struct HomeFile {
  std::string path;
  std::string text;
  bool executable = false;
};

/// What makes a session alive as design section 7 says: beside the image's panel a terminal with
/// text, a file manager and an editor with a document, started with the session (IceWM's start-up
/// file, XFCE's autostart).
[[nodiscard]] std::vector<HomeFile> living_session(const std::string& login);

}  // namespace panal::bench
