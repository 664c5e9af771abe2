// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace khive_fuzz {

/// What the fuzzer gives: settings first, byte by byte, then texts that a byte 0xFF separates, so that a file of the corpus can be
/// read and a dictionary helps.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) noexcept : rest_(reinterpret_cast<const char*>(data), size) {}

    /// The next byte; 0 where there is none.
    [[nodiscard]] unsigned byte() noexcept
    {
        if (rest_.empty()) return 0;
        const auto value = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    /// The next text; empty where there is none.
    [[nodiscard]] std::string_view text() noexcept
    {
        const auto text = rest_.substr(0, rest_.find('\xff'));
        rest_.remove_prefix(std::min(text.size() + 1, rest_.size()));
        return text;
    }
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    /// All that is left.
    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
    std::string_view rest_;
};

/// Ends the run where something that must hold does not.
inline void require(bool holds, const char* what, std::string_view seen = {})
{
    if (holds) return;
    std::fprintf(stderr, "broken: %s: '%s'\n", what, khive::escape_untrusted(seen, 4096).c_str());
    std::abort();
}

inline void require_equal(std::string_view seen, std::string_view expected, const char* what)
{
    if (seen == expected) return;
    std::fprintf(stderr, "expected: '%s'\n", khive::escape_untrusted(expected, 4096).c_str());
    require(false, what, seen);
}

[[nodiscard]] inline bool is_printable(std::string_view text) noexcept
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// May it stand in a request line: visible ASCII and nothing else?
[[nodiscard]] inline bool is_visible(std::string_view text) noexcept
{
    return is_printable(text) && text.find(' ') == std::string_view::npos;
}

/// What a log may show of a stranger's text: printable and bounded.
inline void require_loggable(std::string_view message)
{
    require(is_printable(message), "a message has a control or non-ASCII byte", message);
    require(message.size() <= 4096, "a message is not bounded", message);
}

/// Where a text of `size` bytes is cut, in order, one place for each choice of the fuzzer; none at either end.
[[nodiscard]] inline std::vector<std::size_t> cuts_of(const std::vector<unsigned>& choices, std::size_t size)
{
    std::vector<std::size_t> cuts;
    for (const unsigned choice : choices) cuts.push_back(size * choice / 256);
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    if (!cuts.empty() && cuts.front() == 0) cuts.erase(cuts.begin());
    return cuts;
}

} // namespace khive_fuzz
