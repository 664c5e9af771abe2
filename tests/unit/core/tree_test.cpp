// SPDX-License-Identifier: BSL-1.0
#include <khive/core/tree.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <random>

namespace khive_tests::tree_test {

using khive::Tree;
using khive::TreeNode;

namespace {

struct Item : TreeNode {
    Item(int of, std::size_t with) : key(of), number(with) {}
    friend bool operator<(const Item& a, const Item& b) noexcept { return a.key < b.key; }
    friend bool operator<(const Item& a, int of) noexcept { return a.key < of; }

    int key;
    std::size_t number;
};

/// Has the tree what the model has, in its order?
bool same(const Tree<Item>& tree, const std::multimap<int, std::size_t>& model)
{
    const Item* item = tree.first();
    for (const auto& [key, number] : model) {
        if (item == nullptr || item->key != key || item->number != number) return false;
        item = tree.after(*item);
    }
    return item == nullptr && tree.size() == model.size() && tree.empty() == model.empty();
}

} // namespace

TEST_CASE("Tree: is in order, equals in that of their coming, whatever comes and goes", "[tree]")
{
    std::mt19937 random(7); // NOLINT: the same each time
    std::deque<Item> items;
    Tree<Item> tree;
    std::multimap<int, std::size_t> model;
    for (std::size_t i = 0; i < 200; ++i) items.emplace_back(static_cast<int>(random() % 50), i);

    for (int step = 0; step < 4000; ++step) {
        Item& item = items[random() % items.size()];
        if (!item.is_linked()) {
            tree.insert(item);
            model.emplace(item.key, item.number);
        } else {
            tree.erase(item);
            for (auto at = model.lower_bound(item.key);; ++at) {
                if (at->second != item.number) continue;
                model.erase(at);
                break;
            }
        }
        REQUIRE(same(tree, model));

        const int key = static_cast<int>(random() % 60);
        const auto expected = model.lower_bound(key);
        const Item* const found = tree.lower_bound(key);
        REQUIRE((found != nullptr) == (expected != model.end()));
        if (found != nullptr) REQUIRE(found->number == expected->second);
    }
    while (Item* const first = tree.first()) tree.erase(*first);
    CHECK(tree.empty());
}

} // namespace khive_tests::tree_test
