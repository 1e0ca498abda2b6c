#include "netconfine/qos/tc_parse.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <cstdlib>

#include "netconfine/netlink/attributes.h"

namespace panal::netconfine {
namespace {

using Bytes = std::span<const std::byte>;

struct Head {
  tcmsg tc{};
  std::string kind;
  Bytes attributes;
  Bytes options;
};

Result<Head> parse_head(Bytes payload, const char* what) {
  const auto tc = read_value<tcmsg>(payload);
  if (!tc) return fail(EPROTO, std::string("traffic control: a cut ") + what);
  Head head{*tc, {}, attributes_after(payload, sizeof(tcmsg)), {}};
  Attributes walk(head.attributes);
  while (const auto one = walk.next()) {
    if (one->type == TCA_KIND) head.kind = read_text(one->payload);
    if (one->type == TCA_OPTIONS) head.options = one->payload;
  }
  if (walk.broken()) {
    return fail(EPROTO, std::string("traffic control: an attribute longer than its ") + what);
  }
  return head;
}

std::uint64_t rate_of(Bytes options, std::uint16_t wide, const tc_ratespec& narrow) {
  const auto value = read_value<std::uint64_t>(find_attribute(options, wide));
  return value ? *value : narrow.rate;
}

// The kernel tells buckets in ticks of 64 ns.
std::uint32_t bytes_in(std::uint32_t ticks, std::uint64_t bytes_per_second) {
  const double bytes = static_cast<double>(ticks) * 64e-9 * static_cast<double>(bytes_per_second);
  return static_cast<std::uint32_t>(std::min(bytes + 0.5, 4294967295.0));
}

bool about(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t more = std::max(a, b);
  const std::uint32_t less = std::min(a, b);
  return more - less <= more / 64 + 64;
}

}  // namespace

Result<std::optional<FoundClass>> parse_class(Bytes payload) {
  PANAL_ASSIGN(const auto head, parse_head(payload, "class"));
  if (head.kind != "htb" || head.tc.tcm_handle >> 16 != kShaperMajor) return std::nullopt;
  const auto htb = read_value<tc_htb_opt>(find_attribute(head.options, TCA_HTB_PARMS));
  if (!htb) return fail(EPROTO, "traffic control: an htb class without its parameters");
  FoundClass found;
  ShapeClass& shape = found.shape;
  shape.minor = static_cast<Minor>(head.tc.tcm_handle & 0xffff);
  shape.parent =
      head.tc.tcm_parent == TC_H_ROOT ? Minor{0} : static_cast<Minor>(head.tc.tcm_parent & 0xffff);
  shape.rate_bytes_per_second = rate_of(head.options, TCA_HTB_RATE64, htb->rate);
  shape.ceil_bytes_per_second = rate_of(head.options, TCA_HTB_CEIL64, htb->ceil);
  shape.rate_burst_bytes = bytes_in(htb->buffer, shape.rate_bytes_per_second);
  shape.ceil_burst_bytes = bytes_in(htb->cbuffer, shape.ceil_bytes_per_second);
  shape.priority = htb->prio;
  const auto statistics = find_attribute(head.attributes, TCA_STATS2);
  if (const auto basic =
          read_value<gnet_stats_basic>(find_attribute(statistics, TCA_STATS_BASIC))) {
    found.bytes = basic->bytes;
    found.packets = basic->packets;
  }
  // A counter of 64 bits beside it, since Linux 5.5.
  if (const auto packets = read_value<std::uint64_t>(find_attribute(statistics, TCA_STATS_PKT64))) {
    found.packets = *packets;
  }
  if (const auto queue =
          read_value<gnet_stats_queue>(find_attribute(statistics, TCA_STATS_QUEUE))) {
    found.dropped = queue->drops;
    found.waiting_bytes = queue->backlog;
  }
  return found;
}

bool same_shape(const ShapeClass& meant, const ShapeClass& found) {
  return meant.minor == found.minor && meant.parent == found.parent &&
         meant.rate_bytes_per_second == found.rate_bytes_per_second &&
         meant.ceil_bytes_per_second == found.ceil_bytes_per_second &&
         about(meant.rate_burst_bytes, found.rate_burst_bytes) &&
         about(meant.ceil_burst_bytes, found.ceil_burst_bytes) &&
         // A class with children has no place in a round.
         (meant.queue_bytes == 0 || meant.priority == found.priority);
}

Result<FoundQdisc> parse_qdisc(Bytes payload) {
  PANAL_ASSIGN(const auto head, parse_head(payload, "queueing discipline"));
  FoundQdisc found{head.tc.tcm_ifindex, head.tc.tcm_handle, head.tc.tcm_parent, head.kind, 0};
  if (head.kind == "bfifo") {
    if (const auto fifo = read_value<tc_fifo_qopt>(head.options)) found.fifo_bytes = fifo->limit;
  }
  return found;
}

Result<std::optional<FoundFilter>> parse_filter(Bytes payload) {
  PANAL_ASSIGN(const auto head, parse_head(payload, "filter"));
  FoundFilter found{head.tc.tcm_parent, head.kind, {}, 0, {}};
  if (head.kind == "bpf") {
    const auto code = find_attribute(head.options, TCA_BPF_OPS);
    if (code.empty()) return std::nullopt;
    for (Bytes left = code; !left.empty(); left = left.subspan(sizeof(BpfInstruction))) {
      const auto instruction = read_value<BpfInstruction>(left);
      if (!instruction) return fail(EPROTO, "traffic control: a cut program");
      found.program.push_back(*instruction);
    }
    return found;
  }
  const auto selector = find_attribute(head.options, TCA_U32_SEL);
  if (head.kind != "u32" || selector.empty()) return std::nullopt;
  if (selector.size() < sizeof(tc_u32_sel)) return fail(EPROTO, "traffic control: a cut selector");
  const auto keys = std::to_integer<unsigned>(selector[offsetof(tc_u32_sel, nkeys)]);
  Bytes left = selector.subspan(sizeof(tc_u32_sel));
  for (unsigned i = 0; i < keys; ++i, left = left.subspan(sizeof(tc_u32_key))) {
    const auto key = read_value<tc_u32_key>(left);
    if (!key) return fail(EPROTO, "traffic control: fewer keys than the selector says");
    found.matches.push_back({ntohl(key->val), ntohl(key->mask), key->off});
  }
  Attributes actions(find_attribute(head.options, TCA_U32_ACT));
  while (const auto action = actions.next()) {
    if (read_text(find_attribute(action->payload, TCA_ACT_KIND)) != "mirred") continue;
    const auto mirred = read_value<tc_mirred>(
        find_attribute(find_attribute(action->payload, TCA_ACT_OPTIONS), TCA_MIRRED_PARMS));
    if (mirred && mirred->eaction == TCA_EGRESS_REDIR) {
      found.redirects_to = static_cast<int>(mirred->ifindex);
    }
  }
  return found;
}

}  // namespace panal::netconfine
