#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "engine/base/result.h"

namespace panal::storage {

/// Decides when a home that a desktop has open is lost. Pure: it is told what was seen and when.
///
/// A server that does not answer may come back (a reboot takes minutes) and nothing is lost by
/// waiting; a handle that is stale, or a connection that is closed, does not come back by itself.
class LostHomes {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit LostHomes(std::chrono::seconds patience) : patience_(patience) {}

  /// `seen`: the look's result, ETIMEDOUT: no answer. Returns why the home is lost, once.
  [[nodiscard]] std::optional<std::string> look(const std::string& key, const Result<void>& seen,
                                                Time now);
  void forget(const std::string& key) { trouble_.erase(key); }

  /// Whether an error tells that the home is gone and not only late.
  [[nodiscard]] static bool is_final(int code);

 private:
  struct Trouble {
    Time since;
    int final_looks = 0;
    bool told = false;
  };
  std::chrono::seconds patience_;
  std::map<std::string, Trouble> trouble_;
};

}  // namespace panal::storage
