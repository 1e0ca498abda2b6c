#include <gmock/gmock.h>

#include <filesystem>

#include "engine/profile/saved.h"
#include "runtime/optimiser/ksm_keeper.h"
#include "tests/unit/runtime/cli/tune_fixture.h"

namespace panal::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Call {
  std::vector<std::string> words;
  ExitCode code;
  const char* said;  ///< on err where it went wrong, else on out
};

TEST_F(Tune, BadInputIsOneSentenceThatSaysWhatToDo) {
  for (const Call& call : std::vector<Call>{
           {{"tune"}, ExitCode::kUsage, "panal tune --help lists the commands"},
           {{"tune", "sing"}, ExitCode::kUsage, "sing"},
           {{"tune", "plan", "balnced"}, ExitCode::kNotFound, "the nearest one is balanced"},
           {{"tune", "show", "zzz"}, ExitCode::kNotFound, "there are: balanced, broken, needs-ksm"},
           {{"tune", "plan", "./no/such.toml"}, ExitCode::kNotFound, "./no"},
           {{"tune", "plan", "broken"},
            ExitCode::kUsage,
            "broken.toml:3: unknown key rnu in [ksm]; the nearest known one is run"},
           {{"tune", "apply", "broken"}, ExitCode::kUsage, "broken.toml:3: "},
           {{"tune", "show", "broken"}, ExitCode::kUsage, "broken.toml:3: "},
           {{"tune", "plan", "--desktops", "0"}, ExitCode::kUsage, "--desktops"},
           {{"tune", "plan", "--desktops", "many"}, ExitCode::kUsage, "--desktops"},
           {{"tune", "apply", "needs-ksm"},
            ExitCode::kRefused,
            "ksm.run cannot be set to 1: this host has no such setting; nothing was changed"},
           {{"tune", "plan", "needs-ksm"}, ExitCode::kRefused, "ksm.run cannot be set here"},
           {{"tune", "verify"},
            ExitCode::kRefused,
            "no profile is applied on this machine: panal tune"},
           {{"tune", "revert"}, ExitCode::kRefused, "no profile is applied on this machine"},
           {{"tune", "revert", "--dry-run"}, ExitCode::kRefused, "no profile is applied"}}) {
    EXPECT_EQ(panal(call.words), call.code) << testing::PrintToString(call.words) << err();
    EXPECT_THAT(err(), HasSubstr(call.said));
    const std::string said = err();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "60");
  EXPECT_FALSE(std::filesystem::exists(root_ + "/saved"));
}

