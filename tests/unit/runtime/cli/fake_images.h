#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "runtime/cli/image_transfer.h"
#include "runtime/cli/local_images.h"

namespace panal::cli {

/// What a node has on disk and what an archive offers, shared by all that look at it.
struct FakeDisk {
  std::vector<storage::VersionManifest> copies;
  storage::VersionDiff diff;
  std::pair<std::string, std::string> compared;  ///< commits that diff() was asked about
  std::vector<storage::Damage> damages;
  std::vector<storage::Damage> hidden;     ///< by those damages until they are mended
  std::vector<std::string> beyond_repair;  ///< objects that no archive has
  std::uint64_t rate = 0;                  ///< as verify() was asked
  int collections = 0;
  bool sticks = false;  ///< nothing can be removed
  std::vector<storage::ImportSpec> taken_in;
  std::vector<std::string> written;  ///< by export_to()

  storage::ImageList offer;
  std::string publisher;                       ///< the key that signed it; empty: any
  std::map<std::string, std::string> trusted;  ///< trust file: key
  std::vector<std::string> pulled_from;
  std::vector<std::string> pushed;     ///< "DIRECTORY COMMIT"
  std::vector<std::string> withdrawn;  ///< "DIRECTORY IMAGE:VERSION"
  std::vector<std::string> rotated;
  std::vector<storage::Damage> archive_damages;
  std::string looked_through;  ///< "DIRECTORY BYTES_PER_S"

  static storage::VersionManifest copy(const std::string& image, const std::string& version,
                                       const std::string& commit = "") {
    storage::VersionManifest manifest;
    manifest.image = image;
    manifest.version = version;
    manifest.commit = commit;
    manifest.session = {"icewm-session"};
    return manifest;
  }
  [[nodiscard]] bool has(const std::string& image, const std::string& version) const {
    return std::any_of(copies.begin(), copies.end(), [&](const auto& one) {
      return one.image == image && one.version == version;
    });
  }
};

class FakeLocalImages final : public LocalImages {
 public:
  explicit FakeLocalImages(FakeDisk& disk) : disk_(disk) {}

  Result<std::vector<storage::VersionManifest>> list() override { return disk_.copies; }
  Result<storage::VersionDiff> diff(const std::string& from, const std::string& to) override {
    disk_.compared = {from, to};
    return disk_.diff;
  }
  Result<void> remove(const std::string& image, const std::string& version) override {
    if (disk_.sticks) return fail(EIO, "delete " + version);
    const auto gone = std::erase_if(disk_.copies, [&](const auto& one) {
      return one.image == image && one.version == version;
    });
    if (gone == 0) return fail(ENOENT, "image " + image + " has no version " + version);
    return {};
  }
  Result<storage::GcReport> gc(const storage::Work&) override {
    ++disk_.collections;
    return storage::GcReport{3 << 20, 7, 1};
  }
  Result<storage::GcReport> garbage(const storage::Work&) override {
    return storage::GcReport{2 << 20, 5, 0};
  }
  Result<storage::VerifyReport> verify(std::uint64_t rate, const storage::Work&) override {
    disk_.rate = rate;
    return storage::VerifyReport{disk_.damages, 10, 1000};
  }
  Result<storage::VersionManifest> adopt(const std::string& image, const std::string& version,
                                         const storage::Work&) override {
    for (auto& one : disk_.copies) {
      if (one.image != image || one.version != version) continue;
      one.commit = std::string(64, 'a');
      return one;
    }
    return fail(ENOENT, "image " + image + " has no version " + version);
  }
  Result<storage::VersionManifest> take_in(const storage::ImportSpec& spec,
                                           const storage::Work&) override {
    disk_.taken_in.push_back(spec);
    auto manifest = FakeDisk::copy(spec.image, "9", std::string(64, '9'));
    manifest.session = spec.session;
    disk_.copies.push_back(manifest);
    return manifest;
  }
  Result<void> export_to(const std::string& image, const std::string& version,
                         const std::string& file, const storage::Work&) override {
    disk_.written.push_back(image + ":" + version + " " + file);
    return {};
  }

 private:
  FakeDisk& disk_;
};

class FakeImageTransfer final : public ImageTransfer {
 public:
  explicit FakeImageTransfer(FakeDisk& disk) : disk_(disk) {}

  Result<storage::ImageList> list(const ArchivePlace& place, const storage::Work&) override {
    if (!disk_.trusted.contains(place.trust_file))
      return fail(ENOENT, "no key is trusted for " + place.where);
    return disk_.offer;
  }
  Result<storage::ImageList> list_by_key(const ArchivePlace& place, const std::string& key,
                                         bool keep, const storage::Work&) override {
    if (!disk_.publisher.empty() && key != disk_.publisher)
      return fail(EKEYREJECTED, place.where + ": signed by the key " + disk_.publisher);
    if (keep) disk_.trusted[place.trust_file] = key;
    return disk_.offer;
  }
  Result<storage::VersionManifest> pull(const ArchivePlace& place,
                                        const storage::ListedVersion& version,
                                        const storage::Work&) override {
    disk_.pulled_from.push_back(place.where);
    disk_.copies.push_back(FakeDisk::copy(version.image, version.version, version.commit));
    return disk_.copies.back();
  }
  Result<std::vector<storage::Damage>> repair(const std::vector<storage::Damage>& damages,
                                              const ArchivePlace&, const storage::Work&) override {
    std::vector<storage::Damage> left;
    for (const auto& one : damages)
      if (std::find(disk_.beyond_repair.begin(), disk_.beyond_repair.end(), one.object.checksum) !=
          disk_.beyond_repair.end())
        left.push_back(one);
    disk_.damages = left;
    disk_.damages.insert(disk_.damages.end(), disk_.hidden.begin(), disk_.hidden.end());
    disk_.hidden.clear();
    return left;
  }
  Result<storage::PublicKey> publisher(const std::string&) override { return storage::PublicKey(); }
  Result<storage::ListedVersion> push(const std::string& directory, const std::string&,
                                      const std::string& commit, std::chrono::seconds,
                                      const storage::Work&) override {
    disk_.pushed.push_back(directory + " " + commit);
    return storage::ListedVersion{};
  }
  Result<std::uint64_t> withdraw(const std::string& directory, const std::string&,
                                 const std::string& image, const std::string& version,
                                 const storage::Work&) override {
    disk_.withdrawn.push_back(directory + " " + image + ":" + version);
    return std::uint64_t{1} << 20U;
  }
  Result<storage::VerifyReport> verify(const std::string& directory, std::uint64_t rate,
                                       const storage::Work&) override {
    disk_.looked_through = directory + " " + std::to_string(rate);
    return storage::VerifyReport{disk_.archive_damages, 20, 2000};
  }
  Result<storage::PublicKey> rotate(const std::string&,
                                    const std::vector<std::string>& archives) override {
    disk_.rotated = archives;
    return storage::PublicKey();
  }

 private:
  FakeDisk& disk_;
};

}  // namespace panal::cli
