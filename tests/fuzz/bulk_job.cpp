// SPDX-License-Identifier: BSL-1.0
// Every line of the flagship example's input is a job or a typed mistake, with the right number, in whatever pieces it comes.
//
// Input: length of the longest line, three cuts, then the bytes of the input.
#include "fuzz/fuzz.hpp"

#include "bulk/job.hpp"
#include "bulk/line_reader.hpp"

#include <khive/core/exceptions.hpp>
#include <khive/core/url.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

using namespace khive_fuzz;

namespace asio = boost::asio;

namespace {

using Lines = std::vector<bulk::LineReader::Line>;

/// A pipe whose end for reading has a name.
class Pipe {
public:
    Pipe() { require(::pipe(ends_) == 0, "no pipe"); }
    ~Pipe()
    {
        ::close(ends_[0]);
        close();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] std::string name() const { return "/dev/fd/" + std::to_string(ends_[0]); }
    void write(std::string_view text) const
    {
        require(::write(ends_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()), "the pipe is full");
    }
    void close()
    {
        if (ends_[1] != -1) ::close(ends_[1]);
        ends_[1] = -1;
    }

private:
    int ends_[2]{};
};

asio::awaitable<void> read_all(bulk::LineReader& reader, Lines& lines)
{
    for (;;) {
        auto line = co_await reader.next();
        if (!line) co_return;
        lines.push_back(*std::move(line));
    }
}

Lines read_in_pieces(std::string_view text, const std::vector<std::size_t>& cuts, std::size_t max_line)
{
    Lines lines;
    asio::io_context io;
    Pipe pipe;
    bulk::LineReader reader(io.get_executor(), pipe.name(), max_line);
    asio::co_spawn(io, read_all(reader, lines), asio::detached);
    std::size_t from = 0;
    for (const auto cut : cuts) {
        pipe.write(text.substr(from, cut - from));
        from = cut;
        io.poll();
    }
    pipe.write(text.substr(from));
    pipe.close();
    io.run();
    return lines;
}

/// The same, read from the whole text at once.
Lines expected_lines(std::string_view text, std::size_t max_line)
{
    Lines lines;
    for (std::uint64_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        auto shown = line.substr(0, max_line);
        if (end != std::string_view::npos && shown.ends_with('\r')) shown.remove_suffix(1);
        if (!shown.empty()) lines.push_back({number, std::string{shown}, line.size() > max_line});
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return lines;
}

std::string describe(const Lines& lines)
{
    std::string out;
    for (const auto& line : lines)
        out.append(std::to_string(line.number)).append(line.too_long ? " long " : " ").append(line.text).append("\n");
    return out;
}

void check_request(khive::detail::RequestFields fields, const khive::Url& base)
{
    const khive::detail::RequestExtras& extras = fields.extras();
    if (extras.mistake.failed()) {
        require_loggable(extras.mistake.message());
        return;
    }
    for (const auto field : extras.headers)
        require(khive::is_token(field.name) && khive::is_field_value(field.value), "a header is malformed", field.name);
    std::string reference = fields.line().reference;
    khive::insert_query(reference, extras.query);
    const auto url = join(base, reference);
    if (!url) return require_loggable(url.error().message());
    require(is_visible(url->target()), "a target has a space, control or non-ASCII byte", url->target());
}

void check_job(const bulk::LineReader::Line& line, const khive::Url& base)
{
    auto job = bulk::parse_job(line.text, line.number);
    require(job.line == line.number, "the job has another number", line.text);
    const auto id = nlohmann::json::parse(job.id, nullptr, false);
    require(id.is_null() || id.is_string() || id.is_number_integer(), "the id is neither text nor number", job.id);
    if (!job.mistake) {
        const auto fields = nlohmann::json::parse(line.text, nullptr, false);
        require(fields.is_object() && fields.contains("path"), "a job comes from nowhere", line.text);
        require(line.text.find('\0') == std::string::npos, "a NUL byte is taken for the end of a line", line.text);
        return check_request(std::move(job.request).take_fields(), base);
    }
    const auto message = job.mistake->message();
    require(job.mistake->kind() == khive::ErrorKind::invalid_argument, "another error", message);
    require_loggable(message);
    require(message.find("input line " + std::to_string(line.number) + ":") != std::string::npos, "no line number", message);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto base = khive::Url::parse("http://api.test/v1").value();
    Input in(data, size);
    const auto choice = in.byte();
    const std::size_t max_line = choice == 0 ? 1u << 20 : 8 + choice;
    const std::vector<unsigned> choices{in.byte(), in.byte(), in.byte()};
    const auto text = in.rest().substr(0, 32u << 10); // what a pipe holds

    const auto lines = read_in_pieces(text, cuts_of(choices, text.size()), max_line);
    require_equal(describe(lines), describe(expected_lines(text, max_line)), "other lines");
    for (const auto& line : lines) check_job(line, base);
    return 0;
}
