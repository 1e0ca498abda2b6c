#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/agent/nx_options.h"
#include "runtime/agent/output.h"
#include "runtime/agent/process.h"
#include "runtime/agent/user.h"
#include "runtime/session/nx_log.h"

namespace panal::agent {

inline constexpr int kDisplay = 100;
/// Root's directory with the user's files of this session: the user can read them but not put
/// links in their place.
inline constexpr const char* kSessionDir = "/run/panal-session";

/// The nxagent process and the files it reads.
class NxControl {
 public:
  /// Writes options and cookie, starts nxagent. Errors: those of writing and of execve.
  [[nodiscard]] Result<void> start(const AttachRequest& request, const User& user);
  /// Writes options and cookie, HUPs a suspended nxagent.
  [[nodiscard]] Result<void> resume(const AttachRequest& request, const User& user);
  /// HUP: a connected one suspends itself.
  void signal(int number) const;
  /// SIGKILL, its helper processes included: they hold its sockets.
  void kill() const;
  /// Opens and closes nx.sock: nxagent takes that for a failed resume and suspends again.
  void burn() const;

  /// Reads its log. Session events in their order.
  [[nodiscard]] std::vector<session::NxEvent> read_log();
  /// It was reaped. Says why it ended, with its last words.
  [[nodiscard]] std::string ended(int wait_status);

  [[nodiscard]] pid_t pid() const { return child_.pid; }
  [[nodiscard]] int log_fd() const { return child_.output.get(); }
  [[nodiscard]] const AttachRequest& request() const { return request_; }
  /// nxagent would not take the size this attach wants: it has to be set before resume().
  [[nodiscard]] bool needs_resize(const AttachRequest& request) const;
  [[nodiscard]] std::string xauthority() const { return std::string(kSessionDir) + "/Xauthority"; }
  /// The bytes of the current cookie.
  [[nodiscard]] Result<std::string> cookie() const;
  [[nodiscard]] std::string x_socket() const;

 private:
  [[nodiscard]] Result<void> write_files(const AttachRequest& request, const User& user);

  Child child_;       ///< the process that counts: another one after each resume
  pid_t group_ = -1;  ///< of all of them
  NxHistory history_;
  AttachRequest request_;
  LineCutter lines_;
  Tail tail_{4096};
};

}  // namespace panal::agent