TEST_F(Tune, ListsShowsAndPlans) {
  ASSERT_EQ(panal({"tune", "ls"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("for trials"));
  EXPECT_THAT(out(), HasSubstr("broken"));
  ASSERT_EQ(panal({"tune", "ls", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()[0]["name"], "balanced");
  EXPECT_EQ(json()[0]["default"], true);
  EXPECT_EQ(json()[1]["good"], false);

  ASSERT_EQ(panal({"tune", "show"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("\"vm.swappiness\" = { exactly = 150"));
  EXPECT_THAT(out(), HasSubstr("[gate]")) << "defaults too";
  ASSERT_EQ(panal({"tune", "show", "balanced", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["profile"]["sysctl"]["vm.swappiness"]["exactly"], 150);

  ASSERT_EQ(panal({"tune", "plan"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("2 of 2 settings change"));
  EXPECT_THAT(out(), HasSubstr("because")) << "why";
  ASSERT_EQ(panal({"tune", "plan", "--desktops", "50", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()["changes"], 2);
  EXPECT_EQ(json()["settings"][0]["name"], "kernel.keys.maxkeys");
  EXPECT_EQ(json()["settings"][0]["before"], "200");
  EXPECT_EQ(json()["settings"][0]["after"], "600");
  EXPECT_FALSE(json()["settings"][0]["why"].empty());
}

TEST_F(Tune, PlansSayWhatDesktopsAreLikeInside) {
  ASSERT_EQ(panal({"tune", "plan"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), Not(HasSubstr("inside desktops")));
  put("profiles/balanced.toml", "name = \"balanced\"\n[guest]\nmask_memory = true\n");
  ASSERT_EQ(panal({"tune", "plan"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("0 of 0 settings change"));
  EXPECT_THAT(out(), HasSubstr("inside desktops, by panald: programs see the desktop's memory"));
  ASSERT_EQ(panal({"tune", "plan", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["guest"].size(), 1U);
  ASSERT_EQ(panal({"tune", "show", "--json"}), ExitCode::kOk) << err();
  EXPECT_EQ(json()["profile"]["guest"]["mask_memory"], true);
  EXPECT_EQ(json()["profile"]["guest"]["cache"], "home");
}

TEST_F(Tune, AppliesVerifiesAndReverts) {
  ASSERT_EQ(panal({"tune", "apply", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("vm.swappiness"));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "60");

  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("profile balanced is applied"));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "150");
  EXPECT_EQ(get("proc/sys/kernel/keys/maxkeys"), "1100");
  ASSERT_EQ(panal({"tune", "verify"}), ExitCode::kOk) << err();
  ASSERT_EQ(panal({"tune", "ls", "--json"}), ExitCode::kOk);
  EXPECT_EQ(json()[0]["applied"], true);

  put("proc/sys/vm/swappiness", "61\n");
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("vm.swappiness is 61, not 150"));
  EXPECT_THAT(err(), HasSubstr("1 of 2 settings are not as profile balanced left them"));
  EXPECT_EQ(panal({"tune", "verify", "--json"}), ExitCode::kFailed);
  EXPECT_EQ(json()["drift"][0]["found"], "61");

  ASSERT_EQ(panal({"tune", "revert", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would set vm.swappiness from 61 back to 60"));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "61");
  ASSERT_EQ(panal({"tune", "revert"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("somebody had changed it meanwhile"));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "60");
  EXPECT_EQ(get("proc/sys/kernel/keys/maxkeys"), "200");
}

TEST_F(Tune, WhatALivingGovernorTurnsIsNoDrift) {
  const std::string ksm = "sys/kernel/mm/ksm/";
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"run", "0\n"},
                                                                  {"use_zero_pages", "0\n"},
                                                                  {"smart_scan", "0\n"},
                                                                  {"pages_to_scan", "100\n"}})
    put(ksm + name, value);
  put("profiles/merging.toml",
      "name = \"merging\"\n[ksm]\nrun = \"scan\"\nuse_zero_pages = true\nsmart_scan = true\n"
      "pages_to_scan = 500\n");
  put("panal.toml", "[paths]\nprofiles = \"" + root_ + "/profiles\"\nstate = \"" + root_ +
                        "/state\"\nrun = \"" + root_ + "/run\"\n");
  ASSERT_EQ(panal({"tune", "apply", "merging"}), ExitCode::kOk) << err();
  put(ksm + "run", "0\n");
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed);
  EXPECT_THAT(out(), HasSubstr("ksm.run is 0, not 1"));

  // The two things by which a governor is known.
  const std::string file = root_ + "/saved/ksm.former";
  const Tree tree = std::move(*Tree::open_below(root_));
  optimiser::KsmRecord governor(tree, file, root_ + "/lock");
  ASSERT_TRUE(governor.hold());
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed) << "it lives, but turned nothing yet";
  put("saved/ksm.former", "{");
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed) << "nor beside a damaged record";
  put("saved/ksm.former", optimiser::print_saved_ksm({"one", {}}));
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("not checked, panald turns them while it governs KSM: "));
  EXPECT_THAT(out(), HasSubstr("ksm.run"));
  EXPECT_THAT(out(), Not(HasSubstr("smart_scan")));
  ASSERT_EQ(panal({"tune", "verify", "--json"}), ExitCode::kOk);
  EXPECT_THAT(json()["governed"].dump(), HasSubstr("\"ksm.run\""));
  (void)panal({"status", "--json"});
  EXPECT_EQ(json()["tuning"]["state"], "applied");

  put(ksm + "smart_scan", "0\n");
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed) << "that one is nobody's";
  EXPECT_THAT(out(), HasSubstr("ksm.smart_scan is 0, not 1"));
  put(ksm + "smart_scan", "1\n");
  governor.let_go();
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed) << "it was killed: nobody governs";
}

TEST_F(Tune, WhoMayNotIsTold) {
  backends_.privileged = false;
  EXPECT_EQ(panal({"tune", "plan"}), ExitCode::kOk) << "anybody may look";
  EXPECT_EQ(panal({"tune", "apply"}), ExitCode::kNotAllowed);
  EXPECT_THAT(err(), HasSubstr("run it with sudo"));
  EXPECT_EQ(panal({"tune", "revert"}), ExitCode::kNotAllowed);
  backends_.privileged = true;
  backends_.refusal = "this is a lab";
  EXPECT_EQ(panal({"tune", "apply"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("this is a lab"));
  EXPECT_EQ(panal({"tune", "apply", "--dry-run"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("panal tune apply would be refused: this is a lab"));
  EXPECT_EQ(panal({"tune", "plan"}), ExitCode::kOk);
  EXPECT_THAT(out(), Not(HasSubstr("this is a lab")));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "60");
}

TEST_F(Tune, SomebodyElseAtItIsTold) {
  const auto lock = profile::MachineLock::take(root_ + "/lock");
  ASSERT_TRUE(lock);
  EXPECT_EQ(panal({"tune", "apply"}), ExitCode::kRefused);
  EXPECT_THAT(err(), HasSubstr("try again when it has ended"));
}

TEST_F(Tune, WhatWasStoppedInTheMiddleIsToldAndTakenBack) {
  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  std::ifstream file(root_ + "/saved/applied.json");
  std::string record((std::istreambuf_iterator<char>(file)), {});
  record.replace(record.find("\"applied\""), 9, "\"applying\"");
  put("saved/applied.json", record);
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("stopped in the middle: panal tune revert"));
  ASSERT_EQ(panal({"tune", "apply", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("what was before it is brought back first"));
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "150");
  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("vm.swappiness: 150 -> 60")) << "back first";
  EXPECT_EQ(get("proc/sys/vm/swappiness"), "150");
  put("saved/applied.json", "{");
  EXPECT_EQ(panal({"tune", "revert"}), ExitCode::kFailed);
  EXPECT_THAT(err(), HasSubstr("put the settings right by hand"));
}

TEST_F(Tune, WhatABootTookBackIsNotPlannedToBeTakenBackAgain) {
  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  put("proc/sys/kernel/random/boot_id", "two\n");
  put("proc/sys/vm/swappiness", "60\n");
  put("proc/sys/kernel/keys/maxkeys", "1100\n");  // the host's own now
  ASSERT_EQ(panal({"tune", "revert", "--dry-run"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("would forget profile balanced"));
  EXPECT_THAT(out(), Not(HasSubstr("would set")));
  ASSERT_EQ(panal({"tune", "plan", "--desktops", "50"}), ExitCode::kOk) << err();
  EXPECT_THAT(out(), HasSubstr("is forgotten first"));
  ASSERT_EQ(panal({"tune", "plan", "--desktops", "50", "--json"}), ExitCode::kOk) << err();
  const nlohmann::json plan = json();
  EXPECT_THAT(plan["notes"].dump(), HasSubstr("is forgotten first"));
  for (const auto& setting : plan["settings"]) {
    if (setting["name"] != "kernel.keys.maxkeys") continue;
    EXPECT_EQ(setting["after"], "1100") << "never lowered, as an apply would not";
    EXPECT_EQ(setting["original"], "1100");
  }
  ASSERT_EQ(panal({"tune", "revert"}), ExitCode::kOk) << err();
  EXPECT_EQ(get("proc/sys/kernel/keys/maxkeys"), "1100");
}

TEST_F(Tune, StatusTellsWhatIsApplied) {
  (void)panal({"status"});
  EXPECT_THAT(out(), HasSubstr("none applied"));
  ASSERT_EQ(panal({"tune", "apply"}), ExitCode::kOk) << err();
  (void)panal({"status", "--json"});
  EXPECT_EQ(json()["tuning"]["profile"], "balanced");
  EXPECT_EQ(json()["tuning"]["state"], "applied");
}

}  // namespace
}  // namespace panal::cli
