#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::agent {

/// The talk between panald and the agent inside a desktop: a SOCK_SEQPACKET unix socket that
/// panald listens on in the per-desktop tmpfs, one datagram a frame, no descriptors, text
/// `verb key=value key=value ...`. Values are percent-encoded; keys may repeat (order kept).
/// The desktop is hostile: a frame that does not parse closes the connection.
///
/// host -> agent
///   welcome protocol desktop hostname login uid gid group*(name:gid) home shell lang timezone
///           keyboard arg* apart* lean_heap     who the desktop is for and its session; answer to
///           shared_pictures                    hello; sent when the network is up. apart: programs
///                                              whose memory is not merged (names of their files);
///                                              lean_heap=1: its programs are to keep little of
///                                              what they free; shared_pictures=0: no MIT-SHM; old
///                                              agents leave both
///   listen attach cookie geometry fullscreen keyboard link client media slave warm
///                                              make nxagent listen for attach number `attach`
///                                              (flags: 1 or absent); suspends a live session
///                                              first; warm=1: it is the pre-warmer's
///   suspend                                    end the link, keep the programs
///   query                                      ask for a status frame
///   poweroff grace_ms                          TERM the session, then nxagent, then exit
///   set key=value ...                          user settings changed (keyboard, timezone)
///   notice text                                sentences for the screen of who is connected, until
///                                              they are clicked away; old agents leave it
/// agent -> host
///   hello protocol min_protocol session attach first frame on each connection
///   listening attach                           nx.sock is there and nxagent waits
///   refused attach reason                      this attach cannot be
///   session state attach reason                each change of the session's state
///   settled windows                            the programs have been started and their windows
///                                              have not changed for a while (or 20 s went by)
///   status session idle_ms processes           answer to query; no idle_ms: X does not answer
///   idle ms                                    input idle time crossed a minute (or came back to
///   0) failed step reason                         something the desktop needs did not work bye
///   reason                                 last frame before init exits
inline constexpr int kProtocol = 1;
inline constexpr int kMinProtocol = 1;
inline constexpr std::size_t kFrameBytes = 8192;

/// Where things are, seen from inside the desktop.
inline constexpr const char* kSharedDir = "/run/panal";  ///< the per-desktop tmpfs
inline constexpr const char* kAgentSocket =
    "/run/panal/agent.sock";  ///< panald listens (0600 root)
inline constexpr const char* kNxSocket =
    "/run/panal/nx/nx.sock";  ///< nxagent listens; nx/ is the user's
/// A tmpfs of the user's, where the desktop's caches are to be in memory; else not there.
inline constexpr const char* kCacheDir = "/run/panal-cache";
inline constexpr const char* kAgentProgram = "/.panal/panal-agent";  ///< bind-mounted, init

/// Session states. `none`: nxagent does not run.
enum class SessionState {
  kNone,
  kStarting,
  kListening,
  kConnected,
  kSuspending,
  kSuspended,
  kResuming,
  kEnded
};

[[nodiscard]] std::string_view to_string(SessionState state);
/// Errors: EPROTO.
[[nodiscard]] Result<SessionState> parse_session_state(std::string_view text);

/// One frame in memory.
struct Frame {
  std::string verb;
  std::vector<std::pair<std::string, std::string>> fields;

  Frame() = default;
  explicit Frame(std::string name) : verb(std::move(name)) {}
  Frame& add(std::string key, std::string value) {
    fields.emplace_back(std::move(key), std::move(value));
    return *this;
  }
  /// The first value of `key`, or empty.
  [[nodiscard]] std::string_view get(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view key) const;
  /// A decimal number. Errors: EPROTO when absent, not a number, or past `most`.
  [[nodiscard]] Result<std::uint64_t> number(std::string_view key, std::uint64_t most) const;
};

/// Errors: EMSGSIZE past kFrameBytes, EINVAL for a verb or key outside [a-z_]{1,32}.
[[nodiscard]] Result<std::string> encode(const Frame& frame);
/// Errors: EPROTO with what is wrong; never reads past `bytes`, never allocates more than a few
/// times its size.
[[nodiscard]] Result<Frame> decode(std::string_view bytes);

}  // namespace panal::agent
