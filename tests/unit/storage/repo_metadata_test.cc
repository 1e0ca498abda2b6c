#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <random>

#include "storage/repo/dirtree.h"
#include "storage/repo/glib.h"
#include "storage/repo/inner.h"
#include "storage/repo/metadata.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;

GVariant* bytes_variant(const std::string& bytes) {
  return ::g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
}

const std::string kSum(32, '\x5a');

struct Entry {
  std::string name;
  std::string first = kSum;
  std::string second = kSum;
};

std::string dirtree(const std::vector<Entry>& files, const std::vector<Entry>& directories) {
  GVariantBuilder file_list;
  GVariantBuilder directory_list;
  ::g_variant_builder_init(&file_list, G_VARIANT_TYPE("a(say)"));
  ::g_variant_builder_init(&directory_list, G_VARIANT_TYPE("a(sayay)"));
  for (const auto& file : files)
    ::g_variant_builder_add(&file_list, "(s@ay)", file.name.c_str(), bytes_variant(file.first));
  for (const auto& directory : directories)
    ::g_variant_builder_add(&directory_list, "(s@ay@ay)", directory.name.c_str(),
                            bytes_variant(directory.first), bytes_variant(directory.second));
  const glib::Variant tree(
      ::g_variant_ref_sink(::g_variant_new("(a(say)a(sayay))", &file_list, &directory_list)));
  return glib::bytes_of(tree.get());
}

std::string dirmeta(std::uint32_t uid, std::uint32_t gid, std::uint32_t mode, bool attribute) {
  GVariantBuilder attributes;
  ::g_variant_builder_init(&attributes, G_VARIANT_TYPE("a(ayay)"));
  if (attribute)
    ::g_variant_builder_add(&attributes, "(@ay@ay)", bytes_variant("user.x"), bytes_variant("y"));
  const glib::Variant meta(::g_variant_ref_sink(::g_variant_new(
      "(uuua(ayay))", GUINT32_TO_BE(uid), GUINT32_TO_BE(gid), GUINT32_TO_BE(mode), &attributes)));
  return glib::bytes_of(meta.get());
}

std::string commit(const char* key, GVariant* manifest, const std::string& tree,
                   const std::string& meta) {
  GVariantBuilder metadata;
  ::g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
  ::g_variant_builder_add(&metadata, "{sv}", key, manifest);
  GVariantBuilder related;
  ::g_variant_builder_init(&related, G_VARIANT_TYPE("a(say)"));
  const glib::Variant made(::g_variant_ref_sink(
      ::g_variant_new("(a{sv}@aya(say)sst@ay@ay)", &metadata, bytes_variant(""), &related,
                      "subject", "body", guint64{0}, bytes_variant(tree), bytes_variant(meta))));
  return glib::bytes_of(made.get());
}

std::string manifest_text(const std::string& image, const std::string& version) {
  VersionManifest manifest;
  manifest.image = image;
  manifest.version = version;
  return print_manifest(manifest);
}

TEST(Metadata, ReadsADirectory) {
  const auto tree = parse_dirtree(dirtree({{"a"}, {"b"}}, {{"A"}, {"c", kSum, std::string(32, 1)}}),
                                  "directory x");
  ASSERT_TRUE(tree) << tree.error().message();
  ASSERT_EQ(tree->files.size(), 2U);
  EXPECT_EQ(tree->files[1].name, "b");
  EXPECT_EQ(tree->files[0].checksum.substr(0, 4), "5a5a");
  ASSERT_EQ(tree->directories.size(), 2U);
  EXPECT_EQ(tree->directories[1].meta.substr(0, 4), "0101");
  const auto empty = parse_dirtree(dirtree({}, {}), "directory x");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->files.empty());
}

