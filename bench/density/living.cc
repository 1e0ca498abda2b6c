#include "bench/density/living.h"

namespace panal::bench {
namespace {

// The terminal comes when the others' windows are there, so that it lies before them: the typist
// clicks into it. Who is on the screen says the window manager, by their WM_CLASS.
constexpr const char* kPrograms = R"sh(#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || [ "$1" = xfce ] || /etc/X11/icewm/startup
cd ~
if [ -x /usr/bin/thunar ] && [ "$1" = xfce ]; then thunar ~ & else pcmanfm ~ & fi
if [ -x /usr/bin/mousepad ]; then mousepad ~/document.txt & else l3afpad ~/document.txt & fi
shown() {
  for window in $(xprop -root _NET_CLIENT_LIST | sed 's/.*#//; s/,/ /g'); do
    xprop -id "$window" WM_CLASS
  done | grep -ciE "$1"
}
for second in $(seq 120); do
  [ "$(shown '"(thunar|pcmanfm)"')" = 0 ] || [ "$(shown '"(mousepad|l3afpad)"')" = 0 ] || break
  sleep 1
done
exec xterm -geometry 80x24+20+20 -xrm '*allowWindowOps: true' -e sh -c 'cat ~/document.txt
  (for s in 3 10; do sleep $s; printf "\033[5t"; done) & exec cat'
)sh";

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
