// SPDX-License-Identifier: BSL-1.0
// An answer gives one result however it is cut, whatever the reader has read before, and costs no more than its limits allow.
//
// Input: flags, limits, three cuts, then the bytes of the connection.
#include "fuzz/fuzz.hpp"
#include "unit/http/reading.hpp"

#include <khive/http/response_reader.hpp>

using namespace khive_fuzz;
using namespace khive_tests;

namespace http = khive::http;

namespace {

http::ReaderLimits choose_limits(unsigned choice)
{
    if (choice == 0) return {};
    http::ReaderLimits limits;
    limits.max_header_bytes = 20 + (choice & 7) * 30;
    limits.max_header_count = choice >> 3 & 3;
    limits.max_body_bytes = (choice >> 2 & 7) * 5;
    limits.max_interim = choice >> 5 & 1;
    limits.max_chunk_line_bytes = 1 + (choice >> 6) * 4;
    limits.max_extension_bytes = (choice >> 4 & 3) * 4;
    limits.max_trailer_bytes = (choice >> 5) * 5;
    return limits;
}

Answer choose_answer(Input& in)
{
    Answer answer;
    const auto flags = in.byte();
    answer.to_head = (flags & 1) != 0;
    answer.then = (flags & 2) == 0 ? Then::clean_end : (flags & 4) == 0 ? Then::broken_end : Then::silence;
    answer.limits = choose_limits(in.byte());
    return answer;
}

/// By a reader that was given a part of it for a request of the other kind, which then failed.
std::string read_after_abort(const Answer& answer, std::size_t part)
{
    Reader reader(answer.limits);
    std::string_view head = std::string_view{answer.bytes}.substr(0, part);
    reader.start(!answer.to_head);
    (void)feed(reader, head);
    (void)reader.end_of_stream(false);

    std::string_view bytes = answer.bytes;
    reader.start(answer.to_head);
    auto step = feed(reader, bytes);
    if (step == http::ReadStep::more && answer.then != Then::silence)
        step = reader.end_of_stream(answer.then == Then::clean_end);
    return describe(reader, step, !bytes.empty());
}

void check_limits(const Answer& answer)
{
    const auto& limits = answer.limits;
    Reader reader(limits);
    std::string_view bytes = answer.bytes;
    reader.start(answer.to_head);
    auto step = feed(reader, bytes);
    require(step != http::ReadStep::more || !reader.prepare().empty(), "there is no room for the next byte");
    if (step == http::ReadStep::more) step = reader.end_of_stream(true);
    require(step == http::ReadStep::more || reader.commit(0) == step, "the end is not the end");
    require((step == http::ReadStep::failed) == (reader.error().kind() != khive::ErrorKind{}), "failure and error disagree");
    require(step != http::ReadStep::more, "the stream has ended and the reader wants more");
    require_loggable(reader.error().message());
    if (step == http::ReadStep::failed) return require(!reader.reusable(), "a failed connection is reused");

    const auto trailers = reader.trailers();
    const auto& headers = reader.content.headers;
    const auto& body = reader.content.body;
    require(reader.status() >= 200 && reader.status() <= 999, "no final status");
    require(body.size() <= limits.max_body_bytes, "the body is over its limit");
    require(headers.size() <= limits.max_header_count, "there are more fields than allowed");
    require(headers.lines().size() < limits.max_header_bytes, "the fields are over their limit");
    require(trailers.lines().size() <= limits.max_trailer_bytes + 2 * trailers.size(), "the trailers are over their limit");
    require(!answer.to_head || body.empty(), "an answer to HEAD has a body");
    for (const auto& fields : {headers, trailers})
        for (const auto field : fields)
            require(khive::is_token(field.name) && khive::is_field_value(field.value), "a field is malformed", field.name);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    auto answer = choose_answer(in);
    const std::vector<unsigned> choices{in.byte(), in.byte(), in.byte()};
    answer.bytes = in.rest();

    const auto whole = read_whole(answer);
    require_equal(read_bytewise(answer), whole, "single bytes give another result");
    const auto cuts = cuts_of(choices, answer.bytes.size());
    require_equal(read_cut(answer, cuts), whole, "pieces give another result");
    require_equal(read_cut(answer, cuts, true), whole, "a reader that knows the answer gives another result");
    require_equal(read_after_abort(answer, cuts.empty() ? 0 : cuts.front()), whole,
                  "a reader used before gives another result");
    check_limits(answer);
    return 0;
}