TEST(Metadata, RefusesMalformedDirectories) {
  const std::string good = dirtree({{"a"}}, {{"b"}});
  const std::pair<const char*, std::string> table[] = {
      {"nothing", ""},
      {"cut short", good.substr(0, good.size() - 1)},
      {"cut in half", good.substr(0, good.size() / 2)},
      {"too long", good + "x"},
      {"text", "not a directory at all, but a sentence"},
      {"zeroes", std::string(64, '\0')},
      {"ones", std::string(64, '\xff')},
      {"empty name", dirtree({{""}}, {})},
      {"dot", dirtree({{"."}}, {})},
      {"dots", dirtree({}, {{".."}})},
      {"slash", dirtree({{"a/b"}}, {})},
      {"absolute", dirtree({}, {{"/etc"}})},
      {"long name", dirtree({{std::string(256, 'n')}}, {})},
      {"short checksum", dirtree({{"a", "short"}}, {})},
      {"long checksum", dirtree({{"a", std::string(33, 'x')}}, {})},
      {"no checksum", dirtree({}, {{"a", "", kSum}})},
      {"no mode", dirtree({}, {{"a", kSum, ""}})},
      {"twice", dirtree({{"a"}, {"a"}}, {})},
      {"out of order", dirtree({{"b"}, {"a"}}, {})},
      {"directories out of order", dirtree({}, {{"b"}, {"a"}})},
      {"file and directory", dirtree({{"a"}, {"b"}}, {{"b"}})},
  };
  for (const auto& [what, bytes] : table) {
    const auto tree = parse_dirtree(bytes, "directory x");
    ASSERT_FALSE(tree) << what;
    EXPECT_EQ(tree.error().code, EPROTO) << what;
    EXPECT_THAT(tree.error().context, HasSubstr("directory x")) << what;
  }
  EXPECT_FALSE(parse_dirtree(std::string(kMostMetadataBytes + 1, '\0'), "x"));
}

/// The same bytes as GLib reads them: whether they are what it would write for some directory.
bool is_normal_dirtree(const std::string& bytes) {
  if (bytes.empty()) return false;
  GBytes* copy = ::g_bytes_new(bytes.data(), bytes.size());
  const glib::Variant variant(::g_variant_ref_sink(
      ::g_variant_new_from_bytes(G_VARIANT_TYPE("(a(say)a(sayay))"), copy, FALSE)));
  ::g_bytes_unref(copy);
  return ::g_variant_is_normal_form(variant.get()) != FALSE;
}

std::string binary(const std::string& checksum) {
  Sha256 sum{};
  EXPECT_TRUE(parse_sha256(checksum, sum));
  return {sum.begin(), sum.end()};
}

std::string written_again(const DirTree& tree) {
  std::vector<Entry> files;
  std::vector<Entry> directories;
  for (const auto& file : tree.files) files.push_back({file.name, binary(file.checksum)});
  for (const auto& directory : tree.directories)
    directories.push_back({directory.name, binary(directory.tree), binary(directory.meta)});
  return dirtree(files, directories);
}

/// Lists of which one byte more or less makes the ends of their elements wider.
TEST(Metadata, ReadsDirectoriesOfEveryLength) {
  for (const std::size_t entries : {0U, 1U, 2U, 5U, 6U, 7U, 100U, 1500U, 1800U}) {
    for (std::size_t name_bytes = 8; name_bytes < 255; name_bytes += entries > 100 ? 61 : 1) {
      std::vector<Entry> all;
      for (std::size_t i = 0; i < entries; ++i) {
        std::string name = std::to_string(1'000'000 + i);
        name.resize(name_bytes, 'x');
        all.push_back({name});
      }
      for (const bool are_files : {true, false}) {
        const std::string bytes = are_files ? dirtree(all, {}) : dirtree({{"a"}}, all);
        const auto tree = parse_dirtree(bytes, "x");
        ASSERT_TRUE(tree) << entries << " names of " << name_bytes << ": "
                          << tree.error().message();
        ASSERT_EQ((are_files ? tree->files.size() : tree->directories.size()), entries);
        ASSERT_EQ(written_again(*tree), bytes);
      }
    }
  }
}

