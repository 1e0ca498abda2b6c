#pragma once

#include <string_view>

#include "runtime/config/config.h"

namespace panal::config {

/// What a value may be.
enum class Kind { kText, kPath, kBytes, kSubnet4, kSubnet6, kOutside, kFirewall };

/// Every key of the file, once: parse(), print() and the check for unknown keys are visitors of it,
/// so that they cannot disagree.
///
/// The visitor has text(section, key, string&, Kind), number(section, key, integer&, least, most),
/// flag(section, key, bool&) and section(name).
template <typename Visitor, typename AnyConfig>
void visit_keys(Visitor& v, AnyConfig& c) {
  v.section("node");
  v.text("name", c.node_name, Kind::kText);
  v.section("paths");
  v.text("state", c.state_dir, Kind::kPath);
  v.text("run", c.run_dir, Kind::kPath);
  v.text("images", c.images_dir, Kind::kPath);
  v.text("homes", c.homes_dir, Kind::kPath);
  v.text("recipes", c.recipes_dir, Kind::kPath);
  v.text("profiles", c.profiles_dir, Kind::kPath);
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
  v.outside("outside", c.outside);
  v.text("backend", c.firewall, Kind::kFirewall);
  v.section("desktop");
  v.bytes("memory", c.desktop_memory_bytes);
  v.number("pids", c.desktop_pids, 32, 4'194'304);
  v.flag("prewarm", c.prewarm);
  v.number("stop_grace_seconds", c.stop_grace_seconds, 0, 600);
  v.number("start_timeout_seconds", c.start_timeout_seconds, 5, 3600);
  v.number("parallel_starts", c.parallel_starts, 1, 64);
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
