// SPDX-License-Identifier: BSL-1.0
#include "line_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bulk {
namespace {

struct stat status_of(int file)
{
    struct stat status{};
    ::fstat(file, &status);
    return status;
}

/// Asio makes descriptors non-blocking. Standard input is opened anew, so that a terminal's other users do not notice.
int open_input(const std::string& path)
{
    if (path == "-" && S_ISREG(status_of(STDIN_FILENO).st_mode)) return ::dup(STDIN_FILENO);
    const int file = ::open(path == "-" ? "/dev/stdin" : path.c_str(), O_RDONLY | O_CLOEXEC); // NOLINT: a C function
    if (file == -1 && path == "-") return ::dup(STDIN_FILENO);
    if (file == -1) throw std::system_error(errno, std::generic_category(), path);
    return file;
}

} // namespace

LineReader::LineReader(const asio::any_io_executor& executor, const std::string& path, std::size_t max_line)
    : file_(executor, open_input(path)), max_line_(max_line), block_()
{
    const auto status = status_of(file_.native_handle());
    if (S_ISDIR(status.st_mode)) throw std::system_error(EISDIR, std::generic_category(), path);
    if (S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
}

asio::awaitable<std::optional<LineReader::Line>> LineReader::next()
{
    while (!stopped_) {
        const bool whole = take_line();
        if (!whole && co_await fill()) continue;
        if (stopped_) break;
        ++line_.number;
        Line line = line_;
        line_.text.clear();
        line_.too_long = false;
        if (!line.text.empty()) co_return line;
        if (!whole) break;
    }
    co_return std::nullopt;
}

void LineReader::stop()
{
    stopped_ = true;
    boost::system::error_code ignored;
    file_.cancel(ignored);
}

std::optional<double> LineReader::progress() const
{
    if (!size_ || *size_ == 0) return std::nullopt;
    return std::min(1.0, static_cast<double>(consumed_) / static_cast<double>(*size_));
}

asio::awaitable<bool> LineReader::fill()
{
    boost::system::error_code error;
    const auto room = asio::buffer(block_);
    const std::size_t bytes = co_await file_.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
    rest_ = std::string_view(block_.data(), bytes);
    if (error && error != asio::error::eof && !stopped_) throw std::system_error(error, "cannot read the input");
    co_return bytes != 0;
}

bool LineReader::take_line()
{
    const auto end = rest_.find('\n');
    const auto piece = rest_.substr(0, end);
    append(piece);
    const bool whole = end != std::string_view::npos;
    const std::size_t taken = piece.size() + (whole ? 1 : 0);
    rest_.remove_prefix(taken);
    consumed_ += taken;
    if (whole && line_.text.ends_with('\r')) line_.text.pop_back();
    return whole;
}

void LineReader::append(std::string_view text)
{
    const std::size_t room = max_line_ - line_.text.size();
    line_.too_long = line_.too_long || text.size() > room;
    line_.text.append(text.substr(0, room));
}

} // namespace bulk