/// What is accepted has one form only, so a checksum stands for one directory.
TEST(Metadata, AcceptsOnlyWhatGlibWouldWrite) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same every time
  const auto below = [&random](std::size_t most) { return random() % most; };
  const std::vector<std::string> seeds = {
      dirtree({}, {}), dirtree({{"a"}}, {}), dirtree({{"a"}, {"b"}}, {{"c"}}),
      dirtree({{"name"}, {"with"}, {"zz"}}, {{"x"}, {"y"}}),
      dirtree({{std::string(180, 'n')}}, {{std::string(120, 'd')}})};
  std::size_t accepted = 0;
  for (int turn = 0; turn < 60'000; ++turn) {
    std::string bytes = seeds[below(seeds.size())];
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(bytes.size());
      // Ends of elements are at the end, and small.
      const std::size_t near_end = bytes.size() - 1 - below(std::min<std::size_t>(8, bytes.size()));
      switch (below(5)) {
        case 0: bytes[at] = static_cast<char>(below(256)); break;
        case 1: bytes[near_end] = static_cast<char>(below(256)); break;
        case 2: bytes.insert(at, 1, static_cast<char>(below(256))); break;
        case 3: bytes[near_end] = static_cast<char>(bytes[near_end] + 1); break;
        default:
          if (bytes.size() > 1) bytes.erase(at, 1);
      }
    }
    const auto tree = parse_dirtree(bytes, "x");
    if (!tree) continue;
    ++accepted;
    ASSERT_TRUE(is_normal_dirtree(bytes));
    ASSERT_EQ(written_again(*tree), bytes);
  }
  EXPECT_GT(accepted, 100U);
}

TEST(Metadata, ReadsADirectorysMode) {
  const auto meta = parse_dirmeta(dirmeta(1000, 100, S_IFDIR | 01777, false), "mode x");
  ASSERT_TRUE(meta) << meta.error().message();
  EXPECT_EQ(meta->uid, 1000U);
  EXPECT_EQ(meta->gid, 100U);
  EXPECT_EQ(meta->mode, 01777U);
}

TEST(Metadata, RefusesMalformedModes) {
  const struct {
    const char* what;
    std::string bytes;
    int code;
  } table[] = {
      {"nothing", "", EPROTO},
      {"cut short", dirmeta(0, 0, S_IFDIR | 0755, false).substr(0, 11), EPROTO},
      {"a file", dirmeta(0, 0, S_IFREG | 0755, false), EPROTO},
      {"no type", dirmeta(0, 0, 0755, false), EPROTO},
      {"strange bits", dirmeta(0, 0, S_IFDIR | 0755 | 0x100000, false), EPROTO},
      {"foreign user", dirmeta(65536, 0, S_IFDIR | 0755, false), ERANGE},
      {"nobody at all", dirmeta(0, 0xffffffff, S_IFDIR | 0755, false), ERANGE},
      {"attributes", dirmeta(0, 0, S_IFDIR | 0755, true), EPERM},
  };
  for (const auto& row : table) {
    const auto meta = parse_dirmeta(row.bytes, "mode x");
    ASSERT_FALSE(meta) << row.what;
    EXPECT_EQ(meta.error().code, row.code) << row.what;
  }
}

TEST(Metadata, ReadsACommit) {
  const auto read = parse_commit(
      commit(kManifestKey, ::g_variant_new_string(manifest_text("icewm", "1").c_str()), kSum, kSum),
      "commit x");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->manifest.image, "icewm");
  EXPECT_EQ(read->tree.size(), 64U);
}

