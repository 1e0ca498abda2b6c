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
  if (detached) return {};
  // The first thing it does is to unmount. What is out of sight is detached, however long the rest
  // of it hangs; what stands in the table is asked of nobody but the kernel.
  const auto table = read_mount_table();
  if (table && !is_mounted_at(*table, spec.mount_point)) return {};
  return detached;
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
