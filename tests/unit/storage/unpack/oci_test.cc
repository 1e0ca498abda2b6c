#include "storage/unpack/oci.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::storage::unpack::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kHex(64, 'a');
const std::string kOther(64, 'b');

std::string descriptor(const std::string& media_type, const std::string& hex = kHex,
                       const std::string& more = "") {
  return R"({"mediaType": ")" + media_type + R"(", "digest": "sha256:)" + hex + R"(", "size": 12)" +
         more + "}";
}
const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";
const std::string kConfigType = "application/vnd.oci.image.config.v1+json";
const std::string kLayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string manifest(const std::string& config, const std::string& layers) {
  return R"({"schemaVersion": 2, "config": )" + config + R"(, "layers": )" + layers + "}";
}

template <typename T>
void expect_protocol_error(const Result<T>& got, const std::string& text) {
  ASSERT_FALSE(got) << text;
  EXPECT_EQ(got.error().code, EPROTO) << text;
  EXPECT_THAT(got.error().context, HasSubstr("the file")) << text;
  EXPECT_LT(got.error().context.size(), 700U) << text;
}

TEST(OciLayout, IsOfVersionOne) {
  EXPECT_TRUE(check_layout(R"({"imageLayoutVersion": "1.0.0"})", "the file"));
  EXPECT_TRUE(check_layout(R"({"imageLayoutVersion": "1.1.0", "x": []})", "the file"));
  for (const char* text :
       {"", "{", "[]", "null", "1", "\"1.0.0\"", "{}", R"({"imageLayoutVersion": 1})",
        R"({"imageLayoutVersion": "2.0.0"})", R"({"imageLayoutVersion": null})",
        R"({"imageLayoutVersion": "\u001b[2J"})", "{\"imageLayoutVersion\": \"1.\xff\"}"})
    expect_protocol_error(check_layout(text, "the file"), text);
}

TEST(OciIndex, ListsDescriptors) {
  const auto all =
      parse_index(R"({"schemaVersion": 2, "manifests": [)" +
                      descriptor(kManifestType, kHex,
                                 R"(, "platform": {"os": "linux", "architecture": "amd64"},
                        "annotations": {"org.opencontainers.image.ref.name": "v1", "a": "b"})") +
                      "," + descriptor(kManifestType, kOther) + "]}",
                  "the file");
  ASSERT_TRUE(all) << all.error().context;
  ASSERT_THAT(*all, SizeIs(2));
  EXPECT_EQ((*all)[0].digest.text(), "sha256:" + kHex);
  EXPECT_EQ((*all)[0].size_bytes, 12U);
  EXPECT_EQ((*all)[0].architecture, "amd64");
  EXPECT_EQ((*all)[0].reference, "v1");
  EXPECT_EQ(blob_path((*all)[1]), "blobs/sha256/" + kOther);
  EXPECT_THAT(*parse_index(R"({"schemaVersion": 2, "manifests": []})", "the file"), IsEmpty());
}

TEST(OciIndex, RefusesMalformedText) {
  const std::string begin = R"({"schemaVersion": 2, "manifests": )";
  std::string deep = begin;
  for (int i = 0; i < 20'000; ++i) deep += "[";
  std::string many = begin + "[";
  for (int i = 0; i < 5000; ++i) many += (i == 0 ? "" : ",") + descriptor(kManifestType);
  for (const std::string& text :
       {std::string(),
        std::string("{"),
        std::string("[]"),
        std::string("{}"),
        deep,
        many + "]}",
        std::string(R"({"schemaVersion": 2})"),
        std::string(R"({"schemaVersion": 1, "manifests": []})"),
        std::string(R"({"schemaVersion": "2", "manifests": []})"),
        std::string(R"({"schemaVersion": 2.0, "manifests": []})"),
        begin + "{}}",
        begin + "null}",
        begin + "[1]}",
        begin + "[[]]}",
        begin + "[{}]}",
        begin + R"([{"digest": 1}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"("}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"(", "size": -1}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"(", "size": 1.5}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"(", "size": 1e3}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"(", "size": "1"}]})",
        begin + R"([{"digest": "sha256:)" + kHex + R"(", "size": 99999999999999999999999}]})",
        begin + R"([{"digest": "sha256:../../etc/passwd", "size": 1}]})",
        begin + R"([{"digest": "sha256:)" + kHex.substr(1) + R"(", "size": 1}]})",
        begin + R"([{"digest": "sha256:)" + std::string(64, 'A') + R"(", "size": 1}]})",
        begin + R"([{"digest": "md5:)" + kHex + R"(", "size": 1}]})",
        begin + R"([{"digest": "sha512:)" + kHex + R"(", "size": 1}]})",
        begin + "[" + descriptor(kManifestType, kHex, R"(, "platform": {"os": 1})") + "]}",
        begin + "[" +
            descriptor(kManifestType, kHex,
                       R"(, "annotations": {"org.opencontainers.image.ref.name": []})") +
            "]}",
        std::string(kMostDocument + 1, ' ')})
    expect_protocol_error(parse_index(text, "the file"), text.substr(0, 200));
}

TEST(OciManifest, NamesConfigurationAndLayers) {
  const auto got = parse_image_manifest(
      manifest(descriptor(kConfigType),
               "[" + descriptor(kLayerType, kOther) + "," +
                   descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip") + "]"),
      "the file");
  ASSERT_TRUE(got) << got.error().context;
  EXPECT_EQ(got->config.digest.hex, kHex);
  ASSERT_THAT(got->layers, SizeIs(2));
  EXPECT_EQ(got->layers[0].digest.hex, kOther) << "lowest first";
}

TEST(OciManifest, RefusesMalformedText) {
  const std::string config = descriptor(kConfigType);
  const std::string layer = descriptor(kLayerType);
  std::string many = "[" + layer;
  for (int i = 0; i < 512; ++i) many += "," + layer;
  for (const std::string& text :
       {std::string("{}"), manifest("{}", "[" + layer + "]"), manifest("[]", "[" + layer + "]"),
        manifest(config, "[]"), manifest(config, "{}"), manifest(config, "null"),
        manifest(config, "[1]"), manifest(config, many + "]"),
        manifest(descriptor("application/vnd.oci.empty.v1+json"), "[" + layer + "]"),
        manifest(config,
                 "[" + descriptor("application/vnd.oci.image.layer.v1.tar+encrypted") + "]"),
        manifest(config, "[" + descriptor("") + "]"),
        R"({"schemaVersion": 2, "layers": [)" + layer + "]}"})
    expect_protocol_error(parse_image_manifest(text, "the file"), text.substr(0, 200));
}

TEST(OciConfig, SaysWhatRunsAndWhatLayersUnpackTo) {
  const auto got = parse_config(
      R"({"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/bin/tini", "--"],
          "Cmd": ["startx"], "Env": ["A=b"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:)" +
          kHex + R"("]}, "history": []})",
      "the file");
  ASSERT_TRUE(got) << got.error().context;
  EXPECT_THAT(got->entrypoint, ElementsAre("/bin/tini", "--"));
  EXPECT_THAT(got->command, ElementsAre("startx"));
  ASSERT_THAT(got->layer_contents, SizeIs(1));
  const auto none = parse_config(R"({"config": null, "rootfs": {"diff_ids": null}})", "the file");
  ASSERT_TRUE(none) << none.error().context;
  EXPECT_THAT(none->entrypoint, IsEmpty());
}

TEST(OciConfig, RefusesMalformedText) {
  const std::string rootfs = R"("rootfs": {"diff_ids": []})";
  for (const std::string& text :
       {std::string("[]"), std::string("{}"), std::string(R"({"rootfs": []})"),
        "{" + rootfs + R"(, "os": 1})", "{" + rootfs + R"(, "config": []})",
        "{" + rootfs + R"(, "config": {"Cmd": "sh -c x"}})",
        "{" + rootfs + R"(, "config": {"Cmd": [1]}})",
        "{" + rootfs + R"(, "config": {"Entrypoint": ["a\u0000b"]}})",
        "{" + rootfs + R"(, "config": {"Entrypoint": [")" + std::string(5000, 'x') + R"("]}})",
        "{" + rootfs + R"(, "config": {"Cmd": [")" + std::string(4000, 'x') + R"(",")" +
            std::string(4000, 'x') + R"(",")" + std::string(4000, 'x') + R"(",")" +
            std::string(4000, 'x') + R"(",")" + std::string(4000, 'x') + R"("]}})",
        std::string(R"({"rootfs": {"diff_ids": ["none"]}})"),
        std::string(R"({"rootfs": {"diff_ids": [null]}})"),
        std::string(R"({"rootfs": {"diff_ids": {"sha256": 1}}})")})
    expect_protocol_error(parse_config(text, "the file"), text.substr(0, 200));
}

