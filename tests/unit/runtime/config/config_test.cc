#include "runtime/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "runtime/config/endpoint.h"
#include "runtime/config/schema.h"

namespace panal::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string sample() {
  std::ifstream file(PANAL_SOURCE_DIR "/scripts/panal.toml");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Config, EmptyFileIsAllDefaults) {
  const auto config = parse("", "p.toml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->state_dir, "/var/lib/panal");
  EXPECT_EQ(config->images_dir, "/var/lib/panal/images");
  EXPECT_EQ(config->homes_dir, "/var/lib/panal/homes");
  EXPECT_EQ(config->desktops_dir, "/var/lib/panal/desktops");
  EXPECT_EQ(config->desktop_state_dir(7), "/var/lib/panal/desktops/d7");
  EXPECT_EQ(config->recipes_dir, default_recipes_dir());
  EXPECT_EQ(config->port, 8443);
  EXPECT_FALSE(config->node_name.empty());
}

TEST(Config, TheWayOutIsKept) {
  const auto config = parse(
      "[network]\nuplink = \"macvlan\"\nuplink_device = \"eth1\"\nuplink_direct = "
      "[\"10.0.0.53\", \"fd00::/64\"]\n",
      "p.toml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->uplink, "macvlan");
  EXPECT_THAT(config->uplink_direct, ::testing::ElementsAre("10.0.0.53", "fd00::/64"));
  const auto again = parse(print(*config), "printed.toml");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(print(*again), print(*config));
}

TEST(Config, TheLineIsKept) {
  EXPECT_EQ(parse("", "p.toml")->line_send, "");
  EXPECT_TRUE(parse("[network]\nline_send = \"\"\n", "p.toml")) << "no bound";
  const auto config =
      parse("[network]\nline_send = \"100 Mbit\"\nline_receive = \"1Gbit\"\n", "p.toml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->line_send, "100 Mbit");
  EXPECT_EQ(config->line_receive, "1Gbit");
  const auto again = parse(print(*config), "printed.toml");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(print(*again), print(*config));
}

TEST(Config, PoliciesLieBesideTheFileUnlessItSaysWhere) {
  EXPECT_EQ(parse("", "/etc/panal/panal.toml")->policies_file, "/etc/panal/network.toml");
  EXPECT_EQ(parse("", "/x/trial.toml")->policies_file, "/x/network.toml");
  EXPECT_EQ(parse("[network]\npolicies = \"/y/n.toml\"\n", "/x/trial.toml")->policies_file,
            "/y/n.toml");
}

TEST(Config, DesktopsGoWhereSystemdHasHandedOverAGroup) {
  namespace fs = std::filesystem;
  std::string pattern = testing::TempDir() + "config-XXXXXX";
  const fs::path root = mkdtemp(pattern.data());
  const std::string unit = "panal.slice/panal-desktops.service";
  EXPECT_EQ(default_cgroup_parent(root), "panal");
  fs::create_directories(root / "unified" / unit);
  EXPECT_EQ(default_cgroup_parent(root), unit + "/panal");
  fs::remove_all(root / "unified");
  fs::create_directories(root / unit);
  EXPECT_EQ(default_cgroup_parent(root), unit + "/panal");
  const auto config =
      parse("[cgroup]\nparent = \"" + default_cgroup_parent(root) + "\"\n", "p.toml");
  EXPECT_TRUE(config) << config.error().message();
  fs::remove_all(root);
}

TEST(Config, ReadsEveryKind) {
  const auto config = parse(R"([node]
name = "n1"
[paths]
state = "/s"
run = "/r"
[cgroup]
parent = "lab-7/panal"
memory_reserve = "2 GiB"
memory_limit = 1048576
[ids]
first = 1000000
count = 655360
[network]
subnet4 = "10.1.0.0/16"
[desktop]
prewarm = false
pids = 64
[broker]
address = "::1"
port = 1
workers = 2
[database]
url = "postgresql://x"
)",
                            "p.toml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->node_name, "n1");
  EXPECT_EQ(config->images_dir, "/s/images");
  EXPECT_EQ(config->cgroup_parent, "lab-7/panal");
  EXPECT_EQ(config->memory_reserve_bytes, std::uint64_t{2} << 30U);
  EXPECT_EQ(config->memory_limit_bytes, 1048576U);
  EXPECT_EQ(config->ids, (IdRange{1000000, 655360}));
  EXPECT_FALSE(config->prewarm);
  EXPECT_EQ(config->desktop_pids, 64U);
  EXPECT_EQ(config->listen_address, "::1");
  EXPECT_EQ(config->database_conninfo("panal_admin"), "postgresql://x");
}

TEST(Config, SampleIsReadAsItIsAndWithEveryKeyUncommented) {
  const std::string text = sample();
  ASSERT_FALSE(text.empty());
  ASSERT_TRUE(parse(text, "sample"));
  const std::string live = std::regex_replace(text, std::regex("\n# ([a-z_0-9]+ = )"), "\n$1");
  const auto config = parse(live, "sample");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->tls_key, "/etc/panal/key.pem");
  // Every key print() knows is in the sample, so that none stays undocumented.
  std::istringstream lines(print(*config));
  for (std::string line; std::getline(lines, line);) {
    if (const auto equals = line.find(" = "); equals != std::string::npos) {
      EXPECT_THAT(text, HasSubstr("\n# " + line.substr(0, equals) + " = ")) << line;
    }
  }
}

TEST(Config, SampleDefaultsAreTheDefaults) {
  auto from_sample = parse(
      std::regex_replace(
          sample(),
          std::regex(
              "\n# ((?!name|recipes|profiles|policies|certificate|key|listen|url)[a-z_0-9]+ = )"),
          "\n$1"),
      "sample");
  ASSERT_TRUE(from_sample) << from_sample.error().message();
  EXPECT_EQ(print(*from_sample), print(*parse("", "none")));
}

TEST(Config, PrintedTextReadsBackTheSame) {
  Config config = *parse("", "none");
  config.database_url = "host='x' password=\"\\\x01 y\"";
  config.desktop_memory_bytes = 1500;
  config.desktop_memory_bytes += std::uint64_t{1} << 30U;
  config.compose_images = {{"icewm", "bind"}, {"xfce", "tmpfs"}};
  config.compose_layers = {{"xfce", {"office/1", "/srv/\"site\""}}, {"icewm", {}}};
  const auto again = parse(print(config), "printed");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(print(*again), print(config));
  EXPECT_EQ(again->database_url, config.database_url);
  EXPECT_EQ(again->compose_images, config.compose_images);
  EXPECT_EQ(again->compose_layers, config.compose_layers);
}

struct Malformed {
  const char* text;
  const char* message;
};

class MalformedConfig : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedConfig, SaysWhereAndWhat) {
  const auto config = parse(GetParam().text, "p.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, EPROTO);
  EXPECT_THAT(config.error().context, HasSubstr(GetParam().message));
  EXPECT_THAT(config.error().context, StartsWith("p.toml:"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedConfig,
    testing::Values(
        Malformed{"[broker\n", "p.toml:1: "}, Malformed{"\n\nx = [1,\n", "p.toml:"},
        Malformed{"[broker]\nport = 1\nprot = 2\n", "p.toml:3: unknown key prot in [broker]"},
        Malformed{"[brokr]\nport = 1\n", "p.toml:1: unknown section [brokr]"},
        Malformed{"port = 1\n", "p.toml:1: unknown key port outside any section"},
        Malformed{"broker = 1\n", "p.toml:1: broker must be a section"},
        Malformed{"[[broker]]\nport = 1\n", "broker must be a section"},
        Malformed{"[broker]\nport = 1\nport = 2\n", "p.toml:3: "},
        Malformed{"[broker]\nport = \"8443\"\n", "port in [broker] must be a whole number"},
        Malformed{"[broker]\nport = 1.5\n", "must be a whole number"},
        Malformed{"[broker]\nport = 0\n", "p.toml:2: port = 0 is out of range; 1 to 65535"},
        Malformed{"[broker]\nport = 65536\n", "out of range"},
        Malformed{"[broker]\nport = -1\n", "out of range"},
        Malformed{"[broker]\nport = 99999999999999999999\n", "p.toml:2: "},
        Malformed{"[broker]\naddress = \"here\"\n", "p.toml:2: address must be a numeric"},
        Malformed{"[broker]\nkey = \"/k\"\n",
                  "p.toml:2: certificate and key must be given together"},
        Malformed{"[broker]\narchive = \"/a\"\n",
                  "p.toml:2: archive and archive_token must be given together"},
        Malformed{"[broker]\narchive = \"a\"\narchive_token = \"/t\"\n",
                  "must be an absolute path"},
        Malformed{"[broker]\ncertificate = \"c\"\nkey = \"/k\"\n", "must be an absolute path"},
        Malformed{"[broker]\nuser = \"-x\"\n", "name of a system account"},
        Malformed{"[metrics]\nlisten = 9464\n", "listen in [metrics] must be text in quotes"},
        Malformed{"[metrics]\nport = 9464\n", "p.toml:2: unknown key port in [metrics]"},
        Malformed{"[metrics]\npublic = \"yes\"\n", "public in [metrics] must be true or false"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1\"\n", "p.toml:2: listen = \"127.0.0.1\" has no"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1:\"\n", "needs a port of 1 to 65535"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1:0\"\n", "needs a port of 1 to 65535"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1:65536\"\n", "needs a port of 1 to 65535"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1:80x\"\n", "needs a port of 1 to 65535"},
        Malformed{"[metrics]\nlisten = \"localhost:9464\"\n", "must be a numeric address"},
        Malformed{"[metrics]\nlisten = \"::1:9464\"\n", "IPv6 in brackets"},
        Malformed{"[metrics]\nlisten = \":9464\"\n", "must be a numeric address"},
        Malformed{"[metrics]\nlisten = \"0.0.0.0:9464\"\n",
                  "p.toml:2: listen = \"0.0.0.0:9464\" can be reached from other machines"},
        Malformed{"[metrics]\npublic = false\nlisten = \"[::]:9464\"\n", "say public = true"},
        Malformed{"[metrics]\nlisten = \"127.0.0.1:8443\"\n", "the port of [broker]"},
        Malformed{"[desktop]\nprewarm = 1\n", "prewarm in [desktop] must be true or false"},
        Malformed{"[desktop]\nmemory = \"2 GB\"\n", "unknown unit"},
        Malformed{"[desktop]\nmemory = \"GiB\"\n", "is no size"},
        Malformed{"[desktop]\nmemory = \"99999999999 TiB\"\n", "too large"},
        Malformed{"[desktop]\nmemory = -5\n", "must be a size"},
        Malformed{"[desktop]\nmemory = 1000\n", "at least 32 MiB"},
        Malformed{"[desktop]\nparallel_starts = 0\n", "1 to 64 are allowed"},
        Malformed{"[compose]\nbackend = 3\n", "backend in [compose] must be text in quotes"},
        Malformed{"[compose]\nbackend = \"a/b\"\n", "p.toml:2: backend must be auto"},
        Malformed{"[compose]\nimages = \"xfce\"\n", "images in [compose] must be a table"},
        Malformed{"[compose]\nimages = { xfce = 3 }\n", "must be pairs of an image and text"},
        Malformed{"[compose.images]\n\"x/y\" = \"copy\"\n", "is no image and backend"},
        Malformed{"[compose]\nlayers = { xfce = \"/a\" }\n",
                  "must be pairs of an image and a list"},
        Malformed{"[compose]\nlayers = { xfce = [1] }\n", "must be lists of text"},
        Malformed{"[compose]\nlayers = { xfce = [\"office\"] }\n",
                  "must be an absolute path or IMAGE/VERSION"},
        Malformed{"[compose]\nlayers = { xfce = [\"../office\"] }\n", "must be an absolute path"},
        Malformed{"[compose]\nlayers = { xfce = [\"/1\", \"/2\", \"/3\", \"/4\", \"/5\", "
                  "\"/6\", \"/7\", \"/8\", \"/9\"] }\n",
                  "8 are possible"},
        Malformed{"[compose]\ntmpfs_size = 4096\n", "at least 1 MiB"},
        Malformed{"[compose]\ntmpfs_inodes = 1\n", "out of range"},
        Malformed{"[compose]\nbtrfs = \"pool\"\n", "must be an absolute path"},
        Malformed{"[compose]\nbtrfs_loop_size = \"10 MiB\"\n", "at least 256 MiB"},
        Malformed{"[compose]\nlvm_pool = \"vg\"\n", "lvm_pool must be"},
        Malformed{"[compose]\nlvm_pool = \"vg/-x\"\n", "lvm_pool must be"},
        Malformed{"[paths]\nstate = \"var\"\n", "must be an absolute path"},
        Malformed{"[paths]\nstate = \"\"\n", "state must not be empty"},
        Malformed{"[paths]\nstate = 7\n", "must be text in quotes"},
        Malformed{
            "[paths]\nrun = \"/0123456789012345678901234567890123456789012345678901234567890\"\n",
            "longer than 60 bytes"},
        Malformed{"[cgroup]\nparent = \"../x\"\n", "parent must be a path"},
        Malformed{"[cgroup]\nparent = \"/panal\"\n", "parent must be a path"},
        Malformed{"[cgroup]\nparent = \"\"\n", "parent must be a path"},
        Malformed{"[cgroup]\nparent = \"a//b\"\n", "parent must be a path"},
        Malformed{"[node]\nname = \"a b\"\n", "the node's name"},
        Malformed{"[ids]\nfirst = 100000\ncount = 10\n", "count must be 0"},
        Malformed{"[ids]\nfirst = 0\ncount = 65536\n", "first must be at least 65536"},
        Malformed{"[ids]\nfirst = 4294901760\ncount = 131072\n", "past the last id"},
        Malformed{"[network]\nsubnet4 = \"10.77.0.0\"\n", "no prefix length"},
        Malformed{"[network]\nsubnet4 = \"10.77.0/16\"\n", "is no IPv4 address"},
        Malformed{"[network]\nsubnet4 = \"10.77.0.0/33\"\n", "prefix length of 8 to 30"},
        Malformed{"[network]\nsubnet4 = \"10.77.0.0/16x\"\n", "prefix length"},
        Malformed{"[network]\nsubnet4 = \"10.77.1.0/16\"\n", "bits behind its prefix"},
        Malformed{"[network]\nsubnet6 = \"fd77::1/64\"\n", "bits behind its prefix"},
        Malformed{"[network]\nsubnet6 = \"10.0.0.0/8\"\n", "is no IPv6 address"},
        Malformed{"[uppers]\nquota = \"qgroups\"\n",
                  "p.toml:2: quota = \"qgroups\" is none of \"auto\", \"project\""},
        Malformed{"[uppers]\nvolatile = \"ram\"\n", "is none of \"disk\", \"memory\""},
        Malformed{"[uppers]\nvolatile = \"memory\"\n", "needs a limit in [uppers]"},
        Malformed{"[uppers]\nlimit = \"1 MiB\"\n", "limit must be 0 (none) or at least 16 MiB"},
        Malformed{"[uppers]\ninodes = 5\n", "at least 64"},
        Malformed{"[uppers]\npool = \"1 MiB\"\n", "at least 256 MiB"},
        Malformed{"[homes]\nremote = true\n", "remote in [homes] must be text in quotes"},
        Malformed{"[homes]\nremote = \"maybe\"\n", "is none of \"auto\", \"yes\", \"no\""},
        Malformed{"[homes]\nlimit = \"15 MiB\"\n", "p.toml:2: limit must be 0"},
        Malformed{"[homes]\nlease_seconds = 60\n", "0 (never) or at least 120"},
        Malformed{"[homes]\nanswer_seconds = 0\n", "1 to 120 are allowed"},
        Malformed{"[disk]\nreserve = 1000\n", "at least 1 MiB"},
        Malformed{"[network]\noutside = \"nat\"\n", "unknown key outside in [network]"},
        Malformed{"[network]\nuplink = \"nat\"\n",
                  "p.toml:2: uplink must be one of \"none\", \"nic\", \"macvlan\", \"veth\""},
        Malformed{"[network]\nuplink = true\n", "uplink must be one of"},
        Malformed{"[network]\nbackend = \"pf\"\n",
                  "backend must be one of \"auto\", \"nftables\", \"iptables\""},
        Malformed{"[network]\nuplink_direct = \"10.0.0.0/8\"\n",
                  "uplink_direct in [network] must be a list of texts in quotes"},
        Malformed{"[network]\nuplink_direct = [1]\n", "must be a list of texts in quotes"},
        Malformed{"[network]\nline_send = \"fast\"\n",
                  "p.toml:2: line_send = \"fast\" must be a whole number and one of bit, kbit"},
        Malformed{"[network]\nline_send = 100\n", "line_send in [network] must be text in quotes"},
        Malformed{"[network]\nline_send = \"100\"\n", "must be a whole number and one of bit"},
        Malformed{"[network]\nline_receive = \"1 GB\"\n", "must be a whole number and one of bit"},
        Malformed{"[network]\nline_receive = \"-1 Mbit\"\n", "must be a whole number"},
        Malformed{"[network]\nline_receive = \"0 bit\"\n",
                  "line_receive = \"0 bit\" is out of range"},
        Malformed{"[network]\nline_receive = \"1001 Gbit\"\n", "at most 1000 Gbit are allowed"},
        Malformed{"[network]\nline_sent = \"1 Gbit\"\n", "unknown key line_sent in [network]"},
        Malformed{"[network]\nline = { send = \"1 Gbit\" }\n", "unknown key line in [network]"}));

TEST(Config, MetricsAreServedToThisMachineUnlessItSaysPublic) {
  EXPECT_EQ(parse("", "p.toml")->metrics_listen, "");
  for (const char* text :
       {"listen = \"127.0.0.1:9464\"", "listen = \"[::1]:9464\"", "listen = \"\"",
        "listen = \"10.0.0.7:9464\"\npublic = true", "listen = \"[::]:9464\"\npublic = true"}) {
    const auto config = parse(std::string("[metrics]\n") + text + "\n", "p.toml");
    EXPECT_TRUE(config) << text << ": " << config.error().message();
  }
  EXPECT_EQ(*parse_endpoint("127.8.0.1:1"), (Endpoint{"127.8.0.1", 1, true}));
  EXPECT_EQ(*parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535, true}));
  EXPECT_EQ(*parse_endpoint("[fe80::1]:2"), (Endpoint{"fe80::1", 2, false}));
}

TEST(Config, LayersMayBeElsewhereThanTheState) {
  const auto config = parse(
      "[paths]\nstate = \"/s\"\ndesktops = \"/fast\"\n[homes]\nlimit = \"5 GiB\"\n"
      "remote = \"yes\"\n",
      "p.toml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->desktop_state_dir(7), "/fast/d7");
  EXPECT_EQ(config->pool_file(), "/fast.img");
  EXPECT_EQ(config->reserve_file(), "/s/.reserve");
  EXPECT_EQ(config->homes_limit_bytes, std::uint64_t{5} << 30U);
}

TEST(Config, FirstProblemInTheFileIsTold) {
  const auto config = parse("[broker]\nbad = 1\nport = 0\n", "p.toml");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().context, HasSubstr("p.toml:2: unknown key bad"));
}

TEST(Config, ControlCharactersOfTheFileDoNotReachTheMessage) {
  const auto config = parse("[broker]\n\"a\\u001b[2J\" = 1\n", "p.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().context.find('\x1b'), std::string::npos);
}

class LoadConfig : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "config-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    unsetenv("PANAL_CONFIG");
    std::filesystem::remove_all(directory_);
  }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  std::string directory_;
};

TEST_F(LoadConfig, ArgumentGoesBeforeEnvironment) {
  const auto one = write("one", "[broker]\nport = 11\n");
  const auto two = write("two", "[broker]\nport = 12\n");
  setenv("PANAL_CONFIG", two.c_str(), 1);
  EXPECT_EQ(load(one)->port, 11);
  EXPECT_EQ(load()->port, 12);
}

TEST_F(LoadConfig, AChosenFileMustExist) {
  const auto config = load(directory_ + "/none");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ENOENT);
  setenv("PANAL_CONFIG", (directory_ + "/none").c_str(), 1);
  EXPECT_FALSE(load());
}

TEST_F(LoadConfig, DirectoryAndHugeFileAreErrors) {
  EXPECT_EQ(load(directory_).error().code, EISDIR);
  EXPECT_EQ(load(write("big", std::string(2 << 20, '#'))).error().code, EFBIG);
}

TEST(Size, Table) {
  EXPECT_EQ(*parse_size("0"), 0U);
  EXPECT_EQ(*parse_size("1KiB"), 1024U);
  EXPECT_EQ(*parse_size("3 MiB"), 3U << 20U);
  EXPECT_EQ(*parse_size("7 B"), 7U);
  for (const char* bad :
       {"", " 1", "-1", "1 kib", "1 GiB ", "0x10", "1.5 GiB", "18446744073709551616"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(std::uint64_t{2} << 30U), "2 GiB");
  EXPECT_EQ(format_size(1536), "1536");
}

}  // namespace
}  // namespace panal::config
