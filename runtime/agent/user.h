#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "runtime/agent/protocol.h"

namespace panal::agent {

/// Who the desktop is for, as `welcome` says.
struct User {
  std::string login;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::pair<std::string, std::uint32_t>> groups;  ///< supplementary
  std::string home;
  std::string shell;
  std::string lang;
  std::string timezone;
  std::string keyboard;
  std::string hostname;
  std::vector<std::string> session;  ///< argv
  std::vector<std::string> apart;    ///< programs whose memory is not merged
  bool lean_heap = false;            ///< heap_variables()
  bool shared_pictures = true;       ///< the X server offers MIT-SHM
};

/// Errors: EPROTO or EINVAL naming the field: logins and groups [a-z_][a-z0-9_.-]{0,31}, ids 1 to
/// 65534 (never root), home and shell absolute without "..", no control characters anywhere.
/// Programs to be kept apart that have no such name are left out: a desktop starts without.
[[nodiscard]] Result<User> parse_user(const Frame& welcome);

/// /etc/passwd with the user's line: lines of the same name or uid go, others stay as they are.
[[nodiscard]] std::string passwd_with(std::string_view passwd, const User& user);
/// /etc/group with the user's primary group and memberships. A group of the same name takes the
/// user record's gid; others stay.
[[nodiscard]] std::string group_with(std::string_view group, const User& user);
/// /etc/hosts with loopback names for the desktop; other lines stay.
[[nodiscard]] std::string hosts_with(std::string_view hosts, const std::string& hostname);

/// The session's environment, `NAME=value`.
[[nodiscard]] std::vector<std::string> session_environment(const User& user, int display,
                                                           const std::string& xauthority,
                                                           bool media);
/// Of that environment: what makes heaps small. glibc's threads share one heap, and what is freed
/// waits in no cache of theirs; GLib before 2.76 keeps no pages of its own for small pieces. None
/// without `lean_heap`.
[[nodiscard]] std::vector<std::string> heap_variables(const User& user);
[[nodiscard]] std::string runtime_dir(const User& user);
/// `PANAL_APART=name:name`, which the session guard reads; empty when no program is kept apart.
[[nodiscard]] std::string apart_variable(const User& user);

}  // namespace panal::agent
