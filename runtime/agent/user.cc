#include "runtime/agent/user.h"

#include <algorithm>
#include <charconv>

#include "engine/model/program.h"

namespace panal::agent {
namespace {

constexpr std::uint32_t kMostId = 65534;  // what a desktop's id range holds

bool is_name(std::string_view text) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz_";
  if (text.empty() || text.size() > 32 || kFirst.find(text[0]) == std::string_view::npos) {
    return false;
  }
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") ==
         std::string_view::npos;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
}

bool is_path(std::string_view text) {
  return text.size() > 1 && text.size() < 1024 && text[0] == '/' && !has_control(text) &&
         text.find(':') == std::string_view::npos &&
         (std::string(text) + "/").find("/../") == std::string::npos;
}

bool is_zone(std::string_view text) {
  if (text.empty() || text.size() > 64 || text[0] == '/' || text[0] == '.') return false;
  const bool plain = text.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
                     std::string_view::npos;
  return plain;
}

/// Lines without their ends; an empty last one is no line.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string_view field(std::string_view line, int index) {
  for (; index > 0; --index) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return line.substr(0, line.find(':'));
}

bool is_member(std::string_view members, std::string_view login) {
  while (!members.empty()) {
    const std::size_t comma = members.find(',');
    if (members.substr(0, comma) == login) return true;
    if (comma == std::string_view::npos) break;
    members.remove_prefix(comma + 1);
  }
  return false;
}

Result<std::vector<std::pair<std::string, std::uint32_t>>> parse_groups(const Frame& welcome) {
  std::vector<std::pair<std::string, std::uint32_t>> groups;
  for (const std::string& text : welcome.all("group")) {
    const std::size_t colon = text.find(':');
    std::uint32_t gid = 0;
    const char* const begin = text.data() + (colon == std::string::npos ? 0 : colon + 1);
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(begin, end, gid);
    if (colon == std::string::npos || !is_name(text.substr(0, colon)) || parsed.ec != std::errc{} ||
        parsed.ptr != end || gid == 0 || gid > kMostId) {
      return fail(EINVAL, "agent frame welcome: group must be NAME:GID");
    }
    groups.emplace_back(text.substr(0, colon), gid);
  }
  return groups;
}

}  // namespace

Result<User> parse_user(const Frame& welcome) {
  User user;
  user.login = welcome.get("login");
  if (!is_name(user.login) || user.login == "root") {
    return fail(EINVAL, "agent frame welcome: login is no login name");
  }
  PANAL_ASSIGN(const std::uint64_t uid, welcome.number("uid", kMostId));
  PANAL_ASSIGN(const std::uint64_t gid, welcome.number("gid", kMostId));
  if (uid == 0 || gid == 0) return fail(EINVAL, "agent frame welcome: the user cannot be root");
  user.uid = static_cast<std::uint32_t>(uid);
  user.gid = static_cast<std::uint32_t>(gid);
  PANAL_ASSIGN(user.groups, parse_groups(welcome));
  user.home = welcome.get("home");
  user.shell = welcome.get("shell");
  if (!is_path(user.home) || !is_path(user.shell)) {
    return fail(EINVAL, "agent frame welcome: home and shell must be absolute paths");
  }
  user.lang = welcome.get("lang").empty() ? "C.UTF-8" : std::string(welcome.get("lang"));
  user.timezone =
      welcome.get("timezone").empty() ? "Etc/UTC" : std::string(welcome.get("timezone"));
  if (has_control(user.lang) || !is_zone(user.timezone)) {
    return fail(EINVAL, "agent frame welcome: bad lang or timezone");
  }
  user.keyboard = welcome.get("keyboard");
  user.hostname = welcome.get("hostname");
  if (user.hostname.empty() || user.hostname.size() > 63 || has_control(user.hostname) ||
      user.hostname.find_first_of(" /") != std::string::npos) {
    return fail(EINVAL, "agent frame welcome: bad hostname");
  }
  user.session = welcome.all("arg");
  if (user.session.empty()) return fail(EINVAL, "agent frame welcome: the session has no program");
  user.apart = welcome.all("apart");
  std::erase_if(user.apart, [](const std::string& name) { return !is_program_name(name); });
  user.lean_heap = welcome.get("lean_heap") == "1";
  user.shared_pictures = welcome.get("shared_pictures") != "0";
  return user;
}

