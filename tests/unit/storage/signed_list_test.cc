#include "storage/transfer/signed_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file_tree.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/trust.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

SecretKey new_key() {
  auto key = SecretKey::generate();
  EXPECT_TRUE(key);
  return std::move(*key);
}

ListedVersion listed(const std::string& image, const std::string& version, char digit = 'a') {
  ListedVersion one;
  one.image = image;
  one.version = version;
  one.commit = std::string(64, digit);
  one.created_unix_s = 1'800'000'000;
  one.size_bytes = 412;
  return one;
}

ImageList some_list(std::uint64_t serial = 7) {
  ImageList list;
  list.serial = serial;
  list.created_unix_s = 1'800'000'000;
  EXPECT_TRUE(add_version(list, listed("xfce", "2026.11.26-1")));
  EXPECT_TRUE(add_version(list, listed("icewm", "2026.11.26-2", 'b')));
  EXPECT_TRUE(add_version(list, listed("icewm", "2026.11.26-1", 'c')));
  return list;
}

Trust trust_in(const SecretKey& key) {
  Trust trust;
  trust.key = key.public_key();
  return trust;
}

TEST(Keys, SignaturesAreCheckedAgainstTextAndKey) {
  const SecretKey key = new_key();
  const auto signature = key.sign("text");
  ASSERT_TRUE(signature);
  EXPECT_TRUE(is_signed_by(key.public_key(), "text", *signature));
  EXPECT_FALSE(is_signed_by(key.public_key(), "Text", *signature));
  EXPECT_FALSE(is_signed_by(new_key().public_key(), "text", *signature));
  EXPECT_FALSE(is_signed_by(PublicKey(), "text", *signature));
  Signature other = *signature;
  other[63] ^= 1U;
  EXPECT_FALSE(is_signed_by(key.public_key(), "text", other));
}

TEST(Keys, KnowsTheTestVectorOfTheStandard) {
  // RFC 8032, 7.1, test 2.
  const auto key = parse_secret_key(
      "panal-secret-key 1\n4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb\n",
      "k");
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(print_key(key->public_key()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const auto signature = key->sign("\x72");
  ASSERT_TRUE(signature);
  EXPECT_EQ((*signature)[0], 0x92);
  EXPECT_EQ((*signature)[63], 0x00);
}

class KeyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "keys.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    file_ = dir_ + "/key";
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }
  std::string dir_, file_;
};

TEST_F(KeyFile, ComesBackAndIsTheOwnersAlone) {
  const SecretKey key = new_key();
  ASSERT_TRUE(key.save(file_));
  struct stat info{};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  const auto again = SecretKey::load(file_);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->public_key(), key.public_key());
  EXPECT_EQ(key.save(file_).error().code, EEXIST) << "a key is never overwritten";
  EXPECT_THAT(
      std::vector<std::filesystem::directory_entry>(std::filesystem::directory_iterator(dir_), {}),
      SizeIs(1));
}

TEST_F(KeyFile, IsRefusedWhereOthersReadItOrItIsALink) {
  ASSERT_TRUE(new_key().save(file_));
  ASSERT_EQ(::symlink(file_.c_str(), (file_ + ".link").c_str()), 0);
  EXPECT_EQ(SecretKey::load(file_ + ".link").error().code, EACCES);
  ASSERT_EQ(::chmod(file_.c_str(), 0640), 0);
  const auto open = SecretKey::load(file_);
  EXPECT_EQ(open.error().code, EACCES);
  EXPECT_THAT(open.error().message(), HasSubstr("chmod 600"));
  EXPECT_EQ(SecretKey::load(dir_).error().code, EACCES);
  EXPECT_EQ(SecretKey::load(dir_ + "/none").error().code, ENOENT);
}

TEST(MalformedKey, Table) {
  const std::string good(64, '0');
  for (const std::string& text :
       {std::string(), std::string("panal-secret-key 1"), "panal-secret-key 2\n" + good + "\n",
        "panal-secret-key 1\n" + good, "panal-secret-key 1\n" + good + "\n\n",
        "panal-secret-key 1\n" + good.substr(1) + "\n", "panal-secret-key 1\n" + good + "0\n",
        "panal-secret-key 1\n" + std::string(64, 'G') + "\n",
        "panal-secret-key 1\n" + std::string(64, 'A') + "\n", std::string(5000, 'x')}) {
    const auto key = parse_secret_key(text, "the-file");
    ASSERT_FALSE(key) << text;
    EXPECT_THAT(key.error().message(), HasSubstr("the-file"));
  }
  for (const char* digits : {"", "0", "zz", "0x00"}) EXPECT_FALSE(parse_key(digits));
}

