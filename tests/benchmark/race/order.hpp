// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

/// What Wjson sends and gets back.
struct Item {
    std::string sku;
    int quantity = 0;
    double price = 0;
    bool operator==(const Item&) const = default;
};
struct Order {
    long id = 0;
    std::string customer;
    std::string note;
    std::vector<Item> items;
    double total = 0;
    bool operator==(const Order&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Item, sku, quantity, price)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, id, customer, note, items, total)
