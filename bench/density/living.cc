#include "bench/density/living.h"

namespace panal::bench {
namespace {

// The terminal comes when the others' windows are there, so that it lies before them: the typist
// clicks into it. Who is on the screen says the window manager, by their WM_CLASS. The file manager
// is started again when a signal ends it at once: of 1,000 at eight at a time three died in a
// thread of GLib's while they started (docs/bench.md), and who clicked in vain clicks again. Half a
// minute later nobody does any more, and who dies then is missed.
constexpr const char* kPrograms = R"sh(#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || [ "$1" = xfce ] || /etc/X11/icewm/startup
cd ~
[ -x /usr/bin/thunar ] && [ "$1" = xfce ] && files=thunar || files=pcmanfm
(
  $files ~ & pid=$!
  for s in 1 2 4 8 16; do
    sleep $s
    kill -0 $pid 2>/dev/null && continue
    wait $pid
    [ $? -gt 128 ] || break
    $files ~ & pid=$!
  done
) &
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