TEST(ImageListText, ComesBack) {
  const ImageList list = some_list();
  const auto again = parse_list(print_list(list), "list");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->serial, 7U);
  ASSERT_THAT(again->versions, SizeIs(3));
  EXPECT_EQ(again->versions[0].version, "2026.11.26-1");
  EXPECT_EQ(again->versions[0].commit, std::string(64, 'c'));
  EXPECT_EQ(again->versions[2].image, "xfce");
  EXPECT_EQ(again->versions[2].size_bytes, 412U);
  EXPECT_EQ(print_list(*again), print_list(list));
}

TEST(ImageListText, VersionsNeverChange) {
  ImageList list = some_list();
  EXPECT_TRUE(add_version(list, listed("xfce", "2026.11.26-1"))) << "the same again";
  EXPECT_THAT(list.versions, SizeIs(3));
  EXPECT_EQ(add_version(list, listed("xfce", "2026.11.26-1", 'f')).error().code, EEXIST);
  EXPECT_EQ(add_version(list, listed("../etc", "1")).error().code, EINVAL);
  EXPECT_EQ(add_version(list, listed("xfce", "1", 'G')).error().code, EINVAL);
}

TEST(ImageListText, SaysWhatThereIs) {
  const ImageList list = some_list();
  EXPECT_TRUE(find_version(list, "icewm", "2026.11.26-2"));
  EXPECT_THAT(find_version(list, "icewm", "7").error().message(),
              HasSubstr("it has 2026.11.26-1, 2026.11.26-2"));
  EXPECT_THAT(find_version(list, "kde", "7").error().message(), HasSubstr("no image kde"));
}

TEST(MalformedList, Table) {
  const std::string good = print_list(some_list());
  const auto with = [&good](const std::string& from, const std::string& to) {
    const auto at = good.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    std::string text = good;
    return text.replace(at, from.size(), to);
  };
  for (const std::string& text : {std::string(),
                                  std::string("{"),
                                  std::string("[]"),
                                  std::string("null"),
                                  good.substr(0, good.size() / 2),
                                  with("\"format\": 1", "\"format\": 2"),
                                  with("\"format\": 1", "\"format\": \"1\""),
                                  with("\"serial\": 7", "\"serial\": 0"),
                                  with("\"serial\": 7", "\"serial\": -1"),
                                  with("\"serial\": 7", "\"serial\": 7.5"),
                                  with("\"serial\": 7", "\"serial\": 18446744073709551615"),
                                  with("\"serial\": 7", "\"other\": 7"),
                                  with("\"versions\": [", "\"versions\": {}, \"x\": ["),
                                  with("\"versions\": [", "\"versions\": [1, "),
                                  with("\"xfce\"", "\"../xfce\""),
                                  with("\"xfce\"", "\"icewm\""),
                                  with("\"xfce\"", "\"\""),
                                  with("\"xfce\"", "7"),
                                  with(std::string(64, 'a'), std::string(63, 'a')),
                                  with(std::string(64, 'a'), std::string(64, 'A')),
                                  with("\"size_bytes\": 412", "\"size_bytes\": -412"),
                                  with("\"expires_unix_s\": 0", "\"expires_unix_s\": 1e30")}) {
    const auto list = parse_list(text, "the-list");
    EXPECT_FALSE(list) << text;
    if (list) continue;
    EXPECT_THAT(list.error().message(), HasSubstr("the-list"));
  }
}

TEST(SignedList, IsAcceptedFromWhoIsTrusted) {
  const SecretKey key = new_key();
  const auto text = seal(print_list(some_list()), {}, key);
  ASSERT_TRUE(text);
  const auto accepted = accept_list(*text, "http://archive", trust_in(key), 0);
  ASSERT_TRUE(accepted) << accepted.error().message();
  EXPECT_THAT(accepted->list.versions, SizeIs(3));
  EXPECT_EQ(accepted->trust.serial, 7U);
  EXPECT_EQ(accepted->trust.key, key.public_key());
}

TEST(SignedList, ChangedInAnyByteIsRefused) {
  const SecretKey key = new_key();
  const auto text = seal(print_list(some_list()), {}, key);
  ASSERT_TRUE(text);
  for (std::size_t at = 0; at < text->size(); ++at) {
    std::string other = *text;
    other[at] = static_cast<char>(other[at] ^ 1);
    EXPECT_FALSE(accept_list(other, "list", trust_in(key), 0)) << "byte " << at;
    if (at % 7 != 0) continue;
    EXPECT_FALSE(accept_list(text->substr(0, at), "list", trust_in(key), 0)) << "cut at " << at;
  }
  EXPECT_FALSE(accept_list(*text + " ", "list", trust_in(key), 0));
}

