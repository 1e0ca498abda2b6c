#include <string>
#include <vector>

#include "storage/unpack/unpack.h"

// Unpacks a stranger's archive for panal image import, which starts it in a throw-away user
// namespace; not for people.
int main(int argc, char** argv) {
  return panal::storage::unpack::unpack_main(
      std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
