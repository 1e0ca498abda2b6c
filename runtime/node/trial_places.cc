#include "runtime/node/trial_places.h"

#include <linux/mount.h>

#include "engine/base/mount.h"

namespace panal::node {

Result<void> TrialHomes::attach(const storage::HomeSpec& spec) {
  PANAL_TRY(mount::detach(spec.mount_point));  // an earlier life's
  PANAL_ASSIGN(const UniqueFd made,
               mount::create("tmpfs",
                             {{"mode", "0700"},
                              {"size", "256m"},
                              {"nr_inodes", "65536"},
                              {"uid", std::to_string(spec.ids.first + spec.uid)},
                              {"gid", std::to_string(spec.ids.first + spec.gid)}},
                             MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  return mount::attach(made.get(), spec.mount_point);
}

Result<void> TrialHomes::detach(const storage::HomeSpec& spec) {
  return mount::detach(spec.mount_point);
}

}  // namespace panal::node
