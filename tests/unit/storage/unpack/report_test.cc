#include "storage/unpack/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/unpack/unpack.h"

namespace panal::storage::unpack {
namespace {

using ::testing::ElementsAre;

Result<ReportLine> through(const ReportLine& line) {
  std::string text = print_report(line);
  EXPECT_EQ(text.find('\n'), text.size() - 1) << "one line";
  text.pop_back();
  return parse_report(text);
}

TEST(Report, SurvivesPrintAndParse) {
  ReportLine line;
  line.permille = 412;
  line.words = "unpacking layer 1 of 2";
  EXPECT_EQ(through(line)->permille, 412U);
  EXPECT_EQ(through(line)->words, line.words);

  line.kind = ReportLine::Kind::kError;
  line.code = EFBIG;
  line.words = "\"a\nb\" is too much";
  const auto error = through(line);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, EFBIG);
  EXPECT_EQ(error->words, "\"a\\x0ab\" is too much");

  line.kind = ReportLine::Kind::kDone;
  line.summary.oci = true;
  line.summary.digest = std::string(64, '0');
  line.summary.session = {"sh", "-c", "a\nb \"c\" \xc3\xa4"};
  line.summary.inner_root = "rootfs";
  line.summary.entries = 7;
  line.summary.left_out = 2;
  const auto done = through(line);
  ASSERT_TRUE(done) << done.error().context;
  EXPECT_EQ(done->kind, ReportLine::Kind::kDone);
  EXPECT_TRUE(done->summary.oci);
  EXPECT_EQ(done->summary.session, line.summary.session);
  EXPECT_EQ(done->summary.inner_root, "rootfs");
  EXPECT_EQ(done->summary.entries, 7U);
  EXPECT_EQ(done->summary.left_out, 2U);
}

TEST(Report, BelievesNothing) {
  const std::string digest(64, '0');
  const auto done = [&digest](const std::string& more) {
    return R"(done {"oci": false, "digest": ")" + digest +
           R"(", "session": [], "inner_root": "", "entries": 1, "left_out": 0)" + more + "}";
  };
  ASSERT_TRUE(parse_report(done("")));
  for (const std::string& line : {std::string(),
                                  std::string("progress"),
                                  std::string("progress 1"),
                                  std::string("progress -1 x"),
                                  std::string("progress 99999999999999999999 x"),
                                  std::string("error x y"),
                                  std::string("done"),
                                  std::string("done "),
                                  std::string("done []"),
                                  std::string("done {}"),
                                  std::string("done null"),
                                  std::string("E: build: mount proc: no"),
                                  done(R"(, "session": ["a\u0000b"])"),
                                  done(R"(, "session": [1])"),
                                  done(R"(, "session": "a")"),
                                  done(R"(, "inner_root": "../../etc")"),
                                  done(R"(, "inner_root": "root")"),
                                  done(R"(, "digest": "../x")"),
                                  done(R"(, "entries": -1)"),
                                  done(R"(, "oci": 1)")}) {
    const auto got = parse_report(line);
    ASSERT_FALSE(got) << line;
    EXPECT_EQ(got.error().code, EPROTO) << line;
  }
  EXPECT_EQ(parse_report("progress 4000 x")->permille, 1000U);
  EXPECT_EQ(parse_report("error -5 x")->code, EPROTO);
  EXPECT_EQ(parse_report("error 99999 x")->code, EPROTO);
  EXPECT_EQ(parse_report("error 1 \x1b[2J")->words, "\\x1b[2J");
}

TEST(UnpackOptions, SurvivePrintAndParse) {
  UnpackOptions options;
  options.kind = SourceKind::kOci;
  options.reference = "a b";
  options.leave_out_special = true;
  options.limit_bytes = 5;
  options.limit_entries = 6;
  options.input_bytes = 7;
  const auto back = parse_options(print_options(options));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->kind, SourceKind::kOci);
  EXPECT_EQ(back->reference, "a b");
  EXPECT_TRUE(back->leave_out_special);
  EXPECT_EQ(back->limit_bytes, 5U);
  EXPECT_EQ(back->limit_entries, 6U);
  EXPECT_EQ(back->input_bytes, 7U);
  EXPECT_THAT(print_options({}), ElementsAre("auto", "0", "0", "0", "refuse"));
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"auto"},
                                                {"zip", "1", "1", "1", "refuse"},
                                                {"tar", "x", "1", "1", "refuse"},
                                                {"tar", "1", "-1", "1", "refuse"},
                                                {"tar", "1", "1", "1", "maybe"},
                                                {"tar", "1", "1", "1", "refuse", "a", "b"}})
    EXPECT_FALSE(parse_options(words));
}

}  // namespace
}  // namespace panal::storage::unpack
