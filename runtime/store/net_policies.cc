#include "runtime/store/net_policies.h"

#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

/// The column that a scope's assignments have, and how its id is found.
struct ScopeSql {
  const char* find;
  const char* put;
  const char* take;
};

ScopeSql sql_of(NetScope scope) {
  switch (scope) {
    case NetScope::kTenant:
      return {"SELECT id FROM tenants WHERE name = $1",
              "INSERT INTO net_assignments (tenant_id, policy) VALUES ($1, $2)"
              " ON CONFLICT (tenant_id) DO UPDATE SET policy = excluded.policy",
              "DELETE FROM net_assignments WHERE tenant_id = $1"};
    case NetScope::kImage:
      return {"SELECT id FROM images WHERE name = $1",
              "INSERT INTO net_assignments (image_id, policy) VALUES ($1, $2)"
              " ON CONFLICT (image_id) DO UPDATE SET policy = excluded.policy",
              "DELETE FROM net_assignments WHERE image_id = $1"};
    case NetScope::kDesktop: break;
  }
  return {"SELECT id FROM desktops WHERE id = $1",
          "INSERT INTO net_assignments (desktop_id, policy) VALUES ($1, $2)"
          " ON CONFLICT (desktop_id) DO UPDATE SET policy = excluded.policy",
          "DELETE FROM net_assignments WHERE desktop_id = $1"};
}

DesktopNetPolicy policy_of_row(const Rows& rows, int row) {
  return {rows.number(row, 0), rows.text(row, 1), rows.text(row, 2), rows.text(row, 3),
          rows.text(row, 4),   rows.text(row, 5), rows.text(row, 6)};
}

}  // namespace

std::string_view to_string(NetScope scope) {
  switch (scope) {
    case NetScope::kTenant: return "tenant";
    case NetScope::kImage: return "image";
    case NetScope::kDesktop: return "desktop";
  }
  return "desktop";
}

Result<void> PgStore::set_net_policy(const NetTarget& target, const std::string& policy,
                                     const std::string& actor) {
  const bool of_desktop = target.scope == NetScope::kDesktop;
  const std::string name = of_desktop ? std::to_string(target.desktop) : target.name;
  const std::string whose = std::string(to_string(target.scope)) + " " + printable(name);
  const std::string what = "assign a network policy to " + whose;
  const ScopeSql sql = sql_of(target.scope);
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_TRY(database_.run(what, "SELECT set_config('panal.actor', $1, true)", {actor}));
  PANAL_ASSIGN(auto found, database_.run(what, sql.find, {name}));
  if (found.empty()) return fail(ENOENT, "there is no " + whose);
  const Parameter id = found.text(0, 0);
  if (policy.empty()) {
    PANAL_TRY(database_.run(what, sql.take, {id}));
  } else {
    auto put = database_.run(what, sql.put, {id, policy});
    if (!put && put.error().context.find("net_assignments_policy_valid") != std::string::npos)
      return fail(EINVAL, "policy \"" + printable(policy, 80) +
                              "\" must begin with a-z or 0-9 and have only a-z 0-9 _ - (32 at "
                              "most)");
    PANAL_TRY(std::move(put));
  }
  return transaction.commit();
}

Result<std::vector<NetAssignment>> PgStore::net_assignments() {
  PANAL_ASSIGN(auto rows,
               database_.run("list network policies",
                             "SELECT t.name, i.name, d.id, dt.name || '/' || d.name, a.policy"
                             " FROM net_assignments a LEFT JOIN tenants t ON t.id = a.tenant_id"
                             " LEFT JOIN images i ON i.id = a.image_id"
                             " LEFT JOIN desktops d ON d.id = a.desktop_id"
                             " LEFT JOIN tenants dt ON dt.id = d.tenant_id"
                             " ORDER BY t.name, i.name, 4"));
  std::vector<NetAssignment> all;
  for (int row = 0; row < rows.count(); ++row) {
    NetAssignment one;
    one.policy = rows.text(row, 4);
    if (!rows.is_null(row, 0))
      one.target = {NetScope::kTenant, rows.text(row, 0), 0};
    else if (!rows.is_null(row, 1))
      one.target = {NetScope::kImage, rows.text(row, 1), 0};
    else
      one.target = {NetScope::kDesktop, "", rows.number(row, 2)};
    one.shown = one.target.name.empty() ? rows.text(row, 3) : one.target.name;
    all.push_back(std::move(one));
  }
  return all;
}

Result<std::vector<DesktopNetPolicy>> PgStore::net_policies(const std::string& node) {
  PANAL_ASSIGN(auto rows,
               database_.run("read desktops' network policies",
                             "SELECT id, name, tenant, image, node, policy, given_by"
                             " FROM desktop_net_policies WHERE $1 = '' OR node = $1 ORDER BY id",
                             {node}));
  std::vector<DesktopNetPolicy> all;
  for (int row = 0; row < rows.count(); ++row) all.push_back(policy_of_row(rows, row));
  return all;
}

Result<DesktopNetPolicy> PgStore::net_policy(DesktopId id) {
  PANAL_ASSIGN(auto rows, database_.run("read a desktop's network policy",
                                        "SELECT id, name, tenant, image, node, policy, given_by"
                                        " FROM desktop_net_policies WHERE id = $1",
                                        {parameter(id)}));
  if (rows.empty()) return fail(ENOENT, "there is no desktop " + std::to_string(id));
  return policy_of_row(rows, 0);
}

}  // namespace panal::store
