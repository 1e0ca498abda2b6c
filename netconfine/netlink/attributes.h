#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace panal::netconfine {

/// Walks the attributes of a netlink message (struct nlattr) without believing a length.
class Attributes {
 public:
  struct One {
    std::uint16_t type = 0;  ///< without its flag bits
    std::span<const std::byte> payload;
  };

  explicit Attributes(std::span<const std::byte> bytes) : left_(bytes) {}
  /// The next attribute; none at the end, nor past one whose length is impossible (broken()).
  [[nodiscard]] std::optional<One> next();
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  std::span<const std::byte> left_;
  bool broken_ = false;
};

/// The first attribute of `type`; empty when there is none.
[[nodiscard]] std::span<const std::byte> find_attribute(std::span<const std::byte> attributes,
                                                        std::uint16_t type);

/// A plain value at the beginning of `bytes`; none when they are too few.
template <typename T>
[[nodiscard]] std::optional<T> read_value(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// A string attribute, up to its first zero byte.
[[nodiscard]] std::string read_text(std::span<const std::byte> bytes);

/// What follows `fixed_bytes` of a message's payload, filled up to 4: its attributes.
[[nodiscard]] std::span<const std::byte> attributes_after(std::span<const std::byte> payload,
                                                          std::size_t fixed_bytes);

}  // namespace panal::netconfine
