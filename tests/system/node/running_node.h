#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/pidfd.h"
#include "runtime/config/config.h"
#include "runtime/store/private_cluster.h"
#include "runtime/store/store.h"

namespace panal::node {

/// A database, an image from the cache and a real panald, in the lab's directory.
class RunningNode {
 public:
  /// Empty: all that it needs is there; else why the test must be skipped.
  [[nodiscard]] static std::string why_not();

  /// `more`: sections at the end of its configuration.
  explicit RunningNode(const std::string& more = {});
  ~RunningNode();
  RunningNode(const RunningNode&) = delete;
  RunningNode& operator=(const RunningNode&) = delete;

  /// More of the configuration, in place of what was given so before; from the next panald on.
  void configure(const std::string& more) const;
  void start_panald();
  /// Sends it a signal and reaps it.
  void end_panald(int signal);
  [[nodiscard]] pid_t panald_pid() const { return panald_.pid(); }

  /// A desktop of a new user.
  store::Desktop new_desktop(bool persistent = false);
  void want(DesktopId id, store::Desired desired);
  /// Waits for an observed state; the row then. Fails the test after a minute.
  store::Desktop await(DesktopId id, store::Observed observed);
  store::Desktop await(DesktopId id, const std::function<bool(const store::Desktop&)>& good,
                       const std::string& what);
  [[nodiscard]] store::Desktop row(DesktopId id);

  /// Asks panald, dropping progress; the last answer.
  nlohmann::json ask(const nlohmann::json& request);
  /// The pid of a desktop's init by panald's word; -1: it does not run.
  [[nodiscard]] pid_t init_of(DesktopId id);
  /// The end of panald's log.
  [[nodiscard]] std::string log() const;
  [[nodiscard]] const config::Config& config() const { return config_; }
  /// The database, with the administrator's rights.
  [[nodiscard]] store::Store& admin() { return *admin_; }

 private:
  std::string directory_;
  std::string config_file_, config_text_;
  config::Config config_;
  std::unique_ptr<store::PrivateCluster> cluster_;
  Pidfd database_;
  Pidfd panald_;
  std::unique_ptr<store::Store> admin_;
  int users_ = 0;
};

}  // namespace panal::node
