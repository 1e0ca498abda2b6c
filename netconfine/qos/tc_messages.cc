#include "netconfine/qos/tc_messages.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
// clang-format on

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "netconfine/netlink/request.h"

namespace panal::netconfine {
namespace {

constexpr const char* kHtb = "htb";
constexpr std::uint32_t kShaperHandle = std::uint32_t{kShaperMajor} << 16;
// The kernel counts buckets in ticks of 64 ns (PSCHED_SHIFT 6, since Linux 2.6.31).
constexpr std::uint64_t kNanosecondsPerTick = 64;
constexpr std::uint8_t kEthernetOverhead = 1;  // TC_LINKLAYER_ETHERNET: no rate table comes along
// Of the classifier, the only filter there.
constexpr std::uint32_t kPriority = 1;
// Named, so that a second one is refused and no double. The node alone, in whatever hash table its
// chain has: the two chains of one clsact share theirs, and a table named here would be the
// other's.
constexpr std::uint32_t kRedirectHandle = 0x800;
constexpr std::uint32_t kClassifierHandle = 1;
// One way is shared by two Ethernet frames at a time in the round among equals.
constexpr std::uint32_t kQuantumBytes = 3028;
// Enough to tell a handful of a desktop's flows apart; the default, 1,024, would be 64 KiB a queue.
constexpr std::uint32_t kCodelFlows = 32;

tcmsg tc_of(int index, std::uint32_t parent, std::uint32_t handle) {
  tcmsg tc{};
  tc.tcm_family = AF_UNSPEC;
  tc.tcm_ifindex = index;
  tc.tcm_parent = parent;
  tc.tcm_handle = handle;
  return tc;
}

tcmsg filter_of(int index, std::uint32_t parent, std::uint32_t handle,
                std::uint32_t priority = kPriority) {
  tcmsg tc = tc_of(index, parent, handle);
  tc.tcm_info = TC_H_MAKE(priority << 16, htons(ETH_P_ALL));
  return tc;
}

// u32 keeps the tables of both chains of a clsact in one list, and tells them apart by priority:
// with the same one, either chain would be listed with the other's filters.
constexpr std::uint32_t redirect_priority(Direction direction) {
  return direction == Direction::kSend ? 1 : 2;
}

constexpr std::uint32_t classid(Minor minor) {
  return minor == 0 ? TC_H_ROOT : kShaperHandle | minor;
}

std::uint32_t ticks(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  // In floating point: bytes times 10^9 does not always fit 64 bits, and a tick more is nothing.
  const double value = static_cast<double>(bytes) * 1e9 / static_cast<double>(bytes_per_second) /
                       static_cast<double>(kNanosecondsPerTick);
  constexpr double kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp(value, 1.0, kMost));
}

tc_ratespec rate_of(std::uint64_t bytes_per_second) {
  tc_ratespec spec{};
  spec.linklayer = kEthernetOverhead;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  spec.rate = static_cast<std::uint32_t>(std::min(bytes_per_second, kMost));
  return spec;
}

}  // namespace

Message add_ifb(const std::string& name) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}, "add link " + name);
  request.text(IFLA_IFNAME, name);
  // One queue: HTB is one lock anyway.
  request.u32(IFLA_NUM_TX_QUEUES, 1);
  request.u32(IFLA_NUM_RX_QUEUES, 1);
  nlattr* info = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "ifb");
  request.end(info);
  return request.finish();
}

Message add_shaper(int index) {
  Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE,
                  tc_of(index, TC_H_ROOT, kShaperHandle), fmt::format("add htb to link {}", index));
  request.text(TCA_KIND, kHtb);
  nlattr* options = request.begin(TCA_OPTIONS);
  tc_htb_glob global{};
  global.version = 3;
  global.rate2quantum = 10;  // not used: every class says its quantum
  global.defcls = kStrayMinor;
  request.value(TCA_HTB_INIT, global);
  request.end(options);
  return request.finish();
}

