#include "storage/home/guarded_home_store.h"

#include "storage/quota/mount_table.h"

namespace panal::storage {

using home_call::Verb;

Result<void> GuardedHomeStore::ask(Verb verb, const HomeSpec& spec,
                                   std::vector<std::string> words) {
  home_call::Call call;
  call.verb = verb;
  call.homes_dir = homes_dir_;
  call.rules = rules_;
  call.spec = spec;
  call.words = std::move(words);
  PANAL_ASSIGN(const home_call::Answer answer, children_.ask(call));
  if (answer.complete) return answer.result;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(children_.patience()).count();
  return fail(ETIMEDOUT, "the file system of the homes (" + homes_dir_ +
                             ") did not answer within " + std::to_string(seconds) +
                             " s: is its server there?");
}

Result<void> GuardedHomeStore::attach(const HomeSpec& spec) {
  PANAL_TRY(check_home_names(spec.tenant, spec.home));
  const Home home(spec.tenant, spec.home);
  std::unique_lock lock(mutex_);
  unlocked_.wait(lock, [&] { return unlocking_ != home; });
  const auto opening = opening_.insert(home);
  lock.unlock();
  auto attached = try_attach(spec);
  lock.lock();
  opening_.erase(opening);
  if (attached) left_.erase(home);  // the lock is of who has it now
  return attached;
}

Result<void> GuardedHomeStore::try_attach(const HomeSpec& spec) {
  auto attached = ask(Verb::kAttach, spec);
  if (attached || attached.error().code != ETIMEDOUT) return attached;
  // It may have got as far as the mount before it was given up.
  if (const auto undone = detach(spec); !undone)
    return prefixed("home " + spec.home + ": and cannot be taken out of sight again",
                    undone.error());
  return attached;
}

Result<void> GuardedHomeStore::detach(const HomeSpec& spec) {
  PANAL_TRY(check_home_names(spec.tenant, spec.home));
  auto detached = ask(Verb::kDetach, spec);
  const Home home(spec.tenant, spec.home);
  if (detached) {
    const std::lock_guard lock(mutex_);
    if (const auto found = left_.find(home); found != left_.end()) {
      found->second.erase(spec.desktop);
      if (found->second.empty()) left_.erase(found);
    }
    return {};
  }
  // The first thing it does is to unmount. What is out of sight is detached, however long the rest
  // of it hangs; what stands in the table is asked of nobody but the kernel.
  const auto table = read_mount_table();
  if (!table || is_mounted_at(*table, spec.mount_point)) return detached;
  const std::lock_guard lock(mutex_);
  left_[home].insert(spec.desktop);
  // It has answered, and somebody still uses the home: nobody else is to be given it.
  if (detached.error().code == EBUSY) return detached;
  return {};
}

std::size_t GuardedHomeStore::left() {
  const std::lock_guard lock(mutex_);
  return left_.size();
}

std::size_t GuardedHomeStore::unlock_left() {
  std::unique_lock lock(mutex_);
  std::vector<Home> homes;
  for (const auto& one : left_) homes.push_back(one.first);
  std::size_t count = 0;
  for (const Home& home : homes) {
    // Neither one that is being opened nor one that was, since this round began.
    const auto found = left_.find(home);
    if (found == left_.end() || opening_.contains(home)) continue;
    const std::set<std::string> desktops = found->second;
    unlocking_ = home;
    lock.unlock();
    bool hangs = false, done = true;
    for (const std::string& desktop : desktops) {
      HomeSpec spec;
      spec.tenant = home.first;
      spec.home = home.second;
      spec.desktop = desktop;
      const auto released = ask(Verb::kRelease, spec);
      done = done && released;
      hangs = !released && (released.error().code == ETIMEDOUT || released.error().code == EAGAIN);
      if (hangs) break;
    }
    lock.lock();
    unlocking_ = {};
    unlocked_.notify_all();
    // Unless one more desktop's end hung meanwhile.
    const auto now = left_.find(home);
    if (done && now != left_.end() && now->second == desktops) {
      left_.erase(now);
      ++count;
    }
    if (hangs) break;
  }
  return count;
}

Result<void> GuardedHomeStore::recover(const std::set<std::string>& live) {
  return ask(Verb::kRecover, {}, {live.begin(), live.end()});
}

Result<void> GuardedHomeStore::remove(const std::string& tenant, const std::string& home) {
  PANAL_TRY(check_home_names(tenant, home));
  HomeSpec spec;
  spec.tenant = tenant;
  spec.home = home;
  return ask(Verb::kRemove, spec);
}

}  // namespace panal::storage
