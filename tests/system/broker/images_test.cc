/// A node pulls a version from a real broker: TLS with its own certificate, the token, keep-alive.

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "engine/base/file_tree.h"
#include "storage/repo/repository.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/pull.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/trust.h"
#include "tests/system/broker/broker_process.h"

namespace panal::broker {
namespace {

using ::testing::HasSubstr;

/// "sha256//BASE64" of a certificate's key, as panal-client's users would be told.
std::string pin_of(const std::string& certificate_file) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(certificate_file.c_str(), "r"),
                                                       BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), X509_free);
  if (!certificate) return "no certificate";
  unsigned char* bytes = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &bytes);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_length = 0;
  EVP_Digest(bytes, static_cast<std::size_t>(length), digest, &digest_length, EVP_sha256(),
             nullptr);
  OPENSSL_free(bytes);
  unsigned char text[128];
  const int text_length = EVP_EncodeBlock(text, digest, static_cast<int>(digest_length));
  return "sha256//" + std::string(text, text + text_length);
}

TEST_F(BrokerProcess, ANodePullsAVersionFromIt) {
  const std::string dir = config.run_dir + "/transfer";
  std::filesystem::create_directories(dir + "/tree/usr/bin");
  for (int file = 0; file < 100; ++file)
    std::ofstream(dir + "/tree/usr/bin/program" + std::to_string(file)) << "program " << file;
  std::ofstream(dir + "/tree/usr/bin/large") << std::string(3'000'000, 'x');
  auto publisher =
      storage::Repository::open_or_create(dir + "/publisher", storage::RepositoryMode::kBare);
  ASSERT_TRUE(publisher) << publisher.error().message();
  storage::CommitSpec spec;
  spec.root = dir + "/tree";
  spec.manifest.image = "icewm";
  spec.manifest.version = "1";
  const auto commit = publisher->commit(spec);
  ASSERT_TRUE(commit) << commit.error().message();
  const auto key = storage::SecretKey::generate();
  ASSERT_TRUE(key);
  auto archive = storage::Archive::open_or_create(dir + "/archive", *key);
  ASSERT_TRUE(archive) << archive.error().message();
  ASSERT_TRUE(archive->push(*publisher, *commit, *key));
  // Into the directory that the broker has open.
  const auto over = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy(dir + "/archive/objects", config.run_dir + "/archive/objects",
                        std::filesystem::copy_options::recursive | over);
  std::filesystem::copy_file(dir + "/archive/panal-images",
                             config.run_dir + "/archive/panal-images", over);

  storage::Trust trust;
  trust.key = key->public_key();
  ASSERT_TRUE(storage::write_trust(dir + "/trust", trust));
  const storage::FetchHelper helper{PANAL_BIN_DIR "/panal-fetch", dir, 77'000'000, 77'000'000};
  storage::RemoteArchive remote;
  remote.url = "https://127.0.0.1:" + std::to_string(kPort) + "/images";
  remote.pinned_key = pin_of(config.state_dir + "/tls/cert.pem");
  {
    const auto stranger = storage::start_remote_source(remote, helper, {});
    ASSERT_TRUE(stranger) << stranger.error().message();
    const auto refused = storage::fetch_list(**stranger, dir + "/trust", ::time(nullptr));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("401"));
  }
  remote.authorization = std::string("Bearer ") + kToken;
  const auto source = storage::start_remote_source(remote, helper, {});
  ASSERT_TRUE(source) << source.error().message();
  const auto list = storage::fetch_list(**source, dir + "/trust", ::time(nullptr));
  ASSERT_TRUE(list) << list.error().message();
  auto node = storage::Repository::open_or_create(dir + "/node", storage::RepositoryMode::kBare);
  ASSERT_TRUE(node) << node.error().message();
  const auto report = storage::pull_version(*node, **source, list->versions.at(0), {});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->objects, 100U);
  EXPECT_TRUE(*node->has(*commit));
  EXPECT_TRUE(remove_tree(dir));
}

}  // namespace
}  // namespace panal::broker
