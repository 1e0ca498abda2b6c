#include "bench/density/effect_settings.h"

#include <fmt/format.h>

namespace panal::bench {
namespace {

/// A channel of XFCE's settings with some values of the user's; the rest stays the image's.
HomeFile channel(const std::string& name, const std::string& properties) {
  return {".config/xfce4/xfconf/xfce-perchannel-xml/" + name + ".xml",
          fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<channel name=\"{}\" version=\"1.0\">\n{}</channel>\n",
                      name, properties)};
}

std::string value(const std::string& name, const std::string& type, const std::string& text) {
  return fmt::format("<property name=\"{}\" type=\"{}\" value=\"{}\"/>\n", name, type, text);
}

std::string branch(const std::string& name, const std::string& inner) {
  return fmt::format("<property name=\"{}\" type=\"empty\">\n{}</property>\n", name, inner);
}

std::vector<EffectSetting> of_xfce() {
  // The plugin's number is the recipe's.
  const std::string clock = "<property name=\"plugin-8\" type=\"string\" value=\"clock\">\n" +
                            value("digital-time-format", "string", "%H:%M:%S") +
                            value("digital-format", "string", "%H:%M:%S") +
                            value("show-seconds", "bool", "true") + "</property>\n";
  return {
      {"compositor",
       "xfwm4 without its compositor",
       {channel("xfwm4", branch("general", value("use_compositing", "bool", "true")))}},
      {"clock", "a clock without seconds", {channel("xfce4-panel", branch("plugins", clock))}},
      {"gtk",
       "a cursor that does not blink, no animations",
       {channel("xsettings", branch("Net", value("CursorBlink", "bool", "true")) +
                                 branch("Gtk", value("EnableAnimations", "bool", "true")))}},
  };
}

std::vector<EffectSetting> of_icewm() {
  // Read after all other preferences.
  const auto preferences = [](const std::string& lines) {
    return std::vector<HomeFile>{{".icewm/prefoverride", lines}};
  };
  return {
      {"window-list", "no list of windows in the task bar", preferences("TaskBarShowWindows=1\n")},
      {"clock", "no clock", preferences("TaskBarShowClock=1\n")},
      {"gtk",
       "a cursor that does not blink, no animations",
       {{".config/gtk-3.0/settings.ini",
         "[Settings]\ngtk-cursor-blink=1\ngtk-enable-animations=1\n"},
        {".gtkrc-2.0", "gtk-cursor-blink = 1\ngtk-enable-animations = 1\n"}}},
  };
}

}  // namespace

std::vector<EffectSetting> effect_settings(const std::string& image) {
  std::vector<EffectSetting> out = image == "icewm" ? of_icewm() : of_xfce();
  out.push_back({"masked",
                 "programs see the desktop's memory and one CPU",
                 {},
                 "mask_memory = true\ncpus = 1\n"});
  out.push_back({"lean-heap", "one heap a program, nothing kept", {}, "lean_heap = true\n"});
  out.push_back({"pictures", "no pictures in shared memory", {}, "shared_pictures = false\n"});
  out.push_back({"cache", "caches in memory", {}, "cache = \"memory\"\n"});
  out.push_back({"scratch",
                 "/var/log off, /var/tmp in memory",
                 {},
                 "logs = \"off\"\nvar_tmp = \"memory\"\n"});
  return out;
}

}  // namespace panal::bench