Descriptor one(const std::string& hex, const std::string& reference, const std::string& os = "",
               const std::string& architecture = "") {
  Descriptor made;
  made.media_type = kManifestType;
  made.digest = {"sha256", hex};
  made.reference = reference;
  made.os = os;
  made.architecture = architecture;
  return made;
}

TEST(OciChoose, TakesTheOnlyOneThatFits) {
  EXPECT_TRUE(choose({one(kHex, "")}, "", "amd64"));
  EXPECT_EQ(
      choose({one(kHex, "", "linux", "arm64"), one(kOther, "", "linux", "amd64")}, "", "amd64")
          ->digest.hex,
      kOther);
  EXPECT_EQ(choose({one(kHex, "a"), one(kOther, "b")}, "b", "amd64")->digest.hex, kOther);
  EXPECT_EQ(choose({one(kHex, "a"), one(kOther, "a")}, "sha256:" + kHex, "amd64")->digest.hex,
            kHex);
  EXPECT_TRUE(choose({one(kHex, "a"), one(kHex, "b")}, "", "amd64")) << "one image, two names";
  // What build tools put beside an image.
  EXPECT_TRUE(choose({one(kHex, ""), one(kOther, "", "unknown", "unknown")}, "", "amd64"));
}

TEST(OciChoose, SaysWhatThereIs) {
  const auto several = choose({one(kHex, "a"), one(kOther, "b")}, "", "amd64");
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().code, EINVAL);
  EXPECT_THAT(several.error().context, HasSubstr("a, b"));
  const auto none = choose({one(kHex, "a", "linux", "arm64")}, "", "amd64");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENOENT);
  EXPECT_THAT(none.error().context, HasSubstr("linux/arm64"));
  EXPECT_THAT(choose({}, "", "amd64").error().context, HasSubstr("none"));
  auto artifact = one(kHex, "a");
  artifact.media_type = "application/json";
  EXPECT_FALSE(choose({artifact}, "a", "amd64"));
}

}  // namespace
}  // namespace panal::storage::unpack::oci
