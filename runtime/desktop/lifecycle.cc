#include "runtime/desktop/lifecycle.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <optional>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "runtime/agent/protocol.h"
#include "runtime/desktop/nx_socket.h"
#include "runtime/desktop/places.h"
#include "runtime/desktop/saved_spec.h"

namespace panal::desktop {
namespace {

using std::chrono::milliseconds;

storage::RootSpec root_spec(const DesktopSpec& spec, const Places& places) {
  storage::RootSpec root{spec.version_root, places.upper, places.root, spec.ids, spec.persistent};
  root.desktop = kernel_name(spec.id);
  root.layers = spec.layers;
  root.backend = spec.compose;
  return root;
}

storage::HomeSpec home_spec(const DesktopSpec& spec, const Places& places) {
  return storage::HomeSpec{spec.user.tenant, spec.home,        kernel_name(spec.id),
                           spec.user.uid,    spec.user.gid,    spec.ids,
                           places.home,      spec.home_leased, spec.home_evicted};
}

Result<void> save_spec(const DesktopSpec& spec, const Places& places) {
  PANAL_ASSIGN(const std::string text, print_saved(spec));
  PANAL_ASSIGN(const Dir dir, Dir::open(places.run));
  PANAL_ASSIGN(const UniqueFd fd, dir.open_file("saved", O_WRONLY | O_CREAT | O_TRUNC));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", places.saved);
  return {};
}

/// Keeps the first error of a sequence whose every step must be tried.
class FirstError {
 public:
  void note(const Result<void>& step) {
    if (!step && !error_) error_ = step.error();
  }
  [[nodiscard]] Result<void> result() const {
    if (error_) return tl::make_unexpected(*error_);
    return {};
  }

