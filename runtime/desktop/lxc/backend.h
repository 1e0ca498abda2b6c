#pragma once

#include <string>

#include "runtime/desktop/backend.h"
#include "runtime/desktop/lxc/spawner_pool.h"

namespace panal::desktop::lxc {

struct LxcOptions {
  std::string agent_program;     ///< the static panal-agent
  std::string cgroup_parent;     ///< config.cgroup_parent
  std::string lxc_path;          ///< liblxc's directory, e.g. <run>/lxc; made if absent
  std::string apparmor_profile;  ///< apparmor_profile()
};

/// Containers through liblxc: renders the configuration and has a spawner start it.
class LxcBackend final : public ContainerBackend {
 public:
  LxcBackend(SpawnerPool& spawners, LxcOptions options)
      : spawners_(spawners), options_(std::move(options)) {}

  [[nodiscard]] Result<Pidfd> start(const ContainerSpec& spec) override;
  [[nodiscard]] std::string evidence(const ContainerSpec& spec) override;

 private:
  SpawnerPool& spawners_;
  LxcOptions options_;
};

/// The last `lines` lines of a text, each printable and at most 300 bytes.
[[nodiscard]] std::string last_lines(std::string_view text, int lines);

}  // namespace panal::desktop::lxc
