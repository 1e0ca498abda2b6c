#include "storage/home/home_lock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

constexpr std::string_view kLockEnd = ".lock";
constexpr std::size_t kLongestOwner = 256;
constexpr int kMostRounds = 3;  ///< against somebody who takes and drops it at the same time

bool is_owner_part(std::string_view text) {
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string where(const HomeOwner& owner) {
  return owner.node.empty() ? owner.holder : owner.holder + " on node " + owner.node;
}

}  // namespace

Result<HomeOwner> parse_home_owner(std::string_view text) {
  const std::size_t at = text.find('@');
  HomeOwner owner{std::string(text.substr(0, at)), {}};
  if (at != std::string_view::npos) owner.node = text.substr(at + 1);
  const bool fine =
      is_owner_part(owner.holder) && (at == std::string_view::npos || is_owner_part(owner.node));
  if (!fine) return fail(EPROTO, "a home's lock does not name who has it");
  return owner;
}

std::string HomeLock::file() const { return tenant_dir_ + "/." + home_ + std::string(kLockEnd); }

std::string HomeLock::half_prefix(const std::string& node) { return "..lock." + node + "."; }

Result<HomeOwner> HomeLock::owner() const {
  PANAL_ASSIGN(const Dir dir, Dir::open(tenant_dir_));
  PANAL_ASSIGN(const std::string text,
               dir.read("." + home_ + std::string(kLockEnd), kLongestOwner));
  auto owner = parse_home_owner(text);
  if (!owner) return prefixed(file(), owner.error());  // nothing of ours writes such a one
  return owner;
}

Result<void> HomeLock::take(const HomeOwner& owner, bool leased, const std::string& evicted) const {
  std::string aside = tenant_dir_ + "/" + half_prefix(owner.node) + "XXXXXX";
  const UniqueFd fd(::mkostemp(aside.data(), O_CLOEXEC));
  if (!fd) return fail_errno("create", aside);
  const Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  const std::string text = owner.text();
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", aside);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", aside);
  for (int round = 0;; ++round) {
    if (::link(aside.c_str(), file().c_str()) == 0) return {};
    if (errno != EEXIST) return fail_errno("lock home", home_);
    const bool last = round == kMostRounds;
    const auto holder = this->owner();
    if (!holder && holder.error().code == ENOENT && !last) continue;  // dropped meanwhile
    if (!holder) return tl::make_unexpected(holder.error());
    if (*holder == owner) return {};  // after a restart of panald
    // A machine that has learnt its name finds the locks of the time before.
    if (holder->node.empty() && holder->holder == owner.holder) return {};
    const bool left_behind =
        holder->node == owner.node || holder->node.empty() || holder->text() == evicted;
    if (last || !leased || !left_behind)
      return fail(EBUSY, "home " + home_ + " is open in " + where(*holder));
    if (::unlink(file().c_str()) != 0 && errno != ENOENT) return fail_errno("unlock home", home_);
  }
}

Result<bool> HomeLock::held_by(const HomeOwner& owner) const {
  const auto holder = this->owner();
  if (!holder && holder.error().code == ENOENT) return false;
  if (!holder) return tl::make_unexpected(holder.error());
  return *holder == owner || (holder->node.empty() && holder->holder == owner.holder);
}

Result<void> HomeLock::drop(const HomeOwner& owner) const {
  PANAL_ASSIGN(const bool ours, held_by(owner));
  if (!ours) return {};
  if (::unlink(file().c_str()) != 0 && errno != ENOENT) return fail_errno("unlock home", home_);
  return {};
}

std::string locked_home(std::string_view file_name) {
  if (!file_name.starts_with('.') || !file_name.ends_with(kLockEnd)) return {};
  if (file_name.size() <= kLockEnd.size() + 1) return {};
  return std::string(file_name.substr(1, file_name.size() - 1 - kLockEnd.size()));
}

}  // namespace panal::storage
