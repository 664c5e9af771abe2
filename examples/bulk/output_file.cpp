// SPDX-License-Identifier: BSL-1.0
#include "output_file.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bulk {
namespace {

constexpr std::size_t block = 64 * 1024;

[[noreturn]] void fail(const std::string& name)
{
    throw std::system_error(errno, std::generic_category(), name);
}

/// A pipe that somebody made non-blocking.
bool waited_for_room(int file)
{
    if (errno == EINTR) return true;
    if (errno != EAGAIN) return false;
    pollfd room{.fd = file, .events = POLLOUT, .revents = 0};
    return ::poll(&room, 1, -1) >= 0 || errno == EINTR;
}

} // namespace

OutputFile::OutputFile(const Options& options) : name_(options.output)
{
    if (name_ == "-") {
        file_ = STDOUT_FILENO;
        name_ = "standard output";
        return;
    }
    file_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644); // NOLINT: a C function
    if (file_ == -1) fail(name_);
    struct stat status{};
    if (::fstat(file_, &status) != 0) fail(name_);
    if (!S_ISREG(status.st_mode)) return;
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) throw std::runtime_error(name_ + ": another run is writing to it");
    if (status.st_size != 0) refuse_old_results(options);
    if (options.overwrite && ::ftruncate(file_, 0) != 0) fail(name_);
}

OutputFile::~OutputFile()
{
    try {
        flush(); // where an exception ends the run: what has been answered is not asked again
    } catch (const std::system_error&) { // NOLINT: who wrote has been told, or nobody is left to tell
    }
    if (file_ != STDOUT_FILENO) ::close(file_);
}

void OutputFile::refuse_old_results(const Options& options) const
{
    if (options.resume || options.overwrite) return;
    throw std::runtime_error(name_ + ": has results; --resume continues them, --overwrite replaces them");
}

void OutputFile::write(std::string_view line)
{
    gathered_ += line;
    if (gathered_.size() >= block) flush();
}

void OutputFile::flush()
{
    std::string_view rest = gathered_;
    while (!rest.empty()) {
        const ssize_t written = ::write(file_, rest.data(), rest.size());
        if (written < 0 && !waited_for_room(file_)) {
            gathered_.erase(0, gathered_.size() - rest.size());
            fail(name_);
        }
        if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    gathered_.clear();
}

} // namespace bulk
