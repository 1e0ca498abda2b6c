#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/cli/cli.h"
#include "runtime/cli/table.h"
#include "runtime/compose/root_choice.h"
#include "storage/image/image_store.h"

namespace panal::cli {
namespace {

struct ComposeQuestion {
  std::string image;
  bool json = false;
};

/// Those on this node, and those that the configuration names; who may not look sees the latter.
std::set<std::string> images_of(const Shell& shell) {
  std::set<std::string> out;
  for (const auto& [image, backend] : shell.config.compose_images) out.insert(image);
  for (const auto& [image, layers] : shell.config.compose_layers) out.insert(image);
  if (const auto versions = storage::ImageStore(shell.config.images_dir).look()) {
    for (const storage::VersionManifest& one : versions->sound) out.insert(one.image);
    for (const storage::BrokenVersion& one : versions->broken) out.insert(one.image);
  }
  return out;
}

nlohmann::json choice_json(const std::string& image, bool persistent,
                           const Result<storage::Choice>& choice) {
  nlohmann::json one = {{"image", image}, {"persistent", persistent}};
  if (choice) {
    one["backend"] = choice->backend;
    one["reasons"] = choice->reasons;
  } else {
    one["backend"] = nullptr;
    one["reasons"] = nlohmann::json::array({choice.error().context});
  }
  return one;
}

nlohmann::json answer(const compose::RootChoice& roots, const std::set<std::string>& images) {
  const storage::ComposeFacts& facts = roots.facts();
  nlohmann::json out = {{"kernel", facts.kernel},
                        {"layers_on", facts.upper_fs},
                        {"backends", nlohmann::json::array()},
                        {"images", nlohmann::json::array()}};
  for (const std::string& name : storage::backend_names()) {
    const auto words = storage::why_not(name, facts);
    const std::string against = words ? *words : words.error().context;
    out["backends"].push_back({{"name", name}, {"usable", against.empty()}, {"why_not", against}});
  }
  for (const std::string& image : images)
    for (const bool persistent : {false, true})
      out["images"].push_back(choice_json(image, persistent, roots.for_image(image, persistent)));
  return out;
}

void print_answer(Shell& shell, const nlohmann::json& found) {
  shell.out << fmt::format("Linux {}, desktops' layers on {}\n\n",
                           found["kernel"].get<std::string>(),
                           found["layers_on"].get<std::string>());
  Table backends({"BACKEND", "HERE", "WHY NOT"});
  for (const auto& one : found["backends"])
    backends.add_row({one["name"].get<std::string>(), one["usable"].get<bool>() ? "yes" : "no",
                      one["why_not"].get<std::string>()});
  backends.print(shell.out);
  shell.out << '\n';
  Table images({"IMAGE", "DESKTOPS", "BACKEND", "WHY"});
  for (const auto& one : found["images"]) {
    std::string image = one["image"].get<std::string>();
    std::string kind = one["persistent"].get<bool>() ? "persistent" : "volatile";
    std::string backend = one["backend"].is_null() ? "none" : one["backend"].get<std::string>();
    // One line a reason; what they are about stands in the first.
    for (const auto& reason : one["reasons"]) {
      images.add_row({image, kind, backend, reason.get<std::string>()});
      image.clear();
      kind.clear();
      backend.clear();
    }
  }
  images.print(shell.out);
}

ExitCode show_compose(Shell& shell, const ComposeQuestion& question) {
  PANAL_CLI_ASSIGN(shell, const auto tree, Tree::open_system());
  PANAL_CLI_ASSIGN(shell, const auto roots, compose::RootChoice::open(shell.config, tree));
  std::set<std::string> images = images_of(shell);
  if (!question.image.empty()) {
    if (!images.contains(question.image))
      return shell.refuse(ExitCode::kNotFound,
                          "there is no image " + question.image + " on this node");
    images = {question.image};
  }
  const nlohmann::json found = answer(roots, images);
  if (question.json)
    shell.print(found);
  else
    print_answer(shell, found);
  const bool all = std::all_of(found["images"].begin(), found["images"].end(),
                               [](const auto& one) { return !one["backend"].is_null(); });
  return all ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace

void add_compose_commands(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand(
      "compose", "How desktops' roots are made on this node, image by image, and why.");
  const auto question = std::make_shared<ComposeQuestion>();
  command->add_option("IMAGE", question->image, "this image only");
  command->add_flag("--json", question->json, "as JSON");
  command->callback([&action, question] {
    action = [question](Shell& shell) { return show_compose(shell, *question); };
  });
}

}  // namespace panal::cli
