#include "bench/density/living.h"

namespace panal::bench {
namespace {

constexpr const char* kPrograms = R"(#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || [ "$1" = xfce ] || /etc/X11/icewm/startup
cd ~
# In front of the others, which map whenever they are ready: the typist clicks into it.
xterm -geometry 80x24+20+20 -xrm '*allowWindowOps: true' -e sh -c 'cat ~/document.txt
  (for s in 3 5 10 20; do sleep $s; printf "\033[5t"; done) & exec cat' &
if [ -x /usr/bin/thunar ] && [ "$1" = xfce ]; then thunar ~ & else pcmanfm ~ & fi
[ -x /usr/bin/mousepad ] || exec l3afpad ~/document.txt
exec mousepad ~/document.txt
)";

}  // namespace

std::vector<HomeFile> living_session(const std::string& login) {
  std::string document;
  for (int line = 1; line <= 200; ++line)
    document += "Line " + std::to_string(line) + " of a letter that " + login +
                " wrote on a long afternoon in November.\n";
  return {{"document.txt", document, false},
          {".icewm/startup", kPrograms, true},
          {".config/autostart/living.desktop",
           "[Desktop Entry]\nType=Application\nName=Living\nExec=/bin/sh /home/" + login +
               "/.icewm/startup xfce\n",
           false}};
}

}  // namespace panal::bench
