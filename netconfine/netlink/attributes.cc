#include "netconfine/netlink/attributes.h"

#include <linux/netlink.h>

#include <algorithm>

namespace panal::netconfine {
namespace {

constexpr std::size_t padded(std::size_t length) {
  return (length + NLA_ALIGNTO - 1) & ~std::size_t{NLA_ALIGNTO - 1};
}

}  // namespace

std::optional<Attributes::One> Attributes::next() {
  if (broken_ || left_.empty()) return std::nullopt;
  const auto header = read_value<nlattr>(left_);
  if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > left_.size()) {
    broken_ = true;
    return std::nullopt;
  }
  const One one{static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
                left_.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr))};
  left_ = left_.subspan(std::min(padded(header->nla_len), left_.size()));
  return one;
}

std::span<const std::byte> find_attribute(std::span<const std::byte> attributes,
                                          std::uint16_t type) {
  Attributes walk(attributes);
  while (const auto one = walk.next()) {
    if (one->type == type) return one->payload;
  }
  return {};
}

std::string read_text(std::span<const std::byte> bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  std::string text;
  for (auto at = bytes.begin(); at != end; ++at) text.push_back(static_cast<char>(*at));
  return text;
}

std::span<const std::byte> attributes_after(std::span<const std::byte> payload,
                                            std::size_t fixed_bytes) {
  return payload.subspan(std::min(padded(fixed_bytes), payload.size()));
}

}  // namespace panal::netconfine