TEST(Metadata, RefusesMalformedCommits) {
  const auto text = [](const std::string& manifest) {
    return ::g_variant_new_string(manifest.c_str());
  };
  const std::string good = manifest_text("icewm", "1");
  const std::pair<const char*, std::string> table[] = {
      {"nothing", ""},
      {"cut short", commit(kManifestKey, text(good), kSum, kSum).substr(0, 40)},
      {"somebody else's", commit("version", text(good), kSum, kSum)},
      {"manifest is no text", commit(kManifestKey, ::g_variant_new_uint32(1), kSum, kSum)},
      {"empty manifest", commit(kManifestKey, text(""), kSum, kSum)},
      {"no json", commit(kManifestKey, text("{"), kSum, kSum)},
      {"no image", commit(kManifestKey, text(manifest_text("", "1")), kSum, kSum)},
      {"image leaves", commit(kManifestKey, text(manifest_text("../etc", "1")), kSum, kSum)},
      {"hidden image", commit(kManifestKey, text(manifest_text(".repo", "1")), kSum, kSum)},
      {"version leaves", commit(kManifestKey, text(manifest_text("icewm", "..")), kSum, kSum)},
      {"no tree", commit(kManifestKey, text(good), "", kSum)},
      {"short mode", commit(kManifestKey, text(good), kSum, "short")},
  };
  for (const auto& [what, bytes] : table) {
    const auto read = parse_commit(bytes, "commit x");
    ASSERT_FALSE(read) << what;
    EXPECT_EQ(read.error().code, EPROTO) << what;
    EXPECT_THAT(read.error().context, HasSubstr("commit x")) << what;
  }
}

TEST(Metadata, EveryFlippedByteIsHarmless) {
  const std::string trees = dirtree({{"a"}, {"b"}}, {{"c"}});
  const std::string commits =
      commit(kManifestKey, ::g_variant_new_string(manifest_text("icewm", "1").c_str()), kSum, kSum);
  for (std::size_t i = 0; i < trees.size(); ++i) {
    std::string bad = trees;
    bad[i] = static_cast<char>(bad[i] ^ 0xff);
    const auto tree = parse_dirtree(bad, "x");
    if (!tree) continue;
    for (const auto& file : tree->files) EXPECT_EQ(file.name.find('/'), std::string::npos);
  }
  for (std::size_t i = 0; i < commits.size(); ++i) {
    std::string bad = commits;
    bad[i] = static_cast<char>(bad[i] ^ 0xff);
    const auto read = parse_commit(bad, "x");
    if (!read) continue;
    EXPECT_TRUE(is_plain_name(read->manifest.image));
  }
}

TEST(Names, AreWhatPathsAndRefsCanBear) {
  for (const char* name : {"icewm", "2026.11.26-1", "A_b.c-d", "0"})
    EXPECT_TRUE(is_plain_name(name)) << name;
  for (const char* name : {"", ".", "..", ".repo", "-", "_x", "a/b", "a b", "a\nb", "\xc3\xa9"})
    EXPECT_FALSE(is_plain_name(name)) << name;
  EXPECT_FALSE(is_plain_name(std::string("a\0b", 3)));
  EXPECT_TRUE(is_plain_name(std::string(128, 'a')));
  EXPECT_FALSE(is_plain_name(std::string(129, 'a')));
  EXPECT_TRUE(is_checksum(std::string(64, 'a')));
  for (const auto& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'),
                           std::string(64, 'A'), std::string(64, 'g')})
    EXPECT_FALSE(is_checksum(text)) << text;
}

TEST(Names, LieInAnArchiveWhereWebServersAreAsked) {
  const std::string sum = "ab" + std::string(62, 'c');
  EXPECT_EQ(archive_path({sum, ObjectType::kFile}),
            "objects/ab/" + std::string(62, 'c') + ".filez");
  EXPECT_EQ(archive_path({sum, ObjectType::kCommit}),
            "objects/ab/" + std::string(62, 'c') + ".commit");
  EXPECT_EQ(loose_path({sum, ObjectType::kFile}, false), "ab/" + std::string(62, 'c') + ".file");
}

}  // namespace
}  // namespace panal::storage
