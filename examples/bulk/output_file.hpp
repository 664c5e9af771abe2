// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "options.hpp"

#include <string>
#include <string_view>

namespace bulk {

/// Where results go: gathers lines, and writes them in blocks and whenever it is told to.
///
/// - Errors: `std::system_error` for what cannot be opened or written.
class OutputFile {
public:
    /// Locks the file, so that two runs never mix, and refuses one that has results unless told what to do with them.
    explicit OutputFile(const Options& options);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    void write(std::string_view line);
    void flush();

private:
    void refuse_old_results(const Options& options) const;

    int file_ = -1;
    std::string name_;
    std::string gathered_;
};

} // namespace bulk
