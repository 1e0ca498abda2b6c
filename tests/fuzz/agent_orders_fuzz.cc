// What the agent makes of panald's frames (values that users and clients chose) and of its image's
// own files: no value may add a line or an option of its own. A frame, and after a NUL the text of
// passwd, group or hosts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "runtime/agent/nx_options.h"
#include "runtime/agent/user.h"

using namespace panal::agent;

namespace {

std::size_t count(std::string_view text, char wanted) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), wanted));
}

/// At most `more` lines were added, and the last one is whole.
void check_lines(std::string_view before, std::string_view after, std::size_t more) {
  if (after.empty() || after.back() != '\n') std::abort();
  if (count(after, '\n') > count(before, '\n') + 1 + more) std::abort();
}

void check_user(const User& user, std::string_view file) {
  check_lines(file, passwd_with(file, user), 1);
  check_lines(file, group_with(file, user), user.groups.size() + 1);
  check_lines(file, hosts_with(file, user.hostname), 3);
  for (const auto& variable : session_environment(user, 1, "/run/x", true))
    if (variable.find('\n') != std::string::npos || variable.find('=') == 0) std::abort();
}

void check_attach(const AttachRequest& request) {
  for (const bool running : {false, true}) {
    const NxHistory history{.running = running, .fullscreen = request.media};
    const auto options = render_nx_options(
        request, {.root = "/home/u/.nx", .socket = "/run/nx.sock", .display = 1}, history);
    // unix:PATH:DISPLAY has the only two colons, and the line ends once.
    if (count(options.line, '\n') != 1 || options.line.back() != '\n') std::abort();
    if (count(options.line, ':') != 2) std::abort();
    if (count(options.line, ',') != count(options.line, '=')) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t half = std::min(bytes.find('\0'), size);
  const auto frame = decode(bytes.substr(0, half));
  if (!frame) return 0;
  if (const auto user = parse_user(*frame))
    check_user(*user, half == size ? std::string_view{} : bytes.substr(half + 1));
  if (const auto request = parse_attach(*frame)) check_attach(*request);
  static_cast<void>(parse_session_state(frame->get("session")));
  return 0;
}
