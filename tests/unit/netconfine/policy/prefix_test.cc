#include "netconfine/policy/prefix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netconfine/policy/amount.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Prefix prefix(const char* text) {
  const auto parsed = parse_prefix(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(Prefix());
}

TEST(Prefix, IsReadAndPrintedTheSame) {
  for (const char* text : {"10.1.0.0/16", "10.0.0.53", "0.0.0.0/0", "128.0.0.0/1", "fd00::/8",
                           "fd00::53", "::/0", "64:ff9b::a00:0/104"})
    EXPECT_EQ(to_string(prefix(text)), text);
  EXPECT_EQ(to_string(prefix("10.0.0.53/32")), "10.0.0.53");
  EXPECT_EQ(to_string(prefix("FD00:0:0::53/128")), "fd00::53");
}

TEST(Prefix, RefusesWhatIsNone) {
  const std::vector<std::pair<std::string, const char*>> table{
      {"", "is no address"},
      {"10.0.0", "is no address"},
      {"10.0.0.256", "is no address"},
      {"010.0.0.1", "is no address"},
      {"10.0.0.1 ", "is no address"},
      {std::string("10.0.0.1\0x", 10), "is no address"},
      {"proxy.example.org", "is no address"},
      {"fd00::1%eth0", "is no address"},
      {"[fd00::1]", "is no address"},
      {"10.0.0.0/", "needs a length of 0 to 32"},
      {"10.0.0.0/33", "needs a length of 0 to 32"},
      {"10.0.0.0/-1", "needs a length"},
      {"10.0.0.0/8/8", "needs a length"},
      {"10.0.0.0/255.0.0.0", "needs a length"},
      {"fd00::/129", "needs a length of 0 to 128"},
      {"10.0.0.1/8", "has address bits past its length of 8"},
      {"fd00::1/64", "has address bits past its length of 64"},
  };
  for (const auto& [text, why] : table) {
    const auto parsed = parse_prefix(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, EINVAL);
    EXPECT_THAT(parsed.error().context, HasSubstr(why)) << text;
  }
}

TEST(Prefix, ContainsByBits) {
  EXPECT_TRUE(contains(prefix("10.0.0.0/8"), prefix("10.255.255.255")));
  EXPECT_FALSE(contains(prefix("10.0.0.0/8"), prefix("11.0.0.0")));
  EXPECT_TRUE(contains(prefix("172.16.0.0/12"), prefix("172.31.0.0/16")));
  EXPECT_FALSE(contains(prefix("172.16.0.0/12"), prefix("172.32.0.0/16")));
  EXPECT_FALSE(contains(prefix("172.16.0.0/12"), prefix("172.0.0.0/8"))) << "it is wider";
  EXPECT_TRUE(contains(prefix("0.0.0.0/0"), prefix("1.2.3.4")));
  EXPECT_FALSE(contains(prefix("::/0"), prefix("1.2.3.4"))) << "another family";
  EXPECT_TRUE(contains(prefix("1.2.3.4"), prefix("1.2.3.4")));
  EXPECT_TRUE(overlap(prefix("10.1.0.0/16"), prefix("10.0.0.0/8")));
  EXPECT_FALSE(overlap(prefix("10.1.0.0/16"), prefix("10.2.0.0/16")));
}

TEST(Prefix, MergedOnesDoNotOverlap) {
  EXPECT_THAT(merged({prefix("10.1.0.0/16"), prefix("::/0"), prefix("10.0.0.0/8"),
                      prefix("10.1.2.3"), prefix("11.0.0.1"), prefix("11.0.0.1")}),
              ElementsAre(prefix("10.0.0.0/8"), prefix("11.0.0.1"), prefix("::/0")));
}

