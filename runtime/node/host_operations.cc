#include "runtime/node/host_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace panal::node {

using desktop::DesktopSpec;
using store::Observed;

std::uint32_t HostOperations::desktop_slots() const { return parts_.slots.for_desktops(); }

Result<DesktopSpec> HostOperations::spec_of(store::Store& store, const store::Desktop& row) const {
  PANAL_ASSIGN(const auto user, store.find_user(row.tenant, row.login));
  if (!user) return fail(ENOENT, "user " + row.login + " is gone");
  PANAL_ASSIGN(const auto versions, store.versions());
  const auto version =
      std::find_if(versions.begin(), versions.end(), [&row](const store::Version& one) {
        return one.image == row.image && one.version == row.running_version;
      });
  if (version == versions.end())
    return fail(ENOENT, "image " + row.image + " has no version " + row.running_version);
  if (!row.id_slot) return fail(EINVAL, kernel_name(row.id) + " has no id range");

  DesktopSpec spec;
  spec.id = row.id;
  spec.name = row.name;
  spec.image = row.image;
  spec.version_root = parts_.images.root_of(row.image, row.running_version);
  spec.session = version->session;
  spec.browser_sandbox = version->browser_sandbox;
  spec.persistent = row.persistent;
  spec.home = row.home;
  spec.user = {user->tenant,           user->login, user->uid,  user->gid,      user->groups,
               "/home/" + user->login, user->shell, user->lang, user->timezone, user->keyboard};
  PANAL_ASSIGN(spec.ids, parts_.slots.range(*row.id_slot));
  spec.limits.memory_bytes = config_.desktop_memory_bytes;
  spec.limits.pids = config_.desktop_pids;
  spec.guest = parts_.guest;
  return spec;
}

Result<void> HostOperations::take_home(store::Store& store, DesktopSpec& spec) const {
  PANAL_ASSIGN(
      const store::HomeGrant grant,
      store.homes().take({spec.user.tenant, spec.home, config_.node_name, kernel_name(spec.id),
                          spec.id, std::chrono::seconds(config_.homes_lease_seconds)}));
  spec.home_leased = true;
  spec.home_evicted = grant.evicted;
  if (!grant.evicted.empty())
    parts_.log->warning(
        "home_taken_over",
        {{"desktop", kernel_name(spec.id)}, {"home", spec.home}, {"from", grant.evicted}});
  return {};
}

void HostOperations::give_home_back(store::Store& store, DesktopId id) const {
  // What cannot be given back now is so when the desktop is next cleared, or panald begins anew.
  if (const auto given = store.homes().give_back_of(id, config_.node_name); !given)
    parts_.log->warning("give_home_back",
                        {{"desktop", kernel_name(id)}, {"why", given.error().message()}});
}

Result<void> HostOperations::choose_root(DesktopSpec& spec) const {
  if (parts_.roots == nullptr) return {};
  PANAL_ASSIGN(const storage::Choice choice,
               parts_.roots->for_desktop(spec.image, spec.persistent,
                                         config_.desktop_state_dir(spec.id) + "/upper"));
  spec.compose = choice.backend;
  spec.layers = parts_.roots->layers_of(spec.image);
  return {};
}

Result<DesktopSpec> HostOperations::trial_spec(const storage::VersionManifest& version) const {
  DesktopSpec spec;
  spec.name = "trial";
  spec.image = version.image;
  spec.version_root = parts_.images.root_of(version.image, version.version);
  spec.session = version.session;
  spec.browser_sandbox = version.browser_sandbox;
  spec.home = "trial";
  spec.user.tenant = "trial";
  spec.user.login = "trial";
  spec.user.home_path = "/home/trial";
  if (parts_.roots != nullptr) spec.layers = parts_.roots->layers_of(spec.image);
  PANAL_ASSIGN(spec.ids, parts_.slots.for_trials());
  spec.limits.memory_bytes = config_.desktop_memory_bytes;
  spec.limits.pids = config_.desktop_pids;
  spec.guest = parts_.guest;
  return spec;
}

