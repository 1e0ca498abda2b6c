#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {

Result<std::vector<Tenant>> PgStore::tenants() {
  PANAL_ASSIGN(auto rows, database_.run("list tenants",
                                        "SELECT name, share_memory FROM tenants ORDER BY name"));
  std::vector<Tenant> tenants;
  for (int row = 0; row < rows.count(); ++row)
    tenants.push_back({rows.text(row, 0), rows.flag(row, 1)});
  return tenants;
}

Result<void> PgStore::set_share_memory(const std::string& tenant, bool agreed,
                                       const std::string& actor) {
  const std::string what = "write down the answer of tenant " + printable(tenant);
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_TRY(change(what, "such tenant", "UPDATE tenants SET share_memory = $2 WHERE name = $1",
                   {tenant, parameter(agreed)}));
  // A consent is worth what can be said of it later.
  PANAL_TRY(database_.run(
      what, "INSERT INTO audit_log (actor, action, object, detail) VALUES ($1, $2, $3, $4)",
      {actor, "tenant.share_memory", tenant, agreed ? "yes" : "no"}));
  return transaction.commit();
}

}  // namespace panal::store
