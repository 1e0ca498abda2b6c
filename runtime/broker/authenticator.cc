#include "runtime/broker/authenticator.h"

namespace panal::broker {

Authenticator::Authenticator(loop::Loop& loop, Directory& directory, LoggerPtr log, Options options)
    : loop_(loop),
      directory_(directory),
      log_(std::move(log)),
      options_(std::move(options)),
      limit_(options_.law),
      threads_(options_.threads, options_.queued) {}

void Authenticator::check(const Credentials& credentials, const std::string& address, Done done) {
  const std::string key = address + " " + credentials.name();
  const auto wait = limit_.attempt(key, std::chrono::steady_clock::now());
  if (!wait) {
    log_->warning("login_refused",
                  {{"user", credentials.name()}, {"address", address}, {"reason", "too many"}});
    return loop_.post([done] { done(Outcome::kTooMany, {}); });
  }
  if (wait->count() == 0) return look_up(credentials, address, std::move(done));
  auto timer = std::make_shared<loop::Timer>(loop_);
  timer->start(*wait, [this, timer, credentials, address, done = std::move(done)]() mutable {
    look_up(credentials, address, std::move(done));
  });
}

void Authenticator::look_up(const Credentials& credentials, const std::string& address, Done done) {
  directory_.call<std::optional<store::User>>(
      [credentials](store::Store& store) {
        return store.find_user(credentials.tenant, credentials.login);
      },
      [this, credentials, address, done](Result<std::optional<store::User>> user) {
        if (!user) {
          log_->warning("login_impossible", {{"reason", user.error().message()}});
          return done(user.error().code == EAGAIN ? Outcome::kBusy : Outcome::kUnavailable, {});
        }
        verify(credentials, address, std::move(*user), done);
      });
}

void Authenticator::verify(const Credentials& credentials, const std::string& address,
                           std::optional<store::User> user, const Done& done) {
  const bool usable = user && !user->blocked && !user->password_hash.empty();
  const std::string hash = usable ? user->password_hash : options_.dummy_hash;
  const auto known = std::make_shared<store::User>(user ? std::move(*user) : store::User{});
  known->password_hash.clear();
  // As in Directory::call: what `done` holds is let go on the loop, never on the thread.
  auto held = std::make_shared<Done>(done);
  const bool queued = threads_.submit([=, this]() mutable {
    auto verified = options_.verify(hash, credentials.password);
    loop_.post([=, this, held = std::move(held)] {
      if (!verified) {
        log_->error("password_check_failed",
                    {{"user", credentials.name()}, {"reason", verified.error().message()}});
        if (verified.error().code == ENOMEM) return (*held)(Outcome::kBusy, {});
      }
      if (usable && verified && *verified) {
        limit_.success(address + " " + credentials.name());
        return (*held)(Outcome::kWelcome, *known);
      }
      log_->info("login_refused", {{"user", credentials.name()}, {"address", address}});
      directory_.audit(printable(credentials.name(), 256), "login.refused", address, "");
      (*held)(Outcome::kRefused, {});
    });
  });
  if (!queued) loop_.post([held] { (*held)(Outcome::kBusy, {}); });
}

}  // namespace panal::broker
