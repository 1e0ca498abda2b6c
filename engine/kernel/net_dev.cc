#include "engine/kernel/net_dev.h"

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

/// Of a link's 16 numbers: received and sent.
constexpr std::size_t kNumbers = 16;
constexpr std::size_t kSent = 8;  ///< where the sent ones begin
constexpr std::size_t kBytes = 0, kPackets = 1, kDropped = 3;

constexpr std::uint64_t kBitsPerMegabit = 1'000'000;

}  // namespace

Result<std::vector<LinkCounters>> parse_net_dev(std::string_view text) {
  std::vector<LinkCounters> links;
  for (const std::string_view line : lines_of(text)) {
    const std::size_t colon = line.rfind(':');      // an alias's name has one too
    if (colon == std::string_view::npos) continue;  // the two lines of the head
    const auto names = words_of(line.substr(0, colon));
    const auto words = words_of(line.substr(colon + 1));
    if (names.size() != 1 || words.size() < kNumbers)
      return fail(EPROTO, "net/dev: a line is no link");
    std::uint64_t numbers[kNumbers] = {};
    for (std::size_t i = 0; i < kNumbers; ++i) {
      const auto value = parse_number(words[i]);
      if (!value) return fail(EPROTO, "net/dev: bad number of link " + std::string(names[0]));
      numbers[i] = *value;
    }
    LinkCounters& link = links.emplace_back();
    link.name = names[0];
    link.received_bytes = numbers[kBytes];
    link.sent_bytes = numbers[kSent + kBytes];
    link.packets = numbers[kPackets] + numbers[kSent + kPackets];
    link.dropped = numbers[kDropped] + numbers[kSent + kDropped];
  }
  return links;
}

Result<std::vector<LinkCounters>> read_net_dev(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("net/dev"));
  return parse_net_dev(text);
}

Result<std::vector<LinkCounters>> read_net_dev(const Tree& tree, pid_t pid) {
  PANAL_ASSIGN(const std::string text, tree.proc.read(std::to_string(pid) + "/net/dev"));
  return parse_net_dev(text);
}

std::optional<std::uint64_t> read_link_speed(const Tree& tree, const std::string& link) {
  const auto text = tree.sys.read("class/net/" + link + "/speed", 64);
  const auto words = text ? words_of(*text) : std::vector<std::string_view>();
  const auto speed = words.size() == 1 ? parse_number(words[0]) : std::nullopt;  // -1: not known
  if (!speed || *speed == 0 || *speed > UINT64_MAX / kBitsPerMegabit) return std::nullopt;
  return *speed * kBitsPerMegabit;
}

}  // namespace panal::kernel
