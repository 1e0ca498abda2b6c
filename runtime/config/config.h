#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::config {

/// How desktops reach the world outside; see design: `none` is the default.
enum class Outside { kNone };

/// Everything /etc/panal/panal.toml can say, with defaults. All roots are settable, so that tests
/// run beside a live node. An unknown key is an error "file:line: unknown key ...".
struct Config {
  std::string node_name;  ///< default: the host's name

  // [paths]
  std::string state_dir = "/var/lib/panal";
  std::string run_dir = "/run/panal";
  std::string images_dir;    ///< default: state_dir/images
  std::string homes_dir;     ///< default: state_dir/homes
  std::string recipes_dir;   ///< default: beside the program, else /usr/share/panal/recipes
  std::string profiles_dir;  ///< default: beside the program, else /usr/share/panal/profiles

  // [cgroup]
  std::string cgroup_parent = "panal";     ///< path below each hierarchy's root; parse()
                                           ///< begins with default_cgroup_parent()
  std::uint64_t memory_reserve_bytes = 0;  ///< kept for the host; 0: max(1 GiB, 10 % of RAM)
  std::uint64_t memory_limit_bytes = 0;  ///< the parent group's limit; 0: computed from the reserve

  // [ids]
  IdRange ids{0, 0};  ///< host ids given to desktops; count 0: root's line in /etc/subuid

  // [network]
  std::string subnet4 = "10.77.0.0/16";
  std::string subnet6 = "fd77:7061:6e61::/64";
  Outside outside = Outside::kNone;
  std::string firewall = "auto";  ///< or "nftables", "iptables" (netconfine/firewall/choice)

  // [desktop]
  std::uint64_t desktop_memory_bytes = std::uint64_t{2} << 30U;
  std::uint64_t desktop_pids = 512;
  bool prewarm = true;
  std::uint32_t stop_grace_seconds = 5;
  std::uint32_t start_timeout_seconds = 60;
  std::uint32_t parallel_starts = 8;  ///< at most; fewer while the host is busy

  // [tuning]
  std::string tuning_profile = "balanced";  ///< a name in profiles_dir, or a file
  bool tuning_apply_at_start = false;       ///< `panal up` applies it after a boot

  // [broker]
  std::string listen_address = "0.0.0.0";
  std::uint16_t port = 8443;
  std::string tls_certificate;  ///< PEM; empty: state_dir/tls/cert.pem, self-signed on first use
  std::string tls_key;
  std::string broker_user = "panal-broker";
  std::uint32_t broker_workers = 0;  ///< 0: one a core
  std::string archive_dir;           ///< an archive of images to publish; empty: none
  std::string archive_token_file;    ///< what nodes must send to read it

  // [metrics]
  std::string metrics_listen;   ///< "address:port" (parse_endpoint()); empty: nobody serves them
  bool metrics_public = false;  ///< whether others than this machine may reach it

  // [database]
  std::string database_url;  ///< libpq URL; empty: the private cluster under state_dir/postgres
  std::string database_user = "panal-db";  ///< OS user that owns the private cluster

  // Derived names, so that nobody spells them twice.
  [[nodiscard]] std::string mount_namespace_file() const { return run_dir + "/ns/mnt"; }
  [[nodiscard]] std::string net_namespace_file() const { return run_dir + "/ns/net"; }
  /// Where liblxc's monitors live: beside the desktops, outside of their memory limit.
  [[nodiscard]] std::string cgroup_monitor_parent() const { return cgroup_parent + "-monitor"; }
  [[nodiscard]] std::string node_socket() const { return run_dir + "/panald.sock"; }
  /// In which the broker's workers are marked (engine/base/process_marks).
  [[nodiscard]] std::string broker_workers_file() const { return run_dir + "/broker.workers"; }
  /// Per-desktop directory below run_dir: holds lxc.conf, root/ (mount point), host/ (the tmpfs
  /// shared with the desktop), prewarm/.
  [[nodiscard]] std::string desktop_run_dir(DesktopId id) const {
    return run_dir + "/desktops/" + kernel_name(id);
  }
  /// Per-desktop directory below state_dir: holds upper/ (writable layer), log/.
  [[nodiscard]] std::string desktop_state_dir(DesktopId id) const {
    return state_dir + "/desktops/" + kernel_name(id);
  }
  [[nodiscard]] std::string database_socket_dir() const { return run_dir + "/postgres"; }
  /// What libpq is given: database_url, or the private cluster's socket with `role`.
  [[nodiscard]] std::string database_conninfo(const std::string& role) const;
};

inline constexpr const char* kDefaultConfigFile = "/etc/panal/panal.toml";

/// Parses TOML text. `file` is only for messages. Errors: EPROTO "file:line: what is wrong".
[[nodiscard]] Result<Config> parse(const std::string& text, const std::string& file);

/// Reads `file`, or $PANAL_CONFIG where `file` is empty, or the default file; a default file that
/// is absent means all defaults. Errors: those of parse() and read(2).
[[nodiscard]] Result<Config> load(const std::string& file = {});

/// The directory the running program is in: where the other programs are.
[[nodiscard]] std::string program_dir();
/// ../../../recipes when running from build/<preset>/bin of a source tree, else the installed ones.
[[nodiscard]] std::string default_recipes_dir();
/// ../../../engine/profile likewise.
[[nodiscard]] std::string default_profiles_dir();
/// "panal", or below the group that systemd has handed over to Panal, where panal-desktops.service
/// is active: groups outside of it are systemd's. `cgroup_root`: where the hierarchies are mounted.
[[nodiscard]] std::string default_cgroup_parent(const std::string& cgroup_root);

/// The effective values as TOML text that parse() accepts (`panal config`).
[[nodiscard]] std::string print(const Config& config);

}  // namespace panal::config
