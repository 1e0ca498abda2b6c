#include "storage/home/home_call.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "engine/base/log.h"

namespace panal::storage::home_call {
namespace {

constexpr std::array<std::pair<Verb, std::string_view>, 6> kVerbs = {{{Verb::kAttach, "attach"},
                                                                      {Verb::kDetach, "detach"},
                                                                      {Verb::kRelease, "release"},
                                                                      {Verb::kRecover, "recover"},
                                                                      {Verb::kRemove, "remove"},
                                                                      {Verb::kProbe, "probe"}}};
constexpr std::size_t kMostText = 400;
constexpr int kMostErrno = 4095;

template <typename Number>
bool parse_whole(std::string_view text, Number& out) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return !text.empty() && error == std::errc{} && at == end;
}

/// Where each option's value belongs.
bool take_option(Call& call, const std::string& name, const std::string& value) {
  if (name == "--homes") return call.homes_dir = value, true;
  if (name == "--node") return call.rules.node = value, true;
  if (name == "--tenant") return call.spec.tenant = value, true;
  if (name == "--home") return call.spec.home = value, true;
  if (name == "--desktop") return call.spec.desktop = value, true;
  if (name == "--at") return call.spec.mount_point = value, true;
  if (name == "--evicted") return call.spec.evicted = value, true;
  if (name == "--word") return call.words.push_back(value), true;
  if (name == "--leased") return call.spec.leased = value == "1", value == "1" || value == "0";
  if (name == "--uid") return parse_whole(value, call.spec.uid);
  if (name == "--gid") return parse_whole(value, call.spec.gid);
  if (name == "--first") return parse_whole(value, call.spec.ids.first);
  if (name == "--count") return parse_whole(value, call.spec.ids.count);
  if (name == "--bytes") return parse_whole(value, call.rules.limit.bytes);
  if (name == "--inodes") return parse_whole(value, call.rules.limit.inodes);
  if (name == "--quota") {
    const auto kind = parse_quota_kind(value);
    if (kind) call.rules.quota = *kind;
    return kind.has_value();
  }
  return false;
}

/// The next word of a line, cut off it.
std::string_view cut_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::string print_error(const Error& error) {
  return std::to_string(error.code) + " " + printable(error.context, kMostText);
}

/// "CODE TEXT". Errors: EPROTO.
Result<Error> parse_error(std::string_view line) {
  Error error;
  if (!parse_whole(cut_word(line), error.code) || error.code < 0 || error.code > kMostErrno)
    return fail(EPROTO, "panal-home: an error without its number");
  error.context = printable(line, kMostText);
  return error;
}

/// One line of an answer.
Result<void> take_line(std::string_view line, Answer& answer) {
  const std::string_view verb = cut_word(line);
  if (answer.complete) return fail(EPROTO, "panal-home: words after the last");
  if (verb == "done" && line.empty()) {
    answer.complete = true;
    return {};
  }
  if (verb == "failed") {
    PANAL_ASSIGN(Error error, parse_error(line));
    answer.result = tl::make_unexpected(std::move(error));
    answer.complete = true;
    return {};
  }
  if (verb != "at" && verb != "bad") return fail(EPROTO, "panal-home: " + printable(verb, 40));
  std::size_t number = 0;
  if (!parse_whole(cut_word(line), number)) return fail(EPROTO, "panal-home: no number");
  if (verb == "at") {
    // One after the other: what came before this one is fine unless it was said to be bad.
    if (number != answer.each.size() || !line.empty())
      return fail(EPROTO, "panal-home: paths out of order");
    answer.each.emplace_back();
    answer.at = static_cast<int>(number);
    return {};
  }
  if (answer.each.empty() || number + 1 != answer.each.size())
    return fail(EPROTO, "panal-home: bad about another path");
  PANAL_ASSIGN(Error error, parse_error(line));
  answer.each.back() = tl::make_unexpected(std::move(error));
  return {};
}

}  // namespace

std::string_view to_string(Verb verb) {
  for (const auto& [known, name] : kVerbs)
    if (known == verb) return name;
  return "probe";
}

std::vector<std::string> to_words(const Call& call) {
  std::vector<std::string> words = {std::string(to_string(call.verb))};
  const auto add = [&words](const char* name, const std::string& value) {
    words.emplace_back(name);
    words.push_back(value);
  };
  add("--homes", call.homes_dir);
  add("--node", call.rules.node);
  add("--quota", std::string(storage::to_string(call.rules.quota)));
  add("--bytes", std::to_string(call.rules.limit.bytes));
  add("--inodes", std::to_string(call.rules.limit.inodes));
  add("--tenant", call.spec.tenant);
  add("--home", call.spec.home);
  add("--desktop", call.spec.desktop);
  add("--uid", std::to_string(call.spec.uid));
  add("--gid", std::to_string(call.spec.gid));
  add("--first", std::to_string(call.spec.ids.first));
  add("--count", std::to_string(call.spec.ids.count));
  add("--at", call.spec.mount_point);
  add("--leased", call.spec.leased ? "1" : "0");
  add("--evicted", call.spec.evicted);
  for (const std::string& word : call.words) add("--word", word);
  return words;
}

Result<Call> parse_words(const std::vector<std::string>& words) {
  Call call;
  if (words.empty())
    return fail(EINVAL, "say what to do: attach, detach, release, recover, remove or probe");
  bool known = false;
  for (const auto& [verb, name] : kVerbs)
    if (name == words[0]) {
      call.verb = verb;
      known = true;
    }
  if (!known) return fail(EINVAL, "\"" + printable(words[0], 40) + "\" is nothing to do");
  for (std::size_t i = 1; i < words.size(); i += 2) {
    if (i + 1 == words.size()) return fail(EINVAL, printable(words[i], 40) + " needs a value");
    if (!take_option(call, words[i], words[i + 1]))
      return fail(EINVAL, printable(words[i], 40) + " " + printable(words[i + 1], 80) +
                              " is not understood");
  }
  return call;
}

Result<Answer> parse_answer(std::string_view text) {
  Answer answer;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return answer;  // half of a line: it was killed there
    PANAL_TRY(take_line(text.substr(0, end), answer));
    text.remove_prefix(end + 1);
  }
  return answer;
}

std::string print_at(std::size_t number) { return "at " + std::to_string(number) + "\n"; }

std::string print_bad(std::size_t number, const Error& error) {
  return "bad " + std::to_string(number) + " " + print_error(error) + "\n";
}

std::string print_result(const Result<void>& result) {
  return result ? "done\n" : "failed " + print_error(result.error()) + "\n";
}

}  // namespace panal::storage::home_call
