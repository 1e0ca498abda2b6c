#pragma once

#include <chrono>

namespace panal::node {

/// When a node that cannot renew the leases of its homes must let go of them: before anybody else
/// may take them. Pure.
class LeaseWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// `lasts`: how long a lease holds; 0: for ever, and nobody ever has to let go.
  LeaseWatch(std::chrono::seconds lasts, Time now) : lasts_(lasts), renewed_(now) {}

  /// A renewal that went well was begun at this time: the database's clock was not before it.
  void renewed(Time begun) {
    if (begun > renewed_) renewed_ = begun;
  }
  /// After three quarters of it: the rest is for ending the desktops.
  [[nodiscard]] bool must_let_go(Time now) const {
    return lasts_.count() > 0 && now - renewed_ > lasts_ * 3 / 4;
  }

 private:
  std::chrono::seconds lasts_;
  Time renewed_;
};

}  // namespace panal::node
