#include "runtime/warm/order.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace panal::warm {
namespace {

constexpr std::array<std::pair<Verb, std::string_view>, 3> kVerbs{
    {{Verb::kTouch, "touch"}, {Verb::kRecord, "record"}, {Verb::kCool, "cool"}}};

template <typename Number>
Result<Number> number(std::string_view name, std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    return fail(EINVAL, std::string(name) + " must be from " + std::to_string(least) + " to " +
                            std::to_string(most));
  return value;
}

Result<void> take(Order& order, std::string_view name, std::string_view value) {
  if (name == "--root") {
    order.root = value;
  } else if (name == "--group") {
    order.group = value;
  } else if (name == "--record-dir") {
    order.record_dir = value;
  } else if (name == "--most-bytes") {
    PANAL_ASSIGN(order.most_bytes, number<std::uint64_t>(name, value, 0, UINT64_MAX));
  } else if (name == "--bytes-per-second") {
    PANAL_ASSIGN(order.bytes_per_second, number<std::uint64_t>(name, value, 0, UINT64_MAX));
  } else if (name == "--most-seconds") {
    PANAL_ASSIGN(order.most_seconds, number<std::uint32_t>(name, value, 1, 3600));
  } else if (name == "--generation") {
    PANAL_ASSIGN(order.generation, number<std::uint32_t>(name, value, 0, UINT32_MAX));
  } else {
    return fail(EINVAL, "unknown option " + std::string(name));
  }
  return {};
}

/// The answer's numbers under their names.
template <typename AnyAnswer, typename Visit>
void each_number(AnyAnswer& answer, const Visit& visit) {
  visit("hot", answer.hot_bytes);
  visit("resident", answer.resident_bytes);
  visit("read", answer.read_bytes);
  visit("files", answer.files);
  visit("kept", answer.kept_files);
  visit("missing", answer.missing_files);
  visit("failed", answer.failed_files);
}

}  // namespace

std::string_view to_string(Verb verb) {
  for (const auto& [known, word] : kVerbs)
    if (known == verb) return word;
  return "?";
}

std::vector<std::string> arguments(const Order& order) {
  std::vector<std::string> words{std::string(to_string(order.verb)),
                                 "--root",
                                 order.root,
                                 "--most-bytes",
                                 std::to_string(order.most_bytes),
                                 "--bytes-per-second",
                                 std::to_string(order.bytes_per_second),
                                 "--most-seconds",
                                 std::to_string(order.most_seconds),
                                 "--generation",
                                 std::to_string(order.generation)};
  if (!order.group.empty()) words.insert(words.end(), {std::string("--group"), order.group});
  if (!order.record_dir.empty())
    words.insert(words.end(), {std::string("--record-dir"), order.record_dir});
  return words;
}

Result<Order> parse_order(std::span<const std::string_view> words) {
  Order order;
  const auto verb = std::find_if(kVerbs.begin(), kVerbs.end(), [&words](const auto& known) {
    return !words.empty() && known.second == words.front();
  });
  if (verb == kVerbs.end()) return fail(EINVAL, "say touch, record or cool");
  order.verb = verb->first;
  for (std::size_t at = 1; at < words.size(); at += 2) {
    if (at + 1 == words.size()) return fail(EINVAL, std::string(words[at]) + " needs a value");
    PANAL_TRY(take(order, words[at], words[at + 1]));
  }
  if (order.root.empty() || order.root.front() != '/')
    return fail(EINVAL, "--root must be an absolute path");
  if (order.verb != Verb::kCool && (order.record_dir.empty() || order.record_dir.front() != '/'))
    return fail(EINVAL, "--record-dir must be an absolute path");
  return order;
}

std::string print_answer(const Answer& answer) {
  std::string line = "done";
  each_number(answer, [&line](std::string_view name, const std::uint64_t& value) {
    line += " " + std::string(name) + "=" + std::to_string(value);
  });
  return line + " complete=" + (answer.complete ? "1" : "0") + "\n";
}

Result<Answer> parse_answer(std::string_view text) {
  const Failure none = fail(EPROTO, "panal-warm did not say what it has done");
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return none;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (!line.starts_with("done ")) continue;
    Answer answer;
    bool good = true;
    // Exactly what print_answer() writes: both are of one build.
    const auto take_word = [&line](std::string_view name) {
      line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
      const auto word = line.substr(0, line.find(' '));
      if (word.size() <= name.size() + 1 || !word.starts_with(name) || word[name.size()] != '=')
        return std::string_view{};
      return word.substr(name.size() + 1);
    };
    each_number(answer, [&](std::string_view name, std::uint64_t& value) {
      const auto word = take_word(name);
      const auto [at, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      good = good && !word.empty() && error == std::errc{} && at == word.data() + word.size();
    });
    const auto complete = take_word("complete");
    if (!good || (complete != "0" && complete != "1") || !line.ends_with(complete) ||
        line.find(' ') != std::string_view::npos)
      return none;
    answer.complete = complete == "1";
    return answer;
  }
  return none;
}

}  // namespace panal::warm
