#include "runtime/cli/image_transfer.h"

#include <ctime>

#include "storage/image/image_store.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/pull.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/source.h"
#include "storage/transfer/whole_file.h"

namespace panal::cli {
namespace {

std::string directory_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

class RealImageTransfer final : public ImageTransfer {
 public:
  explicit RealImageTransfer(const config::Config& config) : config_(config) {}

  Result<storage::ImageList> list(const ArchivePlace& place, const storage::Work& work) override {
    PANAL_ASSIGN(const auto source, open(place, work));
    return storage::fetch_list(*source, place.trust_file, std::time(nullptr));
  }

  Result<storage::ImageList> list_by_key(const ArchivePlace& place, const std::string& key,
                                         bool keep, const storage::Work& work) override {
    PANAL_ASSIGN(const auto said, storage::parse_key(key));
    if (keep) PANAL_TRY(storage::make_directories_for(directory_of(place.trust_file), 0755));
    PANAL_ASSIGN(const auto source, open(place, work));
    return storage::fetch_list_by_key(*source, place.trust_file, said, keep, std::time(nullptr));
  }

  Result<storage::VersionManifest> pull(const ArchivePlace& place,
                                        const storage::ListedVersion& version,
                                        const storage::Work& work) override {
    storage::ImageStore images(config_.images_dir);
    PANAL_ASSIGN(storage::Repository repository, images.repository());
    PANAL_ASSIGN(const auto source, open(place, work));
    PANAL_TRY(storage::pull_version(repository, *source, version, place.budget, work));
    return images.materialise(version.commit, work);
  }

  Result<std::vector<storage::Damage>> repair(const std::vector<storage::Damage>& damages,
                                              const ArchivePlace& place,
                                              const storage::Work& work) override {
    storage::ImageStore images(config_.images_dir);
    if (place.where.empty()) {
      const auto nowhere = [](const storage::ObjectName&) -> Result<UniqueFd> {
        return fail(ENOENT, "there is no archive to fetch it from; name one with --from");
      };
      return images.repair(damages, nowhere, work);
    }
    PANAL_ASSIGN(const auto source, open(place, work));
    return images.repair(damages, storage::fetch_from(*source, place.budget), work);
  }

  Result<storage::PublicKey> publisher(const std::string& key_file) override {
    PANAL_ASSIGN(const auto key, secret(key_file));
    return key.public_key();
  }

  Result<storage::ListedVersion> push(const std::string& directory, const std::string& key_file,
                                      const std::string& commit, std::chrono::seconds life,
                                      const storage::Work& work) override {
    const storage::ImageStore images(config_.images_dir);
    PANAL_ASSIGN(const storage::Repository repository, images.repository());
    PANAL_ASSIGN(const auto key, secret(key_file));
    PANAL_ASSIGN(auto archive, storage::Archive::open_or_create(directory, key));
    const storage::ListLife wanted{life.count()};
    PANAL_ASSIGN(const auto before, archive.list(key.public_key()));
    PANAL_ASSIGN(auto listed, archive.push(repository, commit, key, wanted, work));
    // One that was listed already is not signed anew, but a new life is asked for.
    const auto there = storage::find_version(before, listed.image, listed.version);
    if (there && wanted.seconds != 0) PANAL_TRY(archive.sign_again(key, wanted));
    return listed;
  }

  Result<std::uint64_t> withdraw(const std::string& directory, const std::string& key_file,
                                 const std::string& image, const std::string& version,
                                 const storage::Work& work) override {
    PANAL_ASSIGN(const auto key, storage::SecretKey::load(key_file));
    PANAL_ASSIGN(auto archive, storage::Archive::open(directory));
    PANAL_TRY(archive.withdraw(image, {version}, key));
    PANAL_ASSIGN(const auto freed, archive.repository().gc(work));
    return freed.freed_bytes;
  }

  Result<storage::VerifyReport> verify(const std::string& directory, std::uint64_t most_bytes_per_s,
                                       const storage::Work& work) override {
    PANAL_ASSIGN(const auto archive, storage::Archive::open(directory));
    return archive.verify(most_bytes_per_s, work);
  }

  Result<storage::PublicKey> rotate(const std::string& key_file,
                                    const std::vector<std::string>& archives) override {
    return storage::rotate_key(key_file, archives);
  }

 private:
  static Result<storage::SecretKey> secret(const std::string& key_file) {
    auto key = storage::SecretKey::load(key_file);
    if (key || key.error().code != ENOENT) return key;
    PANAL_ASSIGN(auto made, storage::SecretKey::generate());
    PANAL_TRY(storage::make_directories_for(directory_of(key_file), 0700));
    PANAL_TRY(made.save(key_file));
    return made;
  }

  Result<std::unique_ptr<storage::Source>> open(const ArchivePlace& place,
                                                const storage::Work& work) const {
    const std::string scratch = config_.state_dir + "/cache";
    PANAL_TRY(storage::make_directories_for(scratch, 0755));
    PANAL_ASSIGN(const auto helper, storage::usual_fetch_helper(config::program_dir(), scratch));
    return storage::open_source({place.where, place.ca_file, place.pinned_key, place.authorization},
                                helper, place.budget, work.cancelled);
  }

  const config::Config& config_;
};

}  // namespace

std::unique_ptr<ImageTransfer> make_image_transfer(const config::Config& config) {
  return std::make_unique<RealImageTransfer>(config);
}

}  // namespace panal::cli