 private:
  std::optional<Error> error_;
};

}  // namespace

Lifecycle::Lifecycle(Parts parts, const config::Config& config)
    : parts_(std::move(parts)), config_(config) {}

Result<UniqueFd> Lifecycle::network_of(const Pidfd& init) {
  PANAL_ASSIGN(const Dir process,
               Dir::open(std::string(kernel_paths::kProc) + "/" + std::to_string(init.pid())));
  PANAL_ASSIGN(UniqueFd ns, process.open_file("ns/net", O_RDONLY));
  // The second look makes sure that the pid was still its own when the name was looked up.
  PANAL_ASSIGN(const bool ended, init.wait_exit(milliseconds{0}));
  if (ended) return fail(ESRCH, "the desktop's init has ended");
  return ns;
}

std::string Lifecycle::shared_dir(DesktopId id) const { return places_of(config_, id).host; }

tl::expected<RunningDesktop, StepError> Lifecycle::start(const DesktopSpec& spec,
                                                         const Progress& progress) {
  auto running = start_once(spec, progress);
  if (running || running.error().step != "container" || running.error().cause.code != EPIPE)
    return running;
  parts_.log->info("start_again", {{"desktop", kernel_name(spec.id)}});
  return start_once(spec, progress);
}

tl::expected<RunningDesktop, StepError> Lifecycle::start_once(const DesktopSpec& spec,
                                                              const Progress& progress) {
  const Places places = places_of(config_, spec.id);
  const ContainerSpec container{spec,        places.run,  places.log,
                                places.root, places.home, places.host};
  Cleanup undo;
  std::string step;
  const auto begin = [&](const char* name) {
    step = name;
    if (progress) progress(name);
  };
  // An undo step has nobody to return its error to.
  const auto push = [&](const char* what, std::function<Result<void>()> action) {
    undo.push([this, what, id = spec.id, action = std::move(action)] {
      if (const auto done = action(); !done)
        parts_.log->warning(
            "undo_failed",
            {{"desktop", kernel_name(id)}, {"step", what}, {"why", done.error().message()}});
    });
  };
  const auto failed = [&](Error cause) {
    StepError error{step, std::move(cause), {}};
    if (step == "container" || step == "network" || step == "agent")
      error.evidence = parts_.containers.evidence(container);
    undo.run();
    parts_.log->warning("start_failed",
                        {{"desktop", kernel_name(spec.id)}, {"reason", error.reason()}});
    return tl::make_unexpected(std::move(error));
  };
  const auto destroy_group = [this, id = spec.id] { return parts_.groups.destroy(id); };

  begin("compose");
  if (parts_.groups.find_init(spec.id))
    return failed(Error{EBUSY, kernel_name(spec.id) + " already runs"});
  // A start that a crash cut short has left its things.
  if (::access(places.run.c_str(), F_OK) == 0) {
    if (auto done = discard_leftovers(spec.id); !done) return failed(done.error());
  }
  push("run directory", [places] { return remove_run_dir(places); });
  // A start whose spawner died may still enter its group while the first undo runs; once the mounts
  // are gone it cannot go on, so this second sweep is final.
  push("cgroup", destroy_group);
  if (auto done = make_places(config_, places); !done) return failed(done.error());
  if (auto done = save_spec(spec, places); !done) return failed(done.error());
  if (auto done = parts_.compose.provision(root_spec(spec, places)); !done)
    return failed(done.error());
  push("root", [this, root = root_spec(spec, places)] { return parts_.compose.destroy(root); });

  begin("home");
  if (auto done = parts_.homes.attach(home_spec(spec, places)); !done) return failed(done.error());
  push("home", [this, home = home_spec(spec, places)] { return parts_.homes.detach(home); });

  begin("shared");
  if (auto done = parts_.shared.make(places.host, spec.ids.first + spec.user.uid,
                                     spec.ids.first + spec.user.gid);
      !done)
    return failed(done.error());
  push("shared", [this, host = places.host] { return parts_.shared.remove(host); });
  if (auto done = parts_.agents.listen(spec, places.host); !done) return failed(done.error());
  push("agent", [this, id = spec.id]() -> Result<void> {
    parts_.agents.close(id);
    return {};
  });

  begin("cgroup");
  if (auto done = parts_.groups.prepare(spec.id); !done) return failed(done.error());
  push("cgroup", destroy_group);

  begin("container");
  auto init = parts_.containers.start(container);
  if (!init) return failed(init.error());

  begin("network");
  auto network = network_of(*init);
  if (!network) return failed(network.error());
  auto link = parts_.network.attach(spec.id, *network);
  if (!link) return failed(link.error());
  push("network", [this, id = spec.id] { return parts_.network.detach(id); });

  begin("agent");
  const milliseconds timeout = std::chrono::seconds{config_.start_timeout_seconds};
  if (auto done = parts_.agents.wait_ready(spec.id, *init, timeout); !done)
    return failed(done.error());

  undo.release();
  parts_.log->info("desktop_started",
                   {{"desktop", kernel_name(spec.id)}, {"init", std::to_string(init->pid())}});
  return RunningDesktop{spec.id, std::move(*init)};
}

Result<void> Lifecycle::remove_all(const DesktopSpec& spec, bool has_home) {
  const Places places = places_of(config_, spec.id);
  FirstError errors;
  errors.note(parts_.groups.destroy(spec.id));
  errors.note(parts_.network.detach(spec.id));
  parts_.agents.close(spec.id);
  errors.note(parts_.shared.remove(places.host));
  if (has_home) {
    errors.note(parts_.homes.detach(home_spec(spec, places)));
  } else if (::umount2(places.home.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
             errno != ENOENT && errno != EPERM) {
    errors.note(fail_errno("unmount", places.home));
  }
  errors.note(parts_.compose.destroy(root_spec(spec, places)));
  errors.note(parts_.groups.destroy(spec.id));  // see start(): the final sweep
  errors.note(remove_run_dir(places));
  return errors.result();
}

Result<void> Lifecycle::stop(const DesktopSpec& spec, milliseconds grace) {
  if (const auto init = parts_.groups.find_init(spec.id)) {
    auto asked = parts_.agents.poweroff(spec.id, grace);
    // An agent that does not talk to us may still hear a signal.
    if (!asked) asked = init->send_signal(SIGTERM);
    if (asked) {
      // The agent takes `grace` for its session and a little for itself.
      const milliseconds patience = grace.count() > 0 ? grace + milliseconds{500} : grace;
      if (const auto ended = init->wait_exit(patience); ended && !*ended)
        parts_.log->info("stop_by_kill", {{"desktop", kernel_name(spec.id)}});
    }
  }
  return remove_all(spec, true);
}

Result<DesktopSpec> Lifecycle::saved_of(DesktopId id) const {
  PANAL_ASSIGN(const Dir dir, Dir::open(places_of(config_, id).run));
  PANAL_ASSIGN(const std::string text, dir.read("saved"));
  return parse_saved(text);
}

MemorySharing Lifecycle::was_sharing(DesktopId id) const {
  const auto spec = saved_of(id);
  return spec ? spec->sharing : MemorySharing();
}

std::string Lifecycle::was_composed_by(DesktopId id) const {
  const auto spec = saved_of(id);
  return spec ? spec->compose : std::string();
}

Result<RunningDesktop> Lifecycle::adopt(const DesktopSpec& spec) {
  PANAL_ASSIGN(Pidfd init, parts_.groups.find_init(spec.id));
  PANAL_TRY(parts_.agents.listen(spec, places_of(config_, spec.id).host));
  return RunningDesktop{spec.id, std::move(init)};
}

Result<std::vector<Trace>> Lifecycle::find() const {
  PANAL_ASSIGN(const std::vector<DesktopId> groups, parts_.groups.list());
  PANAL_ASSIGN(const std::vector<DesktopId> dirs, ids_with_run_dir(config_));
  std::set<DesktopId> ids(groups.begin(), groups.end());
  ids.insert(dirs.begin(), dirs.end());
  std::vector<Trace> traces;
  for (const DesktopId id : ids)
    traces.push_back(Trace{id, parts_.groups.find_init(id).has_value()});
  return traces;
}

Result<void> Lifecycle::discard_leftovers(DesktopId id) {
  const auto dir = Dir::open(places_of(config_, id).run);
  if (dir) {
    if (const auto text = dir->read("saved")) {
      if (const auto saved = parse_saved(*text); saved && saved->id == id)
        return remove_all(*saved, true);
    }
  }
  // Nothing is known: keep the upper, the next start discards a volatile one.
  DesktopSpec unknown;
  unknown.id = id;
  unknown.persistent = true;
  return remove_all(unknown, false);
}

Result<void> Lifecycle::recover_roots(const std::set<std::string>& live) {
  const auto above = [](const std::string& path) { return path.substr(0, path.rfind('/')); };
  PANAL_ASSIGN(const storage::Recovered done,
               parts_.compose.recover(
                   {above(config_.desktop_state_dir(1)), above(config_.desktop_run_dir(1)), live}));
  if (done.unmounted > 0 || done.removed > 0)
    parts_.log->info("roots_recovered", {{"unmounted", std::to_string(done.unmounted)},
                                         {"removed", std::to_string(done.removed)}});
  for (const std::string& problem : done.problems)
    parts_.log->warning("roots_recovered", {{"why", problem}});
  return {};
}

Result<void> Lifecycle::recover(const std::set<DesktopId>& live) {
  FirstError errors;
  PANAL_ASSIGN(const std::vector<Trace> traces, find());
  for (const Trace& trace : traces)
    if (live.count(trace.id) == 0) errors.note(discard_leftovers(trace.id));
  errors.note(parts_.network.recover(live));
  std::set<std::string> names;
  for (const DesktopId id : live) names.insert(kernel_name(id));
  errors.note(parts_.homes.recover(names));
  errors.note(recover_roots(names));
  return errors.result();
}

Result<UniqueFd> Lifecycle::open_nx_socket(DesktopId id, std::uint32_t owner) const {
  const std::string inside = agent::kSharedDir;
  const std::string relative = std::string(agent::kNxSocket).substr(inside.size() + 1);
  return connect_beneath(places_of(config_, id).host, relative, owner);
}

}  // namespace panal::desktop
