// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulk {

namespace asio = boost::asio;

/// Reads one line at a time from a file, a pipe or a terminal; never ahead of who asks by more than a block.
class LineReader {
public:
    struct Line {
        std::uint64_t number = 0; ///< 1 for the first
        std::string text;         ///< without its end
        bool too_long = false;    ///< the text is its beginning
    };

    /// Throws `std::system_error` for what cannot be opened.
    LineReader(const asio::any_io_executor& executor, const std::string& path, std::size_t max_line);

    /// The next line that is not empty; nothing at the end or after `stop`. One caller at a time.
    [[nodiscard]] asio::awaitable<std::optional<Line>> next();
    /// Ends at once, also a wait for more input.
    void stop();

    /// How much of it is behind the lines given so far: 0 to 1, or nothing where its size is not known.
    [[nodiscard]] std::optional<double> progress() const;

private:
    [[nodiscard]] asio::awaitable<bool> fill();
    /// Moves what belongs to the line out of the block; true at the line's end.
    bool take_line();
    void append(std::string_view text);

    asio::posix::stream_descriptor file_;
    std::size_t max_line_;
    std::optional<std::uint64_t> size_;
    std::array<char, 64 * 1024> block_;
    std::string_view rest_; ///< of the block
    Line line_;
    std::uint64_t consumed_ = 0;
    bool stopped_ = false;
};

} // namespace bulk
