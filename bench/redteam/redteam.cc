#include "bench/redteam/redteam.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/redteam/ears.h"

namespace panal::bench {
namespace {

using nlohmann::json;

// What one thread sends over veths on one core is dealt with in the order it was sent.
class OnOneCore {
 public:
  OnOneCore() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    ::sched_setaffinity(0, sizeof one, &one);
  }
  ~OnOneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OnOneCore(const OnOneCore&) = delete;
  OnOneCore& operator=(const OnOneCore&) = delete;

 private:
  cpu_set_t before_{};
};

class Field {
 public:
  static Result<Field> open(Site site) {
    Field field;
    field.site_ = std::move(site);
    const Site& s = field.site_;
    PANAL_ASSIGN(field.settle_, Settle::open());
    for (std::size_t i = 0; i < s.desktops.size(); ++i) {
      PANAL_ASSIGN(field.ears_[i], LinkEar::open(s.desktops[i], s.link));
    }
    PANAL_ASSIGN(field.outside_, LinkEar::open(s.outside, "out0"));
    PANAL_ASSIGN(field.host_ear_, HostEar::open(s.host));
    PANAL_ASSIGN(field.host_, Memory::open(s.host));
    PANAL_ASSIGN(field.victims_, Memory::open(s.desktops[Site::kVictim]));
    PANAL_ASSIGN(field.thirds_, Memory::open(s.desktops[Site::kThird]));
    return field;
  }

  // Everybody says who he is, as kernels do now and then: what an attack has spoilt is mended.
  Result<void> heal() {
    for (std::size_t i = 0; i < ears_.size(); ++i) {
      // On a bridge of its group frames to many are held to a rate: all of the attacker's are for
      // its attacks. Nobody there has heard of it, or but what is true.
      if (i == Site::kMe && !site_.leads_outside) continue;
      const Mac& mac = site_.macs[i];
      const Ipv4& four = site_.addresses4[i];
      const Ipv6& six = site_.addresses6[i];
      PANAL_TRY(
          ears_[i].send(ethernet(kEverybody, mac, kTypeArp, arp(1, mac, four, kNoMac, four))));
      const Ipv6 nodes = ip6("ff02::1");
      const Octets said = Octets{0x20, 0, 0, 0} + raw(six) + Octets{2, 1} + raw(mac);
      PANAL_TRY(ears_[i].send(ethernet(
          kAllNodes, mac, kTypeIp6,
          ip(six, nodes, kIcmp6, icmp_message(six, nodes, 136, 0, said), {.ttl = 255}).bytes)));
    }
    PANAL_TRY(settle_.wait());
    return hush();
  }

  // Honest packets, from each to whom it may reach, heard where they should be. `again`: by new
  // connections of all but the attacker, which has used up its own.
  Result<void> check_honest(const std::string& when, bool again = false) {
    const Ground& g = site_.ground;
    const auto must = [&](const char* what, bool heard) -> Result<void> {
      if (heard) return {};
      return fail(EIO, fmt::format("{}: {} does not arrive", when, what));
    };
    for (const std::size_t from : {Site::kMe, Site::kVictim, Site::kThird}) {
      if (!site_.leads_outside || (again && from == Site::kMe)) continue;
      const Mac next_hop = next_hop_of(from);
      const Ports ports{static_cast<std::uint16_t>(again ? 40002 : 40000), 53};
      PANAL_ASSIGN(const unsigned four,
                   honest(from, next_hop, udp(site_.addresses4[from], g.service4, ports)));
      PANAL_TRY(must("a question to the service", (four & kOutsideHears) != 0));
      if (asks_outside6()) {
        PANAL_ASSIGN(const unsigned six,
                     honest(from, next_hop, udp(site_.addresses6[from], g.service6, ports)));
        PANAL_TRY(must("a question over IPv6 to the service", (six & kOutsideHears) != 0));
      }
    }
    if (site_.mates) {
      PANAL_ASSIGN(const unsigned four, honest(Site::kMe, g.to_victim, udp(g.me4, g.victim4, {})));
      PANAL_TRY(must("a packet to the victim from its mate", (four & kVictimHears) != 0));
      PANAL_ASSIGN(const unsigned six, honest(Site::kMe, g.to_victim, udp(g.me6, g.victim6, {})));
      PANAL_TRY(must("a packet over IPv6 to the victim from its mate", (six & kVictimHears) != 0));
    }
    const Mac to_victim = g.to_victim == g.victim ? g.victim : next_hop_of(Site::kThird);
    if (site_.third_reaches4) {
      PANAL_ASSIGN(const unsigned four,
                   honest(Site::kThird, to_victim, udp(g.third4, g.victim4, {})));
      PANAL_TRY(must("a packet to the victim from the third", (four & kVictimHears) != 0));
    }
    if (site_.third_reaches6) {
      PANAL_ASSIGN(const unsigned six,
                   honest(Site::kThird, to_victim, udp(g.third6, g.victim6, {})));
      PANAL_TRY(must("a packet over IPv6 to the victim from the third", (six & kVictimHears) != 0));
    }
    return {};
  }