Result<std::optional<Started>> HostOperations::start(store::Store& store, DesktopId id) {
  auto claimed = store.claim_start(id, config_.node_name, desktop_slots());
  if (!claimed) {
    // What the store does not allow is the request's fault; a lost database is not.
    const int code = claimed.error().code;
    if (code != ENOTCONN && code != EAGAIN && code != EIO)
      PANAL_TRY(store.observe(id, Observed::kFailed, claimed.error().context));
    return tl::make_unexpected(std::move(claimed.error()));
  }
  if (!*claimed) return std::optional<Started>();
  const store::Desktop& row = **claimed;
  auto spec = spec_of(store, row);
  if (spec) {
    if (auto chosen = choose_root(*spec); !chosen)
      spec = tl::make_unexpected(std::move(chosen.error()));
  }
  if (spec && parts_.confine)
    if (auto done = parts_.confine(store, id); !done)
      spec = prefixed("network policy", std::move(done.error()));
  if (!spec) {
    PANAL_TRY(store.observe(id, Observed::kFailed, "prepare: " + spec.error().message()));
    return tl::make_unexpected(std::move(spec.error()));
  }
  const auto progress = [&store, &log = parts_.log, id](std::string_view step) {
    const bool inside = step == "container" || step == "network" || step == "agent";
    // Only for people who watch: a start does not fail because nobody could be told.
    const auto told =
        store.observe(id, inside ? Observed::kStarting : Observed::kComposing, std::string(step));
    if (!told) log->warning("observe", {{"why", told.error().message()}});
  };
  if (auto taken = take_home(store, *spec); !taken) {
    PANAL_TRY(store.observe(id, Observed::kFailed, "home: " + taken.error().context));
    return tl::make_unexpected(std::move(taken.error()));
  }
  if (parts_.sharing) spec->sharing = parts_.sharing(row);
  auto running = parts_.lifecycle.start(*spec, progress);
  if (!running) {
    if (parts_.not_started) parts_.not_started(id);
    give_home_back(store, id);
    std::string reason = running.error().reason();
    if (!running.error().evidence.empty()) reason += "\n" + running.error().evidence;
    PANAL_TRY(store.observe(id, Observed::kFailed, reason));
    return fail(running.error().cause.code, running.error().reason());
  }
  // "running" is written by the reconcile loop, once it holds the desktop: who reads it may attach.
  return std::optional<Started>(Started{std::move(*spec), std::move(running->init)});
}

Result<void> HostOperations::end(const DesktopSpec& spec, std::chrono::milliseconds grace) {
  auto stopped = parts_.lifecycle.stop(spec, grace);
  const std::lock_guard lock(mutex_);
  if (stopped)
    unfinished_.erase(spec.id);
  else
    unfinished_.insert_or_assign(spec.id, spec);
  return stopped;
}

std::optional<DesktopSpec> HostOperations::unfinished(DesktopId id) {
  const std::lock_guard lock(mutex_);
  const auto found = unfinished_.find(id);
  if (found == unfinished_.end()) return std::nullopt;
  return found->second;
}

Result<void> HostOperations::stop(store::Store& store, const DesktopSpec& spec,
                                  const std::string& reason) {
  if (auto told = store.observe(spec.id, Observed::kStopping, reason); !told)
    parts_.log->warning("observe", {{"why", told.error().message()}});
  const std::chrono::seconds grace{config_.stop_grace_seconds};
  if (auto stopped = end(spec, grace); !stopped) {
    // Still "stopping": the loop comes back to it.
    (void)store.observe(spec.id, Observed::kStopping, stopped.error().message());
    return stopped;
  }
  give_home_back(store, spec.id);
  return store.observe(spec.id, Observed::kStopped, reason);
}

Result<void> HostOperations::clear(store::Store& store, DesktopId id, const DesktopSpec* spec,
                                   Observed observed, const std::string& reason) {
  // One whose stop failed is stopped again: a home that is still mounted stays the desktop's, by
  // its lock and its lease, until it is not.
  const auto known = spec != nullptr ? std::optional(*spec) : unfinished(id);
  if (known)
    PANAL_TRY(end(*known, std::chrono::milliseconds(0)));
  else
    PANAL_TRY(parts_.lifecycle.discard_leftovers(id));
  give_home_back(store, id);
  return store.observe(id, observed, reason);
}

