// What is asked of the kernel is what is read from it: the kernel echoes the attributes it was
// given.
#include "netconfine/qos/tc_messages.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "netconfine/qos/shape_diff.h"
#include "netconfine/qos/tc_parse.h"

namespace panal::netconfine {
namespace {

std::span<const std::byte> payload(const Message& message) {
  return std::span(message.bytes).subspan(NLMSG_HDRLEN);
}

// A packet through the classifier, as the kernel's machine would run it.
std::uint32_t classify(Direction direction, const std::vector<std::uint8_t>& frame) {
  const auto program = classifier_program(direction);
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const auto& now = program[at];
    const auto jump = [&](bool taken) { at += taken ? now.jump_true : now.jump_false; };
    switch (now.code) {
      case BPF_LD | BPF_H | BPF_ABS:
        a = static_cast<std::uint32_t>(frame[now.k] << 8 | frame[now.k + 1]);
        break;
      case BPF_LD | BPF_W | BPF_ABS:
        a = static_cast<std::uint32_t>(frame[now.k]) << 24 | frame[now.k + 1] << 16U |
            frame[now.k + 2] << 8U | frame[now.k + 3];
        break;
      case BPF_JMP | BPF_JEQ | BPF_K: jump(a == now.k); break;
      case BPF_JMP | BPF_JGT | BPF_K: jump(a > now.k); break;
      case BPF_ALU | BPF_OR | BPF_K: a |= now.k; break;
      case BPF_RET | BPF_A: return a;
      case BPF_RET | BPF_K: return now.k;
      default: ADD_FAILURE() << "unknown instruction " << now.code; return 0;
    }
  }
  ADD_FAILURE() << "ran past the end";
  return 0;
}

std::vector<std::uint8_t> frame(const Mac& to, const Mac& from) {
  std::vector<std::uint8_t> bytes(to.begin(), to.end());
  bytes.insert(bytes.end(), from.begin(), from.end());
  bytes.resize(60);
  return bytes;
}

constexpr Mac kGateway = {6, 0x70, 0, 0, 0, 7};
constexpr std::uint32_t kTree = 0xf0000000;

TEST(Classifier, FindsTheDesktopByItsMac) {
  const Mac desktop = {2, 0x70, 0, 0, 0x12, 0x34};
  EXPECT_EQ(classify(Direction::kSend, frame(kGateway, desktop)), kTree | 0x1234);
  EXPECT_EQ(classify(Direction::kReceive, frame(desktop, kGateway)), kTree | 0x1234);
}

TEST(Classifier, AnythingElseIsAStray) {
  const std::vector<Mac> others = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                   {0x33, 0x33, 0, 0, 0, 5},
                                   {1, 0, 0x5e, 0, 0, 5},
                                   {2, 0x71, 0, 0, 0, 5},
                                   {2, 0x70, 0, 0, 0, 0},        // no number
                                   {2, 0x70, 0, 0, 0xf0, 0},     // a tenant's
                                   {2, 0x70, 0, 0, 0xff, 0xfe},  // the root's
                                   {2, 0x70, 0, 1, 0, 5},
                                   {2, 0x70, 0x80, 0, 0, 5}};
  for (const Mac& mac : others) {
    EXPECT_EQ(classify(Direction::kReceive, frame(mac, kGateway)), kTree | 0xffff)
        << to_string(mac);
    EXPECT_EQ(classify(Direction::kSend, frame(kGateway, mac)), kTree | 0xffff) << to_string(mac);
  }
}

TEST(Classifier, ComesBackAsItWasSent) {
  const auto message = add_classifier(5, Direction::kSend);
  const auto found = parse_filter(payload(message));
  ASSERT_TRUE(found && *found) << found.error().message();
  const auto program = classifier_program(Direction::kSend);
  EXPECT_TRUE(std::equal(program.begin(), program.end(), (*found)->program.begin(),
                         (*found)->program.end()));
}

