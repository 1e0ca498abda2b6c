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

Result<void> PgStore::add_tenant(const std::string& name, const std::string& actor) {
  PANAL_ASSIGN(auto transaction, database_.begin());
  auto added = database_.run("add tenant " + printable(name),
                             "INSERT INTO tenants (name) VALUES ($1)", {name});
  if (!added && added.error().code == EEXIST)
    return fail(EEXIST, "there is a tenant " + name + " already");
  if (!added && added.error().context.find("tenants_name_valid") != std::string::npos)
    return fail(EINVAL, "tenant \"" + printable(name) +
                            "\" must begin with a-z or 0-9 and have only a-z 0-9 _ - (32 at most)");
  PANAL_TRY(std::move(added));
  PANAL_TRY(audit(actor, "tenant.add", name, ""));
  return transaction.commit();
}

Result<void> PgStore::remove_tenant(const std::string& name, const std::string& actor) {
  PANAL_ASSIGN(auto transaction, database_.begin());
  auto removed = change("remove tenant " + printable(name), "such tenant",
                        "DELETE FROM tenants WHERE name = $1", {name});
  if (!removed && removed.error().code == EBUSY)
    return fail(EBUSY, "tenant " + name + " has users; remove those first");
  PANAL_TRY(std::move(removed));
  PANAL_TRY(audit(actor, "tenant.remove", name, ""));
  return transaction.commit();
}

Result<void> PgStore::set_share_memory(const std::string& tenant, bool agreed,
                                       const std::string& actor) {
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_TRY(change("write down the answer of tenant " + printable(tenant), "such tenant",
                   "UPDATE tenants SET share_memory = $2 WHERE name = $1",
                   {tenant, parameter(agreed)}));
  // A consent is worth what can be said of it later.
  PANAL_TRY(audit(actor, "tenant.share_memory", tenant, agreed ? "yes" : "no"));
  return transaction.commit();
}

}  // namespace panal::store
