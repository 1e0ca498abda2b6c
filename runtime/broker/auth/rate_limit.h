#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

namespace panal::auth {

/// Slows down guessing: per address and login, `burst` attempts pass at once, later ones one every
/// `interval`, each told how long to wait. A success forgets the attempts. QVD's command line
/// client makes five attempts in a row after one mistake, so the burst is generous.
class RateLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Milliseconds = std::chrono::milliseconds;

  struct Law {
    unsigned burst = 15;
    Milliseconds interval{3000};
    Milliseconds longest{20000};  ///< attempts that had to wait longer are refused
    std::size_t keys = 16384;     ///< remembered at most
  };

  explicit RateLimit(Law law) : law_(law) {}

  /// Counts an attempt; how long it must wait before its password is looked at, or nullopt: refuse.
  [[nodiscard]] std::optional<Milliseconds> attempt(const std::string& key, TimePoint now);
  void success(const std::string& key) { due_.erase(key); }
  [[nodiscard]] std::size_t size() const { return due_.size(); }

 private:
  void make_room(TimePoint now);

  Law law_;
  /// Virtual time at which all attempts of the key are paid for (generic cell rate algorithm).
  std::unordered_map<std::string, TimePoint> due_;
};

}  // namespace panal::auth