TEST(Prefix, ListsAreWholeAndDoNotOverlap) {
  const std::vector<std::pair<std::vector<Prefix>, std::size_t>> lists{
      {all_addresses(), 2}, {never_reached(), 8}, {private_addresses(), 6}, {not_internet(), 25}};
  for (const auto& [list, count] : lists) {
    EXPECT_THAT(list, SizeIs(count));
    EXPECT_THAT(merged(list), SizeIs(count));
  }
  for (const Prefix& one : private_addresses())
    EXPECT_EQ(covering(never_reached(), one), nullptr) << to_string(one);
  // An IPv4 address behind a translator is where it would be without one.
  for (const char* inside : {"64:ff9b::10.0.0.1", "64:ff9b::172.31.0.1", "64:ff9b::192.168.9.9",
                             "64:ff9b::169.254.169.254", "64:ff9b::127.0.0.1",
                             "64:ff9b::100.100.0.1", "64:ff9b::239.1.1.1", "64:ff9b::198.19.0.1"})
    EXPECT_NE(covering(not_internet(), prefix(inside)), nullptr) << inside;
  EXPECT_EQ(covering(not_internet(), prefix("64:ff9b::9.9.9.9")), nullptr);
}

TEST(Amount, RatesAndSizesAreReadAndPrintedTheSame) {
  EXPECT_EQ(parse_rate("20 Mbit").value_or(0), 20'000'000U);
  EXPECT_EQ(parse_rate("9600bit").value_or(0), 9600U);
  EXPECT_EQ(parse_bytes("256 KiB").value_or(0), 262'144U);
  for (const char* text : {"0 bit", "1 bit", "1500 bit", "64 kbit", "20 Mbit", "10 Gbit"})
    EXPECT_EQ(format_rate(parse_rate(text).value_or(7)), text);
  EXPECT_EQ(format_rate(1'000'000), "1 Mbit");
  EXPECT_EQ(format_bytes(1536), "1536 B");
  for (const char* text :
       {"", "20", "Mbit", "20 mbit", "20 MBit", "1.5 Mbit", "-1 Mbit", "20 Mbit/s", "20 Mbit ",
        "99999999999999999999 bit", "99999999999999 Gbit", " 20 Mbit", "20 MiB"}) {
    const auto rate = parse_rate(text);
    ASSERT_FALSE(rate) << text;
    EXPECT_THAT(rate.error().context, HasSubstr("bit, kbit, Mbit, Gbit"));
  }
}

TEST(Traffic, IsReadAndPrintedTheSame) {
  for (const char* text :
       {"443/tcp", "8000-8080/tcp", "53/udp", "tcp", "udp", "ping", "any", "0/tcp"}) {
    const auto traffic = parse_traffic(text);
    ASSERT_TRUE(traffic) << text;
    EXPECT_EQ(to_string(*traffic), text);
  }
  EXPECT_EQ(to_string(parse_traffic("0-65535/udp").value_or(Traffic())), "udp");
}

TEST(Traffic, RefusesWhatIsNone) {
  const std::vector<std::pair<const char*, const char*>> table{
      {"", "must be like"},
      {"443", "lacks a protocol: write \"443/tcp\" or \"443/udp\""},
      {"https", "must be like"},
      {"443/sctp", "must be like"},
      {"443/TCP", "must be like"},
      {"8/ping", "only tcp and udp have ports"},
      {"1/any", "only tcp and udp have ports"},
      {"/tcp", "needs ports"},
      {"65536/tcp", "needs ports of 0 to 65535"},
      {"-5/tcp", "needs ports"},
      {"5-/tcp", "needs ports"},
      {"5-6-7/tcp", "needs ports"},
      {"80/81/tcp", "must be like"},
      {"9-8/tcp", "has its last port before its first"},
      {"80, 443/tcp", "needs ports"},
  };
  for (const auto& [text, why] : table) {
    const auto traffic = parse_traffic(text);
    ASSERT_FALSE(traffic) << text;
    EXPECT_THAT(traffic.error().context, HasSubstr(why)) << text;
  }
}

}  // namespace
}  // namespace panal::netconfine