TEST(SignedList, OfAStrangerIsRefusedWithBothKeys) {
  const SecretKey key = new_key();
  const SecretKey stranger = new_key();
  const auto text = seal(print_list(some_list()), {}, stranger);
  const auto refused = accept_list(*text, "list", trust_in(key), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EKEYREJECTED);
  EXPECT_THAT(refused.error().message(), HasSubstr(print_key(stranger.public_key())));
}

TEST(SignedList, NodesFollowAChangedKey) {
  const SecretKey first = new_key();
  const SecretKey second = new_key();
  const SecretKey third = new_key();
  const std::vector<Rotation> chain = {*sign_rotation(first, second.public_key()),
                                       *sign_rotation(second, third.public_key())};
  const auto text = seal(print_list(some_list()), chain, third);
  ASSERT_TRUE(text);
  for (const SecretKey* trusted : {&first, &second, &third}) {
    const auto accepted = accept_list(*text, "list", trust_in(*trusted), 0);
    ASSERT_TRUE(accepted) << accepted.error().message();
    EXPECT_EQ(accepted->trust.key, third.public_key());
  }
  // Who follows trusts the old key no more.
  const auto old = seal(print_list(some_list(9)), {}, first);
  EXPECT_EQ(accept_list(*old, "list", trust_in(third), 0).error().code, EKEYREJECTED);
}

TEST(SignedList, AChangeOfKeyNeedsTheOldOnesWord) {
  const SecretKey key = new_key();
  const SecretKey thief = new_key();
  Rotation forged = *sign_rotation(thief, thief.public_key());
  forged.from = key.public_key();
  const auto text = seal(print_list(some_list()), {forged}, thief);
  ASSERT_TRUE(text);
  EXPECT_EQ(accept_list(*text, "list", trust_in(key), 0).error().code, EKEYREJECTED);
  // A chain with a hole, and one that ends elsewhere.
  const SecretKey other = new_key();
  EXPECT_EQ(seal("{}", {*sign_rotation(key, thief.public_key())}, other).error().code, EINVAL);
  EXPECT_EQ(
      seal("{}", {*sign_rotation(key, thief.public_key()), *sign_rotation(key, other.public_key())},
           other)
          .error()
          .code,
      EINVAL);
  // The signature of a list is none of a change, and the other way round.
  const std::string statement = "panal key rotation 1\n";
  EXPECT_FALSE(is_signed_by(key.public_key(), statement, sign_rotation(key, {})->signature));
}

TEST(SignedList, OldOnesAndExpiredOnesAreRefused) {
  const SecretKey key = new_key();
  Trust trust = trust_in(key);
  const std::string older = *seal(print_list(some_list(6)), {}, key);
  const std::string newer = *seal(print_list(some_list(7)), {}, key);
  trust = accept_list(newer, "list", trust, 0)->trust;
  EXPECT_TRUE(accept_list(newer, "list", trust, 0)) << "the same again";
  const auto replayed = accept_list(older, "list", trust, 0);
  EXPECT_EQ(replayed.error().code, ESTALE);
  EXPECT_THAT(replayed.error().message(), HasSubstr("list 6 is older than list 7"));
  ImageList twin = some_list(7);
  twin.versions.pop_back();
  EXPECT_EQ(accept_list(*seal(print_list(twin), {}, key), "list", trust, 0).error().code, ESTALE);

  ImageList ending = some_list(8);
  ending.expires_unix_s = 1000;
  const std::string text = *seal(print_list(ending), {}, key);
  EXPECT_TRUE(accept_list(text, "list", trust, 999));
  EXPECT_EQ(accept_list(text, "list", trust, 1000).error().code, EKEYEXPIRED);
}

