#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/tree.h"
#include "netconfine/network.h"
#include "runtime/config/config.h"
#include "runtime/desktop/groups.h"
#include "runtime/desktop/lifecycle.h"
#include "runtime/desktop/lxc/backend.h"
#include "runtime/desktop/lxc/spawner_pool.h"
#include "runtime/desktop/shared_dirs.h"
#include "storage/compose/composer.h"
#include "storage/home/home_store.h"

namespace panal::desktop::testing {

/// panald's side of an agent that never connects: ready is what the helper's file says.
class FileGate final : public AgentGate {
 public:
  Result<void> listen(const DesktopSpec& spec, const std::string& shared_dir) override;
  Result<void> wait_ready(DesktopId id, const Pidfd& init,
                          std::chrono::milliseconds timeout) override;
  Result<void> poweroff(DesktopId id, std::chrono::milliseconds grace) override;
  void close(DesktopId id) override;

  std::set<DesktopId> listening;
  std::string hello;  ///< the first frame of a real agent, where one runs
  bool never_ready = false;

 private:
  std::map<DesktopId, std::string> dirs_;
  std::map<DesktopId, UniqueFd> sockets_;
};

/// Everything real but the agent, in the lab's namespaces.
struct Sandbox {
  explicit Sandbox(const std::string& mode = "normal");
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  [[nodiscard]] DesktopSpec spec(DesktopId id) const;
  [[nodiscard]] Lifecycle& life() { return *lifecycle; }
  /// What the helper has written, its lines.
  [[nodiscard]] std::vector<std::string> report(DesktopId id) const;
  /// All that a desktop leaves while it lives, named; empty when it is gone.
  [[nodiscard]] std::vector<std::string> traces(DesktopId id) const;
  /// A new spawner pool, as after a restart of panald. `init`: the program in the agent's place.
  void open_pool(const std::string& init = PANAL_BIN_DIR "/desktop-test-init");

  std::filesystem::path dir;
  std::filesystem::path image;
  config::Config config;
  Tree tree;
  storage::Composer compose;
  std::unique_ptr<storage::HomeStore> homes;
  std::unique_ptr<netconfine::Network> network;
  std::unique_ptr<lxc::SpawnerPool> pool;
  std::unique_ptr<lxc::LxcBackend> containers;
  std::unique_ptr<KernelGroups> groups;
  TmpfsSharedDirs shared;
  FileGate gate;
  std::unique_ptr<Lifecycle> lifecycle;
};

/// Value of "key value..." in a report, or "".
std::string value_of(const std::vector<std::string>& report, const std::string& key);
/// The errno of "call NAME errno", -1 when it is not in the report.
int errno_of(const std::vector<std::string>& report, const std::string& name);

}  // namespace panal::desktop::testing
