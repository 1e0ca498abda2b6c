#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

struct pg_conn;
struct pg_result;

namespace panal::store {

/// The rows of one answer. Numbers that do not parse come out as 0: the schema's types see to it
/// that they do.
class Rows {
 public:
  explicit Rows(pg_result* result);
  [[nodiscard]] int count() const;
  [[nodiscard]] bool empty() const { return count() == 0; }
  /// Rows changed by an INSERT, UPDATE or DELETE.
  [[nodiscard]] std::int64_t affected() const;
  [[nodiscard]] bool is_null(int row, int column) const;
  [[nodiscard]] std::string text(int row, int column) const;
  [[nodiscard]] std::int64_t number(int row, int column) const;
  [[nodiscard]] std::uint64_t size(int row, int column) const;
  [[nodiscard]] bool flag(int row, int column) const;

 private:
  std::shared_ptr<pg_result> result_;
};

/// A parameter: text as PostgreSQL reads it, or NULL.
using Parameter = std::optional<std::string>;
[[nodiscard]] inline Parameter parameter(std::int64_t value) { return std::to_string(value); }
[[nodiscard]] inline Parameter parameter(bool value) { return value ? "true" : "false"; }
/// NULL for an empty text.
[[nodiscard]] inline Parameter parameter_or_null(const std::string& text) {
  return text.empty() ? Parameter() : Parameter(text);
}

/// One libpq connection. Outside a transaction a lost connection is made anew before the next
/// statement, and channels are listened to again; inside one, the statement fails with ENOTCONN.
/// Not thread-safe.
class Database {
 public:
  [[nodiscard]] static Result<Database> connect(const std::string& conninfo);

  /// Runs one statement with $1.. parameters. Errors: as Store says; the context is `what`, and
  /// what the server said of it.
  [[nodiscard]] Result<Rows> run(std::string_view what, const char* sql,
                                 const std::vector<Parameter>& parameters = {});
  /// Runs a script of several statements without parameters.
  [[nodiscard]] Result<void> run_script(std::string_view what, const char* sql);

  [[nodiscard]] Result<void> listen(const std::string& channel);
  /// As Store::wait_notifications().
  [[nodiscard]] Result<std::vector<std::string>> wait_notifications(
      std::chrono::milliseconds timeout);
  /// As Store::interrupt(); the one call that other threads may make.
  void interrupt() const;

  /// Rolls back unless committed. One at a time.
  class Transaction {
   public:
    explicit Transaction(Database& database) : database_(&database) {}
    Transaction(Transaction&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    [[nodiscard]] Result<void> commit();

   private:
    Database* database_;
  };
  [[nodiscard]] Result<Transaction> begin();

 private:
  struct Closer {
    void operator()(pg_conn* connection) const;
  };
  explicit Database(std::string conninfo) : conninfo_(std::move(conninfo)) {}
  [[nodiscard]] Result<void> reconnect();
  [[nodiscard]] Result<void> ready();
  [[nodiscard]] bool alive();
  [[nodiscard]] Result<void> listen_now(const std::string& channel);
  [[nodiscard]] Failure failure(std::string_view what, const pg_result* result) const;
  void collect_notifications();

  std::string conninfo_;
  std::unique_ptr<pg_conn, Closer> connection_;
  UniqueFd interrupt_;  ///< an eventfd
  std::vector<std::string> channels_;
  std::vector<std::string> pending_;  ///< payloads that came in with other answers
  bool in_transaction_ = false;
};

}  // namespace panal::store
