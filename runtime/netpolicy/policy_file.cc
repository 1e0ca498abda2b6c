#include "runtime/netpolicy/policy_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "engine/base/unique_fd.h"
#include "netconfine/policy/text.h"

namespace panal::netpolicy {
namespace {

/// Past what the parser takes, so that it is the parser that says so.
constexpr std::size_t kMostRead = std::size_t{1} << 20U;

Result<std::string> read_all(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno("read network policies", path);
  std::string text;
  std::array<char, 16384> block{};
  while (text.size() < kMostRead) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read network policies", path);
    if (got == 0) break;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  return text;
}

template <typename Map>
void compare(std::string_view kind, const Map& then, const Map& now,
             std::vector<std::string>& out) {
  for (const auto& [name, value] : then)
    if (!now.contains(name)) out.push_back(fmt::format("{} {} removed", kind, name));
  for (const auto& [name, value] : now) {
    const auto before = then.find(name);
    if (before == then.end())
      out.push_back(fmt::format("{} {} added", kind, name));
    else if (!(before->second == value))
      out.push_back(fmt::format("{} {} changed", kind, name));
  }
}

}  // namespace

Result<PolicyFile> read_policy_file(const std::string& path) {
  PolicyFile file{path, false, {}};
  auto text = read_all(path);
  if (!text && text.error().code == ENOENT) return file;
  if (!text) return tl::make_unexpected(std::move(text.error()));
  file.there = true;
  PANAL_ASSIGN(file.set, netconfine::parse_policies(*text, path));
  return file;
}

std::vector<std::string> differences(const netconfine::PolicySet& then,
                                     const netconfine::PolicySet& now) {
  std::vector<std::string> out;
  const auto named = [](const std::string& policy) {
    return policy.empty() ? std::string(netconfine::kNoPolicy) : policy;
  };
  if (named(then.fallback) != named(now.fallback))
    out.push_back(fmt::format("default: {} -> {}", named(then.fallback), named(now.fallback)));
  compare("service", then.services, now.services, out);
  compare("policy", then.policies, now.policies, out);
  compare("group", then.groups, now.groups, out);
  return out;
}

}  // namespace panal::netpolicy