TEST(SignedList, AKeyThatIsSaidBeginsAnewUnlessTheFormerLeadsToIt) {
  const SecretKey first = new_key();
  const SecretKey second = new_key();
  const std::string seen = *seal(print_list(some_list(7)), {}, first);
  const Trust former = accept_list(seen, "list", trust_in(first), 0)->trust;
  ASSERT_EQ(former.serial, 7U);

  // Another publisher at the same place, whose lists have lower numbers.
  const std::string other = *seal(print_list(some_list(3)), {}, second);
  EXPECT_EQ(accept_list(other, "list", former, 0).error().code, EKEYREJECTED);
  const auto anew = accept_list_by_key(other, "list", second.public_key(), former, 0);
  ASSERT_TRUE(anew) << anew.error().message();
  EXPECT_EQ(anew->trust.serial, 3U);
  EXPECT_EQ(anew->trust.key, second.public_key());

  // The same publisher, who has changed the key: older lists stay refused.
  const Rotation change = *sign_rotation(first, second.public_key());
  const std::string older = *seal(print_list(some_list(3)), {change}, second);
  EXPECT_EQ(accept_list_by_key(older, "list", second.public_key(), former, 0).error().code, ESTALE);
  const std::string newer = *seal(print_list(some_list(8)), {change}, second);
  const auto followed = accept_list_by_key(newer, "list", second.public_key(), former, 0);
  ASSERT_TRUE(followed) << followed.error().message();
  EXPECT_EQ(followed->trust.serial, 8U);

  // The same key, said once more; the key of nobody; the first time.
  const std::string replayed = *seal(print_list(some_list(6)), {}, first);
  EXPECT_EQ(accept_list_by_key(replayed, "list", first.public_key(), former, 0).error().code,
            ESTALE);
  EXPECT_EQ(accept_list_by_key(seen, "list", second.public_key(), former, 0).error().code,
            EKEYREJECTED);
  EXPECT_TRUE(accept_list_by_key(seen, "list", first.public_key(), std::nullopt, 0));
}

TEST(MalformedSignedList, Table) {
  const std::string key(64, '0');
  const std::string signature(128, '0');
  const std::string head = "panal-images 1\n";
  const std::string signed_line = "signed " + key + " " + signature + "\n";
  const std::string rotation = "rotation " + key + " " + key + " " + signature + "\n";
  ASSERT_TRUE(parse_sealed(head + rotation + signed_line + "\n{}", "f"));
  std::string many = head;
  for (std::size_t at = 0; at <= kMostRotations; ++at) many += rotation;
  for (const std::string& text :
       {std::string(),
        std::string("panal-images 1"),
        "panal-images 2\n" + signed_line + "\n{}",
        head,
        head + signed_line,
        head + signed_line + "{}",
        head + "\n" + signed_line + "\n{}",
        head + rotation + "\n{}",
        head + signed_line + signed_line + "\n{}",
        head + "signed " + key + "\n\n{}",
        head + "signed" + key + " " + signature + "\n\n{}",
        head + "signed " + key + " " + signature + " x\n\n{}",
        head + "signed " + key + " " + signature + "\r\n\n{}",
        head + "signed " + key + " " + signature.substr(1) + "\n\n{}",
        head + "signed " + std::string(64, 'F') + " " + signature + "\n\n{}",
        head + "rotation " + key + " " + signature + "\n" + signed_line + "\n{}",
        head + "comment\n" + signed_line + "\n{}",
        many + signed_line + "\n{}",
        head + std::string(100'000, 'a'),
        std::string("<html>404</html>\n")}) {
    const auto sealed = parse_sealed(text, "the-list");
    EXPECT_FALSE(sealed) << text.substr(0, 300);
    if (sealed) continue;
    EXPECT_THAT(sealed.error().message(), HasSubstr("the-list"));
  }
}

TEST_F(KeyFile, TrustIsKept) {
  EXPECT_THAT(read_trust(file_).error().message(), HasSubstr("no key is trusted"));
  Trust trust = trust_in(new_key());
  ASSERT_TRUE(write_trust(file_, trust));
  EXPECT_EQ(read_trust(file_)->serial, 0U);
  trust.serial = 12;
  trust.list_digest = std::string(64, '1');
  ASSERT_TRUE(write_trust(file_, trust));
  const auto again = read_trust(file_);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->serial, 12U);
  EXPECT_EQ(again->list_digest, trust.list_digest);
  EXPECT_EQ(again->key, trust.key);
}

TEST(MalformedTrust, Table) {
  Trust trust;
  trust.serial = 5;
  trust.list_digest = std::string(64, '1');
  const std::string good = print_trust(trust);
  ASSERT_TRUE(parse_trust(good, "f"));
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), good.substr(3),
        with("\"format\": 1", "\"format\": 3"), with("\"serial\": 5", "\"serial\": -5"),
        with("\"serial\": 5", "\"serial\": 0"), with("\"serial\": 5", "\"serial\": \"5\""),
        with(std::string(64, '0'), "00"), with(std::string(64, '1'), ""),
        with(std::string(64, '1'), std::string(64, 'x'))}) {
    const auto parsed = parse_trust(text, "the-file");
    EXPECT_FALSE(parsed) << text;
    if (parsed) continue;
    EXPECT_THAT(parsed.error().message(), HasSubstr("the-file"));
  }
}

}  // namespace
}  // namespace panal::storage
