#include "runtime/node/welcome.h"

namespace panal::node {

std::string hostname_of(std::string_view name, const std::string& fallback) {
  constexpr std::size_t kLabel = 63;
  std::string label;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain || upper)
      label += upper ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!label.empty() && label.back() != '-')
      label += '-';
    if (label.size() == kLabel) break;
  }
  while (!label.empty() && label.back() == '-') label.pop_back();
  return label.empty() ? fallback : label;
}

agent::Frame welcome_frame(const desktop::DesktopSpec& spec) {
  const desktop::UserRecord& user = spec.user;
  agent::Frame frame("welcome");
  frame.add("protocol", std::to_string(agent::kProtocol))
      .add("desktop", std::to_string(spec.id))
      .add("hostname", hostname_of(spec.name, kernel_name(spec.id)))
      .add("login", user.login)
      .add("uid", std::to_string(user.uid))
      .add("gid", std::to_string(user.gid));
  for (const auto& [name, gid] : user.groups) frame.add("group", name + ":" + std::to_string(gid));
  frame.add("home", user.home_path)
      .add("shell", user.shell)
      .add("lang", user.lang)
      .add("timezone", user.timezone)
      .add("keyboard", user.keyboard);
  for (const std::string& word : spec.session) frame.add("arg", word);
  for (const std::string& program : spec.sharing.apart) frame.add("apart", program);
  if (spec.guest.lean_heap) frame.add("lean_heap", "1");
  if (!spec.guest.shared_pictures) frame.add("shared_pictures", "0");
  return frame;
}

}  // namespace panal::node
