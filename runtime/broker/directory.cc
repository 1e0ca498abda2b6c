#include "runtime/broker/directory.h"

namespace panal::broker {
namespace {

// One connection a worker: a burst of a few hundred short queries is served in well under a second.
constexpr std::size_t kQueued = 512;
constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kComplain{60};

}  // namespace

Directory::Directory(loop::Loop& loop, StoreFactory factory, LoggerPtr log)
    : loop_(loop), factory_(std::move(factory)), log_(std::move(log)), threads_(1, kQueued) {}

Result<store::Store*> Directory::connected() {
  if (store_) return store_.get();
  const auto now = std::chrono::steady_clock::now();
  if (now < next_try_) return tl::make_unexpected(last_error_);
  auto made = factory_();
  if (!made) {
    last_error_ = made.error();
    next_try_ = std::chrono::steady_clock::now() + kRetry;
    if (now >= next_complaint_) {
      log_->warning("database_unreachable", {{"reason", last_error_.message()}});
      next_complaint_ = now + kComplain;
    }
    return tl::make_unexpected(last_error_);
  }
  store_ = std::move(*made);
  next_complaint_ = {};
  return store_.get();
}

void Directory::audit(const std::string& actor, const std::string& action,
                      const std::string& object, const std::string& detail) {
  call<void>([=](store::Store& store) { return store.audit(actor, action, object, detail); },
             [log = log_, action](const Result<void>& result) {
               if (!result) {
                 log->warning("audit_lost",
                              {{"action", action}, {"reason", result.error().message()}});
               }
             });
}

}  // namespace panal::broker
