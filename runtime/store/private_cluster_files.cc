#include "runtime/store/private_cluster_files.h"

#include <fmt/format.h>

#include <string_view>

#include "runtime/store/store.h"

namespace panal::store {
namespace {

/// In single quotes, as both postgresql.conf and libpq's conninfo want it; they differ in how a
/// quote is escaped.
std::string quoted(std::string_view text, std::string_view quote_as) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += quote_as;
    else if (c == '\\')
      result += "\\\\";
    else
      result += c;
  }
  return result + "'";
}

}  // namespace

std::string postgresql_conf(const std::string& socket_dir) {
  // Small: it holds some hundred rows. 100 connections: brokers' and nodes' workers keep one each.
  return fmt::format(
      "# Written by Panal at each start. Change settings with ALTER SYSTEM.\n"
      "listen_addresses = ''\n"
      "unix_socket_directories = {}\n"
      "unix_socket_permissions = 0777  # the directory is 0770\n"
      "max_connections = 100\n"
      "shared_buffers = 16MB\n"
      "work_mem = 1MB\n"
      "maintenance_work_mem = 16MB\n"
      "max_wal_size = 128MB\n"
      "min_wal_size = 16MB\n"
      "max_wal_senders = 0\n"
      "wal_level = minimal\n"
      "max_logical_replication_workers = 0\n"
      "max_parallel_workers_per_gather = 0\n"
      "autovacuum_max_workers = 1\n"
      "dynamic_shared_memory_type = mmap\n"
      "jit = off\n"
      "logging_collector = off\n"
      "log_line_prefix = '%m %p %u '\n"
      "log_timezone = 'UTC'\n"
      "timezone = 'UTC'\n"
      "lc_messages = 'C'\n",
      quoted(socket_dir, "''"));
}

std::string pg_hba_conf() { return "local all all peer map=panal\n"; }

std::string pg_ident_conf(const std::string& broker_user) {
  return fmt::format(
      "panal root {}\n"
      "panal root {}\n"
      "panal root {}\n"
      "panal \"{}\" {}\n",
      kOwnerRole, kAdminRole, kNodeRole, broker_user, kBrokerRole);
}

std::string maintenance_conninfo(const std::string& socket_dir) {
  return fmt::format("host={} dbname=postgres user={}", quoted(socket_dir, "\\'"), kOwnerRole);
}

}  // namespace panal::store
