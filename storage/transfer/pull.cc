#include "storage/transfer/pull.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "storage/repo/incoming.h"
#include "storage/repo/metadata.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/trust.h"

namespace panal::storage {
namespace {

/// As many missing objects as are asked for at a time.
constexpr std::size_t kBatch = 2000;

std::uint64_t most_bytes_of(const ObjectName& object, const PullBudget& budget) {
  if (object.type == ObjectType::kFile) return budget.object_bytes;
  return std::min<std::uint64_t>(budget.object_bytes, kMostMetadataBytes);
}

/// One version on its way: keeps the source busy with what the repository misses.
class Pull {
 public:
  Pull(Incoming incoming, Source& source, const PullBudget& budget, const Work& work)
      : incoming_(std::move(incoming)), source_(source), budget_(budget), work_(work) {}

  Result<PullReport> run() {
    PANAL_TRY(fetch_all());
    PANAL_TRY(incoming_.finish());
    report_.objects = incoming_.objects();
    report_.stored_bytes = incoming_.bytes();
    return report_;
  }

  [[nodiscard]] Result<void> check_name(const ListedVersion& listed) const {
    const VersionManifest& manifest = incoming_.manifest();
    if (manifest.image == listed.image && manifest.version == listed.version) return {};
    return fail(EPROTO, source_.where() + ": the commit that is listed as " + listed.image + " " +
                            listed.version + " calls itself " + manifest.image + " " +
                            manifest.version);
  }

 private:
  Result<void> fetch_all() {
    for (;;) {
      PANAL_ASSIGN(const auto missing, incoming_.missing(kBatch));
      if (missing.empty()) return {};
      std::deque<ObjectName> waiting(missing.begin(), missing.end());
      std::map<std::string, ObjectName> asked;  // by path
      while (!waiting.empty() || !asked.empty()) {
        while (!waiting.empty() && asked.size() < kMostInFlight) {
          std::string path = archive_path(waiting.front());
          PANAL_TRY(source_.want(path, most_bytes_of(waiting.front(), budget_)));
          asked.emplace(std::move(path), std::move(waiting.front()));
          waiting.pop_front();
        }
        PANAL_TRY(take_one(asked));
      }
    }
  }

  Result<void> take_one(std::map<std::string, ObjectName>& asked) {
    if (work_.is_cancelled()) return fail(ECANCELED, "the pull was cancelled");
    PANAL_ASSIGN(const FetchedFile fetched, source_.next());
    const auto found = asked.find(fetched.path);
    if (found == asked.end())
      return fail(EPROTO, source_.where() + ": " + fetched.path + " was not asked for");
    if (auto added = incoming_.add(found->second, fetched.file.get(), budget_.object_bytes); !added)
      return prefixed(source_.where() + ": " + fetched.path, added.error());
    asked.erase(found);
    report_.sent_bytes += fetched.bytes;
    if (incoming_.bytes() > budget_.bytes)
      return fail(EFBIG, source_.where() + ": this version needs more than the " +
                             std::to_string(budget_.bytes >> 20U) + " MiB that a pull may store");
    tell();
    return {};
  }

  /// How much is still to come is not known: the size of the files is a guess from above.
  void tell() const {
    const auto whole = static_cast<double>(
        std::max<std::uint64_t>(incoming_.manifest().size_bytes, std::uint64_t{1} << 20U));
    const double part = static_cast<double>(incoming_.bytes()) / whole;
    work_.tell(std::min(part, 0.99), "fetching: " + std::to_string(incoming_.objects()) +
                                         " objects, " + std::to_string(report_.sent_bytes >> 20U) +
                                         " MiB");
  }

  Incoming incoming_;
  Source& source_;
  const PullBudget& budget_;
  const Work& work_;
  PullReport report_;
};

/// The signed list's text.
Result<std::string> fetch_sealed(Source& source) {
  auto file = fetch_one(source, kListName, kMostSealedBytes);
  if (!file && file.error().code == ENOENT)
    return fail(ENOENT, source.where() + ": is no archive of images (it has no " +
                            std::string(kListName) + ")");
  if (!file) return tl::make_unexpected(file.error());
  return read_fetched(file->get(), kMostSealedBytes);
}

}  // namespace

Result<ImageList> fetch_list(Source& source, const std::string& trust_file,
                             std::int64_t now_unix_s) {
  PANAL_ASSIGN(const Trust trust, read_trust(trust_file));
  PANAL_ASSIGN(const std::string text, fetch_sealed(source));
  PANAL_ASSIGN(AcceptedList accepted, accept_list(text, source.where(), trust, now_unix_s));
  // Kept before the list is used: what was seen once must not be forgotten by a crash.
  if (!(accepted.trust.key == trust.key) || accepted.trust.serial != trust.serial)
    PANAL_TRY(write_trust(trust_file, accepted.trust));
  return std::move(accepted.list);
}

Result<ImageList> fetch_list_by_key(Source& source, const std::string& trust_file,
                                    const PublicKey& key, bool keep, std::int64_t now_unix_s) {
  std::optional<Trust> former;
  auto known = read_trust(trust_file);
  if (known) former = *known;
  if (!known && known.error().code != ENOENT) return tl::make_unexpected(known.error());
  PANAL_ASSIGN(const std::string text, fetch_sealed(source));
  PANAL_ASSIGN(AcceptedList accepted,
               accept_list_by_key(text, source.where(), key, former, now_unix_s));
  if (keep) PANAL_TRY(write_trust(trust_file, accepted.trust));
  return std::move(accepted.list);
}

Result<PullReport> pull_version(Repository& repository, Source& source,
                                const ListedVersion& version, const PullBudget& budget,
                                const Work& work) {
  work.tell(0, "fetching the commit");
  const std::string path = archive_path({version.commit, ObjectType::kCommit});
  PANAL_ASSIGN(const UniqueFd file, fetch_one(source, path, kMostMetadataBytes));
  PANAL_ASSIGN(const std::string bytes, read_fetched(file.get(), kMostMetadataBytes));
  auto incoming = repository.receive(version.commit, bytes);
  if (!incoming) return prefixed(source.where() + ": " + path, incoming.error());
  Pull pull(std::move(*incoming), source, budget, work);
  PANAL_TRY(pull.check_name(version));
  return pull.run();
}

Repository::Fetch fetch_from(Source& source, const PullBudget& budget) {
  return [&source, budget](const ObjectName& object) {
    return fetch_one(source, archive_path(object), most_bytes_of(object, budget));
  };
}

}  // namespace panal::storage
