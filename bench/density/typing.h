#pragma once

#include <atomic>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/density/typist.h"

namespace panal::bench {

/// Somebody types into these desktops, one after the other, until it ends: they stay active, and
/// each key is timed.
class Typing {
 public:
  /// `typist` must outlive it and be used by nobody else meanwhile.
  Typing(Typist& typist, std::vector<std::string> desktops);
  ~Typing();
  Typing(const Typing&) = delete;
  Typing& operator=(const Typing&) = delete;

  /// From the next key on it is these.
  void into(std::vector<std::string> desktops);
  /// What was typed since the last cut, the key that is under way with it (it is waited for, some
  /// seconds at most): keys, p50, p99 and highest time in ms, keys that never showed and why.
  [[nodiscard]] nlohmann::json cut();
  /// The same, and ends it.
  [[nodiscard]] nlohmann::json end();

 private:
  void type_on();

  Typist& typist_;
  /// Guards what follows; held while a key is under way.
  std::mutex mutex_;
  std::vector<std::string> desktops_;
  std::vector<double> ms_;
  std::vector<std::string> lost_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace panal::bench
