#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/unique_fd.h"
#include "runtime/agent/agent_log.h"
#include "runtime/agent/user.h"

namespace panal::agent {

/// Cuts a stream into lines; a line without end is given up at 4 KiB.
class LineCutter {
 public:
  [[nodiscard]] std::vector<std::string> feed(std::string_view bytes);

 private:
  std::string rest_;
};

/// The session's output in ~/.local/share/panal/session.log: at most 256 KiB, and as much again
/// of what came before in session.log.old.
class SessionLog {
 public:
  /// Opens it with the user's rights; without one (full disk) output is only kept in the tail.
  void open(const User& user);
  void append(std::string_view bytes);
  void close() { file_.reset(); }

  Tail tail{4096};

 private:
  void rotate();

  const User* user_ = nullptr;
  std::string path_;
  UniqueFd file_;
  std::size_t bytes_ = 0;
};

/// What can be read from a non-blocking pipe now, at most 64 KiB. `end`: the writers have gone.
struct Drained {
  std::string bytes;
  bool end = false;
};
[[nodiscard]] Drained drain(int fd);

}  // namespace panal::agent
