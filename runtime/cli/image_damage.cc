// Damage in versions and archives: verify, repair.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/image_places.h"
#include "runtime/cli/image_transfer.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/long_work.h"
#include "runtime/cli/table.h"
#include "runtime/config/schema.h"
#include "storage/transfer/remote_source.h"

namespace panal::cli {
namespace {

struct DamageOptions {
  std::string rate, archive;
  PlaceWords place;
  bool dry_run = false, json = false;
};

std::string_view kind_word(storage::Damage::Kind kind) {
  switch (kind) {
    case storage::Damage::Kind::kObjectMissing: return "missing";
    case storage::Damage::Kind::kObjectCorrupt: return "corrupt";
    case storage::Damage::Kind::kCheckoutDiffers: return "tree differs";
  }
  return "corrupt";
}

nlohmann::json damages_json(const std::vector<storage::Damage>& damages) {
  auto list = nlohmann::json::array();
  for (const storage::Damage& one : damages)
    list.push_back({{"kind", kind_word(one.kind)},
                    {"object", one.object.checksum},
                    {"what", one.what},
                    {"places", one.places},
                    {"more_places", one.more_places}});
  return list;
}

void print_damages(std::ostream& out, const std::vector<storage::Damage>& damages) {
  for (const storage::Damage& one : damages) {
    out << fmt::format("{}: {}\n", kind_word(one.kind), printable(one.what, 4096));
    for (const std::string& place : one.places)
      out << fmt::format("  {}\n", printable(place, 4096));
    if (one.more_places > 0) out << fmt::format("  and {} more\n", one.more_places);
  }
}

/// 0: as fast as it goes.
Result<std::uint64_t> bytes_per_s_of(const std::string& rate) {
  if (rate.empty()) return std::uint64_t{0};
  return config::parse_size(rate);
}

Result<storage::VerifyReport> look_for_damage(Shell& shell, LocalImages& local,
                                              const std::string& rate) {
  PANAL_ASSIGN(const std::uint64_t most_bytes_per_s, bytes_per_s_of(rate));
  LongWork under_way(shell);
  auto report = local.verify(most_bytes_per_s, under_way.work());
  under_way.bar().clear();
  return report;
}

Result<storage::VerifyReport> look_through_archive(Shell& shell, const DamageOptions& options) {
  if (options.archive.find("://") != std::string::npos)
    return fail(EINVAL, "an archive is read where its files are: name its directory, not its URL");
  PANAL_ASSIGN(const std::uint64_t most_bytes_per_s, bytes_per_s_of(options.rate));
  PANAL_ASSIGN(const auto transfer, shell.backends.transfer(shell.config));
  LongWork under_way(shell);
  auto report = transfer->verify(options.archive, most_bytes_per_s, under_way.work());
  under_way.bar().clear();
  return report;
}

Result<storage::VerifyReport> look_through_node(Shell& shell, const DamageOptions& options) {
  PANAL_ASSIGN(const auto local, shell.backends.images(shell.config));
  return look_for_damage(shell, *local, options.rate);
}

ExitCode image_verify(Shell& shell, const DamageOptions& options) {
  const bool is_archive = !options.archive.empty();
  PANAL_CLI_ASSIGN(
      shell, const auto report,
      is_archive ? look_through_archive(shell, options) : look_through_node(shell, options));
  const auto count = report.damages.size();
  if (options.json) {
    shell.print({{"objects", report.objects},
                 {"bytes", report.bytes},
                 {"damages", damages_json(report.damages)}});
  } else {
    print_damages(shell.out, report.damages);
    shell.out << fmt::format("{} objects, {} read: {}\n", report.objects, human_bytes(report.bytes),
                             count == 0 ? "all as they should be" : "not all as they should be");
  }
  if (count == 0) return ExitCode::kOk;
  return shell.refuse(
      ExitCode::kFailed,
      fmt::format("{} {} damaged; {}", count, count == 1 ? "object is" : "objects are",
                  is_archive ? "delete what is corrupt (objects/AB/CDEF... of the "
                               "checksum, refs/heads/IMAGE/VERSION of a name) and push those "
                               "versions again"
                             : "panal image repair --from ARCHIVE mends it"));
}

/// What lies below a damaged directory is seen once that is mended. As deep as trees may be.
constexpr int kMostRepairs = 64;

bool may_hide_more(const std::vector<storage::Damage>& damages) {
  return std::any_of(damages.begin(), damages.end(), [](const storage::Damage& one) {
    return !one.object.checksum.empty() && one.object.type != storage::ObjectType::kFile;
  });
}

/// A tree in which a directory is damaged is left too, besides that directory.
std::size_t mended_of(const std::vector<storage::Damage>& damages,
                      const std::vector<storage::Damage>& left) {
  const auto is_left = [&left](const storage::Damage& damage) {
    return std::any_of(left.begin(), left.end(), [&damage](const storage::Damage& one) {
      return one.object == damage.object &&
             (!one.object.checksum.empty() || one.versions == damage.versions);
    });
  };
  return static_cast<std::size_t>(
      std::count_if(damages.begin(), damages.end(),
                    [&is_left](const storage::Damage& one) { return !is_left(one); }));
}

ExitCode image_repair(Shell& shell, const DamageOptions& options) {
  ArchivePlace place;
  if (!options.place.where.empty()) {
    PANAL_CLI_ASSIGN(shell, place, archive_place(shell.config, options.place));
  }
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  PANAL_CLI_ASSIGN(shell, auto report, look_for_damage(shell, *local, options.rate));
  if (report.damages.empty()) {
    shell.out << "nothing is damaged\n";
    return ExitCode::kOk;
  }
  if (options.dry_run) {
    print_damages(shell.out, report.damages);
    shell.out << fmt::format("would mend {} of these, as far as {} has them\n",
                             report.damages.size(),
                             place.where.empty() ? "this node" : storage::shown_url(place.where));
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto transfer, shell.backends.transfer(shell.config));
  std::size_t mended = 0;
  std::vector<storage::Damage> left;
  for (int turn = 0; turn < kMostRepairs && !report.damages.empty(); ++turn) {
    {
      LongWork under_way(shell);
      auto unmended = transfer->repair(report.damages, place, under_way.work());
      under_way.bar().clear();
      PANAL_CLI_ASSIGN(shell, left, std::move(unmended));
    }
    const std::size_t now = mended_of(report.damages, left);
    mended += now;
    if (now == 0 || !may_hide_more(report.damages)) break;
    PANAL_CLI_ASSIGN(shell, report, look_for_damage(shell, *local, options.rate));
    left = report.damages;
  }
  print_damages(shell.out, left);
  shell.out << fmt::format("{} of {} mended\n", mended, mended + left.size());
  if (left.empty()) return ExitCode::kOk;
  return shell.refuse(ExitCode::kFailed,
                      fmt::format("{} could not be mended; another archive may have what is "
                                  "missing, or build the version anew",
                                  left.size()));
}

}  // namespace

void add_image_damage_commands(CLI::App& family, Action& action) {
  ImageVerbs<DamageOptions> verbs(family, action);
  DamageOptions& options = *verbs.options;
  const auto rate = [&](CLI::App& command) {
    command.add_option("--rate", options.rate, "read at most so much a second, such as 50MiB");
  };

  auto& verify = verbs.add("verify", "Read every version and say what is damaged.", image_verify);
  verify.add_option("--archive", options.archive, "all of an archive in this directory instead");
  rate(verify);
  verbs.json(verify);

  auto& repair = verbs.add("repair", "Mend what verify finds.", image_repair);
  add_place_options(repair, options.place, "--from");
  rate(repair);
  verbs.dry_run(repair);
}

}  // namespace panal::cli
