#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::config {

/// Everything /etc/panal/panal.toml can say, with defaults. All roots are settable, so that tests
/// run beside a live node. An unknown key is an error "file:line: unknown key ...".
struct Config {
  std::string node_name;  ///< default: the host's name

  // [paths]
  std::string state_dir = "/var/lib/panal";
  std::string run_dir = "/run/panal";
  std::string images_dir;    ///< default: state_dir/images
  std::string homes_dir;     ///< default: state_dir/homes; may be on another machine
  std::string desktops_dir;  ///< writable layers and logs; default: state_dir/desktops
  std::string recipes_dir;   ///< default: beside the program, else /usr/share/panal/recipes
  std::string profiles_dir;  ///< default: beside the program, else /usr/share/panal/profiles

  // [images]
  bool warm_images = true;  ///< pages that desktops use are read before they start
  std::uint64_t warm_most_bytes = std::uint64_t{1} << 30U;  ///< of them, all versions together

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
  std::string firewall_backend = "auto";  ///< "auto", "nftables", "iptables"
  std::string uplink = "none";  ///< the way outside: "none", "nic", "macvlan", "veth" (with NAT)
  std::string uplink_device;    ///< of the host: the card, or by which it forwards
  std::string uplink_address4, uplink_gateway4;  ///< with nic and macvlan
  std::string uplink_address6, uplink_gateway6;
  std::vector<std::string> uplink_direct;  ///< prefixes reached without the router
  std::string line_send, line_receive;     ///< of all desktops together ("1 Gbit"); "": no bound
  /// What desktops may reach (netconfine/policy/text.h); default: network.toml beside this file.
  /// One that is not there: nothing is allowed.
  std::string policies_file;

  // [desktop]
  std::uint64_t desktop_memory_bytes = std::uint64_t{2} << 30U;
  std::uint64_t desktop_pids = 512;
  bool prewarm = true;
  std::uint32_t stop_grace_seconds = 5;
  std::uint32_t start_timeout_seconds = 60;
  std::uint32_t parallel_starts = 8;  ///< at most; fewer while the host is busy

  // [uppers]: the writable layers of desktops
  std::string uppers_volatile = "disk";   ///< where those of volatile desktops are, or "memory"
  std::string uppers_quota = "auto";      ///< as homes_quota
  std::uint64_t uppers_limit_bytes = 0;   ///< of each; 0: none
  std::uint64_t uppers_limit_inodes = 0;  ///< likewise
  /// Size of the file that holds all of them and all logs (storage/quota/pool.h); 0: none, they are
  /// on the disk as they are.
  std::uint64_t uppers_pool_bytes = 0;

  // [homes]
  std::string homes_quota = "auto";  ///< "auto", "project", "qgroup", "loop", "none"
  std::uint64_t homes_limit_bytes = 0;
  std::uint64_t homes_limit_inodes = 0;
  std::string homes_remote = "auto";        ///< "yes": it may hang; "auto": by the file system
  std::uint32_t homes_answer_seconds = 10;  ///< how long a remote one may take to answer
  std::uint32_t homes_lost_seconds = 300;   ///< without an answer until a home is lost
  std::uint32_t homes_lease_seconds = 0;    ///< until others may take it; 0: never by itself

  // [disk]
  std::uint64_t disk_reserve_bytes = std::uint64_t{64} << 20U;  ///< freed when the disk is full

  // [compose]: how desktops' roots are made on this node (docs/storage.md)
  std::string compose_backend = "auto";               ///< of images that are not named below
  std::map<std::string, std::string> compose_images;  ///< image -> backend, or "auto"
  /// Image -> trees over its version, the lowest first: absolute paths, or IMAGE/VERSION.
  std::map<std::string, std::vector<std::string>> compose_layers;
  std::uint64_t tmpfs_bytes = std::uint64_t{256} << 20U;  ///< what a desktop on tmpfs may write
  std::uint64_t tmpfs_inodes = 65'536;
  bool volatile_metacopy = true;  ///< overlay, volatile uppers: metadata apart from data
  bool volatile_synced = false;   ///< overlay, volatile uppers: sync when programs ask
  std::string btrfs_dir;  ///< where snapshots are; empty: state_dir/btrfs with a file, else none
  std::uint64_t btrfs_loop_bytes = 0;  ///< > 0: btrfs in a file below state_dir
  std::string lvm_pool;                ///< "group/pool"

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
  /// Who pays for image pages that are read before desktops need them: nobody's, and outside of the
  /// desktops' limit, so that a full farm evicts its own memory first.
  [[nodiscard]] std::string cgroup_warm_group() const { return cgroup_parent + "-warm"; }
  [[nodiscard]] std::string node_socket() const { return run_dir + "/panald.sock"; }
  /// In which the broker's workers are marked (engine/base/process_marks).
  [[nodiscard]] std::string broker_workers_file() const { return run_dir + "/broker.workers"; }
  /// Per-desktop directory below run_dir: holds lxc.conf, root/ (mount point), host/ (the tmpfs
  /// shared with the desktop), prewarm/.
  [[nodiscard]] std::string desktop_run_dir(DesktopId id) const {
    return run_dir + "/desktops/" + kernel_name(id);
  }
  [[nodiscard]] std::string desktops_root() const {
    return desktops_dir.empty() ? state_dir + "/desktops" : desktops_dir;
  }
  [[nodiscard]] std::string pool_file() const { return desktops_root() + ".img"; }
  [[nodiscard]] std::string reserve_file() const { return state_dir + "/.reserve"; }
  /// Per-desktop directory below desktops_root(): holds upper/ (writable layer), log/.
  [[nodiscard]] std::string desktop_state_dir(DesktopId id) const {
    return desktops_root() + "/" + kernel_name(id);
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
