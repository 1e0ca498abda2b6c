#include "storage/recipe/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

namespace panal::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const char* const kSmall = R"(
name = "tiny"
description = "for tests"
session = ["xterm"]
packages = ["xterm", "dbus", "xterm"]
)";

TEST(Recipe, DefaultsAndOrder) {
  const auto recipe = parse_recipe(kSmall, "tiny.toml");
  ASSERT_TRUE(recipe) << recipe.error().message();
  EXPECT_EQ(recipe->name, "tiny");
  EXPECT_EQ(recipe->suite, "bookworm");
  EXPECT_THAT(recipe->packages, ElementsAre("dbus", "xterm"));
  EXPECT_THAT(recipe->session, ElementsAre("xterm"));
  EXPECT_THAT(recipe->locales, ElementsAre("C.UTF-8"));
  EXPECT_EQ(recipe->locale, "C.UTF-8");
  EXPECT_FALSE(recipe->browser_sandbox);
}

TEST(Recipe, FirstLocaleIsTheDefault) {
  const auto recipe =
      parse_recipe(std::string(kSmall) + "locales = [\"es_ES.UTF-8\", \"C.UTF-8\"]\n", "x");
  ASSERT_TRUE(recipe) << recipe.error().message();
  EXPECT_EQ(recipe->locale, "es_ES.UTF-8");
}

struct Malformed {
  const char* text;
  const char* complaint;  ///< what the sentence must begin with
};

