#include "runtime/cli/local_images.h"

#include "storage/image/image_store.h"
#include "storage/import/export.h"

namespace panal::cli {
namespace {

class RealLocalImages final : public LocalImages {
 public:
  explicit RealLocalImages(const std::string& images_dir) : images_(images_dir) {}

  Result<std::vector<storage::VersionManifest>> list() override { return images_.list_known(); }
  Result<storage::VersionDiff> diff(const std::string& from_commit,
                                    const std::string& to_commit) override {
    PANAL_ASSIGN(const storage::Repository repository, images_.repository());
    return repository.diff(from_commit, to_commit);
  }
  Result<void> remove(const std::string& image, const std::string& version) override {
    return images_.remove(image, version);
  }
  Result<storage::GcReport> gc(const storage::Work& work) override { return images_.gc(work); }
  Result<storage::GcReport> garbage(const storage::Work& work) override {
    return images_.garbage(work);
  }
  Result<storage::VerifyReport> verify(std::uint64_t most_bytes_per_s,
                                       const storage::Work& work) override {
    return images_.verify(most_bytes_per_s, work);
  }
  Result<storage::VersionManifest> adopt(const std::string& image, const std::string& version,
                                         const storage::Work& work) override {
    return images_.adopt(image, version, work);
  }
  Result<storage::VersionManifest> take_in(const storage::ImportSpec& spec,
                                           const storage::Work& work) override {
    return storage::import_image(spec, images_, work.progress, work.cancelled);
  }
  Result<void> export_to(const std::string& image, const std::string& version,
                         const std::string& file, const storage::Work& work) override {
    storage::ExportSpec spec;
    PANAL_ASSIGN(spec.compression, storage::compression_of_name(file));
    PANAL_TRY(images_.find(image, version));
    spec.root = images_.root_of(image, version);
    spec.file = file;
    return storage::export_tar(spec, work.progress, work.cancelled);
  }

 private:
  storage::ImageStore images_;
};

}  // namespace

std::unique_ptr<LocalImages> make_local_images(const config::Config& config) {
  return std::make_unique<RealLocalImages>(config.images_dir);
}

}  // namespace panal::cli
