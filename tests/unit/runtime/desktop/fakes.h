#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "netconfine/network.h"
#include "runtime/desktop/lifecycle.h"

namespace panal::desktop::testing {

/// A node that keeps what it was told and can be made to fail at one place: "compose", "home",
/// "shared", "listen", "prepare", "container", "attach", "ready", or an undo like "-compose".
struct FakeNode {
  std::set<std::string> standing;  ///< "root d7", "home d7", "shared", "listen", "group", "link"
  std::vector<std::string> calls;
  std::string fails;
  pid_t init = -1;  ///< a real process: the lifecycle looks its network namespace up
  std::function<void()> on_poweroff;
  bool knows_agent = true;

  Result<void> step(const std::string& name, const std::string& thing, bool up) {
    calls.push_back(name);
    if (fails == name) return fail(EIO, name + " of the fake");
    if (up)
      standing.insert(thing);
    else
      standing.erase(thing);
    return {};
  }
};

class FakeCompose final : public storage::ComposeBackend {
 public:
  explicit FakeCompose(FakeNode& node) : node_(node) {}
  std::string_view name() const override { return "fake"; }
  storage::BackendTraits traits() const override { return {}; }
  Result<void> provision(const storage::RootSpec& spec) override {
    last = spec;
    return node_.step("compose", "root", true);
  }
  Result<void> destroy(const storage::RootSpec& spec) override {
    last = spec;
    return node_.step("-compose", "root", false);
  }
  Result<storage::RootUsage> usage(const storage::RootSpec&) override {
    return storage::RootUsage{};
  }
  Result<storage::Recovered> recover(const storage::RecoverScope& scope) override {
    recovered = scope;
    return storage::Recovered{};
  }
  Result<void> erase(const storage::RootSpec&) override { return {}; }
  storage::RootSpec last;
  storage::RecoverScope recovered;

 private:
  FakeNode& node_;
};

class FakeHomes final : public storage::HomeStore {
 public:
  explicit FakeHomes(FakeNode& node) : HomeStore("/nowhere"), node_(node) {}
  Result<void> attach(const storage::HomeSpec& spec) override {
    return node_.step("home", "home " + spec.tenant + "/" + spec.home, true);
  }
  Result<void> detach(const storage::HomeSpec& spec) override {
    return node_.step("-home", "home " + spec.tenant + "/" + spec.home, false);
  }
  Result<void> recover(const std::set<std::string>& live) override {
    recovered = live;
    return {};
  }
  std::set<std::string> recovered;

 private:
  FakeNode& node_;
};

class FakeNetwork final : public netconfine::Network {
 public:
  explicit FakeNetwork(FakeNode& node) : node_(node) {}
  Result<netconfine::Link> attach(DesktopId id, const UniqueFd&) override {
    PANAL_TRY(node_.step("attach", "link", true));
    return netconfine::Link{id, "pnl", "", "", ""};
  }
  Result<void> detach(DesktopId) override { return node_.step("-attach", "link", false); }
  Result<std::vector<netconfine::Link>> links() override { return std::vector<netconfine::Link>{}; }
  Result<void> recover(const std::set<DesktopId>& live) override {
    recovered = live;
    return {};
  }
  std::set<DesktopId> recovered;

 private:
  FakeNode& node_;
};

class FakeGroups final : public DesktopGroups {
 public:
  explicit FakeGroups(FakeNode& node) : node_(node) {}
  Result<void> prepare(DesktopId) override { return node_.step("prepare", "group", true); }
  Result<Pidfd> find_init(DesktopId id) override {
    if (inits.count(id) == 0) return fail(ENOENT, "no init");
    return Pidfd::open(node_.init);
  }
  Result<void> destroy(DesktopId id) override {
    inits.erase(id);
    return node_.step("-container", "group", false);
  }
  Result<std::vector<DesktopId>> list() override {
    return std::vector<DesktopId>(inits.begin(), inits.end());
  }
  std::set<DesktopId> inits;

 private:
  FakeNode& node_;
};

class FakeContainers final : public ContainerBackend {
 public:
  FakeContainers(FakeNode& node, FakeGroups& groups) : node_(node), groups_(groups) {}
  Result<Pidfd> start(const ContainerSpec& spec) override {
    last = spec;
    groups_.inits.insert(spec.desktop.id);  // a half-started one is in the group as well
    PANAL_TRY(node_.step("container", "group", true));
    if (spawner_deaths > 0) {
      --spawner_deaths;
      return fail(EPIPE, "the spawner died");
    }
    return Pidfd::open(node_.init);
  }
  std::string evidence(const ContainerSpec&) override { return "the log says why\n"; }
  ContainerSpec last;
  int spawner_deaths = 0;

 private:
  FakeNode& node_;
  FakeGroups& groups_;
};

class FakeShared final : public SharedDirs {
 public:
  explicit FakeShared(FakeNode& node) : node_(node) {}
  Result<void> make(const std::string&, std::uint32_t owner, std::uint32_t) override {
    last_owner = owner;
    return node_.step("shared", "shared", true);
  }
  Result<void> remove(const std::string&) override {
    return node_.step("-shared", "shared", false);
  }
  std::uint32_t last_owner = 0;

 private:
  FakeNode& node_;
};

class FakeGate final : public AgentGate {
 public:
  explicit FakeGate(FakeNode& node) : node_(node) {}
  Result<void> listen(const DesktopSpec&, const std::string&) override {
    return node_.step("listen", "listen", true);
  }
  Result<void> wait_ready(DesktopId, const Pidfd&, std::chrono::milliseconds timeout) override {
    waited = timeout;
    return node_.step("ready", "ready", true);
  }
  Result<void> poweroff(DesktopId, std::chrono::milliseconds) override {
    node_.calls.emplace_back("poweroff");
    if (!node_.knows_agent) return fail(ENOTCONN, "no agent");
    if (node_.on_poweroff) node_.on_poweroff();
    return {};
  }
  void close(DesktopId) override {
    (void)node_.step("-listen", "listen", false);
    node_.standing.erase("ready");
  }
  std::chrono::milliseconds waited{0};

 private:
  FakeNode& node_;
};

}  // namespace panal::desktop::testing