  // The victim has a connection to the service, with an answer where addresses are as they are.
  Result<void> open_victims_connection() {
    if (site_.masks || !site_.leads_outside) return {};
    const Ground& g = site_.ground;
    const Mac outside{0x02, 0x99, 0, 0, 0, 1}, uplink{0x02, 0x99, 0, 0, 0, 2};
    PANAL_TRY(outside_.send(
        ethernet(uplink, outside, kTypeIp4, udp(g.service4, g.victim4, {53, 40000}).bytes)));
    PANAL_TRY(outside_.send(
        ethernet(uplink, outside, kTypeIp6, udp(g.service6, g.victim6, {53, 40000}).bytes)));
    PANAL_TRY(settle_.wait());
    if (ears_[Site::kVictim].listen(kHonestMark, site_.macs[Site::kVictim]).mark) return hush();
    return fail(EIO, "the service's answer does not come back to the victim");
  }

  Result<unsigned> suffer(const Attack& attack) {
    PANAL_TRY(hush());
    PANAL_ASSIGN(const auto before, learnt());
    const auto connections = host_.connections();
    for (const Octets& frame : attack.frames) PANAL_TRY(ears_[Site::kMe].send(frame));
    PANAL_TRY(settle_.wait());
    unsigned signs = listen(attack.mark);
    PANAL_ASSIGN(const auto after, learnt());
    if (after.neighbours != before.neighbours) signs |= kNeighbours;
    if (after.bridge != before.bridge) signs |= kBridge;
    const auto now = host_.connections();
    if (now > connections && now - connections > attack.connections) signs |= kConnections;
    return signs;
  }

  [[nodiscard]] const Ground& ground() const { return site_.ground; }
  [[nodiscard]] unsigned by_design(const Attack& attack) const {
    return site_.by_design ? site_.by_design(attack) : 0U;
  }

 private:
  struct Learnt {
    std::vector<std::set<std::string>> neighbours;
    std::set<std::string> bridge;
  };

  static Packet udp(const Ipv4& from, const Ipv4& to, const Ports& ports) {
    return ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, kHonestMark));
  }
  static Packet udp(const Ipv6& from, const Ipv6& to, const Ports& ports) {
    return ip(from, to, kUdp, udp_segment(raw(from), raw(to), ports, kHonestMark));
  }

  // Each desktop has a next hop of its own where links are routed (06:70:<id>).
  [[nodiscard]] Mac next_hop_of(std::size_t desktop) const {
    const Ground& g = site_.ground;
    if (g.to_victim == g.victim) return g.host;
    Mac hop = g.host;
    hop[5] = static_cast<std::uint8_t>(desktop + 1);
    return hop;
  }
  // Link-local addresses do not go there.
  [[nodiscard]] bool asks_outside6() const { return site_.ground.me6[0] != 0xfe; }

  Result<unsigned> honest(std::size_t from, const Mac& to, const Packet& packet) {
    PANAL_TRY(hush());
    PANAL_TRY(ears_[from].send(
        ethernet(to, site_.macs[from], packet.v6 ? kTypeIp6 : kTypeIp4, packet.bytes)));
    PANAL_TRY(settle_.wait());
    return listen(kHonestMark);
  }

  unsigned listen(const Octets& mark) {
    unsigned signs = 0;
    const Mac& me = site_.macs[Site::kMe];
    if (ears_[Site::kMe].listen(mark, me).reply) signs |= kAnswer;
    if (ears_[Site::kVictim].listen(mark, me).mark) signs |= kVictimHears;
    if (ears_[Site::kThird].listen(mark, me).mark) signs |= kThirdHears;
    if (outside_.listen(mark, me).mark) signs |= kOutsideHears;
    if (host_ear_.listen(mark)) signs |= kHostHears;
    return signs;
  }
  Result<void> hush() {
    (void)listen(kHonestMark);
    return {};
  }

  Result<Learnt> learnt() {
    Learnt all;
    for (Memory* memory : {&host_, &victims_, &thirds_}) {
      PANAL_ASSIGN(auto neighbours, memory->neighbours());
      all.neighbours.push_back(std::move(neighbours));
    }
    PANAL_ASSIGN(all.bridge, host_.bridge());
    return all;
  }

  inline static const Octets kHonestMark = {'h', 'o', 'n', 'e', 's', 't', '!', '!'};

  Site site_;
  Settle settle_;
  std::array<LinkEar, 3> ears_;
  LinkEar outside_;
  HostEar host_ear_;
  Memory host_, victims_, thirds_;
};

}  // namespace

std::size_t Assault::passed() const {
  return static_cast<std::size_t>(std::count_if(
      outcomes.begin(), outcomes.end(), [](const Outcome& outcome) { return outcome.signs != 0; }));
}

