#pragma once

#include <string>

#include "storage/home/home_store.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {

/// Homes of one tenant, below dir_/homes.
class HomesTest : public StorageTest {
 protected:
  /// What desktop `number` asks for.
  HomeSpec spec(int number, const std::string& home = "alice") {
    HomeSpec spec;
    spec.tenant = "acme";
    spec.home = home;
    spec.desktop = "d" + std::to_string(number);
    spec.uid = spec.gid = 1000;
    spec.ids = {1'000'000 + static_cast<std::uint32_t>(number) * 65536, 65536};
    spec.mount_point = make_mount_point("run/" + spec.desktop + "/home");
    return spec;
  }
};

}  // namespace panal::storage
