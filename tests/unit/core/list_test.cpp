// SPDX-License-Identifier: BSL-1.0
#include <khive/core/list.hpp>

#include "support/catch.hpp"

#include <string>

namespace khive_tests::list_test {

using khive::List;
using khive::ListHook;

namespace {

struct Other;

struct Letter : ListHook<>, ListHook<Other> {
    explicit Letter(char of) : name(of) {}
    char name;
};

template <class Tag>
std::string read(const List<Letter, Tag>& list)
{
    std::string text;
    for (const Letter* each = list.first(); each != nullptr; each = list.after(*each)) text += each->name;
    std::string back;
    for (const Letter* each = list.last(); each != nullptr; each = list.before(*each)) back += each->name;
    CHECK(back == std::string(text.rbegin(), text.rend()));
    return text;
}

} // namespace

TEST_CASE("List: keeps the order in which it is told", "[list]")
{
    Letter a('a');
    Letter b('b');
    Letter c('c');
    List<Letter> list;
    CHECK(list.empty());
    CHECK(list.first() == nullptr);
    CHECK(list.last() == nullptr);

    list.push_back(b);
    list.insert(&b, a);
    list.insert(nullptr, c);
    CHECK(read(list) == "abc");

    list.erase(b);
    CHECK(read(list) == "ac");
    CHECK_FALSE(static_cast<ListHook<>&>(b).is_linked());
    list.push_back(b);
    CHECK(read(list) == "acb");

    while (Letter* const first = list.first()) list.erase(*first);
    CHECK(list.empty());
}

TEST_CASE("List: an object may be in several, by different tags", "[list]")
{
    Letter a('a');
    Letter b('b');
    List<Letter> list;
    List<Letter, Other> other;
    list.push_back(a);
    list.push_back(b);
    other.push_back(b);
    other.push_back(a);

    list.erase(a);

    CHECK(read(list) == "b");
    CHECK(read(other) == "ba");
    list.erase(b);
    other.erase(a);
    other.erase(b);
}

} // namespace khive_tests::list_test
