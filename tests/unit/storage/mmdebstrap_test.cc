#include "storage/recipe/mmdebstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::storage::mmdebstrap {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

Recipe recipe() {
  Recipe made;
  made.name = "tiny";
  made.packages = {"dbus", "xterm"};
  made.session = {"xterm"};
  made.locales = {"C.UTF-8"};
  return made;
}

TEST(Arguments, AreTheRecipeAndNothingOfTheHost) {
  const auto words = arguments(recipe(), Sources{});
  EXPECT_EQ(words.front(), "mmdebstrap");
  EXPECT_THAT(words, Contains("--mode=unshare"));
  EXPECT_THAT(words, Contains("--format=directory"));
  EXPECT_THAT(words, Contains("--include=dbus,xterm"));
  EXPECT_THAT(words, Contains("--aptopt=APT::Install-Recommends \"false\""));
  // suite, target, mirrors: positional, in this order, at the end
  const std::vector<std::string> last(words.end() - 5, words.end());
  const std::string keyring = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ";
  EXPECT_THAT(
      last, ElementsAre("bookworm", "/tmp/build/root",
                        keyring + "http://deb.debian.org/debian bookworm main",
                        keyring + "http://deb.debian.org/debian bookworm-updates main",
                        keyring + "http://deb.debian.org/debian-security bookworm-security main"));
}

TEST(Arguments, KeepMessagesOfTheRecipesLanguagesOnly) {
  Recipe spanish = recipe();
  spanish.locales = {"es_ES.UTF-8"};
  const auto words = arguments(spanish, Sources{});
  EXPECT_THAT(words, Contains("--dpkgopt=path-exclude=/usr/share/locale/*"));
  EXPECT_THAT(words, Contains("--dpkgopt=path-include=/usr/share/locale/es/*"));
  EXPECT_THAT(words, Contains("--dpkgopt=path-include=/usr/share/locale/es_ES/*"));
  EXPECT_THAT(words, Contains("--include=dbus,locales,xterm"));
}

TEST(Arguments, AreDeterministic) {
  EXPECT_EQ(arguments(recipe(), Sources{}), arguments(recipe(), Sources{}));
}

TEST(Packages, NeedNoLocalesForC) { EXPECT_THAT(packages(recipe()), Not(Contains("locales"))); }

TEST(FinaliseScript, MakesLocalesAndRemovesWhatTheRecipeSays) {
  Recipe full = recipe();
  full.locales = {"de_DE.UTF-8", "C.UTF-8"};
  full.locale = "de_DE.UTF-8";
  full.remove = {"/usr/share/sounds/*"};
  const std::string script = finalise_script(full);
  EXPECT_THAT(script, HasSubstr("'de_DE.UTF-8 UTF-8' >/etc/locale.gen\nlocale-gen\n"));
  EXPECT_THAT(script, Not(HasSubstr("'C.UTF-8 UTF-8'")));
  EXPECT_THAT(script, HasSubstr("LANG=de_DE.UTF-8"));
  EXPECT_THAT(script, HasSubstr("rm -rf -- /usr/share/sounds/*\n"));
  EXPECT_THAT(script, HasSubstr(": >/etc/machine-id"));
  EXPECT_LT(script.find("rm -rf -- /usr/share/sounds/*\n"), script.find("fc-cache -s"))
      << "nothing touches the fonts' directories afterwards";
  EXPECT_THAT(finalise_script(recipe()), Not(HasSubstr("locale-gen")));
}

TEST(BuildProgress, RisesToTheEndAndNeverFalls) {
  Progress progress;
  double last = 0;
  const auto feed = [&](const std::string& line) {
    progress.feed(line);
    EXPECT_GE(progress.fraction(), last) << line;
    EXPECT_LE(progress.fraction(), 1.0);
    last = progress.fraction();
  };
  feed("I: running apt-get update...");
  feed("0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.");
  feed("Get:1 http://x bookworm/main amd64 libc6 amd64 2.36 [2758 kB]");
  feed("Get:2 http://x bookworm/main amd64 dash amd64 0.5 [90 kB]");
  feed("I: extracting archives...");
  feed("Unpacking libc6:amd64 (2.36) ...");
  EXPECT_EQ(progress.what(), "unpacking libc6");
  feed("Setting up libc6:amd64 (2.36) ...");
  feed("0 upgraded, 10 newly installed, 0 to remove and 0 not upgraded.");
  EXPECT_EQ(progress.what(), "downloading 10 packages");
  for (int i = 0; i < 20; ++i) feed("Get:9 more than was announced");
  for (int i = 0; i < 20; ++i) feed("Unpacking x (1) ...");
  for (int i = 0; i < 20; ++i) feed("Setting up x (1) ...");
  feed("Generating locales (this might take a while)...");
  feed("I: cleaning package lists and apt cache...");
  EXPECT_GT(progress.fraction(), 0.95);
}

TEST(BuildProgress, TakesAnyLine) {
  Progress progress;
  for (const char* line :
       {"", " ", "Get:", "Unpacking ", "Setting up ", " upgraded, ",
        "0 upgraded, 99999999999999999999 newly", "0 upgraded, -1 newly", "Unpacking \x01\xff"})
    progress.feed(line);
  EXPECT_LE(progress.fraction(), 1.0);
}

TEST(DpkgStatus, ListsWhatIsInstalled) {
  EXPECT_THAT(parse_dpkg_status("Package: xterm\nStatus: install ok installed\nVersion: 379-1\n\n"
                                "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
                                "Package: bash\nVersion: 5.2\nStatus: install ok installed\n"),
              ElementsAre(Pair("bash", "5.2"), Pair("xterm", "379-1")));
}

TEST(DpkgStatus, LeavesOutWhatIsNoPackage) {
  const auto with = [](const std::string& name, const std::string& version) {
    return "Package: " + name + "\nStatus: install ok installed\nVersion: " + version + "\n\n";
  };
  const std::string nul("a\0b", 3);
  for (const auto& text :
       {with("", "1"), with("a b", "1"), with("A", "1"), with("a/b", "1"), with("a\x1b[2J", "1"),
        with(nul, "1"), with("a\r", "1"), with("\xc3\xa4", "1"), with(std::string(129, 'a'), "1"),
        with("a", ""), with("a", "1 2"), with("a", "\x07"), with("a", std::string(129, '1')),
        with("a", "1\r"), std::string("Package: a\nStatus: install ok installed\n"),
        std::string("Package: a\nStatus: install ok installed \nVersion: 1\n"),
        std::string("Package: a\nStatus: hold ok half-installed\nVersion: 1\n")})
    EXPECT_TRUE(parse_dpkg_status(text).empty()) << text;
  EXPECT_THAT(parse_dpkg_status(with("libc6.1-dev+x", "1:2.0~rc1+b2-3A")),
              ElementsAre(Pair("libc6.1-dev+x", "1:2.0~rc1+b2-3A")));
  std::string many;
  for (int i = 0; i < 100'010; ++i) many += with("p" + std::to_string(i), "1");
  EXPECT_EQ(parse_dpkg_status(many).size(), 100'000U);
}

TEST(DpkgStatus, TakesAnyText) {
  for (const char* text : {"", "\n", "\n\n\n", "Package: ", "Package: x",
                           "Version: 1\n\nStatus:", "Status: install ok installed\n\n"})
    EXPECT_TRUE(parse_dpkg_status(text).empty()) << text;
}

}  // namespace
}  // namespace panal::storage::mmdebstrap
