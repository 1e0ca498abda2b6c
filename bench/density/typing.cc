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
    const std::string& desktop = desktops_[i % desktops_.size()];
    const auto ms = typist_.type(desktop);
    if (ms)
      ms_.push_back(*ms);
    else
      lost_.push_back(ms.error().context);
    // A person looks at what was typed.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

json Typing::end() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  json out = {{"desktops", desktops_.size()}, {"keys", ms_.size()}, {"lost", lost_.size()}};
  if (!ms_.empty()) {
    out["p50_ms"] = median(ms_);
    out["p99_ms"] = percentile(ms_, 99);
    out["max_ms"] = percentile(ms_, 100);
  }
  if (!lost_.empty()) out["lost_last"] = lost_.back();
  return out;
}

}  // namespace panal::bench
