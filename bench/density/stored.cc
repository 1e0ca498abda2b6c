#include "bench/density/stored.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace panal::bench {

using nlohmann::json;

json to_json(const Provenance& p) {
  return {
      {"date", p.date},     {"machine", p.machine},         {"kernel", p.kernel},
      {"commit", p.commit}, {"command", p.command},         {"uncommitted", p.uncommitted},
      {"trees", p.trees},   {"load_before", p.load_before}, {"quiet", p.load_before <= kQuietLoad}};
}

std::string print_stored(const Figure& figure, const Stored& stored) {
  json out = {{"figure", stored.name},
              {"value", stored.value},
              {"unit", figure.unit},
              {"target", target_text(figure)},
              {"verdict", passes(figure, stored.value) ? "pass" : "fail"},
              {"measured", to_json(stored.provenance)},
              {"details", json::parse(stored.details, nullptr, false)}};
  if (out["details"].is_discarded()) out["details"] = json::object();
  return out.dump(2) + "\n";
}

Result<Stored> parse_stored(const std::string& text, const std::string& file) {
  const json root = json::parse(text, nullptr, false);
  const auto wrong = [&](const std::string& what) { return fail(EPROTO, file + ": " + what); };
  if (!root.is_object()) return wrong("not a JSON object");
  Stored out;
  const auto text_of = [](const json& object, const char* key) {
    return object.contains(key) && object[key].is_string() ? object[key].get<std::string>()
                                                           : std::string();
  };
  out.name = text_of(root, "figure");
  if (out.name.empty()) return wrong("no \"figure\"");
  if (!root.contains("value") || !root["value"].is_number()) return wrong("no number \"value\"");
  out.value = root["value"].get<double>();
  if (!root.contains("measured") || !root["measured"].is_object()) return wrong("no \"measured\"");
  const json& measured = root["measured"];
  Provenance& p = out.provenance;
  p.date = text_of(measured, "date");
  p.machine = text_of(measured, "machine");
  p.kernel = text_of(measured, "kernel");
  p.commit = text_of(measured, "commit");
  p.command = text_of(measured, "command");
  if (measured.contains("uncommitted") && measured["uncommitted"].is_boolean())
    p.uncommitted = measured["uncommitted"].get<bool>();
  if (measured.contains("load_before") && measured["load_before"].is_number())
    p.load_before = measured["load_before"].get<double>();
  if (!measured.contains("trees") || !measured["trees"].is_object())
    return wrong("no \"trees\": what code was measured?");
  for (const auto& [path, tree] : measured["trees"].items()) {
    if (!tree.is_string()) return wrong("\"trees\" holds something that is no text");
    p.trees[path] = tree.get<std::string>();
  }
  out.details = root.contains("details") ? root["details"].dump() : "{}";
  return out;
}

Provenance of_code(Provenance provenance, const std::vector<std::string>& paths) {
  std::erase_if(provenance.trees, [&](const auto& one) {
    return std::find(paths.begin(), paths.end(), one.first) == paths.end();
  });
  provenance.uncommitted =
      std::any_of(provenance.trees.begin(), provenance.trees.end(),
                  [](const auto& one) { return one.second.ends_with("uncommitted"); });
  return provenance;
}

std::vector<std::string> changed_since(const Stored& stored, const Trees& now) {
  std::vector<std::string> changed;
  for (const auto& [path, tree] : now) {
    const auto then = stored.provenance.trees.find(path);
    if (then == stored.provenance.trees.end() || then->second != tree) changed.push_back(path);
  }
  return changed;
}

std::vector<std::string> changed_code(const Figure& figure, const Stored& stored,
                                      const Trees& now) {
  Trees mine;
  for (const std::string& path : figure.code)
    if (const auto found = now.find(path); found != now.end()) mine.insert(*found);
  return changed_since(stored, mine);
}

}  // namespace panal::bench
