#pragma once

#include <array>
#include <string_view>

#include "runtime/config/config.h"

namespace panal::config {

/// What a value may be.
enum class Kind { kText, kPath, kBytes, kSubnet4, kSubnet6, kRate, kQuota, kPlace, kAnswer };

inline constexpr std::array<std::string_view, 3> kFirewallBackends{"auto", "nftables", "iptables"};
inline constexpr std::array<std::string_view, 4> kUplinks{"none", "nic", "macvlan", "veth"};

/// Every key of the file, once: parse(), print() and the check for unknown keys are visitors of it,
/// so that they cannot disagree.
///
/// The visitor has text(section, key, string&, Kind), number(section, key, integer&, least, most),
/// flag(section, key, bool&), names(key, map<text, text>&), lists(key, map<text, texts>&),
/// one_of(key, string&, words), texts(key, vector<string>&) and
/// section(name).
template <typename Visitor, typename AnyConfig>
void visit_keys(Visitor& v, AnyConfig& c) {
  v.section("node");
  v.text("name", c.node_name, Kind::kText);
  v.section("paths");
  v.text("state", c.state_dir, Kind::kPath);
  v.text("run", c.run_dir, Kind::kPath);
  v.text("images", c.images_dir, Kind::kPath);
  v.text("homes", c.homes_dir, Kind::kPath);
  v.text("desktops", c.desktops_dir, Kind::kPath);
  v.text("recipes", c.recipes_dir, Kind::kPath);
  v.text("profiles", c.profiles_dir, Kind::kPath);
  v.section("images");
  v.flag("warm", c.warm_images);
  v.bytes("warm_most", c.warm_most_bytes);
  v.section("cgroup");
  v.text("parent", c.cgroup_parent, Kind::kText);
  v.bytes("memory_reserve", c.memory_reserve_bytes);
  v.bytes("memory_limit", c.memory_limit_bytes);
  v.section("ids");
  v.number("first", c.ids.first, 0, 4'294'901'760);
  v.number("count", c.ids.count, 0, 4'294'901'760);
  v.section("network");
  v.text("subnet4", c.subnet4, Kind::kSubnet4);
  v.text("subnet6", c.subnet6, Kind::kSubnet6);
  v.one_of("backend", c.firewall_backend, kFirewallBackends);
  v.one_of("uplink", c.uplink, kUplinks);
  v.text("uplink_device", c.uplink_device, Kind::kText);
  v.text("uplink_address4", c.uplink_address4, Kind::kText);
  v.text("uplink_gateway4", c.uplink_gateway4, Kind::kText);
  v.text("uplink_address6", c.uplink_address6, Kind::kText);
  v.text("uplink_gateway6", c.uplink_gateway6, Kind::kText);
  v.texts("uplink_direct", c.uplink_direct);
  v.text("line_send", c.line_send, Kind::kRate);
  v.text("line_receive", c.line_receive, Kind::kRate);
  v.text("policies", c.policies_file, Kind::kPath);
  v.section("desktop");
  v.bytes("memory", c.desktop_memory_bytes);
  v.number("pids", c.desktop_pids, 32, 4'194'304);
  v.flag("prewarm", c.prewarm);
  v.number("stop_grace_seconds", c.stop_grace_seconds, 0, 600);
  v.number("start_timeout_seconds", c.start_timeout_seconds, 5, 3600);
  v.number("parallel_starts", c.parallel_starts, 1, 64);
  v.section("uppers");
  v.text("volatile", c.uppers_volatile, Kind::kPlace);
  v.text("quota", c.uppers_quota, Kind::kQuota);
  v.bytes("limit", c.uppers_limit_bytes);
  v.number("inodes", c.uppers_limit_inodes, 0, 4'000'000'000);
  v.bytes("pool", c.uppers_pool_bytes);
  v.section("homes");
  v.text("quota", c.homes_quota, Kind::kQuota);
  v.bytes("limit", c.homes_limit_bytes);
  v.number("inodes", c.homes_limit_inodes, 0, 4'000'000'000);
  v.text("remote", c.homes_remote, Kind::kAnswer);
  v.number("answer_seconds", c.homes_answer_seconds, 1, 120);
  v.number("lost_after_seconds", c.homes_lost_seconds, 10, 86'400);
  v.number("lease_seconds", c.homes_lease_seconds, 0, 86'400);
  v.section("disk");
  v.bytes("reserve", c.disk_reserve_bytes);
  v.section("compose");
  v.text("backend", c.compose_backend, Kind::kText);
  v.names("images", c.compose_images);
  v.lists("layers", c.compose_layers);
  v.bytes("tmpfs_size", c.tmpfs_bytes);
  v.number("tmpfs_inodes", c.tmpfs_inodes, 256, 1'000'000'000);
  v.flag("volatile_metacopy", c.volatile_metacopy);
  v.flag("volatile_synced", c.volatile_synced);
  v.text("btrfs", c.btrfs_dir, Kind::kPath);
  v.bytes("btrfs_loop_size", c.btrfs_loop_bytes);
  v.text("lvm_pool", c.lvm_pool, Kind::kText);
  v.section("tuning");
  v.text("profile", c.tuning_profile, Kind::kText);
  v.flag("apply_at_start", c.tuning_apply_at_start);
  v.section("broker");
  v.text("address", c.listen_address, Kind::kText);
  v.number("port", c.port, 1, 65535);
  v.text("certificate", c.tls_certificate, Kind::kPath);
  v.text("key", c.tls_key, Kind::kPath);
  v.text("user", c.broker_user, Kind::kText);
  v.number("workers", c.broker_workers, 0, 256);
  v.text("archive", c.archive_dir, Kind::kPath);
  v.text("archive_token", c.archive_token_file, Kind::kPath);
  v.section("metrics");
  v.text("listen", c.metrics_listen, Kind::kText);
  v.flag("public", c.metrics_public);
  v.section("database");
  v.text("url", c.database_url, Kind::kText);
  v.text("user", c.database_user, Kind::kText);
}

/// A number of bytes as people write it: "512 MiB", "2GiB", "65536". Units are powers of 1024 (KiB,
/// MiB, GiB, TiB). Errors: EINVAL.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// The shortest text that parse_size() reads back: "2 GiB".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace panal::config
