// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/http/response_reader.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace khive_tests {

/// How the stream goes on after the bytes of a test.
enum class Then { silence, clean_end, broken_end };

/// One answer and how it is to be read.
struct Answer {
    std::string bytes;
    Then then = Then::silence;
    bool to_head = false;
    khive::http::ReaderLimits limits{};
};

/// A reader with a place of its own for what it reads.
struct Reader : khive::http::ResponseReader {
    Reader() { read_into(content); }
    explicit Reader(const khive::http::ReaderLimits& limits) : ResponseReader(limits) { read_into(content); }
    Reader(khive::http::ReaderLimits&&) = delete;

    khive::http::Content content;
};

/// Gives `bytes` to the reader in as many pieces as it makes room for; what is left when it needs no more.
inline khive::http::ReadStep feed(Reader& reader, std::string_view& bytes)
{
    auto step = khive::http::ReadStep::more;
    while (step == khive::http::ReadStep::more && !bytes.empty()) {
        const auto room = reader.prepare();
        const auto count = std::min(room.size(), bytes.size());
        std::memcpy(room.data(), bytes.data(), count);
        bytes.remove_prefix(count);
        step = reader.commit(count);
    }
    return step;
}

/// All that can be observed, in one line. Whether bytes were left over in the reader depends on the split, so that the unread
/// rest counts as left over too.
inline std::string describe(Reader& reader, khive::http::ReadStep step, bool unread)
{
    if (step == khive::http::ReadStep::more) return "more";
    if (step == khive::http::ReadStep::failed) {
        const auto error = reader.error();
        return std::string{to_string(error.kind())} + ": " + std::string{error.reason()};
    }
    const bool reusable = reader.reusable() && !unread;
    return std::to_string(reader.status()) + (reusable ? " reusable [" : " closing [") + reader.content.headers.lines() +
           "] [" + std::string{reader.content.body.view()} + "] [" + reader.trailers().lines() + "]";
}

/// Reads the answer cut into pieces that end at `cuts`, which are in order; `again` by a reader that has read it before.
inline std::string read_cut(const Answer& answer, const std::vector<std::size_t>& cuts, bool again = false)
{
    Reader reader(answer.limits);
    if (again) {
        std::string_view before = answer.bytes;
        reader.start(answer.to_head);
        (void)feed(reader, before);
    }
    reader.start(answer.to_head);
    auto step = khive::http::ReadStep::more;
    std::size_t from = 0;
    bool unread = false;
    for (std::size_t i = 0; i <= cuts.size() && step == khive::http::ReadStep::more; ++i) {
        const auto to = i < cuts.size() ? cuts[i] : answer.bytes.size();
        auto piece = std::string_view{answer.bytes}.substr(from, to - from);
        step = feed(reader, piece);
        from = to - piece.size();
        unread = from < answer.bytes.size();
    }
    if (step == khive::http::ReadStep::more && answer.then != Then::silence)
        step = reader.end_of_stream(answer.then == Then::clean_end);
    return describe(reader, step, unread);
}

inline std::string read_whole(const Answer& answer)
{
    return read_cut(answer, {});
}

inline std::string read_bytewise(const Answer& answer)
{
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < answer.bytes.size(); ++i) cuts.push_back(i);
    return read_cut(answer, cuts);
}

/// The one result of every way to cut the answer in two and of feeding single bytes, by a new reader and by one that knows the
/// answer; says where they differ.
inline std::string read_every_way(const Answer& answer)
{
    const auto whole = read_whole(answer);
    if (const auto again = read_cut(answer, {}, true); again != whole) return "again: " + again + " whole: " + whole;
    if (const auto bytewise = read_bytewise(answer); bytewise != whole) return "bytewise: " + bytewise + " whole: " + whole;
    for (std::size_t cut = 1; cut < answer.bytes.size(); ++cut)
        for (const bool again : {false, true})
            if (const auto halves = read_cut(answer, {cut}, again); halves != whole)
                return (again ? "again, cut at " : "cut at ") + std::to_string(cut) + ": " + halves + " whole: " + whole;
    return whole;
}

} // namespace khive_tests