class MalformedRecipe : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedRecipe, IsRefusedWithItsPlace) {
  const auto recipe = parse_recipe(GetParam().text, "bad.toml");
  ASSERT_FALSE(recipe) << GetParam().text;
  EXPECT_EQ(recipe.error().code, EPROTO);
  EXPECT_THAT(recipe.error().context, StartsWith(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedRecipe,
    ::testing::Values(
        Malformed{"", "bad.toml:"}, Malformed{"name = ", "bad.toml:1: "},
        Malformed{"name = \"a\"\nnmae = \"b\"\n", "bad.toml:2: unknown key \"nmae\"; known keys: "},
        Malformed{"\nname = 7\n", "bad.toml:2: name must be a string"},
        Malformed{"name = \"Not Good\"\nsession=[\"x\"]\npackages=[\"x\"]",
                  "bad.toml:1: name must"},
        Malformed{"name = \"../x\"\nsession=[\"x\"]\npackages=[\"x\"]", "bad.toml:1: name must"},
        Malformed{"name = \"-x\"\nsession=[\"x\"]\npackages=[\"x\"]", "bad.toml:1: name must"},
        Malformed{"name = \"a\"\npackages = [\"x\"]\n", "bad.toml:1: session is missing"},
        Malformed{"name = \"a\"\nsession = \"x\"\n", "bad.toml:2: session must be a list"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\n", "bad.toml:1: packages is missing"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\npackages = [1]\n",
                  "bad.toml:3: packages must be a string"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\npackages = [\"\"]\n",
                  "bad.toml:3: packages: an empty string"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\npackages = [\"x y\"]\n",
                  "bad.toml:3: packages: \"x y\" is no package name"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\npackages = [\"--force\"]\n",
                  "bad.toml:3: packages: \"--force\" is no package name"},
        Malformed{"name = \"a\"\nsession = [\"x\"]\npackages = [\"x;reboot\"]\n",
                  "bad.toml:3: packages: "},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nsuite=\"a b\"\n",
                  "bad.toml:4: suite \"a b\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nlocales=[\"es_ES\"]\n",
                  "bad.toml:4: locales: \"es_ES\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nlocales=[\"x'; rm -UTF-8\"]\n",
                  "bad.toml:4: locales: "},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nremove=[\"etc/x\"]\n",
                  "bad.toml:4: remove: \"etc/x\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nremove=[\"/x; reboot\"]\n",
                  "bad.toml:4: remove: "},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nremove=[\"/\"]\n",
                  "bad.toml:4: remove: \"/\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nremove=[\"/a/../b\"]\n",
                  "bad.toml:4: remove: "},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nfiles=1\n",
                  "bad.toml:4: files must be a table"},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\n[files]\n\"etc/x\"=\"\"\n",
                  "bad.toml:5: files: \"etc/x\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\n[files]\n\"/../x\"=\"\"\n",
                  "bad.toml:5: files: \"/../x\""},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\n[files]\n\"/x\"=3\n",
                  "bad.toml:5: /x must be a string"},
        Malformed{"name=\"a\"\nsession=[\"x\"]\npackages=[\"x\"]\nbrowser_sandbox=\"yes\"\n",
                  "bad.toml:4: browser_sandbox must be true or false"},
        Malformed{"name=\"a\"\nsession=[\"x\\u0000y\"]\npackages=[\"x\"]\n",
                  "bad.toml:2: session holds a NUL byte"}));

TEST(Recipe, TooLongIsRefused) {
  const auto recipe = parse_recipe(std::string(300 * 1024, '#'), "long.toml");
  ASSERT_FALSE(recipe);
  EXPECT_THAT(recipe.error().context, HasSubstr("256 KiB"));
}

TEST(RecipeDigest, IsOfTheMeaningNotOfTheText) {
  const auto one = parse_recipe(kSmall, "a");
  const auto same =
      parse_recipe("# a comment\nsession=['xterm']\npackages=['xterm','dbus']\nname='tiny'\n", "b");
  ASSERT_TRUE(one && same);
  EXPECT_EQ(digest(*one), digest(*same)) << "order, comments and description do not matter";
  EXPECT_EQ(digest(*one).size(), 64U);
}

TEST(RecipeDigest, ChangesWithWhatMatters) {
  const auto base = parse_recipe(kSmall, "a");
  ASSERT_TRUE(base);
  const auto differs = [&](auto change) {
    Recipe other = *base;
    change(other);
    return digest(other) != digest(*base);
  };
  EXPECT_TRUE(differs([](Recipe& r) { r.name = "other"; }));
  EXPECT_TRUE(differs([](Recipe& r) { r.suite = "trixie"; }));
  EXPECT_TRUE(differs([](Recipe& r) { r.packages.emplace_back("zsh"); }));
  EXPECT_TRUE(differs([](Recipe& r) { r.session.emplace_back("-ls"); }));
  EXPECT_TRUE(differs([](Recipe& r) { r.locales.emplace_back("es_ES.UTF-8"); }));
  EXPECT_TRUE(differs([](Recipe& r) { r.files.emplace_back("/etc/x", ""); }));
  EXPECT_TRUE(differs([](Recipe& r) { r.remove.emplace_back("/x"); }));
  EXPECT_TRUE(differs([](Recipe& r) { r.browser_sandbox = true; }));
  EXPECT_TRUE(differs([](Recipe& r) { r.session = {"xter", "m"}; }));
}

TEST(ShippedRecipes, ParseAndKeepTheRules) {
  for (const char* name : {"icewm", "xfce"}) {
    const std::string file = std::string(PANAL_SOURCE_DIR) + "/recipes/" + name + ".toml";
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    const auto recipe = parse_recipe(text.str(), file);
    ASSERT_TRUE(recipe) << recipe.error().message();
    EXPECT_EQ(recipe->name, name);
    EXPECT_THAT(recipe->packages, ::testing::IsSupersetOf({"nxagent", "dbus", "xterm"}));
    for (const char* unwanted : {"xfce4-power-manager", "light-locker", "xscreensaver", "cron",
                                 "systemd", "at-spi2-core", "policykit-1"})
      EXPECT_THAT(recipe->packages, ::testing::Not(::testing::Contains(unwanted))) << file;
    std::map<std::string, std::string> texts;
    for (const auto& [path, content] : recipe->files) {
      EXPECT_THAT(content, ::testing::Not(HasSubstr("%S"))) << path << ": a clock with seconds";
      texts[path] = content;
    }
    // No Xsession, so no ~/.xsession-errors that grows.
    EXPECT_EQ(recipe->session.front(), "/etc/X11/panal-session");
    EXPECT_THAT(texts["/etc/X11/panal-session"], HasSubstr("\nxset s off\n"));
    for (const char* line : {"gtk-cursor-blink=0\n", "gtk-enable-animations=0\n"})
      EXPECT_THAT(texts["/etc/gtk-3.0/settings.ini"], HasSubstr(line)) << file;
  }
}

TEST(ComparedRecipes, HaveNothingOfOurs) {
  const std::string file = std::string(PANAL_SOURCE_DIR) + "/bench/recipes/xfce-stock.toml";
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  const auto recipe = parse_recipe(text.str(), file);
  ASSERT_TRUE(recipe) << recipe.error().message();
  EXPECT_EQ(recipe->name, "xfce-stock");
  EXPECT_TRUE(recipe->files.empty());
  EXPECT_TRUE(recipe->remove.empty());
  EXPECT_THAT(recipe->packages, ::testing::IsSupersetOf({"nxagent", "xfce4", "xterm"}));
}

}  // namespace
}  // namespace panal::storage
