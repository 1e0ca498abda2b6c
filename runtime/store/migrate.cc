#include <fmt/format.h>

#include "runtime/store/migrations.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

// Any number that is always the same: "panal" in ASCII.
constexpr const char* kTakeLock = "SELECT pg_advisory_lock(482906169708)";
constexpr const char* kReleaseLock = "SELECT pg_advisory_unlock(482906169708)";

Result<void> apply(Database& database, const Migration& step) {
  PANAL_ASSIGN(auto transaction, database.begin());
  const std::string what = "apply migration " + std::string(step.name);
  PANAL_TRY(database.run_script(what, step.sql));
  PANAL_TRY(database.run(what, "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)",
                         {parameter(std::int64_t{step.number}), std::string(step.name)}));
  return transaction.commit();
}

Result<int> apply_missing(Database& database) {
  PANAL_TRY(database.run("make schema_migrations",
                         "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY,"
                         " name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"));
  PANAL_ASSIGN(auto rows, database.run("read schema_migrations",
                                       "SELECT coalesce(max(number), 0) FROM schema_migrations"));
  const std::int64_t found = rows.number(0, 0);
  if (found > migrations().back().number)
    return fail(EPROTO, fmt::format("the database's schema is number {}, newer than this program's "
                                    "{}; nothing was changed, install the newer Panal",
                                    found, migrations().back().number));
  int applied = 0;
  for (const Migration& step : migrations()) {
    if (step.number <= found) continue;
    PANAL_TRY(apply(database, step));
    ++applied;
  }
  return applied;
}

}  // namespace

Result<int> migrate(const std::string& conninfo) {
  PANAL_ASSIGN(Database database, Database::connect(conninfo));
  // Of the session, not of a transaction: it spans several. It goes with the connection at worst.
  PANAL_TRY(database.run("lock the schema", kTakeLock));
  auto applied = apply_missing(database);
  (void)database.run("unlock the schema", kReleaseLock);  // the connection ends here anyway
  return applied;
}

}  // namespace panal::store