TEST(ShapeClassMessage, ComesBackAsItWasSent) {
  for (const std::uint64_t mbit : {1U, 20U, 1000U, 100'000U}) {
    const auto tenant = tenant_class(kFirstTenantMinor, mbit * 1'000'000, 0);
    for (const auto& shape : {root_class(0), stray_class(), tenant,
                              desktop_class(9, tenant, 0, 0, SessionClass::kIdle)}) {
      const auto message = put_class(4, shape);
      const auto found = parse_class(payload(message));
      ASSERT_TRUE(found && *found);
      EXPECT_TRUE(same_shape(shape, (*found)->shape))
          << mbit << " Mbit/s, class " << shape.minor << ": burst "
          << (*found)->shape.rate_burst_bytes << " for " << shape.rate_burst_bytes << ", "
          << (*found)->shape.ceil_burst_bytes << " for " << shape.ceil_burst_bytes;
    }
  }
}

TEST(ShapeClassMessage, ADifferenceIsSeen) {
  const auto tenant = tenant_class(kFirstTenantMinor, 8'000'000, 0);
  const auto shape = desktop_class(9, tenant, 4'000'000, 0, SessionClass::kIdle);
  const auto seen = [&](auto change) {
    ShapeClass other = shape;
    change(other);
    return !same_shape(shape, other);
  };
  EXPECT_FALSE(seen([](ShapeClass&) {}));
  EXPECT_TRUE(seen([](ShapeClass& one) { one.parent = kRootMinor; }));
  EXPECT_TRUE(seen([](ShapeClass& one) { one.ceil_bytes_per_second *= 2; }));
  EXPECT_TRUE(seen([](ShapeClass& one) { one.rate_bytes_per_second *= 2; }));
  EXPECT_TRUE(seen([](ShapeClass& one) { one.ceil_burst_bytes *= 2; }));
  EXPECT_TRUE(seen([](ShapeClass& one) { one.priority = 0; }));
}

TEST(QueueMessage, ComesBackAsItWasSent) {
  const auto shape = desktop_class(9, root_class(0), 8'000'000, 0, SessionClass::kActive);
  const auto message = put_queue(4, shape, LeafQueue::kFifo);
  const auto found = parse_qdisc(payload(message));
  ASSERT_TRUE(found);
  EXPECT_TRUE(same_queue(shape, LeafQueue::kFifo, *found));
  EXPECT_FALSE(same_queue(shape, LeafQueue::kFqCodel, *found));
  const auto fair = put_queue(4, shape, LeafQueue::kFqCodel);
  EXPECT_TRUE(same_queue(shape, LeafQueue::kFqCodel, *parse_qdisc(payload(fair))));
}

TEST(Redirect, ComesBackAsItWasSentAndHoldsTheSenderToItsMac) {
  const Mac mac = {2, 0x70, 0, 0, 0x12, 0x34};
  const auto message = add_redirect(7, Direction::kSend, mac, 5);
  const auto found = parse_filter(payload(message));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->redirects_to, 5);
  ASSERT_EQ((*found)->matches.size(), 2U);
  EXPECT_EQ((*found)->matches[0], (MacMatch{0x02700000, 0xffffffff, -8}));
  EXPECT_EQ((*found)->matches[1], (MacMatch{0x12340000, 0xffff0000, -4}));
  const auto in = add_redirect(7, Direction::kReceive, mac, 5);
  EXPECT_EQ((*parse_filter(payload(in)))->matches[0].mask, 0U) << "all that goes in";
}

// --- malformed -----------------------------------------------------------------------------------

struct Named {
  const char* name;
  Message message;
};

std::vector<Named> all_messages() {
  const auto shape = desktop_class(9, root_class(0), 8'000'000, 0, SessionClass::kActive);
  return {{"class", put_class(4, shape)},
          {"fifo", put_queue(4, shape, LeafQueue::kFifo)},
          {"fq_codel", put_queue(4, shape, LeafQueue::kFqCodel)},
          {"classifier", add_classifier(4, Direction::kSend)},
          {"redirect", add_redirect(4, Direction::kSend, {2, 0x70, 0, 0, 0, 9}, 5)}};
}

void parse_everything(std::span<const std::byte> bytes) {
  (void)parse_class(bytes);
  (void)parse_qdisc(bytes);
  (void)parse_filter(bytes);
}

TEST(Malformed, NoCutIsReadPast) {
  for (const auto& [name, message] : all_messages()) {
    const auto whole = payload(message);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      // Exactly as long as it is: a reader that goes on is caught by the sanitizer.
      const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
      parse_everything(cut);
      if (length < sizeof(tcmsg)) {
        EXPECT_FALSE(parse_class(cut)) << name << " " << length;
        EXPECT_FALSE(parse_qdisc(cut)) << name << " " << length;
        EXPECT_FALSE(parse_filter(cut)) << name << " " << length;
      }
    }
  }
}

TEST(Malformed, NoLengthIsBelieved) {
  for (const auto& [name, message] : all_messages()) {
    const auto whole = payload(message);
    for (std::size_t at = sizeof(tcmsg); at + 2 <= whole.size(); ++at) {
      for (const unsigned length : {0U, 1U, 3U, 5U, 0x7fffU, 0xffffU}) {
        const auto lie = static_cast<std::uint16_t>(length);
        std::vector<std::byte> bytes(whole.begin(), whole.end());
        std::memcpy(bytes.data() + at, &lie, sizeof(lie));
        parse_everything(bytes);
      }
    }
  }
}

TEST(Malformed, ALieIsAnErrorThatSaysWhere) {
  auto message = put_class(4, stray_class());
  const std::uint16_t lie = 0xffff;
  std::memcpy(message.bytes.data() + NLMSG_HDRLEN + sizeof(tcmsg), &lie, sizeof(lie));
  const auto found = parse_class(payload(message));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, EPROTO);
  EXPECT_NE(found.error().message().find("longer than its class"), std::string::npos);
}

TEST(Malformed, OthersThingsAreNobodys) {
  const auto found = parse_class(payload(add_clsact(4)));
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
  const auto filter = parse_filter(payload(add_clsact(4)));
  ASSERT_TRUE(filter);
  EXPECT_FALSE(*filter);
}

}  // namespace
}  // namespace panal::netconfine
