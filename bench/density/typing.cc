#include "bench/density/typing.h"

#include <nlohmann/json.hpp>

#include "engine/base/arithmetic.h"

namespace panal::bench {

using nlohmann::json;

Typing::Typing(Typist& typist, std::vector<std::string> desktops)
    : typist_(typist), desktops_(std::move(desktops)) {
  if (!desktops_.empty()) thread_ = std::thread([this] { type_on(); });
}

Typing::~Typing() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

void Typing::type_on() {
  for (std::size_t i = 0; !ending_; ++i) {
    {
      const std::scoped_lock lock(mutex_);
      const auto typed = typist_.type(desktops_[i % desktops_.size()]);
      if (typed)
        ms_.push_back(typed->ms);
      else
        lost_.push_back(typed.error().context);
    }
    // A person looks at what was typed.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void Typing::into(std::vector<std::string> desktops) {
  if (desktops.empty()) return;
  const std::scoped_lock lock(mutex_);
  desktops_ = std::move(desktops);
}

json Typing::cut() {
  const std::scoped_lock lock(mutex_);
  json out = {{"desktops", desktops_.size()}, {"keys", ms_.size()}, {"lost", lost_.size()}};
  if (!ms_.empty()) {
    out["p50_ms"] = median(ms_);
    out["p99_ms"] = percentile(ms_, 99);
    out["max_ms"] = percentile(ms_, 100);
  }
  if (!lost_.empty()) out["lost_last"] = lost_.back();
  ms_.clear();
  lost_.clear();
  return out;
}

json Typing::end() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  return cut();
}

}  // namespace panal::bench
