#include "runtime/netpolicy/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "netconfine/policy/amount.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"

namespace panal::netpolicy {
namespace {

using netconfine::Protocol;
using ::testing::HasSubstr;

struct Words {
  const char* text;
  const char* host;
  bool address;
  int port;  ///< -1: none
  const char* protocol;
};

TEST(EndWords, AreReadAsPeopleWriteThem) {
  for (const Words& one : {
           Words{"alice-desk", "alice-desk", false, -1, ""},
           Words{"7", "7", false, -1, ""},
           Words{"bob-desk:22", "bob-desk", false, 22, ""},
           Words{"bob-desk:5353/udp", "bob-desk", false, 5353, "udp"},
           Words{"10.0.0.5", "10.0.0.5", true, -1, ""},
           Words{"10.0.0.5:443", "10.0.0.5", true, 443, ""},
           Words{"10.0.0.5:53/udp", "10.0.0.5", true, 53, "udp"},
           Words{"10.0.0.5/ping", "10.0.0.5", true, -1, "ping"},
           Words{"fd00::5", "fd00::5", true, -1, ""},
           Words{"[fd00::5]", "fd00::5", true, -1, ""},
           Words{"[fd00::5]:443/tcp", "fd00::5", true, 443, "tcp"},
           Words{"fd00::5/any", "fd00::5", true, -1, "any"},
       }) {
    const auto words = parse_end(one.text);
    ASSERT_TRUE(words) << one.text << ": " << words.error().message();
    EXPECT_EQ(words->host, one.host) << one.text;
    EXPECT_EQ(words->address, one.address) << one.text;
    EXPECT_EQ(words->port ? int{*words->port} : -1, one.port) << one.text;
    EXPECT_EQ(
        words->protocol ? netconfine::to_string(netconfine::Traffic{*words->protocol, {}}) : "",
        one.protocol)
        << one.text;
  }
}

TEST(EndWords, RefuseWhatIsNone) {
  const std::vector<std::pair<std::string, const char*>> table{
      {"", "write a desktop's name or an address"},
      {std::string(400, 'a'), "write a desktop's name or an address"},
      {":443", "a desktop's name or an address is missing"},
      {"/tcp", "a desktop's name or an address is missing"},
      {"10.0.0.5:", "\"\" is no port"},
      {"10.0.0.5:https", "\"https\" is no port"},
      {"10.0.0.5:65536", "\"65536\" is no port"},
      {"10.0.0.5:-1", "is no port"},
      {"10.0.0.0/8", "only /tcp, /udp, /ping or /any may follow"},
      {"10.0.0.5:443/sctp", "only /tcp, /udp, /ping or /any may follow"},
      {"[fd00::5", "lacks its closing ]"},
      {"[fd00::5]443", "only :PORT may follow ]"},
      {"[10.0.0.5]:443", "\"10.0.0.5\" is no IPv6 address"},
      {"[]:443", "\"\" is no IPv6 address"},
      {"desk\x1b[31m:x\n", "is no port"},
  };
  for (const auto& [text, why] : table) {
    const auto words = parse_end(text);
    ASSERT_FALSE(words) << text;
    EXPECT_EQ(words.error().code, EINVAL);
    EXPECT_THAT(words.error().context, HasSubstr(why)) << text;
    EXPECT_EQ(words.error().context.find('\n'), std::string::npos);
    EXPECT_EQ(words.error().context.find('\x1b'), std::string::npos);
  }
}

Result<Query> query(const std::string& from, const std::string& to, bool v6 = false) {
  const auto looked_up = [](const EndWords& words) {
    End end;
    if (words.address)
      end.address = *netconfine::parse_prefix(words.host);
    else
      end.desktop = words.host == "alice" ? 7 : 8;
    return end;
  };
  PANAL_ASSIGN(const auto from_words, parse_end(from));
  PANAL_ASSIGN(const auto to_words, parse_end(to));
  return make_query(from_words, looked_up(from_words), to_words, looked_up(to_words), v6);
}

TEST(Query, PortMeansTcpAndNothingMeansPing) {
  EXPECT_EQ(query("alice", "10.0.0.5:443")->traffic,
            (netconfine::Traffic{Protocol::kTcp, {443, 443}}));
  EXPECT_EQ(query("alice", "10.0.0.5")->traffic.protocol, Protocol::kIcmp);
  EXPECT_EQ(query("alice", "10.0.0.5/any")->traffic.protocol, Protocol::kAny);
  EXPECT_FALSE(query("alice", "bob:22")->v6);
  EXPECT_TRUE(query("alice", "bob:22", true)->v6);
  EXPECT_TRUE(query("alice", "fd00::5")->v6);
  EXPECT_TRUE(query("fd00::5", "alice:22")->v6);
}

TEST(Query, RefusesWhatDoesNotFitTogether) {
  const auto refused = [](const Result<Query>& made, const char* why) {
    ASSERT_FALSE(made) << why;
    EXPECT_EQ(made.error().code, EINVAL);
    EXPECT_THAT(made.error().context, HasSubstr(why));
  };
  refused(query("10.0.0.1", "10.0.0.5:443"), "neither end is a desktop");
  refused(query("alice:22", "10.0.0.5"), "go with the destination, not with alice");
  refused(query("alice/tcp", "10.0.0.5"), "go with the destination");
  refused(query("alice", "10.0.0.5", true), "10.0.0.5 is no IPv6 address");
  refused(query("alice", "10.0.0.5/tcp"), "tcp needs a port: 10.0.0.5:PORT");
  refused(query("alice", "10.0.0.5:1/ping"), "only tcp and udp have ports");
}

TEST(Query, GoesToPanaldAndBack) {
  for (const auto& made : {query("alice", "10.0.0.5:443"), query("alice", "bob:53/udp", true),
                           query("fd00::5", "alice"), query("alice", "10.0.0.5/any")}) {
    ASSERT_TRUE(made);
    const auto again = parse_query(to_json(*made));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(to_json(*again), to_json(*made));
  }
}

TEST(Query, MalformedRequestsAreRefused) {
  const auto good = to_json(*query("alice", "10.0.0.5:443"));
  ASSERT_TRUE(parse_query(good));
  const std::vector<std::pair<const char*, nlohmann::json>> table{
      {"from", nullptr},
      {"from", 7},
      {"from", {{"desktop", 0}}},
      {"from", {{"desktop", -1}}},
      {"from", {{"desktop", "7"}}},
      {"from", {{"desktop", 1.5}}},
      {"from", {{"address", "10.0.0.1"}}},  // both outside
      {"from", nlohmann::json::object()},
      {"to", {{"address", 3}}},
      {"to", {{"address", "10.0.0.0/8"}}},
      {"to", {{"address", "somewhere"}}},
      {"to", {{"address", "fd00::1"}}},  // another family
      {"v6", true},
      {"traffic", 443},
      {"traffic", ""},
      {"traffic", "tcp"},
      {"traffic", "80-443/tcp"},
  };
  for (const auto& [key, value] : table) {
    auto bad = good;
    bad[key] = value;
    const auto made = parse_query(bad);
    ASSERT_FALSE(made) << bad.dump();
    EXPECT_EQ(made.error().code, EPROTO);
  }
  for (const char* key : {"from", "to", "traffic"}) {
    auto bad = good;
    bad.erase(key);
    EXPECT_FALSE(parse_query(bad)) << key;
  }
}

}  // namespace
}  // namespace panal::netpolicy
