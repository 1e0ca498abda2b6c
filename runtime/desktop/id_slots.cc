#include "runtime/desktop/id_slots.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "engine/base/log.h"
#include "engine/base/subid.h"
#include "engine/base/tree.h"

namespace panal::desktop {
namespace {

/// First host id a desktop may be given: those below belong to the host's own users.
constexpr std::uint32_t kLeastId = 65536;

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || at != end) return std::nullopt;
  return value;
}

std::string describe(IdRange range) {
  return std::to_string(range.first) + ":" + std::to_string(range.count);
}

/// The largest range that is in both lists: user and group ids are mapped alike.
IdRange largest_common(const std::vector<IdRange>& users, const std::vector<IdRange>& groups) {
  IdRange best{0, 0};
  for (const IdRange& u : users) {
    for (const IdRange& g : groups) {
      const std::uint32_t first = std::max(u.first, g.first);
      const std::uint64_t end =
          std::min(std::uint64_t{u.first} + u.count, std::uint64_t{g.first} + g.count);
      if (end > first && end - first > best.count)
        best = IdRange{first, static_cast<std::uint32_t>(end - first)};
    }
  }
  return best;
}

}  // namespace

Result<std::vector<IdRange>> parse_subid(std::string_view text, std::string_view user,
                                         std::uint32_t uid) {
  std::vector<IdRange> ranges;
  const std::string uid_text = std::to_string(uid);
  int line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    const std::size_t first_colon = line.find(':');
    const std::string_view name = line.substr(0, first_colon);
    if (name != user && name != uid_text) continue;
    const auto bad = [&](const char* what) {
      return fail(EPROTO, "line " + std::to_string(line_number) + ": " + what + " in \"" +
                              printable(line, 80) + "\", want " + std::string(user) +
                              ":FIRST:COUNT");
    };
    if (first_colon == std::string_view::npos) return bad("no range");
    const std::string_view rest = line.substr(first_colon + 1);
    const std::size_t second_colon = rest.find(':');
    if (second_colon == std::string_view::npos) return bad("no count");
    const auto first = number(rest.substr(0, second_colon));
    const auto count = number(rest.substr(second_colon + 1));
    if (!first) return bad("the first id is not a number");
    if (!count) return bad("the count is not a number");
    // 2^32-1 is the kernel's "no id".
    if (std::uint64_t{*first} + *count > std::numeric_limits<std::uint32_t>::max())
      return bad("ids past 4294967294");
    if (*count > 0) ranges.push_back(IdRange{*first, *count});
  }
  return ranges;
}

Result<IdSlots> IdSlots::make(IdRange configured, std::string_view subuid,
                              std::string_view subgid) {
  IdRange range = configured;
  std::string where = "[ids] of the configuration";
  if (configured.count == 0) {
    auto users = parse_subid(subuid, "root", 0);
    if (!users) return prefixed("/etc/subuid", users.error());
    auto groups = parse_subid(subgid, "root", 0);
    if (!groups) return prefixed("/etc/subgid", groups.error());
    range = largest_common(*users, *groups);
    where = "root's lines in /etc/subuid and /etc/subgid";
    if (range.count == 0)
      return fail(ENOENT,
                  "no ids for desktops: root has no common range in /etc/subuid and "
                  "/etc/subgid; add the line root:" +
                      describe({kSubidLeast, kSubidWanted}) + " to both");
  }
  if (range.first < kLeastId)
    return fail(EINVAL, where + " give " + describe(range) +
                            ", which holds ids of the host; start at 65536 or above");
  if (std::uint64_t{range.first} + range.count > std::numeric_limits<std::uint32_t>::max())
    return fail(EINVAL, where + " give " + describe(range) + ", which goes past 4294967294");
  const std::uint32_t slots = range.count / kIdsPerDesktop;
  if (slots == 0)
    return fail(EINVAL, where + " give " + describe(range) + "; a desktop needs 65536 ids");
  return IdSlots(range.first, slots);
}

Result<IdSlots> IdSlots::load(IdRange configured) {
  if (configured.count != 0) return make(configured, {}, {});
  PANAL_ASSIGN(const Dir etc, Dir::open("/etc"));
  // An absent file is an empty one: make() says what to add.
  const auto read = [&](const char* name) { return etc.read(name).value_or(std::string{}); };
  return make(configured, read("subuid"), read("subgid"));
}

Result<IdRange> IdSlots::range(std::uint32_t slot) const {
  if (slot >= count_)
    return fail(ENOSPC, "id slot " + std::to_string(slot) + ": this node has " +
                            std::to_string(count_) + "; enlarge [ids] or root's subuid line");
  return IdRange{first_ + slot * kIdsPerDesktop, kIdsPerDesktop};
}

Result<IdRange> IdSlots::for_prewarmers() const { return range(count_ > 1 ? count_ - 1 : count_); }

Result<IdRange> IdSlots::for_trials() const {
  if (count_ < 3)
    return fail(ENOSPC, "this node has host ids for " + std::to_string(count_) +
                            " desktops and none to spare for a trial; enlarge [ids] or root's "
                            "subuid line by 65536");
  return range(count_ - 2);
}

}  // namespace panal::desktop
