#include "runtime/store/store.h"

#include "runtime/store/migrations.h"
#include "runtime/store/pg_store.h"

namespace panal::store {

std::string_view to_string(Desired value) {
  return value == Desired::kRunning ? "running" : "stopped";
}

std::string_view to_string(Observed value) {
  switch (value) {
    case Observed::kStopped: return "stopped";
    case Observed::kComposing: return "composing";
    case Observed::kStarting: return "starting";
    case Observed::kRunning: return "running";
    case Observed::kStopping: return "stopping";
    case Observed::kFailed: return "failed";
  }
  return "failed";
}

Result<std::unique_ptr<Store>> Store::connect(const std::string& conninfo) {
  PANAL_ASSIGN(Database database, Database::connect(conninfo));
  PANAL_TRY(check_schema(database));
  return std::make_unique<PgStore>(std::move(database));
}

Result<void> check_schema(Database& database) {
  auto rows = database.run("read schema_migrations",
                           "SELECT coalesce(max(number), 0) FROM schema_migrations");
  if (!rows) {
    if (rows.error().code != EPROTO && rows.error().code != EACCES)
      return tl::make_unexpected(std::move(rows.error()));
    return fail(EPROTO, "the database has no Panal schema yet; `panal up` makes it");
  }
  const std::int64_t found = rows->number(0, 0);
  const int wanted = migrations().back().number;
  if (found == wanted) return {};
  const std::string numbers = "the database's schema is number " + std::to_string(found) +
                              ", this program needs number " + std::to_string(wanted);
  return fail(EPROTO, numbers + (found > wanted ? "; install the newer Panal on this machine"
                                                : "; `panal up` migrates it"));
}

Result<void> PgStore::change(std::string_view what, const std::string& object, const char* sql,
                             const std::vector<Parameter>& parameters) {
  PANAL_ASSIGN(auto rows, database_.run(what, sql, parameters));
  if (rows.affected() == 0) return fail(ENOENT, std::string(what) + ": there is no " + object);
  return {};
}

Result<void> PgStore::listen(const std::string& channel) { return database_.listen(channel); }

Result<std::vector<std::string>> PgStore::wait_notifications(std::chrono::milliseconds timeout) {
  return database_.wait_notifications(timeout);
}

}  // namespace panal::store