std::string to_string_of_signs(unsigned signs) {
  constexpr std::array<const char*, 8> kWords = {
      "the victim hears it", "a third hears it",    "it leaves by the uplink",
      "the host hears it",   "somebody answers",    "a neighbour table changes",
      "a bridge learns",     "too many connections"};
  std::string words;
  for (std::size_t i = 0; i < kWords.size(); ++i)
    if ((signs >> i & 1U) != 0) words += std::string(words.empty() ? "" : ", ") + kWords[i];
  return words;
}

Result<Assault> assault(const Target& target) {
  const OnOneCore core;  // first: threads and sockets come after
  const auto begin = std::chrono::steady_clock::now();
  const auto failed = [&](Error error) { return prefixed(target.means, std::move(error)); };
  auto site = target.build();
  if (!site) return failed(std::move(site.error()));
  auto field = Field::open(std::move(*site));
  if (!field) return failed(std::move(field.error()));
  Assault result{target.name, target.means, target.ours, {}, 0};
  const auto run = [&]() -> Result<void> {
    std::string topic;
    for (const Attack& attack : all_attacks(field->ground())) {
      PANAL_TRY(field->heal());
      if (attack.topic != topic) {
        topic = attack.topic;
        PANAL_TRY(field->check_honest("before " + topic));
        PANAL_TRY(field->open_victims_connection());
      }
      PANAL_ASSIGN(const unsigned signs, field->suffer(attack));
      const unsigned honest = field->by_design(attack);
      result.outcomes.push_back({attack.topic, attack.name, signs & ~honest, signs & honest});
    }
    PANAL_TRY(field->heal());
    return field->check_honest("after all", true);
  };
  auto done = run();
  if (!done) return failed(std::move(done.error()));
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

json redteam_report(const std::vector<Assault>& assaults) {
  json report = {{"attacks", 0}, {"heard_nowhere", json::array()}, {"targets", json::array()}};
  if (assaults.empty()) return report;
  std::vector<bool> counts(assaults.front().outcomes.size(), false);
  for (const Assault& one : assaults)
    for (std::size_t i = 0; i < counts.size() && !one.ours; ++i)
      if (one.outcomes[i].signs != 0) counts[i] = true;
  report["attacks"] = std::count(counts.begin(), counts.end(), true);
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (!counts[i])
      report["heard_nowhere"].push_back(assaults.front().outcomes[i].topic + ": " +
                                        assaults.front().outcomes[i].name);
  for (const Assault& one : assaults) {
    json target = {{"name", one.target},        {"means", one.means}, {"ours", one.ours},
                   {"passed", one.passed()},    {"by_design", 0},     {"seconds", one.seconds},
                   {"by_topic", json::object()}};
    if (one.ours) target["which"] = json::array();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto& outcome = one.outcomes[i];
      json& topic = target["by_topic"][outcome.topic];
      if (topic.is_null()) topic = {{"attacks", 0}, {"passed", 0}, {"by_design", 0}};
      if (counts[i]) topic["attacks"] = topic["attacks"].get<int>() + 1;
      if (outcome.signs == 0 && outcome.by_design != 0) {
        topic["by_design"] = topic["by_design"].get<int>() + 1;
        target["by_design"] = target["by_design"].get<int>() + 1;
      }
      if (outcome.signs == 0) continue;
      topic["passed"] = topic["passed"].get<int>() + 1;
      if (one.ours)
        target["which"].push_back(outcome.topic + ": " + outcome.name + ": " +
                                  to_string_of_signs(outcome.signs));
    }
    report["targets"].push_back(std::move(target));
  }
  return report;
}

Result<json> run_redteam() {
  std::vector<Assault> all;
  for (const Target& target : targets()) {
    PANAL_ASSIGN(auto one, assault(target));
    all.push_back(std::move(one));
  }
  return redteam_report(all);
}

std::string redteam_table(const json& report) {
  const auto count = [](const json& counts) {
    const int honest = counts["by_design"].get<int>();
    return counts["passed"].dump() + (honest == 0 ? "" : fmt::format(" + {}", honest));
  };
  std::string table = fmt::format("| {} attacks that pass somewhere |", report["attacks"].dump());
  std::string line = "|---|", sums = "| **all** |";
  std::vector<std::string> topics;
  for (const json& target : report["targets"]) {
    table += fmt::format(" {} |", target["means"].get<std::string>());
    line += "---|";
    sums += fmt::format(" **{}** |", count(target));
    if (topics.empty())
      for (const auto& [topic, counts] : target["by_topic"].items()) topics.push_back(topic);
  }
  table += "\n" + line + "\n";
  for (const std::string& topic : topics) {
    std::string row;
    for (const json& target : report["targets"]) {
      const auto& counts = target["by_topic"][topic];
      if (row.empty()) row = fmt::format("| {} ({}) |", topic, counts["attacks"].dump());
      row += fmt::format(" {} |", count(counts));
    }
    table += row + "\n";
  }
  return table + sums + "\n";
}

}  // namespace panal::bench
