#pragma once

#include <string>

namespace panal::store {

/// The private cluster's settings; ALTER SYSTEM (postgresql.auto.conf) still outranks them.
[[nodiscard]] std::string postgresql_conf(const std::string& socket_dir);
/// Who may connect: everybody the peer map knows, over the unix socket, and nobody else.
[[nodiscard]] std::string pg_hba_conf();
/// Which OS user may be which role.
[[nodiscard]] std::string pg_ident_conf(const std::string& broker_user);
/// libpq's way to the cluster's own database, as its owner.
[[nodiscard]] std::string maintenance_conninfo(const std::string& socket_dir);

}  // namespace panal::store