std::string HostOperations::why_ended(DesktopId id) {
  const auto group =
      kernel::Cgroup::open(parts_.cgroups, config_.cgroup_parent + "/" + kernel_name(id));
  if (group) {
    const auto statistics = group->statistics();
    if (statistics && statistics->memory && statistics->memory->oom_kills > 0)
      return fmt::format(
          "its init ended; {} of its processes were killed for want of memory "
          "(its limit is {} MiB)",
          statistics->memory->oom_kills, config_.desktop_memory_bytes >> 20U);
  }
  return "its init ended";
}

Result<void> HostOperations::remove(const DesktopSpec& spec) {
  // No row brings the loop back to it: a home that is still mounted is waited for here, 2 s a try.
  constexpr int kTries = 15;
  auto removed = parts_.lifecycle.stop(spec, std::chrono::seconds(config_.stop_grace_seconds));
  for (int tries = 1; !removed && removed.error().code == EBUSY && tries < kTries; ++tries)
    removed = parts_.lifecycle.stop(spec, std::chrono::milliseconds(0));
  const std::lock_guard lock(mutex_);
  unfinished_.erase(spec.id);
  return removed;
}

Result<Started> HostOperations::adopt(store::Store& store, const store::Desktop& row) {
  PANAL_ASSIGN(auto spec, spec_of(store, row));
  spec.sharing = parts_.lifecycle.was_sharing(row.id);
  spec.compose = parts_.lifecycle.was_composed_by(row.id);
  if (spec.sharing.trust.empty()) spec.sharing.trust = row.trust;  // of a panald that knew none
  PANAL_ASSIGN(auto running, parts_.lifecycle.adopt(spec));
  // It has the home; whether the database still says so, the next renewal tells.
  if (const auto taken = take_home(store, spec); !taken) {
    spec.home_leased = true;
    parts_.log->warning("adopt_home",
                        {{"desktop", kernel_name(row.id)}, {"why", taken.error().message()}});
  }
  parts_.hub.admit(row.id);
  return Started{std::move(spec), std::move(running.init)};
}

Result<std::vector<Started>> HostOperations::take_over(store::Store& store) {
  PANAL_ASSIGN(const auto rows, store.desktops_on(config_.node_name));
  PANAL_ASSIGN(const auto traces, parts_.lifecycle.find());
  std::set<DesktopId> alive;
  for (const desktop::Trace& trace : traces)
    if (trace.running) alive.insert(trace.id);

  std::vector<Started> adopted;
  std::set<DesktopId> live;
  for (const store::Desktop& row : rows) {
    // A start that panald's end cut short may lack any of its later steps: it is made again.
    const bool complete = row.observed == Observed::kRunning || row.observed == Observed::kStopping;
    if (!complete || alive.count(row.id) == 0) continue;
    auto one = adopt(store, row);
    if (!one) {
      parts_.log->warning("adopt_failed",
                          {{"desktop", kernel_name(row.id)}, {"why", one.error().message()}});
      continue;
    }
    parts_.log->info("adopted", {{"desktop", kernel_name(row.id)}});
    live.insert(row.id);
    adopted.push_back(std::move(*one));
  }
  // What cannot be removed now is tried again when the name is next used.
  if (auto cleared = parts_.lifecycle.recover(live); !cleared)
    parts_.log->warning("recover", {{"why", cleared.error().message()}});
  PANAL_TRY(store.homes().recover(config_.node_name, live));
  for (const store::Desktop& row : rows) {
    const bool at_rest = row.observed == Observed::kStopped || row.observed == Observed::kFailed;
    if (!at_rest && live.count(row.id) == 0)
      PANAL_TRY(store.observe(row.id, Observed::kStopped, "node restarted"));
  }
  return adopted;
}

}  // namespace panal::node
