// panal-broker [--config FILE]: HTTPS in front of the desktops (runtime/broker, docs/broker.md).
#include <cstdio>
#include <string>
#include <string_view>

#include "runtime/broker/parent.h"

namespace {

constexpr const char* kUsage =
    "usage: panal-broker [--config FILE]\n"
    "Serves desktops over HTTPS. Started as root it works as broker.user of the configuration.\n"
    "SIGHUP reads the TLS certificate anew; SIGTERM ends it.\n";

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (argument == "--config" && i + 1 < argc) {
      file = argv[++i];
    } else {
      std::fprintf(stderr, "panal-broker: unknown argument %s\n%s", argv[i], kUsage);
      return 2;
    }
  }
  const auto config = panal::config::load(file);
  if (!config) {
    std::fprintf(stderr, "panal-broker: %s\n", config.error().message().c_str());
    return 2;
  }
  const auto ended = panal::broker::run_parent(*config);
  if (!ended) {
    std::fprintf(stderr, "panal-broker: %s\n", ended.error().message().c_str());
    return 1;
  }
  return 0;
}
