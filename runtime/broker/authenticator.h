#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/broker/auth/password.h"
#include "runtime/broker/auth/rate_limit.h"
#include "runtime/broker/credentials.h"
#include "runtime/broker/directory.h"

namespace panal::broker {

/// Checks passwords on a few threads of their own. An unknown or blocked user costs the same time
/// as a wrong password and is told the same.
class Authenticator {
 public:
  enum class Outcome {
    kWelcome,
    kRefused,      ///< unknown, blocked, wrong password
    kBusy,         ///< too many logins wait
    kTooMany,      ///< this address tried this login too often
    kUnavailable,  ///< the database does not answer
  };
  using Done = std::function<void(Outcome, store::User)>;

  struct Options {
    std::size_t threads = 1;
    std::size_t queued = 64;
    auth::RateLimit::Law law{};
    std::string dummy_hash;  ///< verified for unknown users; same cost as real ones
    /// What a check is; runs on the authenticator's threads.
    std::function<Result<bool>(const std::string& hash, const std::string& password)> verify =
        [](const std::string& hash, const std::string& password) {
          return auth::verify_password(hash, password);
        };
  };

  Authenticator(loop::Loop& loop, Directory& directory, LoggerPtr log, Options options);

  /// `done` runs on the loop, never inside this call.
  void check(const Credentials& credentials, const std::string& address, Done done);

 private:
  void look_up(const Credentials& credentials, const std::string& address, Done done);
  void verify(const Credentials& credentials, const std::string& address,
              std::optional<store::User> user, const Done& done);

  loop::Loop& loop_;
  Directory& directory_;
  LoggerPtr log_;
  Options options_;
  auth::RateLimit limit_;
  WorkThreads threads_;
};

}  // namespace panal::broker
