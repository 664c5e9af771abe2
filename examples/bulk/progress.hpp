// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "line_reader.hpp"
#include "runner.hpp"

#include <khive/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace bulk {

/// One line on a terminal that says how far the run is. Silent where standard error is none, or results go to the same one.
class ProgressLine {
public:
    explicit ProgressLine(const Options& options);

    void show(const Runner& runner, const LineReader& input);
    void clear() const;

private:
    struct Sample {
        khive::TimePoint at{};
        std::uint64_t done = 0;
    };

    [[nodiscard]] double rate(std::uint64_t done);
    [[nodiscard]] std::string remaining(const Tally& tally, std::optional<double> progress);

    bool shown_;
    std::array<Sample, 25> samples_{}; ///< the last five seconds
    std::size_t next_ = 0;
    Sample begin_; ///< when the lines of earlier runs were behind
    double begin_progress_ = 0;
};

} // namespace bulk