std::string passwd_with(std::string_view passwd, const User& user) {
  const std::string uid = std::to_string(user.uid);
  std::string out;
  for (const std::string_view line : lines_of(passwd)) {
    if (field(line, 0) == user.login || field(line, 2) == uid) continue;
    out.append(line).append("\n");
  }
  // No entry in shadow: nobody logs in here with a password.
  out.append(user.login).append(":x:").append(uid).append(":").append(std::to_string(user.gid));
  out.append("::").append(user.home).append(":").append(user.shell).append("\n");
  return out;
}

std::string group_with(std::string_view group, const User& user) {
  auto wanted = user.groups;
  const std::string gid = std::to_string(user.gid);
  bool has_primary = false;
  std::string out;
  for (const std::string_view line : lines_of(group)) {
    const std::string_view name = field(line, 0);
    const auto match = std::find_if(wanted.begin(), wanted.end(),
                                    [name](const auto& entry) { return entry.first == name; });
    if (match == wanted.end()) {
      // A group of the user's name with another gid would shadow the primary one below.
      if (name == user.login && field(line, 2) != gid) continue;
      has_primary = has_primary || field(line, 2) == gid;
      out.append(line).append("\n");
      continue;
    }
    const std::string_view members = field(line, 3);
    out.append(name).append(":x:").append(std::to_string(match->second)).append(":");
    out.append(members);
    if (!is_member(members, user.login)) {
      out.append(members.empty() ? "" : ",").append(user.login);
    }
    out.append("\n");
    has_primary = has_primary || match->second == user.gid;
    wanted.erase(match);
  }
  for (const auto& [name, id] : wanted) {
    out.append(name).append(":x:").append(std::to_string(id)).append(":");
    out.append(user.login).append("\n");
    has_primary = has_primary || id == user.gid;
  }
  if (!has_primary) out.append(user.login).append(":x:").append(gid).append(":\n");
  return out;
}

std::string hosts_with(std::string_view hosts, const std::string& hostname) {
  std::string out = "127.0.0.1\tlocalhost\n127.0.1.1\t" + hostname + "\n::1\tlocalhost\n";
  for (const std::string_view line : lines_of(hosts)) {
    const std::string_view address = line.substr(0, line.find_first_of(" \t"));
    if (address == "127.0.0.1" || address == "127.0.1.1" || address == "::1") continue;
    out.append(line).append("\n");
  }
  return out;
}

std::string runtime_dir(const User& user) { return "/run/user/" + std::to_string(user.uid); }

std::string apart_variable(const User& user) {
  std::string text;
  for (const std::string& name : user.apart) text.append(text.empty() ? "" : ":").append(name);
  return text.empty() ? text : "PANAL_APART=" + text;
}

std::vector<std::string> heap_variables(const User& user) {
  if (!user.lean_heap) return {};
  return {"GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0",
          "G_SLICE=always-malloc"};
}

std::vector<std::string> session_environment(const User& user, int display,
                                             const std::string& xauthority, bool media) {
  std::vector<std::string> out = {
      "DISPLAY=:" + std::to_string(display),
      "XAUTHORITY=" + xauthority,
      "HOME=" + user.home,
      "USER=" + user.login,
      "LOGNAME=" + user.login,
      "SHELL=" + user.shell,
      "LANG=" + user.lang,
      "TZ=" + user.timezone,
      "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
      "XDG_RUNTIME_DIR=" + runtime_dir(user),
      "XDG_SESSION_TYPE=x11",
      // The accessibility bus costs three processes a desktop.
      "NO_AT_BRIDGE=1",
      // What is freed goes back to the kernel: glibc keeps up to 64 MiB as it pleases, and nxagent
      // frees many a picture (4 MiB of its 17 MiB heap after a start).
      "MALLOC_TRIM_THRESHOLD_=131072",
      "MALLOC_MMAP_THRESHOLD_=131072",
  };
  for (std::string& variable : heap_variables(user)) out.push_back(std::move(variable));
  if (media) out.push_back("PULSE_SERVER=tcp:127.0.0.1:" + std::to_string(7000 + display));
  return out;
}

}  // namespace panal::agent
