// panal-home: work on homes that lie on a file system which may hang, for panald.
#include <string>
#include <vector>

#include "storage/home/home_program.h"

int main(int argc, char** argv) {
  return panal::storage::run_home_program(std::vector<std::string>(argv + 1, argv + argc));
}
