#include "storage/home/lost_homes.h"

namespace panal::storage {

bool LostHomes::is_final(int code) {
  // ESTALE: the directory is gone on the server, or the server forgot us. ENOTCONN, ECONNABORTED:
  // FUSE's program has ended. ENODEV, ENXIO, EUCLEAN: what it lay on is gone or broken.
  return code == ESTALE || code == ENOTCONN || code == ECONNABORTED || code == ENODEV ||
         code == ENXIO || code == EUCLEAN || code == EIO || code == ESHUTDOWN;
}

std::optional<std::string> LostHomes::look(const std::string& key, const Result<void>& seen,
                                           Time now) {
  if (seen) {
    trouble_.erase(key);
    return std::nullopt;
  }
  Trouble& trouble = trouble_.try_emplace(key, Trouble{now, 0, false}).first->second;
  if (trouble.told) return std::nullopt;
  const Error& error = seen.error();
  // Twice: one look may fall into the moment in which a server comes back.
  trouble.final_looks = is_final(error.code) ? trouble.final_looks + 1 : 0;
  if (trouble.final_looks >= 2) {
    trouble.told = true;
    return "the home is lost: " + error.message();
  }
  if (now - trouble.since < patience_) return std::nullopt;
  trouble.told = true;
  const auto waited = std::chrono::duration_cast<std::chrono::seconds>(now - trouble.since).count();
  return "the home is lost: no answer for " + std::to_string(waited) + " s (" + error.message() +
         ")";
}

}  // namespace panal::storage