Message put_class(int index, const ShapeClass& shape) {
  Request request(RTM_NEWTCLASS, NLM_F_CREATE,
                  tc_of(index, classid(shape.parent), classid(shape.minor)),
                  fmt::format("put class {:x}:{:x} on link {}", kShaperMajor, shape.minor, index));
  request.text(TCA_KIND, kHtb);
  nlattr* options = request.begin(TCA_OPTIONS);
  tc_htb_opt htb{};
  htb.rate = rate_of(shape.rate_bytes_per_second);
  htb.ceil = rate_of(shape.ceil_bytes_per_second);
  htb.buffer = ticks(shape.rate_burst_bytes, shape.rate_bytes_per_second);
  htb.cbuffer = ticks(shape.ceil_burst_bytes, shape.ceil_bytes_per_second);
  htb.quantum = kQuantumBytes;
  htb.prio = shape.priority;
  request.value(TCA_HTB_PARMS, htb);
  // Past 32 bits (34 Gbit/s) the rate stands here.
  request.u64(TCA_HTB_RATE64, shape.rate_bytes_per_second);
  request.u64(TCA_HTB_CEIL64, shape.ceil_bytes_per_second);
  request.end(options);
  return request.finish();
}

Message delete_class(int index, Minor minor) {
  return Request(RTM_DELTCLASS, 0, tc_of(index, 0, classid(minor)),
                 fmt::format("delete class {:x}:{:x} on link {}", kShaperMajor, minor, index))
      .finish();
}

Message put_queue(int index, const ShapeClass& shape, LeafQueue queue) {
  Request request(
      RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE,
      tc_of(index, classid(shape.minor), queue_handle(shape.minor)),
      fmt::format("put the queue of class {:x}:{:x} on link {}", kShaperMajor, shape.minor, index));
  if (queue == LeafQueue::kFifo) {
    request.text(TCA_KIND, "bfifo");
    tc_fifo_qopt fifo{};
    fifo.limit = shape.queue_bytes;
    request.value(TCA_OPTIONS, fifo);
    return request.finish();
  }
  request.text(TCA_KIND, "fq_codel");
  nlattr* options = request.begin(TCA_OPTIONS);
  request.u32(TCA_FQ_CODEL_FLOWS, kCodelFlows);
  request.u32(TCA_FQ_CODEL_MEMORY_LIMIT, shape.queue_bytes);
  request.end(options);
  return request.finish();
}

std::array<BpfInstruction, 8> classifier_program(Direction direction) {
  // A frame begins with the receiver's MAC, then the sender's; a desktop's is 02:70 and its number
  // in 32 bits (address_pool.h).
  const std::uint32_t mac = direction == Direction::kSend ? ETH_ALEN : 0;
  constexpr std::uint32_t kDesktopMacs = 0x0270;
  const auto code = [](unsigned bits) { return static_cast<std::uint16_t>(bits); };
  return {{{code(BPF_LD | BPF_H | BPF_ABS), 0, 0, mac},
           {code(BPF_JMP | BPF_JEQ | BPF_K), 0, 5, kDesktopMacs},
           {code(BPF_LD | BPF_W | BPF_ABS), 0, 0, mac + 2},
           {code(BPF_JMP | BPF_JGT | BPF_K), 3, 0, kLastDesktopMinor},
           {code(BPF_JMP | BPF_JEQ | BPF_K), 2, 0, 0},  // number 0 would mean "past all classes"
           {code(BPF_ALU | BPF_OR | BPF_K), 0, 0, kShaperHandle},
           {code(BPF_RET | BPF_A), 0, 0, 0},
           {code(BPF_RET | BPF_K), 0, 0, kShaperHandle | kStrayMinor}}};
}

Message add_classifier(int index, Direction direction) {
  Request request(RTM_NEWTFILTER, NLM_F_CREATE, filter_of(index, kShaperHandle, kClassifierHandle),
                  fmt::format("add the classifier to link {}", index));
  request.text(TCA_KIND, "bpf");
  nlattr* options = request.begin(TCA_OPTIONS);
  const auto program = classifier_program(direction);
  static_assert(sizeof(program) == program.size() * sizeof(sock_filter));
  request.u16(TCA_BPF_OPS_LEN, static_cast<std::uint16_t>(program.size()));
  request.value(TCA_BPF_OPS, program);
  request.end(options);
  return request.finish();
}

