// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <ostream>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// A string that never prints itself: a token, a password, a key.
///
/// Streaming it writes `[secret]`; the text is read only by `reveal()`, which is easy to search for.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string text) noexcept : text_(std::move(text)) {}

    [[nodiscard]] const std::string& reveal() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

    friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "[secret]"; }

private:
    std::string text_;
};

} // namespace khive::inline KHIVE_ABI
