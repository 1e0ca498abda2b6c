#include "storage/image/trial_record.h"

#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/base/tree.h"
#include "storage/image/files.h"
#include "storage/repo/manifest.h"

namespace panal::storage {
namespace {

constexpr const char* kTrialFile = "trial.json";
constexpr const char* kPictureFile = "trial.png";
constexpr std::size_t kMostTrialBytes = std::size_t{64} << 10U;

Result<std::string> directory_of(const std::string& images_dir, const std::string& image,
                                 const std::string& version) {
  if (!is_plain_name(image) || !is_plain_name(version))
    return fail(EINVAL, "\"" + image + ":" + version + "\" names no version");
  return images_dir + "/" + image + "/" + version;
}

/// Whole or not at all. (After a power cut it may be empty, which says that nothing is known.)
Result<void> put(const std::string& path, const std::string& text) {
  const std::string half = path + ".new";
  PANAL_TRY(files::write_file(half, text));
  if (auto done = files::replace(half, path); !done) {
    (void)::unlink(half.c_str());
    return done;
  }
  return {};
}

}  // namespace

std::string print_trial(const TrialRecord& record) {
  const nlohmann::ordered_json document = {
      {"format", 1},
      {"commit", record.commit},
      {"began_unix_s", record.began_unix_s},
      {"took_ms", record.took_ms},
      {"good", record.good},
      {"reason", record.reason},
      {"windows", record.windows},
      {"pictured", record.pictured},
  };
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<TrialRecord> parse_trial(std::string_view text, const std::string& file) {
  try {
    const auto document = nlohmann::json::parse(text);
    for (const char* key : {"format", "began_unix_s", "took_ms", "windows"})
      if (!document.at(key).is_number_integer())
        return fail(EPROTO, file + ": " + key + " is no whole number");
    if (document.at("format").get<std::int64_t>() != 1)
      return fail(EPROTO, file + ": made by a newer Panal");
    TrialRecord record;
    record.commit = document.at("commit").get<std::string>();
    record.began_unix_s = document.at("began_unix_s").get<std::int64_t>();
    record.took_ms = document.at("took_ms").get<std::int64_t>();
    record.good = document.at("good").get<bool>();
    record.reason = document.at("reason").get<std::string>();
    const auto windows = document.at("windows").get<std::int64_t>();
    record.pictured = document.at("pictured").get<bool>();
    if (record.took_ms < 0 || windows < 0 || windows > std::numeric_limits<std::int32_t>::max())
      return fail(EPROTO, file + ": a number is out of range");
    record.windows = static_cast<std::uint32_t>(windows);
    if (!record.commit.empty() && !is_checksum(record.commit))
      return fail(EPROTO, file + ": commit is no checksum");
    return record;
  } catch (const nlohmann::json::exception& problem) {
    return fail(EPROTO, file + ": " + problem.what());
  }
}

std::string trial_picture(const std::string& images_dir, const std::string& image,
                          const std::string& version) {
  return images_dir + "/" + image + "/" + version + "/" + kPictureFile;
}

Result<std::optional<TrialRecord>> read_trial(const std::string& images_dir,
                                              const std::string& image,
                                              const std::string& version) {
  PANAL_ASSIGN(const std::string path, directory_of(images_dir, image, version));
  const auto dir = Dir::open(path);
  const auto text = dir ? dir->read(kTrialFile, kMostTrialBytes) : tl::make_unexpected(dir.error());
  if (!text && text.error().code == ENOENT) return std::optional<TrialRecord>();
  if (!text) return tl::make_unexpected(text.error());
  PANAL_ASSIGN(TrialRecord record, parse_trial(*text, path + "/" + kTrialFile));
  return std::optional<TrialRecord>(std::move(record));
}

Result<void> write_trial(const std::string& images_dir, const std::string& image,
                         const std::string& version, const TrialRecord& record,
                         const std::string& png) {
  PANAL_ASSIGN(const std::string path, directory_of(images_dir, image, version));
  // What is half written says that nothing is known.
  if (::unlink((path + "/" + kTrialFile).c_str()) != 0 && errno != ENOENT)
    return fail_errno("delete", path + "/" + kTrialFile);
  const std::string picture = path + "/" + kPictureFile;
  if (png.empty()) {
    if (::unlink(picture.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", picture);
  } else {
    PANAL_TRY(put(picture, png));
  }
  TrialRecord written = record;
  written.pictured = !png.empty();
  PANAL_TRY(put(path + "/" + kTrialFile, print_trial(written)));
  return files::sync_directory(path);
}

}  // namespace panal::storage