Message add_clsact(int index) {
  Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                  tc_of(index, TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0)),
                  fmt::format("add clsact to link {}", index));
  request.text(TCA_KIND, "clsact");
  return request.finish();
}

std::uint32_t redirect_parent(Direction direction) {
  return TC_H_MAKE(TC_H_CLSACT, direction == Direction::kSend ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

std::array<MacMatch, 2> redirect_matches(Direction direction, const Mac& mac) {
  // Out goes only what the host sends there: to the desktop's MAC, or to a group of a bridge.
  if (direction == Direction::kReceive) return {};
  const auto word = [&](std::size_t i) {
    return static_cast<std::uint32_t>(mac[i]) << 24 | static_cast<std::uint32_t>(mac[i + 1]) << 16;
  };
  // The sender's MAC lies 8 bytes before the network header: 6 of it and 2 of the protocol.
  return {{{word(0) | word(2) >> 16, 0xffffffff, -8}, {word(4), 0xffff0000, -4}}};
}

Message add_redirect(int index, Direction direction, const Mac& mac, int shaper) {
  Request request(
      RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
      filter_of(index, redirect_parent(direction), kRedirectHandle, redirect_priority(direction)),
      fmt::format("redirect link {} to link {}", index, shaper));
  request.text(TCA_KIND, "u32");
  nlattr* options = request.begin(TCA_OPTIONS);
  const auto matches = redirect_matches(direction, mac);
  // A tc_u32_sel ends in an array without a length: it is put together as bytes.
  std::array<std::byte, sizeof(tc_u32_sel) + matches.size() * sizeof(tc_u32_key)> selector{};
  selector[offsetof(tc_u32_sel, flags)] = std::byte{TC_U32_TERMINAL};
  selector[offsetof(tc_u32_sel, nkeys)] = std::byte{matches.size()};
  for (std::size_t i = 0; i < matches.size(); ++i) {
    tc_u32_key key{};
    key.val = htonl(matches[i].value);
    key.mask = htonl(matches[i].mask);
    key.off = matches[i].offset;
    std::memcpy(selector.data() + sizeof(tc_u32_sel) + i * sizeof(key), &key, sizeof(key));
  }
  request.value(TCA_U32_SEL, selector);
  nlattr* actions = request.begin(TCA_U32_ACT);
  nlattr* first = request.begin(1);
  request.text(TCA_ACT_KIND, "mirred");
  nlattr* action_options = request.begin(TCA_ACT_OPTIONS);
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<std::uint32_t>(shaper);
  request.value(TCA_MIRRED_PARMS, mirred);
  request.end(action_options);
  request.end(first);
  request.end(actions);
  request.end(options);
  return request.finish();
}

Message delete_redirect(int index, Direction direction) {
  return Request(RTM_DELTFILTER, 0,
                 filter_of(index, redirect_parent(direction), 0, redirect_priority(direction)),
                 fmt::format("no longer redirect link {}", index))
      .finish();
}

Message delete_filters(int index, std::uint32_t parent) {
  // Without a priority: all of the chain.
  return Request(RTM_DELTFILTER, 0, tc_of(index, parent, 0),
                 fmt::format("delete the filters of link {}", index))
      .finish();
}

Message list_classes(int index) {
  return Request(RTM_GETTCLASS, NLM_F_DUMP, tc_of(index, 0, 0),
                 fmt::format("list classes of link {}", index))
      .finish();
}

Message list_filters(int index, std::uint32_t parent) {
  return Request(RTM_GETTFILTER, NLM_F_DUMP, tc_of(index, parent, 0),
                 fmt::format("list filters of link {}", index))
      .finish();
}

Message list_qdiscs() {
  return Request(RTM_GETQDISC, NLM_F_DUMP, tc_of(0, 0, 0), "list queueing disciplines").finish();
}

}  // namespace panal::netconfine
