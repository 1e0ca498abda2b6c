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
# One line for each window that comes or goes; the terminal's own ends xprop.
xprop -root -spy _NET_CLIENT_LIST | while read -r windows; do
  shown=$(for window in $(echo "${windows#*#}" | tr , ' '); do xprop -id "$window" WM_CLASS; done)
  echo "$shown" | grep -qiE '"(thunar|pcmanfm)"' || continue
  echo "$shown" | grep -qiE '"(mousepad|l3afpad)"' || continue
  xterm -geometry 80x24+20+20 -xrm '*allowWindowOps: true' -e sh -c 'cat ~/document.txt
    (for s in 3 10; do sleep $s; printf "\033[5t"; done) & exec cat' &
  break
done
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
