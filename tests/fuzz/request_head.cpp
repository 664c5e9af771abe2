// SPDX-License-Identifier: BSL-1.0
// What `write_request_head` accepts is, to another parser, exactly the request that was given.
//
// Input: flags, length of the body, then method, target, host, and the name and value of each field.
#include "fuzz/fuzz.hpp"

#include <khive/core/exceptions.hpp>
#include <khive/http/request_head.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <map>
#include <optional>
#include <utility>

using namespace khive_fuzz;

namespace beast = boost::beast;
namespace http = khive::http;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Given {
    std::string_view method;
    std::string_view target;
    std::string_view host;
    Fields fields;
    std::optional<std::size_t> length;
};

bool is_clean(std::string_view text)
{
    using namespace std::string_view_literals;
    return text.find_first_of("\r\n\0"sv) == std::string_view::npos;
}

/// The fields as a user adds them; nothing where that is refused.
std::optional<khive::Headers> added(const Fields& fields)
{
    khive::Headers headers;
    for (const auto& [name, value] : fields) {
        try {
            headers.add(name, value);
            require(is_clean(name) && is_clean(value), "Headers takes CR, LF or NUL", value);
        } catch (const khive::InvalidArgumentError& refused) {
            require_loggable(refused.error().message());
            return std::nullopt;
        }
    }
    return headers;
}

/// The fields as nobody has checked them.
std::optional<khive::Headers> unchecked(const Fields& fields)
{
    std::string lines;
    for (const auto& [name, value] : fields) {
        if (name.find(':') != std::string::npos || (name + value).find("\r\n") != std::string::npos) return std::nullopt;
        if (name.ends_with('\r') || value.ends_with('\r')) return std::nullopt;
        lines += name + ":" + value + "\r\n";
    }
    return khive::Headers::from_lines(std::move(lines));
}

/// Names in lower case, values of one name in their order.
std::string describe(const Fields& fields)
{
    std::multimap<std::string, std::string> sorted;
    for (auto [name, value] : fields) {
        for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        sorted.emplace(std::move(name), khive::trim(value));
    }
    std::string out;
    for (const auto& [name, value] : sorted) out += "|" + name + "=" + value;
    return out;
}

/// What must arrive.
Fields expected_fields(const Given& given)
{
    Fields fields{{"Host", std::string{given.host}}};
    for (const auto& field : given.fields) {
        if (khive::iequals(field.first, "Host"))
            fields.front().second = field.second;
        else if (!khive::iequals(field.first, "Content-Length"))
            fields.push_back(field);
    }
    const bool says_zero = given.method == "POST" || given.method == "PUT" || given.method == "PATCH";
    if (given.length || says_zero) fields.emplace_back("Content-Length", std::to_string(given.length.value_or(0)));
    return fields;
}

void check_accepted(const Given& given, const std::string& head)
{
    require(is_clean(given.method) && is_clean(given.target) && is_clean(given.host), "CR, LF or NUL was accepted", head);
    for (const auto& [name, value] : given.fields)
        require(is_clean(name) && is_clean(value), "a field with CR, LF or NUL was accepted", head);
    require(head.ends_with("\r\n\r\n") && head.find("\r\n\r\n") == head.size() - 4, "the head does not end where it ends",
            head);

    beast::http::request_parser<beast::http::empty_body> parser;
    parser.header_limit(1u << 20);
    beast::error_code error;
    const auto used = parser.put(beast::net::buffer(head), error);
    require(!error && parser.is_header_done() && used == head.size(), "Beast does not read the head",
            error.message() + ": " + head);
    const auto& message = parser.get();
    require_equal(message.method_string(), given.method, "another method");
    require_equal(message.target(), given.target, "another target");
    require(message.version() == 11, "another version", head);
    Fields fields;
    for (const auto& field : message) fields.emplace_back(field.name_string(), field.value());
    require_equal(describe(fields), describe(expected_fields(given)), "other fields");
    require(!message.chunked() && message.count("Transfer-Encoding") == 0, "the head says how the body is coded", head);
    require(message.count("Host") == 1 && message.count("Content-Length") <= 1, "two Host or two Content-Length", head);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    const auto flags = in.byte();
    const auto length = in.byte();
    Given given{in.text(), in.text(), in.text(), {}, {}};
    if ((flags & 1) != 0) given.length = length;
    while (!in.empty()) {
        const auto name = in.text();
        given.fields.emplace_back(name, in.text());
    }
    const auto headers = (flags & 2) != 0 ? unchecked(given.fields) : added(given.fields);
    if (!headers) return 0;
    const auto head = http::write_request_head(given.method, given.target, given.host, *headers, given.length);
    if (head) return check_accepted(given, *head), 0;
    require(head.error().kind() == khive::ErrorKind::invalid_argument, "another error", head.error().message());
    require_loggable(head.error().message());
    return 0;
}
