#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "runtime/agent/protocol.h"

namespace panal::agent {

/// One attach as the host asked for it, checked.
struct AttachRequest {
  std::uint64_t number = 0;
  std::string cookie;    ///< 32 lower-case hex digits
  std::string geometry;  ///< "1024x768" or "1024x768+10+20"; empty: the default
  std::string keyboard;  ///< "pc105/es", layouts as XKB writes them; empty: the user's
  std::string link;      ///< modem isdn adsl wan lan local
  std::string client;    ///< linux windows macosx solaris
  bool fullscreen = false;
  bool media = false;
  bool slave = false;
  bool warm = false;  ///< a pre-warmer's: neither geometry nor full screen may be used up
};

/// Unknown link and client fall back to wan and linux: QVD's clients send what they like.
/// Errors: EPROTO for a missing number or a bad cookie; EINVAL for a geometry or keyboard that
/// nxagent (or the shell it runs xkbcomp through) should not see.
[[nodiscard]] Result<AttachRequest> parse_attach(const Frame& frame);

/// Where an NX options line points.
struct NxPlaces {
  std::string root;    ///< nxagent's own directory for statistics, the user's
  std::string socket;  ///< nx.sock
  int display = 0;
};

/// What the nxagent that runs was told before: some options count only once (docs/agent.md).
struct NxHistory {
  bool running = false;     ///< this is a resume
  bool fullscreen = false;  ///< the last attach was full screen, which sticks
};

struct NxOptions {
  std::string line;          ///< the whole options file
  bool adjust_size = false;  ///< nxagent will not take the wanted size: RandR before the HUP
  NxHistory history;         ///< once nxagent has read the line
};

[[nodiscard]] NxOptions render_nx_options(const AttachRequest& request, const NxPlaces& places,
                                          const NxHistory& history);

/// What a windowed attach without geometry gets.
inline constexpr const char* kDefaultGeometry = "1024x768";
inline constexpr const char* kDefaultKeyboard = "pc105/us";  ///< what nxagent takes without one

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};
/// Errors: EINVAL outside 64..16384 or trailing text other than +X+Y.
[[nodiscard]] Result<Size> parse_geometry(std::string_view text);

}  // namespace panal::agent
